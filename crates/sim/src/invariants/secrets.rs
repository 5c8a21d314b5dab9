//! Keys: who lost the right to read never gets the key of what is written after that.

use std::collections::BTreeSet;

use mesto_governance::action::Visibility;
use mesto_governance::{ContextId, GroupId, KeyId};
use mesto_node::delta::DeltaBody;
use mesto_oplog::PublicKey;
use mesto_oplog::dag::DagRead;

use super::verdicts::fold;
use super::{Acknowledged, Violation};
use crate::ledger::{self, Ledger};
use crate::world::World;

/// The deltas that were acknowledged by hosts whose knowledge of the group was whole are sealed under keys that no
/// host has which may not read them, liars included. Checked of what was written last, when all was quiet.
pub(super) fn check(world: &mut World) {
    let closing: Vec<(usize, ContextId, mesto_oplog::EntryId)> =
        world
            .closing
            .iter()
            .filter_map(|(host, done)| {
                if let Acknowledged::Delta(context, delta) = done { Some((*host, *context, *delta)) } else { None }
            })
            .collect();
    let mut found = Vec::new();
    for (by, context, delta) in closing {
        let snapshot = world.hosts[by].disk.snapshot();
        let Some((_, record)) = ledger::contexts(&snapshot).into_iter().find(|(id, _)| *id == context) else {
            continue;
        };
        let group = GroupId::from_bytes(record.group);
        let Some(governance) = fold(&Ledger::new(snapshot.clone(), group.log())) else { continue };
        let entry = Ledger::new(snapshot, context.log()).entry(&delta);
        let Some(body) = entry.and_then(|entry| DeltaBody::decode(entry.body()).ok()) else { continue };
        let Some(row) = governance.state().context(&context) else { continue };
        let is_restricted = row.visibility() == Visibility::Restricted;
        let may_read = |member: &PublicKey| {
            governance.state().standing(member).is_some() && (!is_restricted || row.is_allowed(member))
        };
        for host in 0..world.hosts.len() {
            let Some((member, keys)) = held(world, host, &group) else { continue };
            if keys.contains(&body.key) && !may_read(&member) {
                let domain = if is_restricted { format!("{context:?}") } else { format!("{group:?}") };
                found.push(Violation::Overheard { host, domain, delta });
            }
        }
    }
    if !world.closing.is_empty() {
        world.count("secrets looked at");
    }
    for violation in found {
        world.violated(violation);
    }
}

/// Who a host is in a group, and the keys that it has.
pub(super) fn held(world: &World, host: usize, group: &GroupId) -> Option<(PublicKey, BTreeSet<KeyId>)> {
    let snapshot = world.hosts[host].disk.snapshot();
    let (_, record) = ledger::groups(&snapshot).into_iter().find(|(id, _)| id == group)?;
    let member = mesto_oplog::SigningKey::from_seed(&record.member_seed).public();
    Some((member, ledger::epoch_keys(&snapshot, group).iter().map(mesto_governance::EpochKey::id).collect()))
}
