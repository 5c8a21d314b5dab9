//! A whole bundle: opened and verified, or built.

use crate::archive::{self, ArchiveError, Limits, MANIFEST_PATH};
use crate::did::SignerId;
use crate::key::SignerKey;
use crate::manifest::{FileEntry, Manifest, ManifestError, SignError, SignatureError, Template};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use thiserror::Error;

/// Domain separation of application ids.
const APPLICATION_ID_CONTEXT: &str = "mesto 2026 application id v1";

/// A bundle that was verified from end to end: archive, manifest, signature, every file.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Bundle {
    /// The signed manifest.
    pub manifest: Manifest,
    /// The WebAssembly component.
    pub wasm: Vec<u8>,
    /// All other files, by path: the schema, the pages under `web/`.
    pub files: BTreeMap<String, Vec<u8>>,
    /// BLAKE3 hash of the `.mpk` bytes: this exact version.
    pub blob_id: [u8; 32],
    /// Which application this is a version of ([`application_id`]).
    pub application_id: [u8; 32],
}

/// Why a bundle cannot be opened or built.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The archive is damaged, too large, or holds what bundles may not hold.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The manifest is not well-formed.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The signature does not hold.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The manifest cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The manifest names a file that the bundle lacks.
    #[error("the manifest names {path:?}, which the bundle lacks; sign and pack it again")]
    FileMissing {
        /// The file.
        path: String,
    },
    /// The bundle holds a file that the manifest does not name, and so nobody signed.
    #[error("the bundle holds {path:?}, which the manifest does not name; sign and pack it again")]
    FileNotNamed {
        /// The file.
        path: String,
    },
    /// A file has another size than the manifest says.
    #[error("{path:?} has {found} bytes, the manifest says {named}; it was changed after signing")]
    SizeDiffers {
        /// The file.
        path: String,
        /// The size in the manifest.
        named: u64,
        /// The size of the file.
        found: u64,
    },
    /// A file has another hash than the manifest says.
    #[error("the content of {path:?} does not fit its hash in the manifest; it was changed after signing")]
    HashDiffers {
        /// The file.
        path: String,
    },
}

impl Bundle {
    /// Opens a `.mpk` under [`Limits::DEFAULT`] and verifies everything about it.
    ///
    /// # Errors
    ///
    /// [`BundleError`], by the first rule that is broken.
    pub fn open(bytes: &[u8]) -> Result<Bundle, BundleError> {
        Bundle::open_within(bytes, &Limits::DEFAULT)
    }

    /// [`Bundle::open`] under limits of the caller's choice.
    ///
    /// # Errors
    ///
    /// As [`Bundle::open`].
    pub fn open_within(bytes: &[u8], limits: &Limits) -> Result<Bundle, BundleError> {
        let mut files = archive::unpack(bytes, limits)?;
        let manifest = files.remove(MANIFEST_PATH).ok_or(ArchiveError::ManifestMissing)?;
        let manifest = Manifest::parse(&manifest)?;
        manifest.verify()?;
        check_files(&manifest, &files)?;
        let wasm_path = &manifest.wasm().path;
        let wasm = files.remove(wasm_path).ok_or_else(|| BundleError::FileMissing { path: wasm_path.clone() })?;
        let application_id = application_id(manifest.package(), &manifest.signer());
        Ok(Bundle { manifest, wasm, files, blob_id: blob_id(bytes), application_id })
    }

    /// The schema of the app's methods, state and events, if the bundle brings one.
    pub fn abi(&self) -> Option<&[u8]> {
        self.manifest.abi().and_then(|abi| self.files.get(&abi.path)).map(Vec::as_slice)
    }
}

/// The id of an application: the same for all versions, different for every signer.
///
/// BLAKE3 in `derive_key` mode, context `mesto 2026 application id v1`, of package and signer's `did:key`,
/// each as its length in bytes (u32, little-endian) followed by its UTF-8.
pub fn application_id(package: &str, signer: &SignerId) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(APPLICATION_ID_CONTEXT);
    for text in [package, &signer.to_string()] {
        // Package names are bounded far below 2^32; a longer text could only collide with itself cut.
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        hasher.update(&length.to_le_bytes());
        hasher.update(text.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// The id of a blob: BLAKE3 of its bytes.
pub fn blob_id(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

/// The text form of an id: RFC 4648 base32, lower case, unpadded, 52 characters.
pub fn id_text(id: &[u8; 32]) -> String {
    let mut text = data_encoding::BASE32_NOPAD.encode(id);
    text.make_ascii_lowercase();
    text
}

/// Describes the files in the manifest, signs it, packs all, and opens the result to be sure that others can.
///
/// # Errors
///
/// [`BundleError`].
pub fn build(
    mut template: Template,
    files: &BTreeMap<String, Vec<u8>>,
    key: &SignerKey,
) -> Result<Vec<u8>, BundleError> {
    template.describe_files(files)?;
    let manifest = template.sign(key)?;
    pack_signed(&manifest, files)
}

/// Packs a signed manifest and its files, and opens the result to be sure that others can.
///
/// # Errors
///
/// [`BundleError`]; files that the manifest does not name are refused, not left out.
pub fn pack_signed(manifest: &Manifest, files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>, BundleError> {
    let mut content = files.clone();
    content.insert(MANIFEST_PATH.to_owned(), manifest.to_canonical_json()?);
    let packed = archive::pack(&content)?;
    Bundle::open(&packed)?;
    Ok(packed)
}

fn check_files(manifest: &Manifest, files: &BTreeMap<String, Vec<u8>>) -> Result<(), BundleError> {
    let named: BTreeMap<&str, &FileEntry> = manifest.all_files().map(|entry| (entry.path.as_str(), entry)).collect();
    if let Some(path) = files.keys().find(|path| !named.contains_key(path.as_str())) {
        return Err(BundleError::FileNotNamed { path: path.clone() });
    }
    for (path, entry) in named {
        let path = || path.to_owned();
        let content = files.get(&entry.path).ok_or_else(|| BundleError::FileMissing { path: path() })?;
        let found = content.len() as u64;
        if found != entry.size {
            return Err(BundleError::SizeDiffers { path: path(), named: entry.size, found });
        }
        if Sha256::digest(content).as_slice() != entry.hash {
            return Err(BundleError::HashDiffers { path: path() });
        }
    }
    Ok(())
}
