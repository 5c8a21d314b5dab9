//! Verdicts: what becomes of a delta. A function of the delta, its causal past, and the set of governance ops.
//!
//! A delta names the governance heads that its author had seen. Then:
//!
//! - *park* while parents, governance ops that it names, or its key are missing;
//! - *reject*, for good, if at those heads its author was no writer of the context, or if the heads do not
//!   dominate those that its parents name: both can be told from the past of the delta alone;
//! - *void* if something that its author's right rested on at those heads is dead in the full fold, or if a live
//!   revocation of that right is not within those heads; unless the delta is *kept*: it is, or is in the past of,
//!   a delta that a live revocation of that right names, a delta of another author that is itself accepted and that
//!   was written by somebody who took it for valid, or a checkpoint;
//! - *accept* otherwise.
//!
//! Governance answers for the right ([`Governance::warrant`]); the log of the context answers for the past
//! ([`DeltaPast`]); [`verdict`] puts the two together, for every path on which deltas come. When governance
//! changes what it says, [`settle`] does the same for a whole log.
//!
//! To build on a delta vouches for it only where its author took it for valid. Every delta names all heads, void ones
//! among them, so that they are merged; if that brought back what was void, the first honest write after a removal would
//! undo it. For the same reason a revocation keeps nothing that was void for its author already, because of an earlier one
//! or because the right had never been there: who comes back writes on top of all that it forged while it was out, and
//! what is named as kept has all that puppets wrote in its past.

use std::collections::BTreeSet;

use mesto_oplog::{EntryId, PublicKey};

use crate::action::{Action, Visibility};
use crate::fold::above::Above;
use crate::fold::ancestry::{Inherited, Vantage};
use crate::fold::graph::Ix;
use crate::fold::place::OpGraph;
use crate::fold::view::View;
use crate::fold::{Governance, GroupState};
use crate::id::{ContextId, KeyId};
use crate::right::Denied;

mod lockout;

/// Under whose name and in what knowledge a delta was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Authorship<'a> {
    /// The context.
    pub context: ContextId,
    /// The delta's author.
    pub identity: PublicKey,
    /// The governance heads that the delta names.
    pub governance: &'a [EntryId],
    /// The governance heads that each of the delta's parents names.
    pub parents_governance: &'a [&'a [EntryId]],
}

/// What governance says of an authorship.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Warrant {
    /// Some of the named ops are not held.
    Unknown {
        /// Which, in order.
        missing: Vec<EntryId>,
    },
    /// No right.
    Refused(NoWarrant),
    /// A right that stands.
    Valid {
        /// The member who wrote.
        member: PublicKey,
    },
    /// A right that there was, and that somebody ended without the author's knowing; or that there never was,
    /// though the author thought so.
    Contested {
        /// The member who wrote.
        member: PublicKey,
        /// The ops that ended it, or that it rested on and that are dead; in order.
        causes: Vec<EntryId>,
        /// Deltas of the context that the ending ops name; they and their past are kept. In order.
        kept: Vec<EntryId>,
    },
}

/// Why an authorship has no right, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoWarrant {
    /// No governance heads at all.
    #[error("the delta names no governance heads")]
    NoHeads,
    /// At the named heads the author was no writer.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The author pretends to know less than the deltas on which it builds.
    #[error("the delta names governance heads that are behind those of its parents")]
    BehindParents,
}

/// What a delta waits for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Waits {
    /// Parents that are not held.
    pub parents: Vec<EntryId>,
    /// Governance ops that are not held.
    pub governance: Vec<EntryId>,
    /// The key, if it is not held.
    pub key: Option<KeyId>,
}

impl Waits {
    /// Whether there is nothing to wait for.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.parents.is_empty() && self.governance.is_empty() && self.key.is_none()
    }
}

/// What becomes of a delta.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is part of the state.
    Accept {
        /// The member who wrote.
        member: PublicKey,
    },
    /// It is in the log and contributes nothing.
    Void {
        /// The ops because of which, in order.
        causes: Vec<EntryId>,
    },
    /// It waits.
    Park(Waits),
    /// It is refused for good.
    Reject(NoWarrant),
}

/// What the log of a context knows of the delta that is judged.
pub trait DeltaPast {
    /// Whether the judged delta is `delta`, or in its past.
    fn is_within(&self, delta: &EntryId) -> bool;
    /// Whether the judged delta is in the past of an accepted delta of another author that took it for valid
    /// ([`Governance::trusted`]), or of a live checkpoint.
    fn is_vouched_for(&self) -> bool;
}

/// The verdict on one delta. `waits` is what the log and the keystore lack; what governance lacks is added.
#[must_use]
pub fn verdict(waits: &Waits, warrant: &Warrant, past: &dyn DeltaPast) -> Verdict {
    if let Warrant::Unknown { missing } = warrant {
        return Verdict::Park(Waits { governance: missing.clone(), ..waits.clone() });
    }
    if !waits.is_over() {
        return Verdict::Park(waits.clone());
    }
    match warrant {
        Warrant::Unknown { missing } => Verdict::Park(Waits { governance: missing.clone(), ..waits.clone() }),
        Warrant::Refused(why) => Verdict::Reject(*why),
        Warrant::Valid { member } => Verdict::Accept { member: *member },
        Warrant::Contested { member, causes, kept } => {
            if kept.iter().any(|delta| past.is_within(delta)) || past.is_vouched_for() {
                Verdict::Accept { member: *member }
            } else {
                Verdict::Void { causes: causes.clone() }
            }
        }
    }
}

/// A delta of a log that is judged as a whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    /// The delta.
    pub delta: EntryId,
    /// Its author.
    pub identity: PublicKey,
    /// What governance says of it.
    pub warrant: Warrant,
    /// Whether a live checkpoint has it in its past.
    pub is_final: bool,
}

/// The accepted ones of a log's deltas: the least set with all whose right stands, all that are kept, and all in
/// the past of accepted deltas of other authors that took them for valid. `is_past(a, b)` tells whether `a` is in the past
/// of `b`, `trusted(b, a)` whether the author of `b` took `a` for valid as it wrote ([`Governance::trusted`]).
#[must_use]
pub fn settle(
    log: &[Written],
    is_past: &dyn Fn(&EntryId, &EntryId) -> bool,
    trusted: &mut dyn FnMut(&EntryId, &Written) -> bool,
) -> BTreeSet<EntryId> {
    let is_kept = |written: &Written| match &written.warrant {
        Warrant::Valid { .. } => true,
        Warrant::Contested { kept, .. } => {
            written.is_final || kept.iter().any(|kept| *kept == written.delta || is_past(&written.delta, kept))
        }
        Warrant::Unknown { .. } | Warrant::Refused(_) => false,
    };
    let (mut fresh, mut open): (Vec<&Written>, Vec<&Written>) = log.iter().partition(|written| is_kept(written));
    open.retain(|written| matches!(written.warrant, Warrant::Contested { .. }));
    let mut accepted: BTreeSet<EntryId> = fresh.iter().map(|written| written.delta).collect();
    while !fresh.is_empty() {
        let (vouched, rest) = open.into_iter().partition(|written: &&Written| {
            let builds = |by: &&&Written| by.identity != written.identity && is_past(&written.delta, &by.delta);
            fresh.iter().filter(builds).any(|by| trusted(&by.delta, written))
        });
        (fresh, open) = (vouched, rest);
        accepted.extend(fresh.iter().map(|written| written.delta));
    }
    accepted
}

impl Governance {
    /// What governance says of an authorship, now. In a subgroup the heads that a delta names may be ops of its own
    /// log and of the ancestors' logs: see [`Governance::frontier`].
    pub fn warrant(&mut self, authorship: &Authorship<'_>) -> Warrant {
        let Authorship { context, identity, governance, parents_governance } = *authorship;
        let named = governance.iter().chain(parents_governance.iter().copied().flatten());
        let missing: BTreeSet<EntryId> = named.copied().filter(|op| !self.knows(op)).collect();
        if !missing.is_empty() {
            return Warrant::Unknown { missing: missing.into_iter().collect() };
        }
        let Some(view) = self.view_at(governance) else {
            return Warrant::Refused(NoWarrant::NoHeads);
        };
        let is_reached = |head: &EntryId| match self.find(head) {
            Some(head) => self.graph().is_within(head, &view.heads),
            None => view.state.ancestry.levels.iter().any(|level| level.reaches(head)),
        };
        if !parents_governance.iter().all(|heads| heads.iter().all(is_reached)) {
            return Warrant::Refused(NoWarrant::BehindParents);
        }
        let member = match view.state.may_write(context, &identity) {
            Ok(member) => member,
            Err(denied) => return Warrant::Refused(denied.into()),
        };
        let right = RightToWrite { context, identity, member };
        let is_direct = view.state.direct(&member).is_some();
        let mut causes: BTreeSet<EntryId> = self
            .ids(right.rests_on(&view.state).into_iter().filter(|op| self.now().dead.contains(op)))
            .into_iter()
            .collect();
        let above = self.inherited_now(&member, &view.above);
        let mut kept = BTreeSet::new();
        let endings = self.endings(&right, above.by.is_some()).into_iter();
        let ended: Vec<Ix> = endings.filter(|&op| !self.graph().is_within(op, &view.heads)).collect();
        causes.extend(self.ids(ended.iter().copied()));
        causes.extend(self.unnamed(&view));
        if above.by.is_none() && !is_direct {
            for &(at, op) in &above.ended_by {
                let graph = &self.now().state.ancestry.levels[at].graph;
                causes.insert(graph.node(op).id);
                let is_before = |&(level, before): &(usize, Ix)| level == at && graph.is_past(before, op);
                if !above.ended_by.iter().any(is_before) {
                    kept.extend(keeps(graph, op, context));
                }
            }
            causes.extend(self.died_above(&member, &view));
        }
        if causes.is_empty() {
            return Warrant::Valid { member };
        }
        for op in ended {
            // What had ended before, or never was a right, is not kept by whoever ends it once more and knew that: what it
            // names as kept has everything in its past that ever came here.
            let id = self.graph().node(op).id;
            let others: Vec<EntryId> = causes.iter().copied().filter(|cause| *cause != id).collect();
            if !self.knew(&[id], &others) {
                kept.extend(keeps(self.graph(), op, context));
            }
        }
        Warrant::Contested { member, causes: causes.into_iter().collect(), kept: kept.into_iter().collect() }
    }

    /// Whether somebody who had seen `heads` took for valid what `identity` wrote in a context before, and what is contested
    /// for `causes`: it knew none of these, nor of anything else by which that writer had no right any more. The latter
    /// may be dead by now, and another op have ended the right that it did not know.
    pub fn trusted(&mut self, heads: &[EntryId], context: ContextId, identity: &PublicKey, causes: &[EntryId]) -> bool {
        let writes = self.view_at(heads).is_some_and(|view| view.state.may_write(context, identity).is_ok());
        writes && !self.knew(heads, causes)
    }

    /// Whether somebody who had seen `heads` knew one of `causes`, for which a delta is contested: had seen that a right
    /// ended, or that what a right rested on is dead.
    pub fn knew(&mut self, heads: &[EntryId], causes: &[EntryId]) -> bool {
        let Some(view) = self.view_at(heads) else { return false };
        causes.iter().any(|cause| match self.find(cause) {
            Some(op) if self.now().dead.contains(&op) => view.dead.contains(&op),
            Some(op) => self.graph().is_within(op, &view.heads) && !view.dead.contains(&op),
            None => self.knew_above(&view, cause),
        })
    }

    /// The same for an op of an ancestor's log.
    fn knew_above(&self, view: &View<GroupState>, cause: &EntryId) -> bool {
        let levels = view.state.ancestry.levels.iter().zip(&self.now().state.ancestry.levels);
        let found = levels.filter_map(|(then, now)| Some((then, now, now.graph.find(cause)?))).next();
        found.is_some_and(|(then, now, op)| match now.view.dead.contains(&op) {
            true => then.view.dead.contains(&op),
            // Of the graph as it is now: where the heads were seen, the op may have had no number yet.
            false => now.graph.is_within(op, &then.view.heads) && !then.view.dead.contains(&op),
        })
    }

    /// What became of the right to write that a member had from above when it had seen `above` of the ancestors.
    fn inherited_now(&self, member: &PublicKey, above: &Above) -> Inherited {
        let vantage = Vantage { above, is_before: &|_| false, leaves_count: true };
        self.now().state.ancestry.held(member, &|standing| standing.role.writes(), &vantage)
    }

    /// The ops by which a member had a row above, as its author saw it, and that are dead now.
    fn died_above(&self, member: &PublicKey, view: &View<GroupState>) -> Vec<EntryId> {
        let levels = view.state.ancestry.levels.iter().zip(&self.now().state.ancestry.levels);
        let rows = levels.filter_map(|(then, now)| Some((now, then.view.state.roster.seat(member)?)));
        let ops = rows.flat_map(|(now, seat)| seat.decided_by().map(move |op| (now, op)));
        ops.filter(|(now, op)| now.view.dead.contains(op)).map(|(now, op)| now.graph.node(op).id).collect()
    }

    /// The ops by which the group, and its ancestors, were named by their parents, and that are dead now.
    fn unnamed(&self, view: &View<GroupState>) -> Vec<EntryId> {
        let mut dead = Vec::new();
        let mut child = self.group();
        for (then, now) in view.state.ancestry.levels.iter().zip(&self.now().state.ancestry.levels) {
            let naming = then.view.state.subgroups.get(&child).into_iter().flat_map(|slot| slot.ops());
            dead.extend(naming.filter(|op| now.view.dead.contains(op)).map(|op| now.graph.node(op).id));
            child = then.group;
        }
        dead
    }

    /// The live ops that end a right to write, wherever they are in the log. `inherits` tells whether the member also
    /// has it from above, so that the end of its own row takes nothing.
    fn endings(&self, right: &RightToWrite, inherits: bool) -> Vec<Ix> {
        let graph = self.graph();
        let seats = graph.seats_of(&right.member).filter(|&op| match graph.node(op).effects.gives(&right.member) {
            Some(standing) => !standing.role.writes(),
            None => !inherits,
        });
        let in_context = self.state().context(&right.context).into_iter().flat_map(|row| {
            row.enders.iter().copied().filter(move |&op| {
                let node = graph.node(op);
                let mut ends = node.payload.op.actions.iter().map(|action| right.is_ended_by(action, node.id));
                ends.any(|ends| match ends {
                    Ends::Always => true,
                    Ends::IfLockedOut => self.is_locked_out(row, &right.member, op),
                    Ends::Nothing => false,
                })
            })
        });
        seats.chain(in_context).filter(|op| !self.now().dead.contains(op)).collect()
    }
}

/// The deltas of a context that an op names as kept.
fn keeps(graph: &OpGraph, op: Ix, context: ContextId) -> impl Iterator<Item = EntryId> {
    let named = graph.node(op).payload.op.actions.iter().flat_map(|action| action.keep());
    named.filter(move |kept| kept.context == context).map(|kept| kept.delta)
}

/// A right to write in one context, as it was exercised.
struct RightToWrite {
    context: ContextId,
    identity: PublicKey,
    member: PublicKey,
}

impl RightToWrite {
    /// The ops that gave the right, in the state in which it was exercised.
    fn rests_on(&self, state: &crate::fold::GroupState) -> Vec<Ix> {
        let mut ops: Vec<Ix> =
            state.roster.seat(&self.member).into_iter().flat_map(crate::fold::roster::Seat::decided_by).collect();
        if let Some(row) = state.context(&self.context) {
            ops.push(row.ix);
            ops.extend(row.identities.get(&self.identity).into_iter().flat_map(|slot| slot.ops()));
            if row.visibility() == Visibility::Restricted {
                ops.extend(row.allowlist.get(&self.member).into_iter().flat_map(|slot| slot.ops()));
            }
        }
        ops
    }

    fn is_ended_by(&self, action: &Action, op: EntryId) -> Ends {
        let is_here = action.context_ref().is_some_and(|context| context.resolve(op) == self.context);
        if !is_here {
            return Ends::Nothing;
        }
        if let Action::ContextLeft(left) = action {
            return if left.identity == self.identity { Ends::Always } else { Ends::Nothing };
        }
        let may_lock_out = if let Action::ContextDisallowed(disallowed) = action {
            disallowed.member == self.member
        } else if let Action::ContextVisibilitySet(set) = action {
            set.visibility == Visibility::Restricted
        } else {
            false
        };
        match (may_lock_out, matches!(action, Action::ContextDetached(_))) {
            (true, _) => Ends::IfLockedOut,
            (false, true) => Ends::Always,
            (false, false) => Ends::Nothing,
        }
    }
}

/// What an action means for a right to write.
enum Ends {
    Always,
    /// If the member may not be there once the op has come.
    IfLockedOut,
    Nothing,
}
