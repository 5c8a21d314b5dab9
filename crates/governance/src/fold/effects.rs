//! What an op does to members, and what it rests on: the part of its meaning that decides liveness.

use super::graph::Ix;
use crate::context_right::ContextRight;
use crate::id::{ContextId, InvitationId};
use crate::standing::{Need, Standing};

/// Something that one op opens, others come through, and a third may close.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Door<M> {
    /// An invitation.
    Invitation(InvitationId),
    /// A right of a member in one context.
    Right(ContextId, M, ContextRight),
    /// What a member has in contexts, as their creator or by rights. The end of its row closes it, whatever it inherits.
    Places(M),
}

/// The meaning of an op for the fold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effects<M> {
    /// Whose authority it relies on: its author's, and for a claim also the inviter's.
    pub relies: Vec<(M, Need)>,
    /// Whose standing it sets, and to what; nothing for a removal.
    pub changes: Vec<(M, Option<Standing>)>,
    /// Whether it is the author's own leave, which nobody can void. Its author is then in `changes`.
    pub is_leave: bool,
    /// Whether it hands the group to the member whose standing it sets to owner's.
    pub transfers: bool,
    /// Ops that must be live for it to be live.
    pub rests_on: Vec<Ix>,
    /// The doors that it came through, each with the ops that opened it, of which one is enough.
    pub enters: Vec<(Door<M>, Vec<Ix>)>,
    /// The invitation that it claims, and how many may.
    pub claims: Option<(InvitationId, u32)>,
    /// Doors that it closes.
    pub closes: Vec<Door<M>>,
}

impl<M> Default for Effects<M> {
    fn default() -> Self {
        Self {
            relies: Vec::new(),
            changes: Vec::new(),
            is_leave: false,
            transfers: false,
            rests_on: Vec::new(),
            enters: Vec::new(),
            claims: None,
            closes: Vec::new(),
        }
    }
}

impl<M: PartialEq> Effects<M> {
    /// Whether this is a revocation: an op that may void others.
    #[must_use]
    pub fn revokes(&self) -> bool {
        !self.is_leave && (!self.closes.is_empty() || !self.changes.is_empty())
    }

    /// Whether this, if it is effective and concurrent with `other`, voids it. `inherits` tells whether a member
    /// has, for the other op, what it needs from a group above; a row that ends leaves that. Of transfers of
    /// ownership none voids another: which of them stands is a rule of its own.
    pub fn voids(&self, other: &Self, inherits: &dyn Fn(&M, Need) -> bool) -> bool {
        if self.is_leave || other.is_leave || (self.transfers && other.transfers) {
            return false;
        }
        let takes = |(member, need): &(M, Need)| {
            self.changes.iter().any(|(target, left)| {
                target == member && !left.map_or_else(|| inherits(member, *need), |left| left.satisfies(*need))
            })
        };
        other.relies.iter().any(takes) || other.enters.iter().any(|(door, _)| self.closes.contains(door))
    }

    /// The standing that this gives `member`, nothing if it ends the membership.
    #[must_use]
    pub fn gives(&self, member: &M) -> Option<Standing> {
        self.changes.iter().find(|(target, _)| target == member).and_then(|(_, standing)| *standing)
    }

    /// To whom this hands the group.
    #[must_use]
    pub fn next_owner(&self) -> Option<&M> {
        let is_owner = |standing: &Option<Standing>| *standing == Some(Standing::OWNER);
        let (member, _) = self.changes.iter().find(|(_, standing)| self.transfers && is_owner(standing))?;
        Some(member)
    }

    /// Whether this ends the membership of somebody to whom `other` hands the group, or is another such op.
    #[must_use]
    pub fn contests(&self, other: &Self) -> bool {
        (self.transfers && other.transfers)
            || other.next_owner().is_some_and(|to| self.changes.iter().any(|(who, left)| who == to && left.is_none()))
    }
}
