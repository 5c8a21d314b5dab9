//! Coming back into a context, after a removal or after leaving it: whoever is told to be ready has what was written
//! meanwhile.

use mesto_governance::{ContextId, GroupId, Role};
use mesto_node::command::{Command, ContextAct, GroupAct, Reply, Selector};
use mesto_node::{About, Report};

use crate::world::World;

/// What somebody who comes back waits at most, in milliseconds: less than a question may be out that nobody answers.
const SOON_MS: u64 = 2_000;
/// Less than anybody waits before asking on a guess.
const AT_ONCE_MS: u64 = 50;

/// So many who are in one group and one context.
fn together(hosts: usize) -> (World, GroupId, ContextId) {
    let mut world = World::new(hosts);
    let group = world.create_group(0, None);
    (1..hosts).for_each(|host| drop(world.join(0, host, group, Role::Member)));
    world.run(5_000);
    let context = world.create_context(0, group);
    world.run(1_000);
    (1..hosts).for_each(|host| join(&mut world, host, context));
    world.run(2_000);
    assert!((1..hosts).all(|host| world.context(host, context).ready));
    (world, group, context)
}

fn join(world: &mut World, host: usize, context: ContextId) {
    let joined = world.ask(host, Command::ContextJoin(Selector(context.to_string())));
    assert!(matches!(joined, Ok(Reply::ContextCreated { .. })), "{joined:?}");
}

fn remove(world: &mut World, group: GroupId, host: usize) {
    let who = world.group(host, group).member.to_string();
    let act = Command::GroupAct { group: Selector(group.to_string()), act: GroupAct::RemoveMember(Selector(who)) };
    let removed = world.ask(0, act);
    assert!(matches!(removed, Ok(Reply::Acted(_))), "{removed:?}");
}

fn act(world: &mut World, context: ContextId, act: ContextAct) {
    let acted = world.ask(0, Command::ContextAct { context: Selector(context.to_string()), act });
    assert!(matches!(acted, Ok(Reply::Acted(_))), "{acted:?}");
}

/// Has host 1 take a ticket; what follows of it is still to happen.
fn come_back(world: &mut World, by: usize, group: GroupId) {
    let ticket = world.invite(by, group, Role::Member);
    world.begin(1, Command::Join { ticket, contexts_all: true });
}

/// Whether a join is complete with its contexts.
fn is_complete(world: &mut World, host: usize, group: GroupId) -> bool {
    let info = world.joining(host, group);
    info.ready && !info.contexts.is_empty() && info.contexts.iter().all(|(_, ready)| *ready)
}

#[test]
fn whoever_was_removed_is_ready_again_only_with_what_was_written_meanwhile() {
    for (hosts, writes, later_ms) in [(2, 0, 0), (2, 1, 0), (2, 3, 5_000), (3, 0, 0), (3, 2, 0), (3, 2, 5_000)] {
        let (mut world, group, context) = together(hosts);
        for round in 0..2 {
            remove(&mut world, group, 1);
            world.run(5_000);
            (0..writes).for_each(|at| world.write(0, context, &format!("{round}-{at}"), "meanwhile"));
            world.run(later_ms);
            assert!(world.group(1, group).role.is_none());
            assert!(!world.context(1, context).ready, "{hosts} nodes, {writes} writes");
            come_back(&mut world, 0, group);
            let is_soon = world.run_until(SOON_MS, |world| world.context(1, context).ready);
            assert!(is_soon, "{hosts} nodes, {writes} writes, round {round}");
            let (ours, theirs) = (world.context(1, context), world.context(0, context));
            assert_eq!((ours.heads, ours.root), (theirs.heads, theirs.root), "{hosts} nodes, {writes} writes");
            assert!(world.run_until(SOON_MS, |world| is_complete(world, 1, group)), "{:?}", world.joining(1, group));
            world.run(5_000);
        }
    }
}

#[test]
fn whoever_comes_back_asks_those_who_know_of_it() {
    let (mut world, group, context) = together(3);
    let who = Selector(world.group(2, group).member.to_string());
    let act = GroupAct::SetRole(who, Role::Admin);
    assert!(matches!(world.ask(0, Command::GroupAct { group: Selector(group.to_string()), act }), Ok(Reply::Acted(_))));
    world.run(1_000);
    remove(&mut world, group, 1);
    world.run(5_000);
    world.write(0, context, "tea", "green");
    world.run(5_000);
    // Host 0, which would be the first to be asked, does not know what host 2 does.
    world.cut(0, 2);
    come_back(&mut world, 2, group);
    let is_at_once = world.run_until(AT_ONCE_MS, |world| is_complete(world, 1, group));
    assert!(is_at_once, "{:?}", world.joining(1, group));
    assert_eq!(world.context(1, context).root, world.context(2, context).root);
}

#[test]
fn whoever_was_removed_is_not_ready_after_a_restart_either() {
    for is_crash in [false, true] {
        let (mut world, group, context) = together(2);
        remove(&mut world, group, 1);
        world.run(1_000);
        world.stop(1);
        if is_crash {
            // The removal was on the disk, and what it means for the context was not yet.
            world.rewrite(1, context, |record| record.caught_up = true);
        }
        world.write(0, context, "tea", "green");
        world.start(1);
        world.connect(0, 1);
        world.run(1_000);
        assert!(!world.context(1, context).ready);
        come_back(&mut world, 0, group);
        assert!(world.run_until(SOON_MS, |world| is_complete(world, 1, group)), "{:?}", world.joining(1, group));
        assert_eq!(world.context(1, context).root, world.context(0, context).root);
    }
}

#[test]
fn whoever_was_locked_out_of_a_restricted_context_is_ready_again_only_with_what_was_written_meanwhile() {
    for writes in [0, 1] {
        let (mut world, group, context) = together(2);
        let who = world.group(1, group).member.to_string();
        let owner = world.group(0, group).member.to_string();
        act(&mut world, context, ContextAct::Allow(vec![Selector(owner)]));
        act(&mut world, context, ContextAct::Restrict(true));
        world.run(2_000);
        assert!(!world.context(1, context).ready);
        let info = world.joining(1, group);
        assert!(info.ready && info.contexts.is_empty(), "nobody waits for what they may not have: {info:?}");
        (0..writes).for_each(|at| world.write(0, context, &at.to_string(), "meanwhile"));
        act(&mut world, context, ContextAct::Allow(vec![Selector(who)]));
        assert!(world.run_until(SOON_MS, |world| is_complete(world, 1, group)), "{:?}", world.joining(1, group));
        assert_eq!(world.context(1, context).root, world.context(0, context).root);
    }
}

#[test]
fn whoever_left_a_context_for_good_is_ready_again_only_with_what_was_written_meanwhile() {
    for (restarts, is_cut) in [(false, false), (false, true), (true, true)] {
        for writes in [0, 2] {
            let (mut world, _, context) = together(2);
            let leave = Command::ContextAct { context: Selector(context.to_string()), act: ContextAct::Leave };
            assert!(matches!(world.ask(1, leave), Ok(Reply::Acted(_))));
            world.run(15_000);
            assert!(!world.serves(1, context), "left for good");
            (0..writes).for_each(|at| world.write(0, context, &at.to_string(), "meanwhile"));
            if is_cut {
                world.isolate(1);
                world.run(1_000);
            }
            if restarts {
                world.stop(1);
                world.start(1);
            }
            if is_cut {
                join(&mut world, 1, context);
                assert!(!world.context(1, context).ready, "nobody has said what was written");
                world.connect(0, 1);
            } else {
                world.begin(1, Command::ContextJoin(Selector(context.to_string())));
            }
            let is_soon = world.run_until(SOON_MS, |world| world.context(1, context).ready);
            assert!(is_soon, "restarts: {restarts}, cut: {is_cut}, {writes} writes");
            assert_eq!(world.context(1, context).root, world.context(0, context).root);
        }
    }
}

#[test]
fn whoever_comes_back_is_told_again_of_what_they_had_heard_before() {
    let (mut world, group, context) = together(2);
    remove(&mut world, group, 1);
    world.run(1_000);
    world.reports.clear();
    world.join(0, 1, group, Role::Member);
    world.run(1_000);
    let is_told = |(host, report): &(usize, Report)| {
        let about = About::Log(context.log());
        *host == 0 && matches!(report, Report::Flow(flow) if flow.step == "how the log stands" && flow.about == about)
    };
    assert!(world.reports.iter().any(is_told));
}

/// Host 1 lets host 2 in by the owner's invitation, while the owner, cut off, removes host 1. Among the others is host 3, an
/// admin too.
fn let_in_by_somebody_who_goes() -> (World, GroupId) {
    let mut world = World::new(4);
    let group = world.create_group(0, None);
    world.join(0, 1, group, Role::Admin);
    world.join(0, 3, group, Role::Admin);
    world.run(3_000);
    let ticket = world.invite(0, group, Role::Member);
    world.run(1_000);
    world.isolate(0);
    world.cut(2, 3);
    world.begin(2, Command::Join { ticket, contexts_all: false });
    world.run(3_000);
    assert!(world.joining(2, group).ready);
    remove(&mut world, group, 1);
    world.run(1_000);
    (world, group)
}

fn was_undone(world: &World) -> bool {
    let is_undone = |report: &Report| matches!(report, Report::Flow(flow) if flow.step == "the join was undone");
    world.reports.iter().any(|(host, report)| *host == 2 && is_undone(report))
}

#[test]
fn a_join_that_was_undone_is_completed_by_whoever_still_may() {
    let (mut world, group) = let_in_by_somebody_who_goes();
    (1..4).for_each(|host| world.connect(0, host));
    world.run(3_000);
    assert!(was_undone(&world));
    let info = world.joining(2, group);
    assert!(info.joined && info.ready, "{info:?}");
    assert!(world.group(1, group).role.is_none());
    assert_eq!(world.group(0, group).digest, world.group(2, group).digest);
}

#[test]
fn a_join_that_was_undone_and_cannot_be_taken_up_again_tells_why() {
    let (mut world, group) = let_in_by_somebody_who_goes();
    // The invitation is good for one hour.
    world.run(3_600_000);
    (1..4).for_each(|host| world.connect(0, host));
    world.run(3_000);
    let info = world.joining(2, group);
    let refused = info.refused.expect("the join ends");
    assert!(!info.joined && refused.contains("had no right to any more") && refused.contains("expired"), "{refused}");
}

#[test]
fn whoever_was_let_in_by_nobody_and_removed_by_somebody_stays_out() {
    let (mut world, group) = let_in_by_somebody_who_goes();
    let who = world.group(2, group).member.to_string();
    let act = Command::GroupAct { group: Selector(group.to_string()), act: GroupAct::RemoveMember(Selector(who)) };
    let removed = world.ask(3, act);
    assert!(matches!(removed, Ok(Reply::Acted(_))), "{removed:?}");
    (1..4).for_each(|host| world.connect(0, host));
    world.run(20_000);
    assert!(world.group(2, group).role.is_none());
    assert!(!was_undone(&world));
}
