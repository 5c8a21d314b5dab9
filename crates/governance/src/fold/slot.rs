//! A slot: the maximal live ops that set one thing, the strongest first.

use mesto_oplog::{EntryId, PublicKey};

use super::graph::Ix;
use crate::rank::Rank;

/// The op that is being placed.
pub(crate) struct Placing<'a> {
    /// Its number.
    pub(crate) ix: Ix,
    /// Its id.
    pub(crate) id: EntryId,
    /// Its height.
    pub(crate) height: u64,
    /// Its author.
    pub(crate) author: PublicKey,
    /// Its author's rank.
    pub(crate) rank: &'a Rank<EntryId>,
    /// Whether the first of two ops, itself included, is in the past of the second.
    pub(crate) precedes: &'a dyn Fn(Ix, Ix) -> bool,
}

/// What the maximal live ops say about one thing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Slot<T> {
    said: Vec<Said<T>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Said<T> {
    ix: Ix,
    id: EntryId,
    rank: Rank<EntryId>,
    value: T,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { said: Vec::new() }
    }
}

impl<T> Slot<T> {
    /// Takes in what a live op says; within one op the last word counts.
    pub(crate) fn set(&mut self, op: &Placing<'_>, value: T) {
        self.said.retain(|said| said.ix != op.ix && !(op.precedes)(said.ix, op.ix));
        self.said.push(Said { ix: op.ix, id: op.id, rank: op.rank.clone(), value });
        self.said.sort_by(|a, b| (&a.rank, b.id).cmp(&(&b.rank, a.id)));
    }

    /// Takes in `value` from those of `ends` that are in the past of nothing that is said here: what ends a membership
    /// ends what was said beside it, whichever comes first. Asked for whenever something was said.
    pub(crate) fn end_beside<U>(&mut self, op: &Placing<'_>, ends: &Slot<U>, value: T)
    where
        T: Clone,
    {
        for end in &ends.said {
            let is_over = |said: &Said<T>| said.ix == end.ix || (op.precedes)(end.ix, said.ix);
            if !self.said.iter().any(is_over) {
                self.said.push(Said { ix: end.ix, id: end.id, rank: end.rank.clone(), value: value.clone() });
            }
        }
        self.said.sort_by(|a, b| (&a.rank, b.id).cmp(&(&b.rank, a.id)));
    }

    /// The value of a setting: of the strongest rank, then the larger id.
    pub(crate) fn strongest(&self) -> Option<&T> {
        self.said.first().map(|said| &said.value)
    }

    /// The op that gives the setting.
    pub(crate) fn strongest_op(&self) -> Option<EntryId> {
        self.said.first().map(|said| said.id)
    }

    /// All that is said, the strongest first.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.said.iter().map(|said| &said.value)
    }

    /// The ops that say it.
    pub(crate) fn ops(&self) -> impl Iterator<Item = Ix> {
        self.said.iter().map(|said| said.ix)
    }
}
