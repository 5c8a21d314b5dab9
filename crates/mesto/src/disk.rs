//! The store on disk: fjall behind the node's [`Store`] trait.
//!
//! A [`DiskStore`] commits for whoever calls it. Between the node and the disk stands a [`Committer`], which alone
//! commits: it makes one fsync serve all batches that wait.

use std::{
    collections::BTreeMap,
    fs,
    ops::Bound,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use fjall::config::CompressionPolicy;
use fjall::{CompressionType, Database, KeyspaceCreateOptions, PersistMode, Readable as _};
use mesto_node::store::{Batch, CommitError, Keyspace, Pair, Snapshot, Store, conformance::KEY_BYTES_MAX};

use crate::home::files;

mod bench;
mod committer;
#[cfg(test)]
mod crash;

pub use bench::{BatchShape, BenchError, bench_commits};
pub use committer::{
    BATCHES_WAITING_MAX, BYTES_WAITING_MAX, CommitObserver, Committer, Stopped, Submitter, TrySubmitError,
};

/// The engine's least bound; one journal is preallocated with so much, so more would only lengthen recovery.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;

/// Blocks of tables held in memory: a quarter of what an idle node may use.
const CACHE_BYTES: u64 = 16 << 20;

/// One worker flushes while the other compacts; a node's cores belong to its calls.
const WORKER_THREADS: usize = 2;

/// Open tables; the usual limit of a process is 1,024 descriptors, most of which belong to sockets.
const OPEN_TABLES_MAX: usize = 200;

/// Within the store's folder, what belongs to the engine.
const ENGINE_FOLDER: &str = "fjall";

/// A store in the making; it gets its name when it is complete.
const UNFINISHED_FOLDER: &str = "fjall.new";

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error("the store {} is in use by another process: stop that node first", .0.display())]
    InUse(PathBuf),
    /// It was written by another version of the engine.
    #[error("the store {} has a format that this version cannot read: use the version that wrote it", .0.display())]
    UnknownFormat(PathBuf),
    /// The folder cannot be made or read, or its contents are damaged.
    #[error("the store {} cannot be opened: {source}", .path.display())]
    Engine {
        /// The store's folder.
        path: PathBuf,
        /// What the engine said.
        source: fjall::Error,
    },
}

/// A store in a folder. Open it once in a process; handles are shared by [`Arc`].
///
/// The folder stays in use until the store and the last of its snapshots are gone.
pub struct DiskStore {
    opened: Arc<Opened>,
}

/// What a snapshot needs too, so that tables outlive the store's handle for as long as one reads them.
struct Opened {
    /// By tag; dropped before the database.
    keyspaces: [fjall::Keyspace; Keyspace::ALL.len()],
    database: Database,
    /// After a failed commit nobody knows what is on disk, so nothing more may be promised.
    failed: AtomicBool,
}

impl DiskStore {
    /// Opens the store in `folder`, or makes a new one. That two processes do not make the same new store at once is the
    /// caller's care ([`Home::lock`](crate::home::Home::lock)).
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let engine = folder.join(ENGINE_FOLDER);
        let opened = if engine.exists() { Ok(()) } else { Self::make(folder, &engine) }
            .and_then(|()| Self::open_engine(&engine));
        opened.map(|opened| Self { opened: Arc::new(opened) }).map_err(|source| {
            let path = folder.to_owned();
            if matches!(source, fjall::Error::Locked) {
                OpenError::InUse(path)
            } else if matches!(source, fjall::Error::InvalidVersion(_)) {
                OpenError::UnknownFormat(path)
            } else {
                OpenError::Engine { path, source }
            }
        })
    }

    /// The engine cannot open a store whose making was interrupted, so a new one is made aside and then renamed.
    fn make(folder: &Path, engine: &Path) -> fjall::Result<()> {
        let unfinished = folder.join(UNFINISHED_FOLDER);
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        drop(Self::open_engine(&unfinished)?);
        fs::rename(&unfinished, engine)?;
        Ok(files::sync_folder(folder)?)
    }

    fn open_engine(folder: &Path) -> fjall::Result<Opened> {
        let database = Database::builder(folder)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .max_cached_files(Some(OPEN_TABLES_MAX))
            .worker_threads(WORKER_THREADS)
            // Most of what is written is encrypted, and so does not compress.
            .journal_compression(CompressionType::None)
            // Each commit says itself how durable it is.
            .manual_journal_persist(true)
            .open()?;
        let open = |keyspace: Keyspace| {
            database.keyspace(keyspace.name(), || {
                KeyspaceCreateOptions::default()
                    .max_memtable_size(memtable_bytes(keyspace))
                    .data_block_compression_policy(compression(keyspace))
                    .manual_journal_persist(true)
            })
        };
        let keyspaces = [
            open(Keyspace::Meta)?,
            open(Keyspace::Log)?,
            open(Keyspace::State)?,
            open(Keyspace::Tree)?,
            open(Keyspace::Private)?,
            open(Keyspace::Entry)?,
        ];
        Ok(Opened { keyspaces, database, failed: AtomicBool::new(false) })
    }

    /// Moves what is in memory and in the journals into tables, so that the next opening has nothing to replay. To be
    /// called last, when nobody commits any more; nothing is lost without it.
    pub fn settle(&self) {
        for keyspace in &self.opened.keyspaces {
            if let Err(error) = keyspace.rotate_memtable_and_wait() {
                tracing::warn!(%error, "the store was not settled: the next start replays its journal");
                return;
            }
        }
    }

    /// Bytes on disk, of the journals and all tables.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.opened.database.disk_space().unwrap_or_else(|error| fail_stop("the size of the store", &error))
    }
}

/// How much of a keyspace gathers in memory before it becomes a table. Together small beside what an idle node may
/// use (64 MiB), and large enough that a table holds thousands of entries.
const fn memtable_bytes(keyspace: Keyspace) -> u64 {
    match keyspace {
        Keyspace::Meta | Keyspace::Private => 1 << 20,
        Keyspace::Log | Keyspace::State | Keyspace::Tree => 3 << 20,
        Keyspace::Entry => 4 << 20,
    }
}

/// Hashes and what is encrypted do not compress; the rest is worth it once it has settled in the lower levels.
fn compression(keyspace: Keyspace) -> CompressionPolicy {
    match keyspace {
        Keyspace::Log | Keyspace::Tree | Keyspace::Entry => CompressionPolicy::all(CompressionType::None),
        Keyspace::Meta | Keyspace::State | Keyspace::Private => {
            CompressionPolicy::new([CompressionType::None, CompressionType::None, CompressionType::Lz4])
        }
    }
}

impl Store for DiskStore {
    fn snapshot(&self) -> Arc<dyn Snapshot> {
        Arc::new(DiskSnapshot { snapshot: self.opened.database.snapshot(), opened: Arc::clone(&self.opened) })
    }

    fn commit(&self, batches: &[Batch]) -> Result<(), CommitError> {
        if self.opened.failed.load(Ordering::Acquire) {
            return Err(CommitError("an earlier commit failed".to_owned()));
        }
        let merged = merge(batches)?;
        let mut batch = fjall::OwnedWriteBatch::with_capacity(self.opened.database.clone(), merged.len())
            .durability(Some(PersistMode::SyncData));
        for ((keyspace, key), value) in merged {
            let keyspace = self.opened.keyspace(keyspace);
            match value {
                Some(value) => batch.insert(keyspace, key, value),
                None => batch.remove(keyspace, key),
            }
        }
        batch.commit().map_err(|error| {
            self.opened.failed.store(true, Ordering::Release);
            CommitError(error.to_string())
        })
    }
}

/// Changes in key order, the last of each key only: the engine gives all writes of a batch one sequence number, so two
/// of one key would leave open which counts.
type Merged<'a> = BTreeMap<(Keyspace, &'a [u8]), Option<&'a [u8]>>;

fn merge(batches: &[Batch]) -> Result<Merged<'_>, CommitError> {
    let mut merged = Merged::new();
    for write in batches.iter().flat_map(|batch| &batch.writes) {
        if !is_key(&write.key) {
            return Err(CommitError(format!("a key has 1 to {KEY_BYTES_MAX} bytes, not {}", write.key.len())));
        }
        merged.insert((write.keyspace, &write.key), write.value.as_deref());
    }
    Ok(merged)
}

/// The engine panics on other lengths.
fn is_key(key: &[u8]) -> bool {
    (1..=KEY_BYTES_MAX).contains(&key.len())
}

impl Opened {
    fn keyspace(&self, keyspace: Keyspace) -> &fjall::Keyspace {
        &self.keyspaces[keyspace as usize]
    }
}

struct DiskSnapshot {
    snapshot: fjall::Snapshot,
    opened: Arc<Opened>,
}

impl Snapshot for DiskSnapshot {
    fn get(&self, keyspace: Keyspace, key: &[u8]) -> Option<Vec<u8>> {
        if !is_key(key) {
            return None;
        }
        self.snapshot
            .get(self.opened.keyspace(keyspace), key)
            .unwrap_or_else(|error| fail_stop("a value", &error))
            .map(|value| value.to_vec())
    }

    fn scan(&self, keyspace: Keyspace, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Pair> {
        let Some((from, until)) = scan_range(prefix, after) else { return Vec::new() };
        self.snapshot
            .range::<&[u8], _>(self.opened.keyspace(keyspace), (from, until.as_ref().map(Vec::as_slice)))
            .take(limit)
            .map(|pair| {
                let (key, value) = pair.into_inner().unwrap_or_else(|error| fail_stop("a range of keys", &error));
                (key.to_vec(), value.to_vec())
            })
            .collect()
    }
}

/// The end is made from a prefix, the beginning is one.
type ScanRange<'a> = (Bound<&'a [u8]>, Bound<Vec<u8>>);

/// The keys that begin with `prefix` and lie after `after`; `None` if there can be none. With an upper bound, so that
/// the engine need not look through tombstones beyond the prefix.
fn scan_range<'a>(prefix: &'a [u8], after: Option<&'a [u8]>) -> Option<ScanRange<'a>> {
    let mut end = prefix.to_vec();
    while end.last() == Some(&0xff) {
        end.pop();
    }
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    match after {
        Some(after) if !end.is_empty() && after >= end.as_slice() => return None,
        Some(_) | None => (),
    }
    let from = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        Some(_) | None => Bound::Included(prefix),
    };
    Some((from, if end.is_empty() { Bound::Unbounded } else { Bound::Excluded(end) }))
}

/// The one way in which the process ends when its store cannot be read: going on would turn a disk error into a wrong
/// decision, and a clean shutdown would write.
fn fail_stop(what: &str, error: &fjall::Error) -> ! {
    if tracing::dispatcher::has_been_set() {
        tracing::error!(%error, "the store cannot read {what}; the node stops. Check the disk, then start again or restore a backup");
    } else {
        eprintln!(
            "mesto: the store cannot read {what}: {error}; the node stops. Check the disk, then start again or restore a backup"
        );
    }
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use mesto_node::store::conformance;

    use super::*;

    #[test]
    fn disk_keeps_the_contract_of_stores() {
        let folder = tempfile::tempdir().unwrap();
        conformance::check(&mut || Box::new(DiskStore::open(folder.path()).unwrap())).unwrap();
    }

    #[test]
    fn disk_agrees_with_memory_over_random_batches_and_reopenings() {
        for seed in 0..3 {
            let folder = tempfile::tempdir().unwrap();
            conformance::compare(&mut || Box::new(DiskStore::open(folder.path()).unwrap()), seed, 160).unwrap();
        }
    }

    #[test]
    fn disk_agrees_with_memory_when_tables_are_flushed() {
        let folder = tempfile::tempdir().unwrap();
        let mut open = || {
            let store = DiskStore::open(folder.path()).unwrap();
            for keyspace in &store.opened.keyspaces {
                keyspace.rotate_memtable_and_wait().unwrap();
            }
            Box::new(store) as Box<dyn Store>
        };
        conformance::compare(&mut open, 77, 200).unwrap();
    }

    #[test]
    fn a_store_opens_once_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(folder.path()).unwrap();
        assert!(matches!(DiskStore::open(folder.path()), Err(OpenError::InUse(path)) if path == folder.path()));
        let snapshot = store.snapshot();
        drop(store);
        assert!(DiskStore::open(folder.path()).is_err(), "a snapshot still reads it");
        drop(snapshot);
        DiskStore::open(folder.path()).unwrap();
    }

    #[test]
    fn the_engine_has_no_known_stale_reads() {
        let lock = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .map(|folder| folder.join("Cargo.lock"))
            .find(|file| file.exists())
            .unwrap();
        let lock = std::fs::read_to_string(lock).unwrap();
        let version = lock.split("name = \"lsm-tree\"\nversion = \"").nth(1).unwrap().split('"').next().unwrap();
        let parts: Vec<u32> = version.split('.').map(|part| part.parse().unwrap()).collect();
        assert!(parts >= vec![3, 1, 9], "lsm-tree {version} returns stale values; 3.1.9 fixed that");
    }

    #[test]
    fn a_scan_range_ends_where_its_prefix_does() {
        let excluded = |bytes: &[u8]| Bound::Excluded(bytes.to_vec());
        let included = |bytes: &'static [u8]| Bound::Included(bytes);
        assert_eq!(scan_range(b"a", None), Some((included(b"a"), excluded(b"b"))));
        assert_eq!(scan_range(&[1, 0xff], None), Some((included(&[1, 0xff]), excluded(&[2]))));
        assert_eq!(scan_range(&[0xff], None), Some((included(&[0xff]), Bound::Unbounded)));
        assert_eq!(scan_range(b"", Some(b"x")), Some((Bound::Excluded(b"x".as_slice()), Bound::Unbounded)));
        assert_eq!(scan_range(b"b", Some(b"a")), Some((included(b"b"), excluded(b"c"))));
        assert_eq!(scan_range(b"b", Some(b"c")), None);
    }
}
