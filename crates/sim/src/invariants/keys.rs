//! Members hold the keys of what they may read, as soon as anybody honest can give them.

use std::collections::BTreeSet;

use mesto_governance::action::Visibility;
use mesto_governance::{ContextId, Governance, GroupId, GroupState, KeyId};
use mesto_oplog::PublicKey;

use super::secrets::held;
use crate::world::World;

/// Whether a member may have what a domain's keys protect, and can be known to want it: of an Open context with keys of
/// its own, from when it was Restricted, those want it who joined.
pub(super) fn reads(state: &GroupState, member: &PublicKey, domain: Option<ContextId>) -> bool {
    let Some(id) = domain else { return state.standing(member).is_some() };
    let Some(row) = state.context(&id).filter(|row| !row.is_detached) else { return false };
    let has_joined = row.creator == *member || row.identities().any(|(_, of)| of == *member);
    let may = row.visibility() == Visibility::Open || row.is_allowed(member);
    state.standing(member).is_some() && has_joined && may
}

/// A key of a live epoch that a host's member reads and lacks, though an honest member that reads it holds it: the key,
/// and who holds it.
pub(super) fn lacking(world: &World, host: usize, group: GroupId, governance: &Governance) -> Option<(KeyId, usize)> {
    let state = governance.state();
    let (member, own) = held(world, host, &group)?;
    let wanted: Vec<(KeyId, Option<ContextId>)> = state
        .epochs()
        .filter(|epoch| !own.contains(&epoch.key) && reads(state, &member, epoch.context))
        .map(|epoch| (epoch.key, epoch.context))
        .collect();
    let holders = world.honest_up().into_iter().filter(|other| *other != host);
    let holders: Vec<(usize, PublicKey, BTreeSet<KeyId>)> =
        holders.filter_map(|other| held(world, other, &group).map(|(member, keys)| (other, member, keys))).collect();
    wanted.into_iter().find_map(|(key, domain)| {
        let has = |(_, member, keys): &&(usize, PublicKey, BTreeSet<KeyId>)| {
            keys.contains(&key) && reads(state, member, domain)
        };
        holders.iter().find(has).map(|(other, ..)| (key, *other))
    })
}

/// Whether the key that the group's members write under now is one that an honest member has. If none has it, whoever
/// began that epoch gave it to nobody; the next writer begins another.
pub(super) fn is_current_to_be_had(world: &World, group: GroupId, governance: &Governance) -> bool {
    let state = governance.state();
    governance.current_epoch(None).is_some_and(|epoch| {
        let has = |host: usize| {
            held(world, host, &group)
                .is_some_and(|(member, keys)| keys.contains(&epoch.key) && state.standing(&member).is_some())
        };
        world.honest_up().into_iter().any(has)
    })
}
