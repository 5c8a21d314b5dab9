//! Whether all honest members have come together: the same logs, digests and roots, with keys and apps.

use std::collections::BTreeMap;

use mesto_governance::{ContextId, Governance, GroupId};
use mesto_node::command::{Command, ContextInfo, GroupInfo, Reply, Seat, Selector};
use mesto_oplog::PublicKey;

use super::audience::member_key;
use super::{joins, keys, lacking, waiting};
use crate::ledger;
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
    joins::settled(world, &hosts)?;
    // Also of those who left since: they serve what they wrote until somebody has it.
    for host in hosts {
        for (context, _) in ledger::contexts(&world.hosts[host].disk.snapshot()) {
            if let Some((by, delta)) = lacking(world, host, context).first() {
                return Err(format!("{context:?}: host {host} lacks {delta:?}, which host {by} acknowledged"));
            }
        }
    }
    Ok(())
}

fn settled_group(world: &mut World, group: GroupId, infos: &[(usize, GroupInfo)]) -> Result<(), String> {
    // Who knows that it is out may hold what nobody built on, of others who are out.
    let inside = infos.iter().enumerate().filter(|(_, (_, info))| info.role.is_some());
    let by_knowledge: BTreeMap<u64, usize> =
        inside.map(|(at, (host, _))| (world.ops_known(*host, group), at)).collect();
    let Some((reference, best)) = by_knowledge.last_key_value().map(|(_, at)| &infos[*at]) else { return Ok(()) };
    let selector = Selector(group.to_string());
    let rows = match world.look(*reference, Command::MemberList(selector.clone())) {
        Some(Reply::Members(rows)) => rows,
        _ => return Err(format!("host {reference} does not list the members of {group:?}")),
    };
    let Some(governance) = world.fold_of(*reference, group) else { return Err(format!("{group:?} does not fold")) };
    // Who is out, and once was in, was told so.
    let is_out = |member: &PublicKey| {
        let mut above = governance.ancestors();
        !governance.endings_of(member).is_empty()
            || above.any(|of| !governance.endings_above(member, &of.group()).is_empty())
    };
    let is_unaware = |info: &GroupInfo| info.role.is_some() && is_out(&info.member);
    if let Some((host, _)) = infos.iter().find(|(_, info)| is_unaware(info)) {
        return Err(format!("{group:?}: host {host} does not know that it is out"));
    }
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
        if let Some((key, by)) = keys::lacking(world, *host, group, &governance) {
            return Err(format!("{group:?}: host {host} lacks {key:?}, which host {by} holds"));
        }
        if !info.key_held && keys::is_current_to_be_had(world, group, &governance) {
            return Err(format!("{group:?}: host {host} does not know that it holds the current key"));
        }
        if let Some(child) = unfollowed(world, *host, &governance) {
            return Err(format!("{group:?}: host {host} is a member and does not follow {child:?}"));
        }
        if let Some(Reply::Contexts(list)) = world.look(*host, Command::ContextList(Some(selector.clone()))) {
            for context in list.into_iter().filter(|context| context.joined) {
                contexts.entry(context.context).or_default().push((*host, context));
            }
        }
    }
    for (id, mut infos) in contexts {
        // Whoever is not on the allowlist any more is told nothing more, nor who goes on by other member keys than those
        // to which its identity is bound.
        let seats = match world.look(*reference, Command::ContextMembers(Selector(id.to_string()))) {
            Some(Reply::Seats(seats)) => seats,
            _ => continue,
        };
        let readers = seats.iter().filter(|seat| seat.reads && !seat.identities.is_empty()).count();
        infos.retain(|(host, info)| {
            let member = member_key(world, *host, group);
            let is_seat = |of| move |seat: &&Seat| seat.identities.contains(&of) && Some(seat.member) == member;
            info.identity.is_some_and(|of| seats.iter().find(is_seat(of)).is_some_and(|seat| seat.reads))
        });
        settled_context(world, id, &infos, readers, &governance)?;
    }
    Ok(())
}

/// A subgroup that an honest member of its parent has, and in which another is nobody, or which that one has not. Who is
/// out may have it too, and gives it to nobody, nor does a liar that founded it.
fn unfollowed(world: &mut World, host: usize, governance: &Governance) -> Option<GroupId> {
    let mut shown =
        |host: usize, group: GroupId| match world.look(host, Command::GroupShow(Selector(group.to_string()))) {
            Some(Reply::Groups(infos)) => infos.into_iter().next(),
            _ => None,
        };
    let is_in = |info: GroupInfo| info.role.is_some();
    let children = governance.state().subgroups();
    let lacking: Vec<GroupId> = children.filter(|child| !shown(host, *child).is_some_and(is_in)).collect();
    let state = governance.state();
    let is_in_parent =
        |host: &usize| member_key(world, *host, state.group()).is_some_and(|member| state.standing(&member).is_some());
    let hosts: Vec<usize> = world.honest_up().into_iter().filter(is_in_parent).collect();
    lacking.into_iter().find(|child| {
        let shown = |other: &usize| world.look(*other, Command::GroupShow(Selector(child.to_string()))).is_some();
        hosts.iter().any(shown)
    })
}

fn settled_context(
    world: &World,
    id: ContextId,
    infos: &[(usize, ContextInfo)],
    readers: usize,
    governance: &Governance,
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
        // What only a liar holds, or somebody who may not read any more, may never come. And if nobody but a liar reads
        // beside it, a host may never hear of anybody who holds the same.
        let is_empty = best.entries + best.voided == 0;
        // Nor may a context be begun that its creator had no luck with. And a reader whose only fellow goes on by other member
        // keys is not told by it.
        let may_be_empty = world.has_liar() || world.profile.politics || world.profile.failing_calls > 0;
        let is_lonely = (is_empty && may_be_empty) || (infos.len() == 1 && (world.has_liar() || readers > 1));
        if !(info.ready || is_lonely) || !info.bundle_held {
            return Err(format!("{id:?}: host {host} is not ready; bundle held: {}", info.bundle_held));
        }
        if let Some(reason) = waiting::unexplained(world, *host, id, governance) {
            return Err(format!("{id:?}: {reason}"));
        }
    }
    Ok(())
}

impl World {
    /// Whether a host is a member in the eyes of the honest host with the longest log.
    pub(crate) fn is_settled_member(&mut self, host: usize, group: Option<GroupId>) -> bool {
        let Some(group) = group else { return false };
        let Some(member) = member_key(self, host, group) else { return false };
        let Some(reference) = self.best_of(group) else { return false };
        let rows = self.look(reference, Command::MemberList(Selector(group.to_string())));
        matches!(rows, Some(Reply::Members(rows)) if rows.iter().any(|row| row.member == member))
    }

    /// How many ops a host knows of a group and of those above it.
    fn ops_known(&mut self, host: usize, group: GroupId) -> u64 {
        match self.look(host, Command::GroupShow(Selector(group.to_string()))) {
            Some(Reply::Groups(infos)) => {
                infos.first().map_or(0, |info| info.ops + info.parent.map_or(0, |parent| self.ops_known(host, parent)))
            }
            _ => 0,
        }
    }

    /// The honest host with the longest logs of a group and of those above it.
    pub(super) fn best_of(&mut self, group: GroupId) -> Option<usize> {
        let mut best: Option<(u64, usize)> = None;
        for other in self.honest_up() {
            let ops = self.ops_known(other, group);
            if ops > 0 && best.is_none_or(|(most, _)| ops > most) {
                best = Some((ops, other));
            }
        }
        best.map(|(_, host)| host)
    }
}
