//! The causal graph of one log: an index over entries that are held in a store.
//!
//! [`Dag`] itself is small (about 100 bytes a chain) and lives in memory; what it knows of a single entry is a
//! [`Placement`] that the store keeps beside the entry's bytes and hands back through [`DagRead`]. Accepting an
//! entry is [`Dag::check`], then [`Dag::insert`], then writing four things in one batch:
//!
//! | record | from | key |
//! | --- | --- | --- |
//! | the entry | [`Verified::bytes`] | id |
//! | its placement | [`Inserted::placement`] | id |
//! | its place in its chain | `arrival` and id | `(placement.chain, placement.seq)` |
//! | its place in the order of arrival | id | `placement.arrival` |
//!
//! and, once for all entries of the batch, the frontier: [`Dag::encode`].
//!
//! The verdict on an entry depends on the entry and its past alone, so any order of arrival accepts the same
//! entries; the numbers of chains and arrivals are this node's own.
//!
//! How long a log grows and how many chains it has is bounded by what its authors sign: a member that floods a
//! log with lives or branches shows up in [`Dag::chains`], and losing its membership is the remedy. An entry is
//! never refused for what *other* entries this node happens to hold, with one exception that no sound log comes
//! near: [`CHAINS_MAX`].

mod admit;
mod author;
mod frontier;

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::chain::{Chain, ChainKey};
use crate::entry::{Kind, Stamp, Verified};
use crate::id::{EntryId, Incarnation, LogId, PublicKey};
use crate::placement::{ChainIx, Past, Placement};
use crate::vector::AuthorVector;

pub use admit::{Admission, Inserted, Ready, Refusal, Stale};
pub use author::{AuthorError, Next};
pub use frontier::{FRONTIER_VERSION, FrontierError};

/// Chains of one log: the frontier is then 100 MiB and rewritten with each commit, so a log ends long before.
pub const CHAINS_MAX: usize = 1 << 20;
/// Heads whose placements stay in memory, so that an entry on top of them is checked without a look into the
/// store: twice the parents of an entry.
pub const CACHED_HEADS_MAX: usize = 64;

/// What the graph reads of the entries that are held. Implemented over a store, and in memory by
/// [`crate::memory::MemoryStore`].
///
/// Reads must show everything inserted before, what is written but not yet durable included. Pruning may drop
/// the bytes of an entry, never its index: then [`DagRead::entry`] is the only one to answer `None`.
pub trait DagRead {
    /// The placement of an entry; `None` exactly if it was never accepted.
    fn placement(&self, id: &EntryId) -> Option<Placement>;

    /// The entry itself; `None` if it was never accepted, or was pruned.
    fn entry(&self, id: &EntryId) -> Option<Verified>;

    /// Ids in the order of arrival, the first being number `from`; at most `limit`, and fewer only at the end.
    fn by_arrival(&self, from: u64, limit: usize) -> Vec<EntryId>;

    /// The entries of one chain in the order of `seq`, from `from_seq` on; at most `limit`, and fewer only at
    /// the end. A branch begins after its base: what is below belongs to the base's chain.
    fn chain_entries(&self, chain: ChainIx, from_seq: u64, limit: usize) -> Vec<ChainEntry>;
}

/// One entry of a chain, as the index has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChainEntry {
    /// Its place in the chain, from 1.
    pub seq: u64,
    /// Its number in the order of arrival, from 0.
    pub arrival: u64,
    /// Its id.
    pub id: EntryId,
}

/// The causal graph of one log.
#[derive(Clone, Debug)]
pub struct Dag {
    log: LogId,
    kind: Kind,
    next_arrival: u64,
    max_stamp: Stamp,
    /// In order of [`ChainIx`].
    chains: Vec<Chain>,
    /// Each head and the chain that it ends.
    heads: BTreeMap<EntryId, ChainIx>,
    /// The chains of each author's life: one, unless the author equivocates.
    lives: BTreeMap<ChainKey, Vec<ChainIx>>,
    /// Placements of heads; see [`CACHED_HEADS_MAX`].
    cached: BTreeMap<EntryId, Placement>,
}

/// Two of them are equal if they hold the same of the same log *and* came by it in the same order.
impl PartialEq for Dag {
    fn eq(&self, other: &Self) -> bool {
        let Self { log, kind, next_arrival, max_stamp, chains, heads, lives, cached: _ } = self;
        *log == other.log
            && *kind == other.kind
            && *next_arrival == other.next_arrival
            && *max_stamp == other.max_stamp
            && *chains == other.chains
            && *heads == other.heads
            && *lives == other.lives
    }
}

impl Eq for Dag {}

impl Dag {
    /// An empty log.
    #[must_use]
    pub fn new(log: LogId, kind: Kind) -> Self {
        Self {
            log,
            kind,
            next_arrival: 0,
            max_stamp: Stamp::default(),
            chains: Vec::new(),
            heads: BTreeMap::new(),
            lives: BTreeMap::new(),
            cached: BTreeMap::new(),
        }
    }

    /// Which log.
    #[must_use]
    pub fn log(&self) -> LogId {
        self.log
    }

    /// What its entries are.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How many entries are held.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.next_arrival
    }

    /// The entries that no other names as parent, ascending. Two logs with equal heads are equal.
    pub fn heads(&self) -> impl ExactSizeIterator<Item = EntryId> + '_ {
        self.heads.keys().copied()
    }

    /// Whether `id` is a head.
    #[must_use]
    pub fn is_head(&self, id: &EntryId) -> bool {
        self.heads.contains_key(id)
    }

    /// The latest stamp of all entries.
    #[must_use]
    pub fn max_stamp(&self) -> Stamp {
        self.max_stamp
    }

    /// All chains, by [`ChainIx`].
    #[must_use]
    pub fn chains(&self) -> &[Chain] {
        &self.chains
    }

    /// One chain, with its author and its last entry.
    #[must_use]
    pub fn chain(&self, chain: ChainIx) -> Option<&Chain> {
        self.chains.get(chain.0 as usize)
    }

    /// The chains of one life of one author, in order of first sight: more than one if it equivocated.
    pub fn chains_of(
        &self,
        author: PublicKey,
        incarnation: Incarnation,
    ) -> impl Iterator<Item = (ChainIx, &Chain)> + '_ {
        self.chains_of_key(ChainKey::of(&author, incarnation))
            .filter(move |(_, chain)| chain.author == author && chain.incarnation == incarnation)
    }

    /// A summary from which another node can tell what we lack.
    #[must_use]
    pub fn vector(&self) -> AuthorVector {
        AuthorVector::of(self)
    }

    /// Whether `a` is in the causal past of `b` and not `b` itself; `None` if either is not held.
    #[must_use]
    pub fn is_ancestor(&self, read: &dyn DagRead, a: &EntryId, b: &EntryId) -> Option<bool> {
        let (above, below) = (self.placement(read, b)?, self.placement(read, a)?);
        Some(a != b && above.past.covers(&below))
    }

    /// Everything in the causal past of `ids`, themselves included; `None` if one of them is not held.
    #[must_use]
    pub fn past_of(&self, read: &dyn DagRead, ids: &[EntryId]) -> Option<Past> {
        ids.iter().try_fold(Past::empty(), |mut past, id| {
            past.join(&self.placement(read, id)?.past);
            Some(past)
        })
    }

    /// The placement of an entry, from memory if it is a head.
    #[must_use]
    pub fn placement<'a>(&'a self, read: &dyn DagRead, id: &EntryId) -> Option<Cow<'a, Placement>> {
        match self.cached.get(id) {
            Some(cached) => Some(Cow::Borrowed(cached)),
            None => read.placement(id).map(Cow::Owned),
        }
    }

    pub(crate) fn chains_of_key(&self, key: ChainKey) -> impl Iterator<Item = (ChainIx, &Chain)> + '_ {
        let chains = self.lives.get(&key).map(Vec::as_slice).unwrap_or_default();
        chains.iter().filter_map(|&ix| self.chain(ix).map(|chain| (ix, chain)))
    }

    /// All chains by the key of their life.
    pub(crate) fn lives(&self) -> impl Iterator<Item = (ChainKey, &Chain)> + '_ {
        self.lives
            .iter()
            .flat_map(move |(&key, chains)| chains.iter().filter_map(move |&ix| Some((key, self.chain(ix)?))))
    }
}
