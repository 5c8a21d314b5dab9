//! Rules of the fold where random histories seldom come.

use mesto_governance::action::{
    Alias, Checkpoint, ContextAllowed, ContextCapabilityGranted, ContextCapabilityRevoked, ContextRef,
    MemberCapabilitiesSet, MigrationAborted, UpgradePolicy, UpgradePolicySet,
};
use mesto_governance::{Action, Capabilities, Change, Op, Rejected, Role};
use mesto_oplog::Incarnation;
use mesto_oplog::entry::{Draft, Header, Kind, Stamp};

use crate::world::{START_MS, World, add, id, key, name, remove};

fn named(who: u8) -> Vec<Action> {
    vec![name(Alias::Member(id(who)), "named")]
}

#[test]
fn of_several_revocations_that_void_an_op_the_first_is_its_cause_in_any_order() {
    let world = World::peopled();
    let heads = world.governance.heads();
    let struck = world.sign(4, &heads, named(4));
    let by_admin = world.sign(1, &heads, vec![remove(4)]);
    let by_owner = world.sign(0, &heads, vec![remove(4)]);
    for order in [[&struck, &by_admin, &by_owner], [&by_admin, &by_owner, &struck], [&by_owner, &struck, &by_admin]] {
        let mut governance = world.governance.clone();
        for entry in order {
            governance.apply(entry).unwrap();
        }
        assert_eq!(governance.voided_by(&struck.id()), Some(by_owner.id()));
    }
}

#[test]
fn of_several_revocations_that_are_in_force_the_first_is_the_cause_of_what_comes_late() {
    let mut world = World::peopled();
    let heads = world.governance.heads();
    // Each voids something that the other does not, so that both are known to be in force when the late op comes.
    let known = world.act_after(4, &heads, named(4));
    let by_owner = world.act_after(0, &[known], vec![remove(4)]);
    let by_admin = world.act_after(1, &heads, vec![remove(4)]);
    let beside = world.act_after(4, &heads, named(4));
    assert_eq!(world.governance.voided_by(&known), Some(by_admin));
    assert_eq!(world.governance.voided_by(&beside), Some(by_owner));
    let late = world.act_after(4, &heads, vec![Action::Merge]);
    assert_eq!(world.governance.voided_by(&late), Some(by_owner));
}

#[test]
fn a_right_that_is_given_again_opens_anew() {
    let mut world = World::peopled();
    let context = ContextRef::Id(world.context(1, vec![]));
    let give = || ContextCapabilityGranted { context, member: id(4), rights: 1 };
    let use_it = |who| vec![Action::ContextAllowed(ContextAllowed { context, member: id(who) })];
    world.act(1, vec![Action::ContextCapabilityGranted(give())]);
    let taken = ContextCapabilityRevoked { context, member: id(4), rights: 1 };
    world.act(1, vec![Action::ContextCapabilityRevoked(taken)]);
    world.act(1, vec![Action::ContextCapabilityGranted(give())]);
    let heads = world.governance.heads();
    world.act(4, use_it(3));
    // Something that makes the fold resolve all this anew.
    world.act_after(2, &heads, vec![add(8, Role::Admin, Capabilities::NONE)]);
    world.act_after(1, &heads, vec![remove(2)]);
    let ContextRef::Id(id_of) = context else { panic!() };
    assert!(world.governance.state().context(&id_of).unwrap().is_allowed(&id(3)));
    assert_eq!(world.governance.resolved().digest(), world.governance.digest());
}

#[test]
fn an_op_changes_a_member_once() {
    let mut world = World::peopled();
    let caps = MemberCapabilitiesSet { member: id(4), capabilities: Capabilities::NONE };
    let twice = vec![Action::MemberCapabilitiesSet(caps), remove(4)];
    assert_eq!(world.refused(1, twice), Rejected::ChangedTwice(id(4)));
}

#[test]
fn a_chain_that_leaves_its_own_past_is_refused() {
    let mut world = World::peopled();
    let heads = world.governance.heads();
    let first = world.act_after(4, &heads, named(4));
    let header = Header {
        kind: Kind::Governance,
        log: world.group().log(),
        author: id(4),
        incarnation: Incarnation(0),
        seq: 2,
        prev: Some(first),
        parents: heads,
        stamp: Stamp((START_MS + 1) << 16),
    };
    let beside = Draft { header, body: Op::new(vec![Action::Merge]).encode().unwrap() }.sign(&key(4)).unwrap();
    assert_eq!(world.governance.apply(&beside), Err(Rejected::PrevNotInPast(first)));
}

#[test]
fn a_checkpoint_names_no_governance_beside_it() {
    let mut world = World::peopled();
    let context = world.context(1, vec![]);
    let heads = world.governance.heads();
    let beside = world.act_after(0, &heads, vec![Action::Merge]);
    let checkpoint = |governance| {
        let deltas = vec![mesto_oplog::EntryId::from_bytes([1; 32])];
        vec![Action::Checkpoint(Checkpoint { context, deltas, governance, root: [2; 32], entries: 1 })]
    };
    assert_eq!(world.refused_after(1, &heads, checkpoint(vec![beside])), Rejected::CheckpointUnfounded);
    world.act_after(1, &heads, checkpoint(heads.clone()));
}

#[test]
fn whatever_changes_of_a_context_or_a_policy_is_told() {
    let mut world = World::peopled();
    let context = world.context(1, vec![]);
    let here = ContextRef::Id(context);
    let heads = world.governance.heads();
    let changed = vec![Change::ContextChanged { context }];
    let given = ContextCapabilityGranted { context: here, member: id(4), rights: 1 };
    let aborted = MigrationAborted { context: here, target: heads[0] };
    let deltas = vec![mesto_oplog::EntryId::from_bytes([1; 32])];
    let checkpoint = Checkpoint { context, deltas, governance: heads, root: [2; 32], entries: 1 };
    for (action, expected) in [
        (Action::ContextAllowed(ContextAllowed { context: here, member: id(4) }), changed.clone()),
        (Action::ContextCapabilityGranted(given), changed.clone()),
        (Action::MigrationAborted(aborted), changed),
        (Action::Checkpoint(checkpoint), vec![Change::CheckpointsChanged { context }]),
        (
            Action::UpgradePolicySet(UpgradePolicySet { policy: UpgradePolicy::LazyOnAccess }),
            vec![Change::PolicyChanged],
        ),
    ] {
        assert_eq!(world.applied(1, vec![action]).changes, expected);
    }
}
