//! A manifest before it is signed.

use super::{FORMAT_VERSION, MANIFEST_BYTES_MAX, ManifestError, Migration};
use crate::archive::MANIFEST_PATH;
use crate::json;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The page that opens first where the manifest does not say.
const DEFAULT_WEB_PAGE: &str = "web/index.html";

/// The manifest that an author writes: sizes, hashes, signer and signature are filled in later.
#[derive(Debug, Clone, PartialEq)]
pub struct Template(Map<String, Value>);

impl Template {
    /// A manifest of the required keys. Their form is checked when it is signed.
    pub fn new(package: &str, app_version: &str, min_runtime_version: &str, wasm_path: &str) -> Template {
        let mut map = Map::new();
        map.insert("version".to_owned(), FORMAT_VERSION.into());
        map.insert("package".to_owned(), package.into());
        map.insert("appVersion".to_owned(), app_version.into());
        map.insert("minRuntimeVersion".to_owned(), min_runtime_version.into());
        map.insert("wasm".to_owned(), json!({ "path": wasm_path }));
        Template(map)
    }

    /// Reads a manifest as an author wrote it, with or without sizes, hashes and an old signature.
    ///
    /// # Errors
    ///
    /// [`ManifestError::TooLong`], [`ManifestError::NotJson`].
    pub fn parse(json: &[u8]) -> Result<Template, ManifestError> {
        if json.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::TooLong);
        }
        json::parse_object(json).map(Template).map_err(ManifestError::NotJson)
    }

    /// Names the file that holds the app's schema.
    #[must_use]
    pub fn with_abi(self, path: &str) -> Template {
        self.with("abi", json!({ "path": path }))
    }

    /// Names the page that opens first; without this, `web/index.html` if there is one.
    #[must_use]
    pub fn with_web(self, page: &str) -> Template {
        self.with("web", page.into())
    }

    /// Names the methods that migrate older states.
    #[must_use]
    pub fn with_migrations(self, migrations: &[Migration]) -> Template {
        let list = migrations
            .iter()
            .map(|migration| match &migration.from {
                Some(from) => json!({ "method": migration.method, "from": from.to_string() }),
                None => json!({ "method": migration.method }),
            })
            .collect();
        self.with("migrations", Value::Array(list))
    }

    /// Sets any top-level key. Keys that the format does not know are kept and signed, except for
    /// those that begin with `_`, which are kept but not signed.
    #[must_use]
    pub fn with(mut self, key: &str, value: Value) -> Template {
        self.0.insert(key.to_owned(), value);
        self
    }

    /// Writes size and SHA-256 of every file into the manifest: the component and the schema where
    /// they are named, all others in `files`, which afterwards lists exactly these, by path.
    ///
    /// # Errors
    ///
    /// [`ManifestError::Missing`] or [`ManifestError::WrongType`] if the manifest does not name the
    /// component, [`ManifestError::NoSuchFile`] if the component or the schema is not among `files`.
    pub fn describe_files(&mut self, files: &BTreeMap<String, Vec<u8>>) -> Result<(), ManifestError> {
        let mut named = BTreeSet::new();
        for field in ["wasm", "abi"] {
            if field == "abi" && self.0.get(field).is_none_or(Value::is_null) {
                continue;
            }
            let path = self.named_path(field)?.to_owned();
            let content = files
                .get(&path)
                .ok_or_else(|| ManifestError::NoSuchFile { field: format!("{field}.path"), path: path.clone() })?;
            let old = self.0.get(field).and_then(Value::as_object).cloned().unwrap_or_default();
            self.0.insert(field.to_owned(), described(old, &path, content));
            named.insert(path);
        }
        let mut old = self.listed_files();
        let list = files
            .iter()
            .filter(|(path, _)| !named.contains(*path) && *path != MANIFEST_PATH)
            .map(|(path, content)| described(old.remove(path).unwrap_or_default(), path, content))
            .collect();
        self.0.insert("files".to_owned(), Value::Array(list));
        if !self.0.contains_key("web") && files.contains_key(DEFAULT_WEB_PAGE) {
            self.0.insert("web".to_owned(), DEFAULT_WEB_PAGE.into());
        }
        Ok(())
    }

    /// Every path that the manifest names: component, schema, files.
    ///
    /// # Errors
    ///
    /// As [`Template::describe_files`].
    pub(crate) fn named_paths(&self) -> Result<BTreeSet<String>, ManifestError> {
        let mut paths: BTreeSet<String> = self.listed_files().into_keys().collect();
        paths.insert(self.named_path("wasm")?.to_owned());
        if self.0.get("abi").is_some_and(|abi| !abi.is_null()) {
            paths.insert(self.named_path("abi")?.to_owned());
        }
        Ok(paths)
    }

    /// Where the component is.
    pub(crate) fn wasm_path(&self) -> Result<&str, ManifestError> {
        self.named_path("wasm")
    }

    pub(super) fn into_json(self) -> Map<String, Value> {
        self.0
    }

    fn named_path(&self, field: &str) -> Result<&str, ManifestError> {
        let missing = |field: String| ManifestError::Missing { field };
        let entry = self.0.get(field).ok_or_else(|| missing(field.to_owned()))?;
        let entry = entry
            .as_object()
            .ok_or_else(|| ManifestError::WrongType { field: field.to_owned(), expected: "an object" })?;
        let field = format!("{field}.path");
        let path = entry.get("path").ok_or_else(|| missing(field.clone()))?;
        path.as_str().ok_or(ManifestError::WrongType { field, expected: "a string" })
    }

    /// The entries of `files` that have a path, by path. What is malformed is left for the check at signing.
    fn listed_files(&self) -> BTreeMap<String, Map<String, Value>> {
        let list = self.0.get("files").and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_object)
            .filter_map(|entry| Some((entry.get("path")?.as_str()?.to_owned(), entry.clone())))
            .collect()
    }
}

/// The entry of a file, with the author's further keys kept.
fn described(mut entry: Map<String, Value>, path: &str, content: &[u8]) -> Value {
    entry.insert("path".to_owned(), path.into());
    entry.insert("size".to_owned(), content.len().into());
    entry.insert("hash".to_owned(), hex::encode(Sha256::digest(content)).into());
    Value::Object(entry)
}
