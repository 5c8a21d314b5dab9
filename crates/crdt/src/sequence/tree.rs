//! The order in memory: a B-tree of pieces that counts what is below each node.
//!
//! Nodes are in arenas, so that a clone shares all of them and a change copies one path. They know their parents: from
//! an element's number one finds its leaf ([`Places`]), and climbs to where it stands.

mod change;
mod check;
mod node;

use std::sync::Arc;

use super::arena::Arena;
use super::chunk::{Chunk, Measure, Slice};
use super::places::Places;
use node::{Inner, Leaf};

pub(crate) use node::{ELEMENTS_MAX, Piece, Sums};

#[derive(Clone)]
pub(crate) struct Tree {
    leaves: Arena<Leaf>,
    inners: Arena<Inner>,
    places: Places,
    /// A leaf at height 0, else an inner node of that level.
    root: u32,
    height: u32,
    total: Sums,
}

/// A place between elements, or an element: the one after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    leaf: u32,
    piece: usize,
    offset: u32,
}

/// A leaf at level 0, else an inner node of that level, with all that is below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    node: u32,
    level: u32,
}

/// In what places are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    Visible,
    Utf16,
    Newlines,
}

impl Count {
    pub(crate) fn of(self, measure: &Measure) -> u32 {
        match self {
            Count::Visible => measure.visible,
            Count::Utf16 => measure.utf16,
            Count::Newlines => measure.newlines,
        }
    }
}

impl Tree {
    /// An empty tree for content of the sort of `chunk`.
    pub(crate) fn new(chunk: &Chunk) -> Self {
        let mut leaves = Arena::default();
        let chunk = chunk.empty_like();
        leaves.push(Leaf { parent: 0, sums: Sums::default(), pieces: Vec::new(), chunk });
        let (inners, places) = (Arena::default(), Places::default());
        Self { leaves, inners, places, root: 0, height: 0, total: Sums::default() }
    }

    pub(crate) fn total(&self) -> &Sums {
        &self.total
    }

    /// Where an element stands.
    pub(crate) fn spot_of(&self, number: u32) -> Spot {
        let leaf = self.places.leaf_of(number);
        let (piece, offset) = self.leaf(leaf).find(number);
        Spot { leaf, piece, offset }
    }

    /// The piece that an element is in, and its place there.
    pub(crate) fn piece_of(&self, number: u32) -> (Piece, u32) {
        let Spot { leaf, piece, offset } = self.spot_of(number);
        (self.leaf(leaf).pieces[piece], offset)
    }

    /// The place directly after an element; `None` stands for the beginning.
    pub(crate) fn after(&self, number: Option<u32>) -> Spot {
        match number {
            Some(number) => self.step_over(self.spot_of(number), 1),
            None => Spot { leaf: self.edge_leaf(self.root, self.height, false), piece: 0, offset: 0 },
        }
    }

    /// The place directly before an element; `None` stands for the end.
    pub(crate) fn before(&self, number: Option<u32>) -> Spot {
        match number {
            Some(number) => self.spot_of(number),
            None => {
                let leaf = self.edge_leaf(self.root, self.height, true);
                Spot { leaf, piece: self.leaf(leaf).pieces.len(), offset: 0 }
            }
        }
    }

    /// What stands after a place: the rest of a piece, and the place after it.
    pub(crate) fn next(&self, spot: Spot) -> Option<(Piece, Spot)> {
        let Spot { leaf, piece, offset } = spot;
        if let Some(found) = self.leaf(leaf).pieces.get(piece) {
            let rest = if offset > 0 { found.split(offset).1 } else { *found };
            return Some((rest, Spot { leaf, piece: piece + 1, offset: 0 }));
        }
        let leaf = self.neighbour(Part { node: leaf, level: 0 }, true)?;
        Some((self.leaf(leaf).pieces[0], Spot { leaf, piece: 1, offset: 0 }))
    }

    /// What stands before a place: the beginning of a piece, and the place before it.
    pub(crate) fn previous(&self, spot: Spot) -> Option<(Piece, Spot)> {
        let Spot { leaf, piece, offset } = spot;
        if offset > 0 {
            let head = self.leaf(leaf).pieces[piece].split(offset).0;
            return Some((head, Spot { leaf, piece, offset: 0 }));
        }
        let (leaf, piece) = match piece.checked_sub(1) {
            Some(before) => (leaf, before),
            None => {
                let leaf = self.neighbour(Part { node: leaf, level: 0 }, false)?;
                (leaf, self.leaf(leaf).pieces.len() - 1)
            }
        };
        Some((self.leaf(leaf).pieces[piece], Spot { leaf, piece, offset: 0 }))
    }

    /// The element after a place.
    pub(crate) fn element_at(&self, spot: Spot) -> Option<u32> {
        self.next(spot).map(|(piece, _)| piece.first)
    }

    /// What stands before an element.
    pub(crate) fn sums_before(&self, number: u32) -> Sums {
        let Spot { leaf: id, piece, offset } = self.spot_of(number);
        let leaf = self.leaf(id);
        let visible = leaf.visible_before(piece, offset);
        let elements: u32 = leaf.pieces.iter().take(piece).map(|piece| piece.len()).sum();
        let mut sums = Sums { elements: elements + offset, shown: self.measure_in(leaf, visible) };
        let (mut node, mut parent) = (id, leaf.parent);
        for _ in 0..self.height {
            let inner = self.inner(parent);
            let place = inner.place_of(node);
            inner.sums.iter().take(place).for_each(|before| sums += *before);
            (node, parent) = (parent, inner.parent);
        }
        sums
    }

    /// How many elements stand before an element.
    pub(crate) fn rank(&self, number: u32) -> u32 {
        let Spot { leaf: id, piece, offset } = self.spot_of(number);
        let leaf = self.leaf(id);
        let mut rank: u32 = leaf.pieces.iter().take(piece).map(|piece| piece.len()).sum::<u32>() + offset;
        let (mut node, mut parent) = (id, leaf.parent);
        for _ in 0..self.height {
            let inner = self.inner(parent);
            let place = inner.place_of(node);
            rank += inner.sums.iter().take(place).map(|before| before.elements).sum::<u32>();
            (node, parent) = (parent, inner.parent);
        }
        rank
    }

    /// The place of the visible element `at`, of which there are more, and how many elements of its piece are there
    /// from it on.
    pub(crate) fn visible_spot(&self, at: u32) -> (Spot, u32) {
        let (leaf, mut rest) = self.visible_leaf(at);
        for (piece, found) in self.leaf(leaf).pieces.iter().enumerate() {
            if rest < found.visible() {
                return (Spot { leaf, piece, offset: rest }, found.len() - rest);
            }
            rest -= found.visible();
        }
        unreachable!("INVARIANT: there are more visible elements than {at}")
    }

    /// The visible element `at`, of which there are more.
    pub(crate) fn visible_element(&self, at: u32) -> u32 {
        self.number_at(self.visible_spot(at).0)
    }

    /// The element at a place that is one.
    pub(crate) fn number_at(&self, spot: Spot) -> u32 {
        self.leaf(spot.leaf).pieces[spot.piece].first + spot.offset
    }

    /// What a visible element shows.
    pub(crate) fn item_of(&self, number: u32) -> Option<Arc<[u8]>> {
        let Spot { leaf, piece, offset } = self.spot_of(number);
        let leaf = self.leaf(leaf);
        let at = leaf.visible_before(piece, offset);
        match leaf.chunk.slice(at..at + 1, leaf.sums.shown.visible) {
            Slice::Items(items) => items.first().cloned(),
            Slice::Text(_) => None,
        }
    }

    /// The leaf with the visible element `at`, and its place among the visible ones there.
    fn visible_leaf(&self, at: u32) -> (u32, u32) {
        let (mut node, mut rest) = (self.root, at);
        for _ in 0..self.height {
            let inner = self.inner(node);
            let mut place = 0;
            while place + 1 < inner.sums.len() && rest >= inner.sums[place].shown.visible {
                rest -= inner.sums[place].shown.visible;
                place += 1;
            }
            node = inner.children[place];
        }
        (node, rest)
    }

    /// All measures of what is before the place that is `amount` units from the beginning, the first such place. `None`
    /// if there are fewer units, or if the place is inside a character.
    pub(crate) fn measure_to(&self, count: Count, amount: u32) -> Option<Measure> {
        if amount > count.of(&self.total.shown) {
            return None;
        }
        let (mut node, mut rest) = (self.root, amount);
        let mut measure = Measure::default();
        for _ in 0..self.height {
            let inner = self.inner(node);
            let mut place = 0;
            while place + 1 < inner.sums.len() && rest > count.of(&inner.sums[place].shown) {
                rest -= count.of(&inner.sums[place].shown);
                measure += inner.sums[place].shown;
                place += 1;
            }
            node = inner.children[place];
        }
        let leaf = self.leaf(node);
        let visible = match count {
            Count::Visible => rest,
            Count::Utf16 if leaf.sums.shown.utf16 == leaf.sums.shown.visible => rest,
            Count::Utf16 | Count::Newlines => visible_to(leaf, count, rest)?,
        };
        measure += self.measure_in(leaf, visible);
        Some(measure)
    }

    /// Shows the visible elements from `at` on, `len` of which there are, piece by piece of memory.
    pub(crate) fn show(&self, at: u32, len: u32, mut show: impl FnMut(Slice<'_>)) {
        if len == 0 {
            return;
        }
        let (mut leaf, mut start) = self.visible_leaf(at);
        let mut rest = len;
        while rest > 0 {
            let node = self.leaf(leaf);
            let visible = node.sums.shown.visible;
            let end = visible.min(start.saturating_add(rest));
            if start < end {
                show(node.chunk.slice(start..end, visible));
                rest -= end - start;
            }
            start = 0;
            match self.neighbour(Part { node: leaf, level: 0 }, true) {
                Some(next) => leaf = next,
                None => break,
            }
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let leaf =
            |leaf: &Leaf| size_of::<Leaf>() + 24 + leaf.pieces.capacity() * size_of::<Piece>() + leaf.chunk.weight();
        let inner = |inner: &Inner| {
            size_of::<Inner>() + 24 + inner.children.capacity() * 4 + inner.sums.capacity() * size_of::<Sums>()
        };
        let leaves: usize = self.leaves.iter().map(leaf).sum();
        leaves + self.inners.iter().map(inner).sum::<usize>() + self.places.memory_bytes()
    }

    /// A place `by` elements further, in the same piece or at its end.
    pub(crate) fn step_over(&self, spot: Spot, by: u32) -> Spot {
        let offset = spot.offset + by;
        if offset < self.leaf(spot.leaf).pieces[spot.piece].len() {
            Spot { offset, ..spot }
        } else {
            Spot { leaf: spot.leaf, piece: spot.piece + 1, offset: 0 }
        }
    }

    /// The place `by` elements further, at most at the end of the piece, and in the next leaf rather than at the end of
    /// one; `None` at the end of the sequence.
    pub(crate) fn skip(&self, spot: Spot, by: u32) -> Option<Spot> {
        // A place at the end of a leaf is the beginning of the next one.
        let here = if spot.piece == self.leaf(spot.leaf).pieces.len() { self.next_leaf(spot)? } else { spot };
        let after = self.step_over(here, by);
        if after.piece == self.leaf(after.leaf).pieces.len() { self.next_leaf(after) } else { Some(after) }
    }

    /// The beginning of the next leaf.
    fn next_leaf(&self, spot: Spot) -> Option<Spot> {
        self.after_part(Part { node: spot.leaf, level: 0 })
    }

    /// The greatest part of the tree that begins at this place in both versions and that both share.
    pub(crate) fn shared_part(&self, spot: Spot, other: &Tree, of_other: Spot) -> Option<Part> {
        let is_beginning = spot.piece == 0 && spot.offset == 0 && spot == of_other;
        if !is_beginning || !self.leaves.shares(&other.leaves, spot.leaf as usize) {
            return None;
        }
        // A change below a node changes the node's sums or children, so what is below one that both share is shared too.
        let (mut part, mut parent) = (Part { node: spot.leaf, level: 0 }, self.leaf(spot.leaf).parent);
        while part.level < self.height.min(other.height)
            && self.inners.shares(&other.inners, parent as usize)
            && self.inner(parent).place_of(part.node) == 0
        {
            part = Part { node: parent, level: part.level + 1 };
            parent = self.inner(parent).parent;
        }
        Some(part)
    }

    /// How many elements a part shows.
    pub(crate) fn shown_in_part(&self, part: Part) -> u32 {
        match part.level {
            0 => self.leaf(part.node).sums.shown.visible,
            _ => self.inner(part.node).sums.iter().map(|sums| sums.shown.visible).sum(),
        }
    }

    /// The beginning of the leaf after a part.
    pub(crate) fn after_part(&self, part: Part) -> Option<Spot> {
        self.neighbour(part, true).map(|leaf| Spot { leaf, piece: 0, offset: 0 })
    }

    fn measure_in(&self, leaf: &Leaf, visible: u32) -> Measure {
        leaf.chunk.slice(0..visible, leaf.sums.shown.visible).measure()
    }

    /// The first or last leaf below a node.
    fn edge_leaf(&self, mut node: u32, level: u32, last: bool) -> u32 {
        for _ in 0..level {
            let children = &self.inner(node).children;
            let child = if last { children.last() } else { children.first() };
            node = *child.expect("INVARIANT: an inner node has children");
        }
        node
    }

    /// The leaf after or before a part.
    fn neighbour(&self, Part { mut node, level }: Part, after: bool) -> Option<u32> {
        let mut parent = if level == 0 { self.leaf(node).parent } else { self.inner(node).parent };
        for level in level..self.height {
            let inner = self.inner(parent);
            let place = inner.place_of(node);
            let next = if after { Some(place + 1) } else { place.checked_sub(1) };
            if let Some(next) = next.and_then(|next| inner.children.get(next)) {
                return Some(self.edge_leaf(*next, level, !after));
            }
            (node, parent) = (parent, inner.parent);
        }
        None
    }

    fn leaf(&self, id: u32) -> &Leaf {
        self.leaves.get(id as usize)
    }

    fn inner(&self, id: u32) -> &Inner {
        self.inners.get(id as usize)
    }
}

/// How many characters of a leaf make so many units; `None` if a character would have to be cut.
fn visible_to(leaf: &Leaf, count: Count, units: u32) -> Option<u32> {
    let Slice::Text(text) = leaf.chunk.slice(0..leaf.sums.shown.visible, leaf.sums.shown.visible) else {
        return Some(units);
    };
    let (mut visible, mut passed) = (0, 0);
    for character in text.chars() {
        if passed >= units {
            break;
        }
        visible += 1;
        passed += match count {
            Count::Visible => 1,
            Count::Utf16 => character.len_utf16() as u32,
            Count::Newlines => u32::from(character == '\n'),
        };
    }
    (passed == units).then_some(visible)
}
