//! How many durable commits a second the disk gives, alone: the figure that a node's calls are compared with.

use std::{
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender};
use mesto_node::store::{Batch, CommitError, Keyspace, Snapshot, Store};

use super::{CommitObserver, Committer, DiskStore, OpenError};

/// What a submitter commits, again and again, waiting for each to be durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchShape {
    /// How many submit at the same time.
    pub submitters: usize,
    /// New keys a batch, of 32 bytes, spread over log, state and tree.
    pub puts: usize,
    /// Bytes of each value.
    pub value_bytes: usize,
    /// Through the committer, or each submitter to the store itself.
    pub grouped: bool,
}

impl Default for BatchShape {
    /// About what a small call writes.
    fn default() -> Self {
        Self { submitters: 32, puts: 6, value_bytes: 120, grouped: true }
    }
}

/// Why a measurement ended without a figure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The store did not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store did not commit.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The system gave no thread.
    #[error("no thread for the committer: {0}")]
    Thread(io::Error),
}

/// Commits batches of `shape` to a store in `folder` for about `seconds`, and returns how many became durable a second.
///
/// # Errors
/// See [`BenchError`].
pub fn bench_commits(folder: &Path, seconds: f64, shape: &BatchShape) -> Result<f64, BenchError> {
    let store: Arc<dyn Store> = Arc::new(DiskStore::open(folder)?);
    let (wakers, waiters): (Vec<Sender<bool>>, Vec<Receiver<bool>>) =
        (0..shape.submitters).map(|_| crossbeam_channel::bounded(1)).unzip();
    let committer = Committer::start(Arc::clone(&store), Waker(wakers)).map_err(BenchError::Thread)?;
    let begun = Instant::now();
    let until = begun + Duration::from_secs_f64(seconds);
    let commits = std::thread::scope(|scope| {
        let submitters: Vec<_> = waiters
            .into_iter()
            .enumerate()
            .map(|(index, waiter)| {
                let (submitter, store) = (committer.submitter(), &store);
                scope.spawn(move || {
                    let mut count = 0_u64;
                    while Instant::now() < until {
                        let batch = batch(shape, index as u64, count);
                        let durable = if shape.grouped {
                            submitter.submit(index as u64, count, batch).is_ok() && waiter.recv() == Ok(true)
                        } else {
                            store.commit(&[batch]).is_ok()
                        };
                        if !durable {
                            return Err(CommitError("the measurement stopped".to_owned()));
                        }
                        count += 1;
                    }
                    Ok(count)
                })
            })
            .collect();
        submitters
            .into_iter()
            .map(|submitter| submitter.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .sum::<Result<u64, CommitError>>()
    })?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 commits")]
    Ok(commits as f64 / begun.elapsed().as_secs_f64())
}

/// Wakes each submitter, by its token, when its batch is durable.
struct Waker(Vec<Sender<bool>>);

impl CommitObserver for Waker {
    fn durable(&mut self, batches: Vec<(u64, u64)>, _: Arc<dyn Snapshot>) {
        for (token, _) in batches {
            if let Some(waker) = usize::try_from(token).ok().and_then(|token| self.0.get(token)) {
                // A submitter that is gone need not be woken.
                waker.send(true).ok();
            }
        }
    }

    fn failed(&mut self, _: CommitError) {
        for waker in &self.0 {
            waker.try_send(false).ok();
        }
    }
}

/// Keys are hashes, as most of a node's are, so that tables overlap and compaction does its usual work.
fn batch(shape: &BatchShape, submitter: u64, count: u64) -> Batch {
    let mut batch = Batch::default();
    for (put, keyspace) in (0..shape.puts).zip([Keyspace::Log, Keyspace::State, Keyspace::Tree].into_iter().cycle()) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&submitter.to_be_bytes()).update(&count.to_be_bytes()).update(&put.to_be_bytes());
        let mut value = vec![0; shape.value_bytes];
        hasher.finalize_xof().fill(&mut value);
        batch.put(keyspace, hasher.finalize().as_bytes(), value);
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_committing_give_a_figure() {
        for grouped in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let shape = BatchShape { submitters: 2, grouped, ..BatchShape::default() };
            assert!(bench_commits(folder.path(), 0.05, &shape).unwrap() > 0.0);
        }
    }
}
