//! The changed elements and counters of a draft, above the state that they change.

use std::collections::BTreeMap;

use crate::dot::{Dot, DotRef, SlotMark};
use crate::id::{Author, CollectionId, Kind};
use crate::leaf::{CorruptLeaf, Leaf, Slot, ascending, collection_of};
use crate::op::{Op, Value};
use crate::read::{Read, Space, with_prefix};
use crate::sequence::{Edit, Sequence, SequenceError, TextStep, TextVersion, Unit};
use crate::state::leaf_count_of;

use super::DraftError;
use super::sequences::ChangedSequences;

/// Leaves that one scan of the store fetches. Small, because a leaf may hold values of 10 MiB.
const SCAN_PAGE: usize = 32;

/// Encoded sizes, which let a draft know its delta's length without encoding it.
const LIST_BYTES: usize = 4;
const TAG_BYTES: usize = 1;
const COLLECTION_BYTES: usize = 32;
const DOT_REF_BYTES: usize = 36;
const SLOT_MARK_BYTES: usize = 32 + 8 + 32 + 16 + LIST_BYTES;
const AMOUNT_BYTES: usize = 8;

pub(super) struct Overlay<R> {
    read: R,
    /// By leaf key. An element is here if it has an operation.
    elements: BTreeMap<Vec<u8>, Element>,
    counters: BTreeMap<CollectionId, CounterChange>,
    sequences: ChangedSequences,
    len_changes: BTreeMap<CollectionId, i64>,
    ops_bytes: usize,
    ops_bytes_max: usize,
    too_large: bool,
}

/// An element that the call has changed.
struct Element {
    /// The dots that are live in the state.
    observed: Vec<DotRef>,
    /// The kinds of collections that they make present.
    nested: Vec<Kind>,
    now: Option<Value>,
}

#[derive(Default)]
struct CounterChange {
    amount: i64,
    /// `Some` if the call removed the counter: what it observed.
    reset: Option<Vec<SlotMark>>,
}

impl<R: Read> Overlay<R> {
    pub(super) fn new(read: R, ops_bytes_max: usize) -> Self {
        Self {
            read,
            elements: BTreeMap::new(),
            counters: BTreeMap::new(),
            sequences: ChangedSequences::default(),
            len_changes: BTreeMap::new(),
            ops_bytes: LIST_BYTES,
            ops_bytes_max,
            too_large: false,
        }
    }

    pub(super) fn ops_bytes(&self) -> usize {
        self.ops_bytes
    }

    pub(super) fn finish(self) -> Result<Vec<Op>, DraftError> {
        if self.too_large {
            return Err(DraftError::DeltaTooLarge { max: self.ops_bytes_max });
        }
        let elements = self.elements.into_iter().filter_map(|(leaf, element)| element.op(&leaf));
        let mut ops: Vec<Op> = elements.collect();
        for (collection, change) in self.counters {
            if change.amount != 0 {
                ops.push(Op::CounterAdd { collection, amount: change.amount });
            }
            if let Some(observed) = change.reset.filter(|observed| !observed.is_empty()) {
                ops.push(Op::CounterReset { collection, observed });
            }
        }
        ops.extend(self.sequences.finish(&self.read)?);
        ops.sort_by(|a, b| a.place().cmp(&b.place()));
        Ok(ops)
    }

    /// What reads return for the element at `leaf`.
    pub(super) fn value(&self, leaf: &[u8]) -> Result<Option<Value>, DraftError> {
        match self.elements.get(leaf) {
            Some(element) => Ok(element.now.clone()),
            None => Ok(winner(self.base(leaf)?)),
        }
    }

    /// Leaves of a collection.
    pub(super) fn len(&self, collection: CollectionId) -> Result<u64, DraftError> {
        let corrupt = || DraftError::CorruptCount { collection };
        let base = leaf_count_of(&self.read, collection).ok_or_else(corrupt)?;
        let change = self.len_changes.get(&collection).copied().unwrap_or(0);
        base.checked_add_signed(change).ok_or_else(corrupt)
    }

    /// The elements of a collection in order, without the collection's id in their keys.
    pub(super) fn scan(
        &self,
        collection: CollectionId,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Value)>, DraftError> {
        let prefix = collection.as_bytes().as_slice();
        let mut after = after.map(|after| [prefix, after].concat());
        let mut found: Vec<(Vec<u8>, Value)> = Vec::new();
        while found.len() < limit {
            let page = self.read.scan(Space::Leaf, prefix, after.as_deref(), SCAN_PAGE);
            let end = page.last().filter(|_| page.len() == SCAN_PAGE).map(|(leaf, _)| leaf.clone());
            let mut base = page.into_iter().peekable();
            let mut changed = with_prefix(&self.elements, prefix, after.as_deref())
                .take_while(|(leaf, _)| leaf.starts_with(prefix))
                .take_while(|(leaf, _)| end.as_ref().is_none_or(|end| *leaf <= end))
                .peekable();
            while found.len() < limit {
                let next_base = base.peek().map(|(leaf, _)| leaf);
                let step = changed.next_if(|(leaf, _)| next_base.is_none_or(|base| *leaf <= base));
                let (leaf, value) = match step {
                    Some((leaf, element)) => {
                        base.next_if(|(base, _)| base == leaf);
                        (leaf.clone(), element.now.clone())
                    }
                    None => match base.next() {
                        Some((leaf, bytes)) => {
                            let value = winner(values(&leaf, &bytes)?);
                            (leaf, value)
                        }
                        None => break,
                    },
                };
                let key = leaf.get(COLLECTION_BYTES..).unwrap_or_default().to_vec();
                found.extend(value.map(|value| (key, value)));
            }
            match end {
                Some(end) => after = Some(end),
                None => break,
            }
        }
        Ok(found)
    }

    /// Sets the element at `leaf`.
    pub(super) fn set(&mut self, leaf: Vec<u8>, now: Option<Value>) -> Result<(), DraftError> {
        let (mut element, bytes_before) = match self.elements.remove(&leaf) {
            Some(element) => {
                let bytes = element.op_bytes(&leaf);
                (element, bytes)
            }
            None => (Element::new(self.base(&leaf)?), 0),
        };
        if let Some(collection) = collection_of(&leaf) {
            *self.len_changes.entry(collection).or_default() +=
                i64::from(now.is_some()) - i64::from(element.now.is_some());
        }
        element.now = now;
        let bytes = element.op_bytes(&leaf);
        if bytes > 0 {
            self.elements.insert(leaf, element);
        }
        self.resize(bytes_before, bytes)
    }

    /// Sets the element at `leaf`, and removes all that is in the collections that it held.
    pub(super) fn replace(&mut self, leaf: Vec<u8>, now: Option<Value>) -> Result<(), DraftError> {
        let below = self.below(&leaf)?;
        self.set(leaf, now)?;
        self.clear(below)
    }

    /// Removes all that is in these collections.
    pub(super) fn clear(&mut self, mut pending: Vec<CollectionId>) -> Result<(), DraftError> {
        while let Some(collection) = pending.pop() {
            match collection.kind() {
                Some(Kind::Register | Kind::Map | Kind::Set) => {
                    self.clear_elements(collection, &mut pending)?;
                }
                Some(Kind::Counter) => self.reset(collection)?,
                Some(Kind::List | Kind::Text) => {
                    let (before, after) = self.sequences.clear(collection);
                    self.resize(before, after)?;
                }
                // No operation can have put anything there.
                Some(Kind::UserMap | Kind::Frozen | Kind::Shared) | None => {}
            }
        }
        Ok(())
    }

    /// Adds to a counter.
    pub(super) fn add(&mut self, counter: CollectionId, amount: i64) -> Result<(), DraftError> {
        let change = self.counters.entry(counter).or_default();
        let before = change.op_bytes();
        change.amount = change.amount.checked_add(amount).ok_or(DraftError::AmountOutOfRange)?;
        let after = change.op_bytes();
        self.resize(before, after)
    }

    /// A counter's value.
    pub(super) fn sum(&self, counter: CollectionId) -> Result<i128, DraftError> {
        let change = self.counters.get(&counter);
        let amount = i128::from(change.map_or(0, |change| change.amount));
        if change.is_some_and(|change| change.reset.is_some()) {
            return Ok(amount);
        }
        let mut sum = amount;
        self.visit(counter, |leaf, bytes| {
            sum = sum.wrapping_add(slot(leaf, bytes)?.value());
            Ok(())
        })?;
        Ok(sum)
    }

    /// Shows a text or list as the call has left it.
    pub(super) fn with_sequence<T>(
        &self,
        collection: CollectionId,
        look: impl FnOnce(&Sequence) -> Result<T, SequenceError>,
    ) -> Result<T, DraftError> {
        self.sequences.with(&self.read, collection, look)
    }

    /// How many elements a text or list will have, deleted ones included.
    pub(super) fn elements(&self, collection: CollectionId) -> Result<u64, DraftError> {
        self.sequences.elements(&self.read, collection)
    }

    /// How a text came to be what it is, as far as that is remembered of the version below the draft.
    pub(super) fn steps(
        &self,
        collection: CollectionId,
        from: TextVersion,
        to: TextVersion,
        unit: Unit,
    ) -> Option<Vec<TextStep>> {
        if from == to {
            return Some(Vec::new());
        }
        self.read.sequences()?.steps(collection, from, to, unit)
    }

    /// Changes a text or list.
    pub(super) fn edit_sequence(
        &mut self,
        collection: CollectionId,
        change: impl FnOnce(&mut Edit) -> Result<(), SequenceError>,
    ) -> Result<(), DraftError> {
        let (before, after) = self.sequences.edit(&self.read, collection, change)?;
        self.resize(before, after)
    }

    fn reset(&mut self, counter: CollectionId) -> Result<(), DraftError> {
        let mut change = self.counters.remove(&counter).unwrap_or_default();
        let before = change.op_bytes();
        change.amount = 0;
        if change.reset.is_none() {
            let mut observed = Vec::new();
            self.visit(counter, |leaf, bytes| {
                observed.extend(slot(leaf, bytes)?.observe(slot_author(leaf)?));
                Ok(())
            })?;
            change.reset = Some(observed);
        }
        let after = change.op_bytes();
        self.counters.insert(counter, change);
        self.resize(before, after)
    }

    fn clear_elements(&mut self, collection: CollectionId, pending: &mut Vec<CollectionId>) -> Result<(), DraftError> {
        let prefix = collection.as_bytes().as_slice();
        let changed: Vec<Vec<u8>> = with_prefix(&self.elements, prefix, None)
            .map(|(leaf, _)| leaf)
            .take_while(|leaf| leaf.starts_with(prefix))
            .cloned()
            .collect();
        for leaf in changed {
            pending.extend(self.below(&leaf)?);
            self.set(leaf, None)?;
        }
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.read.scan(Space::Leaf, prefix, after.as_deref(), SCAN_PAGE);
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            for (leaf, _) in page {
                if !self.elements.contains_key(&leaf) {
                    pending.extend(self.below(&leaf)?);
                    self.set(leaf, None)?;
                }
            }
        }
    }

    /// The collections that the element at `leaf` holds: now, or by any of its live dots.
    fn below(&self, leaf: &[u8]) -> Result<Vec<CollectionId>, DraftError> {
        let loaded;
        let element = match self.elements.get(leaf) {
            Some(element) => element,
            None => {
                loaded = Element::new(self.base(leaf)?);
                &loaded
            }
        };
        let (Some(map), Some(key)) = (collection_of(leaf), leaf.get(COLLECTION_BYTES..)) else {
            return Ok(Vec::new());
        };
        let now = match element.now {
            Some(Value::Nested(kind)) if !element.nested.contains(&kind) => Some(kind),
            Some(Value::Nested(_) | Value::Bytes(_) | Value::Unit) | None => None,
        };
        Ok(element.nested.iter().copied().chain(now).map(|kind| map.child(kind, key)).collect())
    }

    /// Shows each leaf of a collection in the state.
    fn visit(
        &self,
        collection: CollectionId,
        mut show: impl FnMut(&[u8], &[u8]) -> Result<(), CorruptLeaf>,
    ) -> Result<(), CorruptLeaf> {
        let prefix = collection.as_bytes();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.read.scan(Space::Leaf, prefix, after.as_deref(), SCAN_PAGE);
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            for (leaf, bytes) in &page {
                show(leaf, bytes)?;
            }
        }
    }

    /// The live values of an element in the state.
    fn base(&self, leaf: &[u8]) -> Result<Values, CorruptLeaf> {
        match self.read.get(Space::Leaf, leaf) {
            Some(bytes) => values(leaf, &bytes),
            None => Ok(Vec::new()),
        }
    }

    fn resize(&mut self, before: usize, after: usize) -> Result<(), DraftError> {
        self.ops_bytes = self.ops_bytes - before + after;
        if self.ops_bytes > self.ops_bytes_max {
            self.too_large = true;
            return Err(DraftError::DeltaTooLarge { max: self.ops_bytes_max });
        }
        Ok(())
    }
}

type Values = Vec<(Dot, Value)>;

fn values(leaf: &[u8], bytes: &[u8]) -> Result<Values, CorruptLeaf> {
    match Leaf::decode(leaf, bytes)? {
        Leaf::Values(values) => Ok(values),
        Leaf::Slot(_) | Leaf::Spans(_) | Leaf::Deleted(_) => Err(CorruptLeaf { key: leaf.to_vec() }),
    }
}

fn slot(leaf: &[u8], bytes: &[u8]) -> Result<Slot, CorruptLeaf> {
    match Leaf::decode(leaf, bytes)? {
        Leaf::Slot(slot) => Ok(slot),
        Leaf::Values(_) | Leaf::Spans(_) | Leaf::Deleted(_) => Err(CorruptLeaf { key: leaf.to_vec() }),
    }
}

fn slot_author(leaf: &[u8]) -> Result<Author, CorruptLeaf> {
    let author = leaf.get(COLLECTION_BYTES..).and_then(|author| author.try_into().ok());
    author.map(Author).ok_or_else(|| CorruptLeaf { key: leaf.to_vec() })
}

/// The last writer's value.
fn winner(mut values: Values) -> Option<Value> {
    values.pop().map(|(_, value)| value)
}

impl Element {
    fn new(values: Values) -> Self {
        let observed = ascending(values.iter().map(|(dot, _)| dot.name()));
        let mut nested = Vec::new();
        for (_, value) in &values {
            if let Value::Nested(kind) = value
                && !nested.contains(kind)
            {
                nested.push(*kind);
            }
        }
        Self { observed, nested, now: winner(values) }
    }

    fn op(self, leaf: &[u8]) -> Option<Op> {
        let collection = collection_of(leaf)?;
        let key = leaf.get(COLLECTION_BYTES..)?.to_vec();
        match self.now {
            Some(value) => Some(Op::Assign { collection, key, value, overwrites: self.observed }),
            None if self.observed.is_empty() => None,
            None => Some(Op::Remove { collection, key, observed: self.observed }),
        }
    }

    /// The encoded length of [`Element::op`]; 0 if there is none.
    fn op_bytes(&self, leaf: &[u8]) -> usize {
        let value = match &self.now {
            Some(Value::Bytes(bytes)) => TAG_BYTES + LIST_BYTES + bytes.len(),
            Some(Value::Nested(_)) => TAG_BYTES + TAG_BYTES,
            Some(Value::Unit) => TAG_BYTES,
            None if self.observed.is_empty() => return 0,
            None => 0,
        };
        // The leaf key is collection and key, and the key is a list.
        let names = LIST_BYTES + self.observed.len() * DOT_REF_BYTES;
        TAG_BYTES + leaf.len() + LIST_BYTES + value + names
    }
}

impl CounterChange {
    /// The encoded length of its operations.
    fn op_bytes(&self) -> usize {
        let add = match self.amount {
            0 => 0,
            _ => TAG_BYTES + COLLECTION_BYTES + AMOUNT_BYTES,
        };
        let observed = self.reset.as_deref().unwrap_or_default();
        let marks = |mark: &SlotMark| SLOT_MARK_BYTES + mark.overwrites.len() * DOT_REF_BYTES;
        match observed {
            [] => add,
            _ => {
                let marks: usize = observed.iter().map(marks).sum();
                add + TAG_BYTES + COLLECTION_BYTES + LIST_BYTES + marks
            }
        }
    }
}
