//! A store in memory: the simulator's disk, and the oracle that other stores are compared with.

#![expect(clippy::disallowed_types, reason = "it stands in for a disk, which many share, and so has a lock")]

use std::{
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use imbl::OrdMap;

use super::{Batch, CommitError, Keyspace, Pair, Snapshot, Store, Write, conformance::KEY_BYTES_MAX};

/// Keys and values are shared, so that copying a node of the persistent map copies pointers only.
type Map = OrdMap<Arc<[u8]>, Arc<[u8]>>;

/// Ordered maps in memory. "Durable" means: for as long as a handle lives.
///
/// Clones are handles to the same contents, as a second opening of the same files would be; [`fork`](Self::fork)
/// gives contents of their own. A snapshot costs O(1), a written key O(log n).
#[derive(Clone, Default)]
pub struct MemoryStore {
    maps: Arc<Mutex<Maps>>,
}

/// One map for each keyspace, by its tag.
#[derive(Clone, Default)]
struct Maps([Map; Keyspace::ALL.len()]);

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A store with the same contents whose further changes are its own, in O(1).
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { maps: Arc::new(Mutex::new(self.lock().clone())) }
    }

    /// The number of keys in a keyspace.
    #[must_use]
    pub fn len(&self, keyspace: Keyspace) -> usize {
        self.lock().of(keyspace).len()
    }

    /// Whether no keyspace holds a key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        Keyspace::ALL.into_iter().all(|keyspace| self.len(keyspace) == 0)
    }

    /// Poison is no reason to stop: a change of the maps cannot panic half-way between two keys that a batch joins,
    /// because a commit builds the new maps aside.
    fn lock(&self) -> MutexGuard<'_, Maps> {
        self.maps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn snapshot(&self) -> Arc<dyn Snapshot> {
        Arc::new(self.lock().clone())
    }

    fn commit(&self, batches: &[Batch]) -> Result<(), CommitError> {
        let mut maps = self.lock();
        let mut next = maps.clone();
        for write in batches.iter().flat_map(|batch| &batch.writes) {
            if !(1..=KEY_BYTES_MAX).contains(&write.key.len()) {
                return Err(CommitError(format!("a key has 1 to {KEY_BYTES_MAX} bytes, not {}", write.key.len())));
            }
            next.apply(write);
        }
        *maps = next;
        Ok(())
    }
}

impl Maps {
    fn of(&self, keyspace: Keyspace) -> &Map {
        &self.0[keyspace as usize]
    }

    fn apply(&mut self, write: &Write) {
        let map = &mut self.0[write.keyspace as usize];
        match &write.value {
            Some(value) => map.insert(write.key.as_slice().into(), value.as_slice().into()),
            None => map.remove(write.key.as_slice()),
        };
    }
}

impl Snapshot for Maps {
    fn get(&self, keyspace: Keyspace, key: &[u8]) -> Option<Vec<u8>> {
        self.of(keyspace).get(key).map(|value| value.to_vec())
    }

    /// Written as the contract reads, without an upper bound made from the prefix, so that a store which computes one
    /// is compared with something else than itself.
    fn scan(&self, keyspace: Keyspace, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Pair> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            Some(_) | None => Bound::Included(prefix),
        };
        self.of(keyspace)
            .range::<_, [u8]>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, value)| (key.to_vec(), value.to_vec()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance;

    #[test]
    fn memory_keeps_the_contract_of_stores() {
        let store = MemoryStore::new();
        conformance::check(&mut || Box::new(store.clone())).unwrap();
    }

    #[test]
    fn memory_agrees_with_itself_over_random_batches() {
        for seed in 0..8 {
            let store = MemoryStore::new();
            conformance::compare(&mut || Box::new(store.clone()), seed, 200).unwrap();
        }
    }

    #[test]
    fn a_fork_does_not_see_later_changes_of_its_origin() {
        let origin = MemoryStore::new();
        let mut batch = Batch::default();
        batch.put(Keyspace::Meta, b"k", b"1");
        origin.commit(std::slice::from_ref(&batch)).unwrap();
        let fork = origin.fork();
        batch.put(Keyspace::Meta, b"k", b"2");
        origin.commit(&[batch]).unwrap();
        assert_eq!(fork.snapshot().get(Keyspace::Meta, b"k"), Some(b"1".to_vec()));
        assert_eq!(origin.snapshot().get(Keyspace::Meta, b"k"), Some(b"2".to_vec()));
        assert_eq!(origin.len(Keyspace::Meta), 1);
        assert!(!fork.is_empty());
    }
}
