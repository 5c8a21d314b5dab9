//! A context's state as the collections read it: four key spaces, found in the store under the number of the context's
//! log.

use mesto_crdt::{Read, RootHash, Sequences, Space};
use mesto_governance::ContextId;

use crate::layout::{self, LogNumber};
use crate::store::{Keyspace, Pair};
use crate::view::View;

/// The state of one context within a view, and what of its texts and lists is in memory.
#[derive(Clone, Debug)]
pub struct ContextState {
    view: View,
    sequences: Sequences,
    log: LogNumber,
}

impl ContextState {
    /// The state of the context whose log has this number in `view`.
    #[must_use]
    pub fn new(view: View, log: LogNumber) -> Self {
        Self { view, sequences: Sequences::new(), log }
    }

    /// The state of `context` in `view`; an empty one if nothing of it was ever here.
    #[must_use]
    pub fn of(view: View, context: &ContextId) -> Self {
        let number = view.get(Keyspace::Meta, &layout::number(&context.log()));
        let number = number.and_then(|bytes| LogNumber::read(&bytes)).unwrap_or(LogNumber::NONE);
        Self::new(view, number)
    }

    /// With the texts and lists that are in memory: of exactly this version, or none.
    #[must_use]
    pub fn with_sequences(self, sequences: Sequences) -> Self {
        Self { sequences, ..self }
    }

    /// What of its texts and lists is in memory.
    #[must_use]
    pub fn loaded(&self) -> &Sequences {
        &self.sequences
    }
}

impl PartialEq for ContextState {
    /// States are equal if they are of one context and moment; what is in memory follows from that.
    fn eq(&self, other: &Self) -> bool {
        self.view == other.view && self.log == other.log
    }
}

/// A version of a context's state, by its root, and the texts and lists of it that are in memory.
#[derive(Clone, Debug)]
pub struct Version {
    /// The root hash of the state.
    pub root: RootHash,
    /// What is in memory; a function of the version, so it influences nothing but time.
    pub sequences: Sequences,
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.root == other.root
    }
}

/// The keyspace and key of a collection's write.
#[must_use]
pub(crate) fn place_of(log: LogNumber, space: Space, key: &[u8]) -> (Keyspace, Vec<u8>) {
    match space {
        Space::Leaf => (Keyspace::State, layout::leaf(log, key)),
        Space::Count => (Keyspace::State, layout::count(log, key)),
        Space::Node => (Keyspace::Tree, layout::node(log, key)),
        Space::Private => (Keyspace::Private, layout::private(log, key)),
    }
}

impl Read for ContextState {
    fn get(&self, space: Space, key: &[u8]) -> Option<Vec<u8>> {
        let (keyspace, place) = place_of(self.log, space, key);
        self.view.get(keyspace, &place)
    }

    fn sequences(&self) -> Option<&Sequences> {
        Some(&self.sequences)
    }

    fn scan(&self, space: Space, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Pair> {
        let (keyspace, whole) = place_of(self.log, space, prefix);
        let own_len = whole.len() - prefix.len();
        let after = after.map(|after| place_of(self.log, space, after).1);
        let mut pairs = self.view.scan(keyspace, &whole, after.as_deref(), limit);
        for (key, _) in &mut pairs {
            key.drain(..own_len);
        }
        pairs
    }
}
