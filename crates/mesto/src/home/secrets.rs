//! The secrets of a home as files: one line of base32 each, and the peer key as PKCS#8 PEM.

use std::path::Path;

use data_encoding::BASE32_NOPAD;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, KeypairBytes, spki::der::pem::LineEnding};
use mesto_oplog::SigningKey;
use zeroize::Zeroizing;

use super::{HomeError, files};

/// A key file has about 120 bytes; some tools put comments above.
const FILE_BYTES_MAX: usize = 16 << 10;

/// 32 bytes from the system's random source.
pub(super) fn new_secret() -> Result<Zeroizing<[u8; 32]>, getrandom::Error> {
    let mut secret = Zeroizing::new([0; 32]);
    getrandom::fill(secret.as_mut())?;
    Ok(secret)
}

/// A secret as its file has it.
pub(super) fn secret_text(secret: &[u8; 32]) -> Zeroizing<String> {
    let mut text = secret_line(secret);
    text.push('\n');
    text
}

/// A secret as text: RFC 4648 base32, lower case, unpadded.
pub(super) fn secret_line(secret: &[u8; 32]) -> Zeroizing<String> {
    // The last byte is for the line's end, so that no copy is left behind where the text grew.
    let mut text = Zeroizing::new(String::with_capacity(BASE32_NOPAD.encode_len(secret.len()) + 1));
    BASE32_NOPAD.encode_append(secret, &mut text);
    text.make_ascii_lowercase();
    text
}

/// Reads what [`secret_text`] made, from a file that only its owner may open.
pub(super) fn read_secret(path: &Path) -> Result<Zeroizing<[u8; 32]>, HomeError> {
    let text = read_private(path)?;
    let damaged = || HomeError::Damaged { path: path.to_owned(), expected: "one line of 52 base32 characters" };
    let upper = Zeroizing::new(text.trim_ascii().to_ascii_uppercase());
    let bytes = Zeroizing::new(BASE32_NOPAD.decode(&upper).map_err(|_| damaged())?);
    let secret: [u8; 32] = bytes.as_slice().try_into().map_err(|_| damaged())?;
    Ok(Zeroizing::new(secret))
}

/// PKCS#8 PEM, version 1 (RFC 8410): every OpenSSL reads it, while several refuse version 2.
pub(super) fn peer_key_text(seed: &[u8; 32]) -> Zeroizing<String> {
    KeypairBytes { secret_key: *seed, public_key: None }.to_pkcs8_pem(LineEnding::LF).expect("32 bytes always encode")
}

/// Reads what [`peer_key_text`] made, from a file that only its owner may open.
pub(super) fn read_peer_key(path: &Path) -> Result<SigningKey, HomeError> {
    let text = read_private(path)?;
    let pem = std::str::from_utf8(&text).ok();
    let key = pem.and_then(|pem| ed25519_dalek::SigningKey::from_pkcs8_pem(pem.trim_start()).ok());
    let expected = "an unencrypted Ed25519 private key in PKCS#8 PEM";
    let key = key.ok_or_else(|| HomeError::Damaged { path: path.to_owned(), expected })?;
    Ok(SigningKey::from_seed(&Zeroizing::new(key.to_bytes())))
}

fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, HomeError> {
    files::check_private(path)?;
    files::read_bounded(path, FILE_BYTES_MAX)
        .map(Zeroizing::new)
        .map_err(|source| HomeError::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_key_of_rfc_8410_is_written_as_there() {
        let seed = "d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842";
        let seed: [u8; 32] = data_encoding::HEXLOWER.decode(seed.as_bytes()).unwrap().try_into().unwrap();
        let text = "-----BEGIN PRIVATE KEY-----\n\
            MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
            -----END PRIVATE KEY-----\n";
        assert_eq!(peer_key_text(&seed).as_str(), text);
    }

    #[test]
    fn secrets_are_one_line_of_base32() {
        assert_eq!(secret_text(&[0; 32]).as_str(), format!("{}\n", "a".repeat(52)));
        let line = secret_line(&[0xff; 32]);
        assert_eq!(line.as_str(), format!("{}q", "7".repeat(51)));
    }
}
