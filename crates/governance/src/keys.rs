//! Keys: what seals state from those who may not read it.
//!
//! An [`EpochKey`] protects a domain (a group, or a Restricted context) from one loss of read access to the next. Its id
//! and all that is sealed under it depend on the domain: whoever has a key cannot pass it off as that of another domain.
//! It travels sealed to each reader's [`SealingKey`] by HPKE (RFC 9180: X25519, HKDF-SHA256, ChaCha20-Poly1305),
//! and under other epoch keys by XChaCha20-Poly1305, which also encrypts the bodies of deltas. Every use of an
//! epoch key has a subkey of its own. Randomness is always an argument.
//!
//! There is no forward secrecy within retained history: whoever holds a key reads what was written under it, and
//! a removed member keeps what it had.

mod cipher;
mod seal;

pub use cipher::{CipherError, NONCE_LEN, TAG_LEN};
pub use seal::{SealError, SealingKey};

use mesto_oplog::PublicKey;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::action::{HistoryWrap, KeyWrap, ParentWrap, WRAPPED_KEY_LEN, Wrap};
use crate::id::{KEY_ID_CONTEXT, KeyId, SealingPublicKey};

/// Domain of the subkey that encrypts delta bodies.
const PAYLOAD_SUBKEY: &str = "mesto 2026 epoch subkey payload v1";
/// Domain of the subkey that encrypts other epoch keys.
const WRAP_SUBKEY: &str = "mesto 2026 epoch subkey wrap v1";
/// Begins HPKE's info string.
const SEAL_INFO: &[u8] = b"mesto 2026 epoch key seal v1";

/// A symmetric key of 32 bytes, of one domain; wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct EpochKey {
    /// The nonce of the group or context that the key protects.
    domain: [u8; 32],
    secret: [u8; 32],
}

impl EpochKey {
    /// The key of these bytes, which must be random. `domain` is the nonce of the group or context that it protects.
    #[must_use]
    pub const fn new(domain: [u8; 32], secret: [u8; 32]) -> Self {
        Self { domain, secret }
    }

    /// The bytes, for a keystore.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.secret
    }

    /// The nonce of the group or context that it protects.
    #[must_use]
    pub const fn domain(&self) -> &[u8; 32] {
        &self.domain
    }

    /// The key's id: the hash of domain and key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId::from_bytes(*self.derive(KEY_ID_CONTEXT))
    }

    /// Seals this key to a member. `seed` is 32 fresh random bytes.
    ///
    /// # Errors
    /// If `to` is no usable X25519 key.
    pub fn seal(&self, recipient: PublicKey, to: SealingPublicKey, seed: &[u8; 32]) -> Result<Wrap, SealError> {
        let info = seal_info(&self.domain, self.id(), recipient);
        let (encapsulated, ciphertext) = seal::seal(to, &info, &self.secret, seed)?;
        Ok(Wrap { recipient, encapsulated, ciphertext })
    }

    /// Opens a wrap of the key with id `key` of a domain.
    ///
    /// # Errors
    /// If the wrap is not for this secret, domain, key and recipient, or holds another key.
    pub fn open(domain: &[u8; 32], key: KeyId, wrap: &Wrap, secret: &SealingKey) -> Result<Self, SealError> {
        let info = seal_info(domain, key, wrap.recipient);
        let opened = Self::new(*domain, seal::open(secret, &info, &wrap.encapsulated, &wrap.ciphertext)?);
        if opened.id() == key { Ok(opened) } else { Err(SealError::AnotherKey) }
    }

    /// Wraps an earlier key of the same domain under this one; `nonce` is 24 fresh random bytes.
    ///
    /// # Errors
    /// See [`CipherError`].
    pub fn wrap_previous(&self, previous: &Self, nonce: [u8; NONCE_LEN]) -> Result<HistoryWrap, CipherError> {
        let wrap = self.wrap_key(previous, nonce)?;
        Ok(HistoryWrap { previous: previous.id(), wrap })
    }

    /// Opens what [`EpochKey::wrap_previous`] of this key made.
    ///
    /// # Errors
    /// See [`CipherError`].
    pub fn unwrap_previous(&self, history: &HistoryWrap) -> Result<Self, CipherError> {
        self.unwrap_key(&self.domain, history.previous, &history.wrap)
    }

    /// Wraps a child group's key under this key of its parent; `nonce` is 24 fresh random bytes.
    ///
    /// # Errors
    /// See [`CipherError`].
    pub fn wrap_child(&self, child: &Self, nonce: [u8; NONCE_LEN]) -> Result<ParentWrap, CipherError> {
        Ok(ParentWrap { parent: self.id(), wrap: self.wrap_key(child, nonce)? })
    }

    /// Opens what [`EpochKey::wrap_child`] of this key made; `child` is the id of the child's key, `domain` the nonce of
    /// the child.
    ///
    /// # Errors
    /// See [`CipherError`].
    pub fn unwrap_child(&self, domain: &[u8; 32], child: KeyId, parent: &ParentWrap) -> Result<Self, CipherError> {
        self.unwrap_key(domain, child, &parent.wrap)
    }

    /// Encrypts the body of a delta; the result is longer by [`TAG_LEN`]. `nonce` is 24 fresh random bytes; what
    /// is in `aad` is bound, not hidden.
    ///
    /// # Errors
    /// See [`CipherError`].
    pub fn encrypt(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], body: &[u8]) -> Result<Vec<u8>, CipherError> {
        cipher::encrypt(&self.derive(PAYLOAD_SUBKEY), nonce, aad, body)
    }

    /// Decrypts the body of a delta.
    ///
    /// # Errors
    /// If key, nonce, aad or a byte is another than at encryption.
    pub fn decrypt(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], body: &[u8]) -> Result<Vec<u8>, CipherError> {
        cipher::decrypt(&self.derive(PAYLOAD_SUBKEY), nonce, aad, body)
    }

    fn wrap_key(&self, inner: &Self, nonce: [u8; NONCE_LEN]) -> Result<KeyWrap, CipherError> {
        let bytes = cipher::encrypt(&self.derive(WRAP_SUBKEY), &nonce, inner.id().as_bytes(), &inner.secret)?;
        let ciphertext = <[u8; WRAPPED_KEY_LEN]>::try_from(bytes).map_err(|_| CipherError::Encrypt)?;
        Ok(KeyWrap { nonce, ciphertext })
    }

    fn unwrap_key(&self, domain: &[u8; 32], inner: KeyId, wrap: &KeyWrap) -> Result<Self, CipherError> {
        let mut bytes = cipher::decrypt(&self.derive(WRAP_SUBKEY), &wrap.nonce, inner.as_bytes(), &wrap.ciphertext)?;
        let key = <[u8; 32]>::try_from(bytes.as_slice()).map(|secret| Self::new(*domain, secret));
        bytes.zeroize();
        let key = key.map_err(|_| CipherError::Decrypt)?;
        if key.id() == inner { Ok(key) } else { Err(CipherError::AnotherKey) }
    }

    /// A hash of domain and key, for one use.
    fn derive(&self, context: &str) -> zeroize::Zeroizing<[u8; 32]> {
        let mut material = zeroize::Zeroizing::new([0; 64]);
        let (domain, secret) = material.split_at_mut(32);
        domain.copy_from_slice(&self.domain);
        secret.copy_from_slice(&self.secret);
        zeroize::Zeroizing::new(blake3::derive_key(context, material.as_slice()))
    }
}

impl std::fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EpochKey({:?})", self.id())
    }
}

fn seal_info(domain: &[u8; 32], key: KeyId, recipient: PublicKey) -> Vec<u8> {
    [SEAL_INFO, domain, key.as_bytes(), recipient.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOMAIN: [u8; 32] = [4; 32];

    fn of(byte: u8) -> EpochKey {
        EpochKey::new(DOMAIN, [byte; 32])
    }

    fn key() -> EpochKey {
        of(1)
    }

    #[test]
    fn only_the_recipient_opens_a_wrap_and_only_for_its_domain_and_key() {
        let secret = SealingKey::from_seed(&[2; 32]);
        let recipient = PublicKey::from_bytes([3; 32]);
        let wrap = key().seal(recipient, secret.public(), &[5; 32]).expect("seals");
        assert_eq!(EpochKey::open(&DOMAIN, key().id(), &wrap, &secret), Ok(key()));
        let stranger = SealingKey::from_seed(&[9; 32]);
        assert_eq!(EpochKey::open(&DOMAIN, key().id(), &wrap, &stranger), Err(SealError::CannotOpen));
        assert_eq!(EpochKey::open(&[9; 32], key().id(), &wrap, &secret), Err(SealError::CannotOpen));
        let other = of(9).id();
        assert_eq!(EpochKey::open(&DOMAIN, other, &wrap, &secret), Err(SealError::CannotOpen));
        let mut moved = wrap;
        moved.recipient = PublicKey::from_bytes([9; 32]);
        assert_eq!(EpochKey::open(&DOMAIN, key().id(), &moved, &secret), Err(SealError::CannotOpen));
    }

    #[test]
    fn a_new_key_opens_the_past_and_no_other_does() {
        let new = of(7);
        let history = new.wrap_previous(&key(), [8; 24]).expect("wraps");
        assert_eq!(new.unwrap_previous(&history), Ok(key()));
        assert_eq!(key().unwrap_previous(&history), Err(CipherError::Decrypt));
        let child = EpochKey::new([5; 32], [1; 32]);
        let parent = new.wrap_child(&child, [8; 24]).expect("wraps");
        assert_eq!(new.unwrap_child(&[5; 32], child.id(), &parent), Ok(child.clone()));
        assert_eq!(new.unwrap_child(&[5; 32], new.id(), &parent), Err(CipherError::Decrypt));
        assert_eq!(new.unwrap_child(&DOMAIN, child.id(), &parent), Err(CipherError::AnotherKey));
    }

    #[test]
    fn the_same_bytes_in_another_domain_are_another_key() {
        let other = EpochKey::new([9; 32], [1; 32]);
        assert_ne!(key().id(), other.id());
        let body = key().encrypt(&[1; 24], b"header", b"body").expect("encrypts");
        assert_eq!(other.decrypt(&[1; 24], b"header", &body), Err(CipherError::Decrypt));
        let secret = SealingKey::from_seed(&[2; 32]);
        let recipient = PublicKey::from_bytes([3; 32]);
        let info = seal_info(&[9; 32], key().id(), recipient);
        let (encapsulated, ciphertext) = seal::seal(secret.public(), &info, &key().secret, &[5; 32]).expect("seals");
        let forged = Wrap { recipient, encapsulated, ciphertext };
        assert_eq!(EpochKey::open(&[9; 32], key().id(), &forged, &secret), Err(SealError::AnotherKey));
        let history = of(7).wrap_previous(&other, [8; 24]).expect("wraps");
        assert_eq!(of(7).unwrap_previous(&history), Err(CipherError::AnotherKey));
    }

    #[test]
    fn a_body_decrypts_with_its_key_nonce_and_aad_only() {
        let body = key().encrypt(&[1; 24], b"header", b"body").expect("encrypts");
        assert_eq!(body.len(), 4 + TAG_LEN);
        assert_eq!(key().decrypt(&[1; 24], b"header", &body), Ok(b"body".to_vec()));
        assert_eq!(key().decrypt(&[2; 24], b"header", &body), Err(CipherError::Decrypt));
        assert_eq!(key().decrypt(&[1; 24], b"reader", &body), Err(CipherError::Decrypt));
        let mut altered = body;
        altered[0] ^= 1;
        assert_eq!(key().decrypt(&[1; 24], b"header", &altered), Err(CipherError::Decrypt));
    }

    #[test]
    fn wraps_and_bodies_are_frozen() {
        let secret = SealingKey::from_seed(&[2; 32]);
        let wrap = key().seal(PublicKey::from_bytes([3; 32]), secret.public(), &[5; 32]).expect("seals");
        let history = of(7).wrap_previous(&key(), [8; 24]).expect("wraps");
        let body = key().encrypt(&[1; 24], b"header", b"body").expect("encrypts");
        let lines = [
            key().id().to_string(),
            secret.public().to_string(),
            hex::encode(borsh::to_vec(&wrap).expect("encodes")),
            hex::encode(borsh::to_vec(&history).expect("encodes")),
            hex::encode(body),
        ];
        assert_eq!(lines.join("\n"), include_str!("../tests/golden/keys.txt").trim());
    }

    #[test]
    fn the_debug_forms_show_no_secret() {
        let shown = format!("{:?} {:?}", key(), SealingKey::from_seed(&[0xab; 32]));
        assert!(!shown.contains("ab, ab") && !shown.contains("abab") && !shown.contains("1, 1"));
    }
}
