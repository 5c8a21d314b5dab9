//! Signers as `did:key` identifiers: an Ed25519 public key in one line of text.
//!
//! Format: `did:key:z` and the base58btc text of the multicodec prefix 0xed 0x01 (ed25519-pub as a
//! varint) followed by the 32 bytes of the key. Source: the W3C CCG did:key method, section 3.1.1.

use ed25519_dalek::VerifyingKey;
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

const PREFIX: &str = "did:key:z";
const MULTICODEC_ED25519: [u8; 2] = [0xed, 0x01];
/// A `did:key` of an Ed25519 key is 56 characters; the bound keeps base58, which is quadratic, cheap.
const TEXT_CHARS_MAX: usize = 64;

/// Who signed a bundle: a valid Ed25519 public key, printed as `did:key:z6Mk…`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SignerId(VerifyingKey);

/// Why a text is not the `did:key` of an Ed25519 key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DidError {
    /// The text does not begin with `did:key:z`.
    #[error("is not a did:key in base58btc (`did:key:z…`)")]
    NotDidKey,
    /// The rest of the text is not base58btc, or far too long.
    #[error("is not base58btc text of a usual length")]
    NotBase58,
    /// The key is of another kind or length than Ed25519.
    #[error("is not an Ed25519 key (multicodec 0xed01 and 32 bytes)")]
    NotEd25519,
    /// The bytes are not a point of the curve, or one under which anybody can forge a signature.
    #[error("is not a usable Ed25519 public key")]
    UnusableKey,
}

impl SignerId {
    /// The signer with this public key.
    ///
    /// # Errors
    ///
    /// [`DidError::UnusableKey`] if it is not a point of the curve, or is of small order.
    pub fn from_public_key(key: &[u8; 32]) -> Result<Self, DidError> {
        let key = VerifyingKey::from_bytes(key).map_err(|_| DidError::UnusableKey)?;
        if key.is_weak() {
            return Err(DidError::UnusableKey);
        }
        Ok(SignerId(key))
    }

    /// The 32 bytes of the Ed25519 public key.
    pub fn public_key(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    pub(crate) fn verifying_key(&self) -> &VerifyingKey {
        &self.0
    }
}

impl From<VerifyingKey> for SignerId {
    /// For keys that were derived from a secret key, which are never weak.
    fn from(key: VerifyingKey) -> Self {
        SignerId(key)
    }
}

impl fmt::Display for SignerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = MULTICODEC_ED25519.to_vec();
        bytes.extend_from_slice(self.0.as_bytes());
        write!(f, "{PREFIX}{}", bs58::encode(bytes).into_string())
    }
}

impl fmt::Debug for SignerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignerId({self})")
    }
}

impl FromStr for SignerId {
    type Err = DidError;

    fn from_str(text: &str) -> Result<Self, DidError> {
        let base58 = text.strip_prefix(PREFIX).ok_or(DidError::NotDidKey)?;
        if base58.len() > TEXT_CHARS_MAX {
            return Err(DidError::NotBase58);
        }
        let bytes = bs58::decode(base58).into_vec().map_err(|_| DidError::NotBase58)?;
        let key = bytes.strip_prefix(&MULTICODEC_ED25519).ok_or(DidError::NotEd25519)?;
        let key: &[u8; 32] = key.try_into().map_err(|_| DidError::NotEd25519)?;
        SignerId::from_public_key(key)
    }
}

impl Serialize for SignerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The first is the example of the did:key specification's Ed25519 vectors.
    const VECTORS: [(&str, &str); 2] = [
        (
            "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp",
            "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29",
        ),
        (
            // Public key of RFC 8032, section 7.1, test 1.
            "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        ),
    ];

    #[test]
    fn known_keys_have_their_known_did() {
        for (did, key) in VECTORS {
            let bytes: [u8; 32] = hex::decode(key).expect("hex").try_into().expect("32 bytes");
            let signer = SignerId::from_public_key(&bytes).expect("a usable key");
            assert_eq!(signer.to_string(), did);
            assert_eq!(did.parse::<SignerId>().expect("a did:key").public_key(), bytes);
        }
    }

    #[test]
    fn other_texts_are_refused_by_the_rule_that_they_break() {
        let did = VECTORS[0].0;
        let cases = [
            ("", DidError::NotDidKey),
            ("did:web:example.org", DidError::NotDidKey),
            ("did:key:f6MkiTBz1", DidError::NotDidKey),
            ("did:key:z0OIl", DidError::NotBase58),
            (&format!("{did}{}", "1".repeat(100)), DidError::NotBase58),
            (&did[..did.len() - 4], DidError::NotEd25519),
            // A secp256k1 key of the did:key specification.
            ("did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme", DidError::NotEd25519),
        ];
        for (text, rule) in cases {
            assert_eq!(text.parse::<SignerId>(), Err(rule), "{text}");
        }
    }

    #[test]
    fn keys_under_which_anybody_can_sign_are_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(SignerId::from_public_key(&identity), Err(DidError::UnusableKey));
    }

    proptest! {
        #[test]
        fn every_signer_survives_its_text(seed in any::<[u8; 32]>()) {
            let signer = SignerId::from(ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key());
            prop_assert_eq!(signer.to_string().parse::<SignerId>(), Ok(signer));
        }

        #[test]
        fn arbitrary_text_never_panics(text in ".{0,80}") {
            let _ = text.parse::<SignerId>();
            let _ = format!("did:key:z{text}").parse::<SignerId>();
        }
    }
}
