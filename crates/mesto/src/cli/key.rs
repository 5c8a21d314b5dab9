//! `mesto key`: keys that sign bundles.

use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use clap::Subcommand;
use mesto_api::ErrorCode;
use mesto_bundle::{SignerKey, files};
use serde::Serialize;
use zeroize::Zeroizing;

use super::bundle::of_files;
use super::failure::Failure;
use super::output::{Output, fields};

#[derive(Subcommand, Debug)]
pub(crate) enum Key {
    /// Make a new key
    Generate {
        /// The file to write; it must not exist
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Show who signs with a key
    Did {
        /// The key file
        file: PathBuf,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    did: String,
    public_key: String,
    path: String,
}

impl Key {
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let (key, path) = match self {
            Self::Generate { output: path } => {
                let key = generate()?;
                files::write_key(&path, &key).map_err(of_files)?;
                (key, path)
            }
            Self::Did { file } => (files::read_key(&file).map_err(of_files)?, file),
        };
        let signer = key.signer();
        let shown = Shown {
            did: signer.to_string(),
            public_key: BASE64_URL_SAFE_NO_PAD.encode(signer.public_key()),
            path: path.display().to_string(),
        };
        output.object(&shown, |key| fields([("did", key.did.clone()), ("public key", key.public_key.clone())]))
    }
}

/// A key from the system's randomness.
pub(super) fn generate() -> Result<SignerKey, Failure> {
    let mut secret = Zeroizing::new([0; 32]);
    getrandom::fill(&mut secret[..])
        .map_err(|error| Failure::new(ErrorCode::InternalError, format!("the system gives no randomness: {error}")))?;
    Ok(SignerKey::from_entropy(&secret))
}
