//! Keys that are none, and those who wait for them.

use mesto_governance::action::{Action, Domain, KeyEpochStarted, Wraps, recipients_digest};
use mesto_governance::{KeyId, Role};
use mesto_node::command::{Command, Reply, Selector};

use crate::world::World;

/// An epoch of a key that nobody has.
fn rubbish() -> Vec<Action> {
    vec![Action::KeyEpochStarted(KeyEpochStarted {
        domain: Domain::Group,
        key: KeyId::from_bytes([9; 32]),
        recipients: recipients_digest(std::iter::empty()),
        wraps: Wraps::Inline(Vec::new()),
        parent: None,
        history: Vec::new(),
    })]
}

fn epochs(world: &mut World, host: usize, group: mesto_governance::GroupId) -> usize {
    match world.ask(host, Command::GroupLog(Selector(group.to_string()))) {
        Ok(Reply::Log(lines)) => lines.iter().filter(|line| line.summary.contains("KeyEpochStarted")).count(),
        other => panic!("no log: {other:?}"),
    }
}

#[test]
fn who_joins_after_an_epoch_that_nobody_can_open_is_ready_though_nobody_writes() {
    let mut world = World::new(3);
    let group = world.create_group(0, None);
    world.join(0, 1, group, Role::Admin);
    world.run(5_000);
    assert!(world.joining(1, group).ready);
    world.forge(0, group, &[1], |_| rubbish());
    world.stop(0);
    world.run(100);
    assert!(!world.group(1, group).key_held);
    world.join(1, 2, group, Role::Member);
    world.run(15_000);
    assert!(world.joining(2, group).ready, "{:?}", world.joining(2, group));
    assert!(world.group(1, group).key_held);
    assert_eq!(epochs(&mut world, 1, group), 3, "the first, the rubbish, and one by one of the two");
}

#[test]
fn of_many_who_wait_for_a_key_that_does_not_come_one_starts_an_epoch() {
    let mut world = World::new(8);
    let group = world.create_group(0, None);
    (1..8).for_each(|host| _ = world.join(0, host, group, Role::Member));
    world.run(5_000);
    world.forge(0, group, &[1, 2, 3, 4, 5, 6, 7], |_| rubbish());
    world.isolate(0);
    world.run(12_000);
    assert!((1..8).all(|host| world.group(host, group).key_held));
    assert_eq!(epochs(&mut world, 1, group), 3);
}

#[test]
fn who_is_alone_or_only_reads_starts_no_epoch() {
    let mut world = World::new(3);
    let group = world.create_group(0, None);
    world.join(0, 1, group, Role::Member);
    world.join(0, 2, group, Role::ReadOnly);
    world.run(5_000);
    world.forge(0, group, &[1, 2], |_| rubbish());
    world.stop(0);
    world.isolate(1);
    world.run(60_000);
    assert_eq!([1, 2].map(|host| epochs(&mut world, host, group)), [2, 2]);
    world.connect(1, 2);
    world.run(12_000);
    assert_eq!([1, 2].map(|host| epochs(&mut world, host, group)), [3, 3]);
    assert!([1, 2].iter().all(|host| world.group(*host, group).key_held));
}

#[test]
fn a_clock_that_is_set_back_does_not_prolong_the_wait_for_a_key() {
    let mut world = World::new(3);
    let group = world.create_group(0, None);
    world.join(0, 1, group, Role::Member);
    world.join(0, 2, group, Role::Member);
    world.run(5_000);
    world.forge(0, group, &[1, 2], |_| rubbish());
    world.isolate(0);
    world.run(1_000);
    world.set_back(200_000);
    world.run(12_000);
    assert!(world.group(1, group).key_held);
}
