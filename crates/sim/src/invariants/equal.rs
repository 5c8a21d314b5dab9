//! Equal sets of entries are equal states, at any time.

use std::collections::BTreeMap;

use mesto_governance::GroupId;
use mesto_oplog::{EntryId, LogId};

use super::{Violation, lineage};
use crate::ledger::{self, Ledger};
use crate::world::World;

/// A log of so many entries is made anew within the step in which verdicts change.
const ONE_STEP_MAX: usize = 128;

/// At any time: equal sets of entries, under equal sets of ops, are equal states.
pub(crate) fn compare(world: &mut World) {
    // Who first showed a log with such entries, and with which heads and root.
    type State = (usize, Vec<EntryId>, [u8; 32]);
    let mut states: BTreeMap<(LogId, Vec<EntryId>, Vec<EntryId>), State> = BTreeMap::new();
    let mut found = Vec::new();
    for host in 0..world.hosts.len() {
        if !world.is_honest(host) {
            continue;
        }
        // A crash can leave what a group wrote of a step without what its contexts wrote, until the node that starts there
        // has made up for it.
        if world.hosts[host].disk.is_torn() {
            continue;
        }
        let snapshot = world.hosts[host].disk.snapshot();
        let contexts = ledger::contexts(&snapshot);
        let contexts = contexts.into_iter().map(|(id, of)| (id.log(), Some(id), Some(GroupId::from_bytes(of.group))));
        let groups = ledger::groups(&snapshot).into_iter().map(|(id, _)| (id.log(), None, None));
        for (log, context, group) in contexts.chain(groups) {
            let ops: Vec<EntryId> = group
                .map(|group| lineage(&snapshot, group))
                .unwrap_or_default()
                .into_iter()
                .flat_map(|group| Ledger::new(snapshot.clone(), group.log()).ids())
                .collect();
            let ledger = Ledger::new(snapshot.clone(), log);
            let ids: Vec<EntryId> = ledger.ids().into_iter().collect();
            // A state that is made anew from a long log follows the verdicts some steps later.
            let shows = |context| world.hosts[host].node.as_ref().is_some_and(|node| node.shows_verdicts(&context));
            if ids.len() > ONE_STEP_MAX && context.is_some_and(|context| !shows(context)) {
                continue;
            }
            let heads = ledger.dag().map(|dag| dag.heads().collect()).unwrap_or_default();
            let root = context.and_then(|id| ledger::root(&snapshot, &id)).map(|root| root.0).unwrap_or_default();
            let known = states.entry((log, ids, ops)).or_insert_with(|| (host, Vec::clone(&heads), root));
            if (&known.1, known.2) != (&heads, root) {
                found.push(Violation::Unequal { hosts: (known.0, host), log });
            }
        }
    }
    for violation in found {
        world.violated(violation);
    }
}
