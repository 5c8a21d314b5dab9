//! Texts and lists: sequences whose order is computed, never stored and never hashed.
//!
//! What is stored and hashed is what each delta inserted, as minted ([`Spans`]), and which elements were deleted
//! ([`Stretch`]es): both merge by union. A [`Sequence`] is the order that follows from the spans, kept in memory so that
//! places are found and changed in O(log n).
//!
//! # Rules
//!
//! 1. **An element** (a character, an item, a new place of an item) is named by (mint, offset), and has two origins: the
//!    elements that stood left and right of it when it was inserted. They are in its causal past.
//! 2. **The order** is a function of the set of elements alone (`order.rs`).
//! 3. **A deleted element** stays as a place, because others may have it as their origin. Its content is forgotten in
//!    memory, not in the leaf.
//! 4. **An item** is shown at the greatest of its places, by (mint, offset), and once. To delete it is to delete the
//!    element that brought it, wherever it has moved.
//! 5. **A clone** shares all that neither changes: versions cost what they differ in.

mod arena;
mod cache;
mod changes;
mod chunk;
mod edit;
mod items;
mod load;
mod local;
mod mints;
mod order;
mod places;
pub(crate) mod span;
pub(crate) mod stretches;
mod trail;
mod tree;
mod version;

use std::ops::Range;
use std::sync::Arc;

use crate::clock::Hlc;
use crate::id::{DeltaId, Kind};

use chunk::{Chunk, Slice, measure_text};
use items::Places as ItemPlaces;
use mints::Mints;
use tree::{Count, ELEMENTS_MAX, Piece, Tree};

pub use cache::{SEQUENCES_BYTES_MAX, Sequences};
pub use changes::Change;
pub use edit::Edit;
pub use load::LoadError;
pub use local::Typist;
pub use span::{
    Anchor, CHUNK_ELEMENTS, Content, Deleted, DeletedOf, Item, Mint, Run, Spans, Stretch, deleted_key, deleted_prefix,
    spans_key, spans_prefix,
};
pub use trail::{TRAIL_BYTES_MAX, TextStep};
pub use version::{NotAVersion, TextVersion};

/// A text or a list in memory. Cheap to clone.
#[derive(Clone)]
pub struct Sequence {
    tree: Tree,
    mints: Mints,
    /// Items that have moved.
    items: ItemPlaces,
    content_bytes: usize,
    /// The same in all versions that were made of one another, so that their numbers mean the same.
    lineage: Arc<()>,
}

/// In what places in a text are counted. Items of a list count as one in either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Unicode scalar values.
    CodePoint,
    /// UTF-16 code units, as in browsers.
    Utf16,
}

/// Why a sequence refuses what it is given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SequenceError {
    /// A place beyond the end.
    #[error("place {at} is beyond the end, {len}")]
    OutOfRange {
        /// The place.
        at: u64,
        /// The length.
        len: u64,
    },
    /// A place in UTF-16 units between the two halves of a character.
    #[error("place {at} is inside a character")]
    SplitsCharacter {
        /// The place.
        at: u64,
    },
    /// More elements than a sequence in memory holds.
    #[error("the sequence has more than {ELEMENTS_MAX} elements, deleted ones included")]
    TooLong,
    /// An anchor names a mint that the sequence has not taken in.
    #[error("mint {0:?} is not in the sequence")]
    UnknownMint(Mint),
    /// An anchor names no element.
    #[error("an anchor names no element")]
    UnknownAnchor,
    /// The leaf of a mint that is in the sequence was not found.
    #[error("no delta that inserted at stamp {stamp} was found")]
    Unnamed {
        /// Its stamp.
        stamp: Hlc,
    },
}

/// Elements of a run that are shown, or not, together.
struct Segment {
    len: u32,
    content: Option<Chunk>,
}

impl Sequence {
    /// An empty text, or an empty list for any other kind.
    pub fn new(kind: Kind) -> Self {
        let empty = if kind == Kind::Text { Chunk::Text(String::new()) } else { Chunk::Items(Vec::new()) };
        let (tree, lineage) = (Tree::new(&empty), Arc::new(()));
        Self { tree, mints: Mints::default(), items: ItemPlaces::default(), content_bytes: 0, lineage }
    }

    /// How long it is.
    pub fn len(&self, unit: Unit) -> u64 {
        u64::from(unit.count().of(&self.tree.total().shown))
    }

    /// Whether it shows nothing.
    pub fn is_empty(&self) -> bool {
        self.len(Unit::CodePoint) == 0
    }

    /// Bytes of what it shows.
    pub fn content_bytes(&self) -> usize {
        self.content_bytes
    }

    /// How many elements it has, deleted ones included.
    pub fn elements(&self) -> u32 {
        self.tree.total().elements
    }

    /// About how many bytes of memory it takes, its content included; what versions share counts in each. Visits the
    /// whole.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.tree.memory_bytes() + self.mints.memory_bytes() + self.items.memory_bytes()
    }

    /// An upper estimate of [`Sequence::memory_bytes`] that visits nothing, by what texts were measured to cost.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.content_bytes * 2 + self.tree.total().elements as usize * 8
    }

    /// The place `at`, counted in one unit, in another.
    ///
    /// # Errors
    /// [`SequenceError::OutOfRange`], [`SequenceError::SplitsCharacter`].
    pub fn convert(&self, from: Unit, at: u64, to: Unit) -> Result<u64, SequenceError> {
        self.measure_to(from.count(), at).map(|measure| u64::from(to.count().of(&measure)))
    }

    /// On which line a place is, counted from 0: how many line feeds are before it.
    ///
    /// # Errors
    /// As for [`Sequence::convert`].
    pub fn line_of(&self, unit: Unit, at: u64) -> Result<u64, SequenceError> {
        self.measure_to(unit.count(), at).map(|measure| u64::from(measure.newlines))
    }

    /// Where a line begins, counted from 0.
    ///
    /// # Errors
    /// [`SequenceError::OutOfRange`] if there are fewer line feeds.
    pub fn line_start(&self, line: u64, unit: Unit) -> Result<u64, SequenceError> {
        self.measure_to(Count::Newlines, line).map(|measure| u64::from(unit.count().of(&measure)))
    }

    /// How many line feeds it has.
    pub fn newlines(&self) -> u64 {
        u64::from(self.tree.total().shown.newlines)
    }

    /// The text from one place to another.
    ///
    /// # Errors
    /// As for [`Sequence::convert`].
    pub fn text_slice(&self, unit: Unit, range: Range<u64>) -> Result<String, SequenceError> {
        let range = self.code_points(unit, range)?;
        let mut text = String::new();
        self.tree.show(range.start, range.end - range.start, |slice| match slice {
            Slice::Text(part) => text.push_str(part),
            Slice::Items(_) => {}
        });
        Ok(text)
    }

    /// The whole text.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(self.content_bytes);
        self.tree.show(0, self.tree.total().shown.visible, |slice| match slice {
            Slice::Text(part) => text.push_str(part),
            Slice::Items(_) => {}
        });
        text
    }

    /// Up to `limit` items from a place on.
    pub fn items(&self, at: u64, limit: usize) -> Vec<Arc<[u8]>> {
        let len = self.tree.total().shown.visible;
        let start = u32::try_from(at).map_or(len, |at| at.min(len));
        let count = u32::try_from(limit).map_or(len - start, |limit| limit.min(len - start));
        let mut items = Vec::with_capacity(count as usize);
        self.tree.show(start, count, |slice| match slice {
            Slice::Items(part) => items.extend_from_slice(part),
            Slice::Text(_) => {}
        });
        items
    }

    /// Takes in what a delta inserted. Deltas come in causal order, each once. `deltas_at` finds all deltas that have
    /// inserted into this sequence under a stamp; it is asked when two mints share one.
    ///
    /// # Errors
    /// [`SequenceError::TooLong`], or [`SequenceError::UnknownMint`] if the order was not causal. The sequence must be
    /// dropped then.
    pub fn insert(
        &mut self,
        mint: Mint,
        spans: &Spans,
        deltas_at: &dyn Fn(Hlc) -> Vec<DeltaId>,
    ) -> Result<(), SequenceError> {
        self.insert_but(mint, spans, &[], deltas_at)
    }

    /// Takes in that an element was deleted. What does not exist is left out.
    ///
    /// # Errors
    /// [`SequenceError::UnknownMint`].
    pub fn delete(&mut self, mint: &Mint, stretch: Stretch) -> Result<(), SequenceError> {
        let found = self.mints.seek(mint).ok_or(SequenceError::UnknownMint(*mint))?;
        let end = stretch.end().min(u64::from(found.len)) as u32;
        if stretch.start < end {
            self.delete_numbers(found.first + stretch.start..found.first + end);
        }
        Ok(())
    }

    /// How many elements a mint has, if what is in memory proves that there is such a mint.
    pub(crate) fn proven_len(&self, mint: &Mint) -> Option<u32> {
        self.mints.find_proven(mint).map(|found| found.len)
    }

    /// Takes in spans of which some elements are deleted already.
    pub(crate) fn insert_but(
        &mut self,
        mint: Mint,
        spans: &Spans,
        deleted: &[Stretch],
        deltas_at: &dyn Fn(Hlc) -> Vec<DeltaId>,
    ) -> Result<(), SequenceError> {
        let total = u64::from(self.mints.next_number()) + spans.len();
        if total > u64::from(ELEMENTS_MAX) {
            return Err(SequenceError::TooLong);
        }
        let start = self.mints.add(mint, spans.len() as u32, deltas_at);
        let is_deleted = |element: u32| stretches::contains(deleted, element - start);
        let mut first = start;
        for Run { left, right, content } in &spans.runs {
            let left = left.map(|left| self.number(spans, left)).transpose()?;
            let right = right.map(|right| self.number(spans, right)).transpose()?;
            match content {
                Content::Text(text) if deleted.is_empty() => {
                    let len = measure_text(text).visible;
                    self.integrate(Piece::new(first, len, left, right), Some(Slice::Text(text)));
                    first += len;
                }
                Content::Text(_) | Content::Items(_) | Content::Gone(_) => {
                    let segments = items::segments(content, first, &is_deleted);
                    let end = segments.iter().fold(first, |first, segment| first + segment.len);
                    self.insert_run(first, left, right, segments);
                    if let Content::Items(items) = content {
                        self.place_items(first, items, spans, &is_deleted)?;
                    }
                    first = end;
                }
            }
        }
        Ok(())
    }

    /// The number of the element that an anchor names.
    fn number(&mut self, spans: &Spans, anchor: Anchor) -> Result<u32, SequenceError> {
        let mint = spans.mint_of(anchor).ok_or(SequenceError::UnknownAnchor)?;
        let found = self.mints.seek(mint).ok_or(SequenceError::UnknownMint(*mint))?;
        // Numbers are placed in order: what is not in the tree belongs to the mint that is just coming in.
        if anchor.offset < found.len && found.first + anchor.offset < self.tree.total().elements {
            Ok(found.first + anchor.offset)
        } else {
            Err(SequenceError::UnknownAnchor)
        }
    }

    fn insert_run(&mut self, first: u32, left: Option<u32>, right: Option<u32>, segments: Vec<Segment>) {
        let (mut first, mut left) = (first, left);
        for (index, Segment { len, content }) in segments.into_iter().enumerate() {
            let piece = Piece::new(first, len, left, right).with_hidden(content.is_none());
            let content = content.as_ref().map(Chunk::all);
            if index == 0 {
                self.integrate(piece, content);
            } else {
                // Nothing else can hang on an element that has just come.
                self.content_bytes += content.map_or(0, Slice::bytes);
                let spot = self.tree.after(left);
                self.tree.insert(spot, piece, content);
            }
            first += len;
            left = Some(first - 1);
        }
    }

    fn integrate(&mut self, run: Piece, content: Option<Slice<'_>>) {
        self.content_bytes += content.map_or(0, Slice::bytes);
        order::integrate(&mut self.tree, &self.mints, run, content);
    }

    /// Checks all that must hold between the parts of the structure.
    ///
    /// # Panics
    /// If something does not.
    pub fn check(&self) {
        self.tree.check();
        assert_eq!(self.tree.total().elements, self.mints.next_number(), "each number has one element");
        let mut bytes = 0;
        self.tree.show(0, self.tree.total().shown.visible, |slice| {
            bytes += match slice {
                Slice::Text(text) => text.len(),
                Slice::Items(items) => items.iter().map(|item| item.len()).sum(),
            };
        });
        assert_eq!(bytes, self.content_bytes, "bytes of content");
    }

    fn delete_numbers(&mut self, numbers: Range<u32>) {
        self.delete_items(&numbers);
        self.hide(numbers);
    }

    /// Hides those elements that are visible.
    fn hide(&mut self, numbers: Range<u32>) {
        let mut first = numbers.start;
        while first < numbers.end {
            let (piece, offset) = self.tree.piece_of(first);
            let len = (piece.len() - offset).min(numbers.end - first);
            if !piece.is_hidden() {
                self.content_bytes -= self.tree.hide(self.tree.spot_of(first), len);
            }
            first += len;
        }
    }

    /// Whether there is such a range.
    ///
    /// # Errors
    /// As for [`Sequence::convert`].
    pub fn check_range(&self, unit: Unit, range: Range<u64>) -> Result<(), SequenceError> {
        self.code_points(unit, range).map(drop)
    }

    fn code_points(&self, unit: Unit, range: Range<u64>) -> Result<Range<u32>, SequenceError> {
        let start = self.measure_to(unit.count(), range.start)?.visible;
        let end = self.measure_to(unit.count(), range.end)?.visible;
        if start > end {
            return Err(SequenceError::OutOfRange { at: range.start, len: range.end });
        }
        Ok(start..end)
    }

    fn measure_to(&self, count: Count, at: u64) -> Result<chunk::Measure, SequenceError> {
        let len = u64::from(count.of(&self.tree.total().shown));
        if at > len {
            return Err(SequenceError::OutOfRange { at, len });
        }
        self.tree.measure_to(count, at as u32).ok_or(SequenceError::SplitsCharacter { at })
    }
}

impl Unit {
    fn count(self) -> Count {
        match self {
            Unit::CodePoint => Count::Visible,
            Unit::Utf16 => Count::Utf16,
        }
    }
}
