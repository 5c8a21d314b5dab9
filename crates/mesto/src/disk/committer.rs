//! Group commit: one thread turns all waiting batches into one durable write, then tells of them in order.
//!
//! An idle committer takes a lone batch at once, and what arrives during its fsync makes the next group, so that
//! groups grow with the load. Only writers that share commits wait for each other, for moments: see
//! [`Pace`].

use std::{
    collections::VecDeque,
    io, mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use mesto_node::store::{Batch, CommitError, Snapshot, Store};

/// Batches that may wait, and so the most that one commit holds. At 512 the fsync costs each less than its own bytes do.
pub const BATCHES_WAITING_MAX: usize = 512;

/// Bytes of keys and values that may wait: two of the largest deltas. A commit in progress may hold as many again.
pub const BYTES_WAITING_MAX: usize = 32 << 20;

/// Hears what became of batches, on the committer's thread. It must be quick, because the next commit waits for it, and
/// must not call [`Submitter::submit`], which could wait for this very thread.
pub trait CommitObserver: Send + 'static {
    /// These batches, by the token and number that they were submitted with and in that order, are durable. The
    /// snapshot shows them and nothing later.
    fn durable(&mut self, batches: Vec<(u64, u64)>, snapshot: Arc<dyn Snapshot>);

    /// A commit failed. Of its batches and those that waited none will be reported durable, though some may be; the
    /// node must stop. Called at most once, and last.
    fn failed(&mut self, error: CommitError);

    /// There is room again after a [`Submitter::try_submit`] was refused.
    fn room(&mut self) {}
}

/// The committer no longer takes batches: it was stopped, or a commit failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the store takes no more batches")]
pub struct Stopped;

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrySubmitError {
    /// [`BATCHES_WAITING_MAX`] or [`BYTES_WAITING_MAX`] is reached. The batch comes back;
    /// [`CommitObserver::room`] tells when to try again.
    #[error("too many batches wait for the disk")]
    Full(Batch),
    /// The committer has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Owns the thread that commits.
pub struct Committer {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Starts a committer. From now on nobody else may commit to the store.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(store: Arc<dyn Store>, observer: impl CommitObserver) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let thread = std::thread::Builder::new().name("mesto-commit".to_owned()).spawn({
            let queue = Arc::clone(&queue);
            move || commit_all(&queue, &*store, observer)
        })?;
        Ok(Self { queue, thread: Some(thread) })
    }

    /// A handle for those who write.
    #[must_use]
    pub fn submitter(&self) -> Submitter {
        Submitter { queue: Arc::clone(&self.queue) }
    }

    /// Takes no more batches, commits those that wait, and ends the thread. Dropping the committer does the same.
    pub fn stop(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        self.queue.close(Phase::Closing);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the committer's thread panicked");
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Hands batches to a [`Committer`]. Cheap to clone.
#[derive(Clone)]
pub struct Submitter {
    queue: Arc<Queue>,
}

impl Submitter {
    /// Queues a batch, waiting for room if there is none. Batches become durable in the order in which they were
    /// queued; `token` and `seq` mean something to the observer only.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn submit(&self, token: u64, seq: u64, batch: Batch) -> Result<(), Stopped> {
        let bytes = batch.byte_len();
        let mut state = self.queue.lock();
        while state.phase == Phase::Open && !state.has_room(bytes) {
            state = self.queue.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.push(Waiting { token, seq, batch, bytes })?;
        self.queue.told_of(state);
        Ok(())
    }

    /// Queues batches, each by its token and number, as [`Submitter::submit`] does one after the other; as far as there
    /// is room for them they go into the same commit.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn submit_all(&self, batches: Vec<(u64, u64, Batch)>) -> Result<(), Stopped> {
        let mut state = self.queue.lock();
        for (token, seq, batch) in batches {
            let bytes = batch.byte_len();
            while state.phase == Phase::Open && !state.has_room(bytes) {
                self.queue.work.notify_one();
                state = self.queue.room.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.push(Waiting { token, seq, batch, bytes })?;
        }
        self.queue.told_of(state);
        Ok(())
    }

    /// Queues a batch if there is room.
    ///
    /// # Errors
    /// [`TrySubmitError::Full`] with the batch, or [`TrySubmitError::Stopped`].
    pub fn try_submit(&self, token: u64, seq: u64, batch: Batch) -> Result<(), TrySubmitError> {
        let bytes = batch.byte_len();
        let mut state = self.queue.lock();
        if state.phase == Phase::Open && !state.has_room(bytes) {
            state.refused = true;
            return Err(TrySubmitError::Full(batch));
        }
        state.push(Waiting { token, seq, batch, bytes })?;
        self.queue.told_of(state);
        Ok(())
    }
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    /// Something waits, or the phase changed.
    work: Condvar,
    /// The queue was emptied, or the phase changed.
    room: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Of the waiting batches.
    bytes: usize,
    phase: Phase,
    /// Somebody was told that the queue is full, and not yet that it no longer is.
    refused: bool,
    /// How many batches the committer waits for before it looks again.
    wanted: usize,
}

struct Waiting {
    token: u64,
    seq: u64,
    batch: Batch,
    bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Open,
    /// What waits is still committed.
    Closing,
    /// Nothing is.
    Failed,
}

/// How long to wait for company before a commit.
///
/// Writers that wait for their commits come back together, but the first of them would be committed alone, and the
/// others would wait for two syncs instead of one; and each commit costs threads of this node, and of every member's
/// node that hears of it, a round of waking up. So when commits have lately been shared, the next one waits until as
/// many are there, for as long as others keep coming, within bounds that people do not notice. Who writes alone never
/// waits.
#[derive(Default)]
struct Pace {
    /// Sizes of the last two groups.
    sizes: [usize; 2],
}

impl Pace {
    /// Longest wait in all.
    const LINGER_MAX: Duration = Duration::from_millis(2);
    /// The pause after which nobody else is expected: a call takes some hundred microseconds from one commit to the
    /// next.
    const GAP: Duration = Duration::from_micros(300);

    fn observe(&mut self, size: usize) {
        self.sizes = [self.sizes[1], size];
    }

    /// How many writers are expected to come back.
    fn expected(&self) -> usize {
        self.sizes.into_iter().max().unwrap_or_default()
    }
}

/// What waited, ready for one commit.
struct Group {
    batches: Vec<Batch>,
    names: Vec<(u64, u64)>,
    /// Whether to tell of room.
    refused: bool,
}

impl State {
    /// A batch beyond the limit of bytes is taken alone, or it would wait for ever.
    fn has_room(&self, bytes: usize) -> bool {
        self.waiting.is_empty()
            || self.waiting.len() < BATCHES_WAITING_MAX && self.bytes.saturating_add(bytes) <= BYTES_WAITING_MAX
    }

    fn push(&mut self, waiting: Waiting) -> Result<(), Stopped> {
        if self.phase != Phase::Open {
            return Err(Stopped);
        }
        self.bytes += waiting.bytes;
        self.waiting.push_back(waiting);
        Ok(())
    }
}

impl Queue {
    /// No holder of the lock can panic between two changes that belong together.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was queued: wakes the committer if it waits for as much.
    fn told_of(&self, state: MutexGuard<'_, State>) {
        let is_enough = state.waiting.len() >= state.wanted;
        drop(state);
        if is_enough {
            self.work.notify_one();
        }
    }

    /// All that waits, as soon as something does; `None` at the end.
    fn take(&self, pace: &Pace) -> Option<Group> {
        let mut state = self.lock();
        state.wanted = 1;
        while state.waiting.is_empty() && state.phase == Phase::Open {
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let begun = Instant::now();
        state.wanted = pace.expected();
        while state.waiting.len() < state.wanted && state.phase == Phase::Open && begun.elapsed() < Pace::LINGER_MAX {
            let before = state.waiting.len();
            state = self.work.wait_timeout(state, Pace::GAP).unwrap_or_else(PoisonError::into_inner).0;
            if state.waiting.len() == before {
                break;
            }
        }
        if state.waiting.is_empty() || state.phase == Phase::Failed {
            return None;
        }
        // Nobody need tell of more until the next round begins.
        state.wanted = usize::MAX;
        state.bytes = 0;
        let refused = mem::take(&mut state.refused);
        let waiting = mem::take(&mut state.waiting);
        drop(state);
        self.room.notify_all();
        let (names, batches) = waiting.into_iter().map(|waiting| ((waiting.token, waiting.seq), waiting.batch)).unzip();
        Some(Group { batches, names, refused })
    }

    /// A failure is never taken back by a mere closing.
    fn close(&self, phase: Phase) {
        let mut state = self.lock();
        if state.phase != Phase::Failed {
            state.phase = phase;
        }
        if state.phase == Phase::Failed {
            state.waiting.clear();
            state.bytes = 0;
        }
        drop(state);
        self.work.notify_all();
        self.room.notify_all();
    }
}

fn commit_all(queue: &Queue, store: &dyn Store, mut observer: impl CommitObserver) {
    /// However the thread ends, nobody may wait for it.
    struct FailOnExit<'a>(&'a Queue);
    impl Drop for FailOnExit<'_> {
        fn drop(&mut self) {
            self.0.close(Phase::Failed);
        }
    }
    let _fail_on_exit = FailOnExit(queue);
    let mut pace = Pace::default();
    while let Some(group) = queue.take(&pace) {
        if group.refused {
            observer.room();
        }
        let committed = store.commit(&group.batches);
        pace.observe(group.batches.len());
        match committed {
            Ok(()) => observer.durable(group.names, store.snapshot()),
            Err(error) => {
                queue.close(Phase::Failed);
                tracing::error!(%error, "a commit failed");
                return observer.failed(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use mesto_node::store::{Keyspace, memory::MemoryStore};

    use super::*;

    enum Told {
        Durable(Vec<(u64, u64)>, Arc<dyn Snapshot>),
        Failed,
        Room,
    }

    struct Teller(mpsc::Sender<Told>);

    impl CommitObserver for Teller {
        fn durable(&mut self, batches: Vec<(u64, u64)>, snapshot: Arc<dyn Snapshot>) {
            self.0.send(Told::Durable(batches, snapshot)).ok();
        }

        fn failed(&mut self, _: CommitError) {
            self.0.send(Told::Failed).ok();
        }

        fn room(&mut self) {
            self.0.send(Told::Room).ok();
        }
    }

    /// A store whose commits wait for a permit each, which also says whether they succeed.
    struct Gated {
        store: MemoryStore,
        permits: Mutex<mpsc::Receiver<bool>>,
        group_sizes: Mutex<Vec<usize>>,
    }

    impl Store for Gated {
        fn snapshot(&self) -> Arc<dyn Snapshot> {
            self.store.snapshot()
        }

        fn commit(&self, batches: &[Batch]) -> Result<(), CommitError> {
            self.group_sizes.lock().unwrap().push(batches.len());
            if !self.permits.lock().unwrap().recv().unwrap_or(true) {
                return Err(CommitError("as asked".to_owned()));
            }
            self.store.commit(batches)
        }
    }

    struct Rig {
        committer: Committer,
        store: Arc<Gated>,
        permit: mpsc::Sender<bool>,
        told: mpsc::Receiver<Told>,
    }

    fn rig() -> Rig {
        let (permit, permits) = mpsc::channel();
        let (teller, told) = mpsc::channel();
        let store =
            Arc::new(Gated { store: MemoryStore::new(), permits: Mutex::new(permits), group_sizes: Mutex::default() });
        let committer = Committer::start(Arc::clone(&store) as Arc<dyn Store>, Teller(teller)).unwrap();
        Rig { committer, store, permit, told }
    }

    impl Rig {
        /// Returns once the committer's thread holds a first batch at the gate.
        fn hold(&self) {
            self.committer.submitter().submit(0, 0, write("first", b"")).unwrap();
            while self.store.group_sizes.lock().unwrap().is_empty() {
                std::thread::yield_now();
            }
        }
    }

    fn write(key: &str, value: &[u8]) -> Batch {
        let mut batch = Batch::default();
        batch.put(Keyspace::Meta, key, value);
        batch
    }

    fn durable(told: &mpsc::Receiver<Told>) -> (Vec<(u64, u64)>, Arc<dyn Snapshot>) {
        match told.recv().unwrap() {
            Told::Durable(batches, snapshot) => (batches, snapshot),
            Told::Failed | Told::Room => panic!("expected batches to be durable"),
        }
    }

    #[test]
    fn what_waits_during_a_commit_becomes_the_next_one_in_order() {
        let rig = rig();
        let submitter = rig.committer.submitter();
        rig.hold();
        for seq in 1..=5 {
            submitter.submit(7, seq, write("key", &seq.to_be_bytes())).unwrap();
        }
        rig.permit.send(true).unwrap();
        rig.permit.send(true).unwrap();
        let (batches, snapshot) = durable(&rig.told);
        assert_eq!(batches, [(0, 0)]);
        assert_eq!(snapshot.get(Keyspace::Meta, b"key"), None, "a snapshot shows its own commit and nothing later");
        let (batches, snapshot) = durable(&rig.told);
        assert_eq!(batches, [(7, 1), (7, 2), (7, 3), (7, 4), (7, 5)]);
        assert_eq!(snapshot.get(Keyspace::Meta, b"key"), Some(5_u64.to_be_bytes().to_vec()));
        assert_eq!(*rig.store.group_sizes.lock().unwrap(), [1, 5]);
    }

    #[test]
    fn a_full_queue_refuses_and_tells_of_room() {
        let rig = rig();
        let submitter = rig.committer.submitter();
        rig.hold();
        for seq in 0..BATCHES_WAITING_MAX as u64 {
            submitter.try_submit(1, seq, write("key", b"")).unwrap();
        }
        let refused = submitter.try_submit(1, 512, write("key", b"x"));
        assert!(matches!(refused, Err(TrySubmitError::Full(batch)) if batch == write("key", b"x")));
        rig.permit.send(true).unwrap();
        durable(&rig.told);
        assert!(matches!(rig.told.recv().unwrap(), Told::Room));
        submitter.try_submit(1, 512, write("key", b"x")).unwrap();
        rig.permit.send(true).unwrap();
        assert_eq!(durable(&rig.told).0.len(), BATCHES_WAITING_MAX);
        rig.permit.send(true).unwrap();
        assert_eq!(durable(&rig.told).0, [(1, 512)]);
    }

    #[test]
    fn waiting_bytes_are_bounded_yet_any_single_batch_passes() {
        let rig = rig();
        let submitter = rig.committer.submitter();
        rig.hold();
        submitter.try_submit(1, 1, write("key", &vec![0; BYTES_WAITING_MAX + 1])).unwrap();
        assert!(matches!(submitter.try_submit(1, 2, write("key", b"")), Err(TrySubmitError::Full(_))));
        let blocked = std::thread::spawn(move || submitter.submit(1, 2, write("key", b"")));
        for _ in 0..3 {
            rig.permit.send(true).unwrap();
        }
        blocked.join().unwrap().unwrap();
        let mut done = Vec::new();
        while done.last() != Some(&(1, 2)) {
            if let Told::Durable(batches, _) = rig.told.recv().unwrap() {
                done.extend(batches);
            }
        }
        assert_eq!(done, [(0, 0), (1, 1), (1, 2)]);
    }

    #[test]
    fn after_a_failed_commit_nothing_is_acknowledged() {
        let rig = rig();
        let submitter = rig.committer.submitter();
        rig.hold();
        submitter.submit(1, 1, write("key", b"")).unwrap();
        rig.permit.send(false).unwrap();
        rig.permit.send(true).unwrap();
        assert!(matches!(rig.told.recv().unwrap(), Told::Failed));
        while submitter.submit(1, 2, write("key", b"")).is_ok() {}
        assert!(matches!(submitter.try_submit(1, 3, write("key", b"")), Err(TrySubmitError::Stopped(_))));
        rig.committer.stop();
        assert!(rig.told.recv().is_err(), "the observer is gone and said nothing more");
        assert!(rig.store.store.is_empty());
    }

    #[test]
    fn stopping_commits_what_waits() {
        let rig = rig();
        let submitter = rig.committer.submitter();
        rig.hold();
        submitter.submit(1, 1, write("key", b"")).unwrap();
        drop(rig.permit);
        rig.committer.stop();
        assert_eq!(durable(&rig.told).0, [(0, 0)]);
        assert_eq!(durable(&rig.told).0, [(1, 1)]);
        assert_eq!(submitter.submit(1, 2, write("key", b"")), Err(Stopped));
    }

    #[test]
    fn a_panicking_observer_leaves_nobody_waiting() {
        struct Panics;
        impl CommitObserver for Panics {
            fn durable(&mut self, _: Vec<(u64, u64)>, _: Arc<dyn Snapshot>) {
                panic!("as asked");
            }

            fn failed(&mut self, _: CommitError) {}
        }
        let committer = Committer::start(Arc::new(MemoryStore::new()), Panics).unwrap();
        let submitter = committer.submitter();
        while submitter.submit(1, 1, write("key", b"")).is_ok() {}
        committer.stop();
    }
}
