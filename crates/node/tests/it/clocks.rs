//! Clocks that are wrong.

use mesto_governance::Role;

use crate::world::World;

#[test]
fn who_cannot_take_yet_what_the_other_has_is_not_told_of_it_again_and_again() {
    let mut world = World::new(2);
    let group = world.create_group(0, None);
    world.join(0, 1, group, Role::Admin);
    world.run(5_000);
    // What both write from now on is too far ahead of their clocks for the other.
    world.set_back(3_000_000);
    world.isolate(0);
    world.run(0);
    (0..2).for_each(|host| _ = world.create_context(host, group));
    world.connect(0, 1);
    world.run(10_000);
    assert!(world.group(0, group).heads != world.group(1, group).heads);
    world.run(3_000_000);
    assert_eq!(world.group(0, group).heads, world.group(1, group).heads);
}
