//! The bytes of every format, once and for all. A failure here means that the change breaks stored states
//! and peers.

use mesto_crdt::sequence::{
    Anchor, Content, Deleted, DeletedOf, Item, Mint, Run, Spans, Stretch, deleted_key, spans_key,
};
use mesto_crdt::tree::Path;
use mesto_crdt::{
    Author, CollectionId, Delta, DeltaId, Dot, DotRef, Hlc, Kind, Leaf, Mark, MemoryState, Op, Read, RootHash,
    SlotMark, Space, Transaction, TreeCache, Value, decode_ops, encode_ops, leaf, tree,
};

fn expect(name: &str, golden: &str, bytes: &[u8]) {
    let golden: String = golden.split_whitespace().collect();
    assert_eq!(hex::encode(bytes), golden, "{name}.hex");
}

fn stamp(ms: u64) -> Hlc {
    Hlc::new(ms, 0).expect("in range")
}

/// One operation of each sort, naming the deltas of [`history`].
fn ops() -> Vec<Op> {
    let collection = |kind: Kind| CollectionId::ROOT.child(kind, b"field");
    let seen = |delta: u8, index| DotRef { delta: DeltaId([delta; 32]), index };
    let map = collection(Kind::Map);
    let mut ops = vec![
        Op::Assign {
            collection: collection(Kind::Register),
            key: vec![],
            value: Value::Bytes(b"value".to_vec()),
            overwrites: vec![seen(1, 0), seen(1, 2)],
        },
        Op::CounterAdd { collection: collection(Kind::Counter), amount: -3 },
        Op::CounterReset {
            collection: collection(Kind::Counter),
            observed: vec![SlotMark {
                author: Author([0xaa; 32]),
                mark: Mark { stamp: stamp(1), delta: DeltaId([1; 32]) },
                sum: -3,
                overwrites: vec![seen(1, 3)],
            }],
        },
        Op::Assign { collection: map, key: b"nested".to_vec(), value: Value::Nested(Kind::Set), overwrites: vec![] },
        Op::Remove { collection: map, key: b"removed".to_vec(), observed: vec![seen(1, 1)] },
        Op::Assign {
            collection: map.child(Kind::Set, b"nested"),
            key: b"member".to_vec(),
            value: Value::Unit,
            overwrites: vec![],
        },
    ];
    ops[3..5].sort_by_key(|op| format!("{op:?}").contains("removed"));
    ops
}

/// Author aa writes delta 1, author bb concurrently delta 2, author aa delta 3 on top of its own.
fn history() -> MemoryState {
    let ops = ops();
    let many: Vec<Op> = (0..40u8)
        .map(|n| Op::Assign {
            collection: CollectionId::ROOT.child(Kind::Map, b"many"),
            key: vec![n],
            value: Value::Bytes(vec![n; 3]),
            overwrites: vec![],
        })
        .collect();
    let mut state = MemoryState::new();
    let mut cache = TreeCache::new();
    let mut transaction = Transaction::new(&state, &mut cache);
    let deltas = [(1, 0xaa, 1, &ops), (2, 0xbb, 1, &ops), (3, 0xaa, 2, &ops), (4, 0xaa, 3, &many)];
    for (id, author, ms, ops) in deltas {
        let id = DeltaId([id; 32]);
        let delta = Delta { id, author: Author([author; 32]), stamp: stamp(ms), ops };
        let in_past = |past: &DeltaId| delta.author == Author([0xaa; 32]) && *past < id && *past != DeltaId([2; 32]);
        transaction.apply(&delta, &in_past).expect("applies");
    }
    let commit = transaction.finish().expect("sound");
    state.apply_writes(&commit.writes);
    state
}

#[test]
fn ops_keep_their_bytes() {
    let bytes = encode_ops(&ops());
    expect("ops", include_str!("../golden/ops.hex"), &bytes);
    assert_eq!(decode_ops(&bytes), Ok(ops()));
}

#[test]
fn leaves_keep_their_bytes() {
    let dot = |author: u8, delta: u8| Dot {
        stamp: stamp(1),
        author: Author([author; 32]),
        index: 7,
        delta: DeltaId([delta; 32]),
    };
    let values =
        Leaf::Values(vec![(dot(1, 1), Value::Bytes(b"value".to_vec())), (dot(2, 2), Value::Nested(Kind::Counter))]);
    expect("leaf-values", include_str!("../golden/leaf-values.hex"), &values.encode());
    let state = history();
    let counter = CollectionId::ROOT.child(Kind::Counter, b"field");
    let key = leaf::slot_key(counter, Author([0xaa; 32]));
    let slot = state.get(Space::Leaf, &key).expect("is there");
    expect("leaf-slot", include_str!("../golden/leaf-slot.hex"), &slot);
}

#[test]
fn tree_nodes_keep_their_bytes() {
    let state = history();
    let top = tree::node(&state, &Path::TOP).expect("sound").expect("is there");
    expect("node-branch", include_str!("../golden/node-branch.hex"), &top.encode());
    let first = Path::TOP.child(0).expect("not deep");
    let bucket = tree::node(&state, &first).expect("sound").expect("is there");
    expect("node-bucket", include_str!("../golden/node-bucket.hex"), &bucket.encode());
    let record = state.get(Space::Node, &tree::ROOT_KEY).expect("is there");
    expect("node-root", include_str!("../golden/node-root.hex"), &record);
    let record = state.get(Space::Node, &first.key()).expect("is there");
    expect("node-record", include_str!("../golden/node-record.hex"), &record);
}

#[test]
fn a_fixed_history_keeps_its_root() {
    let state = history();
    let root = tree::root(&state).expect("sound");
    expect("root", include_str!("../golden/root.hex"), &root.0);
    assert_eq!(root, tree::recomputed_root(&state));
    expect("root-empty", include_str!("../golden/root-empty.hex"), &RootHash::empty().0);
}

fn mint(ms: u64, delta: u8) -> Mint {
    Mint { stamp: stamp(ms), delta: DeltaId([delta; 32]) }
}

/// A splice of a text and one of a list: each sort of anchor, content and deletion.
fn splices() -> Vec<Op> {
    let text = Spans {
        mints: vec![mint(1, 1), mint(1, 2)],
        runs: vec![
            Run { left: None, right: None, content: Content::Text("a\u{e9}".into()) },
            Run {
                left: Some(Anchor { mint: 0, offset: 3 }),
                right: Some(Anchor { mint: 1, offset: 0 }),
                content: Content::Text("b".into()),
            },
        ],
    };
    let items = vec![Item::Value(b"item".to_vec()), Item::Moved(Anchor { mint: 0, offset: 5 })];
    let list = Spans {
        mints: vec![mint(2, 1)],
        runs: vec![Run { left: Some(Anchor { mint: 0, offset: 0 }), right: None, content: Content::Items(items) }],
    };
    let stretches = vec![Stretch { start: 0, len: 2 }, Stretch { start: 5, len: 1 }];
    let deleted = Deleted::Some(vec![DeletedOf { mint: mint(1, 1), stretches }]);
    let collection = |kind: Kind| CollectionId::ROOT.child(kind, b"field");
    vec![
        Op::Splice { collection: collection(Kind::List), inserted: list, deleted: Deleted::All },
        Op::Splice { collection: collection(Kind::Text), inserted: text, deleted },
    ]
}

#[test]
fn splices_keep_their_bytes() {
    let bytes = encode_ops(&splices());
    expect("splices", include_str!("../golden/splices.hex"), &bytes);
    assert_eq!(decode_ops(&bytes), Ok(splices()));
}

#[test]
fn leaves_of_sequences_keep_their_keys_and_bytes() {
    let text = CollectionId::ROOT.child(Kind::Text, b"field");
    let spans: Vec<Leaf> = splices()
        .into_iter()
        .filter_map(|op| match op {
            Op::Splice { inserted, .. } => Some(Leaf::Spans(inserted)),
            Op::Assign { .. } | Op::Remove { .. } | Op::CounterAdd { .. } | Op::CounterReset { .. } => None,
        })
        .collect();
    expect("leaf-spans", include_str!("../golden/leaf-spans.hex"), &spans[1].encode());
    let gone = Run { left: None, right: None, content: Content::Gone(7) };
    let void = Leaf::Spans(Spans { mints: vec![], runs: vec![gone] });
    expect("leaf-spans-void", include_str!("../golden/leaf-spans-void.hex"), &void.encode());
    let deleted = Leaf::Deleted(vec![Stretch { start: 1030, len: 2 }, Stretch { start: 2047, len: 1 }]);
    expect("leaf-deleted", include_str!("../golden/leaf-deleted.hex"), &deleted.encode());

    let (spans_key, deleted_key) = (spans_key(text, &mint(3, 4)), deleted_key(text, &mint(3, 4), 1));
    expect("key-spans", include_str!("../golden/key-spans.hex"), &spans_key);
    expect("key-deleted", include_str!("../golden/key-deleted.hex"), &deleted_key);
    for leaf in [spans[1].clone(), void] {
        assert_eq!(Leaf::decode(&spans_key, &leaf.encode()), Ok(leaf.clone()));
        assert!(Leaf::decode(&deleted_key, &leaf.encode()).is_err());
    }
    assert_eq!(Leaf::decode(&deleted_key, &deleted.encode()), Ok(deleted.clone()));
    assert!(Leaf::decode(&spans_key, &deleted.encode()).is_err());
    let elsewhere = mesto_crdt::sequence::deleted_key(text, &mint(3, 4), 0);
    assert!(Leaf::decode(&elsewhere, &deleted.encode()).is_err(), "another chunk");
}
