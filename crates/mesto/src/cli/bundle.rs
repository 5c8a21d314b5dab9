//! `mesto bundle`: the single steps of `mesto app build`, and a look into what others built.

use std::path::PathBuf;

use clap::Subcommand;
use mesto_api::ErrorCode;
use mesto_bundle::files::{self, FilesError};
use mesto_bundle::{Inspection, inspect};
use serde_json::json;

use super::failure::Failure;
use super::output::{Output, bytes, fields, or_dash};

#[derive(Subcommand, Debug)]
pub(crate) enum Bundle {
    /// Fill in sizes and hashes of a manifest, and sign it
    Sign {
        /// The manifest
        manifest: PathBuf,
        /// The key file
        #[arg(short, long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Pack a folder with a signed manifest.json
    Pack {
        /// The folder
        folder: PathBuf,
        /// The bundle to write
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Check a bundle: exit status 0 if everything about it is right
    Verify {
        /// The bundle
        file: PathBuf,
    },
    /// Show what is in a bundle, valid or not
    Inspect {
        /// The bundle
        file: PathBuf,
    },
}

impl Bundle {
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Sign { manifest, key } => {
                let key = files::read_key(&key).map_err(of_files)?;
                let signed = files::sign_manifest(&manifest, &key).map_err(of_files)?;
                let shown = json!({
                    "path": manifest.display().to_string(),
                    "package": signed.package(),
                    "version": signed.app_version().to_string(),
                    "signerId": signed.signer().to_string(),
                    "applicationId": mesto_bundle::id_text(&mesto_bundle::application_id(signed.package(), &signed.signer())),
                });
                output.object(&shown, |_| format!("{} is signed by {}", manifest.display(), signed.signer()))
            }
            Self::Pack { folder, output: path } => {
                let packed = files::pack_folder(&folder).map_err(of_files)?;
                files::replace_file(&path, &packed).map_err(of_files)?;
                let mut shown = serde_json::to_value(inspect(&packed)).unwrap_or_default();
                if let Some(fields) = shown.as_object_mut() {
                    fields.insert("path".to_owned(), path.display().to_string().into());
                }
                output.object(&shown, |_| format!("{}  {}", path.display(), bytes(packed.len() as u64)))
            }
            Self::Verify { file } => {
                let report = files::inspect_bundle(&file).map_err(of_files)?;
                show(output, &report)?;
                match report.problem {
                    Some(problem) => {
                        Err(Failure::new(ErrorCode::InvalidBundle, format!("{}: {problem}", file.display())))
                    }
                    None => Ok(()),
                }
            }
            Self::Inspect { file } => show(output, &files::inspect_bundle(&file).map_err(of_files)?),
        }
    }
}

fn show(output: &Output, report: &Inspection) -> Result<(), Failure> {
    output.object(report, |report| {
        let mut text = fields([
            ("valid", if report.valid { "yes" } else { "no" }.to_owned()),
            ("package", or_dash(report.package.as_deref())),
            ("version", or_dash(report.version.as_deref())),
            ("signer", or_dash(report.signer_id.as_deref())),
            ("application", or_dash(report.application_id.as_deref())),
            ("blob", report.blob_id.clone()),
            ("size", bytes(report.size)),
        ]);
        for file in &report.files {
            text.push_str(&format!("\n  {:>10}  {}", bytes(file.size), file.path));
        }
        text
    })
}

/// What a failure with files of bundles is called.
pub(super) fn of_files(error: FilesError) -> Failure {
    let detail = error.to_string();
    match error {
        FilesError::Io { path, source } => Failure::file(&path, &source),
        FilesError::Key { .. } => {
            Failure::new(ErrorCode::InvalidKeyFile, detail).hint("make one with `mesto key generate -o FILE`")
        }
        FilesError::KeyExists { .. } => Failure::new(ErrorCode::FileError, detail),
        _ => Failure::new(ErrorCode::InvalidBundle, detail),
    }
}
