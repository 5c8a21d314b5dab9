//! What the tree is made of.

use std::ops::Range;

use crate::sequence::chunk::{Chunk, Measure};

/// Most pieces in a leaf, and most children of an inner node: a copy of either is half a KiB.
pub(super) const FANOUT: usize = 32;
/// Most bytes of content in a leaf: a change in a version that others hold copies so many, and to find a character
/// reads at most so many.
pub(super) const WEIGHT_MAX: usize = 1024;
/// Most elements of a sequence: two bits of a piece's length are flags.
pub(crate) const ELEMENTS_MAX: u32 = (1 << 30) - 1;

const HIDDEN: u32 = 1 << 31;
const BEFORE: u32 = 1 << 30;
const NONE: u32 = u32::MAX;

/// Elements with consecutive numbers that stand side by side, each the left origin of the next, with one right origin,
/// all visible or all hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The number of the first element.
    pub(crate) first: u32,
    len_and_flags: u32,
    left: u32,
    right: u32,
}

impl Piece {
    pub(crate) fn new(first: u32, len: u32, left: Option<u32>, right: Option<u32>) -> Self {
        Self { first, len_and_flags: len, left: left.unwrap_or(NONE), right: right.unwrap_or(NONE) }
    }

    pub(crate) fn with_hidden(self, hidden: bool) -> Self {
        let flag = if hidden { HIDDEN } else { 0 };
        Self { len_and_flags: self.len_and_flags & !HIDDEN | flag, ..self }
    }

    /// Sets whether the first element hangs on its right origin, not on its left one.
    pub(crate) fn with_before(self, before: bool) -> Self {
        let flag = if before { BEFORE } else { 0 };
        Self { len_and_flags: self.len_and_flags & !BEFORE | flag, ..self }
    }

    pub(crate) fn with_len(self, len: u32) -> Self {
        Self { len_and_flags: self.len_and_flags & (HIDDEN | BEFORE) | len, ..self }
    }

    pub(crate) fn len(self) -> u32 {
        self.len_and_flags & !(HIDDEN | BEFORE)
    }

    /// The number after that of the last element.
    pub(crate) fn end(self) -> u32 {
        self.first + self.len()
    }

    pub(crate) fn numbers(self) -> Range<u32> {
        self.first..self.end()
    }

    pub(crate) fn is_hidden(self) -> bool {
        self.len_and_flags & HIDDEN != 0
    }

    pub(crate) fn is_before(self) -> bool {
        self.len_and_flags & BEFORE != 0
    }

    pub(crate) fn visible(self) -> u32 {
        if self.is_hidden() { 0 } else { self.len() }
    }

    /// The left origin of the element at `offset`.
    pub(crate) fn left_of(self, offset: u32) -> Option<u32> {
        match offset {
            0 => self.left(),
            _ => Some(self.first + offset - 1),
        }
    }

    /// The left origin of the first element.
    pub(crate) fn left(self) -> Option<u32> {
        (self.left != NONE).then_some(self.left)
    }

    /// The right origin of all elements.
    pub(crate) fn right(self) -> Option<u32> {
        (self.right != NONE).then_some(self.right)
    }

    /// The first `at` elements, and the rest.
    pub(super) fn split(self, at: u32) -> (Piece, Piece) {
        let tail = Piece { first: self.first + at, left: self.first + at - 1, ..self };
        (self.with_len(at), tail.with_len(self.len() - at).with_before(false))
    }

    /// Whether `next`, which stands directly after, can be one piece with this.
    pub(super) fn joins(self, next: Piece) -> bool {
        next.first == self.end()
            && next.left == self.end() - 1
            && next.right == self.right
            && !next.is_before()
            && next.is_hidden() == self.is_hidden()
    }
}

/// What is below a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Elements, visible or not.
    pub(crate) elements: u32,
    /// The visible ones.
    pub(crate) shown: Measure,
}

impl std::ops::AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.elements += other.elements;
        self.shown += other.shown;
    }
}

impl std::ops::SubAssign for Sums {
    fn sub_assign(&mut self, other: Self) {
        self.elements -= other.elements;
        self.shown -= other.shown;
    }
}

#[derive(Clone)]
pub(super) struct Leaf {
    pub(super) parent: u32,
    pub(super) sums: Sums,
    pub(super) pieces: Vec<Piece>,
    pub(super) chunk: Chunk,
}

impl Leaf {
    /// Visible elements before the element at `offset` of a piece.
    pub(super) fn visible_before(&self, piece: usize, offset: u32) -> u32 {
        let before: u32 = self.pieces.iter().take(piece).map(|piece| piece.visible()).sum();
        match self.pieces.get(piece) {
            Some(piece) if !piece.is_hidden() => before + offset,
            Some(_) | None => before,
        }
    }

    /// The piece and offset of an element that is here.
    pub(super) fn find(&self, number: u32) -> (usize, u32) {
        let piece = self.pieces.iter().position(|piece| number.wrapping_sub(piece.first) < piece.len());
        let piece = piece.expect("INVARIANT: the places of numbers name the leaf that holds them");
        (piece, number - self.pieces[piece].first)
    }
}

/// A node above leaves (level 1) or above other inner nodes.
#[derive(Clone)]
pub(super) struct Inner {
    pub(super) parent: u32,
    pub(super) level: u32,
    pub(super) children: Vec<u32>,
    pub(super) sums: Vec<Sums>,
}

impl Inner {
    pub(super) fn place_of(&self, child: u32) -> usize {
        let place = self.children.iter().position(|other| *other == child);
        place.expect("INVARIANT: a node is among the children of its parent")
    }
}
