//! Laws that hold for all histories.

use std::collections::{BTreeMap, BTreeSet};

use mesto_crdt::{
    Kind, MemoryState, Rebuilding, Rebuilt, Space, Transaction, TreeCache, decode_ops, encode_ops, leaf,
    recomputed_root, root,
};
use proptest::prelude::*;

use crate::model::{Action, Random, actions, check_loaded, draft, look, run};

fn counts_match_leaves(state: &MemoryState) {
    let mut counts: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for (key, _) in state.pairs(Space::Leaf) {
        let collection = leaf::collection_of(key).expect("a leaf key");
        *counts.entry(collection.as_bytes().to_vec()).or_default() += 1;
    }
    let stored = state
        .pairs(Space::Count)
        .map(|(key, value)| (key.to_vec(), u64::from_le_bytes(value.try_into().expect("8 bytes"))));
    assert_eq!(counts, stored.collect());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Leaves, nodes, counts and root: everything that is stored.
    #[test]
    fn any_causal_order_and_any_batching_give_the_same_state(
        actions in actions(24), seed in any::<u64>(),
    ) {
        let (history, replicas) = run(&actions);
        let mut random = Random(seed);
        let one = history.replay(&mut random);
        let two = history.replay(&mut random);
        prop_assert!(one == two);
        prop_assert_eq!(root(&one).expect("sound"), recomputed_root(&one));
        counts_match_leaves(&one);
        for mut replica in replicas {
            let all: BTreeSet<usize> = (0..history.entries.len()).collect();
            let missing: Vec<usize> = all.difference(&replica.held).copied().collect();
            history.apply(&mut replica.state, &mut replica.cache, &missing);
            check_loaded(&replica.state);
            prop_assert!(replica.state.read == one);
        }
    }

    #[test]
    fn what_a_draft_reads_is_what_its_operations_give(actions in actions(24)) {
        let (history, replicas) = run(&actions);
        for action in &actions {
            let Action::Draft { replica, edits } = action else { continue };
            // On the final states, with all the conflicts that the history left in them.
            let mut state = replicas[*replica].state.clone();
            let mut draft_now = draft(&state, *replica);
            for edit in edits {
                let _ = edit.run(&mut draft_now);
            }
            let expected = look(&mut draft_now);
            let bytes = draft_now.ops_bytes();
            let ops = draft_now.finish().expect("within the limits");
            let len = encode_ops(&ops).len();
            prop_assert!(len <= bytes);
            // What is done to texts and lists is estimated, and maps may hold them.
            if edits.iter().all(|edit| matches!(edit.kind(), Kind::Register | Kind::Counter | Kind::Set)) {
                prop_assert_eq!(len, bytes);
            }
            prop_assert_eq!(&decode_ops(&encode_ops(&ops)).expect("canonical"), &ops);

            let mut extended = crate::model::History::default();
            for entry in &history.entries {
                extended.add(entry.author, entry.past.clone(), entry.ops.clone());
            }
            let held = replicas[*replica].held.clone();
            let number = extended.add(crate::model::author(*replica), held, ops);
            extended.apply(&mut state, &mut TreeCache::new(), &[number]);
            prop_assert_eq!(look(&mut draft(&state, *replica)), expected);
        }
    }

    #[test]
    fn to_look_changes_nothing(actions in actions(16)) {
        let (_, replicas) = run(&actions);
        let mut draft = draft(&replicas[0].state, 0);
        look(&mut draft);
        prop_assert_eq!(draft.finish(), Ok(vec![]));
    }

    #[test]
    fn voiding_a_delta_is_as_if_it_had_never_been_applied(
        actions in actions(24), pick in any::<prop::sample::Index>(), seed in any::<u64>(), part_len in 1usize..9,
    ) {
        let (mut history, _) = run(&actions);
        if history.entries.is_empty() {
            return Ok(());
        }
        let mut state = history.replay(&mut Random(seed));
        let voided = pick.index(history.entries.len());
        history.void.insert(voided);
        let keys = |i: usize| history.delta(i).leaf_keys(&state, &history.in_past(i)).expect("sound");
        let leaves = keys(voided);
        let mut cache = TreeCache::new();
        // Part by part, each in a transaction of its own; what others touch is passed over.
        let mut rebuilding = Rebuilding::of(leaves);
        let order: Vec<usize> = (0..history.entries.len()).collect();
        for part in order.chunks(part_len) {
            let pasts: Vec<_> = part.iter().map(|i| history.in_past(*i)).collect();
            let deltas: Vec<_> = part.iter().zip(&pasts).map(|(i, in_past)| {
                Rebuilt { delta: history.delta(*i), in_past, is_void: *i == voided }
            }).collect();
            let before = state.clone();
            let mut transaction = Transaction::new(&before, &mut cache);
            transaction.rebuild(&mut rebuilding, &deltas).expect("sound");
            let untouched = transaction.finish().expect("sound").writes;
            prop_assert!(untouched.is_empty(), "nothing shows before the whole is there");
        }
        let mut transaction = Transaction::new(&state, &mut cache);
        transaction.put_rebuilt(&rebuilding).expect("sound");
        let writes = transaction.finish().expect("sound").writes;
        state.apply_writes(&writes);
        prop_assert!(state == history.replay(&mut Random(seed)));
    }

    #[test]
    fn no_bytes_make_the_decoders_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(ops) = decode_ops(&bytes) {
            prop_assert_eq!(encode_ops(&ops), bytes.clone());
        }
        if let Ok(leaf) = leaf::Leaf::decode(&[3; 40], &bytes) {
            prop_assert_eq!(leaf.encode(), bytes.clone());
        }
        if let Some(node) = mesto_crdt::tree::Node::decode(&bytes) {
            prop_assert_eq!(node.encode(), bytes);
        }
    }

    /// Near misses reach further into the decoders than random bytes.
    #[test]
    fn what_decodes_re_encodes_to_the_same_bytes(
        actions in actions(8), at in any::<prop::sample::Index>(), bit in 0u8..8,
    ) {
        let (history, _) = run(&actions);
        for entry in &history.entries {
            let mut bytes = encode_ops(&entry.ops);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(ops) = decode_ops(&bytes) {
                prop_assert_eq!(encode_ops(&ops), bytes);
            }
        }
    }
}
