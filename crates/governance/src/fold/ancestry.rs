//! The ancestors of a group, as its fold sees them from one place.

use std::collections::BTreeSet;
use std::sync::Arc;

use mesto_oplog::{EntryId, PublicKey};

use super::above::{Above, Upper};
use super::graph::Ix;
use super::place::{Admitted, OpGraph};
use super::state::GroupState;
use super::view::View;
use crate::action::DescendantHeads;
use crate::id::GroupId;
use crate::standing::{Need, Standing};

/// The ancestors, each folded up to the same place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ancestry {
    /// The group whose ancestors these are.
    pub(crate) group: GroupId,
    /// Nearest first.
    pub(crate) levels: Vec<Level>,
}

/// One ancestor.
#[derive(Clone, Debug)]
pub(crate) struct Level {
    pub(crate) group: GroupId,
    pub(crate) graph: OpGraph,
    pub(crate) view: Arc<View<GroupState>>,
}

/// From where somebody acted: what they had seen of the ancestors' logs, and what of them had seen the act.
pub(crate) struct Vantage<'a> {
    /// Heads in the ancestors' logs.
    pub(crate) above: &'a Above,
    /// Whether one of these heads of the group's own log is the act, or comes after it.
    pub(crate) is_before: &'a dyn Fn(&[EntryId]) -> bool,
    /// Whether who leaves loses the right of what is beside the leave.
    pub(crate) leaves_count: bool,
}

/// What became of a right that was inherited.
#[derive(Default)]
pub(crate) struct Inherited {
    /// The level whose row gives the right, if it stands.
    pub(crate) by: Option<usize>,
    /// The ops that ended it, with their levels.
    pub(crate) ended_by: Vec<(usize, Ix)>,
}

impl Level {
    pub(crate) fn is_live(&self, op: Ix) -> bool {
        self.graph.is_within(op, &self.view.heads) && !self.view.dead.contains(&op)
    }

    /// Whether an op of this log is in the past of the place.
    pub(crate) fn reaches(&self, op: &EntryId) -> bool {
        self.graph.find(op).is_some_and(|op| self.graph.is_within(op, &self.view.heads))
    }

    /// The row of a member by what of this log is within `seen` and live.
    pub(crate) fn row(&self, member: &PublicKey, seen: Option<&BTreeSet<Ix>>) -> Option<Standing> {
        let seen = seen?;
        self.graph.standing_by(member, &|op| self.graph.is_within(op, seen) && !self.view.dead.contains(&op))
    }

    /// The live ops that set or end a member's row and are not within `seen`.
    pub(crate) fn unseen(&self, member: &PublicKey, seen: Option<&BTreeSet<Ix>>) -> impl Iterator<Item = Ix> {
        let is_seen = move |op: Ix| seen.is_some_and(|seen| self.graph.is_within(op, seen));
        self.graph.seats_of(member).filter(move |&op| !is_seen(op) && self.is_live(op))
    }

    /// Whether `op`, or a live op before it that sets or ends the same member's row, names heads of the descendant's log to
    /// which `is_before` applies: what a removal had seen is before whatever comes after the removal, also before the op
    /// that lets the member in again. Not what any op before it names: who hides something could name it elsewhere.
    fn had_seen(
        &self,
        op: Ix,
        member: &PublicKey,
        descendant: GroupId,
        is_before: &dyn Fn(&[EntryId]) -> bool,
    ) -> bool {
        let earlier = self.graph.seats_of(member).filter(|&other| self.graph.is_past(other, op) && self.is_live(other));
        std::iter::once(op).chain(earlier).any(|op| {
            let actions = &self.graph.node(op).payload.op.actions;
            let named = actions.iter().flat_map(|action| action.descendants());
            named.filter(|named: &&DescendantHeads| named.group == descendant).any(|named| is_before(&named.heads))
        })
    }
}

impl Ancestry {
    /// Whether what `member` inherited at `vantage` still suffices; rule 8 of [`crate::fold`].
    ///
    /// The nearest row counts. An op beside the vantage that sets a row at that level or nearer leaves what it sets; one
    /// that ends the row leaves what comes from further up; what happens to rows further up does not matter.
    pub(crate) fn held(
        &self,
        member: &PublicKey,
        suffices: &dyn Fn(Standing) -> bool,
        vantage: &Vantage<'_>,
    ) -> Inherited {
        let mut ended_by = Vec::new();
        for (at, level) in self.levels.iter().enumerate() {
            let seen = vantage.above.level(at);
            let row = level.row(member, seen);
            let (mut is_bounded, mut is_ended) = (false, false);
            for op in level.unseen(member, seen) {
                let effects = &level.graph.node(op).effects;
                let is_idle = effects.is_leave && !vantage.leaves_count;
                if is_idle || level.had_seen(op, member, self.group, vantage.is_before) {
                    continue;
                }
                match effects.gives(member) {
                    Some(left) if !suffices(left.inherited()) => is_bounded = true,
                    None if row.is_some() => is_ended = true,
                    Some(_) | None => continue,
                }
                ended_by.push((at, op));
            }
            if is_bounded {
                return Inherited { by: None, ended_by };
            }
            if let Some(row) = row.filter(|_| !is_ended) {
                let by = suffices(row.inherited()).then_some(at);
                return Inherited { by, ended_by };
            }
        }
        Inherited { by: None, ended_by }
    }

    /// Whether the row from which `member` acted at `above` was ended since: whoever comes back begins anew.
    pub(crate) fn is_severed(&self, member: &PublicKey, above: &Above) -> bool {
        for (at, level) in self.levels.iter().enumerate() {
            let seen = above.level(at);
            if level.row(member, seen).is_some() {
                let mut unseen = level.unseen(member, seen);
                return unseen.any(|op| level.graph.node(op).effects.gives(member).is_none());
            }
        }
        false
    }

    /// Whether an op that `old` did not reach may have ended somebody's right, or ops died or came back.
    pub(crate) fn ends_rights(&self, old: &Self) -> bool {
        self.levels.iter().zip(&old.levels).any(|(new, old)| {
            let ends = |op: &Ix| {
                let node = new.graph.node(*op);
                let changes = &node.effects.changes;
                changes.iter().any(|(_, left)| !left.is_some_and(|left| left.role.writes()))
                    || node.payload.op.actions.iter().any(|action| action.may_end_rights())
            };
            new.view.dead != old.view.dead || new.graph.beyond(&old.view.heads, &new.view.heads).iter().any(ends)
        })
    }

    /// Whether what is seen from here can stand in for what was seen from `old`, for a group in whose log the members
    /// that `matters` names have acted: nothing died or came back, and no row of theirs was set.
    pub(crate) fn stands_in_for(&self, old: &Self, matters: &dyn Fn(&PublicKey) -> bool) -> bool {
        let same_line = self.levels.len() == old.levels.len();
        same_line
            && self.levels.iter().zip(&old.levels).all(|(new, old)| {
                // What was seen from elsewhere may have come here later, and have no number yet in this graph.
                let is_reached = |head: Ix| head < new.graph.next() && new.graph.is_within(head, &new.view.heads);
                let grew = old.view.heads.iter().all(|&head| is_reached(head));
                grew && new.view.dead == old.view.dead && {
                    let beyond = new.graph.beyond(&old.view.heads, &new.view.heads);
                    let mut set = beyond.iter().flat_map(|&op| &new.graph.node(op).effects.changes);
                    !set.any(|(member, _)| matters(member))
                }
            })
    }
}

/// The ancestors, for the ops of the group that some heads reach. What a revocation had seen counts as far as it is among
/// these: whether an op is admitted must not hang on what came later.
pub(crate) struct Below<'a> {
    pub(crate) ancestry: &'a Ancestry,
    pub(crate) heads: &'a BTreeSet<Ix>,
}

impl Upper<EntryId, PublicKey, Arc<Admitted>> for Below<'_> {
    fn supports(&self, graph: &OpGraph, x: Ix, member: &PublicKey, need: Need) -> bool {
        if need.is_direct || self.ancestry.levels.is_empty() {
            return false;
        }
        let is_before = |named: &[EntryId]| {
            let held = named.iter().filter_map(|head| graph.find(head));
            held.filter(|&head| graph.is_within(head, self.heads)).any(|head| head == x || graph.is_past(x, head))
        };
        let vantage = Vantage { above: &graph.node(x).above, is_before: &is_before, leaves_count: false };
        self.ancestry.held(member, &|standing| standing.satisfies(need), &vantage).by.is_some()
    }

    fn names(&self, id: &EntryId) -> bool {
        self.ancestry.levels.iter().any(|level| level.view.state.heads_named.contains(id))
    }
}
