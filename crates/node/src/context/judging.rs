//! Judging anew: when governance changes, or what others built on a void delta, its verdict can change, and what it
//! did to the state is undone or done.

use std::collections::BTreeSet;
use std::sync::Arc;

use mesto_crdt::{ApplyError, Author, Delta, DeltaId, Rebuilt, Transaction};
use mesto_oplog::dag::DagRead as _;
use mesto_oplog::placement::Placement;
use mesto_oplog::{EntryId, Header, PublicKey};

use super::Context;
use super::verdicts::Void;
use crate::delta::{DeltaBody, Payload};
use crate::flight::Work;
use crate::log::LogView;
use crate::step::{Effect, Notice, Report, hlc};
use crate::view::View;

/// Entries that are read at once from the log.
const PAGE: usize = 256;

/// A delta of the log that takes part in a rebuild.
struct Logged {
    id: EntryId,
    header: Header,
    placement: Placement,
    payload: Payload,
}

impl Logged {
    fn delta(&self) -> Delta<'_> {
        Delta {
            id: DeltaId(*self.id.as_bytes()),
            author: Author(*self.header.author.as_bytes()),
            stamp: hlc(self.header.stamp),
            ops: &self.payload.ops,
        }
    }

    /// Whether a delta is in the causal past of this one, void or not.
    fn is_past(&self, read: &LogView<'_>, id: &DeltaId) -> bool {
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
    /// applied. Whether anything changed.
    pub(super) fn settle(
        &mut self,
        work: &mut Work<'_>,
        transaction: &mut Transaction<'_>,
    ) -> Result<bool, ApplyError> {
        let Some(view) = self.governance.as_mut() else { return Ok(false) };
        let read = self.log.read(&work.view);
        let void = self.verdicts.settle(Arc::make_mut(&mut view.governance), self.id, &self.log.dag, &read);
        let (voided, restored) = self.verdicts.changed(&void);
        if voided.is_empty() && restored.is_empty() {
            return Ok(false);
        }
        self.verdicts.replace(work, self.log.number(), void);
        let count = |runs: &Void| runs.iter().map(|((_, first), last)| last - first + 1).sum();
        work.now(Report::Judged { context: self.id, voided: count(&voided), restored: count(&restored) }.into());
        let touched = self.leaves_of(&work.view, transaction, voided.iter().chain(&restored))?;
        self.rebuild(&work.view, transaction, &touched)?;
        Ok(true)
    }

    /// The leaves that runs of deltas touch.
    fn leaves_of<'a>(
        &self,
        view: &View,
        transaction: &Transaction<'_>,
        runs: impl Iterator<Item = (&'a (mesto_oplog::placement::ChainIx, u64), &'a u64)>,
    ) -> Result<BTreeSet<Vec<u8>>, ApplyError> {
        let read = self.log.read(view);
        let mut leaves = BTreeSet::new();
        for (&(chain, first), &last) in runs {
            let mut from = first;
            while from <= last {
                let entries = read.chain_entries(chain, from, PAGE);
                let Some(end) = entries.last() else { break };
                from = end.seq + 1;
                for entry in entries.iter().filter(|entry| entry.seq <= last) {
                    if let Some(logged) = self.logged(&read, &entry.id) {
                        leaves.extend(transaction.leaf_keys(&logged.delta(), &|id| logged.is_past(&read, id))?);
                    }
                }
            }
        }
        Ok(leaves)
    }

    /// Makes leaves what the log makes of them, by the verdicts as they are now.
    fn rebuild(
        &self,
        view: &View,
        transaction: &mut Transaction<'_>,
        leaves: &BTreeSet<Vec<u8>>,
    ) -> Result<(), ApplyError> {
        let read = self.log.read(view);
        let mut deltas = Vec::new();
        let mut from = 0;
        while from < self.log.dag.count() {
            let ids = read.by_arrival(from, PAGE);
            if ids.is_empty() {
                break;
            }
            from += ids.len() as u64;
            for logged in ids.iter().filter_map(|id| self.logged(&read, id)) {
                let touched = transaction.leaf_keys(&logged.delta(), &|id| logged.is_past(&read, id))?;
                if touched.iter().any(|key| leaves.contains(key)) {
                    deltas.push(logged);
                }
            }
        }
        let read = &read;
        let pasts: Vec<_> = deltas.iter().map(|logged| move |id: &DeltaId| logged.is_past(read, id)).collect();
        let each = deltas.iter().zip(&pasts).map(|(logged, in_past)| Rebuilt {
            delta: logged.delta(),
            in_past,
            is_void: self.verdicts.is_void(&logged.placement),
        });
        transaction.rebuild(leaves, each)
    }

    /// A delta of the log, opened. What is in the log was opened before, so its key is here.
    fn logged(&self, read: &LogView<'_>, id: &EntryId) -> Option<Logged> {
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
            let ix = mesto_oplog::placement::ChainIx(ix);
            if !of(&chain.author) {
                continue;
            }
            match self.verdicts.last_accepted(ix, chain.first_seq(), chain.tip.seq) {
                0 => {}
                seq if seq == chain.tip.seq => last.push(chain.tip.id),
                seq => last.extend(read.chain_entries(ix, seq, 1).first().map(|entry| entry.id)),
            }
        }
        last
    }
}
