//! What is signed, signing it, and verifying it.

use super::fields::View;
use super::{Manifest, ManifestError, Template};
use crate::key::SignerKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::Signature;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Why a manifest's signature does not hold.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// `signature.publicKey` is not the key of `signerId`.
    #[error("the signature's key is not that of `signerId`; one of them was changed after signing")]
    SignerMismatch,
    /// The signature is not one of this signer over this content.
    #[error("the signature does not fit the manifest: it was changed after signing, or another key signed it")]
    Forged,
    /// The content has no canonical form.
    #[error("the manifest has no canonical form: {0}")]
    NotCanonical(serde_json::Error),
}

/// Why a manifest cannot be signed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SignError {
    /// The manifest names another signer than the key's. Signing would silently begin another application.
    #[error(
        "the manifest names the signer {named}, but the key is that of {key}; use that signer's key, or remove `signerId` to begin a new application"
    )]
    OtherSigner {
        /// The `signerId` as written.
        named: String,
        /// Whose key was given, as a `did:key`.
        key: String,
    },
    /// What would be signed breaks a rule of the format.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The content has no canonical form.
    #[error("the manifest has no canonical form: {0}")]
    NotCanonical(serde_json::Error),
}

pub(super) fn verify(raw: &Map<String, Value>, view: &View) -> Result<(), SignatureError> {
    if view.public_key != view.signer.public_key() {
        return Err(SignatureError::SignerMismatch);
    }
    let digest = digest(raw).map_err(SignatureError::NotCanonical)?;
    let signature = Signature::from_bytes(&view.signature);
    view.signer.verifying_key().verify_strict(&digest, &signature).map_err(|_| SignatureError::Forged)
}

impl Template {
    /// Signs the manifest: sets `signerId` and `signature`, and checks the form of all of it.
    /// An older `signature` is replaced.
    ///
    /// # Errors
    ///
    /// [`SignError`]; a file that was not yet described shows as a missing `size` or `hash`.
    pub fn sign(self, key: &SignerKey) -> Result<Manifest, SignError> {
        let mut raw = self.into_json();
        let signer = key.signer();
        match raw.get("signerId") {
            None | Some(Value::Null) => {}
            Some(named) if named.as_str() == Some(signer.to_string().as_str()) => {}
            Some(named) => {
                let named = named.as_str().map_or_else(|| named.to_string(), str::to_owned);
                return Err(SignError::OtherSigner { named, key: signer.to_string() });
            }
        }
        raw.insert("signerId".to_owned(), Value::String(signer.to_string()));
        let signature = key.sign(&digest(&raw).map_err(SignError::NotCanonical)?);
        let block = json!({
            "algorithm": "ed25519",
            "publicKey": URL_SAFE_NO_PAD.encode(signer.public_key()),
            "signature": URL_SAFE_NO_PAD.encode(signature),
        });
        raw.insert("signature".to_owned(), block);
        // Read back what others will read: this is where the strict rules apply to values that a
        // program, not a parser, put into the template.
        let canonical = serde_json_canonicalizer::to_vec(&raw).map_err(SignError::NotCanonical)?;
        Ok(Manifest::parse(&canonical)?)
    }
}

/// SHA-256 of the RFC 8785 form of all top-level keys but `signature` and those that begin with `_`.
fn digest(raw: &Map<String, Value>) -> Result<[u8; 32], serde_json::Error> {
    let signed: Map<String, Value> = raw
        .iter()
        .filter(|(key, _)| key.as_str() != "signature" && !key.starts_with('_'))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let canonical = serde_json_canonicalizer::to_vec(&signed)?;
    Ok(Sha256::digest(canonical).into())
}
