//! What must hold, checked apart from the workload: at each effect, after each restart, and at the end.

mod acknowledged;
mod audience;
mod banned;
mod equal;
mod folds;
mod joins;
mod keys;
mod secrets;
mod together;
mod told;
mod verdicts;
mod violation;
mod waiting;

use mesto_governance::action::Visibility;
use mesto_governance::{ContextId, GroupId};
use mesto_node::command::{Command, Reply, Selector};
use mesto_node::layout;
use mesto_node::store::Keyspace;
use mesto_oplog::{EntryId, PublicKey};

pub(crate) use acknowledged::{Acknowledged, replied, restarted};
pub(crate) use audience::sent;
pub(crate) use equal::compare;
pub(crate) use together::settled;
pub(crate) use told::{judged, published, reported};
pub use violation::Violation;

use crate::executor::POISON;
use crate::host::Role;
use crate::ledger::{self, Ledger};
use crate::world::World;
use audience::group_of;
pub(crate) use audience::member_key;
pub(crate) use banned::{is_removed, removals};
pub(crate) use folds::lineage;

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

/// At the end: every acknowledged delta is everywhere, trees fit their leaves, and failed calls left nothing.
pub(crate) fn finally(world: &mut World) {
    compare(world);
    secrets::check(world);
    banned::check(world);
    for host in world.honest_up() {
        restarted(world, host);
        folds::check(world, host);
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
            for (by, delta) in lacking(world, host, context) {
                world.violated(Violation::Lost { host, by, what: format!("{delta:?} of {context:?}") });
            }
            verdicts::check(world, host, context);
        }
    }
}

/// Whether a host's member may write in a context, by the ops that the host holds. Whoever goes on by other member keys than
/// those to which its identity is bound may not be able to read what is written under.
pub(crate) fn may_write(world: &mut World, host: usize, context: ContextId) -> bool {
    let contexts = ledger::contexts(&world.hosts[host].disk.snapshot());
    let Some((_, record)) = contexts.into_iter().find(|(id, _)| *id == context) else { return false };
    let identity = world.public_of(&record.identity_seed);
    let group = GroupId::from_bytes(record.group);
    let member = member_key(world, host, group);
    let governance = world.fold_of(host, group);
    governance.is_some_and(|of| of.state().may_write(context, &identity).is_ok_and(|owner| Some(owner) == member))
}

/// What hosts acknowledged of a context, and another one, that reads it, does not hold.
fn lacking(world: &mut World, host: usize, context: ContextId) -> Vec<(usize, EntryId)> {
    let group = group_of(world, host, context.log());
    let member = group.and_then(|group| member_key(world, host, group));
    let rows = group.and_then(|group| world.look(host, Command::MemberList(Selector(group.to_string()))));
    let Some(Reply::Members(rows)) = rows else { return Vec::new() };
    // Who lost the race for an invitation, and does not know it yet, shares nothing with the members.
    if !rows.iter().any(|row| Some(row.member) == member) || !world.is_settled_member(host, group) {
        return Vec::new();
    }
    // Whoever is not on the allowlist any more is told nothing more.
    let seats = world.look(host, Command::ContextMembers(Selector(context.to_string())));
    let Some(Reply::Seats(seats)) = seats else { return Vec::new() };
    let reads = |world: &World, host: usize| {
        let contexts = ledger::contexts(&world.hosts[host].disk.snapshot());
        let record = contexts.into_iter().find(|(id, _)| *id == context).map(|(_, record)| record);
        let identity = record.map(|record| world.public_of(&record.identity_seed));
        identity.is_some_and(|identity| seats.iter().any(|seat| seat.reads && seat.identities.contains(&identity)))
    };
    if !reads(world, host) {
        return Vec::new();
    }
    let Some(governance) = group.and_then(|group| world.fold_of(host, group)) else { return Vec::new() };
    let may_read = |member: PublicKey| {
        let row = governance.state().context(&context);
        row.is_some_and(|row| row.visibility() == Visibility::Open || row.is_allowed(&member))
    };
    let serves = |world: &World, host: usize| {
        let is_left = world.hosts[host].disk.snapshot().get(Keyspace::Meta, &layout::left(&context)).is_some();
        is_left && group.and_then(|group| member_key(world, host, group)).is_some_and(may_read)
    };
    let ids = Ledger::new(world.hosts[host].disk.snapshot(), context.log()).ids();
    let acknowledged: Vec<(usize, EntryId)> = world
        .acknowledged
        .iter()
        .filter_map(|(by, done)| match done {
            Acknowledged::Delta(of, delta) => (*of == context).then_some((*by, *delta)),
            Acknowledged::Group(_) | Acknowledged::Context(_) | Acknowledged::Joining(_) => None,
        })
        .collect();
    let mut lacking = acknowledged;
    // Who left the context serves it until somebody has what it wrote there.
    lacking.retain(|(by, delta)| {
        !ids.contains(delta)
            && world.is_honest(*by)
            && (reads(world, *by) || serves(world, *by))
            && world.is_settled_member(*by, group)
    });
    lacking
}
