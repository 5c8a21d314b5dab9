//! The machine of one context: its log, its state, and the calls of its app.

mod calls;
mod ephemeral;
mod ingest;
mod judging;
mod rebuilding;
mod verdicts;
mod versions;

use std::collections::VecDeque;

use mesto_crdt::{RootHash, Sequences, TreeCache};
use mesto_governance::{BlobId, ContextId, GroupId};
use mesto_oplog::entry::Kind;
use mesto_oplog::{PublicKey, SigningKey};
use mesto_sync::Summary;

use crate::command::CommandError;
use crate::flight::{Flight, Work};
use crate::group::GroupView;
use crate::layout::{self, LogNumber};
use crate::log::Log;
use crate::record::ContextRecord;
use crate::state::ContextState;
use crate::step::{Effect, Ticket};
use crate::store::Keyspace;
use crate::view::View;

pub(crate) use calls::Running;
pub(crate) use ephemeral::Heard;

/// Calls that may wait in one context: some seconds of work, after which callers had better slow down.
pub const CALLS_WAITING_MAX: usize = 1024;

/// After so many idle rounds of about 10 s in a row texts and lists are given up: people who read what others write pause
/// for minutes, and the next keystroke in a long text should not load it anew.
const TEXTS_IDLE_ROUNDS: u32 = 60;

/// The machine.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) id: ContextId,
    pub(crate) group: GroupId,
    pub(crate) flight: Flight,
    pub(crate) log: Log,
    pub(crate) record: ContextRecord,
    /// Whether we left: then it is served until somebody else has what is here.
    pub(crate) is_left: bool,
    /// Whether we were out of it when the group was last looked at, by the group or by the allowlist.
    pub(crate) is_shut_out: bool,
    pub(crate) identity: SigningKey,
    pub(crate) root: RootHash,
    pub(crate) leaves: u64,
    tree: TreeCache,
    /// The texts and lists of the newest version that are in memory.
    sequences: Sequences,
    /// The version that a view loads.
    reading: Option<versions::Pinned>,
    pub(crate) verdicts: verdicts::Verdicts,
    /// What is on its way to make the state follow other verdicts.
    rebuild: Option<rebuilding::Rebuild>,
    /// The heads of the group's log at which an epoch was asked for.
    epoch_asked_at: Option<Vec<mesto_oplog::EntryId>>,
    /// Whether a call waits for an epoch to write under.
    pub(crate) wants_epoch: bool,
    /// What the group says; absent until its genesis is here.
    pub(crate) governance: Option<GroupView>,
    /// The installed bundle that the context runs; absent until it is here.
    pub(crate) bundle: Option<BlobId>,
    calls: VecDeque<WaitingCall>,
    pub(crate) running: Option<Running>,
    /// Who waits for the first delta of a context that was just created.
    pub(crate) created: Option<Ticket>,
    executions: u64,
    /// Whether anything was applied since the last look.
    is_warm: bool,
    /// How often it was found idle in a row.
    idle_rounds: u32,
    /// Who said when what leaves no trace.
    said: ephemeral::Said,
}

/// A call that waits for its turn.
#[derive(Debug)]
pub(crate) struct WaitingCall {
    pub(crate) ticket: Option<Ticket>,
    pub(crate) method: String,
    pub(crate) args: Vec<u8>,
    pub(crate) is_init: bool,
}

impl Context {
    /// Reads the context back from the store.
    pub(crate) fn open(view: &View, id: ContextId, number: LogNumber, record: ContextRecord) -> Result<Self, String> {
        let log = Log::open(view, id.log(), number, Kind::Delta)?;
        let state = ContextState::new(view.clone(), number);
        let root = mesto_crdt::root(&state).map_err(|e| e.to_string())?;
        let leaves = mesto_crdt::tree::leaf_count(&state).map_err(|e| e.to_string())?;
        let mut context = Self::new(id, number, record);
        context.verdicts = verdicts::Verdicts::open(view, &id, number)?;
        context.log = log;
        context.root = root;
        context.leaves = leaves;
        Ok(context)
    }

    /// A context that we begin or join: nothing of its log is here.
    pub(crate) fn new(id: ContextId, number: LogNumber, record: ContextRecord) -> Self {
        Self {
            id,
            group: GroupId::from_bytes(record.group),
            flight: Flight::default(),
            log: Log::empty(id.log(), number, Kind::Delta),
            identity: SigningKey::from_seed(&record.identity_seed),
            record,
            is_left: false,
            is_shut_out: false,
            root: RootHash::empty(),
            leaves: 0,
            tree: TreeCache::new(),
            sequences: Sequences::new(),
            reading: None,
            verdicts: verdicts::Verdicts::default(),
            rebuild: None,
            epoch_asked_at: None,
            wants_epoch: false,
            governance: None,
            bundle: None,
            calls: VecDeque::new(),
            running: None,
            created: None,
            executions: 0,
            is_warm: false,
            idle_rounds: 0,
            said: ephemeral::Said::default(),
        }
    }

    /// We leave: nobody calls it any more.
    pub(crate) fn leave(&mut self, work: &mut Work<'_>) {
        self.abandon_calls(work);
        self.is_left = true;
        self.record.init = None;
        self.save_record(work);
    }

    /// We left, and somebody else has what is here.
    pub(crate) fn rest(&mut self) {
        self.rebuild = None;
        self.governance = None;
        self.tree.clear();
    }

    /// We join again, under another identity; what was here is here.
    pub(crate) fn rejoin(&mut self, record: ContextRecord) {
        self.identity = SigningKey::from_seed(&record.identity_seed);
        let caught_up = self.log.dag.count() > 0 && self.record.caught_up;
        self.is_left = false;
        self.record = record;
        self.record.caught_up = caught_up;
        self.epoch_asked_at = None;
    }

    /// Writes our part in the context: among those that we are in, or those that we left.
    pub(crate) fn save_record(&self, work: &mut Work<'_>) {
        let (here, not_here) = match self.is_left {
            false => (layout::context(&self.id), layout::left(&self.id)),
            true => (layout::left(&self.id), layout::context(&self.id)),
        };
        if let Ok(bytes) = borsh::to_vec(&self.record) {
            work.put(Keyspace::Meta, here, bytes);
            work.remove(Keyspace::Meta, not_here);
        }
        self.log.save_number(work);
    }

    pub(crate) fn summary(&self) -> Summary {
        // A state that is behind the verdicts is of no governance that others could compare theirs with.
        let governance = self.governance.as_ref().filter(|_| !self.is_rebuilding());
        Summary {
            log: self.id.log(),
            heads: self.log.heads(),
            count: self.log.dag.count(),
            digest: self.root.0,
            governance: governance.map(|view| view.frontier.clone()).unwrap_or_default(),
        }
        .within_bounds()
    }

    /// Gives up what is cached of a context in which nothing has happened since the last call, so that idle contexts
    /// cost little; its texts and lists only after [`TEXTS_IDLE_ROUNDS`]. Whether it gave these up.
    pub(crate) fn cool_down(&mut self) -> bool {
        if std::mem::take(&mut self.is_warm) {
            self.idle_rounds = 0;
            return false;
        }
        self.idle_rounds = self.idle_rounds.saturating_add(1);
        self.tree.clear();
        let is_cold = self.idle_rounds >= TEXTS_IDLE_ROUNDS;
        if is_cold {
            self.sequences = Sequences::new();
        }
        is_cold
    }

    /// Whether we may write here, as the group stands now.
    fn right_to_write(&self) -> Result<(), mesto_governance::Denied> {
        let us = self.identity.public();
        let denied = mesto_governance::Denied::NotJoined { context: self.id, identity: us };
        self.governance.as_ref().ok_or(denied)?.governance.state().may_write(self.id, &us).map(|_| ())
    }

    /// Whether `identity` may write here, as the group stands now.
    pub(crate) fn may_write(&self, identity: &PublicKey) -> Result<(), String> {
        let view = self.governance.as_ref().ok_or("the group's log is not here yet")?;
        view.governance.state().may_write(self.id, identity).map(|_| ()).map_err(|denied| denied.to_string())
    }

    /// Deltas that count.
    pub(crate) fn accepted(&self) -> u64 {
        self.log.dag.count().saturating_sub(self.verdicts.count())
    }

    /// Answers with an error; nothing was changed.
    fn refuse(work: &mut Work<'_>, ticket: Option<Ticket>, error: CommandError) {
        if let Some(ticket) = ticket {
            work.after(Effect::Reply(ticket, Box::new(Err(error))));
        }
    }
}
