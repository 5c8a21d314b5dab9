//! Views: the fold of what some heads reach, extended op by op where that is exact, and resolved anew where not.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::above::{Above, Root, Upper};
use super::graph::{Graph, Ix};
use super::resolve::Settled;

/// Recent views that are kept: the branches on which members of a group work at one time, and the heads that
/// deltas in flight name. Views share most of their structure.
pub const VIEWS_KEPT_MAX: usize = 128;

/// Cuts that are kept to go on from when something has to be resolved anew: the nearer the denser, so that these are
/// enough for the longest log.
pub const CUTS_KEPT_MAX: usize = 64;

/// How much closer together than their distance from the end the neighbours of a cut may be for it to go: about this
/// many cuts for each doubling of the distance.
const CUT_SPARSENESS: usize = 4;

/// State that live ops make, one after another, below what the ancestors of the group say.
pub trait Fold<Id: Ord + Clone, M: Ord + Clone, P>: Clone {
    /// What is above, as a fold of what `heads` reach asks for it.
    type Upper<'a>: Upper<Id, M, P>
    where
        Self: 'a;

    /// What is above, for the ops that `heads` reach.
    fn upper<'a>(&'a self, heads: &'a BTreeSet<Ix>) -> Self::Upper<'a>;

    /// Takes in a live op, after all live ops of its past.
    fn place(&mut self, graph: &Graph<Id, M, P>, x: Ix);

    /// The same state below what `seed` is below; or nothing, if that could make a difference.
    fn rebased(&self, graph: &Graph<Id, M, P>, seed: &Self) -> Option<Self>;
}

impl<Id: Ord + Clone, M: Ord + Clone, P> Fold<Id, M, P> for super::roster::Roster<Id, M> {
    type Upper<'a>
        = Root
    where
        Self: 'a;

    fn upper<'a>(&'a self, _: &'a BTreeSet<Ix>) -> Root {
        Root
    }

    fn place(&mut self, graph: &Graph<Id, M, P>, x: Ix) {
        Self::place(self, graph, x);
    }

    fn rebased(&self, _: &Graph<Id, M, P>, _: &Self) -> Option<Self> {
        Some(self.clone())
    }
}

/// The fold of all ops that `heads` reach.
#[derive(Clone, Debug)]
pub struct View<F> {
    /// The heads.
    pub heads: BTreeSet<Ix>,
    /// The heads in the logs of the ancestors.
    pub above: Above,
    /// How many ops they reach.
    pub count: usize,
    /// Ops that are void.
    pub void: imbl::OrdMap<Ix, Ix>,
    /// The revocations that void ops.
    pub causes: imbl::OrdSet<Ix>,
    /// Whether the first void pass was the last, so that it would run the same with another void op.
    pub is_plain: bool,
    /// Ops that are dead.
    pub dead: imbl::OrdSet<Ix>,
    /// Ops that were dead at some stage of resolving, or could have been.
    pub doubted: imbl::OrdSet<Ix>,
    /// What the others make.
    pub state: F,
}

impl<F: Default> Default for View<F> {
    fn default() -> Self {
        Self {
            heads: BTreeSet::new(),
            above: Above::default(),
            count: 0,
            void: imbl::OrdMap::new(),
            causes: imbl::OrdSet::new(),
            is_plain: true,
            dead: imbl::OrdSet::new(),
            doubted: imbl::OrdSet::new(),
            state: F::default(),
        }
    }
}

impl<F> View<F> {
    /// Resolves everything that `heads` reach, from `seed`: a state without ops, below what `above` reaches.
    pub fn resolve<Id, M, P>(graph: &Graph<Id, M, P>, heads: &BTreeSet<Ix>, above: &Above, seed: &F) -> Self
    where
        Id: Ord + Clone,
        M: Ord + Clone,
        F: Fold<Id, M, P>,
    {
        let set = graph.beyond(&BTreeSet::new(), heads);
        let outcome = graph.resolve(&set, &seed.upper(heads));
        let mut state = seed.clone();
        for &x in set.iter().filter(|x| !outcome.dead.contains(x)) {
            state.place(graph, x);
        }
        Self {
            heads: heads.clone(),
            above: above.clone(),
            count: set.len(),
            causes: outcome.void.values().copied().collect(),
            is_plain: outcome.excluded.is_empty() && outcome.lost.is_empty(),
            void: outcome.void.into_iter().collect(),
            dead: outcome.dead.into_iter().collect(),
            doubted: outcome.doubted.into_iter().collect(),
            state,
        }
    }

    /// Resolves what `heads` reach from this view on, if it is a cut: if its one head is in the past of all the rest,
    /// nothing of the rest hangs on what was in doubt here, and none of it tells of something here that a revocation
    /// above had seen it.
    pub fn resolved_on<Id, M, P>(&self, graph: &Graph<Id, M, P>, heads: &BTreeSet<Ix>) -> Option<Self>
    where
        Id: Ord + Clone,
        M: Ord + Clone,
        F: Fold<Id, M, P>,
    {
        let cut = self.heads.first().copied().filter(|_| self.heads.len() == 1)?;
        let set = graph.beyond(&self.heads, heads);
        let upper = self.state.upper(heads);
        let is_exact = |&x: &Ix| {
            graph.is_past(cut, x) && !graph.rests_on_doubt(x, &self.doubted) && !upper.names(&graph.node(x).id)
        };
        if set.is_empty() || !set.iter().all(is_exact) {
            return None;
        }
        let outcome = graph.resolve_above(Some(Settled { cut, dead: &self.dead }), &set, &upper);
        let mut view = self.clone();
        for &x in set.iter().filter(|x| !outcome.dead.contains(x)) {
            view.state.place(graph, x);
        }
        view.heads.clone_from(heads);
        view.count += set.len();
        view.causes.extend(outcome.void.values().copied());
        view.is_plain &= outcome.excluded.is_empty() && outcome.lost.is_empty();
        view.void.extend(outcome.void);
        view.dead.extend(outcome.dead);
        view.doubted.extend(outcome.doubted);
        Some(view)
    }

    /// The same ops below `above`, where `seed` is; or nothing, if everything has to be resolved.
    pub fn rebased<Id, M, P>(&self, graph: &Graph<Id, M, P>, above: &Above, seed: &F) -> Option<Self>
    where
        Id: Ord + Clone,
        M: Ord + Clone,
        F: Fold<Id, M, P>,
    {
        let state = self.state.rebased(graph, seed)?;
        Some(Self {
            heads: self.heads.clone(),
            above: above.clone(),
            count: self.count,
            void: self.void.clone(),
            causes: self.causes.clone(),
            is_plain: self.is_plain,
            dead: self.dead.clone(),
            doubted: self.doubted.clone(),
            state,
        })
    }

    /// The view with one more op, whose past is within this one; or nothing, if everything has to be resolved.
    ///
    /// Exact, because a new op is in nobody's past: as long as it neither voids nor outruns an op beside it, the
    /// void ops stay, and with them the dead, and the new op alone has to be judged. If revocations beside it
    /// strike it, each must be known to be in force: then it is void, by the first of them.
    pub fn extended<Id, M, P>(&self, graph: &Graph<Id, M, P>, x: Ix) -> Option<Self>
    where
        Id: Ord + Clone,
        M: Ord + Clone,
        F: Fold<Id, M, P>,
    {
        let effects = &graph.node(x).effects;
        let heads = graph.heads_with(&self.heads, x);
        let upper = self.state.upper(&heads);
        let mut strikers = Vec::new();
        for beside in graph.beside(x, &self.heads) {
            let other = &graph.node(beside).effects;
            let compete = matches!((&effects.claims, &other.claims), (Some(a), Some(b)) if a.0 == b.0);
            let contest = effects.contests(other) || other.contests(effects);
            if compete || contest || graph.voids(x, beside, &upper) {
                return None;
            }
            if graph.voids(beside, x, &upper) {
                strikers.push(beside);
            }
        }
        if upper.names(&graph.node(x).id) {
            return None;
        }
        let in_force = |striker: &Ix| self.is_plain && self.causes.contains(striker);
        if !strikers.iter().all(in_force) || self.is_beyond_uses(graph, x) || self.reaches_nobody(graph, x) {
            return None;
        }
        let mut view = self.clone();
        view.heads.clone_from(&heads);
        view.count += 1;
        let cause = strikers.into_iter().min_by(|&a, &b| graph.revocation_key(a).cmp(&graph.revocation_key(b)));
        if cause.is_some() || graph.rests_on_doubt(x, &self.doubted) {
            view.doubted.insert(x);
        }
        if let Some(cause) = cause {
            view.void.insert(x, cause);
            view.dead.insert(x);
        } else if graph.is_supported(x, &upper, &|op| self.dead.contains(&op)) {
            view.state.place(graph, x);
        } else {
            view.dead.insert(x);
            view.doubted.insert(x);
        }
        Some(view)
    }

    /// Whether `x` hands the group to somebody who is no member in the live part of its past.
    fn reaches_nobody<Id: Ord + Clone, M: Ord + Clone, P>(&self, graph: &Graph<Id, M, P>, x: Ix) -> bool {
        let is_dead = |op: Ix| self.dead.contains(&op);
        let target = graph.node(x).effects.next_owner();
        target.is_some_and(|to| graph.standing_before(to, x, &is_dead).is_none())
    }

    /// Whether `x` claims an invitation of which the ops before it leave nothing here.
    fn is_beyond_uses<Id: Ord + Clone, M: Ord + Clone, P>(&self, graph: &Graph<Id, M, P>, x: Ix) -> bool {
        graph.node(x).effects.claims.is_some_and(|(invitation, limit)| {
            let claiming = graph.claiming.get(&invitation).into_iter().flatten();
            let live = claiming.filter(|&&other| graph.is_past(other, x) && !self.dead.contains(&other));
            live.count() >= limit as usize
        })
    }
}

/// The views that were used last.
#[derive(Clone, Debug)]
pub struct Views<F> {
    recent: VecDeque<Arc<View<F>>>,
    /// Views with one head, in order of their counts.
    cuts: Vec<Arc<View<F>>>,
}

impl<F> Default for Views<F> {
    fn default() -> Self {
        Self { recent: VecDeque::new(), cuts: Vec::new() }
    }
}

impl<F> Views<F> {
    /// Keeps a view, and drops the one that was unused for longest.
    pub fn keep(&mut self, view: Arc<View<F>>) {
        self.recent.retain(|kept| kept.heads != view.heads || kept.above != view.above);
        self.keep_cut(&view);
        self.recent.push_front(view);
        self.recent.truncate(VIEWS_KEPT_MAX);
    }

    /// Keeps a view as a cut, if it is the longest of one head. Of the others every one goes whose neighbours are close
    /// together, measured by how far back they are.
    fn keep_cut(&mut self, view: &Arc<View<F>>) {
        let longest = self.cuts.last().map_or(0, |cut| cut.count);
        if view.heads.len() != 1 || view.count <= longest {
            return;
        }
        self.cuts.push(Arc::clone(view));
        let count = |cuts: &[Arc<View<F>>], at: usize| cuts.get(at).map_or(0, |cut| cut.count);
        let mut at = self.cuts.len().saturating_sub(2);
        while at > 0 {
            let (before, after) = (count(&self.cuts, at - 1), count(&self.cuts, at + 1));
            if (after - before) * CUT_SPARSENESS <= view.count - after {
                self.cuts.remove(at);
            }
            at -= 1;
        }
        if self.cuts.len() > CUTS_KEPT_MAX {
            self.cuts.remove(0);
        }
    }

    /// Resolves anew: from the nearest cut from which that is exact, else from nothing.
    pub fn resolve<Id, M, P>(&self, graph: &Graph<Id, M, P>, heads: &BTreeSet<Ix>, above: &Above, seed: &F) -> View<F>
    where
        Id: Ord + Clone,
        M: Ord + Clone,
        F: Fold<Id, M, P>,
    {
        let reached =
            |cut: &&Arc<View<F>>| cut.above == *above && cut.heads.iter().all(|&head| graph.is_within(head, heads));
        let from_cut = self.cuts.iter().rev().filter(reached).find_map(|cut| cut.resolved_on(graph, heads));
        from_cut.unwrap_or_else(|| View::resolve(graph, heads, above, seed))
    }

    /// A view of these ancestors' heads.
    #[must_use]
    pub fn below(&self, above: &Above) -> Option<&View<F>> {
        self.recent.iter().map(Arc::as_ref).find(|view| view.above == *above)
    }

    /// The view at `heads`, none of which is in another's past, below `above`, where `seed` is; kept.
    pub fn at<Id, M, P>(
        &mut self,
        graph: &Graph<Id, M, P>,
        heads: &BTreeSet<Ix>,
        above: &Above,
        seed: &F,
    ) -> Arc<View<F>>
    where
        Id: Ord + Clone,
        M: Ord + Clone,
        F: Fold<Id, M, P>,
    {
        let view = self.find(graph, heads, above, seed);
        self.keep(Arc::clone(&view));
        view
    }

    /// The same without keeping it: one that was kept, or extended from the nearest that was, or resolved.
    pub fn find<Id, M, P>(&self, graph: &Graph<Id, M, P>, heads: &BTreeSet<Ix>, above: &Above, seed: &F) -> Arc<View<F>>
    where
        Id: Ord + Clone,
        M: Ord + Clone,
        F: Fold<Id, M, P>,
    {
        let known = self.recent.iter().find(|view| view.heads == *heads && view.above == *above).cloned();
        known
            .or_else(|| self.extend_nearest(graph, heads, above, seed))
            .unwrap_or_else(|| Arc::new(self.resolve(graph, heads, above, seed)))
    }

    fn extend_nearest<Id, M, P>(
        &self,
        graph: &Graph<Id, M, P>,
        heads: &BTreeSet<Ix>,
        above: &Above,
        seed: &F,
    ) -> Option<Arc<View<F>>>
    where
        Id: Ord + Clone,
        M: Ord + Clone,
        F: Fold<Id, M, P>,
    {
        let within = |view: &&Arc<View<F>>| view.heads.iter().all(|&head| graph.is_within(head, heads));
        let mut view =
            self.recent.iter().filter(within).max_by_key(|view| (view.count, view.above == *above)).cloned()?;
        if view.above != *above {
            view = Arc::new(view.rebased(graph, above, seed)?);
        }
        for x in graph.beyond(&view.heads, heads) {
            view = Arc::new(view.extended(graph, x)?);
        }
        Some(view)
    }
}
