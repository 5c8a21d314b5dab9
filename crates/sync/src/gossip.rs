//! What travels on the topics of groups and contexts.
//!
//! Entries prove themselves. A heartbeat is signed by the member who sends it, and a passing message by the identity
//! that speaks, so that they can be checked before they are forwarded.

use borsh::{BorshDeserialize, BorshSerialize};
use mesto_oplog::key::{self, SIGNATURE_LEN};
use mesto_oplog::{EntryId, LogId, PublicKey, SigningKey};

use crate::ephemeral::{Ephemeral, EphemeralError};
use crate::message::Summary;

/// Largest gossip payload, in bytes: far below what gossipsub loses without a word.
pub const GOSSIP_LEN_MAX: usize = 64 * 1024;
/// Entries in one gossip message.
pub const GOSSIP_ENTRIES_MAX: usize = 256;
/// Domain of the signatures of heartbeats.
const HEARTBEAT_DOMAIN: &str = "mesto 2026 heartbeat v1";

/// The topic of a group's log.
#[must_use]
pub fn group_topic(group: &LogId) -> String {
    format!("/mesto/group/{group}")
}

/// The topic of a context's log.
#[must_use]
pub fn context_topic(context: &LogId) -> String {
    format!("/mesto/context/{context}")
}

/// One gossip message.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Gossip {
    /// New entries of the topic's log, in causal order.
    Entries(Vec<Vec<u8>>) = 1,
    /// How the topic's log stands at a member.
    Heartbeat(Heartbeat) = 2,
    /// Something that is told once and kept nowhere.
    Ephemeral(Ephemeral) = 3,
}

/// A signed summary.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Heartbeat {
    /// Who says so: a member of the group.
    pub member: PublicKey,
    /// Milliseconds since 1970 at the sender: makes each heartbeat new, decides nothing.
    pub sent_ms: u64,
    /// How the log stands.
    pub summary: Summary,
    /// The member's signature over the rest.
    pub signature: [u8; SIGNATURE_LEN],
}

/// Why bytes are no gossip.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GossipError {
    /// Longer than [`GOSSIP_LEN_MAX`].
    #[error("gossip of {0} bytes exceeds the limit of {GOSSIP_LEN_MAX}")]
    TooLong(usize),
    /// Not the canonical encoding.
    #[error("malformed gossip: {0}")]
    Malformed(String),
    /// No entries, or more than [`GOSSIP_ENTRIES_MAX`].
    #[error("{0} entries in one message")]
    EntryCount(usize),
    /// The heartbeat is not its member's.
    #[error("the heartbeat's signature is not its member's")]
    BadSignature,
    /// The passing message is too long, or not its author's.
    #[error(transparent)]
    Ephemeral(#[from] EphemeralError),
}

impl Gossip {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        borsh::to_vec(self).unwrap_or_default()
    }

    /// Reads a gossip message and checks the signature of a heartbeat or passing message. Entries are checked one by one
    /// later.
    ///
    /// # Errors
    /// See [`GossipError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, GossipError> {
        if bytes.len() > GOSSIP_LEN_MAX {
            return Err(GossipError::TooLong(bytes.len()));
        }
        let gossip = Self::try_from_slice(bytes).map_err(|e| GossipError::Malformed(e.to_string()))?;
        match &gossip {
            Self::Entries(entries) if entries.is_empty() || entries.len() > GOSSIP_ENTRIES_MAX => {
                Err(GossipError::EntryCount(entries.len()))
            }
            Self::Entries(_) => Ok(gossip),
            Self::Heartbeat(heartbeat) => {
                heartbeat.summary.check().map_err(|e| GossipError::Malformed(e.to_string()))?;
                if heartbeat.is_authentic() { Ok(gossip) } else { Err(GossipError::BadSignature) }
            }
            Self::Ephemeral(message) => {
                message.check()?;
                Ok(gossip)
            }
        }
    }
}

impl Heartbeat {
    /// Signs a summary.
    #[must_use]
    pub fn sign(summary: Summary, sent_ms: u64, key: &SigningKey) -> Self {
        let member = key.public();
        let signature = key.sign(HEARTBEAT_DOMAIN, &signed_bytes(&member, sent_ms, &summary));
        Self { member, sent_ms, summary, signature }
    }

    fn is_authentic(&self) -> bool {
        let message = signed_bytes(&self.member, self.sent_ms, &self.summary);
        key::verify(&self.member, HEARTBEAT_DOMAIN, &message, &self.signature)
    }
}

fn signed_bytes(member: &PublicKey, sent_ms: u64, summary: &Summary) -> Vec<u8> {
    borsh::to_vec(&(member, sent_ms, summary)).unwrap_or_default()
}

/// Packs entries into as few messages as fit; returns the ids' places of those that are too large to gossip.
#[must_use]
pub fn pack<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Gossip>, usize) {
    let mut messages = Vec::new();
    let mut open: Vec<Vec<u8>> = Vec::new();
    let mut open_len = 5;
    let mut too_large = 0;
    for entry in entries {
        let len = entry.len() + 4;
        if len + 5 > GOSSIP_LEN_MAX {
            too_large += 1;
            continue;
        }
        if open_len + len > GOSSIP_LEN_MAX || open.len() == GOSSIP_ENTRIES_MAX {
            messages.push(Gossip::Entries(std::mem::take(&mut open)));
            open_len = 5;
        }
        open_len += len;
        open.push(entry.to_vec());
    }
    if !open.is_empty() {
        messages.push(Gossip::Entries(open));
    }
    (messages, too_large)
}

/// The log that a heartbeat is about, and the heads that it shows.
#[must_use]
pub fn heads_of(heartbeat: &Heartbeat) -> (&LogId, &[EntryId]) {
    (&heartbeat.summary.log, &heartbeat.summary.heads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn summary() -> Summary {
        Summary { log: LogId::from_bytes([1; 32]), heads: vec![], count: 0, digest: [0; 32], governance: vec![] }
    }

    #[test]
    fn a_heartbeat_is_taken_from_its_member_only() {
        let mut heartbeat = Heartbeat::sign(summary(), 5, &SigningKey::from_seed(&[1; 32]));
        assert!(Gossip::decode(&Gossip::Heartbeat(heartbeat.clone()).encode()).is_ok());
        heartbeat.summary.count = 9;
        assert_eq!(Gossip::decode(&Gossip::Heartbeat(heartbeat).encode()), Err(GossipError::BadSignature));
    }

    proptest! {
        #[test]
        fn packing_keeps_every_entry_that_fits_and_every_message_within_the_limit(
            lens in proptest::collection::vec(1usize..GOSSIP_LEN_MAX + 100, 0..40)
        ) {
            let entries: Vec<Vec<u8>> = lens.iter().map(|len| vec![7; *len]).collect();
            let (messages, too_large) = pack(entries.iter().map(Vec::as_slice));
            let mut kept = 0;
            for message in &messages {
                prop_assert!(message.encode().len() <= GOSSIP_LEN_MAX);
                if let Gossip::Entries(entries) = message {
                    kept += entries.len();
                }
            }
            prop_assert_eq!(kept + too_large, entries.len());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Gossip::decode(&bytes);
        }
    }
}
