//! What is stored, hashed and merged for one element.
//!
//! A leaf is borsh: its tag, then its fields. Tags 1 to 4 are those of [`Leaf`]; 5 is kept for the ranges of
//! ids whose content a checkpoint dropped.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::clock::Hlc;
use crate::dot::{Dot, DotRef, Mark, SlotMark};
use crate::id::{Author, CollectionId, DeltaId, Kind};
use crate::op::Value;
use crate::sequence::span::{SequenceKey, check_stretches};
use crate::sequence::{CHUNK_ELEMENTS, Spans, Stretch};

/// The state of one element. Absent when there is nothing to say.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Leaf {
    /// The live values of a register, map entry or set member. Strictly ascending by dot, not empty.
    Values(Vec<(Dot, Value)>) = 1,
    /// One author's part of a counter. It stays after a reset, because additions made concurrently to the
    /// reset still need the baseline.
    Slot(Slot) = 2,
    /// What one delta inserted into a sequence, as minted.
    Spans(Spans) = 3,
    /// Deleted elements among [`CHUNK_ELEMENTS`] of one mint. Normalised: ascending, neither overlapping nor touching,
    /// not empty.
    Deleted(Vec<Stretch>) = 4,
}

/// One author's part of a counter.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Slot {
    /// All that the author has added, over all branches if it equivocates. Exact: 2^64 additions of
    /// `i64` fit.
    pub sum: i128,
    /// The newest addition; `None` if a reset named a slot that has none.
    pub last: Option<Mark>,
    /// The live baselines. Strictly ascending by dot.
    pub baselines: Vec<(Dot, Baseline)>,
}

/// What a reset had seen in a slot. Greater means that it covers more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Baseline {
    /// The newest addition that it covers.
    pub mark: Mark,
    /// The sum of what it covers.
    pub sum: i128,
}

/// A leaf's bytes in the store are not a leaf, or not one of its collection's kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored leaf {} is corrupt", data_encoding::HEXLOWER.encode(key))]
pub struct CorruptLeaf {
    /// The leaf's key.
    pub key: Vec<u8>,
}

/// The key of an element's leaf.
pub fn leaf_key(collection: CollectionId, key: &[u8]) -> Vec<u8> {
    [collection.as_bytes(), key].concat()
}

/// The key of an author's slot in a counter.
pub fn slot_key(counter: CollectionId, author: Author) -> Vec<u8> {
    leaf_key(counter, &author.0)
}

/// The collection that a leaf belongs to; `None` if `key` is not a leaf's key.
pub fn collection_of(key: &[u8]) -> Option<CollectionId> {
    CollectionId::from_bytes(*key.first_chunk::<32>()?)
}

impl Leaf {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        borsh::to_vec(self).expect("INVARIANT: writing to memory does not fail, and lists are shorter than 2^32")
    }

    /// Reads the leaf stored under `key`. What it accepts re-encodes to the same bytes.
    ///
    /// # Errors
    /// [`CorruptLeaf`] if the bytes are not canonical, or not of the kind that the key's collection has.
    pub fn decode(key: &[u8], bytes: &[u8]) -> Result<Self, CorruptLeaf> {
        let corrupt = || CorruptLeaf { key: key.to_vec() };
        let leaf: Leaf = borsh::from_slice(bytes).map_err(|_| corrupt())?;
        let (collection, element) = key.split_at_checked(32).ok_or_else(corrupt)?;
        let kind = collection.first().copied().and_then(Kind::from_tag).ok_or_else(corrupt)?;
        let canonical = match &leaf {
            Leaf::Values(values) => {
                !values.is_empty()
                    && values.is_sorted_by(|a, b| a.0 < b.0)
                    && values.iter().all(|(_, value)| value_fits(kind, element, value))
            }
            Leaf::Slot(slot) => {
                !slot.is_empty()
                    && slot.baselines.is_sorted_by(|a, b| a.0 < b.0)
                    && kind == Kind::Counter
                    && element.len() == 32
            }
            Leaf::Spans(spans) => {
                matches!(SequenceKey::parse(element), Some(SequenceKey::Spans(_)))
                    && matches!(kind, Kind::Text | Kind::List)
                    && !spans.is_empty()
                    && spans.check(kind).is_ok()
                    && spans.is_whole_or_gone()
            }
            Leaf::Deleted(stretches) => {
                let Some(SequenceKey::Deleted { chunk, .. }) = SequenceKey::parse(element) else {
                    return Err(corrupt());
                };
                matches!(kind, Kind::Text | Kind::List)
                    && check_stretches(stretches).is_ok()
                    && stretches.iter().all(|stretch| {
                        let last = stretch.start.saturating_add(stretch.len - 1);
                        stretch.start / CHUNK_ELEMENTS == chunk && last / CHUNK_ELEMENTS == chunk
                    })
            }
        };
        if canonical { Ok(leaf) } else { Err(corrupt()) }
    }
}

fn value_fits(kind: Kind, element: &[u8], value: &Value) -> bool {
    match value {
        Value::Bytes(_) => kind == Kind::Map || (kind == Kind::Register && element.is_empty()),
        Value::Nested(_) => kind == Kind::Map,
        Value::Unit => kind == Kind::Set,
    }
}

impl Slot {
    /// What the author contributes to the counter.
    pub fn value(&self) -> i128 {
        let baseline = self.baselines.iter().map(|(_, baseline)| baseline).max();
        self.sum.wrapping_sub(baseline.map_or(0, |baseline| baseline.sum))
    }

    /// Whether it says nothing, so that there is no leaf.
    pub(crate) fn is_empty(&self) -> bool {
        self.last.is_none() && self.baselines.is_empty()
    }

    /// What a reset must name to take everything in the slot of `author` away; `None` if an earlier
    /// reset already has.
    pub(crate) fn observe(&self, author: Author) -> Option<SlotMark> {
        let mark = self.last.unwrap_or(NOTHING_ADDED);
        let all = Baseline { mark, sum: self.sum };
        if let [(_, only)] = self.baselines.as_slice()
            && *only == all
        {
            return None;
        }
        let names = self.baselines.iter().map(|(dot, _)| dot.name());
        Some(SlotMark { author, mark, sum: self.sum, overwrites: ascending(names) })
    }
}

/// Covers no addition: what an honest reset says of a slot that only a lying one has touched.
const NOTHING_ADDED: Mark = Mark { stamp: Hlc::ZERO, delta: DeltaId([0; 32]) };

/// The names of dots, in the order that operations list them.
pub(crate) fn ascending(names: impl Iterator<Item = DotRef>) -> Vec<DotRef> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names
}
