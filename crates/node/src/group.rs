//! The machine of one group: its log, the fold over it, and its keys.

mod above;
mod authoring;
mod ingest;
pub(crate) mod keys;

pub(crate) use above::Above;
pub(crate) use authoring::genesis_header;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesto_governance::keys::{EpochKey, SealingKey};
use mesto_governance::{Change, ContextId, Governance, GroupId, GroupState, KeyId, Op};
use mesto_oplog::entry::Kind;
use mesto_oplog::{EntryId, PublicKey, SigningKey};
use mesto_sync::Summary;

use crate::flight::{Flight, Work};
use crate::layout::{self, LogNumber};
use crate::log::Log;
use crate::record::GroupRecord;
use crate::store::Keyspace;
use crate::view::View;
use keys::{Domain, KeyBook, Usable};

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

    /// The op that bound an identity, if the fold shows it.
    pub(crate) fn has_identity(&self, context: &ContextId, identity: &PublicKey) -> bool {
        self.state().and_then(|state| state.context(context)).is_some_and(|row| row.member_of(identity).is_some())
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
