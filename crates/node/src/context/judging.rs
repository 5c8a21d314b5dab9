//! Judging anew: when governance changes, or what others built on a void delta, its verdict can change, and what it
//! did to the state is undone or done.

use std::sync::Arc;

use mesto_crdt::{ApplyError, Author, Delta, DeltaId, Transaction};
use mesto_oplog::dag::DagRead as _;
use mesto_oplog::placement::{ChainIx, Placement};
use mesto_oplog::{EntryId, Header, PublicKey};

use super::Context;
use super::verdicts::Void;
use crate::delta::{DeltaBody, Payload};
use crate::flight::Work;
use crate::log::LogView;
use crate::step::{Effect, Notice, Report, hlc};
use crate::view::View;

/// A delta of the log that takes part in a rebuild.
pub(super) struct Logged {
    id: EntryId,
    header: Header,
    pub(super) placement: Placement,
    payload: Payload,
}

impl Logged {
    pub(super) fn delta(&self) -> Delta<'_> {
        Delta {
            id: DeltaId(*self.id.as_bytes()),
            author: Author(*self.header.author.as_bytes()),
            stamp: hlc(self.header.stamp),
            ops: &self.payload.ops,
        }
    }

    /// Whether a delta is in the causal past of this one, void or not.
    pub(super) fn is_past(&self, read: &LogView<'_>, id: &DeltaId) -> bool {
        read.placement(&EntryId::from_bytes(id.0)).is_some_and(|of| self.placement.past.covers(&of))
    }
}

impl Context {
    /// Governance has changed in a way that verdicts may rest on.
    pub(crate) fn rejudge(&mut self, work: &mut Work<'_>) {
        if self.log.dag.count() == 0 {
            return;
        }
        let state = self.state(work);
        let mut tree = std::mem::take(&mut self.tree);
        let mut transaction = Transaction::new(&state, &mut tree);
        let outcome = match self.settle(work, &mut transaction) {
            Ok(false) => Ok(None),
            Ok(true) => transaction.finish().map(Some),
            Err(error) => Err(error),
        };
        self.tree = tree;
        match outcome {
            Ok(None) => {}
            Ok(Some(commit)) => {
                self.install(work, commit, &[]);
                work.after(Effect::Emit(Notice::SyncStatus { context: self.id, group: self.group, root: self.root.0 }));
            }
            Err(error) => work.now(Effect::Halt(format!("context {}: {error}", self.id))),
        }
    }

    /// Finds which deltas are void now and brings the state to where it would be if just the others had ever been
    /// applied, or begins to: see [`super::rebuilding`]. Whether the transaction changed.
    pub(super) fn settle(
        &mut self,
        work: &mut Work<'_>,
        transaction: &mut Transaction<'_>,
    ) -> Result<bool, ApplyError> {
        let Some((void, voided, restored)) = self.verdicts_now(work) else { return Ok(false) };
        if voided.is_empty() && restored.is_empty() {
            self.rebuild = None;
            return Ok(false);
        }
        let is_made = self.rebuild_by(&work.view, transaction, voided.clone(), restored.clone())?;
        if is_made {
            self.replace_verdicts(work, void, &voided, &restored);
        }
        Ok(is_made)
    }

    /// Which deltas are void now, and which of them are not so by the verdicts that the state shows, and the other way round.
    pub(super) fn verdicts_now(&mut self, work: &Work<'_>) -> Option<(Void, Void, Void)> {
        let view = self.governance.as_mut()?;
        let read = self.log.read(&work.view);
        let void = self.verdicts.settle(Arc::make_mut(&mut view.governance), self.id, &self.log.dag, &read);
        let (voided, restored) = self.verdicts.changed(&void);
        Some((void, voided, restored))
    }

    /// The state shows other verdicts from this batch on.
    pub(super) fn replace_verdicts(&mut self, work: &mut Work<'_>, void: Void, voided: &Void, restored: &Void) {
        self.verdicts.replace(work, self.log.number(), void);
        let count = |runs: &Void| runs.iter().map(|((_, first), last)| last - first + 1).sum();
        work.now(Report::Judged { context: self.id, voided: count(voided), restored: count(restored) }.into());
    }

    /// A delta of the log, opened. What is in the log was opened before, so its key is here.
    pub(super) fn logged(&self, read: &LogView<'_>, id: &EntryId) -> Option<Logged> {
        let entry = read.entry(id)?;
        let body = DeltaBody::decode(entry.body()).ok()?;
        let key = self.governance.as_ref()?.keys.get(&body.key)?;
        let payload = body.open(entry.header(), key).ok()?;
        Some(Logged { id: *id, header: entry.header().clone(), placement: read.placement(id)?, payload })
    }

    /// The last delta that counts of each chain whose author `of` accepts.
    pub(crate) fn last_accepted(&self, view: &View, of: impl Fn(&PublicKey) -> bool) -> Vec<EntryId> {
        let read = self.log.read(view);
        let mut last = Vec::new();
        for (ix, chain) in (0u32..).zip(self.log.dag.chains()) {
            let ix = ChainIx(ix);
            if !of(&chain.author) {
                continue;
            }
            match self.last_that_counts(ix, chain.first_seq(), chain.tip.seq) {
                0 => {}
                seq if seq == chain.tip.seq => last.push(chain.tip.id),
                seq => last.extend(read.chain_entries(ix, seq, 1).first().map(|entry| entry.id)),
            }
        }
        last
    }

    /// The last `seq` of a chain that counts by the newest verdicts, from `tip` down; 0 if none does.
    fn last_that_counts(&self, chain: ChainIx, first: u64, tip: u64) -> u64 {
        if !self.is_rebuilding() {
            return self.verdicts.last_accepted(chain, first, tip);
        }
        let counts = |seq: &u64| !self.is_void_now(chain, *seq);
        (first..=tip).rev().find(counts).unwrap_or(0)
    }
}
