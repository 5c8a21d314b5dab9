//! What must hold, checked apart from the workload: at each effect, after each restart, and at the end.

mod secrets;
mod verdicts;

use std::collections::{BTreeMap, BTreeSet};

use mesto_governance::{ContextId, GroupId};
use mesto_node::command::{Command, CommandError, ContextInfo, GroupInfo, Reply, Selector};
use mesto_node::record::ContextRecord;
use mesto_node::store::Keyspace;
use mesto_node::{Report, Ticket, Verdict, layout};
use mesto_oplog::{EntryId, LogId, PublicKey, Signed};
use mesto_sync::{Gossip, Message, Summary};

use crate::executor::POISON;
use crate::host::{Pending, Role};
use crate::ledger::{self, Ledger};
use crate::world::World;

/// A rule that was broken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A node keeps itself or others busy without end.
    #[error("host {host} spins: {steps} steps of nodes in one second")]
    Spinning {
        /// Who made the last step.
        host: usize,
        /// How many.
        steps: u64,
    },
    /// What a crash left behind cannot be read back.
    #[error("host {host} does not start: {reason}")]
    DoesNotStart {
        /// Who.
        host: usize,
        /// Why.
        reason: String,
    },
    /// A node gave up.
    #[error("host {host} halted: {reason}")]
    Halted {
        /// Who.
        host: usize,
        /// Why.
        reason: String,
    },
    /// An honest node sent what another cannot read.
    #[error("host {host} said what cannot be read: {reason}")]
    Unreadable {
        /// Who.
        host: usize,
        /// Why.
        reason: String,
    },
    /// Somebody was told of something that a crash could still take back.
    #[error("host {host} told of {what} before it was durable")]
    TooEarly {
        /// Who.
        host: usize,
        /// Of what.
        what: String,
    },
    /// Something of a group went to a peer that is no member of it.
    #[error("host {from} sent {what} of {group:?} to host {to}, which is no member as far as it knows")]
    Leaked {
        /// Who.
        from: usize,
        /// To whom.
        to: usize,
        /// What.
        what: &'static str,
        /// Of which group.
        group: Option<GroupId>,
    },
    /// Something that honest nodes do not report unless somebody lies.
    #[error("host {host} reports among honest nodes: {report}")]
    Reported {
        /// Who.
        host: usize,
        /// What.
        report: String,
    },
    /// Gossip of honest nodes was rejected.
    #[error("host {host} rejected what honest host {from} passed on")]
    Rejected {
        /// Who.
        host: usize,
        /// Who passed it on.
        from: usize,
    },
    /// Something acknowledged is gone.
    #[error("host {host} lacks what host {by} acknowledged: {what}")]
    Lost {
        /// Where it is missing.
        host: usize,
        /// Who said that it was done.
        by: usize,
        /// What.
        what: String,
    },
    /// Equal sets of entries gave different states.
    #[error("hosts {hosts:?} hold the same entries of {log:?} in different states")]
    Unequal {
        /// Two that differ.
        hosts: (usize, usize),
        /// Of which log.
        log: LogId,
    },
    /// The tree does not fit the leaves.
    #[error("host {host}: the stored root of {context:?} is not that of its leaves")]
    WrongRoot {
        /// Where.
        host: usize,
        /// Of which context.
        context: ContextId,
    },
    /// A call that failed left something behind.
    #[error("host {host}: a call that failed changed {context:?}")]
    Poisoned {
        /// Where.
        host: usize,
        /// Which context.
        context: ContextId,
    },
    /// The deltas that a node takes as void are not those that the rules void.
    #[error("host {host} judges deltas of {context:?} in another way than the rules: {what}")]
    Misjudged {
        /// Who.
        host: usize,
        /// Where.
        context: ContextId,
        /// How.
        what: String,
    },
    /// The state is not what the deltas that count make of it.
    #[error("host {host}: {context:?} shows more or less than the deltas that count")]
    NotAsIfNeverAccepted {
        /// Who.
        host: usize,
        /// Where.
        context: ContextId,
    },
    /// Somebody who may not read has the key of what was written after it lost that right.
    #[error("host {host} may not read {domain} and has the key of {delta:?}, written after it lost the right")]
    Overheard {
        /// Who.
        host: usize,
        /// What the key protects.
        domain: String,
        /// What was written.
        delta: EntryId,
    },
    /// The members did not come together.
    #[error("not together after all: {0}")]
    Apart(String),
    /// The same seed took another course.
    #[error("two runs differ: {0}")]
    NotRepeatable(String),
}

/// Something that was acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Acknowledged {
    Group(GroupId),
    Context(ContextId),
    Delta(ContextId, EntryId),
    Joining(GroupId),
}

impl World {
    fn has_liar(&self) -> bool {
        self.hosts.iter().any(|host| host.role == Role::Liar)
    }

    /// Whether a host is one that the rules are checked of.
    pub(crate) fn is_honest(&self, host: usize) -> bool {
        self.hosts[host].role == Role::Honest
    }

    fn honest_up(&self) -> Vec<usize> {
        (0..self.hosts.len()).filter(|host| self.is_honest(*host) && self.hosts[*host].node.is_some()).collect()
    }
}

/// A host answered a command: what it says was done must be durable.
pub(crate) fn replied(world: &mut World, host: usize, ticket: Ticket, reply: &Result<Reply, CommandError>) {
    let Some(asked) = world.asked_at.remove(&ticket) else { return };
    let Ok(reply) = reply else { return };
    let done = match reply {
        Reply::GroupCreated { group, .. } => Acknowledged::Group(*group),
        Reply::ContextCreated { context, .. } => Acknowledged::Context(*context),
        Reply::Called(called) => match called.delta {
            Some(delta) => {
                let Some(context) = world.called.get(&ticket).copied() else { return };
                Acknowledged::Delta(context, delta)
            }
            None => return,
        },
        Reply::Joining(info) => Acknowledged::Joining(info.group),
        Reply::Invited { .. } | Reply::Acted(_) | Reply::Card { .. } => {
            if asked > world.hosts[host].disk.durable() {
                world.violated(Violation::TooEarly { host, what: format!("reply {ticket}") });
            }
            return;
        }
        Reply::Status(_)
        | Reply::Groups(_)
        | Reply::Members(_)
        | Reply::Whoami(_)
        | Reply::Contexts(_)
        | Reply::Callable { .. }
        | Reply::Sync(_)
        | Reply::Log(_)
        | Reply::Invitations(_)
        | Reply::Seats(_)
        | Reply::Why(_)
        | Reply::Said => return,
    };
    if !is_there(world, host, &done) {
        world.violated(Violation::TooEarly { host, what: format!("{done:?}") });
    }
    world.count("acknowledged");
    world.acknowledged.insert((host, done));
    if world.is_closing {
        world.closing.insert((host, done));
    }
}

/// Whether a host's disk holds what was acknowledged.
fn is_there(world: &World, host: usize, done: &Acknowledged) -> bool {
    let snapshot = world.hosts[host].disk.snapshot();
    let has = |key: Vec<u8>| snapshot.get(Keyspace::Meta, &key).is_some();
    match done {
        Acknowledged::Group(group) => {
            has(layout::group(group)) && Ledger::new(snapshot.clone(), group.log()).dag().is_some()
        }
        Acknowledged::Joining(group) => has(layout::group(group)) && has(layout::join(group)),
        Acknowledged::Context(context) => {
            let bytes = snapshot.get(Keyspace::Meta, &layout::context(context));
            let record = bytes.and_then(|bytes| borsh::from_slice::<ContextRecord>(&bytes).ok());
            record.is_some_and(|record| {
                let log = GroupId::from_bytes(record.group).log();
                record.joined_by.is_none_or(|op| Ledger::new(snapshot.clone(), log).holds(&op))
            })
        }
        Acknowledged::Delta(context, delta) => Ledger::new(snapshot, context.log()).holds(delta),
    }
}

/// A host has started again: all that it had acknowledged is still there.
pub(crate) fn restarted(world: &mut World, host: usize) {
    if !world.is_honest(host) {
        return;
    }
    let of_host: Vec<_> = world.acknowledged.iter().filter(|(by, _)| *by == host).map(|(_, done)| *done).collect();
    for done in of_host {
        if !is_there(world, host, &done) {
            world.violated(Violation::Lost { host, by: host, what: format!("{done:?}") });
        }
    }
}

/// A host publishes: its entries, and the heads that it shows, must be durable.
pub(crate) fn published(world: &mut World, host: usize, gossip: &Gossip) {
    if !world.is_honest(host) {
        return;
    }
    match gossip {
        Gossip::Entries(entries) => entries_are_durable(world, host, entries),
        Gossip::Heartbeat(heartbeat) => heads_are_durable(world, host, &heartbeat.summary),
        // It tells of nothing that a disk could hold.
        Gossip::Ephemeral(_) => {}
    }
}

fn entries_are_durable(world: &mut World, host: usize, entries: &[Vec<u8>]) {
    for bytes in entries {
        let Ok(entry) = Signed::decode(bytes) else {
            world.violated(Violation::Unreadable { host, reason: "an entry".to_owned() });
            continue;
        };
        if !Ledger::new(world.hosts[host].disk.snapshot(), entry.log()).holds(&entry.id()) {
            world.violated(Violation::TooEarly { host, what: format!("{:?}", entry.id()) });
        }
    }
}

fn heads_are_durable(world: &mut World, host: usize, summary: &Summary) {
    let ledger = Ledger::new(world.hosts[host].disk.snapshot(), summary.log);
    if let Some(head) = summary.heads.iter().find(|head| !ledger.holds(head)) {
        world.violated(Violation::TooEarly { host, what: format!("head {head:?}") });
    }
}

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
        if !may_hear(world, from, to, log) && !secrets::is_farewell(world, from, to, message) {
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

fn group_of(world: &mut World, host: usize, log: LogId) -> Option<GroupId> {
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
fn member_key(world: &World, host: usize, group: GroupId) -> Option<PublicKey> {
    let groups = ledger::groups(&world.hosts[host].disk.snapshot());
    let (_, record) = groups.into_iter().find(|(id, _)| *id == group)?;
    Some(mesto_oplog::SigningKey::from_seed(&record.member_seed).public())
}

/// All keys that a host can prove to be a member by in a group: also those of cards, one of which it may have begun to
/// use.
fn member_keys(world: &World, host: usize, group: GroupId) -> Vec<PublicKey> {
    let cards = ledger::cards(&world.hosts[host].disk.snapshot());
    member_key(world, host, group).into_iter().chain(cards).collect()
}

/// A node judged gossip.
pub(crate) fn judged(world: &mut World, host: usize, pending: &Pending, verdict: Verdict) {
    if verdict == Verdict::Reject && !world.has_liar() && world.is_honest(host) {
        world.violated(Violation::Rejected { host, from: pending.from });
    }
}

/// A node reports something.
pub(crate) fn reported(world: &mut World, host: usize, report: &Report) {
    let is_suspicious = matches!(
        report,
        Report::Refused { .. }
            | Report::Diverged { .. }
            | Report::Equivocation { .. }
            | Report::Shed { .. }
            | Report::BundleRefused { .. }
    );
    if !is_suspicious {
        return;
    }
    world.count("reports");
    if !world.has_liar() && world.is_honest(host) {
        world.violated(Violation::Reported { host, report: format!("{report:?}") });
    }
}

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
        // What a context makes of a new op is a batch of its own.
        let is_between = world.hosts[host].disk.is_busy() || world.hosts[host].node.is_none();
        if world.profile.politics && is_between {
            continue;
        }
        let snapshot = world.hosts[host].disk.snapshot();
        let contexts = ledger::contexts(&snapshot);
        let contexts = contexts.into_iter().map(|(id, of)| (id.log(), Some(id), Some(GroupId::from_bytes(of.group))));
        let groups = ledger::groups(&snapshot).into_iter().map(|(id, _)| (id.log(), None, None));
        for (log, context, group) in contexts.chain(groups) {
            let ops: Vec<EntryId> = group
                .map(|group| Ledger::new(snapshot.clone(), group.log()).ids().into_iter().collect())
                .unwrap_or_default();
            let ledger = Ledger::new(snapshot.clone(), log);
            let ids: Vec<EntryId> = ledger.ids().into_iter().collect();
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

/// At the end: every acknowledged delta is everywhere, trees fit their leaves, and failed calls left nothing.
pub(crate) fn finally(world: &mut World) {
    compare(world);
    secrets::check(world);
    for host in world.honest_up() {
        restarted(world, host);
        let snapshot = world.hosts[host].disk.snapshot();
        for (context, _) in ledger::contexts(&snapshot) {
            let state = ledger::state(&snapshot, &context);
            let recomputed = mesto_crdt::recomputed_root(&state);
            if ledger::root(&snapshot, &context) != Some(recomputed) {
                world.violated(Violation::WrongRoot { host, context });
            }
            let leaves = mesto_crdt::Read::scan(&state, mesto_crdt::Space::Leaf, &[], None, usize::MAX);
            let poison = POISON.as_bytes();
            if leaves.iter().any(|(_, leaf)| leaf.windows(poison.len()).any(|window| window == poison)) {
                world.violated(Violation::Poisoned { host, context });
            }
            deltas_are_everywhere(world, host, context);
            verdicts::check(world, host, context);
        }
    }
}

fn deltas_are_everywhere(world: &mut World, host: usize, context: ContextId) {
    let group = group_of(world, host, context.log());
    let member = group.and_then(|group| member_key(world, host, group));
    let rows = group.and_then(|group| world.look(host, Command::MemberList(Selector(group.to_string()))));
    let Some(Reply::Members(rows)) = rows else { return };
    // Who lost the race for an invitation, and does not know it yet, shares nothing with the members.
    if !rows.iter().any(|row| Some(row.member) == member) || !world.is_settled_member(host, group) {
        return;
    }
    // Whoever is not on the allowlist any more is told nothing more.
    let seats = world.look(host, Command::ContextMembers(Selector(context.to_string())));
    let Some(Reply::Seats(seats)) = seats else { return };
    let reads = |world: &World, host: usize| {
        let contexts = ledger::contexts(&world.hosts[host].disk.snapshot());
        let record = contexts.into_iter().find(|(id, _)| *id == context).map(|(_, record)| record);
        let identity = record.map(|record| mesto_oplog::SigningKey::from_seed(&record.identity_seed).public());
        identity.is_some_and(|identity| seats.iter().any(|seat| seat.reads && seat.identities.contains(&identity)))
    };
    if !reads(world, host) {
        return;
    }
    let ids = Ledger::new(world.hosts[host].disk.snapshot(), context.log()).ids();
    let acknowledged: Vec<(usize, EntryId)> = world
        .acknowledged
        .iter()
        .filter_map(|(by, done)| match done {
            Acknowledged::Delta(of, delta) => (*of == context).then_some((*by, *delta)),
            Acknowledged::Group(_) | Acknowledged::Context(_) | Acknowledged::Joining(_) => None,
        })
        .collect();
    for (by, delta) in acknowledged {
        // Whoever left the context with something that nobody had yet took it along.
        let is_in = world.is_honest(by) && reads(world, by) && world.is_settled_member(by, group);
        if !ids.contains(&delta) && is_in {
            world.violated(Violation::Lost { host, by, what: format!("{delta:?} of {context:?}") });
        }
    }
}

impl World {
    /// Whether a host is a member in the eyes of the honest host with the longest log.
    fn is_settled_member(&mut self, host: usize, group: Option<GroupId>) -> bool {
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
