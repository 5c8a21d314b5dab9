//! Contexts: who may register, join, see and manage them, and the keys of their domains.

use mesto_governance::action::{
    Alias, ContextJoined, ContextLeft, ContextRef, ContextVisibilitySet, DefaultCapabilitiesSet, Domain,
    MemberCapabilitiesSet, MemberLeft, MemberRoleSet, TargetApplicationSet, UpgradePolicy, UpgradePolicySet,
    Visibility,
};
use mesto_governance::fold::Change;
use mesto_governance::right::{Denied, Right};
use mesto_governance::{Action, Capabilities, Capability, EpochKey, Rejected, Role};

use crate::world::{
    World, add, allow, disallow, epoch, id, identity, key, name, register, release, remove, restrict, sealing,
};

#[test]
fn one_op_registers_names_and_joins_a_context() {
    let mut world = World::peopled();
    let context = world.context(1, vec![name(Alias::Context(ContextRef::Here(0)), "notes")]);
    let state = world.governance.state();
    let row = state.context(&context).unwrap();
    assert_eq!((row.name(), row.visibility(), row.creator), ("notes", Visibility::Open, id(1)));
    assert_eq!(state.may_write(context, &identity(1)), Ok(id(1)));
    assert_eq!(state.may_write(context, &identity(2)), Err(Denied::NotJoined { context, identity: identity(2) }));
}

#[test]
fn all_actions_of_an_op_apply_or_none() {
    let mut world = World::peopled();
    let before = world.governance.digest();
    let refused = world.refused(4, vec![name(Alias::Member(id(4)), "four"), register(8)]);
    assert!(matches!(refused, Rejected::Denied(Denied::CapabilitiesMissing { .. })), "{refused:?}");
    assert_eq!(world.governance.digest(), before);
}

#[test]
fn an_open_context_is_joined_by_capability_and_read_by_readers() {
    let mut world = World::peopled();
    let context = world.context(1, vec![]);
    let join = world.join(context, 4);
    world.act(4, vec![join]);
    let join = world.join(context, 5);
    world.act(5, vec![join]);
    let state = world.governance.state();
    assert_eq!(state.may_write(context, &identity(4)), Ok(id(4)));
    assert_eq!(state.may_write(context, &identity(5)), Err(Denied::ReadOnly(id(5))));
    assert_eq!(state.may_read(context, &identity(5)), Ok(id(5)));
    world.act(0, vec![add(6, Role::Member, Capabilities::NONE)]);
    let join = world.join(context, 6);
    let refused = world.refused(6, vec![join]);
    assert!(matches!(refused, Rejected::Denied(Denied::CapabilitiesMissing { .. })), "{refused:?}");
}

#[test]
fn an_identity_is_bound_once_and_only_with_its_own_consent() {
    let mut world = World::peopled();
    let context = world.context(1, vec![]);
    let stolen = world.join(context, 1);
    assert_eq!(world.refused(4, vec![stolen]), Rejected::IdentityTaken(identity(1)));
    let group = world.group();
    let mut forged = ContextJoined::new(ContextRef::Id(context), &[7; 32], group, id(2), &key(104));
    assert_eq!(world.refused(4, vec![Action::ContextJoined(forged.clone())]), Rejected::IdentityNotProven(identity(4)));
    forged.proof[0] ^= 1;
    assert_eq!(world.refused(2, vec![Action::ContextJoined(forged)]), Rejected::IdentityNotProven(identity(4)));
}

#[test]
fn no_admin_enters_a_restricted_context_without_the_allowlist() {
    let mut world = World::peopled();
    let grant = Action::MemberCapabilitiesSet(MemberCapabilitiesSet {
        member: id(4),
        capabilities: Capabilities::DEFAULT.with(Capability::CreateContexts),
    });
    world.act(0, vec![grant]);
    let context = world.context(4, vec![restrict(ContextRef::Here(0))]);
    let join = world.join(context, 1);
    assert_eq!(world.refused(1, vec![join.clone()]), Denied::NotOnAllowlist { context, member: id(1) }.into());
    // The creator decides, and so may direct admins; a manager may not.
    assert!(matches!(world.refused(3, vec![allow(context, 3)]), Rejected::Denied(Denied::LevelTooLow { .. })));
    world.act(4, vec![allow(context, 1)]);
    world.act(1, vec![join]);
    assert_eq!(world.governance.state().may_write(context, &identity(1)), Ok(id(1)));
    world.act(4, vec![disallow(context, 1)]);
    assert_eq!(
        world.governance.state().may_write(context, &identity(1)),
        Err(Denied::NotOnAllowlist { context, member: id(1) })
    );
}

#[test]
fn disallow_and_restricted_beat_a_concurrent_allow_and_open() {
    let mut world = World::peopled();
    let context = world.context(1, vec![restrict(ContextRef::Here(0))]);
    let start = world.governance.heads();
    world.act_after(1, &start, vec![disallow(context, 4)]);
    world.act_after(0, &start, vec![allow(context, 4)]);
    let open = Action::ContextVisibilitySet(ContextVisibilitySet {
        context: ContextRef::Id(context),
        visibility: Visibility::Open,
        keep: vec![],
    });
    world.act_after(0, &start, vec![open]);
    world.act_after(1, &start, vec![restrict(ContextRef::Id(context))]);
    let row = world.governance.state().context(&context).unwrap().clone();
    assert_eq!(row.visibility(), Visibility::Restricted);
    assert!(!row.is_allowed(&id(4)));
    world.act(0, vec![allow(context, 4)]);
    assert!(world.governance.state().context(&context).unwrap().is_allowed(&id(4)));
}

#[test]
fn whoever_is_removed_and_comes_back_begins_anew() {
    let mut world = World::peopled();
    let context = world.context(1, vec![restrict(ContextRef::Here(0))]);
    world.act(1, vec![allow(context, 4)]);
    let join = world.join(context, 4);
    world.act(4, vec![join]);
    let applied = world.applied(1, vec![remove(4)]);
    assert!(applied.rejudge);
    assert!(applied.changes.contains(&Change::MemberLeft { member: id(4) }));
    assert!(applied.changes.contains(&Change::IdentityRemoved { context, identity: identity(4) }));
    world.act(1, vec![add(4, Role::Member, Capabilities::DEFAULT)]);
    let state = world.governance.state();
    assert!(state.may_read(context, &identity(4)).is_err());
    assert!(!state.context(&context).unwrap().is_allowed(&id(4)));
}

#[test]
fn leaving_a_context_ends_the_identity() {
    let mut world = World::peopled();
    let context = world.context(1, vec![]);
    let leave = |who| {
        vec![Action::ContextLeft(ContextLeft {
            context: ContextRef::Id(context),
            identity: identity(who),
            keep: vec![],
        })]
    };
    assert_eq!(world.refused(2, leave(1)), Rejected::NotOwnIdentity(identity(1)));
    world.act(1, leave(1));
    assert!(world.governance.state().may_read(context, &identity(1)).is_err());
}

#[test]
fn capabilities_give_exactly_what_they_name() {
    let mut world = World::peopled();
    let target = || {
        vec![
            Action::TargetApplicationSet(TargetApplicationSet { release: release(2), migrate: None }),
            Action::UpgradePolicySet(UpgradePolicySet { policy: UpgradePolicy::LazyOnAccess }),
        ]
    };
    assert!(matches!(world.refused(4, target()), Rejected::Denied(Denied::CapabilitiesMissing { .. })));
    let give =
        |capabilities| vec![Action::MemberCapabilitiesSet(MemberCapabilitiesSet { member: id(4), capabilities })];
    let application = Capabilities::DEFAULT.with(Capability::ManageApplication);
    // A manager gives nothing that it lacks itself, and makes no managers.
    assert!(matches!(world.refused(3, give(application)), Rejected::Denied(Denied::CapabilitiesMissing { .. })));
    let manager = Capabilities::NONE.with(Capability::ManageMembers);
    assert!(matches!(world.refused(3, give(manager)), Rejected::Denied(Denied::LevelTooLow { .. })));
    world.act(1, give(application));
    world.act(4, target());
    let state = world.governance.state();
    assert_eq!(state.target().map(|target| target.set.release.clone()), Some(release(2)));
    assert_eq!(state.policy(), UpgradePolicy::LazyOnAccess);
    assert_eq!(state.can(&id(4), Right::ManageApplication), Ok(()));
    assert!(state.can(&id(4), Right::CreateContexts).is_err());
    assert!(state.can(&id(3), Right::ManageMember(id(4))).is_ok());
    assert!(state.can(&id(3), Right::ManageMember(id(1))).is_err());
}

#[test]
fn settings_go_to_the_strongest_rank_then_the_larger_id() {
    let mut world = World::peopled();
    let start = world.governance.heads();
    world.act_after(2, &start, vec![name(Alias::Group, "by the junior")]);
    world.act_after(1, &start, vec![name(Alias::Group, "by the senior")]);
    assert_eq!(world.governance.state().name(), "by the senior");
    let defaults = Capabilities::ALL;
    let changes =
        world.applied(1, vec![Action::DefaultCapabilitiesSet(DefaultCapabilitiesSet { capabilities: defaults })]);
    assert_eq!(changes.changes, vec![Change::DefaultsChanged]);
    assert_eq!(world.governance.state().default_capabilities(), defaults);
}

#[test]
fn a_group_key_is_usable_until_somebody_goes() {
    let mut world = World::peopled();
    assert!(world.governance.current_epoch(None).is_none());
    let nonce = *world.governance.state().nonce();
    let first = epoch(Domain::Group, &nonce, 1, &[0, 1, 2, 3, 4, 5]);
    assert!(matches!(world.refused(5, vec![first.clone()]), Rejected::Denied(Denied::LevelTooLow { .. })));
    world.act(1, vec![first.clone()]);
    let key = |byte| EpochKey::new(nonce, [byte; 32]);
    assert_eq!(world.governance.current_epoch(None).map(|epoch| epoch.key), Some(key(1).id()));
    assert_eq!(world.refused(1, vec![first]), Rejected::KeyKnown(key(1).id()));
    let wrap = world.governance.current_epoch(None).unwrap().started.wrap_for(&id(4)).cloned().unwrap();
    assert_eq!(EpochKey::open(&nonce, key(1).id(), &wrap, &sealing(4)), Ok(key(1)));

    let start = world.governance.heads();
    world.act(4, vec![Action::MemberLeft(MemberLeft { keep: vec![] })]);
    assert!(world.governance.current_epoch(None).is_none());
    // An epoch that did not know of the loss is no use, however high it is.
    world.act_after(1, &start, vec![epoch(Domain::Group, &nonce, 2, &[0, 1, 2, 3, 4, 5])]);
    assert!(world.governance.current_epoch(None).is_none());
    world.act(1, vec![epoch(Domain::Group, &nonce, 3, &[0, 1, 2, 3, 5])]);
    assert_eq!(world.governance.current_epoch(None).map(|epoch| epoch.key), Some(key(3).id()));
    let readers: Vec<_> = world.governance.state().readers(None).into_iter().map(|(reader, _)| reader).collect();
    assert_eq!(readers.len(), 5);
    assert!(!readers.contains(&id(4)));
}

#[test]
fn a_restricted_context_has_keys_of_its_own() {
    let mut world = World::peopled();
    let here = ContextRef::Here(0);
    let context = world.context(1, vec![restrict(here), epoch(Domain::Context(here), &[7; 32], 1, &[1])]);
    let key = |byte| EpochKey::new([7; 32], [byte; 32]);
    let current = |world: &World| world.governance.current_epoch(Some(context)).map(|epoch| epoch.key);
    assert_eq!(current(&world), Some(key(1).id()));
    let there = Domain::Context(ContextRef::Id(context));
    assert!(matches!(
        world.refused(2, vec![epoch(there, &[7; 32], 2, &[2])]),
        Rejected::Denied(Denied::NotOnAllowlist { .. })
    ));
    world.act(1, vec![allow(context, 4)]);
    let join = world.join(context, 4);
    world.act(4, vec![join]);
    assert!(current(&world).is_some());
    world.act(1, vec![disallow(context, 4)]);
    assert_eq!(current(&world), None);
    world.act(1, vec![epoch(there, &[7; 32], 3, &[1])]);
    assert_eq!(current(&world), Some(key(3).id()));
    let open = world.context(2, vec![]);
    let domain = Domain::Context(ContextRef::Id(open));
    assert_eq!(world.refused(2, vec![epoch(domain, &[7; 32], 4, &[2])]), Rejected::NoDomain);
}

#[test]
fn roles_change_what_a_member_may_write() {
    let mut world = World::peopled();
    let context = world.context(1, vec![]);
    let join = world.join(context, 4);
    world.act(4, vec![join]);
    let demote = |role| {
        vec![Action::MemberRoleSet(MemberRoleSet {
            member: id(4),
            role,
            capabilities: None,
            keep: vec![],
            descendants: vec![],
        })]
    };
    assert_eq!(world.refused(1, demote(Role::Member)), Rejected::NoChange(id(4)));
    assert_eq!(world.refused(1, demote(Role::Owner)), Rejected::OwnerNotGranted);
    world.act(3, demote(Role::ReadOnly));
    assert_eq!(world.governance.state().may_write(context, &identity(4)), Err(Denied::ReadOnly(id(4))));
    assert_eq!(world.governance.state().may_read(context, &identity(4)), Ok(id(4)));
}

#[test]
fn a_leave_stands_alone_and_is_not_the_owners() {
    let mut world = World::peopled();
    let leave = Action::MemberLeft(MemberLeft { keep: vec![] });
    assert_eq!(world.refused(4, vec![leave.clone(), Action::Merge]), Rejected::NotAlone { action: "MemberLeft" });
    assert_eq!(world.refused(0, vec![leave]), Rejected::OwnerCannotLeave);
}

#[test]
fn only_the_owner_ends_the_group_and_then_nothing_more_happens() {
    let mut world = World::peopled();
    let context = world.context(1, vec![]);
    assert!(matches!(world.refused(1, vec![Action::GroupDeleted]), Rejected::Denied(Denied::LevelTooLow { .. })));
    assert_eq!(world.applied(0, vec![Action::GroupDeleted]).changes, vec![Change::GroupDeleted]);
    assert_eq!(world.refused(0, vec![Action::Merge]), Rejected::GroupDeleted);
    assert_eq!(world.governance.state().may_write(context, &identity(1)), Err(Denied::GroupDeleted));
}
