//! Leaving: what was written before stays written.

use mesto_governance::{ContextId, GroupId, Role};
use mesto_node::command::{Command, CommandError, ContextAct, GroupAct, Reply, Selector};

use crate::world::World;

/// Two who are in one group and one context.
fn two() -> (World, GroupId, ContextId) {
    let mut world = World::new(2);
    let group = world.create_group(0, None);
    world.join(0, 1, group, Role::Member);
    world.run(5_000);
    let context = world.create_context(0, group);
    world.run(1_000);
    join(&mut world, 1, context);
    world.run(2_000);
    assert!(world.context(1, context).ready);
    (world, group, context)
}

fn join(world: &mut World, host: usize, context: ContextId) {
    let joined = world.ask(host, Command::ContextJoin(Selector(context.to_string())));
    assert!(matches!(joined, Ok(Reply::ContextCreated { .. })), "{joined:?}");
}

fn leave(world: &mut World, host: usize, context: ContextId) {
    let command = Command::ContextAct { context: Selector(context.to_string()), act: ContextAct::Leave };
    let left = world.ask(host, command);
    assert!(matches!(left, Ok(Reply::Acted(_))), "{left:?}");
    assert!(!world.context(host, context).joined);
}

#[test]
fn what_was_written_before_a_context_was_left_reaches_the_others_when_they_are_there_again() {
    let (mut world, _, context) = two();
    world.isolate(1);
    world.write(1, context, "last", "words");
    leave(&mut world, 1, context);
    world.stop(1);
    world.start(1);
    world.run(60_000);
    assert!(!world.context(1, context).joined);
    let before = world.context(0, context).entries;
    world.connect(0, 1);
    world.run(1_000);
    assert_eq!(world.context(0, context).entries, before + 1);
    world.run(1_000);
    assert!(!world.serves(1, context), "somebody has it: it is left for good");
}

#[test]
fn whoever_crashes_while_leaving_has_left_or_not_and_serves_what_was_written() {
    for batches in [0, 1] {
        let (mut world, _, context) = two();
        let before = world.context(0, context).entries;
        world.isolate(1);
        world.write(1, context, "last", "words");
        let command = Command::ContextAct { context: Selector(context.to_string()), act: ContextAct::Leave };
        world.ask_and_crash(1, command, batches);
        world.start(1);
        assert_eq!(world.context(1, context).joined, batches == 0);
        assert!(world.serves(1, context));
        world.connect(0, 1);
        world.run(15_000);
        assert_eq!(world.context(0, context).entries, before + 1);
    }
}

#[test]
fn nothing_is_called_or_heard_any_more_in_a_context_that_was_left() {
    let (mut world, _, context) = two();
    world.isolate(1);
    world.write(1, context, "last", "words");
    leave(&mut world, 1, context);
    let selector = || Selector(context.to_string());
    let call = Command::Call { context: selector(), method: "set".to_owned(), args: b"{}".to_vec(), identity: None };
    assert_eq!(world.ask(1, call), Err(CommandError::NotJoined(context)));
    assert_eq!(world.ask(1, Command::Resolve(selector())), Err(CommandError::NotJoined(context)));
    assert!(matches!(world.ask(1, Command::Status), Ok(Reply::Status(status)) if status.contexts == 0));
    assert!(world.serves(1, context));
}

#[test]
fn whoever_joins_again_before_anybody_has_what_they_wrote_goes_on_from_it() {
    let (mut world, _, context) = two();
    let before = world.context(0, context).entries;
    world.isolate(1);
    world.write(1, context, "first", "life");
    leave(&mut world, 1, context);
    join(&mut world, 1, context);
    world.write(1, context, "second", "life");
    leave(&mut world, 1, context);
    join(&mut world, 1, context);
    world.stop(1);
    world.start(1);
    assert!(world.context(1, context).joined);
    world.connect(0, 1);
    world.run(2_000);
    assert_eq!(world.context(0, context).entries, before + 2);
    assert_eq!(world.context(1, context).entries, before + 2);
    leave(&mut world, 1, context);
    world.run(2_000);
    assert!(!world.serves(1, context), "who has it is known");
}

#[test]
fn what_was_written_before_the_group_was_left_reaches_the_others_too() {
    for leaves_context in [false, true] {
        let (mut world, group, context) = two();
        let before = world.context(0, context).entries;
        world.isolate(1);
        world.write(1, context, "last", "words");
        if leaves_context {
            leave(&mut world, 1, context);
        }
        let act = Command::GroupAct { group: Selector(group.to_string()), act: GroupAct::Leave };
        let left = world.ask(1, act);
        assert!(matches!(left, Ok(Reply::Acted(_))), "{left:?}");
        world.stop(1);
        world.start(1);
        world.connect(0, 1);
        world.run(15_000);
        assert_eq!(world.context(0, context).entries, before + 1, "left the context first: {leaves_context}");
        assert_eq!(world.group(0, group).members, 1);
    }
}
