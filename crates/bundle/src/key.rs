//! The key that signs bundles, as a PKCS#8 PEM text (RFC 8410, RFC 5958).

use crate::did::SignerId;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{self, DecodePrivateKey, EncodePrivateKey, KeypairBytes};
use ed25519_dalek::{Signer, SigningKey};
use std::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

/// Longest key file that is read, in bytes. An Ed25519 key takes under 300; the rest is room for the
/// comment lines that some tools put above the PEM block.
pub(crate) const PEM_BYTES_MAX: usize = 16 * 1024;

/// An Ed25519 key that signs bundles. Its secret is wiped from memory when it is dropped, and never printed.
#[derive(Clone)]
pub struct SignerKey(SigningKey);

/// Why a text is not a key that can sign bundles.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is longer than any key file.
    #[error("the key file is longer than {PEM_BYTES_MAX} bytes; give an Ed25519 key in PKCS#8 PEM")]
    TooLong,
    /// The text is not an unencrypted Ed25519 private key in PKCS#8 PEM.
    #[error("this is not an unencrypted Ed25519 private key in PKCS#8 PEM ({0}); `mesto key generate` makes one")]
    NotPkcs8(pkcs8::Error),
    /// The PEM could not be written.
    #[error("the key cannot be encoded: {0}")]
    Encode(pkcs8::Error),
}

impl SignerKey {
    /// The key made of 32 random bytes, which the caller draws from a secure source and wipes.
    pub fn from_entropy(secret: &[u8; 32]) -> Self {
        SignerKey(SigningKey::from_bytes(secret))
    }

    /// Reads PKCS#8 PEM, version 1 (the secret key alone) or 2 (with the public key, which must match).
    ///
    /// # Errors
    ///
    /// [`KeyError::TooLong`], [`KeyError::NotPkcs8`].
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        if pem.len() > PEM_BYTES_MAX {
            return Err(KeyError::TooLong);
        }
        SigningKey::from_pkcs8_pem(pem.trim_start()).map(SignerKey).map_err(KeyError::NotPkcs8)
    }

    /// The key as PKCS#8 PEM, version 1: every OpenSSL reads it, while several refuse version 2.
    ///
    /// # Errors
    ///
    /// [`KeyError::Encode`], which a key of fixed length does not cause.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let pair = KeypairBytes { secret_key: self.0.to_bytes(), public_key: None };
        pair.to_pkcs8_pem(LineEnding::LF).map_err(KeyError::Encode)
    }

    /// Who signs with this key.
    pub fn signer(&self) -> SignerId {
        SignerId::from(self.0.verifying_key())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignerKey({}, secret hidden)", self.signer())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 8410, section 10.3: the same key as version 1, and as version 2 with its public key.
    const RFC_8410_V1: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";
    const RFC_8410_PUBLIC: &str = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";

    #[test]
    fn the_key_of_rfc_8410_is_read_and_written_as_there() {
        let key = SignerKey::from_pem(RFC_8410_V1).expect("the example of the RFC");
        assert_eq!(hex::encode(key.signer().public_key()), RFC_8410_PUBLIC);
        assert_eq!(key.to_pem().expect("it encodes").as_str(), RFC_8410_V1);
    }

    #[test]
    fn version_2_is_read_and_its_public_key_must_match() {
        let key = SigningKey::from_bytes(&[9; 32]);
        let pem = key.to_pkcs8_pem(LineEnding::LF).expect("version 2");
        let read = SignerKey::from_pem(&pem).expect("version 2 is read");
        assert_eq!(read.signer(), SignerId::from(key.verifying_key()));

        let other = SigningKey::from_bytes(&[8; 32]).verifying_key();
        let liar =
            KeypairBytes { secret_key: key.to_bytes(), public_key: Some(pkcs8::PublicKeyBytes(other.to_bytes())) };
        let pem = liar.to_pkcs8_pem(LineEnding::LF).expect("it encodes");
        assert!(matches!(SignerKey::from_pem(&pem), Err(KeyError::NotPkcs8(_))));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "hello", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"] {
            assert!(matches!(SignerKey::from_pem(text), Err(KeyError::NotPkcs8(_))), "{text}");
        }
        let explained = format!("a key for notes\n\n{RFC_8410_V1}");
        assert!(SignerKey::from_pem(&explained).is_ok());
        let public = RFC_8410_V1.replace("PRIVATE", "PUBLIC");
        assert!(SignerKey::from_pem(&public).is_err());
        let encrypted = RFC_8410_V1.replace("PRIVATE", "ENCRYPTED PRIVATE");
        assert!(SignerKey::from_pem(&encrypted).is_err());
        assert!(matches!(SignerKey::from_pem(&"x".repeat(PEM_BYTES_MAX + 1)), Err(KeyError::TooLong)));
    }

    #[test]
    fn the_secret_is_not_printed() {
        let shown = format!("{:?}", SignerKey::from_entropy(&[0xab; 32]));
        assert!(!shown.contains("abab") && !shown.contains("171"), "{shown}");
        assert!(shown.contains("did:key:z6Mk"));
    }

    proptest! {
        #[test]
        fn every_key_survives_its_pem(secret in any::<[u8; 32]>()) {
            let key = SignerKey::from_entropy(&secret);
            let read = SignerKey::from_pem(&key.to_pem().expect("it encodes")).expect("it decodes");
            prop_assert_eq!(read.signer(), key.signer());
        }
    }
}
