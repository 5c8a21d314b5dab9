//! What was acknowledged survives the sudden death of the process, and no batch survives in part.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use mesto_node::store::{Batch, CommitError, Keyspace, Snapshot, Store};

use super::{CommitObserver, Committer, DiskStore, ENGINE_FOLDER};

/// Names the store's folder to the process that dies.
const FOLDER_VARIABLE: &str = "MESTO_TEST_CRASH_FOLDER";

/// New stores, because death amid the making of one is a case of its own.
const STORES: u64 = 4;

/// Deaths of each store.
const ROUNDS: u64 = 5;

#[test]
fn acknowledged_batches_survive_kill_and_every_batch_is_whole() {
    for store in 0..STORES {
        let folder = tempfile::tempdir().unwrap();
        let mut acknowledged = 0;
        for round in 0..ROUNDS {
            // From amid the making of the store to after some tables were flushed.
            let life = Duration::from_millis(3 + store * 9 + round * 45);
            acknowledged = acknowledged.max(run_and_kill(folder.path(), life));
            let present = whole_batches(folder.path());
            assert!(present >= acknowledged, "{store}.{round}: {acknowledged} acknowledged, {present} present");
        }
        assert!(acknowledged > 0, "the writer got something done");
    }
}

#[test]
fn a_torn_journal_loses_whole_batches_from_its_end_only() {
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(folder.path()).unwrap();
    for number in 1..=60 {
        store.commit(&[numbered(number, 500)]).unwrap();
    }
    drop(store);
    let journal = std::fs::read_dir(folder.path().join(ENGINE_FOLDER))
        .unwrap()
        .map(|file| file.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "jnl"))
        .unwrap();
    let bytes = std::fs::read(&journal).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    let mut before = 60;
    for cut in [used - 3, used - 6_000, used / 2, used / 3] {
        let mut torn = bytes.clone();
        torn[cut..].fill(0);
        std::fs::write(&journal, &torn).unwrap();
        let present = whole_batches(folder.path());
        assert!(present < before, "cut at {cut} of {used}: {present} present");
        assert!(present > 0);
        before = present;
    }
}

/// Lets a child write until it is killed; returns the last number that it saw acknowledged.
fn run_and_kill(folder: &Path, life: Duration) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(
            ["--exact", concat!(module_path!(), "::writes_until_killed"), "--ignored", "--nocapture"]
                .map(without_crate),
        )
        .env(FOLDER_VARIABLE, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        output
            .lines()
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("durable ")?.strip_suffix('.')?.parse().ok())
            .max()
            .unwrap_or(0)
    });
    std::thread::sleep(life);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

/// Tests are named without their crate.
fn without_crate(argument: &str) -> &str {
    argument.split_once("::").filter(|_| !argument.starts_with('-')).map_or(argument, |(_, rest)| rest)
}

/// The child of [`run_and_kill`]: writes numbered batches and prints those that are durable.
#[test]
#[ignore = "runs as the child of another test"]
fn writes_until_killed() {
    let Ok(folder) = std::env::var(FOLDER_VARIABLE) else { return };
    let store = DiskStore::open(Path::new(&folder)).unwrap();
    let mut number = last_number(&*store.snapshot());
    let committer = Committer::start(Arc::new(store), Printer).unwrap();
    let submitter = committer.submitter();
    loop {
        number += 1;
        // Now and then large, so that memtables and journals fill within a few rounds.
        let value_bytes = if number.is_multiple_of(16) { 100_000 } else { 100 };
        submitter.submit(0, number, numbered(number, value_bytes)).unwrap();
    }
}

struct Printer;

impl CommitObserver for Printer {
    fn durable(&mut self, batches: Vec<(u64, u64)>, _: Arc<dyn Snapshot>) {
        let mut output = std::io::stdout().lock();
        for (_, number) in batches {
            writeln!(output, "durable {number}.").unwrap();
        }
        output.flush().unwrap();
    }

    fn failed(&mut self, error: CommitError) {
        panic!("{error}");
    }
}

/// A batch that leaves its number in each keyspace, and replaces the last one.
fn numbered(number: u64, value_bytes: usize) -> Batch {
    let mut batch = Batch::default();
    for keyspace in Keyspace::ALL {
        batch.put(keyspace, [b"n".as_slice(), &number.to_be_bytes()].concat(), vec![number as u8; value_bytes]);
        batch.put(keyspace, b"last", number.to_be_bytes());
    }
    batch.put(Keyspace::Meta, [b"t".as_slice(), &number.to_be_bytes()].concat(), b"");
    batch.remove(Keyspace::Meta, [b"t".as_slice(), &(number - 1).to_be_bytes()].concat());
    batch
}

fn last_number(snapshot: &dyn Snapshot) -> u64 {
    snapshot.get(Keyspace::Meta, b"last").map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()))
}

/// Opens the store, and returns how many batches it holds after checking that they are whole and without a gap.
fn whole_batches(folder: &Path) -> u64 {
    let store = DiskStore::open(folder).unwrap();
    let snapshot = store.snapshot();
    let last = last_number(&*snapshot);
    for keyspace in Keyspace::ALL {
        let numbers: Vec<u64> = snapshot
            .scan(keyspace, b"n", None, usize::MAX)
            .into_iter()
            .map(|(key, value)| {
                let number = u64::from_be_bytes(key[1..].try_into().unwrap());
                assert!(value == vec![number as u8; value.len()], "{keyspace:?} {number}");
                number
            })
            .collect();
        assert!(numbers.iter().copied().eq(1..=last), "{keyspace:?} has {} of {last}", numbers.len());
        let stored = snapshot.get(keyspace, b"last").map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()));
        assert_eq!(stored, last, "{keyspace:?}");
    }
    let marks = snapshot.scan(Keyspace::Meta, b"t", None, usize::MAX);
    assert_eq!(marks.len(), usize::from(last > 0), "a batch removes the mark of the one before");
    last
}
