//! Why somebody is no member any more: the ops that whoever was one has to see in order to know it.
//!
//! What ended a membership is not enough: somebody may know of an op that voids it, and not of what that one died of. So
//! these are shown as well, and what upholds them in turn.

use std::collections::BTreeSet;

use mesto_oplog::{EntryId, PublicKey};

use super::Governance;
use super::ancestry::Vantage;
use super::graph::Ix;
use crate::id::GroupId;

/// The live ops because of which others are dead.
#[derive(Default)]
struct Causes {
    /// Of the group's own log.
    own: BTreeSet<Ix>,
    /// Of the ancestors' logs, with their levels: they ended what the authors of the dead ops inherited.
    above: BTreeSet<(usize, Ix)>,
}

impl Governance {
    /// The live ops that show somebody that it is no member, in order of their ids: those that ended the membership, those
    /// because of which a grant of it is dead, and those because of which nothing voids the former. None of somebody who
    /// is a member, or never was let in.
    #[must_use]
    pub fn endings_of(&self, member: &PublicKey) -> Vec<EntryId> {
        if self.state().standing(member).is_some() {
            return Vec::new();
        }
        self.ids(self.shown_to(member).own)
    }

    /// The same of an ancestor's log, in order of their ids.
    #[must_use]
    pub fn endings_above(&self, member: &PublicKey, ancestor: &GroupId) -> Vec<EntryId> {
        let mut levels = self.now.state.ancestry.levels.iter().enumerate();
        let level = levels.find(|(_, level)| level.group == *ancestor);
        let Some((at, level)) = level.filter(|_| self.state().standing(member).is_none()) else { return Vec::new() };
        let above = self.shown_to(member).above;
        let ops = above.iter().filter(|(level, _)| *level == at).map(|(_, op)| level.graph.node(*op).id);
        ops.collect::<BTreeSet<EntryId>>().into_iter().collect()
    }

    /// What shows somebody who is no member that it is none: here, and by what it would inherit. Who is known by another
    /// key above is not shown the latter as a former member there.
    fn shown_to(&self, member: &PublicKey) -> Causes {
        let mut causes = self.undone(member);
        causes.own.extend(self.state().people.get(member).into_iter().flat_map(|person| person.ended.ops()));
        let mut looked_at = BTreeSet::new();
        self.uphold(&mut causes, 0, &mut looked_at);
        // From nearer to further up: what upholds an op above may be yet further up.
        for (up, above) in self.ancestors().enumerate() {
            let own = causes.above.iter().filter(|(level, _)| *level == up).map(|(_, op)| *op).collect();
            let mut more = Causes { own, above: BTreeSet::new() };
            above.uphold(&mut more, 1 + up, &mut looked_at);
            causes.above.extend(more.own.into_iter().map(|op| (up, op)));
            causes.above.extend(more.above.into_iter().map(|(further, op)| (up + 1 + further, op)));
        }
        if let Some(parent) = &self.parent {
            let more = parent.shown_to(member);
            causes.above.extend(more.own.into_iter().map(|op| (0, op)));
            causes.above.extend(more.above.into_iter().map(|(further, op)| (1 + further, op)));
        }
        causes
    }

    /// Adds what those of `causes` that are of this log do not fall for: the live ops because of which others, that would
    /// void them or come before them, are dead; and what these do not fall for. Of the ancestors' logs that is what
    /// upholds the rows of those whose authority they, and what they stand on, rely on; and of this one what an op above, that
    /// took such a row, names as seen. `at` is how far above the group it began with this one is; rows that are `looked_at`, by such numbers
    /// and members, are passed over.
    fn uphold(&self, causes: &mut Causes, at: usize, looked_at: &mut BTreeSet<(usize, PublicKey)>) {
        let mut open: Vec<Ix> = causes.own.iter().copied().collect();
        let mut seen = BTreeSet::new();
        while let Some(op) = open.pop() {
            let threats: Vec<Ix> = self.threats_to(op).into_iter().filter(|&threat| seen.insert(threat)).collect();
            let more = self.causes_of_death(threats.into_iter());
            causes.above.extend(more.above);
            open.extend(more.own.into_iter().filter(|&op| causes.own.insert(op)));
        }
        let bearing = self.bearing(&causes.own);
        let relies = |op: Ix| self.graph.node(op).effects.relies.iter().filter(|(_, need)| !need.is_direct);
        let inheriting: BTreeSet<PublicKey> =
            bearing.iter().flat_map(|&op| relies(op)).map(|(member, _)| *member).collect();
        let sparing: Vec<Ix> = bearing.iter().flat_map(|&op| self.spared_by(op, &inheriting)).collect();
        causes.own.extend(sparing);
        for (up, above) in self.ancestors().enumerate() {
            for member in &inheriting {
                if !looked_at.insert((at + 1 + up, *member)) {
                    continue;
                }
                let more = above.upholds_row(member, at + 1 + up, looked_at);
                causes.above.extend(more.own.into_iter().map(|op| (up, op)));
                causes.above.extend(more.above.into_iter().map(|(further, op)| (up + 1 + further, op)));
            }
        }
    }

    /// Some ops of this log, the live ones that gave whom they rely on a row, what they rest on and came through, and so on: an
    /// op above that takes from the author of one of these takes from all that stand on it.
    fn bearing(&self, ops: &BTreeSet<Ix>) -> BTreeSet<Ix> {
        let mut found = ops.clone();
        let mut open: Vec<Ix> = ops.iter().copied().collect();
        while let Some(op) = open.pop() {
            let effects = &self.graph.node(op).effects;
            let rows = effects.relies.iter().flat_map(|(member, _)| self.graph.seats_of(member));
            let opened = effects.enters.iter().flat_map(|(_, opened)| opened.iter().copied());
            let under = rows.chain(opened).chain(effects.rests_on.iter().copied());
            let is_live = |under: &Ix| self.graph.is_past(*under, op) && !self.now.dead.contains(under);
            open.extend(under.filter(is_live).filter(|&under| found.insert(under)));
        }
        found
    }

    /// Heads of this log after an op that live ops of the ancestors, about some members, name as seen: an op that is before
    /// such a head does not fall with the row that was taken.
    fn spared_by(&self, op: Ix, members: &BTreeSet<PublicKey>) -> Vec<Ix> {
        let seats = self.ancestors().flat_map(|above| {
            let of = members.iter().flat_map(|member| above.graph.seats_of(member));
            of.filter(|seat| !above.now.dead.contains(seat)).map(|seat| above.graph.node(seat))
        });
        let named = seats.flat_map(|node| node.payload.op.actions.iter().flat_map(|action| action.descendants()));
        let named = named.filter(|named| named.group == self.group());
        let after = |head: &EntryId| self.graph.find(head).filter(|&head| self.graph.is_past(op, head));
        named.filter_map(|named| named.heads.iter().find_map(after)).collect()
    }

    /// The live ops because of which the row of a member is what it is, beside those that set it: those because of which
    /// others that would set or end it are dead, and what upholds all of these.
    fn upholds_row(&self, member: &PublicKey, at: usize, looked_at: &mut BTreeSet<(usize, PublicKey)>) -> Causes {
        let (dead, live): (Vec<Ix>, Vec<Ix>) = self.graph.seats_of(member).partition(|op| self.now.dead.contains(op));
        let mut causes = self.causes_of_death(dead.into_iter());
        let set: Vec<Ix> = live.into_iter().filter(|op| !causes.own.contains(op)).collect();
        causes.own.extend(&set);
        self.uphold(&mut causes, at, looked_at);
        causes.own.retain(|op| !set.contains(op));
        causes
    }

    /// The dead ops because of which an op would be dead if they were not: those that take from it, or from something in its
    /// past, what it rests on, and those that come before it at what there is only so much of.
    fn threats_to(&self, op: Ix) -> Vec<Ix> {
        let graph = &self.graph;
        let is_within = |under: Ix| under == op || graph.is_past(under, op);
        let takes = |threat: Ix| {
            let effects = &graph.node(threat).effects;
            let relying = effects.changes.iter().filter_map(|(target, _)| graph.relying.get(target));
            let entering = effects.closes.iter().filter_map(|door| graph.entering.get(door));
            relying.chain(entering).flatten().any(|&under| {
                is_within(under)
                    && graph.concurrent(threat, under)
                    // Also what an ancestor gives now, it may not give by what somebody knows who was cut off.
                    && effects.voids(&graph.node(under).effects, &|_, _| false)
            })
        };
        let dead = self.now.dead.iter().copied().filter(|&threat| !graph.is_past(threat, op));
        let rivals = graph.rivals_before(op).filter(|rival| self.now.dead.contains(rival));
        dead.filter(|&threat| takes(threat)).chain(rivals).collect()
    }

    /// Whether somebody was ever let in, here or above, by an op that is dead by now too.
    #[must_use]
    pub fn was_let_in(&self, member: &PublicKey) -> bool {
        std::iter::once(self).chain(self.ancestors()).any(|of| of.graph.seats_of(member).next().is_some())
    }

    /// Whether somebody is no member although nobody ended its membership, here or above: whoever let it in had no right to,
    /// as has come out since.
    #[must_use]
    pub fn was_undone(&self, member: &PublicKey) -> bool {
        let is_ended =
            |of: &Self| of.state().people.get(member).is_some_and(|person| person.ended.ops().next().is_some());
        let mut with_ancestors = std::iter::once(self).chain(self.ancestors());
        if self.state().standing(member).is_some() || with_ancestors.any(is_ended) {
            return false;
        }
        let causes = self.undone(member);
        !causes.own.is_empty() || !causes.above.is_empty()
    }

    /// Those of some ops of this log that are in the past of no other, in order of their ids; what is not held is left out.
    #[must_use]
    pub fn newest_of(&self, ops: impl IntoIterator<Item = EntryId>) -> Vec<EntryId> {
        let held: BTreeSet<Ix> = ops.into_iter().filter_map(|op| self.graph.find(&op)).collect();
        self.ids(self.graph.maximal(&held))
    }

    /// Why the grants of a membership that are dead are dead.
    fn undone(&self, member: &PublicKey) -> Causes {
        let grants = self.graph.seats_of(member).filter(|&op| self.graph.node(op).effects.gives(member).is_some());
        self.causes_of_death(grants)
    }

    /// The live ops because of which those of `ops` that are dead are dead.
    fn causes_of_death(&self, ops: impl Iterator<Item = Ix>) -> Causes {
        let is_dead = |op: &Ix| self.now.dead.contains(op);
        let mut causes = Causes::default();
        let mut open: Vec<Ix> = ops.filter(is_dead).collect();
        let mut seen: BTreeSet<Ix> = open.iter().copied().collect();
        while let Some(op) = open.pop() {
            if let Some(&revocation) = self.now.void.get(&op) {
                causes.own.insert(revocation);
                // Where it ended a row, it left nothing because nothing more is inherited.
                let ends = &self.graph.node(revocation).effects.changes;
                let ended = |member: &PublicKey| ends.contains(&(*member, None));
                causes.above.extend(self.ended_above(op, &ended));
                continue;
            }
            // Others came first, or its support fell: above, or with something in its past.
            causes.own.extend(self.graph.rivals_before(op).filter(|rival| !is_dead(rival)));
            let is_rowless = |member: &PublicKey| {
                self.graph.standing_before(member, op, &|other| self.now.dead.contains(&other)).is_none()
            };
            causes.above.extend(self.ended_above(op, &is_rowless));
            let below = self.now.dead.iter().copied().filter(|&other| self.graph.is_past(other, op));
            open.extend(below.filter(|&other| seen.insert(other)));
        }
        causes
    }

    /// The ops of ancestors that ended what an op relied on and its author, or whoever stands behind it, inherited: of those of
    /// them who have `only` that.
    fn ended_above(&self, op: Ix, only: &dyn Fn(&PublicKey) -> bool) -> Vec<(usize, Ix)> {
        let node = self.graph.node(op);
        let is_before = |named: &[EntryId]| {
            let held = named.iter().filter_map(|head| self.graph.find(head));
            held.filter(|&head| self.graph.is_within(head, &self.now.heads))
                .any(|head| head == op || self.graph.is_past(op, head))
        };
        let vantage = Vantage { above: &node.above, is_before: &is_before, leaves_count: false };
        let inherited = node.effects.relies.iter().filter(|(member, need)| !need.is_direct && only(member));
        let held = inherited.map(|(member, need)| {
            self.now.state.ancestry.held(member, &|standing| standing.satisfies(*need), &vantage)
        });
        held.filter(|right| right.by.is_none()).flat_map(|right| right.ended_by).collect()
    }
}
