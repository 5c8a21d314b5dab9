//! The order of a sequence: FugueMax (Weidner and Kleppmann, "The Art of the Fugue", 2023).
//!
//! # The rule
//!
//! The elements are a tree. An element x hangs
//!
//! - on its right origin r, *before* it, if r has the same left origin as x: r was inserted at the same place earlier,
//!   and x was put in front of it;
//! - else on its left origin l, *after* it: x continues l.
//!
//! The order is the walk of this tree from the beginning: what hangs before an element, the element, what hangs after
//! it. Elements that hang side by side stand
//!
//! - before the same element: by name;
//! - after the same element: the one whose right origin stands further right comes first, equal ones by name.
//!
//! A name is (stamp, delta, offset). Elements that are typed one after the other hang on each other, forwards as well as
//! backwards, and a subtree stands together: so runs that people type at one place at one time do not mix.
//!
//! # Why every replica finds the same order
//!
//! On what an element hangs is told by origins alone. Elements that hang side by side are compared by origins, whose
//! places are those of elements in their causal past: by induction over causality, the order is a function of the set of
//! elements, whatever a liar made of its origins. To insert an element moves no other, so it is enough to find the place
//! of each as it comes: here.
//!
//! # What it costs
//!
//! If nothing stands between the origins, which is always so without concurrency, the place is there. Else what was
//! inserted between them is looked through, piece by piece.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::chunk::Chunk;
use super::mints::Mints;
use super::tree::{Piece, Spot, Tree};

/// Puts a run at its place: the elements from `first` on, whose names are in `mints`.
pub(crate) fn integrate(tree: &mut Tree, mints: &Mints, run: Piece, content: Option<Chunk>) {
    let spot = tree.after(run.left());
    let next = tree.next(spot).map(|(piece, _)| piece);
    let (before, spot) = if next.map(|next| next.first) == run.right() {
        (next.is_some_and(|next| next.left() == run.left()), spot)
    } else {
        let order = Order { tree, mints };
        match run.right() {
            Some(right) if tree.left_origin(right) == run.left() => (true, order.among_those_before(run, right)),
            Some(_) | None => (false, order.among_those_after(run)),
        }
    };
    tree.insert(spot, run.with_before(before), content);
}

impl Tree {
    /// The left origin of an element.
    fn left_origin(&self, number: u32) -> Option<u32> {
        let (piece, offset) = self.piece_of(number);
        piece.left_of(offset)
    }
}

/// The order as it is, asked for the place of a new run.
struct Order<'a> {
    tree: &'a Tree,
    mints: &'a Mints,
}

/// What an element hangs on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hook {
    /// It comes before this element.
    Before(u32),
    /// It comes after this element; `None` is the beginning.
    After(Option<u32>),
}

impl Order<'_> {
    /// The place of a run that hangs before `right`. What hangs there stands directly before it: look backwards.
    fn among_those_before(&self, run: Piece, right: u32) -> Spot {
        let hook = Hook::Before(right);
        let mut owners = BTreeMap::new();
        let mut spot = self.tree.before(Some(right));
        while let Some((piece, before)) = self.tree.previous(spot) {
            match self.owner(piece.end() - 1, hook, &mut owners) {
                Some(sibling) if self.mints.compare(sibling, run.first) == Ordering::Greater => spot = before,
                Some(_) | None => break,
            }
        }
        spot
    }

    /// The place of a run that hangs after its left origin. What hangs there stands directly after it: look forwards.
    fn among_those_after(&self, run: Piece) -> Spot {
        let hook = Hook::After(run.left());
        let mut owners = BTreeMap::new();
        let mut spot = self.tree.after(run.left());
        while let Some((piece, after)) = self.tree.next(spot) {
            match self.owner(piece.first, hook, &mut owners) {
                Some(sibling) if self.compare_after(sibling, run) == Ordering::Less => spot = after,
                Some(_) | None => break,
            }
        }
        spot
    }

    /// Orders an element and the first of a new run, which hang after the same element.
    fn compare_after(&self, sibling: u32, run: Piece) -> Ordering {
        let (piece, _) = self.tree.piece_of(sibling);
        let by_right = match (piece.right(), run.right()) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => self.tree.rank(b).cmp(&self.tree.rank(a)),
        };
        by_right.then_with(|| self.mints.compare(sibling, run.first))
    }

    /// The element on `hook` that an element hangs on, directly or over others, or is; `None` if it hangs elsewhere.
    fn owner(&self, number: u32, hook: Hook, owners: &mut BTreeMap<u32, Option<u32>>) -> Option<u32> {
        let mut climbed = Vec::new();
        let mut here = number;
        let owner = loop {
            let (piece, _) = self.tree.piece_of(here);
            if let Hook::After(Some(parent)) = hook
                && piece.numbers().contains(&parent)
                && parent < here
            {
                break Some(parent + 1);
            }
            if let Some(known) = owners.get(&piece.first) {
                break *known;
            }
            climbed.push(piece.first);
            let above = if piece.is_before() {
                Hook::Before(piece.right().expect("INVARIANT: only what has a right origin hangs before it"))
            } else {
                Hook::After(piece.left())
            };
            if above == hook {
                break Some(piece.first);
            }
            match above {
                Hook::Before(parent) | Hook::After(Some(parent)) if self.may_hang_on(parent, hook) => here = parent,
                Hook::Before(_) | Hook::After(_) => break None,
            }
        };
        owners.extend(climbed.into_iter().map(|head| (head, owner)));
        owner
    }

    /// Whether an element can be below a hook: what is after an element stands right of it, what is before it left.
    fn may_hang_on(&self, number: u32, hook: Hook) -> bool {
        match hook {
            Hook::After(None) => true,
            Hook::After(Some(parent)) => self.tree.rank(number) > self.tree.rank(parent),
            Hook::Before(parent) => self.tree.rank(number) < self.tree.rank(parent),
        }
    }
}
