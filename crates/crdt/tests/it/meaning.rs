//! What concurrent edits mean, and what drafts refuse, one case at a time.

use std::collections::{BTreeMap, BTreeSet};

use mesto_crdt::draft::{HANDLES_MAX, NESTING_DEPTH_MAX};
use mesto_crdt::{
    Author, CollectionId, DeltaId, DotRef, Draft, DraftError, DraftLimits, Handle, Hlc, Kind, Leaf, Mark, MemoryState,
    Op, Read, SlotMark, Space, Value, leaf, op,
};

use crate::model::{History, Replica, Seen, State, author, draft, empty, look_at};

/// Replicas 0 and 1 of different authors, and 3 with the key of 0.
#[derive(Default)]
struct World {
    history: History,
    replicas: BTreeMap<usize, Replica>,
}

impl World {
    fn call(&mut self, replica: usize, run: impl FnOnce(&mut Draft<&State>)) -> usize {
        let mut draft = draft(&self.replicas.entry(replica).or_default().state, replica);
        run(&mut draft);
        let ops = draft.finish().expect("within the limits");
        self.forge(replica, ops)
    }

    fn forge(&mut self, replica: usize, ops: Vec<Op>) -> usize {
        let Replica { held, state, cache } = self.replicas.entry(replica).or_default();
        let number = self.history.add(author(replica), held.clone(), ops);
        self.history.apply(state, cache, &[number]);
        held.insert(number);
        number
    }

    /// All replicas get all that any has.
    fn meet(&mut self) {
        let all: BTreeSet<usize> = (0..self.history.entries.len()).collect();
        for Replica { held, state, cache } in self.replicas.values_mut() {
            let missing: Vec<usize> = all.difference(held).copied().collect();
            self.history.apply(state, cache, &missing);
            held.extend(missing);
        }
    }

    fn look<T>(&self, replica: usize, look: impl FnOnce(&mut Draft<&State>) -> T) -> T {
        look(&mut draft(&self.replicas[&replica].state, replica))
    }

    fn seen(&self, field: &str, kind: Kind) -> Seen {
        self.look(0, |draft| {
            let handle = draft.open_root(field, kind).expect("opens");
            look_at(draft, handle)
        })
    }
}

fn open(draft: &mut Draft<&State>, kind: Kind) -> Handle {
    draft.open_root("f", kind).expect("opens")
}

/// The collection of `kind` under `key` of the map `f`.
fn open_in(draft: &mut Draft<&State>, key: &[u8], kind: Kind) -> Handle {
    let map = open(draft, Kind::Map);
    draft.open_child(map, key, kind).expect("opens")
}

fn set_insert(world: &mut World, replica: usize, member: &[u8]) {
    world.call(replica, |draft| {
        let set = open(draft, Kind::Set);
        draft.set_insert(set, member).expect("inserts");
    });
}

fn remove(world: &mut World, replica: usize, key: &[u8]) {
    world.call(replica, |draft| {
        let map = open(draft, Kind::Map);
        assert_eq!(draft.map_remove(map, key), Ok(true));
    });
}

fn add(world: &mut World, replica: usize, amount: i64) {
    world.call(replica, |draft| {
        let counter = open_in(draft, b"k", Kind::Counter);
        draft.counter_add(counter, amount).expect("adds");
    });
}

fn count(world: &World) -> i64 {
    world.look(0, |draft| {
        let counter = open_in(draft, b"k", Kind::Counter);
        draft.counter_value(counter).expect("reads")
    })
}

#[test]
fn a_register_reads_the_last_writer_by_stamp_then_author_then_index_then_delta() {
    let register = CollectionId::ROOT.child(Kind::Register, b"f");
    let assign =
        |value| Op::Assign { collection: register, key: vec![], value: Value::Bytes(vec![value]), overwrites: vec![] };
    // Stamps: a later one wins whoever wrote it.
    let mut world = World::default();
    world.forge(1, vec![assign(1)]);
    world.forge(0, vec![]);
    world.forge(0, vec![assign(2)]);
    world.meet();
    assert_eq!(world.seen("f", Kind::Register), Seen::Register(Some(vec![2])));
    // Equal stamps: the greater author.
    let mut world = World::default();
    world.forge(1, vec![assign(1)]);
    world.forge(0, vec![assign(2)]);
    world.meet();
    assert_eq!(world.seen("f", Kind::Register), Seen::Register(Some(vec![1])));
    // Equal authors: the greater index, then the greater delta id.
    let mut world = World::default();
    let a = world.forge(0, vec![assign(1)]);
    let b = world.forge(3, vec![assign(2)]);
    world.meet();
    let ids = [a, b].map(|number| world.history.entries[number].id);
    let winner = if ids[0] > ids[1] { 1 } else { 2 };
    assert_eq!(world.seen("f", Kind::Register), Seen::Register(Some(vec![winner])));
    let mut world = World::default();
    world.forge(0, vec![assign(1)]);
    let other = Op::CounterAdd { collection: CollectionId::ROOT.child(Kind::Counter, b"c"), amount: 1 };
    world.forge(3, vec![other, assign(2)]);
    world.meet();
    assert_eq!(world.seen("f", Kind::Register), Seen::Register(Some(vec![2])));
}

#[test]
fn an_addition_beats_a_concurrent_removal_and_what_was_observed_goes() {
    let mut world = World::default();
    set_insert(&mut world, 0, b"both");
    set_insert(&mut world, 0, b"gone");
    world.meet();
    world.replicas.entry(1).or_default();
    world.meet();
    set_insert(&mut world, 1, b"both");
    world.call(0, |draft| {
        let set = open(draft, Kind::Set);
        draft.set_clear(set).expect("clears");
        assert_eq!(draft.set_len(set), Ok(0));
    });
    world.meet();
    assert_eq!(world.seen("f", Kind::Set), Seen::Set(vec![b"both".to_vec()]));
}

#[test]
fn a_removed_element_leaves_nothing_behind() {
    let mut world = World::default();
    world.call(0, |draft| {
        let set = open_in(draft, b"k", Kind::Set);
        draft.set_insert(set, b"a").expect("inserts");
        let register = open_in(draft, b"r", Kind::Register);
        draft.register_set(register, vec![1]).expect("sets");
    });
    remove(&mut world, 0, b"k");
    remove(&mut world, 0, b"r");
    assert_eq!(world.replicas[&0].state.read, MemoryState::new());
}

#[test]
fn a_change_below_a_concurrently_removed_key_survives_alone() {
    let mut world = World::default();
    world.call(0, |draft| {
        let inner = open_in(draft, b"k", Kind::Map);
        let set = draft.open_child(inner, b"i", Kind::Set).expect("opens");
        draft.set_insert(set, b"old").expect("inserts");
    });
    world.replicas.entry(1).or_default();
    world.meet();
    remove(&mut world, 0, b"k");
    world.call(1, |draft| {
        let inner = open_in(draft, b"k", Kind::Map);
        let set = draft.open_child(inner, b"i", Kind::Set).expect("opens");
        draft.set_insert(set, b"new").expect("inserts");
    });
    world.meet();
    let set = Seen::Set(vec![b"new".to_vec()]);
    let inner = Seen::Map(vec![(b"i".to_vec(), set)]);
    assert_eq!(world.seen("f", Kind::Map), Seen::Map(vec![(b"k".to_vec(), inner)]));
}

#[test]
fn removing_a_counter_keeps_concurrent_additions_and_counts_twice_for_nobody() {
    let mut world = World::default();
    add(&mut world, 0, 5);
    add(&mut world, 1, 7);
    world.meet();
    assert_eq!(count(&world), 12);
    // Both remove it; replica 1 has added something that replica 0 has not seen, before and after.
    add(&mut world, 1, 100);
    remove(&mut world, 1, b"k");
    add(&mut world, 1, 3);
    remove(&mut world, 0, b"k");
    world.meet();
    assert_eq!(count(&world), 3);
    remove(&mut world, 0, b"k");
    assert_eq!(count(&world), 0);
    add(&mut world, 0, 1);
    assert_eq!(count(&world), 1);
}

#[test]
fn a_counter_sums_all_branches_of_an_equivocator() {
    let mut world = World::default();
    add(&mut world, 0, 5);
    add(&mut world, 3, 20);
    world.meet();
    assert_eq!(count(&world), 25);
}

#[test]
fn a_lying_baseline_does_not_outlive_the_next_removal() {
    let mut world = World::default();
    add(&mut world, 0, 5);
    world.replicas.entry(1).or_default();
    world.meet();
    let map = CollectionId::ROOT.child(Kind::Map, b"f");
    let lie = |victim| SlotMark {
        author: Author([victim; 32]),
        mark: Mark { stamp: Hlc::MAX, delta: DeltaId([0xff; 32]) },
        sum: 1 << 100,
        overwrites: vec![],
    };
    let collection = map.child(Kind::Counter, b"k");
    world.forge(1, vec![Op::CounterReset { collection, observed: vec![lie(0), lie(2)] }]);
    world.meet();
    assert_eq!(count(&world), i64::MIN);
    remove(&mut world, 0, b"k");
    add(&mut world, 0, 2);
    assert_eq!(count(&world), 2);
}

#[test]
fn counters_clamp_what_they_show_and_stay_exact_below() {
    let mut world = World::default();
    for _ in 0..3 {
        add(&mut world, 0, i64::MAX);
    }
    assert_eq!(count(&world), i64::MAX);
    for _ in 0..3 {
        add(&mut world, 0, -i64::MAX);
    }
    add(&mut world, 0, 1);
    assert_eq!(count(&world), 1);
    world.look(0, |draft| {
        let counter = open(draft, Kind::Counter);
        draft.counter_add(counter, i64::MAX).expect("fits");
        assert_eq!(draft.counter_add(counter, 1), Err(DraftError::AmountOutOfRange));
        assert_eq!(draft.counter_value(counter), Ok(i64::MAX));
    });
}

#[test]
fn a_value_over_a_collection_removes_all_that_was_in_it() {
    let mut world = World::default();
    add(&mut world, 0, 5);
    world.call(0, |draft| {
        let map = open(draft, Kind::Map);
        let counter = draft.open_child(map, b"k", Kind::Counter).expect("opens");
        draft.map_insert(map, b"k", vec![1]).expect("inserts");
        let expected = Kind::Counter;
        assert_eq!(draft.counter_add(counter, 1), Err(DraftError::NotACollection { expected }));
        assert_eq!(draft.map_remove(map, b"k"), Ok(true));
        draft.counter_add(counter, 1).expect("the entry is free again");
        assert_eq!(draft.counter_value(counter), Ok(1));
    });
    assert_eq!(count(&world), 1);
}

#[test]
fn nobody_removes_what_is_not_in_their_past() {
    let mut world = World::default();
    set_insert(&mut world, 0, b"a");
    let target = DotRef { delta: world.history.entries[0].id, index: 0 };
    let collection = CollectionId::ROOT.child(Kind::Set, b"f");
    let observed = vec![target];
    world.forge(1, vec![Op::Remove { collection, key: b"a".to_vec(), observed }]);
    world.meet();
    assert_eq!(world.seen("f", Kind::Set), Seen::Set(vec![b"a".to_vec()]));
}

#[test]
fn one_writer_cannot_pile_up_values() {
    let collection = CollectionId::ROOT.child(Kind::Map, b"f");
    let mut world = World::default();
    for value in 0..50 {
        let value = Value::Bytes(vec![value]);
        world.forge(0, vec![Op::Assign { collection, key: vec![], value, overwrites: vec![] }]);
    }
    let key = leaf::leaf_key(collection, &[]);
    let bytes = world.replicas[&0].state.get(Space::Leaf, &key).expect("is there");
    let Ok(Leaf::Values(values)) = Leaf::decode(&key, &bytes) else { panic!("not values") };
    assert_eq!(values.len(), 1);
}

#[test]
fn a_call_has_one_operation_for_each_element() {
    let mut world = World::default();
    let ops = |world: &World, number: usize| world.history.entries[number].ops.len();
    let number = world.call(0, |draft| {
        let map = open(draft, Kind::Map);
        draft.map_insert(map, b"a", vec![1]).expect("inserts");
        draft.map_insert(map, b"a", vec![2]).expect("inserts");
        draft.map_insert(map, b"b", vec![1]).expect("inserts");
        assert_eq!(draft.map_remove(map, b"b"), Ok(true));
        assert_eq!(draft.map_remove(map, b"c"), Ok(false));
        let counter = open(draft, Kind::Counter);
        draft.counter_add(counter, 5).expect("adds");
        draft.counter_add(counter, -5).expect("adds");
    });
    assert_eq!(ops(&world, number), 1);
    let number = world.call(0, |draft| {
        let map = open(draft, Kind::Map);
        assert_eq!(draft.map_remove(map, b"a"), Ok(true));
        draft.map_insert(map, b"a", vec![3]).expect("inserts");
        for key in [b"x", b"y"] {
            let set = draft.open_child(map, b"nested", Kind::Set).expect("opens");
            draft.set_insert(set, key).expect("inserts");
        }
    });
    assert_eq!(ops(&world, number), 4, "a, the presence of nested, x and y");
}

#[test]
fn scans_merge_the_call_with_the_state_in_order() {
    let mut world = World::default();
    world.call(0, |draft| {
        let set = open(draft, Kind::Set);
        for n in (0..200u8).step_by(2) {
            draft.set_insert(set, &[n]).expect("inserts");
        }
    });
    world.look(0, |draft| {
        let set = open(draft, Kind::Set);
        for n in 20..=120 {
            draft.set_remove(set, &[n]).expect("removes");
        }
        for n in [1, 31, 63, 64, 65, 201, 255] {
            draft.set_insert(set, &[n]).expect("inserts");
        }
        let removed = 20..=120u8;
        let expected: BTreeSet<Vec<u8>> = (0..200u8)
            .step_by(2)
            .filter(|n| !removed.contains(n))
            .chain([1, 31, 63, 64, 65, 201, 255])
            .map(|n| vec![n])
            .collect();
        for limit in [1, 2, 3, 31, 32, 33, 500] {
            let mut found = Vec::new();
            loop {
                let after = found.last().map(|member: &Vec<u8>| member.as_slice());
                let page = draft.set_scan(set, after, limit).expect("scans");
                let done = page.len() < limit;
                found.extend(page);
                if done {
                    break;
                }
            }
            assert!(found.iter().eq(&expected), "in pages of {limit}");
        }
        assert_eq!(draft.set_len(set), Ok(expected.len() as u64));
    });
}

#[test]
fn a_deep_chain_made_by_a_liar_can_be_removed() {
    let mut world = World::default();
    let mut map = CollectionId::ROOT.child(Kind::Map, b"f");
    let mut ops = Vec::new();
    for _ in 0..5_000 {
        let value = Value::Nested(Kind::Map);
        ops.push(Op::Assign { collection: map, key: b"k".to_vec(), value, overwrites: vec![] });
        map = map.child(Kind::Map, b"k");
    }
    world.forge(0, ops);
    remove(&mut world, 0, b"k");
    assert_eq!(world.replicas[&0].state.read, MemoryState::new());
}

#[test]
fn drafts_name_the_limit_that_is_exceeded() {
    let state = empty();
    let limits = DraftLimits { key_bytes_max: 4, value_bytes_max: 5, ops_bytes_max: 200 };
    let mut draft = Draft::new(&state, Author([0; 32]), limits);
    let map = open(&mut draft, Kind::Map);
    let key_too_long = Err(DraftError::KeyTooLong { bytes: 5, max: 4 });
    assert_eq!(draft.map_insert(map, b"12345", vec![]), key_too_long);
    assert_eq!(draft.map_get(map, b"12345"), Err(DraftError::KeyTooLong { bytes: 5, max: 4 }));
    let too_large = Err(DraftError::ValueTooLarge { bytes: 6, max: 5 });
    assert_eq!(draft.map_insert(map, b"1", vec![0; 6]), too_large);
    assert!(draft.open_root("12345", Kind::Map).is_err());
    let mut keys = (0..10u8).map(|n| draft.map_insert(map, &[n], vec![0; 5]));
    assert_eq!(keys.find(Result::is_err), Some(Err(DraftError::DeltaTooLarge { max: 200 })));
    drop(keys);
    draft.map_clear(map).expect("fits again");
    assert_eq!(draft.finish(), Err(DraftError::DeltaTooLarge { max: 200 }));

    let huge = DraftLimits { key_bytes_max: usize::MAX, ..DraftLimits::default() };
    let mut draft = Draft::new(&state, Author([0; 32]), huge);
    let map = open(&mut draft, Kind::Map);
    let key = vec![0; op::KEY_BYTES_MAX + 1];
    assert!(draft.map_insert(map, &key, vec![]).is_err(), "the protocol's limit holds");
}

#[test]
fn drafts_refuse_wrong_kinds_and_handles() {
    let state = empty();
    let mut draft = draft(&state, 0);
    let map = open(&mut draft, Kind::Map);
    let mismatch = DraftError::KindMismatch { expected: Kind::Set, found: Kind::Map };
    assert_eq!(draft.set_len(map), Err(mismatch));
    for kind in [Kind::UserMap, Kind::Frozen, Kind::Shared] {
        assert_eq!(draft.open_root("x", kind), Err(DraftError::KindNotAvailable { kind }));
    }
    let handle = Handle::from_number(7);
    assert_eq!(draft.map_len(handle), Err(DraftError::UnknownHandle { handle }));
    draft.map_insert(map, b"v", vec![]).expect("inserts");
    let expected = Kind::Map;
    assert_eq!(draft.open_child(map, b"v", expected), Err(DraftError::NotACollection { expected }));
    let set = draft.open_child(map, b"s", Kind::Set).expect("opens");
    draft.set_insert(set, b"x").expect("inserts");
    let mismatch = DraftError::KindMismatch { expected, found: Kind::Set };
    assert_eq!(draft.open_child(map, b"s", expected), Err(mismatch));
    assert_eq!(draft.open_child(map, b"s", Kind::Set), Ok(set), "one handle for one collection");
}

#[test]
fn handles_and_nesting_are_bounded() {
    let state = empty();
    let mut deep = draft(&state, 0);
    let mut handle = open(&mut deep, Kind::Map);
    for _ in 1..NESTING_DEPTH_MAX {
        handle = deep.open_child(handle, b"k", Kind::Map).expect("opens");
    }
    let too_deep = DraftError::TooDeep { max: NESTING_DEPTH_MAX };
    assert_eq!(deep.open_child(handle, b"k", Kind::Map), Err(too_deep));
    let mut wide = draft(&state, 0);
    for n in 0..HANDLES_MAX {
        wide.open_root(&n.to_string(), Kind::Set).expect("opens");
    }
    let full = DraftError::TooManyHandles { max: HANDLES_MAX };
    assert_eq!(wide.open_root("more", Kind::Set), Err(full));
}
