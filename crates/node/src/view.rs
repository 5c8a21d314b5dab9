//! What a machine sees: the store's snapshot, and over it what the machine wrote that is not durable yet.

use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;

use crate::store::{Keyspace, Pair, Snapshot};

/// What is in flight. Persistent, so that views can hold on to it; keys are shared, because a change of it copies the
/// nodes that others hold on to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Overlay {
    /// By tag.
    keyspaces: [OrdMap<Arc<[u8]>, Pending>; Keyspace::ALL.len()],
}

impl Overlay {
    pub(crate) fn get(&self, keyspace: Keyspace, key: &[u8]) -> Option<&Pending> {
        self.of(keyspace).get(key)
    }

    pub(crate) fn insert(&mut self, keyspace: Keyspace, key: Arc<[u8]>, pending: Pending) {
        self.keyspaces[keyspace as usize].insert(key, pending);
    }

    /// Lets go of a key, unless a batch after `seq` has written it since.
    pub(crate) fn land(&mut self, keyspace: Keyspace, key: &[u8], seq: u64) {
        if self.get(keyspace, key).is_some_and(|pending| pending.seq == seq) {
            self.keyspaces[keyspace as usize].remove(key);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.keyspaces.iter().map(OrdMap::len).sum()
    }

    fn of(&self, keyspace: Keyspace) -> &OrdMap<Arc<[u8]>, Pending> {
        &self.keyspaces[keyspace as usize]
    }
}

/// A value in flight: which batch wrote it, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) seq: u64,
    pub(crate) value: Option<Arc<[u8]>>,
}

/// An immutable view; cheap to clone and to hand to another thread.
#[derive(Clone)]
pub struct View {
    pub(crate) snapshot: Arc<dyn Snapshot>,
    pub(crate) overlay: Overlay,
}

impl View {
    /// The view of what is durable.
    #[must_use]
    pub fn durable(snapshot: Arc<dyn Snapshot>) -> Self {
        Self { snapshot, overlay: Overlay::default() }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, keyspace: Keyspace, key: &[u8]) -> Option<Vec<u8>> {
        match self.overlay.get(keyspace, key) {
            Some(pending) => pending.value.as_ref().map(|value| value.to_vec()),
            None => self.snapshot.get(keyspace, key),
        }
    }

    /// Up to `limit` pairs whose keys begin with `prefix`, in key order, those strictly after `after` if given.
    #[must_use]
    pub fn scan(&self, keyspace: Keyspace, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Pair> {
        let start = after.filter(|after| *after >= prefix).unwrap_or(prefix);
        let mut fresh = self
            .overlay
            .of(keyspace)
            .range::<_, [u8]>((Bound::Included(start), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .filter(|(key, _)| after.is_none_or(|after| &***key > after))
            .peekable();
        if fresh.peek().is_none() {
            return self.snapshot.scan(keyspace, prefix, after, limit);
        }
        // A removed key takes a place in a page of the snapshot without giving a pair, so pages are drawn until
        // the limit is reached or the snapshot ends.
        let mut found = Vec::new();
        let mut cursor = after.map(<[u8]>::to_vec);
        loop {
            let page = self.snapshot.scan(keyspace, prefix, cursor.as_deref(), limit);
            let is_last = page.len() < limit;
            let end = page.last().map(|(key, _)| key.clone());
            for (key, value) in page {
                while let Some((new, pending)) = fresh.next_if(|(new, _)| ***new < *key) {
                    push(&mut found, new, pending);
                }
                match fresh.next_if(|(new, _)| ***new == *key) {
                    Some((new, pending)) => push(&mut found, new, pending),
                    None => found.push((key, value)),
                }
            }
            if is_last {
                for (new, pending) in fresh.by_ref() {
                    push(&mut found, new, pending);
                    if found.len() >= limit {
                        break;
                    }
                }
            }
            if is_last || found.len() >= limit {
                found.truncate(limit);
                return found;
            }
            cursor = end;
        }
    }
}

fn push(found: &mut Vec<Pair>, key: &[u8], pending: &Pending) {
    if let Some(value) = &pending.value {
        found.push((key.to_vec(), value.to_vec()));
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "View({} writes in flight)", self.overlay.len())
    }
}

impl PartialEq for View {
    /// Views are equal if they are of the same moment.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.snapshot, &other.snapshot) && self.overlay == other.overlay
    }
}
