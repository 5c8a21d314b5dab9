//! What the logs of a group's ancestors add to its fold.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::graph::{Graph, Ix};
use crate::standing::Need;

/// Heads in the logs of a group's ancestors, nearest first: what an op, or a view, has there in its past. Closed: an
/// op of the parent brings what it has in its own past of the logs further up.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Above(Arc<[BTreeSet<Ix>]>);

impl Above {
    /// Of these heads.
    #[must_use]
    pub fn new(levels: Vec<BTreeSet<Ix>>) -> Self {
        Self(levels.into())
    }

    /// The heads in the log of one ancestor, 0 for the parent; nothing where none is seen.
    #[must_use]
    pub fn level(&self, level: usize) -> Option<&BTreeSet<Ix>> {
        self.0.get(level).filter(|heads| !heads.is_empty())
    }

    /// All levels, nearest first.
    pub fn levels(&self) -> impl Iterator<Item = &BTreeSet<Ix>> {
        self.0.iter()
    }

    /// What is above the parent.
    #[must_use]
    pub fn rest(&self) -> Self {
        Self(self.0.get(1..).unwrap_or_default().into())
    }
}

/// What a group has from its ancestors, as the fold of its own log asks for it.
pub trait Upper<Id: Ord + Clone, M: Ord + Clone, P> {
    /// Whether `member`, who has no row of its own in the past of op `x`, has from above what `x` needs: by the live
    /// part of the past of `x` there, and without a live revocation there that `x` is beside.
    fn supports(&self, graph: &Graph<Id, M, P>, x: Ix, member: &M, need: Need) -> bool;

    /// Whether a revocation above names this op as a head of the group's log that its author had seen: then what is
    /// before the op is not beside the revocation, which nobody could know until the op came.
    fn names(&self, id: &Id) -> bool;
}

/// Nothing is above a root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Root;

impl<Id: Ord + Clone, M: Ord + Clone, P> Upper<Id, M, P> for Root {
    fn supports(&self, _: &Graph<Id, M, P>, _: Ix, _: &M, _: Need) -> bool {
        false
    }

    fn names(&self, _: &Id) -> bool {
        false
    }
}
