//! Challenges: what a key signs to log in.
//!
//! A challenge is not stored when it is given, so that asking for many costs nobody anything: it carries its own end
//! and a tag under the node's secret. Once a signature over it was accepted it is remembered until that end.
//!
//! What is signed names the host that the signer talks to. A node that passes another node's challenge on to its
//! own visitors gets signatures that the other one refuses.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use mesto_oplog::PublicKey;
use mesto_oplog::id::{from_text, to_text};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::AuthError;

/// Domain of the signatures. What is signed is this, a zero byte, the host in lower case, a line feed, and the challenge.
pub(crate) const DOMAIN: &str = "mesto login 1";

/// How long a challenge is good for: somebody may have to touch a token or type a passphrase.
pub(super) const CHALLENGE_S: u64 = 120;

/// Challenges that were answered and not over yet: logins of two minutes.
const ANSWERED_MAX: usize = 4096;

/// Separates the tags from what else the secret is used for.
const TAG_CONTEXT: &str = "mesto 2026 login challenge v1";

/// Gives challenges and checks what was made of them.
pub(super) struct Challenges {
    key: Zeroizing<[u8; 32]>,
    answered: Mutex<BTreeMap<[u8; 32], u64>>,
}

impl Challenges {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        Self { key: Zeroizing::new(blake3::derive_key(TAG_CONTEXT, secret)), answered: Mutex::default() }
    }

    /// A new one, and the second at which it ends.
    pub(super) fn give(&self, now_s: u64) -> Result<(String, u64), AuthError> {
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(|error| AuthError::Storage(error.to_string()))?;
        let end = now_s + CHALLENGE_S;
        Ok((format!("{end}.{}.{}", to_text(&nonce), to_text(&self.tag(end, &nonce))), end))
    }

    /// Takes a challenge that `key` signed for `host`. Each is taken once.
    pub(super) fn take(&self, challenge: &str, host: &str, key: &PublicKey, signature: &[u8; 64], now_s: u64) -> Result<(), AuthError> {
        let (end, nonce) = self.read(challenge).ok_or(AuthError::Refused)?;
        let message = format!("{}\n{challenge}", host.to_ascii_lowercase());
        if end <= now_s || !mesto_oplog::key::verify(key, DOMAIN, message.as_bytes(), signature) {
            return Err(AuthError::Refused);
        }
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.retain(|_, end| *end > now_s);
        if answered.len() >= ANSWERED_MAX {
            return Err(AuthError::TooOften);
        }
        if answered.insert(nonce, end).is_some() { Err(AuthError::Refused) } else { Ok(()) }
    }

    /// End and nonce of a challenge that this node gave.
    fn read(&self, challenge: &str) -> Option<(u64, [u8; 32])> {
        let mut parts = challenge.split('.');
        let (end, nonce, tag) = (parts.next()?, parts.next()?, parts.next()?);
        let canonical = parts.next().is_none() && end.parse::<u64>().ok()?.to_string() == end;
        let (end, nonce, tag) = (end.parse().ok()?, from_text(nonce).ok()?, from_text(tag).ok()?);
        (canonical && bool::from(self.tag(end, &nonce).ct_eq(&tag))).then_some((end, nonce))
    }

    fn tag(&self, end: u64, nonce: &[u8; 32]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&end.to_be_bytes()).update(nonce);
        *hasher.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesto_oplog::SigningKey;

    const HOST: &str = "127.0.0.1:2480";

    fn signed(key: &SigningKey, host: &str, challenge: &str) -> [u8; 64] {
        key.sign(DOMAIN, format!("{host}\n{challenge}").as_bytes())
    }

    #[test]
    fn a_signed_challenge_is_taken_once_and_in_time() {
        let challenges = Challenges::new(&[1; 32]);
        let key = SigningKey::from_seed(&[2; 32]);
        let (challenge, end) = challenges.give(100).unwrap();
        let signature = signed(&key, HOST, &challenge);
        let take = |now| challenges.take(&challenge, HOST, &key.public(), &signature, now);
        assert!(take(end).is_err(), "too late");
        assert!(take(end - 1).is_ok());
        assert!(take(end - 1).is_err(), "a second time");
    }

    #[test]
    fn what_is_signed_for_another_host_key_or_challenge_is_refused() {
        let challenges = Challenges::new(&[1; 32]);
        let key = SigningKey::from_seed(&[2; 32]);
        let (challenge, _) = challenges.give(100).unwrap();
        let (other, _) = challenges.give(100).unwrap();
        let (foreign, _) = Challenges::new(&[3; 32]).give(100).unwrap();
        let take = |challenge: &str, signature: [u8; 64]| challenges.take(challenge, HOST, &key.public(), &signature, 101);
        assert!(take(&challenge, signed(&key, "evil.example", &challenge)).is_err());
        assert!(take(&challenge, signed(&SigningKey::from_seed(&[9; 32]), HOST, &challenge)).is_err());
        assert!(take(&challenge, signed(&key, HOST, &other)).is_err());
        assert!(take(&foreign, signed(&key, HOST, &foreign)).is_err(), "another node's");
        let longer = challenge.replacen("220", "9220", 1);
        assert!(take(&longer, signed(&key, HOST, &longer)).is_err(), "with a later end");
        let padded = challenge.replacen("220", "0220", 1);
        assert!(take(&padded, signed(&key, HOST, &padded)).is_err(), "written otherwise");
        assert!(take(&challenge, signed(&key, HOST, &challenge)).is_ok(), "nothing of this used it up");
    }
}
