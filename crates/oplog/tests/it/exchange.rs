//! Two nodes bring a log in step by their vectors.

use std::collections::BTreeSet;

use mesto_oplog::{AuthorVector, Assume, DagRead as _, EntryId, Lacking, ahead_of, missing};
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
        ids.extend(page.entries);
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
