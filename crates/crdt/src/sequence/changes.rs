//! What differs between two versions of a sequence, for those who show it.

use std::ops::Range;
use std::sync::Arc;

use super::Sequence;
use super::tree::Tree;

/// A place where a later version shows something else. Places count code points, or items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What the earlier version shows there.
    pub old: Range<u64>,
    /// What the later version shows there.
    pub new: Range<u64>,
}

impl Sequence {
    /// Where this version differs from an earlier one that it was made of: in order, neither overlapping nor touching.
    /// `None` if it was not made of it in memory, but loaded anew.
    ///
    /// Costs a look at the pieces of the leaves that differ, and at what stands beside them on each level of the tree.
    pub fn changes_since(&self, old: &Sequence) -> Option<Vec<Change>> {
        if !Arc::ptr_eq(&self.lineage, &old.lineage) || self.elements() < old.elements() {
            return None;
        }
        let mut walk = Walk { old: &old.tree, new: &self.tree, at_old: 0, at_new: 0, changes: Vec::new() };
        walk.run(old.elements())?;
        Some(walk.changes)
    }
}

/// A walk along both orders. Elements do not move, so the later one is the earlier one with others in between.
struct Walk<'a> {
    old: &'a Tree,
    new: &'a Tree,
    at_old: u64,
    at_new: u64,
    changes: Vec<Change>,
}

impl Walk<'_> {
    /// `first_new` is the number of the first element that the earlier version does not have.
    fn run(&mut self, first_new: u32) -> Option<()> {
        let mut old = Some(self.old.after(None));
        let mut new = Some(self.new.after(None));
        while let Some(spot) = new {
            if let Some(part) = old.and_then(|old| self.new.shared_part(spot, self.old, old)) {
                let shown = u64::from(self.new.shown_in_part(part));
                (self.at_old, self.at_new) = (self.at_old + shown, self.at_new + shown);
                (old, new) = (self.old.after_part(part), self.new.after_part(part));
                continue;
            }
            let Some((piece, _)) = self.new.next(spot) else { break };
            let mut len = piece.len();
            let mut was_shown = false;
            if piece.first < first_new {
                let (before, _) = self.old.next(old?)?;
                if before.first != piece.first {
                    return None;
                }
                len = len.min(before.len()).min(first_new - piece.first);
                was_shown = !before.is_hidden();
                old = self.old.skip(old?, len);
            }
            self.pass(u64::from(len), was_shown, !piece.is_hidden());
            new = self.new.skip(spot, len);
        }
        Some(())
    }

    fn pass(&mut self, len: u64, was_shown: bool, is_shown: bool) {
        let (old, new) = (self.at_old, self.at_new);
        self.at_old += if was_shown { len } else { 0 };
        self.at_new += if is_shown { len } else { 0 };
        if was_shown == is_shown {
            return;
        }
        match self.changes.last_mut() {
            Some(last) if last.old.end == old && last.new.end == new => {
                (last.old.end, last.new.end) = (self.at_old, self.at_new);
            }
            Some(_) | None => self.changes.push(Change { old: old..self.at_old, new: new..self.at_new }),
        }
    }
}
