//! A context's state as the collections read it: four key spaces, found in the store under the context's id.

use mesto_crdt::{Read, RootHash, Sequences, Space};
use mesto_governance::ContextId;

use crate::layout;
use crate::store::{Keyspace, Pair};
use crate::view::View;

/// The state of one context within a view, and what of its texts and lists is in memory.
#[derive(Clone, Debug)]
pub struct ContextState {
    view: View,
    sequences: Sequences,
    leaves: Vec<u8>,
    counts: Vec<u8>,
    tree: Vec<u8>,
    private: Vec<u8>,
}

impl ContextState {
    /// The state of `context` in `view`.
    #[must_use]
    pub fn new(view: View, context: &ContextId) -> Self {
        Self {
            view,
            sequences: Sequences::new(),
            leaves: layout::leaves(context),
            counts: layout::counts(context),
            tree: layout::tree(context),
            private: layout::private(context),
        }
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

    fn place(&self, space: Space) -> (Keyspace, &[u8]) {
        match space {
            Space::Leaf => (Keyspace::State, &self.leaves),
            Space::Count => (Keyspace::State, &self.counts),
            Space::Node => (Keyspace::Tree, &self.tree),
            Space::Private => (Keyspace::Private, &self.private),
        }
    }
}

impl PartialEq for ContextState {
    /// States are equal if they are of one context and moment; what is in memory follows from that.
    fn eq(&self, other: &Self) -> bool {
        self.view == other.view && self.leaves == other.leaves
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
pub(crate) fn place_of(context: &ContextId, space: Space, key: &[u8]) -> (Keyspace, Vec<u8>) {
    let (keyspace, mut place) = match space {
        Space::Leaf => (Keyspace::State, layout::leaves(context)),
        Space::Count => (Keyspace::State, layout::counts(context)),
        Space::Node => (Keyspace::Tree, layout::tree(context)),
        Space::Private => (Keyspace::Private, layout::private(context)),
    };
    place.extend_from_slice(key);
    (keyspace, place)
}

impl Read for ContextState {
    fn get(&self, space: Space, key: &[u8]) -> Option<Vec<u8>> {
        let (keyspace, prefix) = self.place(space);
        self.view.get(keyspace, &[prefix, key].concat())
    }

    fn sequences(&self) -> Option<&Sequences> {
        Some(&self.sequences)
    }

    fn scan(&self, space: Space, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Pair> {
        let (keyspace, own) = self.place(space);
        let whole = [own, prefix].concat();
        let after = after.map(|after| [own, after].concat());
        let mut pairs = self.view.scan(keyspace, &whole, after.as_deref(), limit);
        for (key, _) in &mut pairs {
            key.drain(..own.len());
        }
        pairs
    }
}
