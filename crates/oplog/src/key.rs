//! Signing keys. Signatures are Ed25519, checked by `verify_strict` alone, so that every node has one verdict.

use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use zeroize::Zeroizing;

use crate::id::PublicKey;

/// Length of a signature, in bytes.
pub const SIGNATURE_LEN: usize = 64;

/// An Ed25519 signing key; wiped from memory when dropped.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key of a 32-byte seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The seed of this key, for a keystore.
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey::from_bytes(self.0.verifying_key().to_bytes())
    }

    /// Signs `message` under `domain`, a string that no other use of keys in Mesto shares.
    #[must_use]
    pub fn sign(&self, domain: &str, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        self.0.sign(&framed(domain, message)).to_bytes()
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey(of {:?})", self.public())
    }
}

/// Whether `signature` is `key`'s over `message` under `domain`.
#[must_use]
pub fn verify(key: &PublicKey, domain: &str, message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> bool {
    VerifyingKey::from_bytes(key.as_bytes())
        .is_ok_and(|key| key.verify_strict(&framed(domain, message), &Signature::from_bytes(signature)).is_ok())
}

/// `domain ‖ 0 ‖ message`: domains contain no zero byte, so no two pairs frame alike.
fn framed(domain: &str, message: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(domain.len() + 1 + message.len());
    framed.extend_from_slice(domain.as_bytes());
    framed.push(0);
    framed.extend_from_slice(message);
    framed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_key_domain_and_message_only() {
        let key = SigningKey::from_seed(&[7; 32]);
        let signature = key.sign("mesto test", b"hello");
        assert!(verify(&key.public(), "mesto test", b"hello", &signature));
        assert!(!verify(&key.public(), "mesto other", b"hello", &signature));
        assert!(!verify(&key.public(), "mesto test", b"hullo", &signature));
        assert!(!verify(&SigningKey::from_seed(&[8; 32]).public(), "mesto test", b"hello", &signature));
    }

    #[test]
    fn a_key_of_small_order_verifies_nothing() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut signature = [0; SIGNATURE_LEN];
        signature[0] = 1;
        assert!(!verify(&PublicKey::from_bytes(identity), "mesto test", b"any", &signature));
    }

    #[test]
    fn the_debug_form_shows_no_secret() {
        let key = SigningKey::from_seed(&[7; 32]);
        assert!(!format!("{key:?}").contains("07"));
    }
}
