//! The manifest of a bundle: what the app is, who signed it, and the hash of every file.
//!
//! The JSON object is the truth: keys that this version does not know are kept, and are signed like
//! the others. The typed fields are a view of it, read once and checked.

mod fields;
mod signature;
mod template;

pub use signature::{SignError, SignatureError};
pub use template::Template;

use crate::did::SignerId;
use crate::json;
use crate::path::PathError;
use semver::Version;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use thiserror::Error;

/// The version of the manifest format that [`Template`] writes. Readers accept every `1.N`: a minor
/// version only adds keys.
pub(crate) const FORMAT_VERSION: &str = "1.0";

/// Largest `manifest.json`, in bytes (1 MiB): 4096 files at 150 bytes of path each fit, far more than real apps have.
pub(crate) const MANIFEST_BYTES_MAX: usize = 1024 * 1024;

/// Most files that a manifest may name; also the bound of an archive.
pub(crate) const FILES_MAX: usize = 4096;

/// Most migrations that a manifest may name. An app that has more past versions than that can chain them.
pub(crate) const MIGRATIONS_MAX: usize = 64;

/// Longest package name, in characters.
pub(crate) const PACKAGE_CHARS_MAX: usize = 128;

/// Longest version text, in characters: room for any release, build hash included.
pub(crate) const VERSION_CHARS_MAX: usize = 128;

/// A well-formed manifest with a signature block. Whether the signature is *good* is a question of
/// its own ([`Manifest::verify`]); inside a [`crate::Bundle`] it was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    raw: Map<String, Value>,
    view: fields::View,
}

/// One file of a bundle as the manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileEntry {
    /// Where the file is in the bundle: relative, `/` between segments.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256; lower-case hex in JSON.
    #[serde(serialize_with = "serialize_hex")]
    pub hash: [u8; 32],
}

/// A method of the app that turns the state of an older version into that of this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Migration {
    /// The exported method.
    pub method: String,
    /// The app version whose state it reads; without one, it decides by the state that it finds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Version>,
}

/// Why a manifest is not well-formed. `field` is the path of the key, such as `wasm.hash` or `files[3].path`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The manifest is longer than 1 MiB.
    #[error("manifest.json is longer than {MANIFEST_BYTES_MAX} bytes")]
    TooLong,
    /// The manifest is not one strict JSON object (no duplicate keys, no integers beyond 2^53 - 1).
    #[error("manifest.json is not a strict JSON object: {0}")]
    NotJson(serde_json::Error),
    /// The manifest's format is of a version that this build does not read.
    #[error("manifest.json has format version {found:?}, this build reads 1.x; update mesto")]
    UnknownVersion {
        /// The version as written.
        found: String,
    },
    /// A required field is absent.
    #[error("manifest.json lacks `{field}`")]
    Missing {
        /// Which field.
        field: String,
    },
    /// A field has another JSON type than it must.
    #[error("`{field}` in manifest.json must be {expected}")]
    WrongType {
        /// Which field.
        field: String,
        /// What it must be.
        expected: &'static str,
    },
    /// The package name breaks the rule for names.
    #[error(
        "`package` in manifest.json must be 1 to 128 of a-z, 0-9, `-` and `.`, in parts like `org.example.notes`; found {found:?}"
    )]
    BadPackage {
        /// The name as written, cut to a readable length.
        found: String,
    },
    /// A field is not a semantic version.
    #[error("`{field}` in manifest.json must be a semantic version such as 1.2.0")]
    BadVersion {
        /// Which field.
        field: String,
    },
    /// A field is not the `did:key` of an Ed25519 key.
    #[error("`signerId` in manifest.json {0}")]
    BadSigner(#[from] crate::did::DidError),
    /// A path breaks the rules for paths.
    #[error("`{field}` in manifest.json {rule}")]
    BadPath {
        /// Which field.
        field: String,
        /// The rule that is broken.
        rule: PathError,
    },
    /// The path is the manifest's own, which cannot hold its own hash.
    #[error("`{field}` in manifest.json names the manifest itself")]
    NamesItself {
        /// Which field.
        field: String,
    },
    /// A hash is not 64 lower-case hex characters.
    #[error("`{field}` in manifest.json must be a SHA-256 as 64 lower-case hex characters")]
    BadHash {
        /// Which field.
        field: String,
    },
    /// A key or signature is not base64url without padding, or has another length than it must.
    #[error("`{field}` in manifest.json must be {bytes} bytes in base64url without padding")]
    BadBase64 {
        /// Which field.
        field: String,
        /// How many bytes it must hold.
        bytes: usize,
    },
    /// Two entries name the same file.
    #[error("`{field}` in manifest.json names {path:?}, which another entry names already")]
    DuplicatePath {
        /// The later of the fields.
        field: String,
        /// The file.
        path: String,
    },
    /// `web` names a page that is not among `files`, or is outside `web/`.
    #[error("`web` in manifest.json must be the path of a page under `web/` that `files` lists; found {found:?}")]
    BadWebPage {
        /// The path as written.
        found: String,
    },
    /// The manifest names a file that is not there.
    #[error("`{field}` in manifest.json names {path:?}, and there is no such file")]
    NoSuchFile {
        /// Which field.
        field: String,
        /// The file.
        path: String,
    },
    /// A list is longer than its bound.
    #[error("`{field}` in manifest.json has more than {max} items")]
    TooMany {
        /// Which list.
        field: String,
        /// Its bound.
        max: usize,
    },
    /// A migration's method is not a method name.
    #[error(
        "`{field}` in manifest.json must be a method name: a letter or `_`, then at most 127 letters, digits, `_` or `-`"
    )]
    BadMethod {
        /// Which field.
        field: String,
    },
    /// The signature block is of an algorithm that we do not verify.
    #[error("`signature.algorithm` in manifest.json must be \"ed25519\"")]
    UnknownAlgorithm,
    /// The signature block has a key beyond the three that it must have; nothing signs the block itself.
    #[error("`signature.{key}` in manifest.json is not covered by the signature; move it to the top level")]
    UnsignedKey {
        /// The key.
        key: String,
    },
}

impl Manifest {
    /// Reads a signed manifest and checks its form; [`Manifest::verify`] checks the signature.
    ///
    /// # Errors
    ///
    /// [`ManifestError`], naming the first field that breaks a rule.
    pub fn parse(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::TooLong);
        }
        let raw = json::parse_object(bytes).map_err(ManifestError::NotJson)?;
        let view = fields::View::read(&raw)?;
        Ok(Manifest { raw, view })
    }

    /// Verifies that the signer whom the manifest names signed it (strict Ed25519, RFC 8032 with
    /// cofactorless verification and canonical encodings only).
    ///
    /// # Errors
    ///
    /// [`SignatureError`].
    pub fn verify(&self) -> Result<(), SignatureError> {
        signature::verify(&self.raw, &self.view)
    }

    /// The manifest in its one canonical form (RFC 8785), signature included: as archives hold it.
    ///
    /// # Errors
    ///
    /// [`SignatureError::NotCanonical`], which a parsed manifest does not cause.
    pub fn to_canonical_json(&self) -> Result<Vec<u8>, SignatureError> {
        serde_json_canonicalizer::to_vec(&self.raw).map_err(SignatureError::NotCanonical)
    }

    /// All of the JSON, with the keys that this version does not know.
    pub fn as_json(&self) -> &Map<String, Value> {
        &self.raw
    }

    /// The package name: `[a-z0-9.-]`, in parts, at most 128 characters.
    pub fn package(&self) -> &str {
        &self.view.package
    }

    /// The version of the app.
    pub fn app_version(&self) -> &Version {
        &self.view.app_version
    }

    /// The oldest version of the node that can run the app.
    pub fn min_runtime_version(&self) -> &Version {
        &self.view.min_runtime_version
    }

    /// Who signs: the `signerId`, whose key is also the `signature.publicKey`.
    pub fn signer(&self) -> SignerId {
        self.view.signer
    }

    /// The WebAssembly component.
    pub fn wasm(&self) -> &FileEntry {
        &self.view.wasm
    }

    /// The schema of the app's methods, state and events, if it brings one.
    pub fn abi(&self) -> Option<&FileEntry> {
        self.view.abi.as_ref()
    }

    /// The page that opens first, such as `web/index.html`, if the app has pages.
    pub fn web(&self) -> Option<&str> {
        self.view.web.as_deref()
    }

    /// The methods that migrate older states.
    pub fn migrations(&self) -> &[Migration] {
        &self.view.migrations
    }

    /// Every file aside from the component and the schema, in the manifest's order.
    pub fn files(&self) -> &[FileEntry] {
        &self.view.files
    }

    /// Every file that the bundle holds beside `manifest.json`.
    pub fn all_files(&self) -> impl Iterator<Item = &FileEntry> {
        std::iter::once(&self.view.wasm).chain(&self.view.abi).chain(&self.view.files)
    }
}

fn serialize_hex<S: Serializer>(hash: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(hash))
}
