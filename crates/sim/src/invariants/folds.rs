//! Groups folded again from a host's durable logs, from nothing: a subgroup below the fold of its ancestors.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesto_governance::fold::SUBGROUP_DEPTH_MAX;
use mesto_governance::{Governance, GroupId};
use mesto_node::command::{Command, Reply, Selector};
use mesto_node::store::Snapshot;
use mesto_oplog::dag::DagRead;
use mesto_oplog::{EntryId, Stamp, Verified};

use super::Violation;
use crate::ledger::{self, Ledger};
use crate::world::World;

/// Folds that are kept: those of the groups of one run, at the few moments at which hosts are compared.
const FOLDS_KEPT_MAX: usize = 64;
/// States between two commits that are looked at: more than the few ops in one commit of a tree of groups make.
const BETWEEN_MAX: usize = 4_096;

/// A group and its ancestors, as a store knows them; nearest first.
pub(crate) fn lineage(snapshot: &Arc<dyn Snapshot>, group: GroupId) -> Vec<GroupId> {
    let parent = |group: &GroupId| {
        let ledger = Ledger::new(Arc::clone(snapshot), group.log());
        let genesis = ledger.by_arrival(0, 1).first().and_then(|id| ledger.entry(id))?;
        Governance::parent_named(&genesis)
    };
    std::iter::successors(Some(group), parent).take(SUBGROUP_DEPTH_MAX + 1).collect()
}

/// The fold of a group's log in the order in which its ops arrived there, below all that is held of its ancestors; if
/// there are `cuts`, of each log no more than so many ops, and no more than come before the first that rests on what is
/// cut off.
fn fold(snapshot: &Arc<dyn Snapshot>, lineage: &[GroupId], cuts: Option<&[usize]>) -> Option<Governance> {
    let (group, above) = lineage.split_first()?;
    let ledger = Ledger::new(Arc::clone(snapshot), group.log());
    let count = cuts.and_then(|cuts| cuts.first()).map_or(usize::MAX, |count| *count);
    let ids = ledger.by_arrival(0, count);
    let mut ops = ids.iter().filter_map(|id| ledger.entry(id));
    let genesis = ops.next()?;
    let mut governance = if above.is_empty() {
        Governance::genesis(&genesis).ok()?
    } else {
        Governance::genesis_below(&genesis, &Arc::new(fold(snapshot, above, cuts.map(|cuts| &cuts[1..]))?)).ok()?
    };
    let all = ops.try_for_each(|op| governance.apply(&op).map(drop));
    (all.is_ok() || cuts.is_some()).then_some(governance)
}

/// The fold of all that any host holds of a group's log, below the same of its ancestors.
fn fold_of_all(snapshots: &[Arc<dyn Snapshot>], lineage: &[GroupId]) -> Option<Governance> {
    let (group, above) = lineage.split_first()?;
    // Each op is stamped later than its parents, and the first one before all.
    let mut ops: BTreeMap<(Stamp, EntryId), Verified> = BTreeMap::new();
    for snapshot in snapshots {
        let ledger = Ledger::new(Arc::clone(snapshot), group.log());
        let entries = ledger.ids().into_iter().filter_map(|id| ledger.entry(&id));
        ops.extend(entries.map(|entry| ((entry.header().stamp, entry.id()), entry)));
    }
    let mut ops = ops.into_values();
    let genesis = ops.next()?;
    let mut governance = if above.is_empty() {
        Governance::genesis(&genesis).ok()?
    } else {
        Governance::genesis_below(&genesis, &Arc::new(fold_of_all(snapshots, above)?)).ok()?
    };
    ops.try_for_each(|op| governance.apply(&op).map(drop)).ok()?;
    Some(governance)
}

/// At the end: what a host came to op by op, in whatever order they came and above or below first, is what the rules make
/// of all of them.
pub(super) fn check(world: &mut World, host: usize) {
    for (group, _) in ledger::groups(&world.hosts[host].disk.snapshot()) {
        let shown = world.look(host, Command::GroupShow(Selector(group.to_string())));
        let Some(Reply::Groups(infos)) = shown else { continue };
        let Some(info) = infos.first() else { continue };
        let governance = world.fold_of(host, group);
        if governance.is_none_or(|governance| governance.digest() != info.digest) {
            world.violated(Violation::Misfolded { host, group });
        }
        world.count(if info.parent.is_some() { "subgroups folded anew" } else { "groups folded anew" });
    }
}

impl World {
    /// The fold of what a host holds of a group's log and of those above, made once for each set of ops.
    pub(crate) fn fold_of(&mut self, host: usize, group: GroupId) -> Option<Governance> {
        self.fold_in(&self.hosts[host].disk.snapshot(), group)
    }

    /// The same of what a store held at some time.
    pub(super) fn fold_in(&mut self, snapshot: &Arc<dyn Snapshot>, group: GroupId) -> Option<Governance> {
        let lineage = lineage(snapshot, group);
        let ids: Vec<EntryId> =
            lineage.iter().flat_map(|group| Ledger::new(Arc::clone(snapshot), group.log()).ids()).collect();
        if let Some(known) = self.folds.get(&ids) {
            return Some(known.clone());
        }
        let governance = fold(snapshot, &lineage, None)?;
        if self.folds.len() >= FOLDS_KEPT_MAX {
            self.folds.clear();
        }
        self.folds.insert(ids, governance.clone());
        Some(governance)
    }

    /// The fold of all that the hosts hold together of a group, whoever is a member of it.
    pub(crate) fn fold_of_all(&self, group: GroupId) -> Option<Governance> {
        let snapshots: Vec<Arc<dyn Snapshot>> = self.hosts.iter().map(|host| host.disk.snapshot()).collect();
        let lineage = snapshots.iter().map(|snapshot| lineage(snapshot, group)).max_by_key(Vec::len)?;
        fold_of_all(&snapshots, &lineage)
    }
}

/// The folds of a group between two commits: with what came in between of its log and of those above, op by op in the
/// order in which they arrived there, and the logs in any order.
pub(super) fn between(before: &Arc<dyn Snapshot>, now: &Arc<dyn Snapshot>, group: GroupId) -> Vec<Governance> {
    let lineage = lineage(now, group);
    let count = |snapshot: &Arc<dyn Snapshot>, group: &GroupId| {
        Ledger::new(Arc::clone(snapshot), group.log()).by_arrival(0, usize::MAX).len()
    };
    let mut cuts: Vec<Vec<usize>> = vec![Vec::new()];
    for of in &lineage {
        let counts = count(before, of)..=count(now, of);
        cuts = cuts.iter().flat_map(|cut| counts.clone().map(|count| [cut.as_slice(), &[count]].concat())).collect();
        cuts.truncate(BETWEEN_MAX);
    }
    cuts.iter().filter_map(|cut| fold(now, &lineage, Some(cut))).collect()
}
