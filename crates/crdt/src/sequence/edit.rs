//! Changes of one call: made on a clone that shows them at once, and told as one operation at the end.
//!
//! The elements that a call inserts get provisional numbers above all others. What the call ends with is what counts:
//! neighbouring insertions are one run, what was inserted and deleted again is not told, and anchors are elements that
//! were there before. A run lies between two of them that were neighbours, so whoever takes the operation in finds the
//! place that the call showed.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::chunk::Slice;
use super::span::{Element, Minted, MintedItem, SpansBuilder};
use super::stretches::normalised;
use super::tree::{ELEMENTS_MAX, Piece};
use super::{Deleted, DeletedOf, Mint, Sequence, SequenceError, Spans, Stretch, Unit};
use crate::clock::Hlc;
use crate::id::DeltaId;

/// Encoded size of a run beside its content: two anchors, the mints that they name, tag and length.
const RUN_BYTES: usize = 2 * (1 + 8) + 2 * MINT_BYTES + 5;
/// Encoded size of a stretch with a mint of its own.
const DELETED_BYTES: usize = MINT_BYTES + 4 + 8;
const MINT_BYTES: usize = 40;
/// Encoded size of a list's item beside its value.
const ITEM_BYTES: usize = 1 + 4;
/// Encoded size of the new place of an item: an anchor with a mint of its own.
const MOVED_BYTES: usize = 1 + 8 + MINT_BYTES;

/// A sequence that is being changed.
#[derive(Clone)]
pub struct Edit {
    sequence: Sequence,
    /// The first provisional number.
    base: u32,
    /// The next one.
    next: u32,
    /// Elements that were there and are deleted.
    deleted: Vec<Range<u32>>,
    /// Provisional elements that are new places of items, and the elements that brought those.
    moved: BTreeMap<u32, u32>,
    bytes: usize,
}

impl Edit {
    /// Nothing changed yet.
    pub fn new(sequence: &Sequence) -> Self {
        let base = sequence.mints.next_number();
        Self { sequence: sequence.clone(), base, next: base, deleted: Vec::new(), moved: BTreeMap::new(), bytes: 0 }
    }

    /// All that there was deleted; that it is, is told otherwise.
    pub(crate) fn of_cleared(sequence: &Sequence) -> Self {
        let mut edit = Self::new(sequence);
        while !edit.sequence.is_empty() {
            let first = edit.sequence.tree.visible_element(0);
            let (piece, offset) = edit.sequence.tree.piece_of(first);
            edit.sequence.hide(first..first + piece.len() - offset);
        }
        edit
    }

    /// How many elements it adds: what it deleted again does not travel.
    pub(crate) fn own(&self) -> u32 {
        self.groups().iter().flatten().map(|piece| piece.visible()).sum()
    }

    /// Whether nothing is shown that was there, though there was something.
    pub(crate) fn deletes_all(&self) -> bool {
        let moved = self.moved.len() as u32;
        !self.deleted.is_empty() && self.own() - moved == self.sequence.tree.total().shown.visible
    }

    /// The sequence with the changes.
    pub fn sequence(&self) -> &Sequence {
        &self.sequence
    }

    /// At most so many bytes the operation takes, beside its fixed part.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Inserts text.
    ///
    /// # Errors
    /// [`SequenceError`]; nothing is changed then.
    pub fn insert_text(&mut self, unit: Unit, at: u64, text: &str) -> Result<(), SequenceError> {
        let at = self.sequence.measure_to(unit.count(), at)?.visible;
        if text.is_empty() {
            return Ok(());
        }
        let continues = self.insert(at, Slice::Text(text))?;
        self.bytes += text.len() + if continues { 0 } else { RUN_BYTES };
        Ok(())
    }

    /// Inserts items.
    ///
    /// # Errors
    /// [`SequenceError`]; nothing is changed then.
    pub fn insert_items(&mut self, at: u64, values: Vec<Vec<u8>>) -> Result<(), SequenceError> {
        let at = self.sequence.measure_to(Unit::CodePoint.count(), at)?.visible;
        if values.is_empty() {
            return Ok(());
        }
        let bytes: usize = values.iter().map(|value| ITEM_BYTES + value.len()).sum();
        let values: Vec<Arc<[u8]>> = values.into_iter().map(Arc::from).collect();
        let continues = self.insert(at, Slice::Items(&values))?;
        self.bytes += bytes + if continues { 0 } else { RUN_BYTES };
        Ok(())
    }

    /// Deletes `range`.
    ///
    /// # Errors
    /// [`SequenceError`]; nothing is changed then.
    pub fn delete(&mut self, unit: Unit, range: Range<u64>) -> Result<(), SequenceError> {
        let range = self.sequence.code_points(unit, range)?;
        let mut rest = range.end - range.start;
        while rest > 0 {
            let first = self.sequence.tree.visible_element(range.start);
            let (piece, offset) = self.sequence.tree.piece_of(first);
            // A piece may have grown beyond the last number that was there.
            let same_side = if first < self.base { piece.end().min(self.base) } else { piece.end() };
            let len = (piece.len() - offset).min(rest).min(same_side - first);
            self.delete_elements(first..first + len);
            rest -= len;
        }
        Ok(())
    }

    /// Moves the item at `from`, so that it is at `to` then.
    ///
    /// # Errors
    /// [`SequenceError::OutOfRange`]; nothing is changed then.
    pub fn move_item(&mut self, from: u64, to: u64) -> Result<(), SequenceError> {
        let len = self.sequence.len(Unit::CodePoint);
        if let Some(at) = [from, to].into_iter().find(|at| *at >= len) {
            return Err(SequenceError::OutOfRange { at, len });
        }
        if from == to {
            return Ok(());
        }
        self.check_room(1)?;
        let place = self.sequence.tree.visible_element(from as u32);
        let item = self.item_at(place);
        let value = self.sequence.tree.item_of(place);
        self.sequence.hide(place..place + 1);
        self.moved.remove(&place);
        let new = self.next;
        self.insert(to as u32, Slice::Items(value.as_slice()))?;
        if item < self.base {
            self.moved.insert(new, item);
        }
        self.bytes += RUN_BYTES + MOVED_BYTES;
        Ok(())
    }

    /// What the delta inserts and deletes. `delta_at` finds the delta of a mint that is alone under its stamp.
    pub fn finish(&self, delta_at: &mut dyn FnMut(Hlc) -> Option<DeltaId>) -> Result<(Spans, Deleted), SequenceError> {
        Ok((self.inserted(delta_at)?, Deleted::Some(self.deleted(delta_at)?)))
    }

    /// What the delta inserts.
    pub(crate) fn inserted(&self, delta_at: &mut dyn FnMut(Hlc) -> Option<DeltaId>) -> Result<Spans, SequenceError> {
        let mut name = |number: u32| self.name(number, delta_at);
        let mut builder = SpansBuilder::default();
        for group in self.groups() {
            let content = self.content_of(&group, &mut name)?;
            let (Some(content), Some(first), Some(last)) = (content, group.first(), group.last()) else { continue };
            let tree = &self.sequence.tree;
            let left = tree.previous(tree.before(Some(first.first))).map(|(piece, _)| piece.end() - 1);
            let right = tree.element_at(tree.after(Some(last.end() - 1)));
            let left = left.map(&mut name).transpose()?;
            let right = right.map(&mut name).transpose()?;
            builder.push(left, right, content);
        }
        Ok(builder.build())
    }

    /// What the delta deletes, of what was there.
    pub(crate) fn deleted(
        &self,
        delta_at: &mut dyn FnMut(Hlc) -> Option<DeltaId>,
    ) -> Result<Vec<DeletedOf>, SequenceError> {
        let mut deleted: BTreeMap<Mint, Vec<Stretch>> = BTreeMap::new();
        for range in normalised(self.deleted.clone()) {
            let mut first = range.start;
            while first < range.end {
                let (mint, start) = self.name(first, delta_at)?;
                let mint_end = self.sequence.mints.of(first);
                let end = range.end.min(mint_end.first + mint_end.len);
                let stretches = deleted.entry(mint).or_default();
                super::stretches::add(stretches, start, start + (end - first));
                first = end;
            }
        }
        Ok(deleted.into_iter().map(|(mint, stretches)| DeletedOf { mint, stretches }).collect())
    }

    /// Puts content before the visible element `at`; whether it continues what was inserted last.
    fn insert(&mut self, at: u32, content: Slice<'_>) -> Result<bool, SequenceError> {
        let len = content.measure().visible;
        self.check_room(len)?;
        let left = self.sequence.insert_before(at, self.next, len, content);
        let continues = left.is_some_and(|left| left >= self.base && left + 1 == self.next);
        self.next += len;
        Ok(continues)
    }

    fn check_room(&self, len: u32) -> Result<(), SequenceError> {
        // A sum of two counts below 2^30.
        if self.next + len.min(ELEMENTS_MAX) > ELEMENTS_MAX { Err(SequenceError::TooLong) } else { Ok(()) }
    }

    /// Deletes visible elements of one piece, all provisional or none.
    fn delete_elements(&mut self, elements: Range<u32>) {
        if elements.start >= self.base {
            for place in elements.clone() {
                if let Some(item) = self.moved.remove(&place) {
                    self.note_deleted(item..item + 1);
                }
            }
        } else if self.sequence.items.is_empty() {
            self.note_deleted(elements.clone());
        } else {
            for place in elements.clone() {
                let item = self.sequence.items.item_at(place);
                self.note_deleted(item..item + 1);
            }
        }
        self.sequence.hide(elements);
    }

    fn note_deleted(&mut self, elements: Range<u32>) {
        match self.deleted.last_mut() {
            Some(last) if last.end == elements.start => last.end = elements.end,
            Some(last) if last.start == elements.end => last.start = elements.start,
            Some(_) | None => self.deleted.push(elements.clone()),
        }
        let mut first = elements.start;
        while first < elements.end {
            self.bytes += DELETED_BYTES;
            let mint = self.sequence.mints.of(first);
            first = mint.first + mint.len;
        }
    }

    /// The element that brought the item that a visible element shows.
    fn item_at(&self, place: u32) -> u32 {
        self.moved.get(&place).copied().unwrap_or_else(|| self.sequence.items.item_at(place))
    }

    /// The provisional pieces, those together that stand side by side, in order.
    fn groups(&self) -> Vec<Vec<Piece>> {
        let mut pieces = Vec::new();
        let mut first = self.base;
        while first < self.next {
            let (piece, offset) = self.sequence.tree.piece_of(first);
            let len = piece.len() - offset;
            let part = Piece::new(first, len, None, None).with_hidden(piece.is_hidden());
            pieces.push((self.sequence.tree.rank(first), part));
            first += len;
        }
        pieces.sort_unstable_by_key(|(rank, _)| *rank);
        let mut groups: Vec<Vec<Piece>> = Vec::new();
        let mut end = None;
        for (rank, piece) in pieces {
            match groups.last_mut() {
                Some(group) if end == Some(rank) => group.push(piece),
                Some(_) | None => groups.push(vec![piece]),
            }
            end = Some(rank + piece.len());
        }
        groups
    }

    /// What a group shows; `None` if nothing is left of it.
    fn content_of(
        &self,
        group: &[Piece],
        name: &mut dyn FnMut(u32) -> Result<Element, SequenceError>,
    ) -> Result<Option<Minted>, SequenceError> {
        let Some(first) = group.iter().find(|piece| !piece.is_hidden()) else { return Ok(None) };
        let at = self.sequence.tree.sums_before(first.first).shown.visible;
        let len = group.iter().map(|piece| piece.visible()).sum();
        let (mut text, mut values) = (String::new(), Vec::new());
        self.sequence.tree.show(at, len, |slice| match slice {
            Slice::Text(part) => text.push_str(part),
            Slice::Items(part) => values.extend_from_slice(part),
        });
        if values.is_empty() {
            return Ok(Some(Minted::Text(text)));
        }
        let places = group.iter().filter(|piece| !piece.is_hidden()).flat_map(|piece| piece.numbers());
        let item = |(place, value): (u32, Arc<[u8]>)| match self.moved.get(&place) {
            Some(item) => name(*item).map(MintedItem::Moved),
            None => Ok(MintedItem::Value(value.to_vec())),
        };
        places.zip(values).map(item).collect::<Result<Vec<_>, _>>().map(|items| Some(Minted::Items(items)))
    }

    /// The name of an element that was there.
    fn name(&self, number: u32, delta_at: &mut dyn FnMut(Hlc) -> Option<DeltaId>) -> Result<Element, SequenceError> {
        let mints = &self.sequence.mints;
        let named = mints.of(number);
        let delta = mints.id_of(named.first).or_else(|| delta_at(named.stamp));
        let unknown = || SequenceError::Unnamed { stamp: named.stamp };
        let mint = Mint { stamp: named.stamp, delta: delta.ok_or_else(unknown)? };
        Ok((mint, number - named.first))
    }
}

impl Sequence {
    /// Puts elements with the numbers from `first` on before the visible place `at`, directly after the element that is
    /// visible there; that element.
    pub(super) fn insert_before(&mut self, at: u32, first: u32, len: u32, content: Slice<'_>) -> Option<u32> {
        let (left, spot) = match at.checked_sub(1) {
            Some(before) => {
                let (spot, _) = self.tree.visible_spot(before);
                (Some(self.tree.number_at(spot)), self.tree.step_over(spot, 1))
            }
            None => (None, self.tree.after(None)),
        };
        let next = self.tree.next(spot).map(|(piece, _)| piece);
        let before = next.is_some_and(|next| next.left() == left);
        let piece = Piece::new(first, len, left, next.map(|next| next.first)).with_before(before);
        self.content_bytes += content.bytes();
        self.tree.insert(spot, piece, Some(content));
        left
    }
}
