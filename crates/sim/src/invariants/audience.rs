//! Who is told what: of a group only those of whom the teller knows that they are in it.

use mesto_governance::GroupId;
use mesto_node::command::{Command, Reply, Selector};
use mesto_oplog::dag::DagRead;
use mesto_oplog::{LogId, PublicKey, Signed};
use mesto_sync::Message;

use super::folds::fold;
use super::told::{entries_are_durable, heads_are_durable};
use super::{Violation, secrets};
use crate::host::Role;
use crate::ledger::{self, Ledger};
use crate::world::World;

/// A host says something to another: what is about a group goes to those only of whom it knows that they are in it.
pub(crate) fn sent(world: &mut World, from: usize, to: usize, message: &Message) {
    if !world.is_honest(from) {
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
        if !may_hear(world, from, to, log) && !is_farewell(world, from, to, message) {
            let group = group_of(world, from, log);
            world.violated(Violation::Leaked { from, to, what, group });
        }
    }
}

/// Whether `to` is a member, as far as `from` knows, of the group that a log belongs to.
fn may_hear(world: &mut World, from: usize, to: usize, log: LogId) -> bool {
    let key = (from, to, log);
    if world.heard_before.contains(&key) {
        return true;
    }
    let Some(group) = group_of(world, from, log) else { return false };
    let keys = member_keys(world, to, group);
    let members = match world.look(from, Command::MemberList(Selector(group.to_string()))) {
        Some(Reply::Members(members)) => members,
        _ => return false,
    };
    let may = members.iter().any(|row| keys.contains(&row.member));
    if may {
        world.heard_before.insert(key);
    }
    may
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
    // A context whose registration fell is in no list, and its log still is its group's.
    let joined = || {
        let contexts = ledger::contexts(&world.hosts[host].disk.snapshot());
        contexts.into_iter().find(|(id, _)| id.log() == log).map(|(_, record)| GroupId::from_bytes(record.group))
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

/// All keys that a host can prove to be a member by in a group: also those of cards, one of which it may have begun to
/// use.
pub(super) fn member_keys(world: &World, host: usize, group: GroupId) -> Vec<PublicKey> {
    let cards = ledger::cards(&world.hosts[host].disk.snapshot());
    member_key(world, host, group).into_iter().chain(cards).collect()
}

/// Whether a message to somebody who is no member tells no more than it may know: of what is durable at the sender
/// the receiver still is a member, or it is told what ended its membership, and the past of that.
fn is_farewell(world: &mut World, from: usize, to: usize, message: &Message) -> bool {
    let (summaries, entries, log) = match message {
        Message::Summaries(summaries) => (summaries.as_slice(), &[][..], summaries.first().map(|summary| summary.log)),
        Message::Page { summary, entries, log, .. } => (std::slice::from_ref(summary), entries.as_slice(), Some(*log)),
        Message::KeyPage { group, .. } | Message::Addresses { group, .. } => (&[][..], &[][..], Some(*group)),
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
    let Some(governance) = fold(&ledger) else { return false };
    if member_keys(world, to, group).iter().any(|key| governance.state().standing(key).is_some()) {
        return true;
    }
    let names = secrets::names_of(world, to, group, &governance);
    let endings: Vec<_> = names.iter().flat_map(|member| governance.endings_of(member)).collect();
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
