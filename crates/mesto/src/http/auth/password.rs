//! Passwords: kept as what argon2id makes of them.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::AuthError;

/// Memory of one check, in KiB; with [`PASSES`] and one lane what OWASP's cheat sheet on password storage names first.
const MEMORY_KIB: u32 = 19 * 1024;

/// Passes over that memory.
const PASSES: u32 = 2;

/// Length of salt and hash.
const SALT_LEN: usize = 16;
const HASH_LEN: usize = 32;

/// Shortest password that is taken, as NIST SP 800-63B has it.
pub(crate) const PASSWORD_LEN_MIN: usize = 8;

/// Longest: a passphrase and room, while hashing stays cheap.
const PASSWORD_LEN_MAX: usize = 1024;

/// What tells the right password from others.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Verifier {
    memory_kib: u32,
    passes: u32,
    salt: String,
    hash: String,
}

impl Verifier {
    /// Of a new password. Takes some 30 ms and [`MEMORY_KIB`] of memory.
    pub(super) fn of(password: &str) -> Result<Self, AuthError> {
        if !(PASSWORD_LEN_MIN..=PASSWORD_LEN_MAX).contains(&password.len()) {
            return Err(AuthError::BadPassword);
        }
        let mut salt = [0; SALT_LEN];
        getrandom::fill(&mut salt).map_err(|error| AuthError::Storage(error.to_string()))?;
        let hash = hash(password, &salt, MEMORY_KIB, PASSES).ok_or(AuthError::BadPassword)?;
        Ok(Self { memory_kib: MEMORY_KIB, passes: PASSES, salt: STANDARD_NO_PAD.encode(salt), hash: STANDARD_NO_PAD.encode(hash) })
    }

    /// Takes as long as a check, so that the time does not tell whether there is such a user.
    pub(super) fn waste(password: &str) {
        let _ = hash(password, &[0; SALT_LEN], MEMORY_KIB, PASSES);
    }

    /// Whether it is the password.
    pub(super) fn fits(&self, password: &str) -> bool {
        let parts = (STANDARD_NO_PAD.decode(&self.salt), STANDARD_NO_PAD.decode(&self.hash));
        let (Ok(salt), Ok(wanted)) = parts else { return false };
        hash(password, &salt, self.memory_kib, self.passes).is_some_and(|found| bool::from(found[..].ct_eq(&wanted)))
    }
}

fn hash(password: &str, salt: &[u8], memory_kib: u32, passes: u32) -> Option<[u8; HASH_LEN]> {
    if password.len() > PASSWORD_LEN_MAX {
        return None;
    }
    let params = Params::new(memory_kib, passes, 1, Some(HASH_LEN)).ok()?;
    let mut hash = [0; HASH_LEN];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(password.as_bytes(), salt, &mut hash).ok()?;
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_fits_and_two_of_the_same_look_different() {
        let verifier = Verifier::of("correct horse").unwrap();
        assert!(verifier.fits("correct horse"));
        for wrong in ["", "correct hors", "correct horse ", "Correct horse", &"x".repeat(PASSWORD_LEN_MAX + 1)] {
            assert!(!verifier.fits(wrong), "{wrong}");
        }
        assert_ne!(verifier, Verifier::of("correct horse").unwrap());
    }

    #[test]
    fn short_and_endless_passwords_are_not_taken() {
        for bad in [&"x".repeat(PASSWORD_LEN_MIN - 1), &"x".repeat(PASSWORD_LEN_MAX + 1)] {
            assert!(matches!(Verifier::of(bad), Err(AuthError::BadPassword)));
        }
    }
}
