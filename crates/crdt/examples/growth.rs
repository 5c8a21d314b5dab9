//! How the cost of one assignment grows with the state:
//! `cargo run --release -p mesto-crdt --example growth [ENTRIES]`.
//!
//! Prints, for states of 1,000 entries up to ENTRIES (1,000,000), what a call costs that sets an existing
//! key and is drafted, applied and committed by itself, on a state in memory: nanoseconds to draft and to
//! apply, both without the reads of the store, then nanoseconds of those reads, and bytes of tree written.
//! Each is the median of many calls.

use std::cell::Cell;
use std::time::Instant;

use mesto_crdt::{
    Author, Delta, DeltaId, Draft, DraftLimits, Hlc, Kind, MemoryState, Op, Read, Space, Transaction, TreeCache, Write,
    next,
};

const AUTHOR: Author = Author([1; 32]);
const VALUE_BYTES: usize = 64;
const CALLS: u64 = 20_000;

struct Context {
    state: MemoryState,
    cache: TreeCache,
    stamp: Hlc,
}

/// The cost of a call.
struct Cost {
    draft_ns: u128,
    apply_ns: u128,
    read_ns: u128,
    tree_bytes: u128,
}

/// A store whose reads are timed.
struct Timed<'a> {
    state: &'a MemoryState,
    ns: Cell<u128>,
}

impl Timed<'_> {
    fn time<T>(&self, read: impl FnOnce(&MemoryState) -> T) -> T {
        let start = Instant::now();
        let result = read(self.state);
        self.ns.set(self.ns.get() + start.elapsed().as_nanos());
        result
    }
}

impl Read for Timed<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Option<Vec<u8>> {
        self.time(|state| state.get(space, key))
    }

    fn scan(&self, space: Space, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.time(|state| state.scan(space, prefix, after, limit))
    }
}

fn main() {
    let entries_max = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let mut context = Context { state: MemoryState::new(), cache: TreeCache::new(), stamp: Hlc::ZERO };
    let mut filled = 0;
    let mut size = 1_000u64;
    println!("{:>9} {:>9} {:>9} {:>9} {:>11}", "entries", "draft ns", "apply ns", "reads ns", "tree bytes");
    while size <= entries_max {
        while filled < size {
            let batch = (filled..size.min(filled + 10_000)).collect::<Vec<_>>();
            filled += batch.len() as u64;
            set(&mut context, &batch);
        }
        let costs: Vec<Cost> =
            (0..CALLS).map(|call| set(&mut context, &[call.wrapping_mul(0x9e37_79b9_7f4a_7c15) % size])).collect();
        let median = |part: fn(&Cost) -> u128| {
            let mut parts: Vec<u128> = costs.iter().map(part).collect();
            parts.sort_unstable();
            parts[parts.len() / 2]
        };
        let (draft, apply) = (median(|cost| cost.draft_ns), median(|cost| cost.apply_ns));
        let (reads, bytes) = (median(|cost| cost.read_ns), median(|cost| cost.tree_bytes));
        println!("{size:>9} {draft:>9} {apply:>9} {reads:>9} {bytes:>11}");
        size *= 10;
    }
}

/// One call that sets these keys.
fn set(context: &mut Context, keys: &[u64]) -> Cost {
    let read = Timed { state: &context.state, ns: Cell::new(0) };
    let start = Instant::now();
    let mut draft = Draft::new(&read, AUTHOR, DraftLimits::default());
    let map = draft.open_root("entries", Kind::Map).expect("opens");
    for key in keys {
        draft.map_insert(map, &key.to_be_bytes(), vec![7; VALUE_BYTES]).expect("inserts");
    }
    let ops: Vec<Op> = draft.finish().expect("within the limits");
    let draft_ns = start.elapsed().as_nanos() - read.ns.get();
    let draft_reads = read.ns.replace(0);

    let start = Instant::now();
    context.stamp = next(0, context.stamp).expect("in range");
    let mut id = [0; 32];
    id[..8].copy_from_slice(&context.stamp.bits().to_le_bytes());
    let delta = Delta { id: DeltaId(id), author: AUTHOR, stamp: context.stamp, ops: &ops };
    let mut transaction = Transaction::new(&read, &mut context.cache);
    transaction.apply(&delta, &|_| true).expect("applies");
    let commit = transaction.finish().expect("sound");
    let apply_ns = start.elapsed().as_nanos() - read.ns.get();
    let read_ns = draft_reads + read.ns.get();

    context.state.apply_writes(&commit.writes);
    let node = |write: &&Write| write.space == Space::Node;
    let written = commit.writes.iter().filter(node).filter_map(|write| write.value.as_ref());
    Cost { draft_ns, apply_ns, read_ns, tree_bytes: written.map(|value| value.len() as u128).sum() }
}
