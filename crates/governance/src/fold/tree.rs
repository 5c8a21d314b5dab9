//! A group in the tree of groups: below which parent it is folded, and from where its ops and deltas see the ancestors.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use mesto_oplog::entry::PARENTS_MAX;
use mesto_oplog::{EntryId, Verified};

use super::above::Above;
use super::admit::{Rejected, SUBGROUP_DEPTH_MAX, admit_genesis};
use super::ancestry::{Ancestry, Level};
use super::graph::Ix;
use super::place::{Admitted, OpGraph};
use super::state::GroupState;
use super::view::{View, Views};
use super::{Applied, Change, Governance, Refusal, roster};
use crate::action::Action;
use crate::id::GroupId;
use crate::op::Op;

impl GroupState {
    /// The state of a group without ops, below these ancestors.
    pub(crate) fn below(ancestry: Arc<Ancestry>) -> Self {
        Self { ancestry, ..Self::default() }
    }
}

impl Governance {
    /// Begins a subgroup below its parent.
    ///
    /// # Errors
    /// See [`Refusal`]; [`Rejected::AncestorUnknown`] while the parent's log lacks what the op names.
    pub fn genesis_below(entry: &Verified, parent: &Arc<Self>) -> Result<Self, Refusal> {
        Self::begin(entry, Some(Arc::clone(parent)))
    }

    /// The parent that the first op of a group names: what has to be folded before the group can be.
    #[must_use]
    pub fn parent_named(genesis: &Verified) -> Option<GroupId> {
        let op = Op::decode(genesis).ok()?;
        let Some(Action::GroupCreated(created)) = op.actions.first() else { return None };
        created.parent
    }

    pub(super) fn begin(entry: &Verified, parent: Option<Arc<Self>>) -> Result<Self, Refusal> {
        if !entry.is_genesis() {
            return Err(Refusal::NotGenesis(entry.id()));
        }
        let author = entry.header().author;
        let op = Op::decode(entry).map_err(Rejected::from)?;
        let effects = admit_genesis(&op, author, parent.as_ref().map(|parent| parent.group))?;
        let id = entry.id();
        let mut begun = Self {
            group: GroupId::of_genesis(id),
            graph: OpGraph::default(),
            views: Views::default(),
            digest: OnceLock::new(),
            now: Arc::default(),
            parent,
        };
        let depth = begun.ancestors().count();
        let generation = u8::try_from(depth).ok().filter(|_| depth <= SUBGROUP_DEPTH_MAX);
        let generation = generation.ok_or(Refusal::Rejected(Rejected::TooDeep))?;
        begun.graph.generation = generation;
        let above = begun.above_of(&op, &BTreeSet::new())?;
        let rank = roster::founder(id, generation);
        let ix = begun.graph.insert_below(
            id,
            &[],
            rank,
            effects,
            Arc::new(Admitted { author, op, keys: Vec::new() }),
            above,
        );
        let now = begun.above_now();
        begun.now = begun.view_below(&BTreeSet::from([ix]), &now);
        Ok(begun)
    }

    /// Goes on below the parent as it is now. `parent` must come of the same instance as what was told before, or be a
    /// clone of one that does: ops are never taken back.
    ///
    /// # Errors
    /// [`Refusal::NotTheParent`].
    pub fn follow(&mut self, parent: &Arc<Self>) -> Result<Applied, Refusal> {
        if self.parent.as_ref().map(|parent| parent.group) != Some(parent.group) {
            return Err(Refusal::NotTheParent(parent.group));
        }
        self.parent = Some(Arc::clone(parent));
        let above = self.above_now();
        let before = Arc::clone(&self.now);
        if above == before.above {
            return Ok(Applied::default());
        }
        let seed = self.seed_below(&above);
        let ends_rights = seed.ancestry.ends_rights(&before.state.ancestry);
        let mut applied = if let Some(view) = before.rebased(&self.graph, &above, &seed) {
            let was_there = before.state.is_there();
            let rejudge = ends_rights || was_there != view.state.is_there();
            let mut changes = Vec::new();
            if !before.state.is_deleted() && view.state.is_deleted() {
                changes.push(Change::GroupDeleted);
            }
            self.become_now(view);
            Applied { changes, rejudge, ..Applied::default() }
        } else {
            let view = View::resolve(&self.graph, &before.heads, &above, &seed);
            self.turn_to(view)
        };
        applied.changes.push(Change::AncestorsChanged);
        Ok(applied)
    }

    /// Whether an op of the log names a subgroup, be it live or dead.
    #[must_use]
    pub fn has_named(&self, subgroup: &GroupId) -> bool {
        let names = |action: &Action| matches!(action, Action::SubgroupCreated(created) if created.group == *subgroup);
        (0..self.graph.next()).any(|op| self.graph.node(op).payload.op.actions.iter().any(names))
    }

    /// The parent, as it was last told.
    #[must_use]
    pub const fn parent(&self) -> Option<&Arc<Self>> {
        self.parent.as_ref()
    }

    /// The ancestors, nearest first.
    pub fn ancestors(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(self.parent.as_deref(), |group| group.parent.as_deref())
    }

    /// What an op names of the ancestors' logs that is not held there yet: it has to wait for these.
    #[must_use]
    pub fn missing(&self, op: &Op) -> Vec<EntryId> {
        op.ancestor_parents.iter().copied().filter(|id| !self.ancestors().any(|group| group.holds(id))).collect()
    }

    /// The heads of an ancestor's log that an op has in its past; none if the op is not held, or had seen nothing there.
    #[must_use]
    pub fn seen_above(&self, op: &EntryId, ancestor: &GroupId) -> Vec<EntryId> {
        let level = self.ancestors().enumerate().find(|(_, group)| group.group == *ancestor);
        let above = self.graph.find(op).map(|ix| &self.graph.node(ix).above);
        let Some(((at, group), above)) = level.zip(above) else { return Vec::new() };
        above.level(at).into_iter().flatten().map(|&ix| group.graph.node(ix).id).collect()
    }

    /// What an op on top of the present heads has to name of the ancestors' logs, so that all that is known here is in
    /// its past: those of their heads that the own heads do not bring. At most as many as an op may name, the nearest
    /// first; ascending.
    #[must_use]
    pub fn ancestor_parents(&self) -> Vec<EntryId> {
        self.unbrought(PARENTS_MAX)
    }

    /// The heads of the ancestors' logs that the own heads do not bring, at most so many, the nearest first; ascending.
    fn unbrought(&self, most: usize) -> Vec<EntryId> {
        let own: Vec<&Above> = self.now.heads.iter().map(|&head| &self.graph.node(head).above).collect();
        let mut brought = self.join(own.into_iter()).unwrap_or_default();
        let mut named = Vec::new();
        for (at, group) in self.ancestors().enumerate() {
            for &head in &group.now.heads {
                let is_brought = brought.get(at).is_some_and(|brought| group.graph.is_within(head, brought));
                if !is_brought && named.len() < most {
                    let node = group.graph.node(head);
                    named.push(node.id);
                    for (further, heads) in (at + 1..).zip(node.above.levels()) {
                        brought[further].extend(heads);
                    }
                }
            }
        }
        named.sort_unstable();
        named
    }

    /// What a delta, or a heartbeat, names as all that is known here: the own heads, and those of the ancestors that these
    /// do not bring; ascending. All of them, however many: what a delta names has to have everything in its past that the
    /// deltas before it name. Two nodes with equal frontiers and equal ancestors' frontiers have equal digests.
    #[must_use]
    pub fn frontier(&self) -> Vec<EntryId> {
        let mut all = self.heads();
        all.extend(self.unbrought(usize::MAX));
        all.sort_unstable();
        all
    }

    /// Whether an op is held in this log, or in an ancestor's.
    #[must_use]
    pub fn knows(&self, op: &EntryId) -> bool {
        self.holds(op) || self.ancestors().any(|group| group.holds(op))
    }

    /// What the ops `parents` and what `op` names have in their past of the ancestors' logs.
    pub(super) fn above_of(&self, op: &Op, parents: &BTreeSet<Ix>) -> Result<Above, Rejected> {
        self.above_with(parents, &op.ancestor_parents)
    }

    fn above_with(&self, own: &BTreeSet<Ix>, named: &[EntryId]) -> Result<Above, Rejected> {
        let mut aboves = own.iter().map(|&parent| &self.graph.node(parent).above);
        if named.is_empty()
            && let Some(first) = aboves.next()
            && aboves.all(|other| other == first)
        {
            return Ok(first.clone());
        }
        let own: Vec<&Above> = own.iter().map(|&parent| &self.graph.node(parent).above).collect();
        let mut levels = self.join(own.into_iter()).unwrap_or_default();
        for id in named {
            let found = self.ancestors().enumerate().find_map(|(at, group)| Some((at, group, group.graph.find(id)?)));
            let (at, group, ix) = found.ok_or(Rejected::AncestorUnknown(*id))?;
            levels[at].insert(ix);
            for (further, heads) in (at + 1..).zip(group.graph.node(ix).above.levels()) {
                levels[further].extend(heads);
            }
        }
        let maximal = self.ancestors().zip(&levels).map(|(group, heads)| group.graph.maximal(heads));
        Ok(Above::new(maximal.collect()))
    }

    /// The union, with one set for each ancestor; nothing for a root.
    fn join<'a>(&self, aboves: impl Iterator<Item = &'a Above>) -> Option<Vec<BTreeSet<Ix>>> {
        let depth = self.ancestors().count();
        let mut levels = vec![BTreeSet::new(); depth];
        for above in aboves {
            for (into, heads) in levels.iter_mut().zip(above.levels()) {
                into.extend(heads);
            }
        }
        (depth > 0).then_some(levels)
    }

    fn above_now(&self) -> Above {
        Above::new(self.ancestors().map(|group| group.now.heads.clone()).collect())
    }

    /// The view at own heads below `above`; kept.
    pub(super) fn view_below(&mut self, heads: &BTreeSet<Ix>, above: &Above) -> Arc<View<GroupState>> {
        let seed = self.seed_below(above);
        self.views.at(&self.graph, heads, above, &seed)
    }

    /// The view at heads of this log and of the ancestors'; nothing if one is not held, or none is of this log.
    pub(crate) fn view_at(&mut self, heads: &[EntryId]) -> Option<Arc<View<GroupState>>> {
        let (own, others): (Vec<EntryId>, Vec<EntryId>) = heads.iter().partition(|head| self.holds(head));
        let own: BTreeSet<Ix> = own.iter().filter_map(|head| self.graph.find(head)).collect();
        if own.is_empty() {
            return None;
        }
        let above = self.above_with(&own, &others).ok()?;
        let heads = self.graph.maximal(&own);
        Some(self.view_below(&heads, &above))
    }

    /// A state without ops, below `above`.
    fn seed_below(&self, above: &Above) -> GroupState {
        let Some(parent) = &self.parent else { return GroupState::default() };
        if let Some(view) = self.views.below(above) {
            return GroupState::below(Arc::clone(&view.state.ancestry));
        }
        let rest = above.rest();
        let upper = parent.seed_below(&rest);
        let mut levels = upper.ancestry.levels.clone();
        let view = match above.level(0) {
            Some(heads) => parent.views.find(&parent.graph, heads, &rest, &upper),
            None => Arc::new(View { state: upper, above: rest, ..View::default() }),
        };
        levels.insert(0, Level { group: parent.group, graph: parent.graph.clone(), view });
        GroupState::below(Arc::new(Ancestry { group: self.group, levels }))
    }
}
