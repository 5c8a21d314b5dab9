//! A context's state as the collections read it: four key spaces, found in the store under the context's id.

use mesto_crdt::{Read, Space};
use mesto_governance::ContextId;

use crate::layout;
use crate::store::{Keyspace, Pair};
use crate::view::View;

/// The state of one context within a view.
#[derive(Clone, Debug)]
pub struct ContextState {
    view: View,
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
            leaves: layout::leaves(context),
            counts: layout::counts(context),
            tree: layout::tree(context),
            private: layout::private(context),
        }
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
