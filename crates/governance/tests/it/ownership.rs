//! Who owns a group: there is one owner, whatever happens at one time.

use mesto_governance::action::{JoinByInvitation, MemberRoleSet, OwnershipTransferred, PeerHint};
use mesto_governance::right::Denied;
use mesto_governance::{Action, Capabilities, Claim, InvitationId, Level, Rejected, Role};
use mesto_oplog::EntryId;

use crate::world::{World, add, id, invitation, key, remove, sealing};

fn transfer(to: u8) -> Vec<Action> {
    vec![Action::OwnershipTransferred(OwnershipTransferred { to: id(to) })]
}

fn owner(world: &World) -> u8 {
    let owner = world.governance.state().owner().unwrap();
    (0..20).find(|who| id(*who) == owner).unwrap()
}

fn level(world: &World, who: u8) -> Option<Level> {
    world.governance.state().member(&id(who)).map(|row| row.level)
}

#[test]
fn ownership_goes_to_a_member_and_the_old_owner_is_an_admin() {
    let mut world = World::peopled();
    assert!(matches!(world.refused(1, transfer(2)), Rejected::Denied(Denied::LevelTooLow { .. })));
    assert_eq!(world.refused(0, transfer(0)), Rejected::AlreadyOwner(id(0)));
    assert_eq!(world.refused(0, transfer(9)), Denied::NotAMember(id(9)).into());
    let mut both = transfer(4);
    both.push(Action::Merge);
    assert_eq!(world.refused(0, both), Rejected::NotAlone { action: "OwnershipTransferred" });
    world.act(0, transfer(4));
    assert_eq!((owner(&world), level(&world, 0)), (4, Some(Level::Admin)));
    // The new owner outranks everybody, the old one included; nobody outranks it.
    assert!(matches!(world.refused(0, vec![remove(4)]), Rejected::Denied(Denied::NotOutranked { .. })));
    world.act(4, transfer(1));
    world.act(1, vec![remove(4), remove(0)]);
    assert_eq!(owner(&world), 1);
}

#[test]
fn a_former_owner_who_is_made_a_member_is_no_manager() {
    let mut world = World::peopled();
    world.act(0, transfer(1));
    assert_eq!(level(&world, 0), Some(Level::Admin));
    let demote =
        MemberRoleSet { member: id(0), role: Role::Member, capabilities: None, keep: vec![], descendants: vec![] };
    world.act(1, vec![Action::MemberRoleSet(demote)]);
    let row = world.governance.state().member(&id(0)).unwrap();
    assert_eq!((row.level, row.capabilities), (Level::Member, Capabilities::DEFAULT));
}

#[test]
fn of_transfers_at_one_time_the_least_stands_and_what_rests_on_the_others_falls() {
    let mut world = World::peopled();
    let start = world.governance.heads();
    let to_one = world.act_after(0, &start, transfer(1));
    let to_two = world.act_after(0, &start, transfer(2));
    let of_one = world.act_after(1, &[to_one], transfer(4));
    let of_two = world.act_after(2, &[to_two], transfer(4));
    let (dead, lost) = if to_one < to_two { ([to_two, of_two], 2) } else { ([to_one, of_one], 1) };
    let mut expected: Vec<EntryId> = dead.to_vec();
    expected.sort();
    assert_eq!(world.governance.dead(), expected);
    // It is lost, not void: no transfer voids another.
    assert!(expected.iter().all(|op| world.governance.voided_by(op).is_none()));
    assert_eq!((owner(&world), level(&world, lost)), (4, Some(Level::Admin)));
}

#[test]
fn a_transfer_to_somebody_who_is_being_removed_reaches_nobody() {
    let mut world = World::peopled();
    let start = world.governance.heads();
    let to_two = world.act_after(0, &start, transfer(2));
    world.act_after(1, &start, vec![remove(2)]);
    assert_eq!(owner(&world), 0);
    assert_eq!(world.governance.dead(), vec![to_two]);
    // A later one of the same time stands, though the one that reaches nobody comes first.
    let behind = world.sign(0, &start, vec![Action::Merge]);
    world.governance.apply(&behind).unwrap();
    let to_four = world.act_after(0, &[behind.id()], transfer(4));
    assert_eq!(owner(&world), 4);
    assert!(!world.governance.is_dead(&to_four));
    // Bringing 2 back does not make it the owner.
    world.act(1, vec![add(2, Role::Member, Capabilities::DEFAULT)]);
    assert_eq!((owner(&world), level(&world, 2)), (4, Some(Level::Member)));
}

#[test]
fn a_change_beside_a_transfer_takes_nothing_from_the_new_owner() {
    let mut world = World::peopled();
    let start = world.governance.heads();
    world.act_after(0, &start, transfer(2));
    let demote = Action::MemberRoleSet(MemberRoleSet {
        member: id(2),
        role: Role::ReadOnly,
        capabilities: None,
        keep: vec![],
        descendants: vec![],
    });
    world.act_after(1, &start, vec![demote]);
    assert_eq!((owner(&world), level(&world, 2)), (2, Some(Level::Owner)));
    assert_eq!(world.governance.resolved().digest(), world.governance.digest());
    world.act(2, vec![remove(1)]);
}

#[test]
fn what_an_old_owner_backdates_with_the_owners_authority_is_void() {
    let mut world = World::peopled();
    let start = world.governance.heads();
    world.act_after(0, &start, transfer(1));
    let deletion = world.act_after(0, &start, vec![Action::GroupDeleted]);
    assert!(world.governance.is_dead(&deletion));
    assert!(!world.governance.state().is_deleted());
}

#[test]
fn a_transfer_to_somebody_whose_addition_falls_reaches_nobody() {
    let mut world = World::peopled();
    let start = world.governance.heads();
    let added = world.act_after(2, &start, vec![add(9, Role::Member, Capabilities::DEFAULT)]);
    let transferred = world.act_after(0, &[added], transfer(9));
    assert_eq!(owner(&world), 9);
    world.act_after(1, &start, vec![remove(2)]);
    let mut expected = vec![added, transferred];
    expected.sort();
    assert_eq!((owner(&world), world.governance.dead()), (0, expected.clone()));
    // Whatever comes last.
    let entries = world.entries.split_off(world.entries.len() - 3);
    let mut again = World::peopled();
    for at in [0, 2, 1] {
        again.governance.apply(&entries[at]).unwrap();
    }
    assert_eq!((owner(&again), again.governance.dead()), (0, expected));
    assert_eq!(again.governance.resolved().digest(), again.governance.digest());
}

#[test]
fn a_transfer_is_lost_before_claims_are_counted() {
    let mut world = World::peopled();
    let invitation = InvitationId::of_action(world.act(1, vec![invitation(1)]), 0);
    let claim = |joiner: u8| {
        let (key, sealing) = (key(joiner), sealing(joiner).public());
        let claim = Claim::new(world.group(), invitation, &crate::world::key(50), &key, sealing, PeerHint::default());
        vec![Action::JoinByInvitation(JoinByInvitation { claim })]
    };
    let (first, second) = (claim(10), claim(11));
    let start = world.governance.heads();
    world.act_after(0, &start, transfer(1));
    // The transfer that is lost made an owner, who made an admin, who countersigned the claim that comes first.
    let later = world.act_after(0, &start, vec![Action::Merge]);
    let lost = world.act_after(0, &[later], transfer(4));
    let added = world.act_after(4, &[lost], vec![add(9, Role::Admin, Capabilities::NONE)]);
    let fallen = world.act_after(9, &[added], first);
    let mut head = start;
    for _ in 0..4 {
        head = vec![world.act_after(5, &head, vec![Action::Merge])];
    }
    let stands = world.act_after(5, &head, second);
    let mut expected = vec![lost, added, fallen];
    expected.sort();
    assert_eq!(world.governance.dead(), expected);
    assert!(!world.governance.is_dead(&stands) && world.governance.state().member(&id(11)).is_some());
}
