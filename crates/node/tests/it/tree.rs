//! Groups below groups.

use mesto_governance::{ContextId, GroupId, Role};
use mesto_node::Report;
use mesto_node::command::{Command, GroupAct, Reply, Selector};

use crate::world::World;

/// What one member can have others follow.
const OF_ONE_MAX: usize = 128;

fn follows(world: &mut World, host: usize, group: GroupId) -> bool {
    world.ask(host, Command::GroupShow(Selector(group.to_string()))).is_ok()
}

fn act(world: &mut World, host: usize, group: GroupId, act: GroupAct) {
    let acted = world.ask(host, Command::GroupAct { group: Selector(group.to_string()), act });
    assert!(matches!(acted, Ok(Reply::Acted(_))), "{acted:?}");
}

#[test]
fn a_member_who_begins_subgroups_without_end_takes_no_room_from_others() {
    let mut world = World::new(3);
    let root = world.create_group(0, None);
    world.join(0, 1, root, Role::Member);
    world.join(0, 2, root, Role::Admin);
    world.run(5_000);
    let many: Vec<GroupId> = (0..OF_ONE_MAX + 3).map(|_| world.create_group(0, Some(root))).collect();
    world.run(5_000);
    assert!(many.iter().all(|group| follows(&mut world, 0, *group)), "what is begun here is followed here");
    let left: Vec<GroupId> = many.iter().copied().filter(|group| !follows(&mut world, 1, *group)).collect();
    assert_eq!((left.len(), world.group(1, root).subgroups_unfollowed), (3, 3));
    let is_shed = |(host, report): &(usize, Report)| {
        *host == 1 && matches!(report, Report::Shed { bound: "subgroups that are followed", .. })
    };
    assert!(world.reports.iter().any(is_shed));

    let other = world.create_group(2, Some(root));
    world.run(2_000);
    assert!(follows(&mut world, 1, other), "what somebody else begins has room");

    let who = world.group(1, root).member.to_string();
    let row = GroupAct::AddMember { who, role: Role::Member, capabilities: None };
    act(&mut world, 0, left[0], row);
    world.run(2_000);
    assert!(follows(&mut world, 1, left[0]), "a row of one's own");
    assert_eq!(world.group(1, left[0]).role, Some(Role::Member));

    let followed: Vec<GroupId> = many.iter().copied().filter(|group| follows(&mut world, 1, *group)).collect();
    act(&mut world, 0, followed[0], GroupAct::Delete);
    act(&mut world, 0, followed[1], GroupAct::Delete);
    world.run(2_000);
    let left = many.iter().filter(|group| !follows(&mut world, 1, **group)).count();
    assert_eq!((left, world.group(1, root).subgroups_unfollowed), (1, 1), "there is room again");

    world.stop(1);
    world.start(1);
    world.connect(0, 1);
    world.run(2_000);
    assert_eq!(world.group(1, root).subgroups_unfollowed, 1);
}

/// A root, a group below it and one below that, all of host 0's. Host 1 is an admin of the root, and has begun a context in
/// each of the two below, in which host 0 is too.
fn three_deep() -> (World, [GroupId; 3], [ContextId; 2]) {
    let mut world = World::new(2);
    let root = world.create_group(0, None);
    world.join(0, 1, root, Role::Admin);
    world.run(5_000);
    let middle = world.create_group(0, Some(root));
    let bottom = world.create_group(0, Some(middle));
    world.run(5_000);
    let contexts = [middle, bottom].map(|group| world.create_context(1, group));
    world.run(5_000);
    for context in contexts {
        let joined = world.ask(0, Command::ContextJoin(Selector(context.to_string())));
        assert!(matches!(joined, Ok(Reply::ContextCreated { .. })), "{joined:?}");
    }
    world.run(5_000);
    (world, [root, middle, bottom], contexts)
}

#[test]
fn a_row_of_their_own_by_which_somebody_is_less_undoes_nothing_that_they_did_and_wrote_before() {
    for role in [Role::Member, Role::ReadOnly] {
        let (mut world, [_, middle, bottom], contexts) = three_deep();
        let who = world.group(1, middle).member.to_string();
        act(&mut world, 0, middle, GroupAct::AddMember { who, role, capabilities: None });
        world.run(5_000);
        for host in [0, 1] {
            assert_eq!(world.group(host, middle).contexts, 1, "{role:?}");
            assert_eq!(world.group(host, bottom).contexts, 1, "{role:?}");
        }
        assert_eq!(world.group(1, middle).role, Some(role));
        assert_eq!(world.group(1, bottom).role, Some(role));
        for context in contexts {
            let info = world.context(1, context);
            assert_eq!((info.entries, info.voided), (1, 0), "{role:?}");
        }
    }
}
