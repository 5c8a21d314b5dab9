//! Joins end: who was let in is ready, and everybody else was told why not, or waits for somebody who is not there.

use std::collections::BTreeSet;

use mesto_governance::ticket::Ticket;
use mesto_governance::{Governance, GroupId, Right};
use mesto_node::command::{Command, JoinInfo, Reply};
use mesto_node::layout;
use mesto_node::record::JoinRecord;
use mesto_node::store::Keyspace;
use mesto_sync::Peer;

use super::keys::is_current_to_be_had;
use super::{Acknowledged, audience};
use crate::world::World;

/// Whether all joins that were acknowledged have come as far as they can.
pub(super) fn settled(world: &mut World, hosts: &[usize]) -> Result<(), String> {
    let joins: BTreeSet<(usize, GroupId)> = world
        .acknowledged
        .iter()
        .filter_map(|(host, done)| if let Acknowledged::Joining(group) = done { Some((*host, *group)) } else { None })
        .filter(|(host, _)| hosts.contains(host))
        .collect();
    for (host, group) in joins {
        let Some(Reply::Joining(info)) = world.look(host, Command::JoinStatus(group)) else {
            return Err(format!("host {host} forgot that it joins {group:?}"));
        };
        if info.refused.is_some() || (info.joined && info.ready) {
            continue;
        }
        if !may_wait(world, host, group, &info) {
            return Err(format!("host {host} still joins {group:?}: {info:?}"));
        }
    }
    Ok(())
}

/// Whether a join may stay open.
fn may_wait(world: &mut World, host: usize, group: GroupId, info: &JoinInfo) -> bool {
    // An honest member that the joiner can find: the inviter, whose address is in the ticket. If it is a liar or is gone,
    // nobody else may ever hear of the joiner.
    let Some(ticket) = ticket(world, host, group) else { return false };
    let inviter = <[u8; 32]>::try_from(ticket.peer.as_slice()).ok();
    let inviter = inviter.and_then(|peer| world.host_of(&Peer::from_bytes(peer)));
    let Some(inviter) = inviter.filter(|inviter| world.is_honest(*inviter)) else { return true };
    let Some(governance) = world.fold_of(inviter, group) else { return true };
    let is_in = |host| {
        let key = audience::member_key(world, host, group);
        key.is_some_and(|key| governance.state().standing(&key).is_some())
    };
    if !is_in(inviter) {
        return true;
    }
    if is_in(host) {
        // Let in, and short of nothing but a key that nobody has.
        return info.joined && !info.ready && !is_current_to_be_had(world, group, &governance);
    }
    // Whoever was let in and is out again knows that; else the invitation must be one by which nobody is let in.
    !info.joined && (was_in(world, host, group, &governance) || !is_good(&governance, &ticket))
}

fn was_in(world: &World, host: usize, group: GroupId, governance: &Governance) -> bool {
    let keys = audience::member_keys(world, host, group);
    // By an ancestor too: such a join is complete without an op of the group itself.
    std::iter::once(governance).chain(governance.ancestors()).any(|of| {
        let is_known = |key: &_| of.state().known_people().any(|known| known == key);
        keys.iter().any(|key| is_known(key) || !of.endings_of(key).is_empty())
    })
}

/// Whether somebody could still be let in by an invitation, as far as governance tells.
fn is_good(governance: &Governance, ticket: &Ticket) -> bool {
    let row = governance.state().invitation(&ticket.invitation).filter(|_| governance.state().is_there());
    row.is_some_and(|row| {
        let may_invite = governance.state().can(&row.inviter, Right::Invite(row.standing)).is_ok();
        !row.is_revoked && row.used < row.uses && may_invite
    })
}

fn ticket(world: &World, host: usize, group: GroupId) -> Option<Ticket> {
    let bytes = world.hosts[host].disk.snapshot().get(Keyspace::Meta, &layout::join(&group))?;
    borsh::from_slice::<JoinRecord>(&bytes).ok()?.ticket.parse().ok()
}
