//! A disk that takes its time, loses what was not synced, and can be full.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mesto_node::MachineId;
use mesto_node::store::memory::MemoryStore;
use mesto_node::store::{Batch, CommitError, Snapshot, Store};

use crate::random::Random;

/// A store in memory that can be made to fail.
#[derive(Default)]
pub(crate) struct FaultyStore {
    memory: MemoryStore,
    is_full: AtomicBool,
}

impl Store for FaultyStore {
    fn snapshot(&self) -> Arc<dyn Snapshot> {
        self.memory.snapshot()
    }

    /// A full disk takes the first half of the batches and then fails: the caller must not rely on any.
    fn commit(&self, batches: &[Batch]) -> Result<(), CommitError> {
        if self.is_full.load(Ordering::Relaxed) {
            let fitting = batches.get(..batches.len() / 2).unwrap_or_default();
            self.memory.commit(fitting)?;
            return Err(CommitError("no space is left on the device".to_owned()));
        }
        self.memory.commit(batches)
    }
}

type Numbered = (MachineId, u64, Batch);

/// One host's disk: the store, and what is on its way there, in the order in which it was handed over.
#[derive(Default)]
pub(crate) struct Disk {
    store: FaultyStore,
    waiting: VecDeque<Numbered>,
    committing: Vec<Numbered>,
    /// What was durable before the last two commits ended, oldest first.
    before: VecDeque<Arc<dyn Snapshot>>,
    submitted: u64,
    durable: u64,
    is_torn: bool,
}

impl Disk {
    /// All that is durable.
    #[must_use]
    pub(crate) fn snapshot(&self) -> Arc<dyn Snapshot> {
        self.store.snapshot()
    }

    /// All that was durable before the last two commits ended: what a commit lets go of was decided on the way from here,
    /// while one commit was under way and its own waited.
    #[must_use]
    pub(crate) fn before(&self) -> Arc<dyn Snapshot> {
        self.before.front().cloned().unwrap_or_else(|| self.snapshot())
    }

    /// Takes batches; true if nothing is being committed, so that [`Disk::begin`] may be called.
    pub(crate) fn submit(&mut self, batches: Vec<Numbered>) -> bool {
        self.submitted += batches.len() as u64;
        self.waiting.extend(batches);
        self.committing.is_empty() && !self.waiting.is_empty()
    }

    /// Begins to commit all that waits; false if there is nothing.
    pub(crate) fn begin(&mut self) -> bool {
        self.committing.extend(self.waiting.drain(..));
        !self.committing.is_empty()
    }

    /// The commit has ended: for each machine, in order, the newest of its batches that is durable now.
    ///
    /// # Errors
    /// If the disk is full; the host must stop.
    pub(crate) fn land(&mut self) -> Result<Vec<(MachineId, u64)>, CommitError> {
        // Taken out first: what a failing commit wrote must not be written a second time by the crash that follows.
        let (names, batches): (Vec<_>, Vec<Batch>) =
            self.committing.drain(..).map(|(machine, seq, batch)| ((machine, seq), batch)).unzip();
        // A node hands over the batches of a step together, and they are committed together.
        self.is_torn = true;
        if self.before.len() == 2 {
            self.before.pop_front();
        }
        self.before.push_back(self.snapshot());
        self.store.commit(&batches)?;
        self.is_torn = false;
        self.durable += batches.len() as u64;
        let mut landed: Vec<(MachineId, u64)> = Vec::new();
        for (machine, seq) in names {
            match landed.iter_mut().find(|(known, _)| *known == machine) {
                Some((_, newest)) => *newest = seq,
                None => landed.push((machine, seq)),
            }
        }
        Ok(landed)
    }

    /// The power goes: what was not synced is lost, but for the first few batches of the commit under way, each
    /// whole.
    pub(crate) fn crash(&mut self, random: &mut Random) {
        let whole = self.committing.len();
        let kept = random.index(whole + 1);
        self.is_torn |= kept > 0 && kept < whole;
        let kept: Vec<Batch> = self.committing.drain(..).take(kept).map(|(_, _, batch)| batch).collect();
        // A full disk can tear its commit, but its memory cannot fail otherwise.
        let _ = self.store.commit(&kept);
        self.committing.clear();
        self.waiting.clear();
        self.store.is_full.store(false, Ordering::Relaxed);
    }

    /// From now on commits fail.
    pub(crate) fn fill(&self) {
        self.store.is_full.store(true, Ordering::Relaxed);
    }

    /// Batches that were handed over in this life of the host and before.
    #[must_use]
    pub(crate) const fn submitted(&self) -> u64 {
        self.submitted
    }

    /// Those of them that were reported durable.
    #[must_use]
    pub(crate) const fn durable(&self) -> u64 {
        self.durable
    }

    /// Whether what is durable can be a part of what a step wrote: since a crash, until the node has written what it makes
    /// of that.
    #[must_use]
    pub(crate) const fn is_torn(&self) -> bool {
        self.is_torn
    }

    /// A node that was read back from here had nothing to set right, or has handed it over.
    pub(crate) fn mended(&mut self) {
        self.is_torn &= !self.waiting.is_empty() || !self.committing.is_empty();
    }

    /// The host starts anew: nothing is on its way.
    pub(crate) const fn restarted(&mut self) {
        self.durable = self.submitted;
    }

    /// Whether something is on its way.
    #[must_use]
    pub(crate) fn is_busy(&self) -> bool {
        !self.committing.is_empty() || !self.waiting.is_empty()
    }
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Disk({} of {} batches durable)", self.durable, self.submitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesto_node::store::Keyspace;

    fn batch(key: u8) -> Numbered {
        let mut batch = Batch::default();
        batch.put(Keyspace::Meta, vec![key], vec![key]);
        (MachineId::Node, u64::from(key), batch)
    }

    fn held(disk: &Disk) -> Vec<u8> {
        disk.snapshot().scan(Keyspace::Meta, &[], None, 100).into_iter().flat_map(|(key, _)| key).collect()
    }

    #[test]
    fn a_crash_keeps_a_prefix_of_the_commit_under_way_and_nothing_after_it() {
        let mut random = Random::new(3);
        for _ in 0..20 {
            let mut disk = Disk::default();
            assert!(disk.submit(vec![batch(1), batch(2)]));
            assert!(disk.begin());
            assert!(!disk.submit(vec![batch(3)]), "a commit is under way");
            disk.crash(&mut random);
            assert!([vec![], vec![1], vec![1, 2]].contains(&held(&disk)));
        }
    }

    #[test]
    fn what_landed_is_there_and_told_once_for_each_machine() {
        let mut disk = Disk::default();
        disk.submit(vec![batch(1), batch(2)]);
        disk.begin();
        assert_eq!(disk.land().ok(), Some(vec![(MachineId::Node, 2)]));
        assert_eq!((held(&disk), disk.durable(), disk.is_busy()), (vec![1, 2], 2, false));
    }

    #[test]
    fn a_full_disk_reports_nothing_durable() {
        let mut disk = Disk::default();
        disk.fill();
        disk.submit(vec![batch(1), batch(2)]);
        disk.begin();
        assert!(disk.land().is_err());
        assert_eq!(disk.durable(), 0);
        disk.crash(&mut Random::new(1));
        assert_eq!(held(&disk), [1], "the torn commit stays as it is");
    }
}
