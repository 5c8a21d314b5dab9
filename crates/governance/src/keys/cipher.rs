//! XChaCha20-Poly1305 under a key of 32 bytes, with typed errors.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

/// Length of a nonce, in bytes: long enough to be drawn at random for ever.
pub const NONCE_LEN: usize = 24;
/// By how much a ciphertext is longer, in bytes.
pub const TAG_LEN: usize = 16;

/// Why symmetric encryption or decryption failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CipherError {
    /// The text is longer than the cipher can take (256 GiB).
    #[error("the text is too long to encrypt")]
    Encrypt,
    /// Another key, nonce or context than at encryption, or altered bytes.
    #[error("the text does not decrypt: another key, or altered")]
    Decrypt,
    /// The wrap holds a key other than the one it names.
    #[error("the wrap holds another key than it says")]
    AnotherKey,
}

pub(super) fn encrypt(
    key: &[u8; 32],
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    text: &[u8],
) -> Result<Vec<u8>, CipherError> {
    XChaCha20Poly1305::new(key.into())
        .encrypt(&XNonce::from(*nonce), Payload { msg: text, aad })
        .map_err(|_| CipherError::Encrypt)
}

pub(super) fn decrypt(
    key: &[u8; 32],
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    text: &[u8],
) -> Result<Vec<u8>, CipherError> {
    XChaCha20Poly1305::new(key.into())
        .decrypt(&XNonce::from(*nonce), Payload { msg: text, aad })
        .map_err(|_| CipherError::Decrypt)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// draft-irtf-cfrg-xchacha-03, appendix A.3.1.
    #[test]
    fn the_cipher_is_xchacha20_poly1305() {
        let key: [u8; 32] = std::array::from_fn(|at| 0x80 + at as u8);
        let nonce: [u8; 24] = std::array::from_fn(|at| 0x40 + at as u8);
        let aad = hex::decode("50515253c0c1c2c3c4c5c6c7").expect("hex");
        let text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
        let sealed = encrypt(&key, &nonce, &aad, text).expect("encrypts");
        assert_eq!(hex::encode(&sealed[..16]), "bd6d179d3e83d43b9576579493c0e939");
        assert_eq!(hex::encode(&sealed[text.len()..]), "c0875924c1c7987947deafd8780acf49");
        assert_eq!(decrypt(&key, &nonce, &aad, &sealed), Ok(text.to_vec()));
    }
}
