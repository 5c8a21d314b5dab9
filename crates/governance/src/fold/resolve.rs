//! Resolve: which ops of a set are dead. Strong removal, support, and their fixpoint; see the rules in
//! [`crate::fold`].

use std::collections::{BTreeMap, BTreeSet};

use super::above::Upper;
use super::effects::Door;
use super::graph::{Graph, Ix};
use super::roster::least;
use crate::id::InvitationId;
use crate::standing::{Need, Standing};

/// What resolving a set of ops finds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// Ops that a revocation voids, each with the revocation.
    pub void: BTreeMap<Ix, Ix>,
    /// Claims beyond the number of uses, and transfers of ownership that others precede or that reach nobody.
    pub lost: BTreeSet<Ix>,
    /// Revocations that were left out because they died of what they caused.
    pub excluded: BTreeSet<Ix>,
    /// All dead ops: void, lost, or without support.
    pub dead: BTreeSet<Ix>,
    /// Ops that were dead at some stage, if not in the end.
    pub doubted: BTreeSet<Ix>,
}

/// What is settled before a set is resolved: the ops below a cut, all of which are in the past of all of the set.
#[derive(Clone, Copy)]
pub struct Settled<'a> {
    /// The op at the cut.
    pub cut: Ix,
    /// The dead ops below it.
    pub dead: &'a imbl::OrdSet<Ix>,
}

impl<Id: Ord + Clone, M: Ord + Clone, P> Graph<Id, M, P> {
    /// Resolves a set of ops that is closed under parents, given in walk order, below `upper`.
    #[must_use]
    pub fn resolve(&self, set: &[Ix], upper: &dyn Upper<Id, M, P>) -> Outcome {
        self.resolve_above(None, set, upper)
    }

    /// Resolves the part of a set that is after a cut.
    ///
    /// Exact, if none of it [rests on doubt](Self::rests_on_doubt): then what is below the cut and what is after it go
    /// through the stages of resolving without regard to each other, because nothing is concurrent across the cut.
    #[must_use]
    pub fn resolve_above(&self, settled: Option<Settled<'_>>, set: &[Ix], upper: &dyn Upper<Id, M, P>) -> Outcome {
        let mut run = Run::new(self, settled, set, upper);
        let mut excluded = BTreeSet::new();
        let mut lost = BTreeSet::new();
        loop {
            run.pass(&excluded, &lost);
            let dead_cause = run
                .void
                .values()
                .copied()
                .filter(|&cause| run.is_dead(cause))
                .min_by(|&a, &b| self.revocation_key(a).cmp(&self.revocation_key(b)));
            if let Some(cause) = dead_cause {
                excluded.insert(cause);
            } else if let Some(loser) = run.lost_transfer().or_else(|| run.lost_claim()) {
                lost.insert(loser);
            } else {
                let dead = set.iter().copied().filter(|&x| run.is_dead(x)).collect();
                return Outcome { void: run.void, lost, excluded, dead, doubted: run.doubted };
            }
        }
    }

    /// The standing of `member` by the rows of this log, in the live part of the past of `x`.
    #[must_use]
    pub fn standing_before(&self, member: &M, x: Ix, is_dead: &dyn Fn(Ix) -> bool) -> Option<Standing> {
        self.standing_by(member, &|op| self.is_past(op, x) && !is_dead(op))
    }

    /// The standing of `member` by those ops of this log that `counts` picks.
    #[must_use]
    pub fn standing_by(&self, member: &M, counts: &dyn Fn(Ix) -> bool) -> Option<Standing> {
        let mut maximal: Vec<Ix> = Vec::new();
        // From the newest arrival down, so that whatever is in another's past comes after that other.
        for op in self.seats_of(member) {
            if counts(op) && !maximal.iter().any(|&later| self.is_past(op, later)) {
                maximal.push(op);
            }
        }
        least(maximal.into_iter().map(|op| self.node(op).effects.gives(member)))
    }

    /// Whether `revocation`, if it is effective, voids `x`, with which it is concurrent.
    #[must_use]
    pub fn voids(&self, revocation: Ix, x: Ix, upper: &dyn Upper<Id, M, P>) -> bool {
        let inherits = |member: &M, need: Need| upper.supports(self, x, member, need);
        self.node(revocation).effects.voids(&self.node(x).effects, &inherits)
    }

    /// Whether all that `x` relies on holds in the live part of its past.
    #[must_use]
    pub fn is_supported(&self, x: Ix, upper: &dyn Upper<Id, M, P>, is_dead: &dyn Fn(Ix) -> bool) -> bool {
        let effects = &self.node(x).effects;
        effects.rests_on.iter().all(|&under| !is_dead(under))
            && effects.relies.iter().all(|(member, need)| self.has(member, *need, x, upper, is_dead))
            && effects.enters.iter().all(|(door, opened)| {
                opened.iter().any(|&opening| !is_dead(opening) && !self.is_closed(door, opening, x, is_dead))
            })
    }

    /// Whether a live op in the past of `x` closes a door that `opening` had opened before or beside it.
    fn is_closed(&self, door: &Door<M>, opening: Ix, x: Ix, is_dead: &dyn Fn(Ix) -> bool) -> bool {
        let mut closing = self.closing.get(door).into_iter().flatten().copied();
        closing.any(|op| op != opening && self.is_past(op, x) && !self.is_past(op, opening) && !is_dead(op))
    }

    /// Whether the support of `x` hangs on an op that was dead at some stage.
    #[must_use]
    pub fn rests_on_doubt(&self, x: Ix, doubted: &imbl::OrdSet<Ix>) -> bool {
        let effects = &self.node(x).effects;
        let is_doubted = |op: Ix| doubted.contains(&op) && self.is_past(op, x);
        let closing = |door| self.closing.get(door).into_iter().flatten();
        !doubted.is_empty()
            && (effects.rests_on.iter().any(|&under| doubted.contains(&under))
                || effects.relies.iter().any(|(member, _)| self.seats_of(member).any(is_doubted))
                || effects.enters.iter().any(|(door, opened)| {
                    opened.iter().any(|opening| doubted.contains(opening)) || closing(door).any(|&op| is_doubted(op))
                }))
    }

    /// Whether `member` has what `x` needs: by its own row in this log if there is one, else from above.
    fn has(&self, member: &M, need: Need, x: Ix, upper: &dyn Upper<Id, M, P>, is_dead: &dyn Fn(Ix) -> bool) -> bool {
        match self.standing_before(member, x, is_dead) {
            Some(standing) => standing.satisfies(need),
            None => upper.supports(self, x, member, need),
        }
    }
}

/// One run over one set: the void ops found so far, and who is dead because of them.
struct Run<'a, Id: Ord + Clone, M: Ord + Clone, P> {
    graph: &'a Graph<Id, M, P>,
    set: &'a [Ix],
    upper: &'a dyn Upper<Id, M, P>,
    settled: Option<Settled<'a>>,
    /// By op: its place in `set`, or none.
    place: Vec<Option<u32>>,
    /// The revocations of the set, in their order.
    revocations: Vec<Ix>,
    dead: Vec<bool>,
    void: BTreeMap<Ix, Ix>,
    lost: BTreeSet<Ix>,
    doubted: BTreeSet<Ix>,
}

impl<'a, Id: Ord + Clone, M: Ord + Clone, P> Run<'a, Id, M, P> {
    fn new(
        graph: &'a Graph<Id, M, P>,
        settled: Option<Settled<'a>>,
        set: &'a [Ix],
        upper: &'a dyn Upper<Id, M, P>,
    ) -> Self {
        let mut place = vec![None; graph.len()];
        for (at, &x) in set.iter().enumerate() {
            place[x as usize] = Some(at as u32);
        }
        let mut revocations: Vec<Ix> = set.iter().copied().filter(|&x| graph.node(x).effects.revokes()).collect();
        revocations.sort_by(|&a, &b| graph.revocation_key(a).cmp(&graph.revocation_key(b)));
        let mut dead = vec![false; graph.len()];
        for &op in settled.into_iter().flat_map(|settled| settled.dead) {
            dead[op as usize] = true;
        }
        let (void, lost, doubted) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        Self { graph, set, upper, settled, place, revocations, dead, void, lost, doubted }
    }

    fn is_dead(&self, x: Ix) -> bool {
        self.dead[x as usize]
    }

    /// The void pass. Afterwards `void` and `dead` are those of the whole set.
    ///
    /// Whether an op is dead depends on its past and on what is void alone, so one table of the dead, kept up as
    /// `void` grows, answers for every subset that the rules speak of.
    fn pass(&mut self, excluded: &BTreeSet<Ix>, lost: &BTreeSet<Ix>) {
        self.void.clear();
        self.lost.clone_from(lost);
        for &x in self.set {
            let is_dead = self.judge(x);
            self.bury(x, is_dead);
        }
        for at in 0..self.revocations.len() {
            let revocation = self.revocations[at];
            if excluded.contains(&revocation) || self.is_dead(revocation) {
                continue;
            }
            let hit: Vec<Ix> =
                self.candidates(revocation).into_iter().filter(|&x| self.strikes(revocation, x)).collect();
            if !hit.is_empty() {
                self.void.extend(hit.iter().map(|&x| (x, revocation)));
                self.spread(&hit);
            }
        }
    }

    fn bury(&mut self, x: Ix, is_dead: bool) {
        self.dead[x as usize] = is_dead;
        if is_dead {
            self.doubted.insert(x);
        }
    }

    fn judge(&self, x: Ix) -> bool {
        self.lost.contains(&x)
            || self.void.contains_key(&x)
            || !self.graph.is_supported(x, self.upper, &|op| self.is_dead(op))
    }

    /// The ops that `revocation` could void, by the index of whom it takes authority from.
    fn candidates(&self, revocation: Ix) -> BTreeSet<Ix> {
        let effects = &self.graph.node(revocation).effects;
        let relying = effects.changes.iter().filter_map(|(target, _)| self.graph.relying.get(target));
        let entering = effects.closes.iter().filter_map(|door| self.graph.entering.get(door));
        relying.chain(entering).flatten().copied().collect()
    }

    fn strikes(&self, revocation: Ix, x: Ix) -> bool {
        self.place[x as usize].is_some()
            && !self.void.contains_key(&x)
            && self.graph.concurrent(revocation, x)
            && self.graph.voids(revocation, x, self.upper)
    }

    /// Judges again what could depend on `changed`, in walk order, as far as verdicts change.
    fn spread(&mut self, changed: &[Ix]) {
        let mut open: BTreeSet<u32> = changed.iter().filter_map(|&x| self.place[x as usize]).collect();
        while let Some(at) = open.pop_first() {
            let x = self.set[at as usize];
            let is_dead = self.judge(x);
            if is_dead != self.dead[x as usize] {
                self.bury(x, is_dead);
                open.extend(self.dependents(x));
            }
        }
    }

    /// Places of the ops whose support could hang on `x`; all come after it.
    fn dependents(&self, x: Ix) -> Vec<u32> {
        let graph = self.graph;
        let effects = &graph.node(x).effects;
        let relying = effects.changes.iter().filter_map(|(member, _)| graph.relying.get(member));
        let entering = effects.closes.iter().filter_map(|door| graph.entering.get(door));
        let resting = graph.resting.get(&x).into_iter();
        relying
            .chain(entering)
            .chain(resting)
            .flatten()
            .filter(|&&later| graph.is_past(x, later))
            .filter_map(|&later| self.place[later as usize])
            .collect()
    }

    /// The first live transfer of ownership in walk order that another live one precedes and is beside, or whose
    /// target is no member any more beside it.
    fn lost_transfer(&self) -> Option<Ix> {
        let graph = self.graph;
        let mut live: Vec<Ix> = graph.transfers.iter().copied().filter(|&x| self.is_live(x)).collect();
        live.sort_by(|&a, &b| graph.walk_key(a).cmp(&graph.walk_key(b)));
        let is_preceded = |at: usize| live.iter().take(at).any(|&first| graph.concurrent(first, live[at]));
        let (_, &loser) = live.iter().enumerate().find(|&(at, &x)| is_preceded(at) || !self.reaches_owner(x))?;
        Some(loser)
    }

    fn reaches_owner(&self, transfer: Ix) -> bool {
        let graph = self.graph;
        graph.node(transfer).effects.next_owner().is_some_and(|to| {
            let ends = |op: Ix| self.is_live(op) && graph.concurrent(op, transfer);
            graph.standing_before(to, transfer, &|op| self.is_dead(op)).is_some()
                && !graph.seats_of(to).any(|op| ends(op) && graph.node(op).effects.gives(to).is_none())
        })
    }

    fn is_live(&self, x: Ix) -> bool {
        self.place[x as usize].is_some() && !self.is_dead(x)
    }

    /// The first live claim in walk order that comes after as many live claims as its invitation allows.
    fn lost_claim(&self) -> Option<Ix> {
        let mut used: BTreeMap<InvitationId, u32> = BTreeMap::new();
        self.set.iter().copied().filter(|&x| !self.is_dead(x)).find(|&x| {
            self.graph.node(x).effects.claims.is_some_and(|(invitation, limit)| {
                let used = used.entry(invitation).or_insert_with(|| self.used_before(invitation));
                *used += 1;
                *used > limit
            })
        })
    }

    /// The live claims of an invitation below the cut.
    fn used_before(&self, invitation: InvitationId) -> u32 {
        let Some(settled) = self.settled else { return 0 };
        let claims = self.graph.claiming.get(&invitation).into_iter().flatten();
        let is_before = |op: Ix| op == settled.cut || self.graph.is_past(op, settled.cut);
        claims.filter(|&&op| is_before(op) && !self.is_dead(op)).count() as u32
    }
}
