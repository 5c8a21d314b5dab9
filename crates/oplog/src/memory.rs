//! A log in memory, for tests here and in other crates, and for tools.

use std::collections::BTreeMap;

use crate::dag::{Admission, ChainEntry, Dag, DagRead, Inserted, Next, Refusal};
use crate::entry::{Draft, Kind, Verified};
use crate::id::{EntryId, Incarnation, LogId};
use crate::key::SigningKey;
use crate::placement::{ChainIx, Placement};

/// The records of one log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MemoryStore {
    entries: BTreeMap<EntryId, (Verified, Placement)>,
    arrivals: BTreeMap<u64, EntryId>,
    chains: BTreeMap<(ChainIx, u64), (u64, EntryId)>,
}

impl MemoryStore {
    /// Keeps an entry and its index rows.
    pub fn write(&mut self, entry: &Verified, inserted: &Inserted) {
        let placement = &inserted.placement;
        self.arrivals.insert(placement.arrival, inserted.id);
        self.chains.insert((placement.chain, placement.seq), (placement.arrival, inserted.id));
        self.entries.insert(inserted.id, (entry.clone(), placement.clone()));
    }

    /// All entries in the order of arrival.
    pub fn entries(&self) -> impl Iterator<Item = &Verified> + '_ {
        self.arrivals.values().filter_map(|id| self.entries.get(id).map(|(entry, _)| entry))
    }
}

impl DagRead for MemoryStore {
    fn placement(&self, id: &EntryId) -> Option<Placement> {
        self.entries.get(id).map(|(_, placement)| placement.clone())
    }

    fn entry(&self, id: &EntryId) -> Option<Verified> {
        self.entries.get(id).map(|(entry, _)| entry.clone())
    }

    fn by_arrival(&self, from: u64, limit: usize) -> Vec<EntryId> {
        self.arrivals.range(from..).take(limit).map(|(_, id)| *id).collect()
    }

    fn chain_entries(&self, chain: ChainIx, from_seq: u64, limit: usize) -> Vec<ChainEntry> {
        self.chains
            .range((chain, from_seq)..=(chain, u64::MAX))
            .take(limit)
            .map(|(&(_, seq), &(arrival, id))| ChainEntry { seq, arrival, id })
            .collect()
    }
}

/// What became of an entry that was offered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Offered {
    /// It was inserted.
    Inserted(Box<Inserted>),
    /// It was there before.
    Duplicate,
    /// These parents are missing.
    Missing(Vec<EntryId>),
}

/// A graph and its store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemoryLog {
    /// The graph.
    pub dag: Dag,
    /// What it reads.
    pub store: MemoryStore,
}

impl MemoryLog {
    /// An empty log.
    #[must_use]
    pub fn new(log: LogId, kind: Kind) -> Self {
        Self { dag: Dag::new(log, kind), store: MemoryStore::default() }
    }

    /// Checks an entry, and inserts and keeps it if it can be.
    ///
    /// # Errors
    /// If it breaks a rule.
    pub fn offer(&mut self, entry: &Verified) -> Result<Offered, Refusal> {
        match self.dag.check(&self.store, entry)? {
            Admission::Duplicate => Ok(Offered::Duplicate),
            Admission::Missing(missing) => Ok(Offered::Missing(missing)),
            Admission::Ready(ready) => {
                let inserted = self.dag.insert(*ready).expect("INVARIANT: nothing came between check and insertion");
                self.store.write(entry, &inserted);
                Ok(Offered::Inserted(Box::new(inserted)))
            }
        }
    }

    /// Signs and inserts an entry on top of all heads, after the merges that it takes.
    ///
    /// # Panics
    /// If nothing can be authored here; see [`crate::dag::AuthorError`].
    pub fn author(&mut self, key: &SigningKey, incarnation: Incarnation, now_ms: u64, body: &[u8]) -> Verified {
        loop {
            let next = self.dag.next_header(&self.store, key.public(), incarnation, now_ms).expect("can be authored");
            let (header, body, is_last) = match next {
                Next::Entry(header) => (header, body, true),
                Next::MergeFirst(header) => (header, [].as_slice(), false),
            };
            let entry = Draft { header, body: body.to_vec() }.sign(key).expect("INVARIANT: a header of ours is valid");
            self.offer(&entry).expect("INVARIANT: what is authored here fits here");
            if is_last {
                return entry;
            }
        }
    }
}
