//! Entries that no honest node would sign, under keys that a member holds.

use std::sync::Arc;

use mesto_crdt::{Hlc, Op as Change};
use mesto_governance::action::{Action, Alias, AliasSet, MemberRoleSet};
use mesto_governance::{ContextId, EpochKey, GroupId, Op, Role as MemberRole};
use mesto_node::delta::{DeltaBody, Payload};
use mesto_node::record::{ContextRecord, GroupRecord};
use mesto_node::store::Snapshot;
use mesto_node::{Call, MethodKind};
use mesto_oplog::dag::{DagRead, Next};
use mesto_oplog::{Draft, EntryId, Header, Incarnation, SigningKey, Stamp, Verified};
use mesto_sync::{Gossip, gossip};

use crate::ledger::{self, Ledger};
use crate::world::{Event, World};

/// How far ahead of its clock a node takes an entry at once, in milliseconds.
pub(super) const FUTURE_MS_MAX: u64 = 5 * 60 * 1000;

/// A context as a member who breaks the rules can use it.
pub(super) struct Desk {
    pub(super) snapshot: Arc<dyn Snapshot>,
    pub(super) context: ContextId,
    pub(super) identity: SigningKey,
    pub(super) group: GroupId,
    pub(super) group_heads: Vec<EntryId>,
    pub(super) key: EpochKey,
    pub(super) header: Header,
}

impl World {
    /// One forgery.
    pub(super) fn forge(&mut self, host: usize) {
        match self.mischief.random.below(26) {
            0..=2 => self.equivocate(host),
            3 => self.withhold_parent(host),
            4 => self.backdate(host),
            5 => self.postdate(host),
            6 => self.alter_signature(host),
            7 => self.look_away(host),
            8 => self.fan_out(host),
            9 => self.equivocate_in_governance(host, 2),
            10 => self.usurp(host),
            11 => self.seal_nonsense(host),
            12 => self.babble(host),
            13 => self.litter(host),
            14 => self.begin_again(host),
            15 | 16 => self.backdate_op(host),
            17..=19 => self.backdate_puppet(host),
            20 | 21 => self.backdate_delta(host),
            22 => self.forge_epoch(host),
            23 => self.claim_key(host),
            24 => self.postdate_op(host),
            _ => self.equivocate_in_governance(host, 40),
        }
    }

    /// Several entries for one place in a chain, each told to somebody else.
    fn equivocate(&mut self, host: usize) {
        let branches = self.mischief.random.between(2, 4);
        self.branch(host, branches);
    }

    /// So many branches that no entry can merge them at once, and no summary can name them all.
    fn fan_out(&mut self, host: usize) {
        let branches = self.mischief.random.between(30, 180);
        self.branch(host, branches);
    }

    fn branch(&mut self, host: usize, branches: u64) {
        let Some(desk) = self.desk(host) else { return };
        self.count("equivocations");
        for n in 0..branches {
            let changes = self.changes(&desk, &format!("branch {n}"));
            let header = desk.header.clone();
            let Some(entry) = self.delta(&desk, header, desk.group_heads.clone(), changes) else { return };
            let to = self.any_host();
            self.whisper(host, to, &entry);
        }
    }

    /// An entry whose parent nobody gets to see before all heals.
    fn withhold_parent(&mut self, host: usize) {
        let Some(desk) = self.desk(host) else { return };
        let changes = self.changes(&desk, "hidden");
        let Some(parent) = self.delta(&desk, desk.header.clone(), desk.group_heads.clone(), changes) else { return };
        let stamp = Stamp::after(desk.header.stamp, 0).unwrap_or_default();
        let header = Header {
            seq: desk.header.seq + 1,
            prev: Some(parent.id()),
            parents: vec![parent.id()],
            stamp,
            ..desk.header.clone()
        };
        let changes = self.changes(&desk, "shown");
        let Some(child) = self.delta(&desk, header, desk.group_heads.clone(), changes) else { return };
        self.count("withheld parents");
        self.tell_all(host, &child);
        let gossip = Gossip::Entries(vec![parent.bytes().to_vec()]).encode();
        self.mischief.withheld.push((gossip::context_topic(&desk.context.log()), gossip));
    }

    fn backdate(&mut self, host: usize) {
        let Some(desk) = self.desk(host) else { return };
        let header = Header { stamp: Stamp(1 << 16), ..desk.header.clone() };
        self.publish_delta(host, &desk, header, "backdated");
    }

    /// A stamp so far ahead that others let it wait; a few of them for longer than the run.
    fn postdate(&mut self, host: usize) {
        let Some(desk) = self.desk(host) else { return };
        let ahead =
            if self.mischief.random.chance(200) { 86_400_000 } else { self.mischief.random.between(1_000, 20_000) };
        let stamp = Stamp::after(desk.header.stamp, desk.header.stamp.millis() + FUTURE_MS_MAX + ahead);
        let header = Header { stamp: stamp.unwrap_or_default(), ..desk.header.clone() };
        self.publish_delta(host, &desk, header, "postdated");
    }

    /// Somebody's entry with a signature that is not theirs.
    fn alter_signature(&mut self, host: usize) {
        let Some(desk) = self.desk(host) else { return };
        let ledger = Ledger::new(Arc::clone(&desk.snapshot), desk.context.log());
        let ids: Vec<EntryId> = ledger.ids().into_iter().collect();
        let Some(entry) = self.mischief.random.pick(&ids).and_then(|id| ledger.entry(id)) else { return };
        let mut bytes = entry.bytes().to_vec();
        let at = self.mischief.random.index(bytes.len());
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1;
        }
        let topic = gossip::context_topic(&desk.context.log());
        self.publish(host, &topic, &Gossip::Entries(vec![bytes]));
    }

    /// A delta that pretends to have seen nothing of the group but its beginning, or what does not exist.
    fn look_away(&mut self, host: usize) {
        let Some(desk) = self.desk(host) else { return };
        let genesis = EntryId::from_bytes(*desk.group.as_bytes());
        let made_up = EntryId::from_bytes(self.mischief.random.seed());
        let seen = if self.mischief.random.chance(500) { vec![genesis] } else { vec![made_up] };
        let changes = self.changes(&desk, "looked away");
        if let Some(entry) = self.delta(&desk, desk.header.clone(), seen, changes) {
            self.tell_all(host, &entry);
        }
    }

    /// A sealed part that opens to nothing, or under a key that nobody has.
    fn seal_nonsense(&mut self, host: usize) {
        let Some(mut desk) = self.desk(host) else { return };
        if self.mischief.random.chance(500) {
            desk.key = EpochKey::new(*desk.key.domain(), self.mischief.random.seed());
            return self.publish_delta(host, &desk, desk.header.clone(), "under no key");
        }
        let nonce = [7; 24];
        let body = DeltaBody { governance: desk.group_heads.clone(), key: desk.key.id(), nonce, sealed: vec![1; 40] };
        let mut bytes = vec![mesto_node::delta::VERSION];
        bytes.extend(borsh::to_vec(&body).unwrap_or_default());
        if let Ok(entry) = (Draft { header: desk.header.clone(), body: bytes }).sign(&desk.identity) {
            self.tell_all(host, &entry);
        }
    }

    /// Many entries whose parents do not exist.
    fn litter(&mut self, host: usize) {
        let Some(desk) = self.desk(host) else { return };
        for n in 0..self.mischief.random.between(5, 60) {
            let mut header = desk.header.clone();
            header.incarnation = Incarnation(self.mischief.random.number());
            (header.seq, header.prev) = (1, None);
            header.parents = vec![EntryId::from_bytes(self.mischief.random.seed())];
            self.publish_delta(host, &desk, header, &format!("litter {n}"));
        }
    }

    /// A second beginning of a context's log.
    fn begin_again(&mut self, host: usize) {
        let Some(desk) = self.desk(host) else { return };
        let mut header = desk.header.clone();
        header.incarnation = Incarnation(self.mischief.random.number());
        (header.seq, header.prev) = (1, None);
        header.parents = Vec::new();
        self.publish_delta(host, &desk, header, "a second beginning");
    }

    /// Noise on a topic.
    fn babble(&mut self, host: usize) {
        let topics: Vec<String> = self.hosts[host].topics.iter().cloned().collect();
        let Some(topic) = self.mischief.random.pick(&topics).cloned() else { return };
        let bytes: Vec<u8> =
            (0..self.mischief.random.below(90)).map(|_| self.mischief.random.number().to_le_bytes()[0]).collect();
        self.spread(host, None, &topic, &Arc::from(bytes));
    }

    /// Several ops for one place in a chain of a group's log.
    fn equivocate_in_governance(&mut self, host: usize, branches: u64) {
        let Some((group, record, header)) = self.group_desk(host) else { return };
        let member = SigningKey::from_seed(&record.member_seed);
        self.count("equivocations");
        for n in 0..branches {
            let name = format!("branch {n} of {}", self.mischief.random.below(1000));
            let action = Action::AliasSet(AliasSet { subject: Alias::Member(member.public()), name });
            self.whisper_op(host, group, header.clone(), &member, action);
        }
    }

    /// An op that the author has no right to.
    fn usurp(&mut self, host: usize) {
        let Some((group, record, header)) = self.group_desk(host) else { return };
        let member = SigningKey::from_seed(&record.member_seed);
        let action = Action::MemberRoleSet(MemberRoleSet {
            member: member.public(),
            role: MemberRole::Admin,
            capabilities: None,
            keep: Vec::new(),
            descendants: Vec::new(),
        });
        self.whisper_op(host, group, header, &member, action);
    }

    fn whisper_op(&mut self, host: usize, group: GroupId, header: Header, member: &SigningKey, action: Action) {
        let Ok(body) = Op::new(vec![action]).encode() else { return };
        let Ok(entry) = (Draft { header, body }).sign(member) else { return };
        let to = self.any_host();
        let bytes = Arc::from(Gossip::Entries(vec![entry.bytes().to_vec()]).encode());
        let topic = gossip::group_topic(&group.log());
        self.after(self.profile.latency.0, Event::Gossip { from: host, to, topic, bytes });
    }

    fn publish_delta(&mut self, host: usize, desk: &Desk, header: Header, text: &str) {
        let changes = self.changes(desk, text);
        if let Some(entry) = self.delta(desk, header, desk.group_heads.clone(), changes) {
            self.tell_all(host, &entry);
        }
    }

    pub(super) fn tell_all(&mut self, host: usize, entry: &Verified) {
        let topic = gossip::context_topic(&entry.log());
        self.publish(host, &topic, &Gossip::Entries(vec![entry.bytes().to_vec()]));
    }

    /// The same for an op of a group's log.
    pub(super) fn tell_group(&mut self, host: usize, entry: &Verified) {
        let topic = gossip::group_topic(&entry.log());
        self.publish(host, &topic, &Gossip::Entries(vec![entry.bytes().to_vec()]));
    }

    /// Gossip for one host alone.
    fn whisper(&mut self, host: usize, to: usize, entry: &Verified) {
        let bytes = Arc::from(Gossip::Entries(vec![entry.bytes().to_vec()]).encode());
        let topic = gossip::context_topic(&entry.log());
        self.after(self.profile.latency.0, Event::Gossip { from: host, to, topic, bytes });
    }

    /// What is needed to write in one of a host's contexts, past its node.
    pub(super) fn desk(&mut self, host: usize) -> Option<Desk> {
        let contexts = ledger::contexts(&self.hosts[host].disk.snapshot());
        self.desk_in(host, &contexts)
    }

    /// The same in a context of a group.
    pub(super) fn desk_of(&mut self, host: usize, group: GroupId) -> Option<Desk> {
        let mut contexts = ledger::contexts(&self.hosts[host].disk.snapshot());
        contexts.retain(|(_, record)| record.group == *group.as_bytes());
        self.desk_in(host, &contexts)
    }

    fn desk_in(&mut self, host: usize, contexts: &[(ContextId, ContextRecord)]) -> Option<Desk> {
        let snapshot = self.hosts[host].disk.snapshot();
        let (context, record) = self.mischief.random.pick(contexts)?;
        let group = GroupId::from_bytes(record.group);
        let key = ledger::epoch_keys(&snapshot, &group).pop()?;
        let identity = SigningKey::from_seed(&record.identity_seed);
        let ledger = Ledger::new(Arc::clone(&snapshot), context.log());
        let now_ms = self.hosts[host].clock.wall_ms(self.now);
        let mut incarnation = record.incarnation;
        let dag = ledger.dag()?;
        // Once this life has branched it is of no more use.
        if dag.next_header(&ledger, identity.public(), incarnation, now_ms).is_err() {
            incarnation = Incarnation(self.mischief.random.number());
        }
        let (Next::Entry(header) | Next::MergeFirst(header)) =
            dag.next_header(&ledger, identity.public(), incarnation, now_ms).ok()?;
        let group_heads = Ledger::new(Arc::clone(&snapshot), group.log()).dag()?.heads().take(32).collect();
        Some(Desk { snapshot, context: *context, identity, group, group_heads, key, header })
    }

    pub(super) fn group_desk(&mut self, host: usize) -> Option<(GroupId, GroupRecord, Header)> {
        let snapshot = self.hosts[host].disk.snapshot();
        let groups = ledger::groups(&snapshot);
        let (group, record) = self.mischief.random.pick(&groups).cloned()?;
        let ledger = Ledger::new(snapshot, group.log());
        let now_ms = self.hosts[host].clock.wall_ms(self.now);
        let author = SigningKey::from_seed(&record.member_seed).public();
        let fresh = Incarnation(self.mischief.random.number());
        let dag = ledger.dag()?;
        let next = dag.next_header(&ledger, author, record.incarnation, now_ms);
        let (Next::Entry(header) | Next::MergeFirst(header)) =
            next.or_else(|_| dag.next_header(&ledger, author, fresh, now_ms)).ok()?;
        Some((group, record, header))
    }

    pub(super) fn changes(&mut self, desk: &Desk, text: &str) -> Vec<Change> {
        let key = self.mischief.random.below(12);
        let call = Call {
            context: desk.context,
            bundle: mesto_governance::BlobId::default(),
            method: "set".to_owned(),
            args: format!(r#"{{"key":"k{key}","value":"{text}"}}"#).into_bytes(),
            kind: MethodKind::Mutate,
            caller: desk.identity.public(),
            stamp: Hlc::ZERO,
            seed: [0; 32],
        };
        let state = Arc::new(ledger::state(&desk.snapshot, &desk.context));
        self.executor.0.execute(&call, state).map(|outcome| outcome.ops).unwrap_or_default()
    }

    pub(super) fn delta(
        &mut self,
        desk: &Desk,
        header: Header,
        governance: Vec<EntryId>,
        ops: Vec<Change>,
    ) -> Option<Verified> {
        let bundle = self.bundles.keys().next().copied().unwrap_or_default();
        let payload = Payload { bundle, ops, events: Vec::new() };
        let mut nonce = [0; 24];
        nonce.copy_from_slice(&self.mischief.random.seed()[..24]);
        let body = DeltaBody::seal(&header, governance, &desk.key, nonce, &payload).ok()?;
        Draft { header, body }.sign(&desk.identity).ok()
    }
}
