//! The machine of one group: its log, the fold over it, and its keys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesto_governance::action::{Action, ContextRef, Domain, KeyEpochStarted, Wrap, Wraps};
use mesto_governance::keys::{EpochKey, SealingKey};
use mesto_governance::{Change, ContextId, Governance, GroupId, GroupState, KeyId, Op};
use mesto_oplog::dag::{Admission, Next};
use mesto_oplog::entry::{Draft, Kind};
use mesto_oplog::{EntryId, PublicKey, SigningKey, Stamp, Verified};
use mesto_sync::{Gossip, Peer, Summary, gossip};

use crate::command::CommandError;
use crate::flight::{Flight, Work};
use crate::layout;
use crate::log::{Log, LogView, Need};
use crate::record::GroupRecord;
use crate::step::{Effect, Notice, Report};
use crate::store::Keyspace;
use crate::view::View;

/// How far ahead of our clock an entry may be before it has to wait: 5 minutes, in milliseconds.
pub(crate) const FUTURE_MS_MAX: u64 = 5 * 60 * 1000;

/// More heads than this are merged by whoever comes first: half of what a delta can name, so that there is time.
const HEADS_MERGED_FROM: usize = mesto_oplog::entry::PARENTS_MAX / 2;

/// What contexts need to know of their group: immutable, replaced when the group changes.
#[derive(Clone, Debug)]
pub(crate) struct GroupView {
    pub(crate) governance: Arc<Governance>,
    pub(crate) heads: Vec<EntryId>,
    pub(crate) keys: Arc<BTreeMap<KeyId, EpochKey>>,
}

/// What a group tells the rest of the node after a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum News {
    /// These ops were accepted: whoever waits for them can go on, and the view is a new one.
    Ops(Vec<EntryId>),
    /// These keys have arrived.
    Keys(Vec<KeyId>),
    /// The fold changed.
    Changed(Vec<Change>),
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) id: GroupId,
    pub(crate) flight: Flight,
    pub(crate) log: Log,
    /// Absent until the genesis op is here.
    pub(crate) governance: Option<Arc<Governance>>,
    pub(crate) record: GroupRecord,
    pub(crate) member: SigningKey,
    pub(crate) sealing: SealingKey,
    pub(crate) keys: Arc<BTreeMap<KeyId, EpochKey>>,
    pub(crate) news: Vec<News>,
}

impl Group {
    /// Reads the group back from the store, folding its log anew.
    pub(crate) fn open(view: &View, id: GroupId, record: GroupRecord) -> Result<Self, String> {
        let log = Log::open(view, id.log(), Kind::Governance)?;
        let mut governance: Option<Governance> = None;
        log.replay(view, |op| {
            match &mut governance {
                None => governance = Some(Governance::genesis(&op).map_err(|e| e.to_string())?),
                Some(governance) => {
                    governance.apply(&op).map_err(|e| e.to_string())?;
                }
            }
            Ok(())
        })?;
        let prefix = layout::epoch_keys(&id);
        let keys = view
            .scan(Keyspace::Meta, &prefix, None, usize::MAX)
            .into_iter()
            .filter_map(|(_, bytes)| Some(EpochKey::from_bytes(bytes.try_into().ok()?)))
            .map(|key| (key.id(), key))
            .collect();
        Ok(Self {
            id,
            flight: Flight::default(),
            log,
            governance: governance.map(Arc::new),
            member: SigningKey::from_seed(&record.member_seed),
            sealing: SealingKey::from_seed(&record.sealing_seed),
            record,
            keys: Arc::new(keys),
            news: Vec::new(),
        })
    }

    /// A group that we begin or are about to join: nothing of its log is here.
    pub(crate) fn new(id: GroupId, record: GroupRecord) -> Self {
        Self {
            id,
            flight: Flight::default(),
            log: Log::empty(id.log(), Kind::Governance),
            governance: None,
            member: SigningKey::from_seed(&record.member_seed),
            sealing: SealingKey::from_seed(&record.sealing_seed),
            record,
            keys: Arc::new(BTreeMap::new()),
            news: Vec::new(),
        }
    }

    /// Writes our part in the group.
    pub(crate) fn save_record(&self, work: &mut Work<'_>) {
        if let Ok(bytes) = borsh::to_vec(&self.record) {
            work.put(Keyspace::Meta, layout::group(&self.id), bytes);
        }
    }

    pub(crate) fn state(&self) -> Option<&GroupState> {
        self.governance.as_ref().map(|governance| governance.state())
    }

    pub(crate) fn is_member(&self, member: &PublicKey) -> bool {
        self.state().is_some_and(|state| state.standing(member).is_some())
    }

    pub(crate) fn we_are_member(&self) -> bool {
        self.is_member(&self.member.public())
    }

    pub(crate) fn view(&self) -> Option<GroupView> {
        Some(GroupView {
            governance: Arc::clone(self.governance.as_ref()?),
            heads: self.log.heads(),
            keys: Arc::clone(&self.keys),
        })
    }

    pub(crate) fn summary(&self) -> Summary {
        let heads = self.log.heads();
        Summary {
            log: self.id.log(),
            count: self.log.dag.count(),
            digest: self.governance.as_ref().map_or([0; 32], |governance| governance.digest()),
            governance: heads.clone(),
            heads,
        }
        .within_bounds()
    }

    /// The key that new deltas are sealed under, if we hold it.
    pub(crate) fn current_key(&self) -> Option<&EpochKey> {
        self.keys.get(&self.governance.as_ref()?.current_epoch(None)?.key)
    }

    /// Live epochs whose keys we lack.
    pub(crate) fn missing_keys(&self) -> Vec<KeyId> {
        let Some(state) = self.state() else { return Vec::new() };
        let keys = state.epochs().filter(|epoch| epoch.context.is_none()).map(|epoch| epoch.key);
        keys.filter(|id| !self.keys.contains_key(id)).collect()
    }

    /// Merges the heads, if they are so many that soon no delta could name them all.
    pub(crate) fn merge_heads(&mut self, work: &mut Work<'_>) -> Result<(), CommandError> {
        if self.needs_merge() && self.we_are_member() {
            self.author(work, vec![Action::Merge])?;
        }
        Ok(())
    }

    pub(crate) fn needs_merge(&self) -> bool {
        self.log.dag.heads().len() > HEADS_MERGED_FROM
    }

    /// Signs an op on top of all heads, applies it, and publishes it once it is durable.
    pub(crate) fn author(&mut self, work: &mut Work<'_>, actions: Vec<Action>) -> Result<EntryId, CommandError> {
        loop {
            let read = LogView { view: &work.view, log: self.log.id() };
            let next = self
                .log
                .dag
                .next_header(&read, self.member.public(), self.record.incarnation, work.time.wall_ms)
                .map_err(|e| CommandError::Invalid(e.to_string()))?;
            match next {
                Next::MergeFirst(header) => {
                    self.sign(work, header, vec![Action::Merge])?;
                }
                Next::Entry(header) => return self.sign(work, header, actions),
            }
        }
    }

    fn sign(
        &mut self,
        work: &mut Work<'_>,
        header: mesto_oplog::Header,
        actions: Vec<Action>,
    ) -> Result<EntryId, CommandError> {
        let body = Op::new(actions).encode().map_err(|e| CommandError::Invalid(e.to_string()))?;
        let entry = Draft { header, body }.sign(&self.member).map_err(|e| CommandError::Invalid(e.to_string()))?;
        self.take(work, &entry).map_err(CommandError::Denied)?;
        self.log.save(work);
        self.publish(work, &entry);
        Ok(entry.id())
    }

    /// Begins the group: the genesis op, by us.
    pub(crate) fn begin(&mut self, work: &mut Work<'_>, genesis: &Verified) -> Result<(), CommandError> {
        self.take(work, genesis).map_err(CommandError::Invalid)?;
        self.log.save(work);
        Ok(())
    }

    fn publish(&self, work: &mut Work<'_>, entry: &Verified) {
        let topic = gossip::group_topic(&self.id.log());
        work.after(Effect::Publish(topic, Gossip::Entries(vec![entry.bytes().to_vec()])));
    }

    /// Takes entries that came from `peer`, in any order. Returns how many were accepted.
    pub(crate) fn ingest(&mut self, work: &mut Work<'_>, peer: Peer, entries: Vec<Verified>) -> usize {
        let mut accepted = 0;
        let mut todo: Vec<(Peer, Verified)> = entries.into_iter().rev().map(|entry| (peer, entry)).collect();
        while let Some((peer, entry)) = todo.pop() {
            let id = entry.id();
            match self.consider(work, peer, &entry) {
                Considered::Accepted => {
                    accepted += 1;
                    todo.extend(self.log.arrived(work, Need::Parent(id)));
                }
                Considered::Refused(reason) => {
                    work.now(Effect::Report(Report::Refused { entry: id, reason }));
                    let mut gone = vec![id];
                    while let Some(id) = gone.pop() {
                        gone.extend(self.log.abandon(work, Need::Parent(id)).iter().map(|(_, entry)| entry.id()));
                    }
                }
                Considered::Waits | Considered::Known => {}
            }
        }
        if accepted > 0 {
            self.log.save(work);
        }
        accepted
    }

    fn consider(&mut self, work: &mut Work<'_>, peer: Peer, entry: &Verified) -> Considered {
        let stamp = entry.header().stamp.millis();
        if stamp > work.time.wall_ms.saturating_add(FUTURE_MS_MAX) {
            return self.wait(work, peer, entry, vec![Need::Clock(stamp - FUTURE_MS_MAX)]);
        }
        match self.log.check(work, entry) {
            Err(refusal) => Considered::Refused(refusal.to_string()),
            Ok(Admission::Duplicate) => Considered::Known,
            Ok(Admission::Missing(parents)) => {
                self.wait(work, peer, entry, parents.into_iter().map(Need::Parent).collect())
            }
            Ok(Admission::Ready(_)) => match self.take(work, entry) {
                Ok(()) => Considered::Accepted,
                Err(reason) => Considered::Refused(reason),
            },
        }
    }

    fn wait(&mut self, work: &mut Work<'_>, peer: Peer, entry: &Verified, needs: Vec<Need>) -> Considered {
        let count = self.log.park(work, peer, entry.clone(), needs);
        if count > 0 {
            work.now(Effect::Report(Report::Shed { bound: "entries waiting in a log", count }));
        }
        Considered::Waits
    }

    /// Folds and inserts one op whose parents are here. The one way into the log, for our ops and for others'.
    fn take(&mut self, work: &mut Work<'_>, entry: &Verified) -> Result<(), String> {
        let admission = self.log.check(work, entry).map_err(|e| e.to_string())?;
        let changes = match &mut self.governance {
            None => {
                self.governance = Some(Arc::new(Governance::genesis(entry).map_err(|e| e.to_string())?));
                Vec::new()
            }
            Some(governance) => Arc::make_mut(governance).apply(entry).map_err(|e| e.to_string())?.changes,
        };
        let inserted = self.log.insert(work, entry, admission).ok_or("the op could not be inserted")?;
        if inserted.is_branch {
            let author = entry.header().author;
            work.now(Effect::Report(Report::Equivocation { entry: entry.id(), author }));
        }
        self.unwrap_keys(work, entry);
        self.notify(work, &changes);
        self.news.push(News::Ops(vec![entry.id()]));
        self.news.push(News::Changed(changes));
        Ok(())
    }

    fn notify(&self, work: &mut Work<'_>, changes: &[Change]) {
        for change in changes {
            match change {
                Change::MemberJoined { member, .. } => {
                    work.after(Effect::Emit(Notice::MemberAdded { group: self.id, member: *member }));
                }
                Change::ContextAdded { context, .. } => {
                    work.after(Effect::Emit(Notice::ContextAdded { group: self.id, context: *context }));
                }
                _ => {}
            }
        }
    }

    /// Takes the key of an epoch that was sealed to us.
    fn unwrap_keys(&mut self, work: &mut Work<'_>, entry: &Verified) {
        let (Ok(op), Some(nonce)) = (Op::decode(entry), self.state().map(|state| *state.nonce())) else { return };
        for action in &op.actions {
            let Action::KeyEpochStarted(KeyEpochStarted { domain: Domain::Group, key, wraps: Wraps::Inline(wraps), .. }) =
                action
            else {
                continue;
            };
            let own = wraps.iter().find(|wrap| wrap.recipient == self.member.public());
            if let Some(opened) = own.and_then(|wrap| EpochKey::open(&nonce, *key, wrap, &self.sealing).ok()) {
                self.add_key(work, opened);
            }
        }
    }

    /// Takes keys that a member sent. Only those of live epochs count.
    pub(crate) fn take_keys(&mut self, work: &mut Work<'_>, sealed: &[(KeyId, Wrap)]) {
        let Some(nonce) = self.state().map(|state| *state.nonce()) else { return };
        let wanted: BTreeSet<KeyId> = self.missing_keys().into_iter().collect();
        for (id, wrap) in sealed.iter().filter(|(id, _)| wanted.contains(id)) {
            if let Ok(key) = EpochKey::open(&nonce, *id, wrap, &self.sealing) {
                self.add_key(work, key);
            }
        }
    }

    pub(crate) fn add_key(&mut self, work: &mut Work<'_>, key: EpochKey) {
        let id = key.id();
        if self.keys.contains_key(&id) {
            return;
        }
        work.put(Keyspace::Meta, layout::epoch_key(&self.id, &id), key.expose().to_vec());
        Arc::make_mut(&mut self.keys).insert(id, key);
        self.news.push(News::Keys(vec![id]));
    }

    /// Seals those of `wanted` that we hold to a member; nothing for who is none.
    pub(crate) fn share_keys(&self, work: &mut Work<'_>, member: &PublicKey, wanted: &[KeyId]) -> Vec<(KeyId, Wrap)> {
        let Some(state) = self.state() else { return Vec::new() };
        let (nonce, Some(row)) = (*state.nonce(), state.member(member)) else { return Vec::new() };
        wanted
            .iter()
            .filter_map(|id| self.keys.get(id))
            .filter_map(|key| {
                let seed = work.entropy.bytes();
                let wrap = key.seal(&nonce, *member, row.sealing_key, &seed).ok()?;
                Some((key.id(), wrap))
            })
            .collect()
    }

    /// The action that binds `identity` to us in `context`.
    pub(crate) fn join_context(
        &self,
        context: ContextRef,
        nonce: &[u8; 32],
        identity: &SigningKey,
    ) -> Action {
        Action::ContextJoined(mesto_governance::action::ContextJoined::new(
            context,
            nonce,
            self.id,
            self.member.public(),
            identity,
        ))
    }

    /// The op that bound an identity, if the fold shows it.
    pub(crate) fn has_identity(&self, context: &ContextId, identity: &PublicKey) -> bool {
        self.state().and_then(|state| state.context(context)).is_some_and(|row| row.member_of(identity).is_some())
    }
}

/// What became of an entry.
#[derive(Debug)]
pub(crate) enum Considered {
    Accepted,
    Known,
    Waits,
    Refused(String),
}

/// The action that begins an epoch of the group's own domain.
pub(crate) fn epoch_action(key: &EpochKey, wraps: Vec<Wrap>) -> Action {
    Action::KeyEpochStarted(KeyEpochStarted {
        domain: Domain::Group,
        key: key.id(),
        recipients: mesto_governance::action::recipients_digest(wraps.iter().map(|wrap| wrap.recipient)),
        wraps: Wraps::Inline(wraps),
        parent: None,
        history: Vec::new(),
    })
}

/// The genesis header of a group that `member` begins.
pub(crate) fn genesis_header(member: PublicKey, record: &GroupRecord, now_ms: u64) -> mesto_oplog::Header {
    mesto_oplog::Header {
        kind: Kind::Governance,
        log: mesto_oplog::LogId::default(),
        author: member,
        incarnation: record.incarnation,
        seq: 1,
        prev: None,
        parents: Vec::new(),
        stamp: Stamp::after(Stamp::default(), now_ms).unwrap_or_default(),
    }
}
