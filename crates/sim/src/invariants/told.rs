//! What a node tells others of its logs is durable; what it judges and reports fits what they are.

use mesto_node::{Report, Verdict};
use mesto_oplog::Signed;
use mesto_sync::{Gossip, Summary};

use super::Violation;
use crate::host::Pending;
use crate::ledger::Ledger;
use crate::world::World;

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

pub(super) fn entries_are_durable(world: &mut World, host: usize, entries: &[Vec<u8>]) {
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

pub(super) fn heads_are_durable(world: &mut World, host: usize, summary: &Summary) {
    let ledger = Ledger::new(world.hosts[host].disk.snapshot(), summary.log);
    if let Some(head) = summary.heads.iter().find(|head| !ledger.holds(head)) {
        world.violated(Violation::TooEarly { host, what: format!("head {head:?}") });
    }
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
