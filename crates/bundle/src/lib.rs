//! Signed application bundles (`.mpk`): what is in one, how it is signed, packed and checked.
//!
//! A bundle is a gzip tar of `manifest.json`, a WebAssembly component, and optional further files.
//! The manifest holds the size and SHA-256 of *every* other file and is itself signed, so one
//! Ed25519 signature covers the whole content:
//!
//! 1. drop the top-level key `signature` and top-level keys that begin with `_`;
//! 2. canonicalise what is left by RFC 8785 (JCS);
//! 3. sign the SHA-256 of these bytes with Ed25519; the signer is a `did:key`.
//!
//! Two ids follow from a bundle. The *application id* is a hash of package name and signer: the same
//! for all versions of an app, and out of reach for any other signer. The *blob id* is the BLAKE3 hash
//! of the `.mpk` bytes: one exact version.
//!
//! ```
//! use mesto_bundle::{Bundle, SignerKey, Template, build};
//! use std::collections::BTreeMap;
//!
//! let key = SignerKey::from_entropy(&[7; 32]);
//! let files = BTreeMap::from([("app.wasm".to_owned(), b"\0asm".to_vec())]);
//! let template = Template::new("org.example.notes", "1.0.0", "0.1.0", "app.wasm");
//! let mpk = build(template, &files, &key)?;
//!
//! let bundle = Bundle::open(&mpk)?;
//! assert_eq!(bundle.manifest.package(), "org.example.notes");
//! assert_eq!(bundle.manifest.signer().to_string(), key.signer().to_string());
//! # Ok::<(), mesto_bundle::BundleError>(())
//! ```
//!
//! Invariants:
//!
//! - A [`Bundle`] exists only if everything about it was verified; there is no unverified one.
//! - Unpacking happens in memory, under [`Limits`]; no byte of an archive decides where a file is written.
//! - Nothing that the signature does not cover is ever acted on.
//! - Building is deterministic: the same manifest, files and key give the same bytes.
//! - Only [`files`] touches a disk, and nothing here draws random numbers or reads a clock.

pub mod archive;
mod bundle;
mod did;
pub mod files;
mod inspect;
mod json;
mod key;
mod manifest;
mod path;

pub use archive::{ArchiveError, Limits, MANIFEST_PATH};
pub use bundle::{Bundle, BundleError, application_id, blob_id, build, id_text, pack_signed};
pub use did::{DidError, SignerId};
pub use inspect::{Inspection, inspect};
pub use key::{KeyError, SignerKey};
pub use manifest::{FileEntry, Manifest, ManifestError, Migration, SignError, SignatureError, Template};
pub use path::{PATH_BYTES_MAX, PathError, check_path};
