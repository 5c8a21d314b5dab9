//! Applying deltas to the state.

mod rebuild;
mod splice;

use std::collections::{BTreeMap, BTreeSet};

use crate::dot::{Dot, DotRef, Mark, SlotMark};
use crate::id::{CollectionId, DeltaId, Kind};
use crate::leaf::{Baseline, CorruptLeaf, Leaf, Slot, collection_of, leaf_key, slot_key};
use crate::op::{Delta, Op, OpError, Value};
use crate::read::{Read, Space, Write};
use crate::sequence::{Deleted, Mint, Sequences, deleted_key, spans_key};
use crate::tree::{Change, CorruptTree, ElementId, LeafHash, RootHash, TreeCache, update};

pub use rebuild::{Rebuilding, Rebuilt};
use splice::{Followed, Splice, deleted_keys, each_minted};

/// Applies deltas on top of a read view; [`Transaction::finish`] gives the writes of all of them as one
/// batch.
///
/// Deltas come in causal order, each once. Nothing is shared with the outside until `finish`: to abandon a
/// transaction is to drop it.
pub struct Transaction<'a> {
    read: &'a dyn Read,
    cache: &'a mut TreeCache,
    touched: BTreeMap<Vec<u8>, Touched>,
    followed: Followed,
}

/// A leaf that the transaction has looked at.
struct Touched {
    before: Option<Vec<u8>>,
    now: Option<Leaf>,
}

/// What a transaction changes.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The changes of the store, each key once. Atomic, or not at all.
    pub writes: Vec<Write>,
    /// The root of the state after them.
    pub root: RootHash,
    /// Leaves of the state after them.
    pub leaves: u64,
    /// How many leaves they put, change or delete.
    pub changed: u64,
    /// The texts and lists of the state after them that are in memory: for the next view, if it keeps any.
    pub sequences: Sequences,
}

/// Why a delta cannot be applied. A transaction that returned [`ApplyError::Malformed`] is as it was
/// before; after any other error it must be dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// An operation breaks a rule.
    #[error("operation {index}: {error}")]
    Malformed {
        /// Which.
        index: usize,
        /// The rule.
        error: OpError,
    },
    /// The store's leaf is not ours.
    #[error(transparent)]
    CorruptLeaf(#[from] CorruptLeaf),
    /// The store's tree is not ours.
    #[error(transparent)]
    CorruptTree(#[from] CorruptTree),
    /// The store's leaf count of a collection is not ours.
    #[error("the leaf count of collection {collection} is corrupt")]
    CorruptCount {
        /// The collection.
        collection: CollectionId,
    },
}

impl<'a> Transaction<'a> {
    /// A transaction on the state that `read` shows. `cache` is of the same context; of which version does
    /// not matter.
    pub fn new(read: &'a dyn Read, cache: &'a mut TreeCache) -> Self {
        Self { read, cache, touched: BTreeMap::new(), followed: Followed::default() }
    }

    /// Applies a delta. `in_past` tells whether a delta is in the causal past of this one, void or not; it must give the
    /// same answer on every replica that applies both. Of deltas that are not held it may say anything.
    ///
    /// # Errors
    /// [`ApplyError::Malformed`] before any effect, the others if the store is corrupt.
    pub fn apply(&mut self, delta: &Delta<'_>, in_past: &dyn Fn(&DeltaId) -> bool) -> Result<(), ApplyError> {
        self.check(delta, in_past)?;
        self.apply_where(delta, in_past, &|_| true)
    }

    /// Applies a delta that is void: nothing can be seen of it, but the places of what it inserted into texts and lists
    /// are there, so that what others inserted beside them finds its own.
    ///
    /// # Errors
    /// As for [`Transaction::apply`]: what is malformed is so whether it is void or not.
    pub fn apply_void(&mut self, delta: &Delta<'_>, in_past: &dyn Fn(&DeltaId) -> bool) -> Result<(), ApplyError> {
        self.check(delta, in_past)?;
        self.apply_void_where(delta, &|_| true)
    }

    /// The keys of all leaves that a delta can touch, in the state as this transaction has made it.
    ///
    /// # Errors
    /// [`CorruptLeaf`] if the store is corrupt.
    pub fn leaf_keys(
        &self,
        delta: &Delta<'_>,
        in_past: &dyn Fn(&DeltaId) -> bool,
    ) -> Result<BTreeSet<Vec<u8>>, CorruptLeaf> {
        let mut keys = delta.leaf_keys(self.read, in_past)?;
        for op in delta.ops {
            if let Op::Splice { collection, deleted: Deleted::All, .. } = op {
                // What came with this same transaction is not in the store yet.
                let minted = self.minted(*collection)?;
                let past = minted.into_iter().filter(|(mint, _)| mint.delta != delta.id && in_past(&mint.delta));
                keys.extend(past.flat_map(|(mint, len)| splice::deleted_keys(*collection, mint, len)));
            }
        }
        Ok(keys)
    }

    /// Puts a leaf as it is, for instance from a verified snapshot; `None` deletes it.
    ///
    /// # Errors
    /// [`ApplyError::CorruptLeaf`] if `bytes` are not the canonical leaf of an element's `key`; nothing is
    /// changed then.
    pub fn put(&mut self, key: Vec<u8>, bytes: Option<&[u8]>) -> Result<(), ApplyError> {
        if collection_of(&key).is_none() {
            return Err(CorruptLeaf { key }.into());
        }
        let leaf = bytes.map(|bytes| Leaf::decode(&key, bytes)).transpose()?;
        self.forget_sequence(&key);
        *self.leaf(key)? = leaf;
        Ok(())
    }

    /// The writes, and the root after them.
    ///
    /// # Errors
    /// If the store is corrupt.
    pub fn finish(self) -> Result<Commit, ApplyError> {
        let Self { read, cache, touched, followed } = self;
        let mut writes = Vec::new();
        let mut changes = Vec::new();
        let mut counts: BTreeMap<CollectionId, i64> = BTreeMap::new();
        for (key, Touched { before, now }) in touched {
            let now = now.as_ref().map(Leaf::encode);
            if now == before {
                continue;
            }
            let element = ElementId::of(&key);
            let leaf = now.as_ref().map(|bytes| LeafHash::of(element, bytes));
            changes.push(Change { element, leaf });
            if let Some(collection) = collection_of(&key) {
                *counts.entry(collection).or_default() += i64::from(now.is_some()) - i64::from(before.is_some());
            }
            writes.push(Write { space: Space::Leaf, key, value: now });
        }
        for (collection, change) in counts {
            if change != 0 {
                writes.push(count_write(read, collection, change)?);
            }
        }
        changes.sort_unstable_by_key(|change| change.element);
        let tree = update(read, cache, &changes)?;
        writes.extend(tree.writes);
        let changed = changes.len() as u64;
        Ok(Commit {
            writes,
            root: tree.root.hash.into(),
            leaves: tree.root.leaves,
            changed,
            sequences: followed.next(read),
        })
    }

    fn check(&mut self, delta: &Delta<'_>, in_past: &dyn Fn(&DeltaId) -> bool) -> Result<(), ApplyError> {
        for (index, op) in delta.ops.iter().enumerate() {
            op.check().map_err(|error| ApplyError::Malformed { index, error })?;
        }
        self.check_splices(delta, in_past)
    }

    /// The leaf of a text or list was changed otherwise than by a splice.
    fn forget_sequence(&mut self, key: &[u8]) {
        if let Some(collection) = collection_of(key)
            && matches!(collection.kind(), Some(Kind::Text | Kind::List))
        {
            self.followed.forget(collection);
        }
    }

    fn apply_void_where(&mut self, delta: &Delta<'_>, wanted: &dyn Fn(&[u8]) -> bool) -> Result<(), ApplyError> {
        for op in delta.ops {
            if let Op::Splice { collection, inserted, deleted } = op {
                let splice = Splice { collection: *collection, inserted, deleted };
                self.splice_void(delta, splice, wanted)?;
            }
        }
        Ok(())
    }

    /// Applies what the delta does to the leaves whose keys `wanted` accepts.
    fn apply_where(
        &mut self,
        delta: &Delta<'_>,
        in_past: &dyn Fn(&DeltaId) -> bool,
        wanted: &dyn Fn(&[u8]) -> bool,
    ) -> Result<(), ApplyError> {
        // A delta is never in its own past, whatever the caller says.
        let gives_way = |dot: &Dot, named: &[DotRef], same_author_counts: bool| {
            let seen = named.binary_search(&dot.name()).is_ok() || (same_author_counts && dot.author == delta.author);
            seen && dot.delta != delta.id && in_past(&dot.delta)
        };
        for (index, op) in (0u32..).zip(delta.ops) {
            let dot = delta.dot(index);
            match op {
                Op::Assign { collection, key, value, overwrites } => {
                    let key = leaf_key(*collection, key);
                    if wanted(&key) {
                        self.values(key, |values| {
                            values.retain(|(old, _)| !gives_way(old, overwrites, true));
                            insert(values, dot, value);
                        })?;
                    }
                }
                Op::Remove { collection, key, observed } => {
                    let key = leaf_key(*collection, key);
                    if wanted(&key) {
                        self.values(key, |values| {
                            values.retain(|(old, _)| !gives_way(old, observed, false));
                        })?;
                    }
                }
                Op::CounterAdd { collection, amount } => {
                    let key = slot_key(*collection, delta.author);
                    if wanted(&key) {
                        self.slot(key, |slot| add(slot, *amount, delta))?;
                    }
                }
                Op::CounterReset { collection, observed } => {
                    for mark in observed {
                        let key = slot_key(*collection, mark.author);
                        if wanted(&key) {
                            self.slot(key, |slot| {
                                let named = &mark.overwrites;
                                slot.baselines.retain(|(old, _)| !gives_way(old, named, true));
                                insert(&mut slot.baselines, dot, &baseline(mark));
                            })?;
                        }
                    }
                }
                Op::Splice { collection, inserted, deleted } => {
                    let splice = Splice { collection: *collection, inserted, deleted };
                    self.splice(delta, splice, in_past, wanted)?;
                }
            }
        }
        Ok(())
    }

    /// Changes the values at an element. A leaf without values is absent.
    fn values(&mut self, key: Vec<u8>, change: impl FnOnce(&mut Vec<(Dot, Value)>)) -> Result<(), CorruptLeaf> {
        let leaf = self.leaf(key)?;
        let mut values = match leaf.take() {
            Some(Leaf::Values(values)) => values,
            // Cannot be: the collection's id fixes the kind of its leaves, and decoding checks it.
            Some(Leaf::Slot(_) | Leaf::Spans(_) | Leaf::Deleted(_)) | None => Vec::new(),
        };
        change(&mut values);
        *leaf = (!values.is_empty()).then_some(Leaf::Values(values));
        Ok(())
    }

    /// Changes an author's slot of a counter.
    fn slot(&mut self, key: Vec<u8>, change: impl FnOnce(&mut Slot)) -> Result<(), CorruptLeaf> {
        let leaf = self.leaf(key)?;
        let mut slot = match leaf.take() {
            Some(Leaf::Slot(slot)) => slot,
            Some(Leaf::Values(_) | Leaf::Spans(_) | Leaf::Deleted(_)) | None => Slot::default(),
        };
        change(&mut slot);
        *leaf = (!slot.is_empty()).then_some(Leaf::Slot(slot));
        Ok(())
    }

    fn leaf(&mut self, key: Vec<u8>) -> Result<&mut Option<Leaf>, CorruptLeaf> {
        use std::collections::btree_map::Entry;
        match self.touched.entry(key) {
            Entry::Occupied(entry) => Ok(&mut entry.into_mut().now),
            Entry::Vacant(entry) => {
                let before = self.read.get(Space::Leaf, entry.key());
                let now = before.as_ref().map(|bytes| Leaf::decode(entry.key(), bytes)).transpose()?;
                Ok(&mut entry.insert(Touched { before, now }).now)
            }
        }
    }
}

impl Delta<'_> {
    /// The keys of all leaves that the delta can touch, void or not. `read` shows a state in which it is held, and
    /// `in_past` is as for [`Transaction::apply`]: to clear a text touches what others inserted.
    ///
    /// # Errors
    /// [`CorruptLeaf`] if the store is corrupt.
    pub fn leaf_keys(
        &self,
        read: &dyn Read,
        in_past: &dyn Fn(&DeltaId) -> bool,
    ) -> Result<BTreeSet<Vec<u8>>, CorruptLeaf> {
        let mut keys = BTreeSet::new();
        for op in self.ops {
            match op {
                Op::Assign { collection, key, .. } | Op::Remove { collection, key, .. } => {
                    keys.insert(leaf_key(*collection, key));
                }
                Op::CounterAdd { collection, .. } => {
                    keys.insert(slot_key(*collection, self.author));
                }
                Op::CounterReset { collection, observed } => {
                    keys.extend(observed.iter().map(|mark| slot_key(*collection, mark.author)));
                }
                Op::Splice { collection, inserted, deleted } => {
                    if !inserted.is_empty() {
                        let mint = Mint { stamp: self.stamp, delta: self.id };
                        keys.insert(spans_key(*collection, &mint));
                    }
                    match deleted {
                        Deleted::Some(of) => {
                            for of in of {
                                let chunks = of.stretches.iter().flat_map(|stretch| stretch.chunks());
                                keys.extend(chunks.map(|chunk| deleted_key(*collection, &of.mint, chunk)));
                            }
                        }
                        Deleted::All => each_minted(read, *collection, |mint, len| {
                            if mint.delta != self.id && in_past(&mint.delta) {
                                keys.extend(deleted_keys(*collection, mint, len));
                            }
                        })?,
                    }
                }
            }
        }
        Ok(keys)
    }
}

fn insert<T: Clone>(list: &mut Vec<(Dot, T)>, dot: Dot, value: &T) {
    match list.binary_search_by(|(other, _)| other.cmp(&dot)) {
        Ok(_) => {}
        Err(place) => list.insert(place, (dot, value.clone())),
    }
}

fn add(slot: &mut Slot, amount: i64, delta: &Delta<'_>) {
    slot.sum = slot.sum.wrapping_add(i128::from(amount));
    slot.last = slot.last.max(Some(Mark { stamp: delta.stamp, delta: delta.id }));
}

fn baseline(mark: &SlotMark) -> Baseline {
    Baseline { mark: mark.mark, sum: mark.sum }
}

fn count_write(read: &dyn Read, collection: CollectionId, change: i64) -> Result<Write, ApplyError> {
    let corrupt = || ApplyError::CorruptCount { collection };
    let before = leaf_count_of(read, collection).ok_or_else(corrupt)?;
    let now = before.checked_add_signed(change).ok_or_else(corrupt)?;
    let key = collection.as_bytes().to_vec();
    let value = (now > 0).then(|| now.to_le_bytes().to_vec());
    Ok(Write { space: Space::Count, key, value })
}

/// How many leaves a collection has; `None` if the record is corrupt.
pub(crate) fn leaf_count_of(read: &dyn Read, collection: CollectionId) -> Option<u64> {
    match read.get(Space::Count, collection.as_bytes()) {
        Some(bytes) => Some(u64::from_le_bytes(bytes.try_into().ok()?)),
        None => Some(0),
    }
}
