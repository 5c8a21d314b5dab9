//! What somebody forged after every honest member knew of its removal never counts.

use std::collections::BTreeSet;

use mesto_governance::{Action, Governance};
use mesto_oplog::dag::DagRead;
use mesto_oplog::{EntryId, PublicKey};

use super::{Violation, verdicts};
use crate::byzantine::Late;
use crate::host::Role;
use crate::ledger::Ledger;
use crate::world::World;

/// Whether somebody is out of a group because others removed it: who leaves takes nothing from what it does beside that.
pub(crate) fn is_removed(governance: &Governance, member: &PublicKey) -> bool {
    !removals(governance, member).is_empty()
}

/// The ops by which others put somebody out of a group; none if it is no more out, or left since.
pub(crate) fn removals(governance: &Governance, member: &PublicKey) -> Vec<EntryId> {
    let has = |op: &EntryId, ends: &dyn Fn(&PublicKey, &Action) -> bool| {
        governance.op(op).is_some_and(|(author, op)| op.actions.iter().any(|action| ends(&author, action)))
    };
    let removes =
        |_: &PublicKey, action: &Action| matches!(action, Action::MemberRemoved(removed) if removed.member == *member);
    let leaves = |author: &PublicKey, action: &Action| author == member && matches!(action, Action::MemberLeft(_));
    // Of the ops that show that it is out, those that put it out: it can have left after others had removed it once.
    let mut ends = governance.endings_of(member);
    ends.retain(|op| has(op, &removes) || has(op, &leaves));
    let mut newest = governance.newest_of(ends);
    newest.retain(|op| has(op, &removes));
    newest
}

/// At the end, of a liar that is still out.
pub(super) fn check(world: &mut World) {
    let Some(liar) = (0..world.hosts.len()).find(|host| world.hosts[*host].role == Role::Liar) else { return };
    for late in world.mischief.late.clone() {
        let (Late::Op(group, _) | Late::Delta(group, ..)) = late;
        let Some(member) = super::member_key(world, liar, group) else { continue };
        let Some(best) = world.best_of(group) else { continue };
        if world.fold_of(best, group).is_none_or(|governance| !is_removed(&governance, &member)) {
            continue;
        }
        for host in world.honest_up() {
            let Some(governance) = world.fold_of(host, group).filter(|of| is_removed(of, &member)) else { continue };
            let counts = match late {
                Late::Op(_, op) => governance.holds(&op) && !governance.is_dead(&op),
                Late::Delta(_, context, delta) => {
                    let ledger = Ledger::new(world.hosts[host].disk.snapshot(), context.log());
                    let void: BTreeSet<EntryId> = verdicts::void(world, host, context, &ledger);
                    ledger.placement(&delta).is_some() && !void.contains(&delta)
                }
            };
            if counts {
                world.violated(Violation::Counted { host, what: format!("{late:?}") });
            }
        }
    }
}
