//! Undoing and redoing what deltas did whose verdicts changed, a piece of the log in each step.
//!
//! The leaves that these deltas touched are made anew from the whole log, for others touched them too. While that goes on,
//! the state is that of the verdicts before, and so are the verdicts that are shown and stored; both change in one batch when
//! the whole is there. Nothing of it is kept over a restart: then the start finds that verdicts changed, and it begins again.

use std::collections::{BTreeSet, VecDeque};

use mesto_crdt::{ApplyError, Rebuilding, Rebuilt, Transaction};
use mesto_oplog::dag::DagRead as _;
use mesto_oplog::placement::ChainIx;

use super::Context;
use super::judging::Logged;
use super::verdicts::{Void, is_in};
use crate::flight::Work;
use crate::step::{Effect, Notice};
use crate::view::View;

/// Entries that are read from the log in one step: as many as one takes in.
const STEP_ENTRIES_MAX: usize = 256;

/// A rebuild that is under way.
#[derive(Debug)]
pub(super) struct Rebuild {
    voided: Void,
    restored: Void,
    /// Runs whose leaves are not known yet.
    runs: VecDeque<(ChainIx, u64, u64)>,
    /// The leaves of those that are.
    leaves: BTreeSet<Vec<u8>>,
    /// How far these are made; nothing before all are known.
    made: Option<Rebuilding>,
    /// The entry of the log that comes next, in the order of arrival.
    next: u64,
}

impl Rebuild {
    fn new(voided: Void, restored: Void) -> Self {
        let runs = voided.iter().chain(&restored).map(|(&(chain, first), &last)| (chain, first, last)).collect();
        Self { voided, restored, runs, leaves: BTreeSet::new(), made: None, next: 0 }
    }

    fn is_of(&self, voided: &Void, restored: &Void) -> bool {
        (&self.voided, &self.restored) == (voided, restored)
    }
}

impl Context {
    /// Whether verdicts have changed that the state does not show yet.
    pub(crate) fn is_rebuilding(&self) -> bool {
        self.rebuild.is_some()
    }

    /// Whether a delta is void by the newest verdicts, those that the state does not show yet included.
    pub(super) fn is_void_now(&self, chain: ChainIx, seq: u64) -> bool {
        match &self.rebuild {
            Some(rebuild) if is_in(&rebuild.voided, chain, seq) => true,
            Some(rebuild) if is_in(&rebuild.restored, chain, seq) => false,
            Some(_) | None => self.verdicts.is_void_at(chain, seq),
        }
    }

    /// Verdicts are other ones than those that the state shows. Whether the state of the transaction follows them now; else
    /// it is under way.
    pub(super) fn rebuild_by(
        &mut self,
        view: &View,
        transaction: &mut Transaction<'_>,
        voided: Void,
        restored: Void,
    ) -> Result<bool, ApplyError> {
        if self.rebuild.as_ref().is_some_and(|rebuild| rebuild.is_of(&voided, &restored)) {
            return Ok(false);
        }
        self.rebuild = Some(Rebuild::new(voided, restored));
        let is_made = self.rebuild_part(view, transaction)?;
        if is_made {
            self.conclude_rebuild(transaction)?;
        }
        Ok(is_made)
    }

    /// Does the next piece of a rebuild. Whether that was the last.
    fn rebuild_part(&mut self, view: &View, transaction: &mut Transaction<'_>) -> Result<bool, ApplyError> {
        let Some(mut rebuild) = self.rebuild.take() else { return Ok(false) };
        let mut room = STEP_ENTRIES_MAX;
        let done = self.find_leaves(view, transaction, &mut rebuild, &mut room);
        self.rebuild = Some(rebuild);
        done?;
        let mut made = match &mut self.rebuild {
            Some(rebuild) if rebuild.runs.is_empty() => {
                let leaves = &mut rebuild.leaves;
                rebuild.made.take().unwrap_or_else(|| Rebuilding::of(std::mem::take(leaves)))
            }
            Some(_) | None => return Ok(false),
        };
        let read = self.log.read(view);
        let from = self.rebuild.as_ref().map_or(0, |rebuild| rebuild.next);
        let ids = if room > 0 { read.by_arrival(from, room) } else { Vec::new() };
        let deltas: Vec<Logged> = ids.iter().filter_map(|id| self.logged(&read, id)).collect();
        let read = &read;
        let pasts: Vec<_> = deltas.iter().map(|logged| move |id: &_| logged.is_past(read, id)).collect();
        let rebuilt = deltas.iter().zip(&pasts).map(|(logged, in_past)| Rebuilt {
            delta: logged.delta(),
            in_past,
            is_void: self.is_void_now(logged.placement.chain, logged.placement.seq),
        });
        transaction.rebuild(&mut made, &rebuilt.collect::<Vec<_>>())?;
        let next = from + ids.len() as u64;
        let is_made = next >= self.log.dag.count();
        if let Some(rebuild) = &mut self.rebuild {
            (rebuild.next, rebuild.made) = (next, Some(made));
        }
        Ok(is_made)
    }

    /// The leaves that the deltas touch whose verdicts changed, as far as there is room to read these.
    fn find_leaves(
        &self,
        view: &View,
        transaction: &Transaction<'_>,
        rebuild: &mut Rebuild,
        room: &mut usize,
    ) -> Result<(), ApplyError> {
        let read = self.log.read(view);
        while *room > 0
            && let Some((chain, first, last)) = rebuild.runs.pop_front()
        {
            let entries = read.chain_entries(chain, first, *room);
            *room -= entries.len();
            for entry in entries.iter().filter(|entry| entry.seq <= last) {
                if let Some(logged) = self.logged(&read, &entry.id) {
                    rebuild.leaves.extend(transaction.leaf_keys(&logged.delta(), &|id| logged.is_past(&read, id))?);
                }
            }
            if let Some(end) = entries.last().filter(|end| end.seq < last) {
                rebuild.runs.push_front((chain, end.seq + 1, last));
            }
        }
        Ok(())
    }

    fn conclude_rebuild(&mut self, transaction: &mut Transaction<'_>) -> Result<(), ApplyError> {
        let made = self.rebuild.take().and_then(|rebuild| rebuild.made);
        made.map_or(Ok(()), |made| transaction.put_rebuilt(&made))
    }

    /// Goes on with a rebuild in a step of its own. Whether it ended, and the state is another one.
    pub(crate) fn go_on_rebuilding(&mut self, work: &mut Work<'_>) -> bool {
        if self.rebuild.is_none() {
            return false;
        }
        let state = self.state(work);
        let mut tree = std::mem::take(&mut self.tree);
        let mut transaction = Transaction::new(&state, &mut tree);
        let outcome = self.rebuild_part(&work.view, &mut transaction).and_then(|is_made| {
            if !is_made || !self.adopt_verdicts(work) {
                return Ok(None);
            }
            self.conclude_rebuild(&mut transaction)?;
            transaction.finish().map(Some)
        });
        self.tree = tree;
        match outcome {
            Ok(None) => false,
            Ok(Some(commit)) => {
                self.install(work, commit, &[]);
                work.after(Effect::Emit(Notice::SyncStatus { context: self.id, group: self.group, root: self.root.0 }));
                true
            }
            Err(error) => {
                work.now(Effect::Halt(format!("context {}: {error}", self.id)));
                false
            }
        }
    }

    /// Takes the verdicts as they are now, if they are still those that the rebuild is for; else it begins anew.
    fn adopt_verdicts(&mut self, work: &mut Work<'_>) -> bool {
        let Some((void, voided, restored)) = self.verdicts_now(work) else { return false };
        if self.rebuild.as_ref().is_some_and(|rebuild| rebuild.is_of(&voided, &restored)) {
            self.replace_verdicts(work, void, &voided, &restored);
            return true;
        }
        let is_needed = !voided.is_empty() || !restored.is_empty();
        self.rebuild = is_needed.then(|| Rebuild::new(voided, restored));
        false
    }
}
