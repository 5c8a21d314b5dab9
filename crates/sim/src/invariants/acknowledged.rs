//! What a node said was done is durable, and stays.

use mesto_governance::{ContextId, GroupId};
use mesto_node::command::{CommandError, Reply};
use mesto_node::record::ContextRecord;
use mesto_node::store::Keyspace;
use mesto_node::{Ticket, layout};
use mesto_oplog::EntryId;

use super::Violation;
use crate::ledger::Ledger;
use crate::world::World;

/// Something that was acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Acknowledged {
    Group(GroupId),
    Context(ContextId),
    Delta(ContextId, EntryId),
    Joining(GroupId),
}

/// A host answered a command: what it says was done must be durable.
pub(crate) fn replied(world: &mut World, host: usize, ticket: Ticket, reply: &Result<Reply, CommandError>) {
    let Some(asked) = world.asked_at.remove(&ticket) else { return };
    let Ok(reply) = reply else { return };
    let done = match reply {
        Reply::GroupCreated { group, .. } => Acknowledged::Group(*group),
        Reply::ContextCreated { context, .. } if world.left_early.remove(&(host, *context)) => return,
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
