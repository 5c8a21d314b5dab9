//! The tree is a function of the set of leaves.

use mesto_crdt::tree::{CACHED_DEPTH_MAX, leaf_count};
use mesto_crdt::{
    Author, CollectionId, Commit, Delta, DeltaId, DotRef, Hlc, Kind, MemoryState, Op, RootHash, Space, Transaction,
    TreeCache, Value, recomputed_root, root,
};
use proptest::prelude::*;

use crate::model::Random;

fn map() -> CollectionId {
    CollectionId::ROOT.child(Kind::Map, b"m")
}

/// A commit that puts, changes and removes entries. The dots of puts depend on the key alone.
fn commit(state: &MemoryState, cache: &mut TreeCache, put: &[u32], removed: &[u32]) -> Commit {
    let mut transaction = Transaction::new(state, cache);
    let id = |key: u32| DeltaId(*blake3::hash(&key.to_be_bytes()).as_bytes());
    for key in put {
        let op = Op::Assign {
            collection: map(),
            key: key.to_be_bytes().to_vec(),
            value: Value::Bytes(vec![7]),
            overwrites: vec![],
        };
        let delta = Delta { id: id(*key), author: Author([1; 32]), stamp: Hlc::ZERO, ops: &[op] };
        transaction.apply(&delta, &|_| false).expect("applies");
    }
    for key in removed {
        let op = Op::Remove {
            collection: map(),
            key: key.to_be_bytes().to_vec(),
            observed: vec![DotRef { delta: id(*key), index: 0 }],
        };
        let delta = Delta { id: DeltaId([9; 32]), author: Author([1; 32]), stamp: Hlc::ZERO, ops: &[op] };
        transaction.apply(&delta, &|_| true).expect("applies");
    }
    transaction.finish().expect("sound")
}

fn fresh(keys: &[u32]) -> MemoryState {
    let mut state = MemoryState::new();
    let commit = commit(&state, &mut TreeCache::new(), keys, &[]);
    state.apply_writes(&commit.writes);
    state
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_incremental_tree_is_the_rebuilt_one(seed in any::<u64>(), sizes in prop::collection::vec(1usize..400, 1..6)) {
        let mut random = Random(seed);
        let (mut state, mut cache) = (MemoryState::new(), TreeCache::new());
        let mut live: Vec<u32> = Vec::new();
        for size in sizes {
            let put: Vec<u32> = (0..size).map(|_| random.next() as u32).collect();
            let kept = random.below(live.len() + 1);
            let removed = live.split_off(kept);
            let step = commit(&state, &mut cache, &put, &removed);
            state.apply_writes(&step.writes);
            live.extend(put);
            live.sort_unstable();
            live.dedup();
            prop_assert_eq!(step.root, recomputed_root(&state));
            prop_assert_eq!(step.leaves, live.len() as u64);
            prop_assert_eq!(leaf_count(&state).expect("sound"), live.len() as u64);
            prop_assert!(state == fresh(&live), "nodes of deleted subtrees are gone");
        }
        let all = std::mem::take(&mut live);
        let step = commit(&state, &mut cache, &[], &all);
        state.apply_writes(&step.writes);
        prop_assert!(state == MemoryState::new());
        prop_assert_eq!(step.root, RootHash::empty());
    }
}

#[test]
fn an_empty_state_has_a_fixed_root() {
    let state = MemoryState::new();
    assert_eq!(root(&state).expect("sound"), RootHash::empty());
    assert_eq!(recomputed_root(&state), RootHash::empty());
    let nothing = commit(&state, &mut TreeCache::new(), &[], &[]);
    assert_eq!((nothing.root, nothing.leaves, nothing.changed), (RootHash::empty(), 0, 0));
}

#[test]
fn a_commit_that_changes_nothing_writes_nothing() {
    let keys: Vec<u32> = (0..100).collect();
    let state = fresh(&keys);
    let same = commit(&state, &mut TreeCache::new(), &[3], &[]);
    assert_eq!(same.writes, []);
    assert_eq!(same.root, root(&state).expect("sound"));
}

#[test]
fn a_commit_writes_each_key_once_and_only_the_touched_path() {
    let keys: Vec<u32> = (0..5000).collect();
    let state = fresh(&keys);
    let step = commit(&state, &mut TreeCache::new(), &[5001], &[17]);
    let mut places: Vec<_> = step.writes.iter().map(|write| (write.space, &write.key)).collect();
    places.sort();
    places.dedup();
    assert_eq!(places.len(), step.writes.len());
    assert!(step.writes.len() < 16, "{}", step.writes.len());
}

/// The cache may have seen commits that were abandoned, and views that are older or of other versions.
#[test]
fn a_cache_of_any_past_gives_the_same_commit() {
    let keys: Vec<u32> = (0..3000).collect();
    let older = fresh(&keys);
    let mut cache = TreeCache::new();
    let newer = {
        let mut state = older.clone();
        let step = commit(&state, &mut cache, &[9_000], &[5]);
        state.apply_writes(&step.writes);
        state
    };
    for seed in 0..30 {
        let mut random = Random(seed);
        for state in [&older, &newer] {
            let put = [random.next() as u32];
            let removed = [random.below(3000) as u32];
            let with_cache = commit(state, &mut cache, &put, &removed);
            let without = commit(state, &mut TreeCache::new(), &put, &removed);
            assert_eq!((with_cache.writes, with_cache.root), (without.writes, without.root));
        }
    }
    assert!(!cache.is_empty());
    assert!(cache.len() <= (0..=u32::from(CACHED_DEPTH_MAX)).map(|d| 16usize.pow(d)).sum());
}

#[test]
fn a_damaged_store_is_an_error_not_a_panic() {
    let keys: Vec<u32> = (0..600).collect();
    let state = fresh(&keys);
    for space in [Space::Leaf, Space::Node, Space::Count] {
        for (key, value) in state.pairs(space).take(40) {
            for value in [None, Some(vec![]), Some(vec![2; value.len()]), Some(vec![0xff; 3])] {
                let mut damaged = state.clone();
                let write = mesto_crdt::Write { space, key: key.to_vec(), value };
                damaged.apply_writes(&[write]);
                let mut cache = TreeCache::new();
                let mut transaction = Transaction::new(&damaged, &mut cache);
                let ops: Vec<Op> = (0..600u32)
                    .map(|key| Op::Remove {
                        collection: map(),
                        key: key.to_be_bytes().to_vec(),
                        observed: vec![DotRef {
                            delta: DeltaId(*blake3::hash(&key.to_be_bytes()).as_bytes()),
                            index: 0,
                        }],
                    })
                    .collect();
                let delta = Delta { id: DeltaId([9; 32]), author: Author([1; 32]), stamp: Hlc::ZERO, ops: &ops };
                if transaction.apply(&delta, &|_| true).is_ok() {
                    let _ = transaction.finish();
                }
            }
        }
    }
}
