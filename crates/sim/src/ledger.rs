//! Reading a host's durable store from outside: its logs, secrets and states.

use std::collections::BTreeSet;
use std::sync::Arc;

use borsh::BorshDeserialize;
use mesto_crdt::RootHash;
use mesto_governance::{ContextId, EpochKey, GroupId, KeyId};
use mesto_node::layout::{self, LogNumber};
use mesto_node::record::{CardRecord, ContextRecord, GroupRecord};
use mesto_node::store::{Keyspace, Snapshot};
use mesto_node::{ContextState, View};
use mesto_oplog::dag::{ChainEntry, Dag, DagRead};
use mesto_oplog::placement::{ChainIx, Placement};
use mesto_oplog::{EntryId, LogId, PublicKey, Signed, Verified};

/// One log in a snapshot.
pub(crate) struct Ledger {
    snapshot: Arc<dyn Snapshot>,
    number: LogNumber,
}

impl Ledger {
    /// The log `log` in `snapshot`.
    #[must_use]
    pub(crate) fn new(snapshot: Arc<dyn Snapshot>, log: LogId) -> Self {
        let number = number(&snapshot, &log);
        Self { snapshot, number }
    }

    /// Its graph; none if it is empty or broken.
    #[must_use]
    pub(crate) fn dag(&self) -> Option<Dag> {
        Dag::restore(&self.snapshot.get(Keyspace::Log, &layout::frontier(self.number))?).ok()
    }

    /// The ids of all accepted entries.
    #[must_use]
    pub(crate) fn ids(&self) -> BTreeSet<EntryId> {
        let pairs = self.snapshot.scan(Keyspace::Log, &layout::arrivals(self.number), None, usize::MAX);
        pairs.iter().filter_map(|(_, id)| Some(EntryId::from_bytes(id.as_slice().try_into().ok()?))).collect()
    }

    /// Whether an entry is accepted.
    #[must_use]
    pub(crate) fn holds(&self, id: &EntryId) -> bool {
        self.entry(id).is_some()
    }
}

impl DagRead for Ledger {
    fn placement(&self, id: &EntryId) -> Option<Placement> {
        Placement::decode(&self.snapshot.get(Keyspace::Log, &layout::placement(self.number, id))?).ok()
    }

    fn entry(&self, id: &EntryId) -> Option<Verified> {
        let arrival = self.placement(id)?.arrival;
        let bytes = self.snapshot.get(Keyspace::Entry, &layout::entry(self.number, arrival))?;
        Signed::decode(&bytes).ok().map(Signed::trust_own_store)
    }

    fn by_arrival(&self, from: u64, limit: usize) -> Vec<EntryId> {
        let after = from.checked_sub(1).map(|before| layout::arrival(self.number, before));
        let pairs = self.snapshot.scan(Keyspace::Log, &layout::arrivals(self.number), after.as_deref(), limit);
        pairs.iter().filter_map(|(_, id)| Some(EntryId::from_bytes(id.as_slice().try_into().ok()?))).collect()
    }

    fn chain_entries(&self, chain: ChainIx, from_seq: u64, limit: usize) -> Vec<ChainEntry> {
        let after = from_seq.checked_sub(1).map(|before| layout::chain_place(self.number, chain.0, before));
        let pairs = self.snapshot.scan(Keyspace::Log, &layout::chain(self.number, chain.0), after.as_deref(), limit);
        let read = |(key, place): &(Vec<u8>, Vec<u8>)| {
            let (arrival, id) = place.split_first_chunk()?;
            Some(ChainEntry {
                seq: u64::from_be_bytes(key.last_chunk().copied()?),
                arrival: u64::from_be_bytes(*arrival),
                id: EntryId::from_bytes(id.try_into().ok()?),
            })
        };
        pairs.iter().filter_map(read).collect()
    }
}

/// The number of a log in a store; that of none if nothing of it was ever there.
#[must_use]
pub(crate) fn number(snapshot: &Arc<dyn Snapshot>, log: &LogId) -> LogNumber {
    let number = snapshot.get(Keyspace::Meta, &layout::number(log));
    number.and_then(|bytes| LogNumber::read(&bytes)).unwrap_or(LogNumber::NONE)
}

/// The groups that a store knows, with its part in each.
#[must_use]
pub(crate) fn groups(snapshot: &Arc<dyn Snapshot>) -> Vec<(GroupId, GroupRecord)> {
    records(snapshot, layout::GROUPS).into_iter().map(|(id, record)| (GroupId::from_bytes(id), record)).collect()
}

/// The keys of cards that were handed out and not used yet.
#[must_use]
pub(crate) fn cards(snapshot: &Arc<dyn Snapshot>) -> Vec<PublicKey> {
    records::<CardRecord>(snapshot, layout::CARDS).into_iter().map(|(id, _)| PublicKey::from_bytes(id)).collect()
}

/// The contexts that a store joined, with its part in each.
#[must_use]
pub(crate) fn contexts(snapshot: &Arc<dyn Snapshot>) -> Vec<(ContextId, ContextRecord)> {
    records(snapshot, layout::CONTEXTS).into_iter().map(|(id, record)| (ContextId::from_bytes(id), record)).collect()
}

/// The epoch keys of a group.
#[must_use]
pub(crate) fn epoch_keys(snapshot: &Arc<dyn Snapshot>, group: &GroupId) -> Vec<EpochKey> {
    let pairs = snapshot.scan(Keyspace::Meta, &layout::epoch_keys(group), None, usize::MAX);
    pairs.iter().filter_map(|(_, bytes)| Some(layout::read_epoch_key(bytes)?.0)).collect()
}

/// The domain in which a key of a group came: a Restricted context, or nothing for the group's own.
#[must_use]
pub(crate) fn domain_of_key(snapshot: &Arc<dyn Snapshot>, group: &GroupId, key: &KeyId) -> Option<Option<ContextId>> {
    let bytes = snapshot.get(Keyspace::Meta, &layout::epoch_key(group, key))?;
    Some(layout::read_epoch_key(&bytes)?.1)
}

/// The contexts that a store left, and serves until somebody else has what is there.
#[must_use]
pub(crate) fn left(snapshot: &Arc<dyn Snapshot>) -> Vec<(ContextId, ContextRecord)> {
    records(snapshot, layout::LEFT).into_iter().map(|(id, record)| (ContextId::from_bytes(id), record)).collect()
}

/// The state of a context.
#[must_use]
pub(crate) fn state(snapshot: &Arc<dyn Snapshot>, context: &ContextId) -> ContextState {
    ContextState::of(View::durable(Arc::clone(snapshot)), context)
}

/// The stored root of a context's state; none if it is broken.
#[must_use]
pub(crate) fn root(snapshot: &Arc<dyn Snapshot>, context: &ContextId) -> Option<RootHash> {
    mesto_crdt::root(&state(snapshot, context)).ok()
}

fn records<T: BorshDeserialize>(snapshot: &Arc<dyn Snapshot>, prefix: &[u8]) -> Vec<([u8; 32], T)> {
    let pairs = snapshot.scan(Keyspace::Meta, prefix, None, usize::MAX);
    let read = |(key, bytes): (Vec<u8>, Vec<u8>)| {
        Some((key.get(prefix.len()..)?.try_into().ok()?, T::try_from_slice(&bytes).ok()?))
    };
    pairs.into_iter().filter_map(read).collect()
}
