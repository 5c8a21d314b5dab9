//! Reading the typed view out of the manifest's JSON, field by field, so that an error can name the field.

use super::{FILES_MAX, FileEntry, MIGRATIONS_MAX, ManifestError, Migration, PACKAGE_CHARS_MAX, VERSION_CHARS_MAX};
use crate::archive::MANIFEST_PATH;
use crate::did::SignerId;
use crate::path::check_path;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use semver::Version;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Longest method name, in characters: more than any language's style guide suggests.
const METHOD_CHARS_MAX: usize = 128;
/// How much of a wrong value an error repeats, in characters.
const SHOWN_CHARS_MAX: usize = 64;

/// What the manifest says, checked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct View {
    pub(super) package: String,
    pub(super) app_version: Version,
    pub(super) min_runtime_version: Version,
    pub(super) signer: SignerId,
    pub(super) wasm: FileEntry,
    pub(super) abi: Option<FileEntry>,
    pub(super) web: Option<String>,
    pub(super) migrations: Vec<Migration>,
    pub(super) files: Vec<FileEntry>,
    pub(super) public_key: [u8; 32],
    pub(super) signature: [u8; 64],
}

impl View {
    pub(super) fn read(raw: &Map<String, Value>) -> Result<View, ManifestError> {
        let top = Object { map: raw, prefix: String::new() };
        format_version(&top)?;
        let wasm = file_entry(&top.object("wasm")?)?;
        let abi = top.optional_object("abi")?.map(|abi| file_entry(&abi)).transpose()?;
        let files = file_list(&top)?;
        each_path_once(&wasm, abi.as_ref(), &files)?;
        let signature = top.object("signature")?;
        let (public_key, signature) = signature_block(&signature)?;
        Ok(View {
            package: package(&top)?,
            app_version: version(&top, "appVersion")?,
            min_runtime_version: version(&top, "minRuntimeVersion")?,
            signer: top.text("signerId")?.parse()?,
            web: web_page(&top, &files)?,
            migrations: migrations(&top)?,
            wasm,
            abi,
            files,
            public_key,
            signature,
        })
    }
}

/// The rule for package names: parts of `[a-z0-9-]` joined by dots, each beginning and ending with a
/// letter or digit, so that names read like host names and never like paths.
pub(super) fn is_package(name: &str) -> bool {
    name.len() <= PACKAGE_CHARS_MAX
        && name.split('.').all(|part| {
            part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !part.is_empty()
                && !part.starts_with('-')
                && !part.ends_with('-')
        })
}

/// A JSON object together with the name by which errors call it.
struct Object<'a> {
    map: &'a Map<String, Value>,
    prefix: String,
}

impl<'a> Object<'a> {
    fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The value of an optional key; `null` counts as absent.
    fn optional(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    fn required(&self, key: &str) -> Result<&'a Value, ManifestError> {
        self.map.get(key).ok_or_else(|| ManifestError::Missing { field: self.name(key) })
    }

    fn text(&self, key: &str) -> Result<&'a str, ManifestError> {
        self.required(key)?.as_str().ok_or_else(|| self.wrong_type(key, "a string"))
    }

    fn optional_text(&self, key: &str) -> Result<Option<&'a str>, ManifestError> {
        self.optional(key).map(|value| value.as_str().ok_or_else(|| self.wrong_type(key, "a string"))).transpose()
    }

    fn object(&self, key: &str) -> Result<Object<'a>, ManifestError> {
        let map = self.required(key)?.as_object().ok_or_else(|| self.wrong_type(key, "an object"))?;
        Ok(Object { map, prefix: format!("{}.", self.name(key)) })
    }

    fn optional_object(&self, key: &str) -> Result<Option<Object<'a>>, ManifestError> {
        self.optional(key).map(|_| self.object(key)).transpose()
    }

    /// The objects of an optional list.
    fn objects(&self, key: &str, max: usize) -> Result<Vec<Object<'a>>, ManifestError> {
        let Some(value) = self.optional(key) else {
            return Ok(Vec::new());
        };
        let items = value.as_array().ok_or_else(|| self.wrong_type(key, "a list"))?;
        if items.len() > max {
            return Err(ManifestError::TooMany { field: self.name(key), max });
        }
        let object = |(i, item): (usize, &'a Value)| {
            let name = format!("{key}[{i}]");
            let map = item.as_object().ok_or_else(|| self.wrong_type(&name, "an object"))?;
            Ok(Object { map, prefix: format!("{}.", self.name(&name)) })
        };
        items.iter().enumerate().map(object).collect()
    }

    fn wrong_type(&self, key: &str, expected: &'static str) -> ManifestError {
        ManifestError::WrongType { field: self.name(key), expected }
    }
}

fn format_version(top: &Object<'_>) -> Result<(), ManifestError> {
    let found = top.text("version")?;
    let known = match found.strip_prefix("1.") {
        Some(minor) => !minor.is_empty() && minor.len() <= 4 && minor.bytes().all(|b| b.is_ascii_digit()),
        None => found == "1",
    };
    if known { Ok(()) } else { Err(ManifestError::UnknownVersion { found: shown(found) }) }
}

fn package(top: &Object<'_>) -> Result<String, ManifestError> {
    let name = top.text("package")?;
    if is_package(name) { Ok(name.to_owned()) } else { Err(ManifestError::BadPackage { found: shown(name) }) }
}

fn version(object: &Object<'_>, key: &str) -> Result<Version, ManifestError> {
    parse_version(object.text(key)?, object.name(key))
}

fn parse_version(text: &str, field: String) -> Result<Version, ManifestError> {
    if text.len() > VERSION_CHARS_MAX {
        return Err(ManifestError::BadVersion { field });
    }
    Version::parse(text).map_err(|_| ManifestError::BadVersion { field })
}

fn file_list(top: &Object<'_>) -> Result<Vec<FileEntry>, ManifestError> {
    top.objects("files", FILES_MAX)?.iter().map(file_entry).collect()
}

fn file_entry(entry: &Object<'_>) -> Result<FileEntry, ManifestError> {
    let path = entry.text("path")?;
    if let Err(rule) = check_path(path.as_bytes()) {
        return Err(ManifestError::BadPath { field: entry.name("path"), rule });
    }
    if path == MANIFEST_PATH {
        return Err(ManifestError::NamesItself { field: entry.name("path") });
    }
    let size = entry.required("size")?.as_u64().ok_or_else(|| entry.wrong_type("size", "a count of bytes"))?;
    let hash = entry.text("hash")?;
    let hash = lower_hex(hash).ok_or_else(|| ManifestError::BadHash { field: entry.name("hash") })?;
    Ok(FileEntry { path: path.to_owned(), size, hash })
}

fn each_path_once(wasm: &FileEntry, abi: Option<&FileEntry>, files: &[FileEntry]) -> Result<(), ManifestError> {
    let mut seen = BTreeSet::from([wasm.path.as_str()]);
    let abi = abi.map(|abi| ("abi.path".to_owned(), abi));
    let files = files.iter().enumerate().map(|(i, file)| (format!("files[{i}].path"), file));
    for (field, file) in abi.into_iter().chain(files) {
        if !seen.insert(&file.path) {
            return Err(ManifestError::DuplicatePath { field, path: file.path.clone() });
        }
    }
    Ok(())
}

fn web_page(top: &Object<'_>, files: &[FileEntry]) -> Result<Option<String>, ManifestError> {
    let Some(page) = top.optional_text("web")? else {
        return Ok(None);
    };
    if page.starts_with("web/") && files.iter().any(|file| file.path == page) {
        Ok(Some(page.to_owned()))
    } else {
        Err(ManifestError::BadWebPage { found: shown(page) })
    }
}

fn migrations(top: &Object<'_>) -> Result<Vec<Migration>, ManifestError> {
    let read = |item: &Object<'_>| {
        let method = item.text("method")?;
        if !is_method(method) {
            return Err(ManifestError::BadMethod { field: item.name("method") });
        }
        let from = item.optional_text("from")?.map(|text| parse_version(text, item.name("from"))).transpose()?;
        Ok(Migration { method: method.to_owned(), from })
    };
    top.objects("migrations", MIGRATIONS_MAX)?.iter().map(read).collect()
}

fn is_method(name: &str) -> bool {
    name.len() <= METHOD_CHARS_MAX
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn signature_block(block: &Object<'_>) -> Result<([u8; 32], [u8; 64]), ManifestError> {
    if let Some(key) = block.map.keys().find(|key| !["algorithm", "publicKey", "signature"].contains(&key.as_str())) {
        return Err(ManifestError::UnsignedKey { key: shown(key) });
    }
    if block.text("algorithm")? != "ed25519" {
        return Err(ManifestError::UnknownAlgorithm);
    }
    Ok((base64_bytes(block, "publicKey")?, base64_bytes(block, "signature")?))
}

fn base64_bytes<const N: usize>(object: &Object<'_>, key: &str) -> Result<[u8; N], ManifestError> {
    let bad = || ManifestError::BadBase64 { field: object.name(key), bytes: N };
    let text = object.text(key)?;
    if text.len() > N * 2 {
        return Err(bad());
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| bad())?;
    bytes.try_into().map_err(|_| bad())
}

/// Upper-case digits are refused, so that a hash has one text.
fn lower_hex(text: &str) -> Option<[u8; 32]> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).ok()?;
    Some(hash)
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_names_read_like_host_names() {
        for name in ["kv", "org.example.notes", "a-b.c0", &"a".repeat(128)] {
            assert!(is_package(name), "{name}");
        }
        for name in ["", ".", "a.", ".a", "a..b", "A", "a_b", "a/b", "-a", "a-", "ä", "a b", &"a".repeat(129)] {
            assert!(!is_package(name), "{name}");
        }
    }

    #[test]
    fn a_hash_has_one_text() {
        assert!(lower_hex(&"ab".repeat(32)).is_some());
        assert!(lower_hex(&"AB".repeat(32)).is_none());
        assert!(lower_hex(&"ab".repeat(31)).is_none());
        assert!(lower_hex(&"zz".repeat(32)).is_none());
    }
}
