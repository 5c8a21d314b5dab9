//! Equivocation is kept, found and proven.

use std::collections::{BTreeMap, BTreeSet};

use mesto_oplog::{Incarnation, Proof, PublicKey, Verified};
use proptest::prelude::*;

use crate::replica::Replica;
use crate::world::{self, World};

type Place = (PublicKey, Incarnation, u64);

fn place(entry: &Verified) -> Place {
    let header = entry.header();
    (header.author, header.incarnation, header.seq)
}

/// The places at which a fork begins: two entries of one place with the same entry before them.
fn forks(world: &World) -> BTreeSet<Place> {
    let mut seen = BTreeMap::new();
    for entry in &world.entries {
        *seen.entry((place(entry), entry.header().prev)).or_insert(0) += 1;
    }
    seen.into_iter().filter(|(_, count)| *count > 1).map(|((place, _), _)| place).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_fork_is_proven_whatever_the_order(
        (world, order) in world::steps(40, true).prop_flat_map(|steps| {
            let world = World::of(&steps, true);
            let order = Just(world.entries.clone()).prop_shuffle();
            (Just(world), order)
        }),
    ) {
        let mut replica = Replica::new();
        order.iter().for_each(|entry| replica.deliver(entry));
        let proofs: Vec<Proof> = replica.inserted.iter().filter_map(|inserted| inserted.equivocation.clone()).collect();
        let proven: BTreeSet<Place> = proofs.iter().map(|p| (p.author(), p.incarnation(), p.seq())).collect();
        prop_assert_eq!(proven, forks(&world));
        prop_assert_eq!(proofs.len(), replica.inserted.iter().filter(|inserted| inserted.is_branch).count());
        for proof in proofs {
            prop_assert_eq!(Proof::decode(&proof.encode()), Ok(proof));
        }
    }

    #[test]
    fn an_honest_author_is_never_accused(steps in world::steps(40, false)) {
        let world = World::of(&steps, false);
        let mut replica = Replica::new();
        world.entries.iter().for_each(|entry| replica.deliver(entry));
        prop_assert!(replica.inserted.iter().all(|inserted| !inserted.is_branch && inserted.equivocation.is_none()));
        let lives: BTreeSet<_> = world.entries.iter().map(|e| (e.header().author, e.header().incarnation)).collect();
        prop_assert_eq!(replica.log.dag.chains().len(), lives.len());
    }
}
