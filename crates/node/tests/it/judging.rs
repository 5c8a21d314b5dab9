//! Verdicts that change when much was built since.

use mesto_governance::{ContextId, GroupId, Role};
use mesto_node::command::{Command, ContextInfo, GroupAct, Reply, Selector};
use mesto_sync::message::PAGE_ENTRIES_MAX;

use crate::world::World;

/// Entries that one step may read: to serve a page takes the most.
const STEP_MAX: u64 = PAGE_ENTRIES_MAX as u64 + 10;

fn join(world: &mut World, host: usize, context: ContextId) {
    let joined = world.ask(host, Command::ContextJoin(Selector(context.to_string())));
    assert!(matches!(joined, Ok(Reply::ContextCreated { .. })), "{joined:?}");
}

fn remove(world: &mut World, by: usize, group: GroupId, host: usize) {
    let who = Selector(world.group(host, group).member.to_string());
    let act = Command::GroupAct { group: Selector(group.to_string()), act: GroupAct::RemoveMember(who) };
    let acted = world.ask(by, act);
    assert!(matches!(acted, Ok(Reply::Acted(_))), "{acted:?}");
}

/// What must be equal on all nodes.
fn shown(info: &ContextInfo) -> ([u8; 32], u64, u64, u64) {
    (info.root, info.entries, info.voided, info.state_entries)
}

/// Three who write into one context: 2 is removed by 0 while 1 takes what it writes.
fn removed_beside(common: usize, beside: usize) -> (World, GroupId, ContextId) {
    let mut world = World::new(3);
    let group = world.create_group(0, None);
    world.join(0, 1, group, Role::Member);
    world.join(0, 2, group, Role::Member);
    world.run(5_000);
    let context = world.create_context(0, group);
    world.run(1_000);
    join(&mut world, 1, context);
    join(&mut world, 2, context);
    world.run(2_000);
    for n in 0..common {
        world.write(n % 3, context, &format!("common {}", n % 50), &format!("{n}"));
        world.run(1);
    }
    world.run(2_000);
    world.isolate(0);
    for n in 0..beside {
        world.write(2, context, &format!("common {}", n % 60), "beside");
        world.run(1);
    }
    world.run(2_000);
    assert_eq!(world.context(1, context).entries, (1 + common + beside) as u64);
    remove(&mut world, 0, group, 2);
    (world, group, context)
}

#[test]
fn a_removal_makes_a_long_log_count_anew_piece_by_piece_and_all_come_to_the_same() {
    let (mut world, _, context) = removed_beside(700, 400);
    let before = shown(&world.context(1, context));
    world.entries_read_max(1);
    world.cut(1, 2);
    world.connect(0, 1);
    // Some pieces later the old state is still shown, whole.
    world.run(2);
    assert_eq!(shown(&world.context(1, context)), before);
    world.run(5_000);
    let read = world.entries_read_max(1);
    assert!(read <= STEP_MAX, "{read} entries were read in one step");
    let [of_0, of_1] = [0, 1].map(|host| world.context(host, context));
    assert_eq!((of_1.voided, of_1.entries), (400, 701));
    assert_eq!(shown(&of_0), shown(&of_1));
    assert_eq!(of_0.heads, of_1.heads);
}

#[test]
fn what_comes_while_a_long_log_counts_anew_counts_too() {
    let (mut world, _, context) = removed_beside(400, 300);
    world.cut(1, 2);
    world.connect(0, 1);
    for n in 0..20 {
        world.run(1);
        world.write(n % 2, context, &format!("common {n}"), "since");
    }
    world.run(5_000);
    let [of_0, of_1] = [0, 1].map(|host| world.context(host, context));
    assert_eq!((of_1.voided, of_1.entries), (300, 421));
    assert_eq!(shown(&of_0), shown(&of_1));
}

#[test]
fn a_long_log_that_counts_anew_does_so_after_a_restart() {
    let (mut world, _, context) = removed_beside(400, 300);
    world.cut(1, 2);
    world.connect(0, 1);
    world.run(1);
    world.stop(1);
    world.start(1);
    assert_eq!(world.context(1, context).voided, 0, "it has only begun");
    world.run(1_000);
    assert_eq!(world.context(1, context).voided, 300);
    world.connect(0, 1);
    world.run(5_000);
    let [of_0, of_1] = [0, 1].map(|host| world.context(host, context));
    assert_eq!(shown(&of_0), shown(&of_1));
}
