//! Two nodes bring a log in step by their vectors.

use std::collections::BTreeSet;

use mesto_oplog::{Assume, AuthorVector, DagRead as _, EntryId, Incarnation, Lacking, ahead_of, missing};
use proptest::prelude::*;

use crate::replica::Replica;
use crate::world::{self, World};

fn holding(world: &World, at: &BTreeSet<usize>) -> Replica {
    let mut replica = Replica::new();
    at.iter().for_each(|&at| replica.deliver(&world.entries[at]));
    replica
}

fn wire(replica: &Replica) -> AuthorVector {
    AuthorVector::decode(&replica.log.dag.vector().encode()).expect("canonical")
}

/// What one offers to another, by pages of `limit`.
fn offered(from: &Replica, theirs: &AuthorVector, assume: Assume, limit: usize) -> Vec<EntryId> {
    let (dag, store) = (&from.log.dag, &from.log.store);
    let mut ids = Vec::new();
    let mut cursor = Some(0);
    while let Some(at) = cursor {
        let page = missing(dag, store, theirs, assume, at, limit);
        assert!(page.entries.len() <= limit && (page.next.is_none() || page.entries.len() == limit));
        ids.extend(page.entries.into_iter().map(|(_, id)| id));
        cursor = page.next;
    }
    let mut lacking = Lacking::of(dag, store, theirs, assume);
    let mut again = Vec::new();
    while !lacking.is_empty() {
        let left = lacking.len();
        again.extend(lacking.page(store, limit).into_iter().map(|(_, id)| id));
        assert!(lacking.len() < left, "a page brings us on");
    }
    assert_eq!(again, ids, "one search and a search for each page find the same");
    let arrivals: Vec<_> = ids.iter().map(|id| store.placement(id).expect("ours").arrival).collect();
    assert!(arrivals.is_sorted_by(|a, b| a < b), "parents come first");
    ids
}

/// One round: both vectors cross, then both offers. Returns whether anybody learned anything.
fn round(a: &mut Replica, b: &mut Replica, assume: Assume, limit: usize) -> bool {
    let before = a.log.dag.count() + b.log.dag.count();
    let to_b = offered(a, &wire(b), assume, limit);
    let to_a = offered(b, &wire(a), assume, limit);
    for id in to_b {
        b.deliver(&a.log.store.entry(&id).expect("ours"));
    }
    for id in to_a {
        a.deliver(&b.log.store.entry(&id).expect("ours"));
    }
    a.log.dag.count() + b.log.dag.count() > before
}

fn picks() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn without_forks_exactly_what_is_missing_is_offered(
        steps in world::steps(50, false), for_a in picks(), for_b in picks(), limit in 1usize..9,
    ) {
        let world = World::of(&steps, false);
        let (in_a, in_b) = (world.closure(&for_a), world.closure(&for_b));
        let (mut a, mut b) = (holding(&world, &in_a), holding(&world, &in_b));
        let offer = |from: &Replica, to: &Replica| -> BTreeSet<EntryId> {
            offered(from, &wire(to), Assume::NoForks, limit).into_iter().collect()
        };
        prop_assert_eq!(offer(&a, &b), world.ids(in_a.difference(&in_b).copied()));
        prop_assert_eq!(offer(&b, &a), world.ids(in_b.difference(&in_a).copied()));
        prop_assert_eq!(ahead_of(&a.log.dag, &a.log.store, &wire(&b)), !in_b.is_subset(&in_a));
        round(&mut a, &mut b, Assume::NoForks, limit);
        prop_assert_eq!(a.heads(), b.heads());
        prop_assert_eq!(a.ids(), world.ids(in_a.union(&in_b).copied()));
        prop_assert_eq!(wire(&a), wire(&b));
        prop_assert!(!ahead_of(&a.log.dag, &a.log.store, &wire(&b)));
        prop_assert!(offer(&a, &b).is_empty() && offer(&b, &a).is_empty());
    }

    #[test]
    fn with_forks_too_exactly_what_is_missing_is_offered_to_one_who_is_not_ahead(
        steps in world::steps(50, true), for_b in picks(), limit in 1usize..9,
    ) {
        let world = World::of(&steps, true);
        let (in_a, in_b) = ((0..world.entries.len()).collect(), world.closure(&for_b));
        let (a, b) = (holding(&world, &in_a), holding(&world, &in_b));
        for assume in [Assume::NoForks, Assume::Forks] {
            let offer: BTreeSet<EntryId> = offered(&a, &wire(&b), assume, limit).into_iter().collect();
            prop_assert_eq!(offer, world.ids(in_a.difference(&in_b).copied()));
        }
    }

    #[test]
    fn with_forks_one_careful_round_suffices(
        steps in world::steps(50, true), for_a in picks(), for_b in picks(), limit in 1usize..9,
    ) {
        let world = World::of(&steps, true);
        let (in_a, in_b) = (world.closure(&for_a), world.closure(&for_b));
        let (mut a, mut b) = (holding(&world, &in_a), holding(&world, &in_b));
        prop_assert_eq!(ahead_of(&a.log.dag, &a.log.store, &wire(&b)), !in_b.is_subset(&in_a));
        round(&mut a, &mut b, Assume::Forks, limit);
        prop_assert_eq!(a.heads(), b.heads());
        prop_assert!(a.parking.is_empty() && b.parking.is_empty());
        prop_assert_eq!(a.ids(), world.ids(in_a.union(&in_b).copied()));
        let again = offered(&a, &wire(&b), Assume::Forks, limit);
        prop_assert!(again.is_empty(), "equal logs owe each other nothing");
    }

    #[test]
    fn with_forks_rounds_without_gain_are_followed_by_equality(
        steps in world::steps(50, true), for_a in picks(), for_b in picks(),
    ) {
        let world = World::of(&steps, true);
        let (in_a, in_b) = (world.closure(&for_a), world.closure(&for_b));
        let (mut a, mut b) = (holding(&world, &in_a), holding(&world, &in_b));
        while a.heads() != b.heads() {
            if !round(&mut a, &mut b, Assume::NoForks, 256) {
                round(&mut a, &mut b, Assume::Forks, 256);
                prop_assert_eq!(a.heads(), b.heads());
            }
        }
        prop_assert_eq!(a.ids(), world.ids(in_a.union(&in_b).copied()));
    }

    #[test]
    fn a_newcomer_is_offered_everything(steps in world::steps(40, true), limit in 1usize..9) {
        let world = World::of(&steps, true);
        let all: BTreeSet<usize> = (0..world.entries.len()).collect();
        let full = holding(&world, &all);
        let ids = offered(&full, &AuthorVector::empty(), Assume::NoForks, limit);
        prop_assert_eq!(ids, full.log.store.by_arrival(0, usize::MAX));
    }

    #[test]
    fn a_vector_of_another_history_breaks_nothing(
        ours in world::steps(30, true), theirs in world::steps(30, false), limit in 1usize..9,
    ) {
        let (ours, theirs) = (World::of(&ours, true), World::of(&theirs, false));
        let all = |world: &World| (0..world.entries.len()).collect();
        let (mut a, mut b) = (holding(&ours, &all(&ours)), holding(&theirs, &all(&theirs)));
        round(&mut a, &mut b, Assume::Forks, limit);
        prop_assert_eq!(a.heads(), b.heads());
    }
}

#[test]
fn logs_too_large_for_a_complete_vector_are_brought_in_step_too() {
    let mut a = Replica::new();
    let mut b = Replica::new();
    for life in 0..40 {
        let entry = Replica::new().log.author(&world::key(1), Incarnation(life), 1, b"a life of its own");
        a.deliver(&entry);
        b.deliver(&entry);
    }
    assert!(!wire(&a).is_complete());
    a.log.author(&world::key(2), Incarnation(0), 2, b"on top of all that a holds");
    b.log.author(&world::key(3), Incarnation(0), 2, b"on top of all that b holds");
    while a.heads() != b.heads() {
        assert!(round(&mut a, &mut b, Assume::NoForks, 8));
    }
    assert_eq!(a.ids(), b.ids());
    let next = a.log.author(&world::key(2), Incarnation(0), 3, b"next");
    let of_a = offered(&a, &wire(&b), Assume::NoForks, 8);
    assert_eq!(of_a, [next.id()], "what found no room in the vector is in the past of what did");
}

#[test]
fn a_branch_that_the_other_side_cannot_know_of_is_found_by_the_careful_round() {
    let (ours, theirs) = (world::key(1), world::key(2));
    let life = Incarnation(0);
    // Each author has split into a short branch here and a long one there, crosswise, and each short branch
    // rests on the long one beside it: the first round takes both short ones for beginnings of the long ones.
    let mut sides = [Replica::new(), Replica::new()];
    for (side, (long, short)) in sides.iter_mut().zip([(&ours, &theirs), (&theirs, &ours)]) {
        side.log.author(short, life, 1, &[1]);
        for n in 0..3 {
            side.log.author(long, life, 2, &[n]);
        }
    }
    let [mut a, mut b] = sides;
    let mut careful = 0;
    while a.heads() != b.heads() {
        if !round(&mut a, &mut b, Assume::NoForks, 8) {
            careful += 1;
            round(&mut a, &mut b, Assume::Forks, 8);
            assert_eq!(a.heads(), b.heads());
        }
    }
    assert_eq!(careful, 1);
    assert_eq!(a.log.dag.count(), 8);
}
