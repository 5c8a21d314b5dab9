//! Ops come in, from others in any order: each waits for what it rests on, is folded, or is refused by itself.

use std::sync::Arc;

use mesto_governance::fold::Applied;
use mesto_governance::{Change, Op};
use mesto_oplog::Verified;
use mesto_oplog::dag::Admission;
use mesto_sync::Peer;

use super::{Group, above};
use crate::flight::Work;
use crate::flow::Flow;
use crate::log::{FUTURE_MS_MAX, Need};
use crate::step::{Effect, Notice, Report};

impl Group {
    /// Takes entries that came from `peer`, in any order. Returns how many were accepted.
    pub(crate) fn ingest(&mut self, work: &mut Work<'_>, peer: Peer, entries: Vec<Verified>) -> usize {
        self.ingest_all(work, entries.into_iter().map(|entry| (peer, entry)).collect())
    }

    pub(super) fn ingest_all(&mut self, work: &mut Work<'_>, entries: Vec<(Peer, Verified)>) -> usize {
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
    pub(super) fn take(&mut self, work: &mut Work<'_>, entry: &Verified) -> Result<(), String> {
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
    pub(super) fn notify(&self, work: &mut Work<'_>, changes: &[Change]) {
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
