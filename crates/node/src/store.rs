//! What the node asks of a store: ordered bytes, atomic batches, snapshots.
//!
//! Reads do not return errors. A store that can no longer read what it wrote is fail-stop: the shell ends the
//! process with a clear message, because going on would turn a disk error into a wrong decision.

use std::sync::Arc;

pub mod conformance;
pub mod memory;

/// The ordered maps of a store. Their byte layouts are in [`crate::layout`] and docs/storage.md.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Keyspace {
    /// What the node is part of: groups, contexts, keys, pending joins, known peers.
    Meta = 0,
    /// Indexes over the entries of all logs.
    Log = 1,
    /// Leaves of the contexts' states, and counts.
    State = 2,
    /// Nodes of the contexts' state trees.
    Tree = 3,
    /// What apps keep on this node alone.
    Private = 4,
    /// Entries of all logs, in the order in which they came: what is written here is never written again.
    Entry = 5,
}

impl Keyspace {
    /// All of them, in the order of their tags.
    pub const ALL: [Self; 6] = [Self::Meta, Self::Log, Self::State, Self::Tree, Self::Private, Self::Entry];

    /// The name that an on-disk store gives it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Log => "log",
            Self::State => "state",
            Self::Tree => "tree",
            Self::Private => "private",
            Self::Entry => "entry",
        }
    }
}

/// A key with its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// One change: `None` removes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Write {
    /// Where.
    pub keyspace: Keyspace,
    /// Which key.
    pub key: Vec<u8>,
    /// The new value.
    pub value: Option<Vec<u8>>,
}

/// Changes that happen together or not at all; of several for one key the last counts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Batch {
    /// In the order in which they were made.
    pub writes: Vec<Write>,
}

impl Batch {
    /// Sets a key.
    pub fn put(&mut self, keyspace: Keyspace, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.writes.push(Write { keyspace, key: key.into(), value: Some(value.into()) });
    }

    /// Removes a key.
    pub fn remove(&mut self, keyspace: Keyspace, key: impl Into<Vec<u8>>) {
        self.writes.push(Write { keyspace, key: key.into(), value: None });
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Bytes of keys and values.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.writes.iter().map(|w| w.key.len() + w.value.as_ref().map_or(0, Vec::len)).sum()
    }
}

/// A consistent view of the store at one moment.
pub trait Snapshot: Send + Sync {
    /// The value of a key.
    fn get(&self, keyspace: Keyspace, key: &[u8]) -> Option<Vec<u8>>;

    /// Up to `limit` pairs whose keys begin with `prefix`, in key order, those strictly after `after` if given.
    fn scan(&self, keyspace: Keyspace, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Pair>;
}

/// Why a batch was not made durable. Nothing of it may be acknowledged; the node stops.
#[derive(Debug, thiserror::Error)]
#[error("the store could not commit: {0}")]
pub struct CommitError(pub String);

/// A store of ordered bytes.
pub trait Store: Send + Sync {
    /// All that was committed, as of now.
    fn snapshot(&self) -> Arc<dyn Snapshot>;

    /// Writes the batches, in order, as one atomic and durable commit.
    ///
    /// # Errors
    /// [`CommitError`]; then it is unknown what was written, and nothing more may be committed.
    fn commit(&self, batches: &[Batch]) -> Result<(), CommitError>;
}
