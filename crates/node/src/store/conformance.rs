//! What every store must do, as code: run against each implementation, with the one in memory as the oracle.
//!
//! Pure: all contents come from a seed. Checks report the broken rule as a value, so that a harness of any kind can
//! use them.

use super::{Batch, CommitError, Keyspace, Pair, Snapshot, Store, memory::MemoryStore};

/// Opens the store under test: always the same contents, and only when what an earlier call returned is gone.
pub type Open<'a> = &'a mut dyn FnMut() -> Box<dyn Store>;

/// The size of the largest value that a store must take: a delta may have 16 MiB.
pub const VALUE_BYTES_LARGEST: usize = 16 << 20;

/// The longest key that a store must take; it refuses longer ones, and empty ones.
pub const KEY_BYTES_MAX: usize = u16::MAX as usize;

/// A store broke its contract.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A read differs from what was written.
    #[error("{rule}: expected {expected}, found {found}")]
    WrongRead {
        /// The rule.
        rule: &'static str,
        /// What the rule demands, shortened.
        expected: String,
        /// What the store returned, shortened.
        found: String,
    },
    /// A store that must accept a commit did not.
    #[error("{rule}: {source}")]
    CommitFailed {
        /// The rule.
        rule: &'static str,
        /// What the store said.
        source: CommitError,
    },
    /// A store that must refuse a commit did not.
    #[error("{rule}")]
    CommitAccepted {
        /// The rule.
        rule: &'static str,
    },
}

/// Checks each rule of the contract once. The store may hold other keys than those that begin with `conformance/`.
///
/// # Errors
/// The first [`Violation`] found.
pub fn check(open: Open<'_>) -> Result<(), Violation> {
    let store = open();
    reads_what_was_written(&*store)?;
    keyspaces_are_apart(&*store)?;
    the_last_write_of_a_key_wins(&*store)?;
    many_batches_make_one_commit(&*store)?;
    snapshots_do_not_change(&*store)?;
    scans_follow_prefix_after_and_limit(&*store)?;
    scans_respect_the_edges_of_bytes(&*store)?;
    takes_empty_and_large_values(&*store)?;
    drop(store);
    reopening_keeps_all(open)?;
    refuses_keys_without_bytes_or_with_too_many(open)
}

/// Applies `steps` random commits to the store and to a [`MemoryStore`], and compares gets and scans of both, of older
/// snapshots too, and after each of a few reopenings. The store must be empty at first.
///
/// # Errors
/// The first [`Violation`] found; the same seed finds it again.
pub fn compare(open: Open<'_>, seed: u64, steps: u32) -> Result<(), Violation> {
    /// How many commits lie between two reopenings: few enough that some tables were written to disk before.
    const STEPS_PER_OPENING: u32 = 64;
    let mut random = SplitMix(seed);
    let oracle = MemoryStore::new();
    let mut done = 0;
    while done < steps {
        let store = open();
        compare_all(&*store.snapshot(), &*oracle.snapshot())?;
        let mut older = (store.snapshot(), oracle.snapshot());
        for _ in 0..STEPS_PER_OPENING.min(steps - done) {
            let batches = random.batches();
            commit("random batches commit", &*store, &batches)?;
            commit("random batches commit", &oracle, &batches)?;
            compare_some(&*store.snapshot(), &*oracle.snapshot(), &mut random)?;
            compare_some(&*older.0, &*older.1, &mut random)?;
            if random.below(4) == 0 {
                older = (store.snapshot(), oracle.snapshot());
            }
            done += 1;
        }
        compare_all(&*older.0, &*older.1)?;
    }
    compare_all(&*open().snapshot(), &*oracle.snapshot())
}

fn reads_what_was_written(store: &dyn Store) -> Result<(), Violation> {
    let rule = "a committed value is read back, and a removed one is not";
    let mut batch = Batch::default();
    batch.put(Keyspace::Meta, key("a"), b"1");
    batch.put(Keyspace::Meta, key("b"), b"2");
    commit(rule, store, &[batch])?;
    expect_get(rule, &*store.snapshot(), Keyspace::Meta, "a", Some(b"1"))?;
    expect_get(rule, &*store.snapshot(), Keyspace::Meta, "b", Some(b"2"))?;
    expect_get(rule, &*store.snapshot(), Keyspace::Meta, "c", None)?;
    let mut batch = Batch::default();
    batch.remove(Keyspace::Meta, key("a"));
    batch.remove(Keyspace::Meta, key("never there"));
    commit(rule, store, &[batch])?;
    expect_get(rule, &*store.snapshot(), Keyspace::Meta, "a", None)?;
    expect_get(rule, &*store.snapshot(), Keyspace::Meta, "b", Some(b"2"))?;
    commit("a commit of nothing succeeds", store, &[])?;
    commit("a commit of an empty batch succeeds", store, &[Batch::default()])
}

fn keyspaces_are_apart(store: &dyn Store) -> Result<(), Violation> {
    let rule = "one batch writes all keyspaces, and a key of one is not seen in another";
    let mut batch = Batch::default();
    for keyspace in Keyspace::ALL {
        batch.put(keyspace, key("same"), keyspace.name());
    }
    commit(rule, store, &[batch])?;
    for keyspace in Keyspace::ALL {
        expect_get(rule, &*store.snapshot(), keyspace, "same", Some(keyspace.name().as_bytes()))?;
    }
    let mut batch = Batch::default();
    batch.remove(Keyspace::Log, key("same"));
    commit(rule, store, &[batch])?;
    for keyspace in Keyspace::ALL {
        let expected = (keyspace != Keyspace::Log).then(|| keyspace.name().as_bytes());
        expect_get(rule, &*store.snapshot(), keyspace, "same", expected)?;
    }
    Ok(())
}

fn the_last_write_of_a_key_wins(store: &dyn Store) -> Result<(), Violation> {
    let rule = "of several writes of a key in one commit the last counts";
    let mut first = Batch::default();
    first.put(Keyspace::State, key("put put"), b"1");
    first.put(Keyspace::State, key("put put"), b"2");
    first.put(Keyspace::State, key("put remove"), b"1");
    first.remove(Keyspace::State, key("put remove"));
    first.remove(Keyspace::State, key("remove put"));
    first.put(Keyspace::State, key("remove put"), b"1");
    first.put(Keyspace::State, key("over batches"), b"1");
    first.put(Keyspace::State, key("gone over batches"), b"1");
    let mut second = Batch::default();
    second.put(Keyspace::State, key("over batches"), b"2");
    second.remove(Keyspace::State, key("gone over batches"));
    commit(rule, store, &[first, second])?;
    let snapshot = store.snapshot();
    expect_get(rule, &*snapshot, Keyspace::State, "put put", Some(b"2"))?;
    expect_get(rule, &*snapshot, Keyspace::State, "put remove", None)?;
    expect_get(rule, &*snapshot, Keyspace::State, "remove put", Some(b"1"))?;
    expect_get(rule, &*snapshot, Keyspace::State, "over batches", Some(b"2"))?;
    expect_get(rule, &*snapshot, Keyspace::State, "gone over batches", None)
}

fn many_batches_make_one_commit(store: &dyn Store) -> Result<(), Violation> {
    let rule = "a commit of many batches holds them all, in order";
    let batches: Vec<Batch> = (0..512_u32)
        .map(|index| {
            let mut batch = Batch::default();
            batch.put(Keyspace::Log, key(&format!("many/{index:04}")), index.to_be_bytes());
            batch.put(Keyspace::Meta, key("many"), index.to_be_bytes());
            batch
        })
        .collect();
    commit(rule, store, &batches)?;
    let snapshot = store.snapshot();
    expect_get(rule, &*snapshot, Keyspace::Meta, "many", Some(&511_u32.to_be_bytes()))?;
    let found = snapshot.scan(Keyspace::Log, &key("many/"), None, usize::MAX);
    let expected: Vec<Pair> =
        (0..512_u32).map(|index| (key(&format!("many/{index:04}")), index.to_be_bytes().to_vec())).collect();
    expect_pairs(rule, &expected, &found)
}

fn snapshots_do_not_change(store: &dyn Store) -> Result<(), Violation> {
    let rule = "a snapshot shows one moment, whatever is committed later";
    let write = |text: &[u8]| {
        let mut batch = Batch::default();
        batch.put(Keyspace::State, key("moment/kept"), text);
        batch.put(Keyspace::Tree, key("moment/kept"), text);
        batch
    };
    commit(rule, store, &[write(b"before")])?;
    let before = store.snapshot();
    let mut batch = write(b"after");
    batch.put(Keyspace::State, key("moment/new"), b"after");
    commit(rule, store, &[batch])?;
    let after = store.snapshot();
    let mut batch = Batch::default();
    batch.remove(Keyspace::State, key("moment/kept"));
    batch.remove(Keyspace::Tree, key("moment/kept"));
    commit(rule, store, &[batch])?;
    for keyspace in [Keyspace::State, Keyspace::Tree] {
        expect_get(rule, &*before, keyspace, "moment/kept", Some(b"before"))?;
        expect_get(rule, &*after, keyspace, "moment/kept", Some(b"after"))?;
        expect_get(rule, &*store.snapshot(), keyspace, "moment/kept", None)?;
    }
    let scan = |snapshot: &dyn Snapshot| snapshot.scan(Keyspace::State, &key("moment/"), None, 10);
    expect_pairs(rule, &[(key("moment/kept"), b"before".to_vec())], &scan(&*before))?;
    let expected = [(key("moment/kept"), b"after".to_vec()), (key("moment/new"), b"after".to_vec())];
    expect_pairs(rule, &expected, &scan(&*after))?;
    expect_pairs(rule, &expected[1..], &scan(&*store.snapshot()))
}

fn scans_follow_prefix_after_and_limit(store: &dyn Store) -> Result<(), Violation> {
    let rule = "a scan gives the keys of its prefix in order, strictly after a key, up to a limit";
    let names = ["s", "s/", "s/a", "s/a/1", "s/b", "s/c", "s0", "t"];
    let mut batch = Batch::default();
    for name in names.iter().rev() {
        batch.put(Keyspace::Log, key(name), *name);
    }
    commit(rule, store, &[batch])?;
    let snapshot = store.snapshot();
    let expect = |prefix: &str, after: Option<&str>, limit: usize, expected: &[&str]| {
        let found = snapshot.scan(Keyspace::Log, &key(prefix), after.map(key).as_deref(), limit);
        let expected: Vec<Pair> = expected.iter().map(|name| (key(name), name.as_bytes().to_vec())).collect();
        expect_pairs(rule, &expected, &found)
    };
    expect("s/", None, 10, &["s/", "s/a", "s/a/1", "s/b", "s/c"])?;
    expect("s/", None, 2, &["s/", "s/a"])?;
    expect("s/", None, 0, &[])?;
    expect("s/", Some("s/a"), 10, &["s/a/1", "s/b", "s/c"])?;
    expect("s/", Some("s/a"), 1, &["s/a/1"])?;
    expect("s/", Some("s/absent"), 10, &["s/b", "s/c"])?;
    expect("s/", Some("s/c"), 10, &[])?;
    expect("s/", Some("r"), 10, &["s/", "s/a", "s/a/1", "s/b", "s/c"])?;
    expect("s/", Some("t"), 10, &[])?;
    expect("s", None, 10, &["s", "s/", "s/a", "s/a/1", "s/b", "s/c", "s0"])?;
    expect("s/none", None, 10, &[])
}

fn scans_respect_the_edges_of_bytes(store: &dyn Store) -> Result<(), Violation> {
    let rule = "prefixes that end in 0xff and keys of 0x00 and 0xff scan like others";
    let edge = |tail: &[u8]| [&key("edge/"), tail].concat();
    let tails: [&[u8]; 7] = [&[0], &[0, 0], &[0xfe], &[0xfe, 0xff], &[0xff], &[0xff, 0xff], &[0xff, 0xff, 0]];
    let mut batch = Batch::default();
    for tail in tails {
        batch.put(Keyspace::Tree, edge(tail), tail);
    }
    batch.put(Keyspace::Tree, [0xff, 0xff], b"top");
    batch.put(Keyspace::Tree, [0xff, 0xff, 0xff], b"above");
    commit(rule, store, &[batch])?;
    let snapshot = store.snapshot();
    let expect = |prefix: &[u8], after: Option<&[u8]>, expected: &[&[u8]]| {
        let found = snapshot.scan(Keyspace::Tree, &edge(prefix), after.map(edge).as_deref(), 10);
        let expected: Vec<Pair> = expected.iter().map(|tail| (edge(tail), tail.to_vec())).collect();
        expect_pairs(rule, &expected, &found)
    };
    expect(&[], None, &tails)?;
    expect(&[0], None, &tails[..2])?;
    expect(&[0], Some(&[0]), &tails[1..2])?;
    expect(&[0xfe], None, &tails[2..4])?;
    expect(&[0xfe, 0xff], None, &tails[3..4])?;
    expect(&[0xff], None, &tails[4..])?;
    expect(&[0xff], Some(&[0xff]), &tails[5..])?;
    expect(&[0xff, 0xff], Some(&[0xff, 0xff, 0]), &[])?;
    let top = [(vec![0xff, 0xff], b"top".to_vec()), (vec![0xff, 0xff, 0xff], b"above".to_vec())];
    expect_pairs(rule, &top, &snapshot.scan(Keyspace::Tree, &[0xff, 0xff], None, 10))?;
    expect_pairs(rule, &top[1..], &snapshot.scan(Keyspace::Tree, &[0xff, 0xff], Some(&[0xff, 0xff]), 10))?;
    expect_pairs(rule, &top[1..], &snapshot.scan(Keyspace::Tree, &[], Some(&[0xff, 0xff]), 10))?;
    let all = snapshot.scan(Keyspace::Tree, &[], None, usize::MAX);
    let sorted = all.windows(2).all(|pair| pair[0].0 < pair[1].0);
    expect_eq("an empty prefix scans everything, in order", &(true, true), &(sorted, all.ends_with(&top)))?;
    let mut batch = Batch::default();
    batch.remove(Keyspace::Tree, [0xff, 0xff]);
    batch.remove(Keyspace::Tree, [0xff, 0xff, 0xff]);
    commit(rule, store, &[batch])
}

fn takes_empty_and_large_values(store: &dyn Store) -> Result<(), Violation> {
    let rule = "an empty value is a value, and 16 MiB are one too";
    let large = SplitMix(1).bytes(VALUE_BYTES_LARGEST);
    let mut batch = Batch::default();
    batch.put(Keyspace::Log, key("size/empty"), b"");
    batch.put(Keyspace::Log, key("size/large"), large.as_slice());
    batch.put(Keyspace::Log, [key("size/long key/").as_slice(), &[7; 1100]].concat(), b"long");
    commit(rule, store, &[batch])?;
    let snapshot = store.snapshot();
    expect_get(rule, &*snapshot, Keyspace::Log, "size/empty", Some(b""))?;
    expect_get(rule, &*snapshot, Keyspace::Log, "size/large", Some(&large))?;
    let found = snapshot.scan(Keyspace::Log, &key("size/"), None, 10);
    let expected = [
        (key("size/empty"), Vec::new()),
        (key("size/large"), large),
        ([key("size/long key/").as_slice(), &[7; 1100]].concat(), b"long".to_vec()),
    ];
    expect_pairs(rule, &expected, &found)
}

fn reopening_keeps_all(open: Open<'_>) -> Result<(), Violation> {
    let rule = "what was committed is there after reopening";
    let store = open();
    let mut batch = Batch::default();
    batch.put(Keyspace::State, key("reopen/kept"), b"1");
    batch.put(Keyspace::State, key("reopen/gone"), b"1");
    commit(rule, &*store, &[batch])?;
    let mut batch = Batch::default();
    batch.remove(Keyspace::State, key("reopen/gone"));
    commit(rule, &*store, &[batch])?;
    let before = store.snapshot();
    let listings = Keyspace::ALL.map(|keyspace| before.scan(keyspace, &key(""), None, usize::MAX));
    drop(before);
    drop(store);
    let store = open();
    let after = store.snapshot();
    expect_get(rule, &*after, Keyspace::State, "reopen/kept", Some(b"1"))?;
    expect_get(rule, &*after, Keyspace::State, "reopen/gone", None)?;
    for (keyspace, listing) in Keyspace::ALL.into_iter().zip(listings) {
        expect_pairs(rule, &listing, &after.scan(keyspace, &key(""), None, usize::MAX))?;
    }
    Ok(())
}

fn refuses_keys_without_bytes_or_with_too_many(open: Open<'_>) -> Result<(), Violation> {
    let rule = "a key has 1 to 65,535 bytes; a commit with another is refused as a whole";
    let longest = vec![7; KEY_BYTES_MAX];
    let mut batch = Batch::default();
    batch.put(Keyspace::Meta, longest.as_slice(), b"longest");
    commit(rule, &*open(), &[batch])?;
    for bad in [Vec::new(), vec![7; KEY_BYTES_MAX + 1]] {
        // A store need not take anything after a failed commit, so each case has an opening of its own.
        let store = open();
        let mut good = Batch::default();
        good.put(Keyspace::Meta, key("beside a bad key"), b"");
        let mut batch = Batch::default();
        batch.put(Keyspace::Meta, bad.as_slice(), b"");
        if store.commit(&[good, batch]).is_ok() {
            return Err(Violation::CommitAccepted { rule });
        }
        expect_get(rule, &*store.snapshot(), Keyspace::Meta, "beside a bad key", None)?;
        expect_eq(rule, &None, &store.snapshot().get(Keyspace::Meta, &bad))?;
    }
    let store = open();
    expect_eq(rule, &Some(b"longest".to_vec()), &store.snapshot().get(Keyspace::Meta, &longest))?;
    let mut batch = Batch::default();
    batch.remove(Keyspace::Meta, longest);
    commit(rule, &*store, &[batch])
}

fn compare_all(store: &dyn Snapshot, oracle: &dyn Snapshot) -> Result<(), Violation> {
    for keyspace in Keyspace::ALL {
        let expected = oracle.scan(keyspace, &[], None, usize::MAX);
        expect_pairs("a full scan equals the oracle's", &expected, &store.scan(keyspace, &[], None, usize::MAX))?;
        for (key, value) in &expected {
            let found = store.get(keyspace, key);
            expect_eq("each key of a scan can be got", &Some(Short(value)), &found.as_deref().map(Short))?;
        }
    }
    Ok(())
}

fn compare_some(store: &dyn Snapshot, oracle: &dyn Snapshot, random: &mut SplitMix) -> Result<(), Violation> {
    for _ in 0..8 {
        let keyspace = random.keyspace();
        let key = random.key();
        let (expected, found) = (oracle.get(keyspace, &key), store.get(keyspace, &key));
        expect_eq("a get equals the oracle's", &expected.as_deref().map(Short), &found.as_deref().map(Short))?;
    }
    for _ in 0..4 {
        let keyspace = random.keyspace();
        let mut prefix = random.key();
        prefix.truncate(random.below(3));
        let after = (random.below(2) == 0).then(|| random.key());
        let limit = random.below(40);
        let expected = oracle.scan(keyspace, &prefix, after.as_deref(), limit);
        let found = store.scan(keyspace, &prefix, after.as_deref(), limit);
        expect_pairs("a scan equals the oracle's", &expected, &found)?;
    }
    Ok(())
}

fn key(name: &str) -> Vec<u8> {
    format!("conformance/{name}").into_bytes()
}

fn commit(rule: &'static str, store: &dyn Store, batches: &[Batch]) -> Result<(), Violation> {
    store.commit(batches).map_err(|source| Violation::CommitFailed { rule, source })
}

fn expect_get(
    rule: &'static str,
    snapshot: &dyn Snapshot,
    keyspace: Keyspace,
    name: &str,
    expected: Option<&[u8]>,
) -> Result<(), Violation> {
    expect_eq(rule, &expected.map(Short), &snapshot.get(keyspace, &key(name)).as_deref().map(Short))
}

fn expect_pairs(rule: &'static str, expected: &[Pair], found: &[Pair]) -> Result<(), Violation> {
    if expected == found {
        return Ok(());
    }
    let at = expected.iter().zip(found).take_while(|(expected, found)| expected == found).count();
    let show = |pairs: &[Pair]| {
        let pair = pairs.get(at).map(|(key, value)| (Short(key), Short(value)));
        format!("{} pairs, at {at} {pair:?}", pairs.len())
    };
    Err(Violation::WrongRead { rule, expected: show(expected), found: show(found) })
}

fn expect_eq<T: PartialEq + std::fmt::Debug>(rule: &'static str, expected: &T, found: &T) -> Result<(), Violation> {
    if expected == found {
        return Ok(());
    }
    Err(Violation::WrongRead { rule, expected: format!("{expected:?}"), found: format!("{found:?}") })
}

/// Bytes that print their beginning and their length: a report of 16 MiB helps nobody.
#[derive(PartialEq)]
struct Short<'a>(&'a [u8]);

impl std::fmt::Debug for Short<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN_BYTES: usize = 24;
        match self.0.get(..SHOWN_BYTES) {
            Some(head) => write!(f, "\"{}…\" ({} bytes)", head.escape_ascii(), self.0.len()),
            None => write!(f, "\"{}\"", self.0.escape_ascii()),
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, slightly biased, which does not matter here.
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below a usize")]
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        bytes.truncate(len);
        bytes
    }

    fn keyspace(&mut self) -> Keyspace {
        Keyspace::ALL[self.below(Keyspace::ALL.len())]
    }

    /// One to four bytes of few kinds, so that keys meet again and prefixes nest.
    fn key(&mut self) -> Vec<u8> {
        const KINDS: [u8; 6] = [0x00, 0x01, b'k', 0x7f, 0xfe, 0xff];
        (0..=self.below(4)).map(|_| KINDS[self.below(KINDS.len())]).collect()
    }

    /// Mostly small batches, now and then a large value.
    fn batches(&mut self) -> Vec<Batch> {
        (0..self.below(5))
            .map(|_| {
                let mut batch = Batch::default();
                for _ in 0..self.below(12) {
                    let (keyspace, key) = (self.keyspace(), self.key());
                    match self.below(16) {
                        0..=4 => batch.remove(keyspace, key),
                        5 => batch.put(keyspace, key, b""),
                        6 => {
                            let len = self.below(100_000);
                            batch.put(keyspace, key, self.bytes(len));
                        }
                        _ => {
                            let len = self.below(64);
                            batch.put(keyspace, key, self.bytes(len));
                        }
                    }
                }
                batch
            })
            .collect()
    }
}
