//! Members hold the keys of what they may read, as soon as anybody honest can give them.

use std::collections::{BTreeMap, BTreeSet};

use mesto_governance::action::{Action, Domain, Visibility};
use mesto_governance::fold::Epoch;
use mesto_governance::{ContextId, Governance, GroupId, GroupState, KeyId, Op};
use mesto_oplog::PublicKey;
use mesto_oplog::dag::DagRead;

use super::secrets::held;
use crate::ledger::Ledger;
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
    let lacks = |epoch: &&Epoch| !own.contains(&epoch.key) && reads(state, &member, epoch.context);
    let mut wanted: Vec<(KeyId, Option<ContextId>)> =
        state.epochs().filter(lacks).map(|epoch| (epoch.key, epoch.context)).collect();
    if wanted.is_empty() {
        return None;
    }
    let claims = claims(world, host, group);
    let may_have = |key: &KeyId| claims.get(key).into_iter().flatten().all(|domain| reads(state, &member, *domain));
    wanted.retain(|(key, _)| may_have(key));
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

/// The domains that ops say a key is of. An honest one says it once; whoever says it of somebody else's key does not have
/// it, so that only those read both domains whom nobody wrongs by giving it to them.
pub(super) fn claims(world: &World, host: usize, group: GroupId) -> BTreeMap<KeyId, BTreeSet<Option<ContextId>>> {
    let ledger = Ledger::new(world.hosts[host].disk.snapshot(), group.log());
    let mut claims: BTreeMap<KeyId, BTreeSet<Option<ContextId>>> = BTreeMap::new();
    for entry in ledger.by_arrival(0, usize::MAX).iter().filter_map(|id| ledger.entry(id)) {
        for action in Op::decode(&entry).map(|op| op.actions).unwrap_or_default() {
            if let Action::KeyEpochStarted(started) = action {
                let domain = match started.domain {
                    Domain::Group => None,
                    Domain::Context(context) => Some(context.resolve(entry.id())),
                };
                claims.entry(started.key).or_default().insert(domain);
            }
        }
    }
    claims
}

/// Whether the key that the group's members write under now is one that an honest member has, or will have: if whoever
/// began that epoch gave it to nobody, a member who may write and has somebody to ask gives up and begins another.
pub(super) fn is_current_to_be_had(world: &World, group: GroupId, governance: &Governance) -> bool {
    let state = governance.state();
    let members: Vec<(usize, PublicKey)> = world
        .honest_up()
        .into_iter()
        .filter_map(|host| Some((host, held(world, host, &group)?.0)))
        .filter(|(_, member)| state.standing(member).is_some())
        .collect();
    let is_heard = |host: usize| members.iter().any(|(other, _)| world.network.is_linked(host, *other));
    let writes = |member: &PublicKey| state.standing(member).is_some_and(|standing| standing.role.writes());
    let is_contested = |key: &KeyId| {
        let all = world.honest_up().into_iter().flat_map(|host| claims(world, host, group).remove(key)).flatten();
        all.collect::<BTreeSet<_>>().len() > 1
    };
    governance.current_epoch(None).filter(|epoch| !is_contested(&epoch.key)).is_some_and(|epoch| {
        let has = |host: usize| held(world, host, &group).is_some_and(|(_, keys)| keys.contains(&epoch.key));
        // In a group that has ended nobody begins anything.
        let begins = |host: usize, member: &PublicKey| state.is_there() && writes(member) && is_heard(host);
        members.iter().any(|(host, member)| has(*host) || begins(*host, member))
    })
}
