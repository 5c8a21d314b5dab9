//! Groups folded again from a host's durable log, from nothing.

use mesto_governance::{Governance, GroupId};
use mesto_oplog::EntryId;
use mesto_oplog::dag::DagRead;

use crate::ledger::Ledger;
use crate::world::World;

/// Folds that are kept: those of the groups of one run, at the few moments at which hosts are compared.
const FOLDS_KEPT_MAX: usize = 64;

/// The fold of a group's log in the order in which its ops arrived there.
pub(super) fn fold(ledger: &Ledger) -> Option<Governance> {
    let ids = ledger.by_arrival(0, usize::MAX);
    let mut ops = ids.iter().filter_map(|id| ledger.entry(id));
    let mut governance = Governance::genesis(&ops.next()?).ok()?;
    ops.try_for_each(|op| governance.apply(&op).map(drop)).ok()?;
    Some(governance)
}

impl World {
    /// The fold of what a host holds of a group's log, made once for each set of ops.
    pub(crate) fn fold_of(&mut self, host: usize, group: GroupId) -> Option<Governance> {
        let ledger = Ledger::new(self.hosts[host].disk.snapshot(), group.log());
        let ids: Vec<EntryId> = ledger.ids().into_iter().collect();
        if let Some(known) = self.folds.get(&ids) {
            return Some(known.clone());
        }
        let governance = fold(&ledger)?;
        if self.folds.len() >= FOLDS_KEPT_MAX {
            self.folds.clear();
        }
        self.folds.insert(ids, governance.clone());
        Some(governance)
    }
}
