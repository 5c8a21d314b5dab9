//! What there is to know about a bundle, valid or not, for people and scripts.

use crate::archive::{self, ArchiveError, Limits, MANIFEST_PATH};
use crate::bundle::{Bundle, BundleError, blob_id, id_text};
use crate::manifest::{FileEntry, Manifest, Migration};
use serde::Serialize;

/// A report on a bundle. Of one that is not valid, the report repeats what its manifest *claims*, as far
/// as it can be read; `applicationId` is then absent, because nothing vouches for it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Inspection {
    /// Whether everything was verified: archive, manifest, signature, every file.
    pub valid: bool,
    /// What is wrong, in one sentence, if something is.
    pub problem: Option<String>,
    /// The `did:key` of the signer.
    pub signer_id: Option<String>,
    /// The application, in its text form.
    pub application_id: Option<String>,
    /// The id of these exact bytes, in its text form.
    pub blob_id: String,
    /// The package name.
    pub package: Option<String>,
    /// The version of the app.
    pub version: Option<String>,
    /// The oldest version of the node that can run it.
    pub min_runtime_version: Option<String>,
    /// Bytes of the `.mpk`.
    pub size: u64,
    /// Bytes of all files together, without the manifest.
    pub unpacked_size: Option<u64>,
    /// The path of the component.
    pub wasm: Option<String>,
    /// The path of the schema.
    pub abi: Option<String>,
    /// The page that opens first.
    pub web: Option<String>,
    /// The methods that migrate older states.
    pub migrations: Vec<Migration>,
    /// Every file that the manifest names, component and schema included.
    pub files: Vec<FileEntry>,
}

/// Verifies a `.mpk` and tells what is in it. Never fails: what is wrong is part of the report.
pub fn inspect(bytes: &[u8]) -> Inspection {
    match Bundle::open(bytes) {
        Ok(bundle) => {
            let mut report = Inspection::of_claims(bytes, Some(&bundle.manifest));
            report.valid = true;
            report.application_id = Some(id_text(&bundle.application_id));
            report
        }
        Err(problem) => {
            let mut report = Inspection::of_claims(bytes, claimed_manifest(bytes).ok().as_ref());
            report.problem = Some(problem.to_string());
            report
        }
    }
}

impl Inspection {
    fn of_claims(bytes: &[u8], manifest: Option<&Manifest>) -> Inspection {
        let files: Vec<FileEntry> = manifest.into_iter().flat_map(Manifest::all_files).cloned().collect();
        Inspection {
            valid: false,
            problem: None,
            signer_id: manifest.map(|m| m.signer().to_string()),
            application_id: None,
            blob_id: id_text(&blob_id(bytes)),
            package: manifest.map(|m| m.package().to_owned()),
            version: manifest.map(|m| m.app_version().to_string()),
            min_runtime_version: manifest.map(|m| m.min_runtime_version().to_string()),
            size: bytes.len() as u64,
            unpacked_size: manifest.map(|_| files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.size))),
            wasm: manifest.map(|m| m.wasm().path.clone()),
            abi: manifest.and_then(Manifest::abi).map(|abi| abi.path.clone()),
            web: manifest.and_then(Manifest::web).map(str::to_owned),
            migrations: manifest.map(|m| m.migrations().to_vec()).unwrap_or_default(),
            files,
        }
    }
}

fn claimed_manifest(bytes: &[u8]) -> Result<Manifest, BundleError> {
    let files = archive::unpack(bytes, &Limits::DEFAULT)?;
    let manifest = files.get(MANIFEST_PATH).ok_or(ArchiveError::ManifestMissing)?;
    Ok(Manifest::parse(manifest)?)
}
