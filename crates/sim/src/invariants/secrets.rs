//! Keys: who lost the right to read never gets the key of what is written after that.

use std::collections::{BTreeMap, BTreeSet};

use mesto_governance::action::{Action, Visibility};
use mesto_governance::{ContextId, Governance, GroupId, KeyId, Op};
use mesto_node::delta::DeltaBody;
use mesto_oplog::dag::DagRead;
use mesto_oplog::{EntryId, PublicKey, Verified};

use super::{Violation, audience, lineage};
use crate::ledger::{self, Ledger};
use crate::world::World;

/// At the end: no host has the key of a delta which an honest one wrote in the knowledge that the host's member may not
/// read it. Excepted is who was let in since: whoever reads what is new may read what is old.
pub(super) fn check(world: &mut World) {
    let mut seen: BTreeSet<EntryId> = BTreeSet::new();
    for by in world.honest_up() {
        let snapshot = world.hosts[by].disk.snapshot();
        for (context, record) in ledger::contexts(&snapshot) {
            let group = GroupId::from_bytes(record.group);
            let Some(reference) = world.best_of(group) else { continue };
            let Some(governance) = world.fold_of(reference, group) else { continue };
            let identity = world.public_of(&record.identity_seed);
            let log = Ledger::new(snapshot.clone(), context.log());
            let entries = log.by_arrival(0, usize::MAX);
            let own = entries.iter().filter_map(|id| log.entry(id)).filter(|entry| entry.header().author == identity);
            let own: Vec<Verified> = own.filter(|entry| seen.insert(entry.id())).collect();
            let ops = Ops::of(world, reference, group);
            for violation in overheard(world, group, context, governance, &ops, &own) {
                world.violated(violation);
            }
        }
    }
    if !seen.is_empty() {
        world.count("secrets looked at");
    }
}

/// Hosts that can open what of `entries` they should not.
fn overheard(
    world: &World,
    group: GroupId,
    context: ContextId,
    mut governance: Governance,
    ops: &Ops,
    entries: &[Verified],
) -> Vec<Violation> {
    let mut found = Vec::new();
    let hosts = (0..world.hosts.len()).filter_map(|host| {
        let keys = ops.opened(world, host)?;
        Some((host, names_of(world, host, group, &governance), keys))
    });
    let hosts: Vec<(usize, Vec<PublicKey>, BTreeSet<KeyId>)> = hosts.collect();
    let mut closed: BTreeMap<(Vec<EntryId>, KeyId), Vec<usize>> = BTreeMap::new();
    for entry in entries {
        let Ok(body) = DeltaBody::decode(entry.body()) else { continue };
        let delta = entry.id();
        let closed = closed.entry((body.governance.clone(), body.key)).or_insert_with(|| {
            let Some(then) = governance.state_at(&body.governance) else { return Vec::new() };
            // What the context says, not what an op says of the key.
            let Some(row) = then.context(&context) else { return Vec::new() };
            let domain = (row.visibility() == Visibility::Restricted).then_some(context);
            let is_out = |member: &PublicKey| {
                !reads_domain(&then, member, domain)
                    && !reads_domain(governance.state(), member, domain)
                    && !ops.let_in(&body.governance, member, domain)
            };
            hosts.iter().filter(|(_, names, _)| names.iter().all(is_out)).map(|(host, ..)| *host).collect()
        });
        for (host, _, keys) in hosts.iter().filter(|(host, ..)| closed.contains(host)) {
            if keys.contains(&body.key) {
                found.push(Violation::Overheard { host: *host, domain: format!("{context:?}"), delta });
            }
        }
    }
    found
}

/// Whether a member may read what a domain protects, joined or not.
fn reads_domain(state: &mesto_governance::GroupState, member: &PublicKey, domain: Option<ContextId>) -> bool {
    let row = domain.and_then(|id| state.context(&id));
    let may = row.is_none_or(|row| row.visibility() == Visibility::Open || row.is_allowed(member));
    state.standing(member).is_some() && may
}

/// The ops of a group and of its ancestors that a host holds.
struct Ops {
    lineage: Vec<GroupId>,
    by_id: BTreeMap<EntryId, (Verified, Op)>,
}

impl Ops {
    /// Those that honest hosts hold: who is out may know of more ops than who is in, and not of all that these know.
    fn of(world: &World, reference: usize, group: GroupId) -> Self {
        let lineage = lineage(&world.hosts[reference].disk.snapshot(), group);
        let mut by_id = BTreeMap::new();
        for host in world.honest_up() {
            let snapshot = world.hosts[host].disk.snapshot();
            for of in &lineage {
                let ledger = Ledger::new(snapshot.clone(), of.log());
                let entries = ledger.ids().into_iter().filter_map(|id| ledger.entry(&id));
                by_id.extend(entries.filter_map(|entry| Some((entry.id(), (Op::decode(&entry).ok()?, entry)))));
            }
        }
        let by_id = by_id.into_iter().map(|(id, (op, entry))| (id, (entry, op))).collect();
        Self { lineage, by_id }
    }

    /// The keys of the group that a host has, or can open with what it has: keys of a subgroup with those of its parent. Not
    /// those that a liar's node gave away, nor what these open.
    fn opened(&self, world: &World, host: usize) -> Option<BTreeSet<KeyId>> {
        held(world, host, self.lineage.first()?)?;
        let own = self.lineage.iter().filter_map(|group| held(world, host, group)).flat_map(|(_, keys)| keys);
        let given = world.given_by_liar.iter().filter(|(to, _)| *to == host).map(|(_, key)| *key);
        let epochs = self.by_id.values().flat_map(|(_, op)| &op.actions).filter_map(|action| match action {
            Action::KeyEpochStarted(started) => Some(started),
            _ => None,
        });
        let below = epochs.clone().filter_map(|epoch| Some((epoch.key, epoch.parent.as_ref()?.parent)));
        let before = epochs.flat_map(|epoch| epoch.history.iter().map(|wrap| (wrap.previous, epoch.key)));
        let below: Vec<(KeyId, KeyId)> = below.collect();
        let given = opened_with(given.collect(), &below.iter().copied().chain(before).collect::<Vec<_>>());
        Some(opened_with(own.collect(), &below).difference(&given).copied().collect())
    }

    /// What is within heads; nothing if something of it is not there.
    fn within(&self, heads: &[EntryId]) -> Option<BTreeSet<EntryId>> {
        let mut seen = BTreeSet::new();
        let mut open = heads.to_vec();
        while let Some(id) = open.pop() {
            let (entry, op) = self.by_id.get(&id)?;
            if seen.insert(id) {
                open.extend(entry.header().parents.iter().chain(&op.ancestor_parents));
            }
        }
        Some(seen)
    }

    /// Whether a member that was out at `heads` may have been in for a while since, for anybody: because of an op that is
    /// not within these heads and lets it in, or that is about somebody who had put it out, whose act may have been void
    /// until more was known.
    fn let_in(&self, heads: &[EntryId], member: &PublicKey, domain: Option<ContextId>) -> bool {
        let Some(within) = self.within(heads) else { return true };
        let puts_out = |id: EntryId, action: &Action| {
            let is_here = action.context_ref().map(|context| context.resolve(id)) == domain;
            matches!(action, Action::MemberRemoved(removed) if removed.member == *member)
                || matches!(action, Action::ContextDisallowed(out) if is_here && out.member == *member)
                || matches!(action, Action::ContextVisibilitySet(set) if is_here && set.visibility == Visibility::Restricted)
        };
        let seen = self.by_id.iter().filter(|(id, _)| within.contains(id));
        let revokers = seen.filter(|(id, (_, op))| op.actions.iter().any(|action| puts_out(**id, action)));
        let revokers: BTreeSet<PublicKey> = revokers.map(|(_, (entry, _))| entry.header().author).collect();
        self.by_id.iter().filter(|(id, _)| !within.contains(id)).any(|(id, (_, op))| {
            let is_about = |action| target(action).is_some_and(|target| revokers.contains(&target));
            op.actions.iter().any(|action| lets_in(action, *id, member, domain) || is_about(action))
        })
    }
}

/// Keys, and all that they open one after another; each of `wraps` is of a key under another one.
fn opened_with(mut keys: BTreeSet<KeyId>, wraps: &[(KeyId, KeyId)]) -> BTreeSet<KeyId> {
    loop {
        let known = keys.len();
        let opened = wraps.iter().filter(|(_, under)| keys.contains(under)).map(|(key, _)| *key).collect::<Vec<_>>();
        keys.extend(opened);
        if keys.len() == known {
            return keys;
        }
    }
}

/// Whose standing an action changes.
fn target(action: &Action) -> Option<PublicKey> {
    if let Action::MemberRemoved(removed) = action {
        return Some(removed.member);
    }
    if let Action::MemberRoleSet(set) = action {
        return Some(set.member);
    }
    if let Action::MemberCapabilitiesSet(set) = action {
        return Some(set.member);
    }
    None
}

fn lets_in(action: &Action, op: EntryId, member: &PublicKey, domain: Option<ContextId>) -> bool {
    let is_here = action.context_ref().map(|context| context.resolve(op)) == domain;
    matches!(action, Action::MemberAdded(added) if added.member == *member)
        || matches!(action, Action::MemberRoleSet(set) if set.member == *member)
        || matches!(action, Action::MemberCapabilitiesSet(set) if set.member == *member)
        || matches!(action, Action::JoinByInvitation(join) if join.claim.joiner == *member)
        || matches!(action, Action::ContextAllowed(allowed) if is_here && allowed.member == *member)
        || matches!(action, Action::ContextVisibilitySet(set) if is_here && set.visibility == Visibility::Open)
}

/// All members that a host ever was in a group: some come back by a card, under other keys.
pub(super) fn names_of(world: &World, host: usize, group: GroupId, governance: &Governance) -> Vec<PublicKey> {
    let peer = world.hosts[host].peer;
    let states = std::iter::successors(Some(governance.state()), |state| state.parent());
    let known = states.flat_map(|state| {
        let is_theirs = |member: &&PublicKey| state.keys_of(member).is_some_and(|(_, hint)| hint.0 == peer.as_bytes());
        state.known_people().filter(is_theirs).copied().collect::<Vec<_>>()
    });
    known.chain(audience::member_keys(world, host, group)).collect()
}

/// Who a host is in a group, and the keys that it has.
pub(super) fn held(world: &World, host: usize, group: &GroupId) -> Option<(PublicKey, BTreeSet<KeyId>)> {
    let member = audience::member_key(world, host, *group)?;
    let keys = ledger::epoch_keys(&world.hosts[host].disk.snapshot(), group);
    Some((member, keys.iter().map(mesto_governance::EpochKey::id).collect()))
}
