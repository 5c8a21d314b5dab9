//! Verdicts, found again from the durable logs by the rules as they are written, and the state that follows.

use std::collections::{BTreeMap, BTreeSet};

use mesto_crdt::{Author, Delta, DeltaId, Hlc, MemoryState, Transaction, TreeCache};
use mesto_governance::verdict::{Authorship, Warrant, Written, settle};
use mesto_governance::{ContextId, GroupId};
use mesto_node::delta::DeltaBody;
use mesto_node::layout;
use mesto_node::store::Keyspace;
use mesto_oplog::dag::DagRead;
use mesto_oplog::placement::ChainIx;
use mesto_oplog::{EntryId, Verified};

use super::Violation;
use crate::ledger::{self, Ledger};
use crate::world::World;

/// At the end: what a host takes as void is what the rules void, and its state is as if that had never been accepted.
pub(super) fn check(world: &mut World, host: usize, context: ContextId) {
    let snapshot = world.hosts[host].disk.snapshot();
    let Some((_, record)) = ledger::contexts(&snapshot).into_iter().find(|(id, _)| *id == context) else { return };
    let group = GroupId::from_bytes(record.group);
    let ledger = Ledger::new(snapshot.clone(), context.log());
    let Some(mut governance) = world.fold_of(host, group) else { return };
    let entries: Vec<Verified> = ledger.by_arrival(0, usize::MAX).iter().filter_map(|id| ledger.entry(id)).collect();
    let mut written = Vec::new();
    let mut heads: BTreeMap<EntryId, Vec<EntryId>> = BTreeMap::new();
    for entry in &entries {
        let Ok(body) = DeltaBody::decode(entry.body()) else { continue };
        let identity = entry.header().author;
        let warrant = governance.warrant(&Authorship {
            context,
            identity,
            governance: &body.governance,
            parents_governance: &[],
        });
        heads.insert(entry.id(), body.governance);
        written.push(Written { delta: entry.id(), identity, warrant, is_final: false });
    }
    let is_past = |a: &EntryId, b: &EntryId| {
        let (Some(a), Some(b)) = (ledger.placement(a), ledger.placement(b)) else { return false };
        a != b && b.past.covers(&a)
    };
    let mut trusted = |by: &EntryId, of: &Written| {
        let Warrant::Contested { causes, .. } = &of.warrant else { return false };
        heads.get(by).is_some_and(|heads| governance.trusted(heads, context, &of.identity, causes))
    };
    let accepted = settle(&written, &is_past, &mut trusted);
    let void = void(world, host, context, &ledger);
    let wrong: Vec<EntryId> =
        entries.iter().map(Verified::id).filter(|id| void.contains(id) == accepted.contains(id)).collect();
    if !wrong.is_empty() {
        let what = format!("{wrong:?} of {} deltas, {} accepted", entries.len(), accepted.len());
        return world.violated(Violation::Misjudged { host, context, what });
    }
    let is_below = governance.parent().is_some();
    if is_below && !entries.is_empty() {
        world.count("contexts of subgroups judged");
    }
    if accepted.len() < entries.len() {
        world.count(if is_below { "void deltas in subgroups" } else { "hosts with void deltas" });
    }
    let expected = state_of(world, host, &group, &ledger, &entries, &accepted);
    if expected.is_some() && expected != ledger::root(&snapshot, &context) {
        world.violated(Violation::NotAsIfNeverAccepted { host, context });
    }
}

/// The deltas of a context that a host takes as void.
pub(super) fn void(world: &World, host: usize, context: ContextId, ledger: &Ledger) -> BTreeSet<EntryId> {
    let runs = void_runs(world, host, context);
    let is_void = |id: &EntryId| {
        let Some(of) = ledger.placement(id) else { return false };
        runs.range((of.chain, 0)..=(of.chain, of.seq)).next_back().is_some_and(|(_, last)| *last >= of.seq)
    };
    ledger.by_arrival(0, usize::MAX).into_iter().filter(is_void).collect()
}

fn void_runs(world: &World, host: usize, context: ContextId) -> BTreeMap<(ChainIx, u64), u64> {
    let snapshot = world.hosts[host].disk.snapshot();
    let prefix = layout::void_all(ledger::number(&snapshot, &context.log()));
    let pairs = snapshot.scan(Keyspace::Log, &prefix, None, usize::MAX);
    let read = |(key, last): &(Vec<u8>, Vec<u8>)| {
        let (chain, seq) = key.get(prefix.len()..)?.split_first_chunk::<4>()?;
        let place = (ChainIx(u32::from_be_bytes(*chain)), u64::from_be_bytes(seq.try_into().ok()?));
        Some((place, u64::from_be_bytes(last.as_slice().try_into().ok()?)))
    };
    pairs.iter().filter_map(read).collect()
}

/// The root of a state to which only `accepted` were ever applied.
fn state_of(
    world: &World,
    host: usize,
    group: &GroupId,
    ledger: &Ledger,
    entries: &[Verified],
    accepted: &BTreeSet<EntryId>,
) -> Option<mesto_crdt::RootHash> {
    let keys = ledger::epoch_keys(&world.hosts[host].disk.snapshot(), group);
    let state = MemoryState::default();
    let mut cache = TreeCache::new();
    let mut transaction = Transaction::new(&state, &mut cache);
    for entry in entries.iter().filter(|entry| accepted.contains(&entry.id())) {
        let body = DeltaBody::decode(entry.body()).ok()?;
        let payload = keys.iter().find(|key| key.id() == body.key)?;
        let payload = body.open(entry.header(), payload).ok()?;
        let own = ledger.placement(&entry.id())?;
        let in_past = |id: &DeltaId| {
            let id = EntryId::from_bytes(id.0);
            accepted.contains(&id) && ledger.placement(&id).is_some_and(|of| own.past.covers(&of))
        };
        let delta = Delta {
            id: DeltaId(*entry.id().as_bytes()),
            author: Author(*entry.header().author.as_bytes()),
            stamp: Hlc::from_bits(entry.header().stamp.0).unwrap_or(Hlc::ZERO),
            ops: &payload.ops,
        };
        transaction.apply(&delta, &in_past).ok()?;
    }
    transaction.finish().ok().map(|commit| commit.root)
}
