//! What edits of texts and lists mean, and what is refused, one case at a time.

use std::collections::{BTreeMap, BTreeSet};

use mesto_crdt::sequence::{Content, Deleted, Run, Sequence, SequenceError, Spans};
use mesto_crdt::{
    ApplyError, CollectionId, Delta, DeltaId, Draft, DraftError, Handle, Kind, Leaf, Op, OpError, Rebuilding, Rebuilt,
    Space, TextStep, TextVersion, Transaction, TreeCache, Unit, Write, decode_ops, encode_ops, leaf,
};
use proptest::prelude::*;

use crate::model::{History, Random, Replica, State, author, draft};

const CODE_POINT: Unit = Unit::CodePoint;

/// Of what somebody sends who does not keep to the rules.
pub(crate) const LIAR: DeltaId = DeltaId([66; 32]);

/// Replicas 0 to 2, with the text `f` and the list `f`, and a map `f` of texts.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) history: History,
    pub(crate) replicas: BTreeMap<usize, Replica>,
}

impl World {
    fn call(&mut self, replica: usize, run: impl FnOnce(&mut Draft<&State>)) -> usize {
        let Replica { held, state, cache } = self.replicas.entry(replica).or_default();
        let mut draft = draft(state, replica);
        run(&mut draft);
        let ops = draft.finish().expect("within the limits");
        assert_eq!(decode_ops(&encode_ops(&ops)).as_ref(), Ok(&ops));
        let number = self.history.add(author(replica), held.clone(), ops);
        self.history.apply(state, cache, &[number]);
        held.insert(number);
        number
    }

    fn meet(&mut self) {
        let all: BTreeSet<usize> = (0..self.history.entries.len()).collect();
        for Replica { held, state, cache } in self.replicas.values_mut() {
            let missing: Vec<usize> = all.difference(held).copied().collect();
            self.history.apply(state, cache, &missing);
            held.extend(missing);
        }
    }

    /// One replica gets all that another has.
    fn hear(&mut self, to: usize, from: usize) {
        let missing: Vec<usize> = self.replicas[&from].held.difference(&self.replicas[&to].held).copied().collect();
        let Replica { held, state, cache } = self.replicas.get_mut(&to).expect("is there");
        self.history.apply(state, cache, &missing);
        held.extend(missing);
    }

    fn texts(&mut self) -> Vec<String> {
        self.meet();
        let read = |replica: &Replica| {
            let mut draft = draft(&replica.state, 0);
            let text = text(&mut draft);
            draft.text_read(text).expect("reads")
        };
        self.replicas.values().map(read).collect()
    }

    fn lists(&mut self) -> Vec<Vec<Vec<u8>>> {
        self.meet();
        let read = |replica: &Replica| {
            let mut draft = draft(&replica.state, 0);
            let list = list(&mut draft);
            draft.list_scan(list, 0, usize::MAX).expect("reads")
        };
        self.replicas.values().map(read).collect()
    }

    /// Makes entries void on every replica.
    fn void(&mut self, voided: usize) {
        self.history.void.insert(voided);
        for Replica { state, cache, .. } in self.replicas.values_mut() {
            let history = &self.history;
            let keys = |i: usize| history.delta(i).leaf_keys(&*state, &history.in_past(i)).expect("sound");
            let leaves = keys(voided);
            let mut rebuilding = Rebuilding::of(leaves);
            let mut transaction = Transaction::new(&*state, cache);
            let order: Vec<usize> = (0..history.entries.len()).collect();
            for part in order.chunks(3) {
                let pasts: Vec<_> = part.iter().map(|i| history.in_past(*i)).collect();
                let deltas = part.iter().zip(&pasts).map(|(i, in_past)| Rebuilt {
                    delta: history.delta(*i),
                    in_past,
                    is_void: history.void.contains(i),
                });
                transaction.rebuild(&mut rebuilding, &deltas.collect::<Vec<_>>()).expect("sound");
            }
            transaction.put_rebuilt(&rebuilding).expect("sound");
            let commit = transaction.finish().expect("sound");
            state.read.apply_writes(&commit.writes);
            state.sequences = commit.sequences;
        }
    }
}

fn text(draft: &mut Draft<&State>) -> Handle {
    draft.open_root("f", Kind::Text).expect("opens")
}

fn version(world: &World) -> TextVersion {
    let mut draft = draft(&world.replicas[&0].state, 0);
    let text = text(&mut draft);
    draft.text_version(text).expect("reads")
}

fn steps(world: &World, since: TextVersion) -> Option<Vec<TextStep>> {
    let mut draft = draft(&world.replicas[&0].state, 0);
    let text = text(&mut draft);
    draft.text_steps(text, CODE_POINT, since).expect("reads")
}

fn list(draft: &mut Draft<&State>) -> Handle {
    draft.open_root("f", Kind::List).expect("opens")
}

pub(crate) fn splice(world: &mut World, replica: usize, at: u64, delete: u64, insert: &str) -> usize {
    world.call(replica, |draft| {
        let text = text(draft);
        draft.text_splice(text, CODE_POINT, at, delete, insert).expect("in range");
    })
}

fn push(world: &mut World, replica: usize, values: &[&[u8]]) {
    world.call(replica, |draft| {
        let list = list(draft);
        let len = draft.list_len(list).expect("reads");
        let values = values.iter().map(|value| value.to_vec()).collect();
        draft.list_splice(list, len, 0, values).expect("inserts");
    });
}

fn relocate(world: &mut World, replica: usize, from: u64, to: u64) {
    world.call(replica, |draft| {
        let list = list(draft);
        draft.list_move(list, from, to).expect("moves");
    });
}

fn ops_of(world: &World, number: usize) -> &[Op] {
    &world.history.entries[number].ops
}

#[test]
fn a_call_is_told_by_what_it_ends_with() {
    let mut world = World::default();
    splice(&mut world, 0, 0, 0, "hello world");
    let number = world.call(0, |draft| {
        let text = text(draft);
        draft.text_insert(text, CODE_POINT, 5, ",!").expect("inserts");
        draft.text_delete(text, CODE_POINT, 6, 1).expect("deletes");
        draft.text_insert(text, CODE_POINT, 6, " big").expect("inserts");
        draft.text_insert(text, CODE_POINT, 0, "gone").expect("inserts");
        draft.text_delete(text, CODE_POINT, 0, 4).expect("deletes");
        assert_eq!(draft.text_read(text).as_deref(), Ok("hello, big world"));
    });
    let [Op::Splice { inserted, deleted, .. }] = ops_of(&world, number) else { panic!("one splice") };
    assert!(deleted.is_nothing());
    let [run] = inserted.runs.as_slice() else { panic!("one run") };
    assert_eq!(run.content, Content::Text(", big".into()));
    let nothing = world.call(0, |draft| {
        let text = text(draft);
        draft.text_insert(text, CODE_POINT, 3, "x").expect("inserts");
        draft.text_delete(text, CODE_POINT, 3, 1).expect("deletes");
        draft.text_insert(text, CODE_POINT, 3, "").expect("nothing");
    });
    assert!(ops_of(&world, nothing).is_empty());
}

#[test]
fn a_deletion_takes_what_was_there_and_an_insertion_survives_it() {
    let mut world = World::default();
    splice(&mut world, 0, 0, 0, "abcdef");
    world.replicas.entry(1).or_default();
    world.meet();
    splice(&mut world, 0, 1, 4, "");
    splice(&mut world, 1, 3, 1, "XY");
    assert_eq!(world.texts(), ["aXYf", "aXYf"]);
}

#[test]
fn a_delta_splices_a_sequence_once() {
    let op = |character: &str| {
        let run = Run { left: None, right: None, content: Content::Text(character.into()) };
        let collection = CollectionId::ROOT.child(Kind::Text, b"f");
        let inserted = Spans { mints: vec![], runs: vec![run] };
        Op::Splice { collection, inserted, deleted: Deleted::Some(vec![]) }
    };
    let ops = [op("a"), op("b")];
    assert!(decode_ops(&encode_ops(&ops)).is_err());
    let delta = Delta { id: LIAR, author: author(0), stamp: mesto_crdt::Hlc::ZERO, ops: &ops };
    let (state, mut cache) = (crate::model::empty(), TreeCache::new());
    let applied = Transaction::new(&state, &mut cache).apply(&delta, &|_| true);
    let refused =
        Err(ApplyError::Malformed { index: 1, error: OpError::SplicedTwice { collection: ops[0].collection() } });
    assert_eq!(applied, refused);
}

/// The example of docs/protocol/text.md.
#[test]
fn what_continues_stays_left_of_what_precedes() {
    let mut world = World::default();
    splice(&mut world, 0, 0, 0, "x");
    world.replicas.extend((1..3).map(|replica| (replica, Replica::default())));
    world.meet();
    let (a, one) = (splice(&mut world, 0, 1, 0, "a"), splice(&mut world, 1, 1, 0, "1"));
    let name = |number: usize| (world.history.entries[number].stamp, world.history.entries[number].id);
    let (who_left, who_right, shown) = if name(a) < name(one) { (0, 1, "xab01") } else { (1, 0, "x1b0a") };
    world.hear(2, who_left);
    splice(&mut world, 2, 2, 0, "b");
    world.hear(who_left, who_right);
    splice(&mut world, who_left, 2, 0, "0");
    assert_eq!(world.texts(), [shown; 3]);
}

#[test]
fn to_clear_costs_the_same_whatever_is_there_and_keeps_what_is_typed_meanwhile() {
    let mut world = World::default();
    for round in 0..200 {
        splice(&mut world, 0, round / 2, 0, "line\n");
    }
    world.replicas.entry(1).or_default();
    world.meet();
    let cleared = world.call(0, |draft| {
        let text = text(draft);
        draft.text_clear(text).expect("clears");
        assert_eq!(draft.text_len(text, CODE_POINT), Ok(0));
        draft.text_insert(text, CODE_POINT, 0, "new").expect("inserts");
        assert_eq!(draft.text_read(text).as_deref(), Ok("new"));
    });
    assert!(encode_ops(ops_of(&world, cleared)).len() < 300);
    splice(&mut world, 1, 100, 0, "kept");
    for text in world.texts() {
        assert!(text == "newkept" || text == "keptnew", "{text}");
    }
    let len = world.texts()[0].len() as u64;
    // All that there is, character by character: told by name while that is short, else as a whole.
    let few = splice(&mut world, 0, 0, len, "");
    assert!(matches!(ops_of(&world, few), [Op::Splice { deleted: Deleted::Some(_), .. }]));
    for _ in 0..60 {
        splice(&mut world, 0, 0, 0, "x");
    }
    let many = splice(&mut world, 0, 0, 60, "");
    assert!(matches!(ops_of(&world, many), [Op::Splice { deleted: Deleted::All, .. }]));
    assert_eq!(world.texts(), ["", ""]);
}

#[test]
fn a_text_in_a_map_goes_with_its_entry_and_what_is_typed_meanwhile_stays() {
    let mut world = World::default();
    let open = |draft: &mut Draft<&State>| {
        let map = draft.open_root("f", Kind::Map).expect("opens");
        (map, draft.open_child(map, b"note", Kind::Text).expect("opens"))
    };
    world.call(0, |draft| {
        let (_, text) = open(draft);
        draft.text_insert(text, CODE_POINT, 0, "first draft").expect("inserts");
    });
    world.replicas.entry(1).or_default();
    world.meet();
    let removed = world.call(0, |draft| {
        let (map, text) = open(draft);
        assert_eq!(draft.map_remove(map, b"note"), Ok(true));
        assert_eq!(draft.text_read(text).as_deref(), Ok(""));
    });
    assert_eq!(ops_of(&world, removed).len(), 2);
    world.call(1, |draft| {
        let (_, text) = open(draft);
        draft.text_insert(text, CODE_POINT, 11, "!").expect("inserts");
    });
    world.meet();
    for Replica { state, .. } in world.replicas.values() {
        let mut draft = draft(state, 0);
        let (map, text) = open(&mut draft);
        assert_eq!(draft.text_read(text).as_deref(), Ok("!"));
        assert_eq!(draft.map_contains(map, b"note"), Ok(true));
    }
}

#[test]
fn places_that_do_not_exist_are_refused_and_change_nothing() {
    let mut world = World::default();
    splice(&mut world, 0, 0, 0, "a\u{1f600}b");
    let number = world.call(0, |draft| {
        let (text, list) = (text(draft), list(draft));
        let beyond = |at, len| Err(DraftError::Sequence(SequenceError::OutOfRange { at, len }));
        assert_eq!(draft.text_insert(text, CODE_POINT, 4, "x"), beyond(4, 3));
        assert_eq!(draft.text_insert(text, Unit::Utf16, 5, "x"), beyond(5, 4));
        assert_eq!(draft.text_delete(text, CODE_POINT, 1, u64::MAX), beyond(u64::MAX, 3));
        let inside = Err(DraftError::Sequence(SequenceError::SplitsCharacter { at: 2 }));
        assert_eq!(draft.text_insert(text, Unit::Utf16, 2, "x"), inside);
        assert_eq!(draft.text_delete(text, Unit::Utf16, 1, 1), inside);
        assert_eq!(draft.text_line_start(text, CODE_POINT, 1), beyond(1, 0).map(|()| 0));
        assert_eq!(draft.text_lines(text), Ok(1));
        assert_eq!(draft.list_insert(list, 1, vec![]), beyond(1, 0));
        assert_eq!(draft.list_move(list, 0, 0), beyond(0, 0));
        assert_eq!(draft.list_get(list, u64::MAX), Ok(None));
        let mismatch = DraftError::KindMismatch { expected: Kind::List, found: Kind::Text };
        assert_eq!(draft.list_len(text), Err(mismatch));
    });
    assert!(ops_of(&world, number).is_empty());
}

#[test]
fn of_concurrent_moves_one_stands_and_a_deletion_beats_them() {
    let mut world = World::default();
    push(&mut world, 0, &[b"a", b"b", b"c", b"d"]);
    for replica in 1..3 {
        world.replicas.entry(replica).or_default();
    }
    world.meet();
    relocate(&mut world, 0, 0, 3);
    relocate(&mut world, 1, 0, 2);
    let lists = world.lists();
    assert!(lists.iter().all(|list| *list == lists[0]));
    let mut sorted = lists[0].clone();
    sorted.sort();
    assert_eq!(sorted, [b"a", b"b", b"c", b"d"], "each once");
    let at = lists[0].iter().position(|item| item == b"a").expect("is there") as u64;
    relocate(&mut world, 0, at, 0);
    world.call(1, |draft| {
        let list = list(draft);
        draft.list_delete(list, at, 1).expect("deletes");
    });
    relocate(&mut world, 2, at, 1);
    assert_eq!(world.lists()[0], [b"b", b"c", b"d"]);
    assert!(world.lists().iter().all(|list| list.len() == 3));
}

#[test]
fn an_item_that_was_moved_twice_in_a_call_has_one_new_place() {
    let mut world = World::default();
    push(&mut world, 0, &[b"a", b"b", b"c", b"d"]);
    let number = world.call(0, |draft| {
        let list = list(draft);
        draft.list_move(list, 0, 2).expect("moves");
        draft.list_move(list, 2, 3).expect("moves");
        draft.list_insert(list, 0, b"new".to_vec()).expect("inserts");
        draft.list_move(list, 0, 1).expect("moves");
        let shown = draft.list_scan(list, 0, 9).expect("reads");
        assert_eq!(shown, [&b"b"[..], b"new", b"c", b"d", b"a"]);
    });
    let [Op::Splice { inserted, .. }] = ops_of(&world, number) else { panic!("one splice") };
    assert_eq!(inserted.len(), 2);
    assert_eq!(world.lists()[0], [&b"b"[..], b"new", b"c", b"d", b"a"]);
}

#[test]
fn what_a_void_delta_typed_deleted_and_moved_is_gone_and_what_rests_on_it_stays() {
    let mut world = World::default();
    splice(&mut world, 0, 0, 0, "abc");
    push(&mut world, 0, &[b"a", b"b", b"c"]);
    world.replicas.entry(1).or_default();
    world.meet();
    let bad = world.call(1, |draft| {
        let (text, list) = (text(draft), list(draft));
        draft.text_splice(text, CODE_POINT, 1, 1, "BAD").expect("in range");
        draft.list_move(list, 0, 2).expect("moves");
        draft.list_insert(list, 0, b"bad".to_vec()).expect("inserts");
    });
    splice(&mut world, 1, 3, 0, "good");
    assert_eq!(world.texts(), ["aBAgoodDc", "aBAgoodDc"]);
    let before = version(&world);
    world.void(bad);
    assert_eq!(world.texts(), ["agoodbc", "agoodbc"]);
    assert_eq!(steps(&world, before), None, "what was rebuilt has no past");
    assert_eq!(world.lists()[0], [b"a", b"b", b"c"]);
    let order = world.history.replay(&mut Random(1));
    for Replica { state, .. } in world.replicas.values() {
        assert!(state.read == order, "voiding later is voiding at once");
    }
}

#[test]
fn a_text_that_nobody_reads_is_not_ordered_and_one_that_is_read_is_followed() {
    let mut world = World::default();
    splice(&mut world, 0, 0, 0, "abc");
    let collection = CollectionId::ROOT.child(Kind::Text, b"f");
    world.replicas.entry(1).or_default();
    world.meet();
    assert!(world.replicas[&1].state.sequences.is_empty());
    assert!(world.replicas[&0].state.sequences.get(collection).is_some(), "the call loaded it");
    let before = world.replicas[&0].state.clone();
    splice(&mut world, 1, 3, 0, "def");
    world.meet();
    let kept = world.replicas[&0].state.sequences.get(collection).expect("followed");
    assert_eq!(kept.text(), "abcdef");
    assert_eq!(before.sequences.get(collection).expect("kept").text(), "abc", "a view keeps its version");
    let leaves = world.replicas[&0].state.read.pairs(Space::Leaf).count();
    assert_eq!(leaves, 2);
}

#[derive(Clone, Debug)]
enum ListAction {
    Insert { replica: usize, at: u16 },
    Move { replica: usize, from: u16, to: u16 },
    Delete { replica: usize, at: u16 },
    Sync { from: usize, to: usize },
}

fn list_actions() -> impl Strategy<Value = Vec<ListAction>> {
    let replica = || 0usize..4;
    prop::collection::vec(
        prop_oneof![
            3 => (replica(), any::<u16>()).prop_map(|(replica, at)| ListAction::Insert { replica, at }),
            4 => (replica(), any::<u16>(), any::<u16>())
                .prop_map(|(replica, from, to)| ListAction::Move { replica, from, to }),
            1 => (replica(), any::<u16>()).prop_map(|(replica, at)| ListAction::Delete { replica, at }),
            3 => (replica(), replica()).prop_map(|(from, to)| ListAction::Sync { from, to }),
        ],
        1..40,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    /// Loads, or says that it cannot; what loads has a sound structure, and what decodes re-encodes to the same bytes.
    #[test]
    fn a_damaged_text_is_an_error_not_a_panic(
        actions in list_actions(), leaf in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(),
        damage in prop_oneof![(0u32..8).prop_map(|bit| Some(1u8 << bit)), Just(None)],
    ) {
        let mut world = World::default();
        splice(&mut world, 0, 0, 0, "some text");
        push(&mut world, 0, &[b"a", b"b", b"c"]);
        for action in actions {
            match action {
                ListAction::Insert { at, .. } => { splice(&mut world, 0, u64::from(at % 8), 1, "xy"); }
                ListAction::Move { from, to, .. } => relocate(&mut world, 0, u64::from(from % 3), u64::from(to % 3)),
                ListAction::Delete { at, .. } => { splice(&mut world, 0, u64::from(at % 8), 1, ""); splice(&mut world, 0, 0, 0, "z"); }
                ListAction::Sync { .. } => {}
            }
        }
        let state = &mut world.replicas.get_mut(&0).expect("is there").state.read;
        let leaves: Vec<(Vec<u8>, Vec<u8>)> =
            state.pairs(Space::Leaf).map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        let (key, mut value) = leaves[leaf.index(leaves.len())].clone();
        let collection = leaf::collection_of(&key).expect("a leaf's key");
        let damaged = damage.map(|bit| {
            let at = at.index(value.len());
            value[at] ^= bit;
            value
        });
        if let Some(bytes) = &damaged
            && let Ok(leaf) = Leaf::decode(&key, bytes)
        {
            prop_assert_eq!(&leaf.encode(), bytes);
        }
        state.apply_writes(&[Write { space: Space::Leaf, key, value: damaged }]);
        if let Ok(sequence) = Sequence::load(&*state, collection) {
            sequence.check();
        }
    }

    #[test]
    fn an_item_exists_once_until_somebody_deletes_it(actions in list_actions(), seed in any::<u64>()) {
        let mut world = World::default();
        world.replicas.extend((0..4).map(|replica| (replica, Replica::default())));
        let (mut alive, mut next) = (BTreeSet::new(), 0u8);
        for action in actions {
            if let ListAction::Sync { from, to } = action {
                world.hear(to, from);
                continue;
            }
            let (ListAction::Insert { replica, .. } | ListAction::Move { replica, .. }
            | ListAction::Delete { replica, .. }) = action else { continue };
            world.call(replica, |draft| {
                let list = list(draft);
                let len = draft.list_len(list).expect("reads");
                let place = |at: u16| u64::from(at) % len.max(1);
                match action {
                    ListAction::Insert { at, .. } => {
                        draft.list_insert(list, place(at), vec![next]).expect("inserts");
                        alive.insert(vec![next]);
                        next += 1;
                    }
                    ListAction::Move { from, to, .. } if len > 0 => {
                        let item = draft.list_get(list, place(from)).expect("reads");
                        draft.list_move(list, place(from), place(to)).expect("moves");
                        assert_eq!(draft.list_get(list, place(to)).expect("reads"), item);
                    }
                    ListAction::Delete { at, .. } if len > 0 => {
                        alive.remove(&draft.list_get(list, place(at)).expect("reads").expect("is there"));
                        draft.list_delete(list, place(at), 1).expect("deletes");
                    }
                    ListAction::Move { .. } | ListAction::Delete { .. } | ListAction::Sync { .. } => {}
                }
            });
        }
        let lists = world.lists();
        let mut sorted = lists[0].clone();
        sorted.sort();
        prop_assert_eq!(sorted, alive.into_iter().collect::<Vec<_>>());
        prop_assert!(lists.iter().all(|list| *list == lists[0]));
        let replayed = world.history.replay(&mut Random(seed));
        prop_assert!(world.replicas.values().all(|replica| replica.state.read == replayed));
    }
}
