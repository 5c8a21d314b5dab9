//! Calls that change the state: one at a time, each over the version that the one before it made.
//!
//! A call is pinned to the version at which it starts: its delta names the heads of that version as parents, so
//! what the app had seen and what the delta says it had seen are the same. Deltas of others that arrive while
//! it runs are concurrent with it.

use mesto_crdt::{Write, encode_ops};
use mesto_governance::Denied;
use mesto_oplog::dag::{AuthorError, Next};
use mesto_oplog::entry::{DELTA_BODY_LEN_MAX, Draft};
use mesto_oplog::{EntryId, Header, Incarnation, Verified};
use mesto_sync::{Gossip, gossip};

use super::versions::Pinned;
use super::{CALLS_WAITING_MAX, Context, WaitingCall};
use crate::command::{Called, CommandError, Reply};
use crate::delta::{DeltaBody, GOVERNANCE_MAX, Payload};
use crate::executor::{Call, CallError, MethodKind, Outcome};
use crate::flight::Work;
use crate::flow::Flow;
use crate::group::GroupView;
use crate::state::place_of;
use crate::step::{Effect, Report, hlc};

/// A call that is being executed.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) execution: u64,
    call: WaitingCall,
    header: Header,
    /// Heads of the group's log when it started.
    governance: Vec<EntryId>,
    pub(super) pinned: Pinned,
}

impl Context {
    /// Puts a call in the queue.
    pub(crate) fn enqueue(&mut self, work: &mut Work<'_>, call: WaitingCall) {
        if self.calls.len() >= CALLS_WAITING_MAX {
            let waiting = self.calls.len();
            return Self::refuse(work, call.ticket, CommandError::Busy { waiting });
        }
        if self.log.dag.count() == 0 && !call.is_init && self.record.init.is_none() {
            return Self::refuse(work, call.ticket, CommandError::NotReady(self.id));
        }
        self.calls.push_back(call);
    }

    /// There is no key to write under, and we can start no epoch: whoever calls is told why. What makes the first state
    /// stays. The next call asks again.
    pub(crate) fn refuse_calls(&mut self, work: &mut Work<'_>, error: &CommandError) {
        if !self.lacks_key() {
            return;
        }
        self.epoch_asked_at = None;
        for call in std::mem::take(&mut self.calls) {
            if call.is_init {
                self.calls.push_back(call);
            } else {
                Self::refuse(work, call.ticket, error.clone());
            }
        }
    }

    /// Nobody is to wait for an answer any more: we leave.
    pub(super) fn abandon_calls(&mut self, work: &mut Work<'_>) {
        let running = self.running.take().map(|running| running.call);
        let tickets = running.into_iter().chain(std::mem::take(&mut self.calls)).filter_map(|call| call.ticket);
        for ticket in tickets.chain(self.created.take()).collect::<Vec<_>>() {
            Self::refuse(work, Some(ticket), CommandError::NotJoined(self.id));
        }
    }

    /// Makes the first state, if that is ours to do and not under way: after a restart, and when it failed before and
    /// somebody asks for the context again.
    pub(crate) fn resume_init(&mut self, work: &mut Work<'_>) {
        if self.running.is_none()
            && self.calls.iter().all(|call| !call.is_init)
            && let Some(args) = self.record.init.clone()
        {
            self.calls.push_front(WaitingCall { ticket: None, method: String::new(), args, is_init: true });
            self.pump(work);
        }
    }

    /// Starts the next call if none runs and all that it needs is here.
    pub(crate) fn pump(&mut self, work: &mut Work<'_>) {
        while self.running.is_none() {
            let (Some(bundle), Some(view)) = (self.bundle, self.governance.clone()) else { return };
            let may_begin = self.log.dag.count() > 0 || self.calls.front().is_some_and(|call| call.is_init);
            // A delta names all heads of the group's log; when they are too many a member is about to merge them.
            if !may_begin || view.frontier.len() > GOVERNANCE_MAX {
                return;
            }
            if self.calls.is_empty() || self.waits_for_key() {
                return;
            }
            let Some(call) = self.calls.pop_front() else { return };
            let header = match self.next_header(work, &view) {
                Ok(header) => header,
                Err(error) => {
                    Self::refuse(work, call.ticket, error);
                    continue;
                }
            };
            self.executions += 1;
            let seed = work.entropy.bytes();
            let state = self.state(work);
            work.now(Effect::Execute {
                execution: self.executions,
                call: Call {
                    context: self.id,
                    bundle,
                    method: call.method.clone(),
                    args: call.args.clone(),
                    kind: if call.is_init { MethodKind::Init } else { MethodKind::Mutate },
                    caller: self.identity.public(),
                    stamp: hlc(header.stamp),
                    seed,
                },
                state: state.clone(),
            });
            let pinned = Pinned::at(state);
            self.running =
                Some(Running { execution: self.executions, call, header, governance: view.frontier, pinned });
        }
    }

    /// Whether a writer has no key to write under. Then the group is asked for one: it starts an epoch, or gets the
    /// key of the one that there is, and the calls go on.
    fn waits_for_key(&mut self) -> bool {
        let Some(view) = self.governance.as_ref().filter(|_| self.lacks_key()) else {
            self.epoch_asked_at = None;
            return false;
        };
        if self.epoch_asked_at.as_ref() != Some(&view.frontier) {
            self.epoch_asked_at = Some(view.frontier.clone());
            self.wants_epoch = true;
        }
        true
    }

    /// Whether we may write here, and the key to write under is not held.
    fn lacks_key(&self) -> bool {
        let Some(view) = &self.governance else { return false };
        let is_held = view.epoch_for(&self.id).is_some_and(|key| view.keys.contains_key(&key));
        !is_held && self.may_write(&self.identity.public()).is_ok()
    }

    /// The header on top of all heads; more heads than an entry can name are merged first.
    fn next_header(&mut self, work: &mut Work<'_>, view: &GroupView) -> Result<Header, CommandError> {
        loop {
            let read = self.log.read(&work.view);
            let life = self.record.incarnation;
            match self.log.dag.next_header(&read, self.identity.public(), life, work.time.wall_ms) {
                Ok(Next::Entry(header)) => return Ok(header),
                // Who may only read calls as well, and commits nothing: not this either.
                Ok(Next::MergeFirst(header)) if self.may_write(&self.identity.public()).is_err() => return Ok(header),
                Ok(Next::MergeFirst(header)) => {
                    let bundle = self.bundle.unwrap_or_default();
                    let payload = Payload { bundle, ops: Vec::new(), events: Vec::new() };
                    self.commit(work, view, header, payload)?;
                }
                // This home was copied, or put back from a copy, and both went on: here another life begins.
                Err(AuthorError::Branched(_)) => {
                    self.record.incarnation = Incarnation(work.entropy.number());
                    self.save_record(work);
                }
                Err(error) => return Err(CommandError::Invalid(error.to_string())),
            }
        }
    }

    /// A call has ended.
    pub(crate) fn executed(&mut self, work: &mut Work<'_>, execution: u64, result: Result<Outcome, CallError>) {
        let Some(running) = self.running.take_if(|running| running.execution == execution) else { return };
        if result.as_ref().is_ok_and(|outcome| !outcome.ops.is_empty()) && self.waits_for_key() {
            // Somebody lost the right to read while the call ran: it runs again once there is a key to write under.
            self.calls.push_front(running.call);
            return;
        }
        let ticket = running.call.ticket;
        self.take_over(work, &running.pinned);
        let is_init = running.call.is_init;
        let created = if is_init { self.created.take() } else { None };
        let concluded = result.map_err(CommandError::Call).and_then(|outcome| self.conclude(work, running, outcome));
        if let Some(created) = created {
            let reply = Reply::ContextCreated { context: self.id, identity: self.identity.public() };
            let reply = concluded.as_ref().map(|_| reply).map_err(Clone::clone);
            work.after(Effect::Reply(created, Box::new(reply)));
        }
        if is_init && let Err(error) = &concluded {
            // Without a first state no call can begin: nobody is to wait for it.
            for waiting in std::mem::take(&mut self.calls) {
                Self::refuse(work, waiting.ticket, error.clone());
            }
        }
        match concluded {
            Ok(called) => {
                if let Some(ticket) = ticket {
                    work.after(Effect::Reply(ticket, Box::new(Ok(Reply::Called(called)))));
                }
            }
            Err(error) => Self::refuse(work, ticket, error),
        }
        self.pump(work);
    }

    fn conclude(&mut self, work: &mut Work<'_>, running: Running, outcome: Outcome) -> Result<Called, CommandError> {
        let Running { call, header, governance, .. } = running;
        for line in outcome.logs {
            work.now(Effect::Report(Report::AppLog { context: self.id, line }));
        }
        // Who listens is told at once: this changes nothing, so it needs no right but to read.
        for saying in outcome.sayings {
            if let Err(error) = self.say(work, saying) {
                work.now(Effect::Report(Report::AppLog { context: self.id, line: error.to_string() }));
            }
        }
        let is_idle = outcome.ops.is_empty() && outcome.events.is_empty() && !call.is_init;
        // Rights are asked for again: they may have been taken away while the call ran.
        let may_write = match self.right_to_write() {
            Ok(()) => true,
            // Who may only read gets the result, and nothing is kept of it.
            Err(Denied::ReadOnly(_)) => false,
            Err(_) if is_idle => false,
            Err(denied) => return Err(CommandError::Denied(denied.to_string())),
        };
        let (Some(mut view), true, false) = (self.governance.clone(), may_write, is_idle) else {
            let committed = may_write && !outcome.private.is_empty();
            if committed {
                self.keep_private(work, outcome.private);
            }
            let root = self.root.0;
            return Ok(Called { output: outcome.output, committed, delta: None, root, events: outcome.events });
        };
        let payload =
            Payload { bundle: self.bundle.unwrap_or_default(), ops: outcome.ops, events: outcome.events.clone() };
        // More heads than a delta can name came up meanwhile: those that the call started with do as well.
        if view.frontier.len() > GOVERNANCE_MAX {
            view.frontier = governance;
        }
        let delta = self.commit(work, &view, header, payload)?;
        work.now(Flow::here("f02", "method executed", self.id).into());
        work.now(Flow::to_all("f02", "delta published", delta).into());
        self.keep_private(work, outcome.private);
        if call.is_init {
            self.record.init = None;
            self.record.caught_up = true;
            self.save_record(work);
        }
        Ok(Called {
            output: outcome.output,
            committed: true,
            delta: Some(delta),
            root: self.root.0,
            events: outcome.events,
        })
    }

    /// Writes what the app keeps on this node alone, in the call's own batch.
    fn keep_private(&self, work: &mut Work<'_>, writes: Vec<Write>) {
        for write in writes {
            let (keyspace, key) = place_of(self.log.number(), write.space, &write.key);
            match write.value {
                Some(value) => work.put(keyspace, key, value),
                None => work.remove(keyspace, key),
            }
        }
    }

    /// Seals, signs, applies, and publishes once durable.
    fn commit(
        &mut self,
        work: &mut Work<'_>,
        view: &GroupView,
        header: Header,
        payload: Payload,
    ) -> Result<EntryId, CommandError> {
        let epoch = view.epoch_for(&self.id);
        let key = epoch.and_then(|key| view.keys.get(&key)).ok_or(CommandError::KeyMissing(self.group))?;
        let nonce = work.entropy.bytes();
        let body = DeltaBody::seal(&header, view.frontier.clone(), key, nonce, &payload)
            .map_err(|e| CommandError::Invalid(e.to_string()))?;
        if body.len() > DELTA_BODY_LEN_MAX {
            return Err(CommandError::Call(CallError::Limit {
                limit: "delta".to_owned(),
                max: format!("{DELTA_BODY_LEN_MAX} bytes (the changes have {})", encode_ops(&payload.ops).len()),
            }));
        }
        let entry = Draft { header, body }.sign(&self.identity).map_err(|e| CommandError::Invalid(e.to_string()))?;
        self.take_own(work, &entry, &view.frontier, payload)?;
        self.publish(work, &entry);
        Ok(entry.id())
    }

    fn publish(&self, work: &mut Work<'_>, entry: &Verified) {
        let topic = gossip::context_topic(&self.id.log());
        work.after(Effect::Publish(topic, Gossip::Entries(vec![entry.bytes().to_vec()])));
    }
}
