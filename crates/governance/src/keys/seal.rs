//! HPKE (RFC 9180) in base mode: X25519, HKDF-SHA256, ChaCha20-Poly1305.

use std::convert::Infallible;

use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _};
use zeroize::{Zeroize as _, Zeroizing};

use crate::action::WRAPPED_KEY_LEN;
use crate::id::SealingPublicKey;

type Kem = hpke::kem::X25519HkdfSha256;
type Kdf = hpke::kdf::HkdfSha256;
type Aead = hpke::aead::ChaCha20Poly1305;

/// Domain of the randomness of one sealing.
const SEED_CONTEXT: &str = "mesto 2026 hpke randomness v1";

/// Why sealing or opening failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The recipient's sealing key is no usable X25519 key.
    #[error("the recipient's sealing key is not usable")]
    BadRecipient,
    /// The wrap is for another secret, domain, key or recipient, or was altered.
    #[error("the wrap does not open: it is for somebody or something else, or altered")]
    CannotOpen,
    /// The wrap holds a key other than the one it names.
    #[error("the wrap holds another key than it says")]
    AnotherKey,
}

/// The secret half of a member's sealing key (X25519); wiped from memory when dropped.
#[derive(Clone)]
pub struct SealingKey {
    seed: Zeroizing<[u8; 32]>,
    public: SealingPublicKey,
}

impl SealingKey {
    /// The key of a 32-byte seed, which must be random.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let (_, public) = Kem::derive_keypair(seed);
        Self { seed: Zeroizing::new(*seed), public: SealingPublicKey::from_bytes(public.to_bytes().into()) }
    }

    /// The seed, for a keystore.
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        self.seed.clone()
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> SealingPublicKey {
        self.public
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealingKey(of {:?})", self.public)
    }
}

pub(super) fn seal(
    to: SealingPublicKey,
    info: &[u8],
    key: &[u8; 32],
    seed: &[u8; 32],
) -> Result<([u8; 32], [u8; WRAPPED_KEY_LEN]), SealError> {
    let to = <Kem as hpke::Kem>::PublicKey::from_bytes(to.as_bytes()).map_err(|_| SealError::BadRecipient)?;
    let (encapsulated, ciphertext) =
        hpke::single_shot_seal_with_rng::<Aead, Kdf, Kem>(&OpModeS::Base, &to, info, key, b"", &mut Seeded::new(seed))
            .map_err(|_| SealError::BadRecipient)?;
    let ciphertext = ciphertext.try_into().map_err(|_| SealError::BadRecipient)?;
    Ok((encapsulated.to_bytes().into(), ciphertext))
}

pub(super) fn open(
    secret: &SealingKey,
    info: &[u8],
    encapsulated: &[u8; 32],
    ciphertext: &[u8; WRAPPED_KEY_LEN],
) -> Result<[u8; 32], SealError> {
    let (private, _) = Kem::derive_keypair(secret.seed.as_slice());
    let encapsulated = <Kem as hpke::Kem>::EncappedKey::from_bytes(encapsulated).map_err(|_| SealError::CannotOpen)?;
    let mut text =
        hpke::single_shot_open::<Aead, Kdf, Kem>(&OpModeR::Base, &private, &encapsulated, info, ciphertext, b"")
            .map_err(|_| SealError::CannotOpen)?;
    let key = <[u8; 32]>::try_from(text.as_slice()).map_err(|_| SealError::CannotOpen);
    text.zeroize();
    key
}

/// The stream of a seed, as the random source that HPKE asks for.
struct Seeded(blake3::OutputReader);

impl Seeded {
    fn new(seed: &[u8; 32]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(SEED_CONTEXT);
        hasher.update(seed);
        Self(hasher.finalize_xof())
    }
}

impl TryRng for Seeded {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Seeded {}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        hex::decode(text).expect("hex")
    }

    /// RFC 9180, appendix A.2.1 (base mode), first encryption.
    #[test]
    fn the_suite_is_that_of_the_rfc() {
        let private = bytes("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb");
        let encapsulated = bytes("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a");
        let ciphertext =
            bytes("1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28");
        let opened = hpke::single_shot_open::<Aead, Kdf, Kem>(
            &OpModeR::Base,
            &<Kem as hpke::Kem>::PrivateKey::from_bytes(&private).expect("a key"),
            &<Kem as hpke::Kem>::EncappedKey::from_bytes(&encapsulated).expect("a key"),
            &bytes("4f6465206f6e2061204772656369616e2055726e"),
            &ciphertext,
            &bytes("436f756e742d30"),
        );
        assert_eq!(opened.as_deref(), Ok(b"Beauty is truth, truth beauty".as_slice()));
    }

    /// RFC 9180, appendix A.2.1: the recipient's pair from its keying material.
    #[test]
    fn a_pair_comes_from_its_seed_as_in_the_rfc() {
        let seed = bytes("1ac01f181fdf9f352797655161c58b75c656a6cc2716dcb66372da835542e1df");
        let key = SealingKey::from_seed(&seed.try_into().expect("32 bytes"));
        assert_eq!(
            hex::encode(key.public().as_bytes()),
            "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a"
        );
    }

    #[test]
    fn a_key_of_small_order_is_refused() {
        let zero = SealingPublicKey::from_bytes([0; 32]);
        assert_eq!(seal(zero, b"", &[1; 32], &[2; 32]), Err(SealError::BadRecipient));
    }
}
