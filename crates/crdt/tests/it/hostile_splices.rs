//! Splices that somebody could send who does not keep to the form, or names what they have not seen.

use mesto_crdt::sequence::{Anchor, Content, Deleted, DeletedOf, Item, Mint, Run, Spans, Stretch};
use mesto_crdt::{ApplyError, CollectionId, Delta, DeltaId, Kind, Op, OpError, Transaction, TreeCache};

use crate::model::{Replica, author, read_everything};
use crate::sequences::{LIAR, World, splice};

/// A liar's splices, on top of a text that somebody else typed.
fn hostile() -> (World, Vec<Op>) {
    let mut world = World::default();
    let seen = splice(&mut world, 0, 0, 0, "abc");
    let (unseen, long) = (splice(&mut world, 1, 0, 0, "xyz"), splice(&mut world, 0, 3, 0, &"l".repeat(100)));
    let mint = |number: usize| {
        let entry = &world.history.entries[number];
        Mint { stamp: entry.stamp, delta: entry.id }
    };
    let collection = CollectionId::ROOT.child(Kind::Text, b"f");
    let run = |mint: Mint, offset| {
        let run = Run { left: Some(Anchor { mint: 0, offset }), right: None, content: Content::Text("!".into()) };
        let inserted = Spans { mints: vec![mint], runs: vec![run] };
        Op::Splice { collection, inserted, deleted: Deleted::Some(vec![]) }
    };
    let delete = |mint: Mint, start, len| {
        let deleted = Deleted::Some(vec![DeletedOf { mint, stretches: vec![Stretch { start, len }] }]);
        Op::Splice { collection, inserted: Spans::default(), deleted }
    };
    let (seen, unseen, long) = (mint(seen), mint(unseen), mint(long));
    let own = Mint { stamp: seen.stamp, delta: LIAR };
    let ops = vec![
        run(seen, 3),
        run(seen, u32::MAX),
        run(unseen, 0),
        run(own, 0),
        run(Mint { delta: DeltaId([77; 32]), ..seen }, 0),
        run(Mint { stamp: long.stamp, ..seen }, 0),
        run(Mint { stamp: seen.stamp, ..long }, 0),
        delete(seen, 2, 2),
        delete(seen, 0, u32::MAX),
        delete(long, 100, 1),
        delete(unseen, 0, 1),
        delete(own, 0, 1),
    ];
    (world, ops)
}

#[test]
fn what_is_not_in_the_past_is_refused_whether_the_text_is_in_memory_or_not() {
    for is_loaded in [false, true] {
        let (world, ops) = hostile();
        let Replica { held, state, .. } = &world.replicas[&0];
        if is_loaded {
            read_everything(state);
        }
        for op in ops {
            assert_eq!(op.check(), Ok(()), "nothing is wrong with its form");
            let ops = [op];
            let stamp = world.history.entries.iter().map(|entry| entry.stamp).max().expect("there are some");
            let delta = Delta { id: LIAR, author: author(2), stamp: stamp.successor().expect("in range"), ops: &ops };
            // On top of all heads everything counts as past that could be asked for.
            let of_held = |id: &DeltaId| world.history.index.get(id).is_none_or(|number| held.contains(number));
            let mut cache = TreeCache::new();
            let mut transaction = Transaction::new(state, &mut cache);
            let refused = transaction.apply(&delta, &of_held);
            let is_refused =
                matches!(refused, Err(ApplyError::Malformed { index: 0, error: OpError::NotInPast { .. } }));
            assert!(is_refused, "{ops:?}: {refused:?}");
            assert!(transaction.finish().expect("sound").writes.is_empty(), "nothing was changed");
        }
    }
}

#[test]
fn splices_have_one_form() {
    let collection = CollectionId::ROOT.child(Kind::Text, b"f");
    let mint = |n: u8| Mint { stamp: mesto_crdt::Hlc::ZERO, delta: DeltaId([n; 32]) };
    let anchor = |mint| Some(Anchor { mint, offset: 0 });
    let text = || Content::Text("x".into());
    let check = |mints: Vec<Mint>, left, right, content, deleted| {
        let inserted = Spans { mints, runs: vec![Run { left, right, content }] };
        Op::Splice { collection, inserted, deleted: Deleted::Some(deleted) }.check()
    };
    assert_eq!(check(vec![mint(1), mint(2)], anchor(0), anchor(1), text(), vec![]), Ok(()));
    assert_eq!(check(vec![mint(2), mint(1)], anchor(0), anchor(1), text(), vec![]), Err(OpError::Unsorted));
    assert_eq!(check(vec![mint(1)], anchor(0), anchor(1), text(), vec![]), Err(OpError::UnknownMint));
    assert_eq!(check(vec![mint(1)], None, None, text(), vec![]), Err(OpError::UnusedMint));
    assert_eq!(check(vec![mint(1)], anchor(0), anchor(0), text(), vec![]), Err(OpError::SameOrigins));
    assert_eq!(check(vec![], None, None, Content::Text("".into()), vec![]), Err(OpError::EmptyRun));
    assert_eq!(check(vec![], None, None, Content::Gone(1), vec![]), Err(OpError::GoneRun));
    let items = Content::Items(vec![Item::Value(vec![])]);
    assert!(matches!(check(vec![], None, None, items, vec![]), Err(OpError::WrongCollection { .. })));
    let stretches = |ranges: &[(u32, u32)]| {
        let stretches = ranges.iter().map(|(start, len)| Stretch { start: *start, len: *len }).collect();
        vec![DeletedOf { mint: mint(1), stretches }]
    };
    assert_eq!(check(vec![], None, None, text(), stretches(&[(0, 1), (2, 1)])), Ok(()));
    for bad in [&[(0, 1), (1, 1)][..], &[(0, 2), (1, 1)], &[(5, 1), (0, 1)], &[(0, 0)], &[(u32::MAX, 2)]] {
        assert_eq!(check(vec![], None, None, text(), stretches(bad)), Err(OpError::Unsorted));
    }
    assert_eq!(check(vec![], None, None, text(), stretches(&[])), Err(OpError::NothingObserved));
    let nothing = Op::Splice { collection, inserted: Spans::default(), deleted: Deleted::Some(vec![]) };
    assert_eq!(nothing.check(), Err(OpError::ChangesNothing));
}
