//! Whether all honest members have come together: the same logs, digests and roots, with keys and apps.

use std::collections::{BTreeMap, BTreeSet};

use mesto_governance::{ContextId, GroupId};
use mesto_node::command::{Command, ContextInfo, GroupInfo, Reply, Selector};

use super::Acknowledged;
use super::audience::member_key;
use crate::world::World;

/// Whether all honest members have come together: the same logs, digests and roots, with keys and apps.
pub(crate) fn settled(world: &mut World) -> Result<(), String> {
    let hosts = world.honest_up();
    if let Some(host) = (0..world.hosts.len()).find(|host| world.is_honest(*host) && !hosts.contains(host)) {
        return Err(format!("host {host} is down"));
    }
    let mut groups: BTreeMap<GroupId, Vec<(usize, GroupInfo)>> = BTreeMap::new();
    for host in &hosts {
        if let Some(Reply::Groups(infos)) = world.look(*host, Command::GroupList) {
            for info in infos {
                groups.entry(info.group).or_default().push((*host, info));
            }
        }
    }
    for (group, infos) in groups {
        settled_group(world, group, &infos)?;
    }
    settled_joins(world, &hosts)
}

fn settled_group(world: &mut World, group: GroupId, infos: &[(usize, GroupInfo)]) -> Result<(), String> {
    let Some((reference, best)) = infos.iter().max_by_key(|(_, info)| info.ops) else { return Ok(()) };
    let selector = Selector(group.to_string());
    let rows = match world.look(*reference, Command::MemberList(selector.clone())) {
        Some(Reply::Members(rows)) => rows,
        _ => return Err(format!("host {reference} does not list the members of {group:?}")),
    };
    let is_member = |info: &GroupInfo| rows.iter().any(|row| row.member == info.member);
    let members: Vec<_> = infos.iter().filter(|(_, info)| is_member(info)).collect();
    let mut contexts: BTreeMap<ContextId, Vec<(usize, ContextInfo)>> = BTreeMap::new();
    for (host, info) in members {
        if (&info.heads, info.digest, info.ops) != (&best.heads, best.digest, best.ops) {
            return Err(format!(
                "{group:?}: host {host} has {} ops with heads {:?}, host {reference} {} with {:?}; digests {}equal",
                info.ops,
                info.heads,
                best.ops,
                best.heads,
                if info.digest == best.digest { "" } else { "un" }
            ));
        }
        if !info.key_held {
            return Err(format!("{group:?}: host {host} lacks the current key"));
        }
        if let Some(Reply::Contexts(list)) = world.look(*host, Command::ContextList(Some(selector.clone()))) {
            for context in list.into_iter().filter(|context| context.joined) {
                contexts.entry(context.context).or_default().push((*host, context));
            }
        }
    }
    for (id, mut infos) in contexts {
        // Whoever is not on the allowlist any more is told nothing more.
        let seats = match world.look(*reference, Command::ContextMembers(Selector(id.to_string()))) {
            Some(Reply::Seats(seats)) => seats,
            _ => continue,
        };
        infos.retain(|(_, info)| {
            seats.iter().any(|seat| seat.reads && info.identity.is_some_and(|of| seat.identities.contains(&of)))
        });
        settled_context((world.has_liar(), world.profile.politics), id, &infos)?;
    }
    Ok(())
}

fn settled_context(
    (has_liar, has_politics): (bool, bool),
    id: ContextId,
    infos: &[(usize, ContextInfo)],
) -> Result<(), String> {
    let Some((reference, best)) = infos.iter().max_by_key(|(_, info)| info.entries + info.voided) else {
        return Ok(());
    };
    for (host, info) in infos {
        if (&info.heads, info.root, info.entries, info.voided) != (&best.heads, best.root, best.entries, best.voided) {
            return Err(format!(
                "{id:?}: host {host} has {} deltas, {} parked, heads {:?}; host {reference} {} with {:?}; roots {}equal",
                info.entries,
                info.parked,
                info.heads,
                best.entries,
                best.heads,
                if info.root == best.root { "" } else { "un" }
            ));
        }
        // What only a liar holds, or somebody who may not read any more, may never come.
        let is_lonely = (has_liar || has_politics) && best.entries + best.voided == 0;
        if !(info.ready || is_lonely) || !info.bundle_held {
            return Err(format!("{id:?}: host {host} is not ready; bundle held: {}", info.bundle_held));
        }
        // What waits for an entry that a liar withholds can only wait; so does what somebody wrote for a few on its
        // own authority, and lost that authority before any of those who are left got the key.
        if info.parked > 0 && !has_liar && !has_politics {
            return Err(format!("{id:?}: at host {host} {} deltas wait", info.parked));
        }
    }
    Ok(())
}

fn settled_joins(world: &mut World, hosts: &[usize]) -> Result<(), String> {
    let joins: BTreeSet<(usize, GroupId)> = world
        .acknowledged
        .iter()
        .filter_map(|(host, done)| if let Acknowledged::Joining(group) = done { Some((*host, *group)) } else { None })
        .filter(|(host, _)| hosts.contains(host))
        .collect();
    let has_liar = world.has_liar();
    for (host, group) in joins {
        let Some(Reply::Joining(info)) = world.look(host, Command::JoinStatus(group)) else {
            return Err(format!("host {host} forgot that it joins {group:?}"));
        };
        // Nobody can say that a group of which only a liar knows exists.
        // Whoever was removed before its join was complete waits for good.
        let is_out = world.profile.politics && !world.is_settled_member(host, Some(group));
        let may_wait = has_liar || is_out;
        if info.refused.is_none() && !(info.joined && info.ready) && !may_wait {
            return Err(format!("host {host} still joins {group:?}: {info:?}"));
        }
    }
    Ok(())
}

impl World {
    /// Whether a host is a member in the eyes of the honest host with the longest log.
    pub(crate) fn is_settled_member(&mut self, host: usize, group: Option<GroupId>) -> bool {
        let Some(group) = group else { return false };
        let Some(member) = member_key(self, host, group) else { return false };
        let selector = Selector(group.to_string());
        let mut best: Option<(u64, usize)> = None;
        for other in self.honest_up() {
            if let Some(Reply::Groups(infos)) = self.look(other, Command::GroupShow(selector.clone())) {
                let ops = infos.first().map_or(0, |info| info.ops);
                if best.is_none_or(|(most, _)| ops > most) {
                    best = Some((ops, other));
                }
            }
        }
        let Some((_, reference)) = best else { return false };
        let rows = self.look(reference, Command::MemberList(selector));
        matches!(rows, Some(Reply::Members(rows)) if rows.iter().any(|row| row.member == member))
    }
}
