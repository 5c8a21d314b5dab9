//! Taking deltas in: one function for our own and for those of others, whatever way they came.

use std::sync::Arc;

use mesto_crdt::{ApplyError, Author, Commit, Delta, DeltaId, Transaction};
use mesto_governance::verdict::{Authorship, Warrant};
use mesto_oplog::dag::{Admission, DagRead};
use mesto_oplog::{EntryId, Verified};
use mesto_sync::Peer;

use super::Context;
use crate::command::CommandError;
use crate::delta::{DeltaBody, Payload};
use crate::flight::Work;
use crate::flow::Flow;
use crate::log::{FUTURE_MS_MAX, Need};
use crate::state::place_of;
use crate::step::{Effect, Notice, Report, hlc};

impl Context {
    /// Takes entries that came from `peer`, in any order. Returns how many were accepted.
    pub(crate) fn ingest(&mut self, work: &mut Work<'_>, entries: Vec<(Peer, Verified)>) -> usize {
        let state = self.state(work);
        let mut tree = std::mem::take(&mut self.tree);
        let mut transaction = Transaction::new(&state, &mut tree);
        let mut applied = Vec::new();
        let mut taken = 0;
        let mut todo: Vec<(Peer, Verified)> = entries;
        todo.reverse();
        while let Some((peer, entry)) = todo.pop() {
            let id = entry.id();
            match self.consider(work, &mut transaction, peer, &entry) {
                Ok(Some(payload)) => {
                    taken += 1;
                    applied.extend(payload.map(|payload| (entry, payload)));
                    todo.extend(self.log.arrived(work, Need::Parent(id)));
                }
                Ok(None) => {}
                Err(Refused::Entry(reason)) => self.drop_refused(work, id, reason),
                Err(Refused::Store(reason)) => {
                    work.now(Effect::Halt(reason));
                    return 0;
                }
            }
        }
        if taken > 0 {
            work.now(Flow::here("f09", "deltas applied", self.id).into());
            // Others may have built on what was void, or a delta came that a revocation keeps.
            let settled = if self.verdicts.has_void() { self.settle(work, &mut transaction).map(drop) } else { Ok(()) };
            match settled.and_then(|()| transaction.finish()) {
                Ok(commit) => self.install(work, commit, &applied),
                Err(error) => work.now(Effect::Halt(format!("context {}: {error}", self.id))),
            }
        }
        self.tree = tree;
        taken
    }

    /// Judges again what was set aside, as if it came now from `peer`.
    pub(crate) fn readmit(&mut self, work: &mut Work<'_>, peer: Peer) {
        let waiting = self.log.take_waiting(work);
        self.ingest(work, waiting.into_iter().map(|entry| (peer, entry)).collect());
    }

    /// Takes a delta that we just signed.
    pub(super) fn take_own(
        &mut self,
        work: &mut Work<'_>,
        entry: &Verified,
        heads: &[EntryId],
        payload: Payload,
    ) -> Result<(), CommandError> {
        let state = self.state(work);
        let mut tree = std::mem::take(&mut self.tree);
        let mut transaction = Transaction::new(&state, &mut tree);
        let admission = self.log.check(work, entry).map_err(|e| Refused::Entry(e.to_string()));
        let result = admission
            .and_then(|admission| self.apply(work, &mut transaction, entry, admission, heads, &payload, false));
        let result = result.and_then(|()| match self.verdicts.has_void() {
            true => self.settle(work, &mut transaction).map(drop).map_err(Refused::from),
            false => Ok(()),
        });
        let result = result.and_then(|()| transaction.finish().map_err(Refused::from));
        self.tree = tree;
        match result {
            Ok(commit) => {
                self.install(work, commit, &[(entry.clone(), payload)]);
                Ok(())
            }
            Err(Refused::Entry(reason)) => Err(CommandError::Invalid(reason)),
            Err(Refused::Store(reason)) => {
                work.now(Effect::Halt(reason.clone()));
                Err(CommandError::Invalid(reason))
            }
        }
    }

    /// Judges one entry, and takes it in if all that it needs is here: `None` if it waits or is known, `Some(None)`
    /// if it is void.
    fn consider(
        &mut self,
        work: &mut Work<'_>,
        transaction: &mut Transaction<'_>,
        peer: Peer,
        entry: &Verified,
    ) -> Result<Option<Option<Payload>>, Refused> {
        let refuse = |reason: &dyn std::fmt::Display| Refused::Entry(reason.to_string());
        let stamp = entry.header().stamp.millis();
        if stamp > work.time.wall_ms.saturating_add(FUTURE_MS_MAX) {
            self.wait(work, peer, entry, vec![Need::Clock(stamp - FUTURE_MS_MAX)]);
            return Ok(None);
        }
        let admission = match self.log.check(work, entry).map_err(|e| refuse(&e))? {
            Admission::Duplicate => return Ok(None),
            Admission::Missing(parents) => {
                self.wait(work, peer, entry, parents.into_iter().map(Need::Parent).collect());
                return Ok(None);
            }
            ready @ Admission::Ready(_) => ready,
        };
        let body = DeltaBody::decode(entry.body()).map_err(|e| refuse(&e))?;
        let needs = self.lacking(&body);
        if !needs.is_empty() {
            self.wait(work, peer, entry, needs);
            return Ok(None);
        }
        let is_void = self.is_contested(work, entry, &body)?;
        let key = self.governance.as_ref().and_then(|view| view.keys.get(&body.key));
        let key = key.ok_or_else(|| refuse(&"its key is not here"))?;
        let payload = body.open(entry.header(), key).map_err(|e| refuse(&e))?;
        self.apply(work, transaction, entry, admission, &body.governance, &payload, is_void)?;
        Ok(Some((!is_void).then_some(payload)))
    }

    /// The governance ops and the key that a delta names and we lack. A key of another domain than the context was of for
    /// the author is as good as none: only some of the readers have it, and they must not go on without the others.
    fn lacking(&mut self, body: &DeltaBody) -> Vec<Need> {
        let Some(view) = self.governance.as_mut() else {
            return body.governance.iter().copied().map(Need::Op).collect();
        };
        let ops = body.governance.iter().filter(|op| !view.governance.knows(op)).copied();
        let mut needs: Vec<Need> = ops.map(Need::Op).collect();
        let domain = if view.frontier == body.governance {
            view.governance.domain_of(&self.id)
        } else {
            Arc::make_mut(&mut view.governance).domain_at(&body.governance, &self.id)
        };
        let is_held = view.keys.contains_key(&body.key)
            && domain.is_none_or(|domain| view.domains.get(&body.key) == Some(&domain));
        needs.extend((!is_held).then_some(Need::Key(body.key)));
        needs
    }

    /// Refuses an author that could not write here as far as the governance that the delta names tells: a function
    /// of the delta and of its past, never of when or how it came. Tells whether the right was ended beside the
    /// delta: then it is void until something keeps it.
    fn is_contested(&mut self, work: &Work<'_>, entry: &Verified, body: &DeltaBody) -> Result<bool, Refused> {
        let refuse = |reason: &dyn std::fmt::Display| Refused::Entry(reason.to_string());
        let view = self.governance.as_mut().ok_or_else(|| refuse(&"the group is not known"))?;
        let author = entry.header().author;
        let parents = &entry.header().parents;
        if parents.is_empty() {
            // As it was when it was begun: the creator may be gone since.
            let then = Arc::make_mut(&mut view.governance).state_at(&body.governance);
            let row = then.as_ref().and_then(|then| then.context(&self.id));
            if row.is_none_or(|row| row.member_of(&author) != Some(row.creator)) {
                return Err(refuse(&"only the creator of a context begins its log"));
            }
        }
        if view.frontier == body.governance {
            // The newest ops have everything in their past that any parent can have named.
            return view.governance.state().may_write(self.id, &author).map(|_| false).map_err(|e| refuse(&e));
        }
        let read = self.log.read(&work.view);
        let of_parents = parents
            .iter()
            .filter_map(|parent| read.entry(parent))
            .map(|parent| DeltaBody::decode(parent.body()).map(|body| body.governance))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| refuse(&e))?;
        let parents_governance: Vec<&[EntryId]> = of_parents.iter().map(Vec::as_slice).collect();
        let warrant = Arc::make_mut(&mut view.governance).warrant(&Authorship {
            context: self.id,
            identity: author,
            governance: &body.governance,
            parents_governance: &parents_governance,
        });
        match warrant {
            Warrant::Valid { .. } => Ok(false),
            // Nothing that is here can have been built on it yet, so only being named keeps it.
            Warrant::Contested { kept, .. } => Ok(!kept.contains(&entry.id())),
            Warrant::Refused(why) => Err(refuse(&why)),
            Warrant::Unknown { missing } => Err(refuse(&format!("{} governance ops are missing", missing.len()))),
        }
    }

    /// Inserts a delta, which was just found to fit, into the log and, unless it is void, its operations into the
    /// transaction.
    #[expect(clippy::too_many_arguments, reason = "what one delta is: its entry, where it fits, and what it says")]
    fn apply(
        &mut self,
        work: &mut Work<'_>,
        transaction: &mut Transaction<'_>,
        entry: &Verified,
        admission: Admission,
        heads: &[EntryId],
        payload: &Payload,
        is_void: bool,
    ) -> Result<(), Refused> {
        let Admission::Ready(ready) = &admission else {
            return Err(Refused::Entry("the delta does not fit the log any more".to_owned()));
        };
        let placement = ready.placement().clone();
        let delta = Delta {
            id: DeltaId(*entry.id().as_bytes()),
            author: Author(*entry.header().author.as_bytes()),
            stamp: hlc(entry.header().stamp),
            ops: &payload.ops,
        };
        // On top of all heads everything that is held is in the past, so nothing needs to be looked up.
        let is_on_top = self.log.heads() == entry.header().parents;
        let read = self.log.read(&work.view);
        let in_past = |id: &DeltaId| {
            is_on_top || read.placement(&EntryId::from_bytes(id.0)).is_some_and(|of| placement.past.covers(&of))
        };
        // What is malformed is refused whatever the verdict is, so that all logs stay the same.
        if is_void {
            transaction.apply_void(&delta, &in_past)?;
        } else {
            transaction.apply(&delta, &in_past)?;
        }
        let inserted = self
            .log
            .insert(work, entry, admission)
            .ok_or_else(|| Refused::Entry("the delta could not be inserted".to_owned()))?;
        self.verdicts.note(work, self.log.number(), &inserted.placement, heads);
        if is_void {
            self.verdicts.set_void(work, self.log.number(), &inserted.placement);
            work.now(Report::Judged { context: self.id, voided: 1, restored: 0 }.into());
        }
        if inserted.is_branch {
            let author = entry.header().author;
            work.now(Effect::Report(Report::Equivocation { entry: entry.id(), author }));
        }
        Ok(())
    }

    /// Writes the new state, and tells subscribers once it is durable.
    pub(super) fn install(&mut self, work: &mut Work<'_>, commit: Commit, applied: &[(Verified, Payload)]) {
        for write in commit.writes {
            let (keyspace, key) = place_of(self.log.number(), write.space, &write.key);
            match write.value {
                Some(value) => work.put(keyspace, key, value),
                None => work.remove(keyspace, key),
            }
        }
        self.log.save(work);
        self.advance(work, commit.root, commit.sequences, applied);
        self.is_warm = true;
        self.leaves = commit.leaves;
        // Nobody here is told any more of a context that we left.
        for (entry, payload) in applied.iter().filter(|_| !self.is_left) {
            work.after(Effect::Emit(Notice::StateMutation {
                context: self.id,
                group: self.group,
                delta: entry.id(),
                author: entry.header().author,
                root: self.root.0,
                events: payload.events.clone(),
            }));
        }
    }

    fn wait(&mut self, work: &mut Work<'_>, peer: Peer, entry: &Verified, needs: Vec<Need>) {
        let count = self.log.park(work, peer, entry.clone(), needs);
        if count > 0 {
            work.now(Effect::Report(Report::Shed { bound: "entries waiting in a log", count }));
        }
    }

    /// Nothing that builds on a refused entry can ever be accepted.
    fn drop_refused(&mut self, work: &mut Work<'_>, id: EntryId, reason: String) {
        work.now(Effect::Report(Report::Refused { entry: id, reason }));
        self.log.forget_waiting(work, &id);
        let mut gone = vec![id];
        while let Some(id) = gone.pop() {
            gone.extend(self.log.abandon(work, Need::Parent(id)).iter().map(|(_, entry)| entry.id()));
        }
    }
}

/// Why a delta was not applied.
#[derive(Debug)]
enum Refused {
    /// It breaks a rule: refused for good.
    Entry(String),
    /// The store is not what we wrote.
    Store(String),
}

impl From<ApplyError> for Refused {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Malformed { .. } => Self::Entry(error.to_string()),
            _ => Self::Store(error.to_string()),
        }
    }
}
