//! Rank: who outranks whom. The tuple compares in its field order, smaller is stronger.

use crate::role::Level;

/// A member's rank: how strong its level is, how far from the root the group is that it is a member of, how far
/// from the owner the chain of grants is, and which grant it was. Equal ranks are the same grant.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Rank<Id> {
    /// The class of the level.
    pub level: Level,
    /// How many ancestors the group has in which the level is held; 0 in a root. An admin of an ancestor so outranks
    /// those of the group.
    pub generation: u8,
    /// Length of the chain of grants from genesis, which has 0.
    pub depth: u32,
    /// Height of the granting op in the log.
    pub height: u64,
    /// The granting op.
    pub id: Id,
}

impl<Id: Ord> Rank<Id> {
    /// Whether a holder may change or remove a holder of `other`.
    #[must_use]
    pub fn outranks(&self, other: &Self) -> bool {
        self < other
    }
}
