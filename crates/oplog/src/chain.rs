//! Chains: the entries of one author in one life, one after another by `prev`.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::entry::Stamp;
use crate::id::{EntryId, Incarnation, PublicKey};
use crate::placement::ChainIx;

/// Domain of chain keys.
pub const CHAIN_KEY_CONTEXT: &str = "mesto 2026 chain key v1";

/// Names an author's life in 16 bytes where 40 would be sent with every comparison of logs.
///
/// Two lives with one key (for which their author must work through 2^64 hashes) cost that author's entries a
/// second round of sync, nothing else: what is held is always judged by entry ids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, BorshSerialize, BorshDeserialize)]
pub struct ChainKey(pub [u8; 16]);

impl ChainKey {
    /// The key of an author's life: the first half of the BLAKE3 hash of `author ‖ incarnation`.
    #[must_use]
    pub fn of(author: &PublicKey, incarnation: Incarnation) -> Self {
        let mut named = [0; 40];
        named[..32].copy_from_slice(author.as_bytes());
        named[32..].copy_from_slice(&incarnation.0.to_le_bytes());
        let hash = blake3::derive_key(CHAIN_KEY_CONTEXT, &named);
        let mut key = [0; 16];
        key.copy_from_slice(&hash[..16]);
        Self(key)
    }
}

/// The last entry of a chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Tip {
    /// Its place in the chain, from 1.
    pub seq: u64,
    /// Its id.
    pub id: EntryId,
    /// Its stamp.
    pub stamp: Stamp,
}

/// The entry that a branch grows from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Base {
    /// The chain that was seen first.
    pub chain: ChainIx,
    /// The last place that the two have in common, from 1.
    pub seq: u64,
}

/// One chain of a log. An author who equivocates has several in one life: branches, each beginning after its
/// base, or at `seq` 1 without one.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Chain {
    /// Whose it is.
    pub author: PublicKey,
    /// In which life.
    pub incarnation: Incarnation,
    /// Where it branches off; absent in a chain that begins at `seq` 1.
    pub base: Option<Base>,
    /// Its last entry.
    pub tip: Tip,
    /// Whether its last entry is a head of the log. Every head is the last of its chain, so no list of heads is
    /// stored.
    pub is_head: bool,
}

impl Chain {
    /// The first place that is this chain's own.
    #[must_use]
    pub fn first_seq(&self) -> u64 {
        self.base.map_or(1, |base| base.seq.saturating_add(1))
    }

    /// The key of the life that it belongs to.
    #[must_use]
    pub fn key(&self) -> ChainKey {
        ChainKey::of(&self.author, self.incarnation)
    }
}
