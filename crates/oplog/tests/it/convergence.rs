//! The order of arrival leaves no trace but the local numbers.

use mesto_oplog::{Dag, DagRead as _, Verified};
use proptest::prelude::*;

use crate::replica::Replica;
use crate::world::{self, World};

fn delivered<'a>(entries: impl IntoIterator<Item = &'a Verified>) -> Replica {
    let mut replica = Replica::new();
    entries.into_iter().for_each(|entry| replica.deliver(entry));
    replica
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_order_of_arrival_gives_the_log_of_the_model(
        (world, order) in world::steps(40, true).prop_flat_map(|steps| {
            let world = World::of(&steps, true);
            let order = Just(world.entries.clone()).prop_shuffle();
            (Just(world), order)
        }),
    ) {
        let one = delivered(&world.entries);
        let other = delivered(&order);
        prop_assert!(other.parking.is_empty());
        prop_assert!(one.refused.is_empty());
        for replica in [&one, &other] {
            let (dag, store) = (&replica.log.dag, &replica.log.store);
            prop_assert_eq!(replica.heads(), world.heads());
            prop_assert_eq!(dag.count(), world.entries.len() as u64);
            prop_assert_eq!(dag.vector(), one.log.dag.vector());
            prop_assert_eq!(Some(dag.max_stamp()), world.entries.iter().map(|e| e.header().stamp).max());
            for (at, entry) in world.entries.iter().enumerate() {
                let placement = store.placement(&entry.id()).expect("held");
                prop_assert_eq!(placement.height, world.height(at));
                for (below, ancestor) in world.entries.iter().enumerate() {
                    let is_below = world.pasts[at].contains(&below);
                    let covered = placement.past.covers(&store.placement(&ancestor.id()).expect("held"));
                    prop_assert_eq!(covered, is_below);
                    let is_ancestor = dag.is_ancestor(store, &ancestor.id(), &entry.id());
                    prop_assert_eq!(is_ancestor, Some(is_below && at != below));
                }
            }
        }
    }

    #[test]
    fn any_order_of_arrival_gives_the_same_verdicts_on_claims_true_and_false(
        (entries, order) in (world::steps(20, true), world::claims()).prop_flat_map(|(steps, claims)| {
            let mut world = World::of(&steps, true);
            claims.iter().for_each(|claim| world.claim(claim));
            (Just(world.entries.clone()), Just(world.entries).prop_shuffle())
        }),
    ) {
        let (one, other) = (delivered(&entries), delivered(&order));
        prop_assert_eq!(one.ids(), other.ids());
        prop_assert_eq!(one.heads(), other.heads());
        prop_assert_eq!(&one.refused, &other.refused);
        for replica in [&one, &other] {
            let waiting = replica.parking.len();
            prop_assert_eq!(replica.inserted.len() + replica.refused.len() + waiting, entries.len());
            prop_assert!(waiting == 0 || !replica.refused.is_empty(), "only what rests on the refused waits");
            let restored = Dag::restore(&replica.log.dag.encode());
            prop_assert_eq!(restored.as_ref(), Ok(&replica.log.dag));
        }
    }

    #[test]
    fn arrivals_are_numbered_without_gaps_and_parents_come_first(
        (_, order) in world::steps(40, true).prop_flat_map(|steps| {
            let world = World::of(&steps, true);
            let order = Just(world.entries.clone()).prop_shuffle();
            (Just(world), order)
        }),
    ) {
        let replica = delivered(&order);
        let by_arrival = replica.log.store.by_arrival(0, usize::MAX);
        prop_assert_eq!(by_arrival.len(), order.len());
        for (number, id) in by_arrival.iter().enumerate() {
            let entry = replica.log.store.entry(id).expect("held");
            for parent in &entry.header().parents {
                prop_assert!(by_arrival[..number].contains(parent));
            }
        }
    }

    #[test]
    fn a_restart_at_any_point_changes_nothing(
        (order, stop) in world::steps(30, true).prop_flat_map(|steps| {
            let order = Just(World::of(&steps, true).entries).prop_shuffle();
            (order, any::<prop::sample::Index>())
        }),
    ) {
        let mut restarted = delivered(&order[..stop.index(order.len())]);
        let bytes = restarted.log.dag.encode();
        let restored = Dag::restore(&bytes).expect("what was encoded");
        prop_assert_eq!(&restored, &restarted.log.dag);
        prop_assert_eq!(restored.encode(), bytes);
        restarted.log.dag = restored;
        order.iter().for_each(|entry| restarted.deliver(entry));
        prop_assert_eq!(&restarted.log, &delivered(&order).log);
    }

    #[test]
    fn being_the_only_head_means_that_nothing_is_concurrent(steps in world::steps(30, true)) {
        let world = World::of(&steps, true);
        let mut replica = Replica::new();
        let mut heads = replica.heads();
        for (at, entry) in world.entries.iter().enumerate() {
            replica.deliver(entry);
            let inserted = replica.inserted.last().expect("delivered in causal order");
            prop_assert_eq!(inserted.is_only_head, world.pasts[at].len() == at + 1);
            heads.retain(|head| !inserted.superseded.contains(head));
            heads.insert(inserted.id);
            prop_assert_eq!(&heads, &replica.heads());
        }
    }
}
