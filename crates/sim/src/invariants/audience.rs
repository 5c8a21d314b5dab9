//! Who is told what: of a group only those of whom the teller knows that they are in it.

use std::collections::BTreeMap;

use mesto_governance::{Governance, GroupId};
use mesto_node::command::{Command, Reply, Selector};
use mesto_oplog::dag::DagRead;
use mesto_oplog::{EntryId, LogId, PublicKey, Signed};
use mesto_sync::Message;

use super::told::{entries_are_durable, heads_are_durable};
use super::{Violation, folds, secrets};
use crate::host::Role;
use crate::ledger::{self, Ledger};
use crate::world::World;

/// A host says something to another: what is about a group goes to those only of whom it knows that they are in it.
pub(crate) fn sent(world: &mut World, from: usize, to: usize, message: &Message) {
    if !world.is_honest(from) {
        if let Message::KeyPage { keys, .. } = message {
            world.given_by_liar.extend(keys.iter().map(|(key, _)| (to, *key)));
        }
        return;
    }
    let (what, logs) = match message {
        Message::Hello(_)
        | Message::Proof(_)
        | Message::Pull { .. }
        | Message::KeyPull { .. }
        | Message::Join { .. }
        | Message::Joined { .. }
        | Message::BlobPull { .. }
        | Message::BlobAbsent { .. } => return,
        Message::Summaries(summaries) => {
            for summary in summaries {
                heads_are_durable(world, from, summary);
            }
            ("a summary", summaries.iter().map(|summary| summary.log).collect::<Vec<_>>())
        }
        Message::Page { log, entries, summary, .. } => {
            entries_are_durable(world, from, entries);
            heads_are_durable(world, from, summary);
            ("entries", vec![*log])
        }
        Message::KeyPage { group, .. } => ("keys", vec![*group]),
        Message::Addresses { group, .. } => ("addresses", vec![*group]),
        // Told to a node whose peer the member's row names, before it can prove anything.
        Message::Added { .. } => return,
        Message::BlobChunk { .. } => {
            if world.hosts[to].role == Role::Outsider {
                world.violated(Violation::Leaked { from, to, what: "a bundle", group: None });
            }
            return;
        }
    };
    for log in logs {
        let is_told_below = matches!(message, Message::Summaries(_) | Message::Page { .. });
        if !may_hear(world, from, to, log, is_told_below) && !is_farewell(world, from, to, message) {
            let group = group_of(world, from, log);
            world.violated(Violation::Leaked { from, to, what, group });
        }
    }
}

/// Whether `to` is a member, as far as `from` knows, of the group that a log belongs to; or, of the log of the group
/// itself, of a group below it.
fn may_hear(world: &mut World, from: usize, to: usize, log: LogId, is_told_below: bool) -> bool {
    let key = (from, to, log);
    if world.heard_before.contains(&key) {
        return true;
    }
    let Some(group) = group_of(world, from, log) else { return false };
    if is_in(world, from, to, group) {
        world.heard_before.insert(key);
        return true;
    }
    is_told_below && log == group.log() && below(world, from, group).into_iter().any(|id| is_in(world, from, to, id))
}

/// Whether `to` is a member of a group, as far as `from` knows.
fn is_in(world: &mut World, from: usize, to: usize, group: GroupId) -> bool {
    let keys = member_keys(world, to, group);
    let members = match world.look(from, Command::MemberList(Selector(group.to_string()))) {
        Some(Reply::Members(members)) => members,
        _ => return false,
    };
    members.iter().any(|row| keys.contains(&row.member))
}

/// The groups below a group, as a host knows them.
fn below(world: &mut World, host: usize, group: GroupId) -> Vec<GroupId> {
    let Some(Reply::Groups(infos)) = world.look(host, Command::GroupList) else { return Vec::new() };
    let parents: BTreeMap<GroupId, GroupId> =
        infos.iter().filter_map(|info| Some((info.group, info.parent?))).collect();
    let above = |id: &GroupId| parents.get(id).copied();
    let is_below = |id: &GroupId| std::iter::successors(above(id), above).any(|above| above == group);
    parents.keys().copied().filter(is_below).collect()
}

/// What the ops that show the end of memberships of `to` below a group had seen of its log, and those of its log that show
/// it.
fn seen_by_endings_below(world: &mut World, from: usize, to: usize, group: GroupId) -> Vec<EntryId> {
    let mut seen = Vec::new();
    for id in below(world, from, group) {
        let Some(governance) = world.fold_of(from, id) else { continue };
        let names = secrets::names_of(world, to, id, &governance);
        let endings = names.iter().flat_map(|member| governance.endings_of(member));
        seen.extend(endings.flat_map(|op| governance.seen_above(&op, &group)));
        for between in governance.ancestors().take_while(|between| between.group() != group) {
            let endings = names.iter().flat_map(|member| governance.endings_above(member, &between.group()));
            seen.extend(endings.flat_map(|op| between.seen_above(&op, &group)));
        }
        seen.extend(names.iter().flat_map(|member| governance.endings_above(member, &group)));
    }
    seen
}

/// Whether `to` is a member of a group by what is durable at `from`, or was before the newest two commits or on the way from
/// there: what leaves now waited for that, and there can be more in it than what the message was decided on. Any key
/// counts that it ever had there: it can have left, and have come back by a card, while `from` was cut off.
fn is_durably_in(world: &mut World, from: usize, to: usize, group: GroupId) -> bool {
    let (now, before) = (world.hosts[from].disk.snapshot(), world.hosts[from].disk.before());
    let ends: Vec<Governance> = [&now, &before].into_iter().filter_map(|disk| world.fold_in(disk, group)).collect();
    let is_in = |world: &World, governance: &Governance| {
        let names = secrets::names_of(world, to, group, governance);
        names.iter().any(|name| governance.state().standing(name).is_some())
    };
    ends.iter().any(|governance| is_in(world, governance))
        || folds::between(&before, &now, group).iter().any(|governance| is_in(world, governance))
}

pub(super) fn group_of(world: &mut World, host: usize, log: LogId) -> Option<GroupId> {
    if let Some(group) = world.groups_of.get(&log) {
        return Some(*group);
    }
    // A list is told at once; one context is told when what is said of it is on disk.
    let group = match world.look(host, Command::ContextList(None)) {
        Some(Reply::Contexts(infos)) => infos.iter().find(|info| info.context.log() == log).map(|info| info.group),
        _ => None,
    };
    // A context whose registration fell is in no list, and its log still is its group's; so it is after we have left.
    let joined = || {
        let snapshot = world.hosts[host].disk.snapshot();
        let mut contexts = ledger::contexts(&snapshot).into_iter().chain(ledger::left(&snapshot));
        contexts.find(|(id, _)| id.log() == log).map(|(_, record)| GroupId::from_bytes(record.group))
    };
    let group = group.or_else(joined).unwrap_or(GroupId::from(log));
    world.groups_of.insert(log, group);
    Some(group)
}

/// The key of a host in a group, from its own records: also while its node is down.
pub(crate) fn member_key(world: &World, host: usize, group: GroupId) -> Option<PublicKey> {
    let groups = ledger::groups(&world.hosts[host].disk.snapshot());
    let (_, record) = groups.into_iter().find(|(id, _)| *id == group)?;
    Some(world.public_of(&record.member_seed))
}

/// All keys that a host can prove to be a member by: those that it has in the group or in another one, of the same tree,
/// through which it has just learned of the group; and those of cards, one of which it may have begun to use.
pub(super) fn member_keys(world: &World, host: usize, group: GroupId) -> Vec<PublicKey> {
    let snapshot = world.hosts[host].disk.snapshot();
    let groups = ledger::groups(&snapshot);
    let own = groups.iter().filter(|(id, _)| *id == group).chain(groups.iter().filter(|(id, _)| *id != group));
    own.map(|(_, record)| world.public_of(&record.member_seed)).chain(ledger::cards(&snapshot)).collect()
}

/// Whether a message to somebody who is no member tells no more than it may know: of what is durable at the sender
/// the receiver still is a member, or it is told what ended its membership, and the past of that.
fn is_farewell(world: &mut World, from: usize, to: usize, message: &Message) -> bool {
    let (summaries, entries, log) = match message {
        Message::Summaries(summaries) => (summaries.as_slice(), &[][..], summaries.first().map(|summary| summary.log)),
        Message::Page { summary, entries, log, .. } => (std::slice::from_ref(summary), entries.as_slice(), Some(*log)),
        // Nobody is told these as a farewell, but they can leave when whoever they are for has just been put out.
        Message::KeyPage { group, .. } | Message::Addresses { group, .. } => {
            return is_durably_in(world, from, to, GroupId::from(*group));
        }
        Message::Hello(_)
        | Message::Proof(_)
        | Message::Pull { .. }
        | Message::KeyPull { .. }
        | Message::Join { .. }
        | Message::Joined { .. }
        | Message::BlobPull { .. }
        | Message::BlobChunk { .. }
        | Message::BlobAbsent { .. }
        | Message::Added { .. } => return false,
    };
    let Some(log) = log else { return true };
    let Some(group) = group_of(world, from, log) else { return false };
    let ledger = Ledger::new(world.hosts[from].disk.snapshot(), group.log());
    let Some(governance) = world.fold_of(from, group) else { return false };
    let lower = if log == group.log() { below(world, from, group) } else { Vec::new() };
    if lower.into_iter().chain([group]).any(|id| is_durably_in(world, from, to, id)) {
        return true;
    }
    let names = secrets::names_of(world, to, group, &governance);
    let mut endings: Vec<_> = names.iter().flat_map(|member| governance.endings_of(member)).collect();
    endings.extend(seen_by_endings_below(world, from, to, group));
    let Some(until) = ledger.dag().and_then(|dag| dag.past_of(&ledger, &endings)) else { return false };
    let may_know = |bytes: &Vec<u8>| {
        let id = Signed::decode(bytes).map(|entry| entry.trust_own_store().id());
        id.is_ok_and(|id| endings.contains(&id) || ledger.placement(&id).is_some_and(|of| until.covers(&of)))
    };
    let is_of_group = log == group.log() && summaries.iter().all(|summary| summary.log == log);
    let heads = summaries.iter().flat_map(|summary| &summary.heads);
    is_of_group
        && !endings.is_empty()
        && heads.into_iter().all(|head| endings.contains(head))
        && entries.iter().all(may_know)
}
