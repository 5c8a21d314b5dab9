//! Which key epoch is written under, and who may be given a key: whoever was let in by what died is not.

use mesto_governance::action::{
    Domain, GroupCreated, JoinByInvitation, MemberRoleSet, OwnershipTransferred, PeerHint, recipients_digest,
};
use mesto_governance::fold::Refusal;
use mesto_governance::{Action, Capabilities, Change, Claim, EpochKey, Governance, InvitationId, Op, Rejected, Role};
use mesto_oplog::LogId;

use crate::world::{START_MS, World, add, entry, epoch, id, invitation, key, remove, sealing};

fn demote(who: u8) -> Vec<Action> {
    vec![Action::MemberRoleSet(MemberRoleSet {
        member: id(who),
        role: Role::Member,
        capabilities: None,
        keep: vec![],
        descendants: vec![],
    })]
}

/// The id of a key of a group whose owner is 0.
fn of(key: u8) -> mesto_governance::KeyId {
    EpochKey::new([0; 32], [key; 32]).id()
}

fn start(world: &World, key: u8, to: &[u8]) -> Vec<Action> {
    vec![epoch(Domain::Group, world.governance.state().nonce(), key, to)]
}

#[test]
fn an_epoch_is_of_no_use_once_somebody_it_was_sealed_to_turns_out_to_be_nobody() {
    // Nobody is removed: admin 2 becomes a member beside the addition of 9, which falls.
    for is_resolved_first in [false, true] {
        let mut world = World::peopled();
        let heads = world.governance.heads();
        if is_resolved_first {
            world.act_after(2, &heads, vec![add(8, Role::Member, Capabilities::DEFAULT)]);
            world.act_after(0, &heads, demote(2));
        }
        let added = world.act_after(2, &heads, vec![add(9, Role::Member, Capabilities::DEFAULT)]);
        let action = start(&world, 1, &[0, 1, 2, 3, 4, 5, 9]);
        world.act_after(3, &[added], action);
        if !is_resolved_first {
            assert_eq!(world.governance.current_epoch(None).map(|epoch| epoch.key), Some(of(1)));
            assert!(world.governance.may_hold(&id(9), &of(1)));
            world.act_after(0, &heads, demote(2));
        }
        assert!(world.governance.needs_epoch(None) && !world.governance.is_usable(&of(1)));
        assert!(!world.governance.may_hold(&id(9), &of(1)));
    }
}

#[test]
fn an_epoch_is_of_no_use_once_the_transfer_of_who_let_in_a_reader_is_lost() {
    let transfer = |to: u8| vec![Action::OwnershipTransferred(OwnershipTransferred { to: id(to) })];
    let mut world = World::peopled();
    let heads = world.governance.heads();
    let first = world.act_after(0, &heads, transfer(1));
    let kept = world.entries.pop().unwrap();
    let mut late = World::peopled();
    let behind = late.act_after(0, &heads, vec![Action::Merge]);
    let lost = late.act_after(0, &[behind], transfer(4));
    let added = late.act_after(4, &[lost], vec![add(9, Role::Member, Capabilities::DEFAULT)]);
    let action = start(&late, 1, &[0, 1, 2, 3, 4, 5, 9]);
    late.act_after(3, &[added], action);
    assert!(late.governance.is_usable(&of(1)) && late.governance.may_hold(&id(9), &of(1)));
    late.governance.apply(&kept).unwrap();
    assert!(!late.governance.is_dead(&first) && late.governance.is_dead(&lost) && late.governance.is_dead(&added));
    assert!(late.governance.needs_epoch(None) && !late.governance.is_usable(&of(1)));
}

#[test]
fn an_epoch_is_of_no_use_once_a_claim_that_it_knew_loses_to_another() {
    let mut world = World::peopled();
    let invitation = InvitationId::of_action(world.act(1, vec![invitation(1)]), 0);
    let group = world.group();
    let claim = |joiner: u8| {
        let (signing, sealing) = (key(joiner), sealing(joiner).public());
        let claim = Claim::new(group, invitation, &key(50), &signing, sealing, PeerHint::default());
        vec![Action::JoinByInvitation(JoinByInvitation { claim })]
    };
    let heads = world.governance.heads();
    let merged = world.act_after(5, &heads, vec![Action::Merge]);
    let later = world.act_after(4, &[merged], claim(11));
    let action = start(&world, 1, &[0, 1, 2, 3, 4, 5, 11]);
    world.act_after(1, &[later], action);
    assert!(world.governance.is_usable(&of(1)));
    world.act_after(5, &heads, claim(10));
    assert!(world.governance.is_dead(&later));
    assert!(!world.governance.is_usable(&of(1)) && !world.governance.may_hold(&id(11), &of(1)));
}

#[test]
fn an_epoch_whose_starter_falls_is_told_to_have_ended() {
    let mut world = World::peopled();
    let heads = world.governance.heads();
    let action = start(&world, 1, &[0, 1, 2]);
    world.act_after(2, &heads, action);
    let applied = world.applied_after(1, &heads, vec![remove(2)]);
    assert!(applied.changes.contains(&Change::EpochEnded { context: None, key: of(1) }));
}

#[test]
fn of_epochs_beside_each_other_the_highest_is_written_under_and_of_one_key_the_first_counts() {
    for byte in 1..=8 {
        let mut world = World::peopled();
        let heads = world.governance.heads();
        let above = world.act_after(5, &heads, vec![Action::Merge]);
        let (low, high) = (start(&world, byte, &[1]), start(&world, byte + 100, &[2]));
        world.act_after(2, &[above], high);
        let first = world.act_after(1, &heads, low);
        assert_eq!(world.governance.current_epoch(None).map(|epoch| epoch.key), Some(of(byte + 100)));
        // Somebody says the same of a key that is there.
        let again = start(&world, byte, &[2]);
        world.act_after(2, &[above], again);
        assert_eq!(world.governance.state().epoch(&of(byte)).map(|epoch| epoch.op), Some(first));
    }
}

#[test]
fn nobody_is_given_a_key_of_a_group_that_has_ended() {
    let mut world = World::peopled();
    let action = start(&world, 1, &[0, 4]);
    world.act(0, action);
    assert!(world.governance.may_hold(&id(4), &of(1)));
    world.act(0, vec![Action::GroupDeleted]);
    assert!(!world.governance.may_hold(&id(4), &of(1)));
}

#[test]
fn a_first_op_starts_one_epoch_of_its_group_under_one_key() {
    let begin = |more: Vec<Action>| {
        let created =
            GroupCreated { nonce: [7; 32], parent: None, sealing_key: sealing(0).public(), peer: PeerHint::default() };
        let mut actions = vec![Action::GroupCreated(created)];
        actions.extend(more);
        Governance::genesis(&entry(LogId::default(), 0, &[], 0, START_MS, &Op::new(actions))).map(|_| ())
    };
    let own = || epoch(Domain::Group, &[7; 32], 1, &[0]);
    assert_eq!(begin(vec![own()]), Ok(()));
    assert_eq!(
        begin(vec![own(), own()]),
        Err(Refusal::Rejected(Rejected::KeyKnown(EpochKey::new([7; 32], [1; 32]).id())))
    );
    let Action::KeyEpochStarted(mut elsewhere) = own() else { panic!() };
    let context = mesto_governance::ContextId::from_bytes([1; 32]);
    elsewhere.domain = Domain::Context(mesto_governance::action::ContextRef::Id(context));
    elsewhere.recipients = recipients_digest([id(0)]);
    let refused = begin(vec![Action::KeyEpochStarted(elsewhere)]);
    assert!(matches!(refused, Err(Refusal::Rejected(Rejected::NotInGenesis { .. }))), "{refused:?}");
}
