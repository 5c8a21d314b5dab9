//! The messages of the sync lane and the blob lane, and their canonical bytes.

use borsh::{BorshDeserialize, BorshSerialize};
use mesto_governance::action::Wrap;
use mesto_governance::claim::Claim;
use mesto_governance::{BlobId, KeyId};
use mesto_oplog::entry::ENTRY_LEN_MAX;
use mesto_oplog::vector::AuthorVector;
use mesto_oplog::{EntryId, LogId, PublicKey};

use crate::handshake::{Hello, Peer, Proof, TAGS_MAX};

/// Entries of one page: enough to fill a round trip, few enough to be worked off in some ten milliseconds.
pub const PAGE_ENTRIES_MAX: usize = 512;
/// Bytes after which a page is closed; one entry may be larger.
pub const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// Largest message: a page that is closed by one entry of the largest size.
pub const MESSAGE_LEN_MAX: usize = PAGE_BYTES_MAX + ENTRY_LEN_MAX + 64 * 1024;
/// Heads in a summary: four times what one entry can merge.
pub const SUMMARY_HEADS_MAX: usize = 128;
/// Keys asked for or sent at once.
pub const KEYS_MAX: usize = 256;
/// Bytes of a blob in one message.
pub const BLOB_CHUNK_LEN_MAX: usize = 256 * 1024;
/// Members' peers told in one message.
pub const ADDRESSES_PEERS_MAX: usize = 64;
/// Addresses of one peer.
pub const ADDRESSES_MAX: usize = 16;
/// Longest address, in bytes.
pub const ADDRESS_LEN_MAX: usize = 256;
/// Longest reason of a refusal, in bytes.
pub const REASON_LEN_MAX: usize = 512;

/// How a log stands at the sender. It starts comparisons; nothing in it is believed.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Summary {
    /// Which log.
    pub log: LogId,
    /// Its heads, strictly ascending, at most [`SUMMARY_HEADS_MAX`]: of more the first.
    pub heads: Vec<EntryId>,
    /// How many entries.
    pub count: u64,
    /// The governance digest or the state root that the sender computed.
    pub digest: [u8; 32],
    /// The heads of the group's log that the digest was computed under; equal to `heads` for a group's own log.
    pub governance: Vec<EntryId>,
}

/// What one peer says to another.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Message {
    /// Begins a connection, or tells that the sender is in more groups now.
    Hello(Hello) = 1,
    /// Membership of one group.
    Proof(Proof) = 2,
    /// How the sender's logs stand.
    Summaries(Vec<Summary>) = 3,
    /// Asks for what the sender lacks of a log.
    Pull {
        /// Which log.
        log: LogId,
        /// What the sender holds.
        vector: AuthorVector,
        /// Where the page before ended, as the responder said; 0 for the first.
        cursor: u64,
        /// Whether authors may have forked their chains: the answer then leaves out only what is certain to be
        /// held. Asked for after a round that brought nothing although something is lacking.
        careful: bool,
    } = 4,
    /// Answers a pull: entries in causal order, and where to go on.
    Page {
        /// Which log.
        log: LogId,
        /// Whole entries.
        entries: Vec<Vec<u8>>,
        /// The cursor of the next page, if there is more.
        next: Option<u64>,
        /// How the log stands at the responder, so that the asker learns whether it is ahead in turn.
        summary: Summary,
    } = 5,
    /// Asks for keys of a group that the sender, a member, lacks.
    KeyPull {
        /// Whose.
        group: LogId,
        /// Which.
        keys: Vec<KeyId>,
    } = 6,
    /// Answers with those keys that the responder holds, sealed to the asker's sealing key.
    KeyPage {
        /// Whose.
        group: LogId,
        /// Each key's id, and the key sealed to the asker.
        keys: Vec<(KeyId, Wrap)>,
    } = 7,
    /// Asks a member to countersign a claim.
    Join {
        /// The group, which the receiver has proven to be in.
        group: LogId,
        /// What the joiner presents.
        claim: Claim,
    } = 8,
    /// Answers a join.
    Joined {
        /// Which group.
        group: LogId,
        /// Absent if the joiner is a member now, else why not.
        refused: Option<Refusal>,
    } = 9,
    /// Peers of members and where they listen, so that members find each other when the inviter is away.
    Addresses {
        /// Of which group.
        group: LogId,
        /// The peers with their addresses.
        peers: Vec<(Peer, Vec<String>)>,
    } = 10,
    /// Asks for bytes of a blob.
    BlobPull {
        /// Which.
        blob: BlobId,
        /// From where.
        offset: u64,
    } = 11,
    /// Answers with bytes of a blob.
    BlobChunk {
        /// Which.
        blob: BlobId,
        /// Of how many bytes in all.
        size: u64,
        /// From where.
        offset: u64,
        /// At most [`BLOB_CHUNK_LEN_MAX`] bytes.
        bytes: Vec<u8>,
    } = 12,
    /// The responder has no such blob, or not for this peer.
    BlobAbsent {
        /// Which.
        blob: BlobId,
    } = 13,
    /// Tells a node that somebody added it to a group: it handed over a card and cannot know to which.
    Added {
        /// The group.
        group: LogId,
        /// The key of the card, under which it is a member.
        member: PublicKey,
    } = 14,
}

/// Why a member did not countersign.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Refusal {
    /// Whether asking another member, or later, is of no use.
    pub is_final: bool,
    /// In words.
    pub reason: String,
}

/// Why bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Longer than [`MESSAGE_LEN_MAX`].
    #[error("message of {0} bytes exceeds the limit of {MESSAGE_LEN_MAX}")]
    TooLong(usize),
    /// Not the canonical encoding of a message.
    #[error("malformed message: {0}")]
    Malformed(String),
    /// A list is longer than it may be.
    #[error("{what}: {len} exceed the limit of {max}")]
    TooMany {
        /// Which list.
        what: &'static str,
        /// How many.
        len: usize,
        /// How many there may be.
        max: usize,
    },
    /// A list that is to be strictly ascending is not.
    #[error("{0} are not strictly ascending")]
    Unordered(&'static str),
}

impl Message {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        borsh::to_vec(self).unwrap_or_default()
    }

    /// Reads one message.
    ///
    /// # Errors
    /// Anything but the canonical encoding of a message within its bounds.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        if bytes.len() > MESSAGE_LEN_MAX {
            return Err(MessageError::TooLong(bytes.len()));
        }
        let message = Self::try_from_slice(bytes).map_err(|e| MessageError::Malformed(e.to_string()))?;
        message.check()?;
        Ok(message)
    }

    fn check(&self) -> Result<(), MessageError> {
        match self {
            Self::Hello(hello) => at_most("tags", hello.tags.len(), TAGS_MAX),
            Self::Proof(_)
            | Self::Pull { .. }
            | Self::Join { .. }
            | Self::BlobPull { .. }
            | Self::BlobAbsent { .. }
            | Self::Added { .. } => Ok(()),
            Self::Summaries(summaries) => {
                at_most("summaries", summaries.len(), PAGE_ENTRIES_MAX)?;
                summaries.iter().try_for_each(Summary::check)
            }
            Self::Page { entries, summary, .. } => {
                at_most("entries", entries.len(), PAGE_ENTRIES_MAX)?;
                summary.check()
            }
            Self::KeyPull { keys, .. } => at_most("keys", keys.len(), KEYS_MAX),
            Self::KeyPage { keys, .. } => at_most("keys", keys.len(), KEYS_MAX),
            Self::Joined { refused, .. } => {
                at_most("bytes of reason", refused.as_ref().map_or(0, |r| r.reason.len()), REASON_LEN_MAX)
            }
            Self::Addresses { peers, .. } => {
                at_most("peers", peers.len(), ADDRESSES_PEERS_MAX)?;
                peers
                    .iter()
                    .flat_map(|(_, addresses)| addresses)
                    .try_for_each(|address| at_most("bytes of an address", address.len(), ADDRESS_LEN_MAX))?;
                peers.iter().try_for_each(|(_, addresses)| at_most("addresses", addresses.len(), ADDRESSES_MAX))
            }
            Self::BlobChunk { bytes, .. } => at_most("bytes of a chunk", bytes.len(), BLOB_CHUNK_LEN_MAX),
        }
    }
}

impl Summary {
    /// Leaves out the heads that are too many, as somebody who signs many branches can make them.
    #[must_use]
    pub fn within_bounds(mut self) -> Self {
        self.heads.truncate(SUMMARY_HEADS_MAX);
        self.governance.truncate(SUMMARY_HEADS_MAX);
        self
    }

    /// Checks the bounds.
    ///
    /// # Errors
    /// Too many heads, or heads out of order.
    pub fn check(&self) -> Result<(), MessageError> {
        for heads in [&self.heads, &self.governance] {
            at_most("heads", heads.len(), SUMMARY_HEADS_MAX)?;
            if !heads.is_sorted_by(|a, b| a < b) {
                return Err(MessageError::Unordered("heads"));
            }
        }
        Ok(())
    }
}

fn at_most(what: &'static str, len: usize, max: usize) -> Result<(), MessageError> {
    if len > max { Err(MessageError::TooMany { what, len, max }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn summary() -> Summary {
        Summary {
            log: LogId::from_bytes([1; 32]),
            heads: vec![EntryId::from_bytes([2; 32])],
            count: 3,
            digest: [4; 32],
            governance: vec![],
        }
    }

    #[test]
    fn the_bytes_of_messages_are_frozen() {
        let golden = include_str!("../tests/golden/messages.hex");
        let messages = [
            Message::Hello(Hello { version: 1, nonce: [1; 32], tags: vec![[2; 16]] }),
            Message::Proof(Proof { tag: [1; 16], member: PublicKey::from_bytes([2; 32]), signature: [3; 64] }),
            Message::Summaries(vec![summary()]),
            Message::Page {
                log: LogId::from_bytes([1; 32]),
                entries: vec![vec![7, 8]],
                next: Some(7),
                summary: summary(),
            },
            Message::KeyPull { group: LogId::from_bytes([1; 32]), keys: vec![KeyId::from_bytes([2; 32])] },
            Message::Joined {
                group: LogId::from_bytes([1; 32]),
                refused: Some(Refusal { is_final: true, reason: "expired".into() }),
            },
            Message::Addresses {
                group: LogId::from_bytes([1; 32]),
                peers: vec![(Peer::from_bytes([1; 32]), vec!["/ip4".into()])],
            },
            Message::BlobPull { blob: BlobId::from_bytes([1; 32]), offset: 5 },
            Message::BlobChunk { blob: BlobId::from_bytes([1; 32]), size: 9, offset: 5, bytes: vec![1, 2] },
            Message::BlobAbsent { blob: BlobId::from_bytes([1; 32]) },
            Message::Added { group: LogId::from_bytes([1; 32]), member: PublicKey::from_bytes([2; 32]) },
        ];
        let lines: Vec<String> = messages.iter().map(|m| hex::encode(m.encode())).collect();
        assert_eq!(lines.join("\n"), golden.trim());
        for message in messages {
            assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn heads_out_of_order_are_refused() {
        let mut summary = summary();
        summary.heads = vec![EntryId::from_bytes([2; 32]), EntryId::from_bytes([1; 32])];
        let bytes = Message::Summaries(vec![summary]).encode();
        assert_eq!(Message::decode(&bytes), Err(MessageError::Unordered("heads")));
    }

    #[test]
    fn bytes_after_a_message_are_refused() {
        let mut bytes = Message::BlobAbsent { blob: BlobId::from_bytes([1; 32]) }.encode();
        bytes.push(0);
        assert!(Message::decode(&bytes).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Message::decode(&bytes);
        }

        #[test]
        fn what_decodes_encodes_to_the_same_bytes(tag in 1u8..15, rest: Vec<u8>) {
            let bytes = [vec![tag], rest].concat();
            if let Ok(message) = Message::decode(&bytes) {
                prop_assert_eq!(message.encode(), bytes);
            }
        }
    }
}
