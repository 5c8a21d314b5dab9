//! What waits in a context's log waits for something that nobody can give.

use mesto_governance::ContextId;
use mesto_governance::{Governance, GroupId};
use mesto_node::delta::DeltaBody;
use mesto_node::layout;
use mesto_node::record::ContextRecord;
use mesto_node::store::Keyspace;
use mesto_oplog::{Signed, Verified};

use super::keys::{claims, reads};
use super::secrets::held;
use crate::ledger::{self, Ledger};
use crate::world::World;

/// How far ahead of its clock a node takes an entry at once, in milliseconds.
const FUTURE_MS_MAX: u64 = 5 * 60 * 1000;

/// The first delta of a context that waits at a host for no good reason. The readers of the context are known to hold
/// the same logs: so what none of them holds can come from no honest one.
///
/// There are five good reasons: a stamp that is too far ahead of the host's clock; a parent, or a governance op, that
/// is not in the logs that all readers share (it is withheld, or was refused, or waits itself); a key of another domain than the context was of for the author; and a key
/// that no honest reader has, or of a domain that the host's member does not read. The last two need no liar: somebody can have
/// written for a few, on an authority that fell before any of those who are left got the key.
pub(super) fn unexplained(world: &World, host: usize, context: ContextId, governance: &Governance) -> Option<String> {
    let snapshot = world.hosts[host].disk.snapshot();
    let (_, record) = ledger::contexts(&snapshot).into_iter().find(|(id, _)| *id == context)?;
    let waiting =
        snapshot.scan(Keyspace::Log, &layout::waiting_all(ledger::number(&snapshot, &context.log())), None, usize::MAX);
    let waiting = waiting.iter().filter_map(|(_, bytes)| Signed::decode(bytes).ok()).map(Signed::trust_own_store);
    waiting.into_iter().find_map(|entry| {
        let why = reason(world, host, &context, &record, governance, &entry);
        why.is_none().then(|| format!("{:?} waits at host {host} for what it could have", entry.id()))
    })
}

/// Why a delta waits.
fn reason(
    world: &World,
    host: usize,
    context: &ContextId,
    record: &ContextRecord,
    governance: &Governance,
    entry: &Verified,
) -> Option<&'static str> {
    let snapshot = world.hosts[host].disk.snapshot();
    let wall_ms = world.hosts[host].clock.wall_ms(world.now);
    if entry.header().stamp.millis() > wall_ms + FUTURE_MS_MAX {
        return Some("its time has not come");
    }
    let ledger = Ledger::new(snapshot.clone(), context.log());
    if entry.header().parents.iter().any(|parent| !ledger.holds(parent)) {
        return Some("a parent is missing");
    }
    let body = DeltaBody::decode(entry.body()).ok()?;
    if body.governance.iter().any(|op| !governance.knows(op)) {
        return Some("a governance op is missing");
    }
    let group = GroupId::from_bytes(record.group);
    let (member, keys) = held(world, host, &group)?;
    if keys.contains(&body.key) {
        let came_in = ledger::domain_of_key(&snapshot, &group, &body.key)?;
        let wants = governance.clone().domain_at(&body.governance, context)?;
        return (came_in != wants).then_some("its key is one of another domain");
    }
    let state = governance.state();
    let domain = governance.state().epoch(&body.key).map(|epoch| epoch.context);
    let is_to_be_had = domain.is_some_and(|domain| {
        let has = |other: usize| {
            held(world, other, &group).is_some_and(|(of, keys)| keys.contains(&body.key) && reads(state, &of, domain))
        };
        let claimed = claims(world, host, group).remove(&body.key).unwrap_or_default();
        claimed.iter().chain([&domain]).all(|domain| reads(state, &member, *domain))
            && world.honest_up().into_iter().any(has)
    });
    (!is_to_be_had).then_some("nobody gives it the key")
}
