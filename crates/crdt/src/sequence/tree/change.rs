//! Changes of the tree. Each touches one leaf and the path above it, and now and then splits it.

use super::node::{FANOUT, Inner, Leaf, Piece, Sums, WEIGHT_MAX};
use super::{Spot, Tree};
use crate::sequence::chunk::Chunk;

/// Most bytes of content that go into a leaf at a time, so that one cut makes room for them.
const PART_WEIGHT_MAX: usize = WEIGHT_MAX / 2;

impl Tree {
    /// Puts the elements of `piece` at a place, with their content if they are visible. Their numbers are new.
    pub(crate) fn insert(&mut self, spot: Spot, piece: Piece, content: Option<Chunk>) {
        match content {
            Some(content) if content.weight() > PART_WEIGHT_MAX => self.insert_in_parts(spot, piece, content),
            content => self.insert_part(spot, piece, content),
        }
    }

    /// Hides `len` elements from a place on, all of one visible piece; what they showed.
    pub(crate) fn hide(&mut self, spot: Spot, len: u32) -> Chunk {
        let leaf = self.leaves.get_mut(spot.leaf as usize);
        let at = leaf.visible_before(spot.piece, spot.offset);
        let removed = leaf.chunk.remove(at..at + len, leaf.sums.shown.visible);
        let gone = Sums { elements: 0, shown: removed.measure() };
        leaf.sums -= gone;
        leaf.set_hidden(spot, len, true);
        let is_full = leaf.pieces.len() > FANOUT;
        self.resize(spot.leaf, |sums| *sums -= gone);
        if is_full {
            self.split(spot.leaf, None);
        }
        removed
    }

    /// Shows an element that is hidden.
    pub(crate) fn unhide(&mut self, spot: Spot, content: Chunk) {
        let leaf = self.leaves.get_mut(spot.leaf as usize);
        let shown = Sums { elements: 0, shown: content.measure() };
        let at = leaf.visible_before(spot.piece, spot.offset);
        leaf.chunk.insert(at, leaf.sums.shown.visible, content);
        leaf.sums += shown;
        leaf.set_hidden(spot, shown.shown.visible, false);
        let is_full = leaf.pieces.len() > FANOUT || leaf.chunk.weight() > WEIGHT_MAX;
        self.resize(spot.leaf, |sums| *sums += shown);
        if is_full {
            self.split(spot.leaf, None);
        }
    }

    fn insert_in_parts(&mut self, spot: Spot, piece: Piece, mut content: Chunk) {
        let (mut spot, mut piece) = (spot, piece);
        while content.weight() > PART_WEIGHT_MAX {
            let len = piece.len();
            let part = content.len_of_weight(PART_WEIGHT_MAX);
            let rest = content.split_off(part, len);
            let (head, tail) = piece.split(part);
            self.insert_part(spot, head, Some(content));
            spot = self.after(Some(head.end() - 1));
            (piece, content) = (tail, rest);
        }
        self.insert_part(spot, piece, Some(content));
    }

    fn insert_part(&mut self, spot: Spot, piece: Piece, content: Option<Chunk>) {
        let leaf = self.leaves.get_mut(spot.leaf as usize);
        let mut added = Sums { elements: piece.len(), ..Sums::default() };
        let is_last = spot.piece == leaf.pieces.len();
        if let Some(content) = content {
            added.shown = content.measure();
            let at = leaf.visible_before(spot.piece, spot.offset);
            leaf.chunk.insert(at, leaf.sums.shown.visible, content);
        }
        leaf.sums += added;
        leaf.insert(spot, piece);
        let is_full = leaf.pieces.len() > FANOUT || leaf.chunk.weight() > WEIGHT_MAX;
        self.places.put(piece.numbers(), spot.leaf);
        self.resize(spot.leaf, |sums| *sums += added);
        if is_full {
            self.split(spot.leaf, is_last.then_some(piece.len()));
        }
    }

    /// Changes the sums above a leaf.
    fn resize(&mut self, leaf: u32, change: impl Fn(&mut Sums)) {
        change(&mut self.total);
        let (mut node, mut parent) = (leaf, self.leaf(leaf).parent);
        for _ in 0..self.height {
            let inner = self.inners.get_mut(parent as usize);
            let place = inner.place_of(node);
            change(&mut inner.sums[place]);
            (node, parent) = (parent, inner.parent);
        }
    }

    /// Cuts a leaf in two: in half, or before its last `appended` elements, so that leaves are full after one has typed
    /// on and on.
    fn split(&mut self, id: u32, appended: Option<u32>) {
        let next = self.leaves.len() as u32;
        let leaf = self.leaves.get_mut(id as usize);
        let tail = leaf.split(appended);
        let (parent, head_sums, tail_sums) = (leaf.parent, leaf.sums, tail.sums);
        for piece in &tail.pieces {
            self.places.put(piece.numbers(), next);
        }
        self.leaves.push(tail);
        if self.height == 0 {
            self.root = self.new_root(1, (id, head_sums), (next, tail_sums));
            self.leaves.get_mut(id as usize).parent = self.root;
            self.leaves.get_mut(next as usize).parent = self.root;
            self.height = 1;
        } else {
            self.insert_child(parent, (id, head_sums), (next, tail_sums));
        }
    }

    /// Puts a child after the one that it was cut off.
    fn insert_child(&mut self, parent: u32, cut: (u32, Sums), child: (u32, Sums)) {
        let inner = self.inners.get_mut(parent as usize);
        let place = inner.place_of(cut.0);
        inner.sums[place] = cut.1;
        inner.children.insert(place + 1, child.0);
        inner.sums.insert(place + 1, child.1);
        if inner.children.len() <= FANOUT {
            return;
        }
        let middle = if place + 2 == inner.children.len() { FANOUT } else { FANOUT / 2 };
        let (level, above) = (inner.level, inner.parent);
        let (children, sums) = (inner.children.split_off(middle), inner.sums.split_off(middle));
        let (head_sums, tail_sums) = (sum(&inner.sums), sum(&sums));
        let moved = children.clone();
        let next = self.inners.push(Inner { parent: above, level, children, sums }) as u32;
        for child in moved {
            self.set_parent(child, level - 1, next);
        }
        if parent == self.root {
            self.root = self.new_root(level + 1, (parent, head_sums), (next, tail_sums));
            self.inners.get_mut(parent as usize).parent = self.root;
            self.inners.get_mut(next as usize).parent = self.root;
            self.height = level + 1;
        } else {
            self.insert_child(above, (parent, head_sums), (next, tail_sums));
        }
    }

    fn new_root(&mut self, level: u32, left: (u32, Sums), right: (u32, Sums)) -> u32 {
        let (children, sums) = (vec![left.0, right.0], vec![left.1, right.1]);
        self.inners.push(Inner { parent: 0, level, children, sums }) as u32
    }

    fn set_parent(&mut self, node: u32, level: u32, parent: u32) {
        match level {
            0 => self.leaves.get_mut(node as usize).parent = parent,
            _ => self.inners.get_mut(node as usize).parent = parent,
        }
    }
}

fn sum(sums: &[Sums]) -> Sums {
    let mut total = Sums::default();
    sums.iter().for_each(|sums| total += *sums);
    total
}

impl Leaf {
    fn insert(&mut self, spot: Spot, piece: Piece) {
        if spot.offset > 0 {
            let (head, tail) = self.pieces[spot.piece].split(spot.offset);
            self.pieces.splice(spot.piece..=spot.piece, [head, piece, tail]);
            return;
        }
        let before = spot.piece.checked_sub(1).and_then(|before| self.pieces.get_mut(before));
        match before {
            Some(before) if before.joins(piece) => *before = before.with_len(before.len() + piece.len()),
            Some(_) | None => self.pieces.insert(spot.piece, piece),
        }
    }

    /// Hides or shows `len` elements of one piece, and joins what can be one piece then.
    fn set_hidden(&mut self, spot: Spot, len: u32, hidden: bool) {
        let whole = self.pieces[spot.piece];
        let (mut first, mut last) = (spot.piece, spot.piece + 1);
        let (head, rest) = match spot.offset {
            0 => (None, whole),
            offset => {
                let (head, rest) = whole.split(offset);
                (Some(head), rest)
            }
        };
        let (changed, tail) = match len < rest.len() {
            true => {
                let (changed, tail) = rest.split(len);
                (changed, Some(tail))
            }
            false => (rest, None),
        };
        let mut changed = changed.with_hidden(hidden);
        if head.is_none()
            && let Some(before) = first.checked_sub(1).map(|before| self.pieces[before])
            && before.joins(changed)
        {
            changed = before.with_len(before.len() + changed.len());
            first -= 1;
        }
        if tail.is_none()
            && let Some(after) = self.pieces.get(last)
            && changed.joins(*after)
        {
            changed = changed.with_len(changed.len() + after.len());
            last += 1;
        }
        self.pieces.splice(first..last, head.into_iter().chain([changed]).chain(tail));
    }

    fn split(&mut self, appended: Option<u32>) -> Leaf {
        let (piece, offset) = self.cut(appended);
        let visible = self.visible_before(piece, offset);
        let chunk = self.chunk.split_off(visible, self.sums.shown.visible);
        let mut pieces = self.pieces.split_off(piece);
        if offset > 0 {
            let (head, tail) = pieces[0].split(offset);
            self.pieces.push(head);
            pieces[0] = tail;
        }
        self.pieces.shrink_to_fit();
        let elements = pieces.iter().map(|piece| piece.len()).sum();
        let sums = Sums { elements, shown: chunk.measure() };
        self.sums -= sums;
        Leaf { parent: self.parent, sums, pieces, chunk }
    }

    /// Where to cut: a piece, and an offset in it.
    fn cut(&self, appended: Option<u32>) -> (usize, u32) {
        if let Some(appended) = appended {
            let last = self.pieces.len() - 1;
            let before = self.pieces[last].len() - appended;
            return (last, before);
        }
        if self.pieces.len() > FANOUT {
            return (self.pieces.len() / 2, 0);
        }
        let mut rest = self.sums.shown.visible / 2;
        for (index, piece) in self.pieces.iter().enumerate() {
            if rest < piece.visible() {
                return (index, rest);
            }
            rest -= piece.visible();
        }
        (self.pieces.len() / 2, 0)
    }
}
