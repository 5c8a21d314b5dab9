//! The machine of one group: its log, the fold over it, and its keys.

mod above;
pub(crate) mod keys;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesto_governance::action::{Action, ContextRef};
use mesto_governance::fold::{Applied, Rejected};
use mesto_governance::keys::{EpochKey, SealingKey};
use mesto_governance::{Change, ContextId, Governance, GroupId, GroupState, KeyId, Op};
use mesto_oplog::dag::{Admission, AuthorError, Next};
use mesto_oplog::entry::{Draft, Kind};
use mesto_oplog::{EntryId, Incarnation, PublicKey, SigningKey, Stamp, Verified};
use mesto_sync::{Gossip, Peer, Summary, gossip};

use crate::command::CommandError;
use crate::flight::{Flight, Work};
use crate::flow::Flow;
use crate::layout::{self, LogNumber};
use crate::log::{Log, Need};
use crate::record::GroupRecord;
use crate::step::{Effect, Notice, Report};
use crate::store::Keyspace;
use crate::view::View;
pub(crate) use above::Above;
use keys::{Domain, KeyBook, Usable};

/// How far ahead of our clock an entry may be before it has to wait: 5 minutes, in milliseconds.
pub(crate) const FUTURE_MS_MAX: u64 = 5 * 60 * 1000;

/// More heads than this are merged by whoever comes first: half of what a delta can name, so that there is time.
const HEADS_MERGED_FROM: usize = mesto_oplog::entry::PARENTS_MAX / 2;

/// What contexts need to know of their group: immutable, replaced when the group changes.
#[derive(Clone, Debug)]
pub(crate) struct GroupView {
    pub(crate) governance: Arc<Governance>,
    /// What stands for all ops that are known, of the group and of its ancestors: deltas name it.
    pub(crate) frontier: Vec<EntryId>,
    pub(crate) keys: Arc<BTreeMap<KeyId, EpochKey>>,
    /// The domains in which these came.
    pub(crate) domains: Arc<BTreeMap<KeyId, Domain>>,
    /// The epoch to write under in each domain that we read.
    pub(crate) usable: Arc<BTreeMap<Domain, KeyId>>,
}

impl GroupView {
    /// The epoch to write under in a context, if there is one.
    pub(crate) fn epoch_for(&self, context: &ContextId) -> Option<KeyId> {
        self.usable.get(&keys::domain_of(self.governance.state(), context)).copied()
    }
}

/// What a group tells the rest of the node after a step.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct News {
    /// Ops that were accepted: whoever waits for them can go on, and the view is a new one.
    pub(crate) ops: Vec<EntryId>,
    /// The same, of ops of the ancestors.
    pub(crate) ops_above: Vec<EntryId>,
    /// Whether the genesis has shown that the group has a parent.
    pub(crate) is_subgroup: bool,
    /// Keys that have arrived.
    pub(crate) keys: Vec<KeyId>,
    /// How the fold changed.
    pub(crate) changes: Vec<Change>,
    /// Whether verdicts of deltas may have changed.
    pub(crate) rejudge: bool,
    /// Whether we go on by other keys: as another member, perhaps of a log that is here.
    pub(crate) is_adopted: bool,
}

impl News {
    pub(crate) fn is_empty(&self) -> bool {
        self.ops.is_empty()
            && self.ops_above.is_empty()
            && !self.is_subgroup
            && self.keys.is_empty()
            && self.changes.is_empty()
            && !self.rejudge
            && !self.is_adopted
    }
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) id: GroupId,
    pub(crate) flight: Flight,
    pub(crate) log: Log,
    /// Absent until the genesis op is here.
    pub(crate) governance: Option<Arc<Governance>>,
    /// The group that the genesis names as parent, as soon as it has been seen.
    pub(crate) parent: Option<GroupId>,
    /// What the parent last told.
    pub(crate) above: Option<Above>,
    pub(crate) record: GroupRecord,
    pub(crate) member: SigningKey,
    pub(crate) sealing: SealingKey,
    pub(crate) keys: Arc<BTreeMap<KeyId, EpochKey>>,
    pub(crate) book: KeyBook,
    pub(crate) news: News,
}

impl Group {
    /// Reads the group back from the store, folding its log anew; a subgroup below what its parent tells.
    pub(crate) fn open(
        view: &View,
        id: GroupId,
        number: LogNumber,
        record: GroupRecord,
        above: Option<Above>,
    ) -> Result<Self, String> {
        let log = Log::open(view, id.log(), number, Kind::Governance)?;
        let mut governance: Option<Governance> = None;
        let (keys, domains) = held_keys(view, &id);
        let mut book = KeyBook::open(sent_keys(view, &id), domains);
        log.replay(view, |op| {
            if let Ok(decoded) = Op::decode(&op) {
                book.note(&decoded, op.id());
            }
            match &mut governance {
                None => governance = Some(above::begin(&op, above.as_ref())?),
                Some(governance) => {
                    governance.apply(&op).map_err(|e| e.to_string())?;
                }
            }
            Ok(())
        })?;
        Ok(Self {
            id,
            flight: Flight::default(),
            log,
            governance: governance.map(Arc::new),
            parent: above.as_ref().map(|above| above.governance.state().group()),
            above,
            member: SigningKey::from_seed(&record.member_seed),
            sealing: SealingKey::from_seed(&record.sealing_seed),
            record,
            keys: Arc::new(keys),
            book,
            news: News::default(),
        })
    }

    /// A group that we begin or are about to join: nothing of its log is here.
    pub(crate) fn new(id: GroupId, number: LogNumber, record: GroupRecord) -> Self {
        Self {
            id,
            flight: Flight::default(),
            log: Log::empty(id.log(), number, Kind::Governance),
            governance: None,
            parent: None,
            above: None,
            member: SigningKey::from_seed(&record.member_seed),
            sealing: SealingKey::from_seed(&record.sealing_seed),
            record,
            keys: Arc::new(BTreeMap::new()),
            book: KeyBook::default(),
            news: News::default(),
        }
    }

    /// Writes our part in the group.
    pub(crate) fn save_record(&self, work: &mut Work<'_>) {
        if let Ok(bytes) = borsh::to_vec(&self.record) {
            work.put(Keyspace::Meta, layout::group(&self.id), bytes);
        }
        self.log.save_number(work);
    }

    pub(crate) fn state(&self) -> Option<&GroupState> {
        self.governance.as_ref().map(|governance| governance.state())
    }

    pub(crate) fn is_member(&self, member: &PublicKey) -> bool {
        self.state().is_some_and(|state| state.standing(member).is_some())
    }

    /// Whether the group has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.state().is_some_and(|state| !state.is_there())
    }

    pub(crate) fn we_are_member(&self) -> bool {
        self.is_member(&self.member.public())
    }

    pub(crate) fn view(&mut self) -> Option<GroupView> {
        let Usable { frontier, epochs, .. } = self.usable();
        Some(GroupView {
            governance: Arc::clone(self.governance.as_ref()?),
            frontier,
            keys: Arc::clone(&self.keys),
            domains: self.book.domains(),
            usable: epochs,
        })
    }

    /// Takes other keys as ours: of a card by which somebody added us, after we had been a member by others.
    pub(crate) fn adopt(&mut self, record: GroupRecord) {
        self.member = SigningKey::from_seed(&record.member_seed);
        self.sealing = SealingKey::from_seed(&record.sealing_seed);
        self.record = record;
        self.book.forget_usable();
        self.news.is_adopted = true;
    }

    pub(crate) fn summary(&self) -> Summary {
        Summary {
            log: self.id.log(),
            count: self.log.dag.count(),
            digest: self.governance.as_ref().map_or([0; 32], |governance| governance.digest()),
            governance: self.frontier(),
            heads: self.log.heads(),
        }
        .within_bounds()
    }

    /// What stands for all ops that are known of the group and of its ancestors.
    pub(crate) fn frontier(&self) -> Vec<EntryId> {
        self.governance.as_ref().map(|governance| governance.frontier()).unwrap_or_default()
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
            let read = self.log.read(&work.view);
            let life = self.record.incarnation;
            match self.log.dag.next_header(&read, self.member.public(), life, work.time.wall_ms) {
                Ok(Next::MergeFirst(header)) => {
                    self.sign(work, header, vec![Action::Merge])?;
                }
                Ok(Next::Entry(header)) => return self.sign(work, header, actions),
                // This home was copied, or put back from a copy, and both went on: here another life begins.
                Err(AuthorError::Branched(_)) => {
                    self.record.incarnation = Incarnation(work.entropy.number());
                    self.save_record(work);
                }
                Err(error) => return Err(CommandError::Invalid(error.to_string())),
            }
        }
    }

    fn sign(
        &mut self,
        work: &mut Work<'_>,
        header: mesto_oplog::Header,
        actions: Vec<Action>,
    ) -> Result<EntryId, CommandError> {
        let op = self.op(actions);
        if let Some(governance) = &self.governance {
            governance.check(self.member.public(), header.stamp, &op).map_err(|why| refusal(&why))?;
        }
        let body = op.encode().map_err(|e| CommandError::Invalid(e.to_string()))?;
        let entry = Draft { header, body }.sign(&self.member).map_err(|e| CommandError::Invalid(e.to_string()))?;
        self.take(work, &entry).map_err(CommandError::Denied)?;
        self.log.save(work);
        self.publish(work, &entry);
        Ok(entry.id())
    }

    /// An op by us that has all that is known here in its past.
    fn op(&self, actions: Vec<Action>) -> Op {
        let ancestor_parents = self.governance.as_ref().map(|governance| governance.ancestor_parents());
        Op { ancestor_parents: ancestor_parents.unwrap_or_default(), ..Op::new(actions) }
    }

    /// Whether an op of ours would be admitted now.
    pub(crate) fn check(&self, now_ms: u64, actions: Vec<Action>) -> Result<(), CommandError> {
        let governance = self.governance.as_ref().ok_or(CommandError::KeyMissing(self.id))?;
        let at = Stamp::after(Stamp::default(), now_ms).unwrap_or_default();
        governance.check(self.member.public(), at, &self.op(actions)).map_err(|why| refusal(&why))
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
        self.ingest_all(work, entries.into_iter().map(|entry| (peer, entry)).collect())
    }

    fn ingest_all(&mut self, work: &mut Work<'_>, entries: Vec<(Peer, Verified)>) -> usize {
        let mut accepted = 0;
        let mut todo = entries;
        todo.reverse();
        while let Some((peer, entry)) = todo.pop() {
            let id = entry.id();
            match self.consider(work, peer, &entry) {
                Considered::Accepted => {
                    accepted += 1;
                    todo.extend(self.log.arrived(work, Need::Parent(id)));
                }
                Considered::Refused(reason) => {
                    work.now(Effect::Report(Report::Refused { entry: id, reason }));
                    self.log.forget_waiting(work, &id);
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
            Ok(Admission::Ready(_)) => {
                let lacking = self.lacking_above(entry);
                if !lacking.is_empty() {
                    return self.wait(work, peer, entry, lacking.into_iter().map(Need::Op).collect());
                }
                match self.take(work, entry) {
                    Ok(()) => Considered::Accepted,
                    Err(reason) => Considered::Refused(reason),
                }
            }
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
        let op = Op::decode(entry).map_err(|e| e.to_string())?;
        let applied = match &mut self.governance {
            None => {
                self.governance = Some(Arc::new(above::begin(entry, self.above.as_ref())?));
                Applied::default()
            }
            Some(governance) => Arc::make_mut(governance).apply(entry).map_err(|e| e.to_string())?,
        };
        let inserted = self.log.insert(work, entry, admission).ok_or("the op could not be inserted")?;
        if inserted.is_branch {
            let author = entry.header().author;
            work.now(Effect::Report(Report::Equivocation { entry: entry.id(), author }));
        }
        self.book.note(&op, entry.id());
        self.unwrap_keys(work, &op, entry.id());
        self.notify(work, &applied.changes);
        self.news.ops.push(entry.id());
        self.news.rejudge |= applied.rejudge;
        self.news.changes.extend(applied.changes);
        Ok(())
    }

    /// Tells of what the fold changed, on whichever node that was decided.
    fn notify(&self, work: &mut Work<'_>, changes: &[Change]) {
        for change in changes {
            if let Some(flow) = trail(change) {
                work.now(flow.into());
            }
            match change {
                Change::MemberJoined { member, .. } => {
                    work.after(Effect::Emit(Notice::MemberAdded { group: self.id, member: *member }));
                }
                Change::MemberLeft { member } => {
                    work.after(Effect::Emit(Notice::MemberRemoved { group: self.id, member: *member }));
                }
                Change::ContextAdded { context, .. } => {
                    work.after(Effect::Emit(Notice::ContextAdded { group: self.id, context: *context }));
                }
                _ => {}
            }
        }
    }

    /// The action that binds `identity` to us in `context`.
    pub(crate) fn join_context(&self, context: ContextRef, nonce: &[u8; 32], identity: &SigningKey) -> Action {
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

/// The step of a flow that a change of the fold is, on every node that folds it.
fn trail(change: &Change) -> Option<Report> {
    match change {
        Change::MemberJoined { member, .. } => Some(Flow::here("f03", "member listed", *member)),
        Change::MemberChanged { member } => Some(Flow::here("f17", "member changed", *member)),
        Change::MemberLeft { member } => Some(Flow::here("f18", "member gone", *member)),
        Change::IdentityRemoved { identity, .. } => Some(Flow::here("f18", "identity ended", *identity)),
        Change::ContextAdded { context } => Some(Flow::here("f01", "context listed", *context)),
        _ => None,
    }
}

/// What a person is told who may not do something, or asks for what cannot be.
fn refusal(why: &Rejected) -> CommandError {
    match why {
        Rejected::Denied(_) | Rejected::OwnerCannotLeave | Rejected::OwnerNotGranted | Rejected::GroupDeleted => {
            CommandError::Denied(why.to_string())
        }
        Rejected::NoChange(member) => CommandError::NoChange(*member),
        _ => CommandError::Invalid(why.to_string()),
    }
}

/// The keys of a group that are held, and the domain of each.
fn held_keys(view: &View, group: &GroupId) -> (BTreeMap<KeyId, EpochKey>, BTreeMap<KeyId, Domain>) {
    let pairs = view.scan(Keyspace::Meta, &layout::epoch_keys(group), None, usize::MAX);
    pairs
        .iter()
        .filter_map(|(_, bytes)| layout::read_epoch_key(bytes))
        .map(|(key, of)| ((key.id(), key.clone()), (key.id(), of)))
        .unzip()
}

/// To whom keys of a group were sent.
fn sent_keys(view: &View, group: &GroupId) -> BTreeSet<(KeyId, PublicKey)> {
    let prefix = layout::shared_keys(group);
    let read = |key: &[u8]| {
        let (id, member) = key.get(prefix.len()..)?.split_first_chunk::<32>()?;
        Some((KeyId::from_bytes(*id), PublicKey::from_bytes(member.try_into().ok()?)))
    };
    view.scan(Keyspace::Meta, &prefix, None, usize::MAX).iter().filter_map(|(key, _)| read(key)).collect()
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
