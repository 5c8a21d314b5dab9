//! What is told once and kept nowhere: who is here, where somebody's cursor is.
//!
//! Such a message travels by gossip on its context's topic, sealed under the epoch key like a delta and signed by the
//! identity that speaks. It is in no log, so it is never fetched, never replayed by a node, and lost without harm.

use borsh::{BorshDeserialize, BorshSerialize};
use mesto_governance::KeyId;
use mesto_governance::keys::EpochKey;
use mesto_oplog::key::{self, SIGNATURE_LEN};
use mesto_oplog::{LogId, PublicKey, SigningKey};

/// Longest payload, in bytes: a cursor has a hundred; a page that wants to say more should write it down.
pub const PAYLOAD_LEN_MAX: usize = 4 * 1024;
/// Longest name of a kind, in bytes.
pub const KIND_LEN_MAX: usize = 64;
/// Most bytes that sealing adds to what is sealed: lengths and the cipher's tag.
const SEAL_OVERHEAD_MAX: usize = 64;
/// Domain of the signatures.
const DOMAIN: &str = "mesto 2026 ephemeral v1";

/// A message as it travels.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Ephemeral {
    /// The log of the context.
    pub log: LogId,
    /// The context identity that speaks.
    pub author: PublicKey,
    /// Milliseconds since 1970 at the author, each greater than the one before.
    pub sent_ms: u64,
    /// Which epoch key sealed it.
    pub key: KeyId,
    /// Random.
    pub nonce: [u8; 24],
    /// A sealed [`Saying`].
    pub sealed: Vec<u8>,
    /// The author's signature over the rest.
    pub signature: [u8; SIGNATURE_LEN],
}

/// What is said.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Saying {
    /// Its name, which the app gives it.
    pub kind: String,
    /// JSON.
    pub payload: Vec<u8>,
}

/// Why bytes say nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EphemeralError {
    /// Longer than [`PAYLOAD_LEN_MAX`] and [`KIND_LEN_MAX`] allow.
    #[error("a passing message of {0} bytes; at most {PAYLOAD_LEN_MAX} are allowed, and {KIND_LEN_MAX} for its kind")]
    TooLong(usize),
    /// Its kind is empty, or its payload is no JSON text.
    #[error("a passing message needs a kind and a payload that is text")]
    NotText,
    /// The signature is not its author's.
    #[error("the passing message's signature is not its author's")]
    BadSignature,
    /// It was altered, or sealed under another key.
    #[error("the passing message does not open under its key")]
    Sealed,
}

impl Saying {
    /// Whether it is within bounds, and text.
    ///
    /// # Errors
    /// [`EphemeralError::TooLong`], [`EphemeralError::NotText`].
    pub fn check(&self) -> Result<(), EphemeralError> {
        if self.payload.len() > PAYLOAD_LEN_MAX || self.kind.len() > KIND_LEN_MAX {
            return Err(EphemeralError::TooLong(self.payload.len() + self.kind.len()));
        }
        if self.kind.is_empty() || std::str::from_utf8(&self.payload).is_err() {
            return Err(EphemeralError::NotText);
        }
        Ok(())
    }
}

impl Ephemeral {
    /// Seals and signs.
    ///
    /// # Errors
    /// If it is out of bounds.
    pub fn seal(
        log: LogId,
        sent_ms: u64,
        key: &EpochKey,
        nonce: [u8; 24],
        saying: &Saying,
        author: &SigningKey,
    ) -> Result<Self, EphemeralError> {
        saying.check()?;
        let (id, public) = (key.id(), author.public());
        let plain = borsh::to_vec(saying).map_err(|_| EphemeralError::Sealed)?;
        let sealed = key.encrypt(&nonce, &associated(&log, &public, sent_ms), &plain);
        let sealed = sealed.map_err(|_| EphemeralError::Sealed)?;
        let signature = author.sign(DOMAIN, &signed_bytes(&log, &public, sent_ms, &id, &nonce, &sealed));
        Ok(Self { log, author: public, sent_ms, key: id, nonce, sealed, signature })
    }

    /// What is said.
    ///
    /// # Errors
    /// If `key` does not open it, or what is inside is out of bounds.
    pub fn open(&self, key: &EpochKey) -> Result<Saying, EphemeralError> {
        let associated = associated(&self.log, &self.author, self.sent_ms);
        let plain = key.decrypt(&self.nonce, &associated, &self.sealed).map_err(|_| EphemeralError::Sealed)?;
        let saying = Saying::try_from_slice(&plain).map_err(|_| EphemeralError::Sealed)?;
        saying.check()?;
        Ok(saying)
    }

    /// What can be checked without the key.
    ///
    /// # Errors
    /// [`EphemeralError::TooLong`], [`EphemeralError::BadSignature`].
    pub fn check(&self) -> Result<(), EphemeralError> {
        if self.sealed.len() > PAYLOAD_LEN_MAX + KIND_LEN_MAX + SEAL_OVERHEAD_MAX {
            return Err(EphemeralError::TooLong(self.sealed.len()));
        }
        let Self { log, author, sent_ms, key: id, nonce, sealed, signature } = self;
        let message = signed_bytes(log, author, *sent_ms, id, nonce, sealed);
        if key::verify(author, DOMAIN, &message, signature) { Ok(()) } else { Err(EphemeralError::BadSignature) }
    }
}

fn associated(log: &LogId, author: &PublicKey, sent_ms: u64) -> Vec<u8> {
    borsh::to_vec(&(log, author, sent_ms)).unwrap_or_default()
}

fn signed_bytes(
    log: &LogId,
    author: &PublicKey,
    sent_ms: u64,
    key: &KeyId,
    nonce: &[u8; 24],
    sealed: &[u8],
) -> Vec<u8> {
    borsh::to_vec(&(log, author, sent_ms, key, nonce, sealed)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Gossip;
    use crate::gossip::{GOSSIP_LEN_MAX, GossipError};

    fn epoch() -> EpochKey {
        EpochKey::new([1; 32], [5; 32])
    }

    fn saying(payload: &str) -> Saying {
        Saying { kind: "cursor".to_owned(), payload: payload.as_bytes().to_vec() }
    }

    fn message(payload: &str) -> Ephemeral {
        let log = LogId::from_bytes([1; 32]);
        let author = SigningKey::from_seed(&[2; 32]);
        Ephemeral::seal(log, 1_800_000_000_000, &epoch(), [7; 24], &saying(payload), &author).expect("in bounds")
    }

    #[test]
    fn who_holds_the_key_reads_what_was_said_and_nobody_else_does() {
        let message = message(r#"{"at":3}"#);
        assert_eq!(message.open(&epoch()), Ok(saying(r#"{"at":3}"#)));
        assert_eq!(message.open(&EpochKey::new([1; 32], [6; 32])), Err(EphemeralError::Sealed));
        assert!(!message.sealed.windows(2).any(|two| two == b"at"));
    }

    #[test]
    fn whatever_is_altered_shows_in_the_signature() {
        let altered: [fn(&mut Ephemeral); 6] = [
            |message| message.log = LogId::from_bytes([9; 32]),
            |message| message.author = SigningKey::from_seed(&[3; 32]).public(),
            |message| message.sent_ms += 1,
            |message| message.key = EpochKey::new([1; 32], [9; 32]).id(),
            |message| message.nonce[0] ^= 1,
            |message| message.sealed[0] ^= 1,
        ];
        assert_eq!(message("1").check(), Ok(()));
        for alter in altered {
            let mut message = message("1");
            alter(&mut message);
            assert_eq!(message.check(), Err(EphemeralError::BadSignature));
            let gossip = Gossip::Ephemeral(message).encode();
            assert_eq!(Gossip::decode(&gossip), Err(GossipError::Ephemeral(EphemeralError::BadSignature)));
        }
    }

    #[test]
    fn the_longest_that_may_be_said_can_be_gossiped_and_nothing_longer_is_said() {
        let longest = message(&"9".repeat(PAYLOAD_LEN_MAX));
        let bytes = Gossip::Ephemeral(longest.clone()).encode();
        assert!(bytes.len() <= GOSSIP_LEN_MAX);
        assert_eq!(Gossip::decode(&bytes), Ok(Gossip::Ephemeral(longest)));
        assert!(matches!(saying(&"9".repeat(PAYLOAD_LEN_MAX + 1)).check(), Err(EphemeralError::TooLong(_))));
        assert_eq!(Saying { kind: String::new(), payload: b"1".to_vec() }.check(), Err(EphemeralError::NotText));
        assert_eq!(Saying { kind: "k".into(), payload: vec![0xff] }.check(), Err(EphemeralError::NotText));
    }

    #[test]
    fn the_bytes_are_golden() {
        let bytes = Gossip::Ephemeral(message(r#"{"at":3}"#)).encode();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, include_str!("../tests/golden/ephemeral.hex").trim());
    }
}
