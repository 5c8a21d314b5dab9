//! How the cost of one assignment grows with the state: `cargo run --release -p mesto-crdt --example growth [ENTRIES]`.
//!
//! Prints, for states of 1,000 entries up to ENTRIES (1,000,000), nanoseconds of CPU and bytes of tree written for a
//! call that sets an existing key: drafted, applied and committed by itself, on a state in memory.

use std::time::Instant;

use mesto_crdt::{
    Author, Delta, DeltaId, Draft, DraftLimits, Hlc, Kind, MemoryState, Op, Space, Transaction,
    TreeCache, Write, next,
};

const AUTHOR: Author = Author([1; 32]);
const VALUE_BYTES: usize = 64;
const CALLS: u64 = 20_000;

struct Context {
    state: MemoryState,
    cache: TreeCache,
    stamp: Hlc,
}

fn main() {
    let entries_max = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(1_000_000);
    let mut context = Context {
        state: MemoryState::new(),
        cache: TreeCache::new(),
        stamp: Hlc::ZERO,
    };
    let mut filled = 0;
    let mut size = 1_000u64;
    println!(
        "{:>9} {:>9} {:>9} {:>9} {:>12}",
        "entries", "draft ns", "apply ns", "write ns", "tree bytes"
    );
    while size <= entries_max {
        while filled < size {
            let batch = (filled..size.min(filled + 10_000)).collect::<Vec<_>>();
            filled += batch.len() as u64;
            set(&mut context, &batch);
        }
        let mut spent = [0u128; 3];
        let mut tree_bytes = 0;
        for call in 0..CALLS {
            let key = call.wrapping_mul(0x9e37_79b9_7f4a_7c15) % size;
            let (times, written) = set(&mut context, &[key]);
            for (total, time) in spent.iter_mut().zip(times) {
                *total += time;
            }
            tree_bytes += written;
        }
        let [draft, apply, write] = spent.map(|total| total / u128::from(CALLS));
        let tree_bytes = tree_bytes / CALLS as usize;
        println!("{size:>9} {draft:>9} {apply:>9} {write:>9} {tree_bytes:>12}");
        size *= 10;
    }
}

/// One call that sets these keys; nanoseconds to draft, to apply and commit, to write, and bytes of tree.
fn set(context: &mut Context, keys: &[u64]) -> ([u128; 3], usize) {
    let start = Instant::now();
    let mut draft = Draft::new(&context.state, AUTHOR, DraftLimits::default());
    let map = draft.open_root("entries", Kind::Map).expect("opens");
    for key in keys {
        draft
            .map_insert(map, &key.to_be_bytes(), vec![7; VALUE_BYTES])
            .expect("inserts");
    }
    let ops: Vec<Op> = draft.finish().expect("within the limits");
    let drafted = start.elapsed().as_nanos();

    let start = Instant::now();
    context.stamp = next(0, context.stamp).expect("in range");
    let mut id = [0; 32];
    id[..8].copy_from_slice(&context.stamp.bits().to_le_bytes());
    let delta = Delta {
        id: DeltaId(id),
        author: AUTHOR,
        stamp: context.stamp,
        ops: &ops,
    };
    let mut transaction = Transaction::new(&context.state, &mut context.cache);
    transaction.apply(&delta, &|_| true).expect("applies");
    let commit = transaction.finish().expect("sound");
    let applied = start.elapsed().as_nanos();

    let start = Instant::now();
    context.state.apply_writes(&commit.writes);
    let written = start.elapsed().as_nanos();
    let tree = |write: &&Write| write.space == Space::Node;
    let bytes = commit
        .writes
        .iter()
        .filter(tree)
        .filter_map(|write| write.value.as_ref());
    ([drafted, applied, written], bytes.map(Vec::len).sum())
}
