//! How this crate sees the store: an ordered map with four key spaces for each context.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::ops::Bound;
use std::rc::Rc;
use std::sync::Arc;

use crate::sequence::Sequences;

/// A key space of one context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// Leaf key (collection id, then element key) to [`Leaf`](crate::Leaf). This is the state; the others are
    /// derived from it.
    Leaf,
    /// Nodes of the state tree by path, and its root.
    Node,
    /// Collection id to the number of its leaves, a little-endian `u64`; absent if 0.
    Count,
    /// What the app keeps on this node alone ([`Private`](crate::Private)): no part of the state.
    Private,
}

/// A consistent view of one context's state.
pub trait Read {
    /// The value of `key`.
    fn get(&self, space: Space, key: &[u8]) -> Option<Vec<u8>>;

    /// The texts and lists of this version that are in memory, if somebody keeps them. What is loaded while the view
    /// is used is added there, so the view of the next version has it.
    fn sequences(&self) -> Option<&Sequences> {
        None
    }

    /// Up to `limit` pairs whose keys begin with `prefix`, in key order, only those strictly after the full key
    /// `after` if given. Fewer than `limit` means that there are no more.
    fn scan(&self, space: Space, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<(Vec<u8>, Vec<u8>)>;
}

macro_rules! read_through {
    ($pointer:ty) => {
        impl<R: Read + ?Sized> Read for $pointer {
            fn get(&self, space: Space, key: &[u8]) -> Option<Vec<u8>> {
                (**self).get(space, key)
            }

            fn sequences(&self) -> Option<&Sequences> {
                (**self).sequences()
            }

            fn scan(&self, space: Space, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
                (**self).scan(space, prefix, after, limit)
            }
        }
    };
}
read_through!(&R);
read_through!(Box<R>);
read_through!(Rc<R>);
read_through!(Arc<R>);

/// A view with the texts and lists of its version that are in memory.
#[derive(Clone, Debug)]
pub struct WithSequences<R> {
    /// The view.
    pub read: R,
    /// Those of the version that it shows: of the [`Commit`](crate::Commit) that made it, or none loaded.
    pub sequences: Sequences,
}

impl<R: Read> Read for WithSequences<R> {
    fn get(&self, space: Space, key: &[u8]) -> Option<Vec<u8>> {
        self.read.get(space, key)
    }

    fn sequences(&self) -> Option<&Sequences> {
        Some(&self.sequences)
    }

    fn scan(&self, space: Space, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.read.scan(space, prefix, after, limit)
    }
}

/// One change of the store; `None` deletes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Which key space.
    pub space: Space,
    /// Which key.
    pub key: Vec<u8>,
    /// The new value.
    pub value: Option<Vec<u8>>,
}

/// A state in memory, for tests, simulation and the app test kit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryState {
    leaves: BTreeMap<Vec<u8>, Vec<u8>>,
    nodes: BTreeMap<Vec<u8>, Vec<u8>>,
    counts: BTreeMap<Vec<u8>, Vec<u8>>,
    private: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl MemoryState {
    /// An empty state.
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies the writes of a commit, in order.
    pub fn apply_writes(&mut self, writes: &[Write]) {
        for Write { space, key, value } in writes {
            let space = self.space_mut(*space);
            match value {
                Some(value) => space.insert(key.clone(), value.clone()),
                None => space.remove(key),
            };
        }
    }

    /// All pairs of a key space, in key order.
    pub fn pairs(&self, space: Space) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.space(space).iter().map(|(key, value)| (key.as_slice(), value.as_slice()))
    }

    fn space(&self, space: Space) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        match space {
            Space::Leaf => &self.leaves,
            Space::Node => &self.nodes,
            Space::Count => &self.counts,
            Space::Private => &self.private,
        }
    }

    fn space_mut(&mut self, space: Space) -> &mut BTreeMap<Vec<u8>, Vec<u8>> {
        match space {
            Space::Leaf => &mut self.leaves,
            Space::Node => &mut self.nodes,
            Space::Count => &mut self.counts,
            Space::Private => &mut self.private,
        }
    }
}

impl Read for MemoryState {
    fn get(&self, space: Space, key: &[u8]) -> Option<Vec<u8>> {
        self.space(space).get(key).cloned()
    }

    fn scan(&self, space: Space, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        with_prefix(self.space(space), prefix, after)
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }
}

/// The pairs from the first key that is not before `prefix` and is after `after`.
pub(crate) fn with_prefix<'m, V>(
    map: &'m BTreeMap<Vec<u8>, V>,
    prefix: &[u8],
    after: Option<&[u8]>,
) -> Range<'m, Vec<u8>, V> {
    let start = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        Some(_) | None => Bound::Included(prefix),
    };
    map.range::<[u8], _>((start, Bound::Unbounded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_is_bounded_ordered_and_stays_within_its_prefix() {
        let mut state = MemoryState::new();
        let keys: [&[u8]; 5] = [b"a", b"ab", b"abc", b"ac", b"b"];
        let writes = keys.map(|key| Write { space: Space::Leaf, key: key.to_vec(), value: Some(vec![]) });
        state.apply_writes(&writes);
        let scan = |prefix: &[u8], after: Option<&[u8]>, limit| -> Vec<Vec<u8>> {
            state.scan(Space::Leaf, prefix, after, limit).into_iter().map(|(key, _)| key).collect()
        };
        assert_eq!(scan(b"a", None, 10), [&b"a"[..], b"ab", b"abc", b"ac"]);
        assert_eq!(scan(b"a", Some(b"ab"), 10), [&b"abc"[..], b"ac"]);
        assert_eq!(scan(b"ab", Some(b"a"), 1), [b"ab"]);
        assert!(scan(b"a", Some(b"b"), 10).is_empty());
        assert!(state.scan(Space::Count, b"", None, 10).is_empty());
    }
}
