//! Invitations: who joins by them, how often, and when no more.

use mesto_governance::action::{
    InvitationCreated, InvitationRevoked, JoinByInvitation, MemberLeft, MemberRoleSet, PeerHint,
};
use mesto_governance::claim::ClaimError;
use mesto_governance::right::Denied;
use mesto_governance::{Action, Capabilities, Capability, Claim, InvitationId, Rejected, Role};

use crate::world::{START_MS, World, add, id, key, remove, sealing};

const TICKET: u8 = 50;

fn invite(role: Role, uses: u32) -> Action {
    Action::InvitationCreated(InvitationCreated {
        key: id(TICKET),
        role,
        capabilities: Capabilities::DEFAULT,
        expires_at_ms: START_MS + 1000,
        uses,
    })
}

fn claim(world: &World, invitation: InvitationId, joiner: u8) -> Action {
    let claim = Claim::new(
        world.group(),
        invitation,
        &key(TICKET),
        &key(joiner),
        sealing(joiner).public(),
        PeerHint::default(),
    );
    Action::JoinByInvitation(JoinByInvitation { claim })
}

fn invited(uses: u32) -> (World, InvitationId) {
    let mut world = World::peopled();
    let op = world.act(1, vec![invite(Role::Member, uses)]);
    (world, InvitationId::of_action(op, 0))
}

#[test]
fn any_member_countersigns_and_the_joiner_is_in() {
    let (mut world, invitation) = invited(1);
    let join = claim(&world, invitation, 10);
    world.act(5, vec![join]);
    let row = world.governance.state().member(&id(10)).unwrap();
    assert_eq!((row.role, row.capabilities), (Role::Member, Capabilities::DEFAULT));
    assert_eq!(row.sealing_key, sealing(10).public());
    assert_eq!(world.governance.state().invitation(&invitation).map(|row| row.used), Some(1));
}

#[test]
fn used_expired_revoked_foreign_and_forged_claims_are_refused() {
    let (mut world, invitation) = invited(1);
    let join = claim(&world, invitation, 10);
    let mut early = world.clone();
    let heads = early.governance.heads();
    assert!(matches!(early.refused_after(10, &heads, vec![join.clone()]), Rejected::Denied(Denied::NotAMember(_))));
    early.now_ms = START_MS + 1001;
    assert_eq!(early.refused(5, vec![join.clone()]), Rejected::InvitationExpired(invitation));

    let mut revoked = world.clone();
    let revoke = || vec![Action::InvitationRevoked(InvitationRevoked { invitation })];
    assert!(matches!(revoked.refused(4, revoke()), Rejected::Denied(Denied::LevelTooLow { .. })));
    revoked.act(1, revoke());
    assert_eq!(revoked.refused(5, vec![join.clone()]), Rejected::InvitationRevoked(invitation));

    let other = InvitationId::from_bytes([9; 32]);
    let unknown = claim(&world, other, 10);
    assert_eq!(world.refused(5, vec![unknown]), Rejected::NoSuchInvitation(other));
    let forged = Claim::new(world.group(), invitation, &key(51), &key(10), sealing(10).public(), PeerHint::default());
    let forged = Action::JoinByInvitation(JoinByInvitation { claim: forged });
    assert_eq!(world.refused(5, vec![forged]), Rejected::Claim(ClaimError::NotByTicket));

    world.act(5, vec![join.clone()]);
    assert_eq!(world.refused(5, vec![join]), Rejected::InvitationUsedUp(invitation));
    let second = claim(&world, invitation, 11);
    assert_eq!(world.refused(5, vec![second]), Rejected::InvitationUsedUp(invitation));
}

#[test]
fn of_concurrent_claims_the_first_stand_and_what_rests_on_the_others_falls() {
    let (mut world, invitation) = invited(1);
    let start = world.governance.heads();
    let (a, b) = (claim(&world, invitation, 10), claim(&world, invitation, 11));
    let a = world.act_after(4, &start, vec![a]);
    let context = world.context(1, vec![]);
    let join = world.join(context, 10);
    let rested = world.act(10, vec![join]);
    let b = world.act_after(5, &start, vec![b]);
    let state = world.governance.state();
    let joined: Vec<bool> = [10, 11].iter().map(|&who| state.member(&id(who)).is_some()).collect();
    assert_eq!(joined, vec![a < b, b < a]);
    // Whoever came second can be shown why it is no member.
    let (winner, loser) = if a < b { (a, 11) } else { (b, 10) };
    assert_eq!(world.governance.endings_of(&id(loser)), vec![winner]);
    assert_eq!(world.governance.is_dead(&rested), b < a);
    assert_eq!(state.invitation(&invitation).map(|row| row.used), Some(1));
    assert_eq!(state.context(&context).map(|row| row.identities().count()), Some(if a < b { 2 } else { 1 }));
}

#[test]
fn a_claim_that_comes_back_to_life_takes_its_use() {
    let (mut world, invitation) = invited(1);
    let start = world.governance.heads();
    let (first, second) = (claim(&world, invitation, 10), claim(&world, invitation, 11));
    // Member 4 countersigns, and is removed beside it by admin 2, whom the owner removes beside that.
    let first = world.act_after(4, &start, vec![first]);
    let removal = world.act_after(2, &start, vec![remove(4)]);
    assert!(world.governance.is_dead(&first));
    world.act_after(0, &start, vec![remove(2)]);
    assert!(!world.governance.is_dead(&first));
    let second = world.act_after(5, &[first, removal], vec![second]);
    assert!(world.governance.is_dead(&second));
    assert_eq!(world.governance.state().invitation(&invitation).map(|row| row.used), Some(1));
    assert_eq!(world.governance.resolved().digest(), world.governance.digest());
}

#[test]
fn who_is_a_member_by_a_role_alone_still_has_its_keys() {
    let (mut world, invitation) = invited(1);
    let start = world.governance.heads();
    let join = claim(&world, invitation, 10);
    let joined = world.act_after(4, &start, vec![join]);
    let role =
        MemberRoleSet { member: id(10), role: Role::Admin, capabilities: None, keep: vec![], descendants: vec![] };
    world.act_after(1, &[joined], vec![Action::MemberRoleSet(role)]);
    // The countersigner is removed beside all this: the claim falls, and what the admin gave stands.
    world.act_after(2, &start, vec![remove(4)]);
    assert!(world.governance.is_dead(&joined));
    let row = world.governance.state().member(&id(10)).unwrap();
    assert_eq!((row.role, row.sealing_key), (Role::Admin, sealing(10).public()));
    assert_eq!(world.governance.resolved().digest(), world.governance.digest());
}

#[test]
fn a_revocation_voids_claims_beside_it() {
    let (mut world, invitation) = invited(5);
    let start = world.governance.heads();
    let join = claim(&world, invitation, 10);
    let joined = world.act_after(4, &start, vec![join]);
    world.act_after(1, &start, vec![Action::InvitationRevoked(InvitationRevoked { invitation })]);
    assert!(world.governance.state().member(&id(10)).is_none());
    assert!(world.governance.is_dead(&joined));
}

#[test]
fn who_is_removed_leaves_no_door_open() {
    let (mut world, invitation) = invited(5);
    let start = world.governance.heads();
    let join = claim(&world, invitation, 10);
    world.act(0, vec![remove(1)]);
    assert!(matches!(world.refused(4, vec![join.clone()]), Rejected::Denied(Denied::NotAMember(_))));
    // Nor does a friend who backdates the claim open it.
    world.act_after(4, &start, vec![join]);
    assert!(world.governance.state().member(&id(10)).is_none());
}

#[test]
fn who_was_removed_needs_a_newer_invitation() {
    let (mut world, invitation) = invited(5);
    let join = claim(&world, invitation, 10);
    world.act(5, vec![join.clone()]);
    world.act(1, vec![remove(10)]);
    assert_eq!(world.refused(5, vec![join]), Rejected::InvitationPredatesRemoval(invitation));
    let newer = InvitationId::of_action(world.act(1, vec![invite(Role::Member, 1)]), 0);
    let join = claim(&world, newer, 10);
    world.act(5, vec![join]);
    assert!(world.governance.state().member(&id(10)).is_some());
    // Having come back and left does not make the old one good again.
    world.act(10, vec![Action::MemberLeft(MemberLeft { keep: vec![] })]);
    let join = claim(&world, invitation, 10);
    assert_eq!(world.refused(5, vec![join]), Rejected::InvitationPredatesRemoval(invitation));
}

#[test]
fn who_left_by_itself_may_come_back_by_the_same_invitation() {
    let (mut world, invitation) = invited(5);
    for _ in 0..2 {
        let join = claim(&world, invitation, 10);
        world.act(5, vec![join]);
        assert!(world.governance.state().member(&id(10)).is_some());
        world.act(10, vec![Action::MemberLeft(MemberLeft { keep: vec![] })]);
    }
    // A removal that is void was none.
    let start = world.governance.heads();
    let join = claim(&world, invitation, 10);
    let back = world.act(5, vec![join]);
    world.act_after(2, &[back], vec![remove(10)]);
    world.act_after(1, &start, vec![remove(2)]);
    assert!(world.governance.state().member(&id(10)).is_some());
    world.act(10, vec![Action::MemberLeft(MemberLeft { keep: vec![] })]);
    let join = claim(&world, invitation, 10);
    world.act(5, vec![join]);
    assert!(world.governance.state().member(&id(10)).is_some());
}

#[test]
fn nobody_invites_beyond_their_own_rights() {
    let mut world = World::peopled();
    let inviter = Capabilities::DEFAULT.with(Capability::InviteMembers);
    world.act(1, vec![add(6, Role::Member, inviter)]);
    assert!(matches!(world.refused(4, vec![invite(Role::Member, 1)]), Rejected::Denied(_)));
    assert!(matches!(world.refused(6, vec![invite(Role::Admin, 1)]), Rejected::Denied(Denied::LevelTooLow { .. })));
    assert_eq!(world.refused(0, vec![invite(Role::Owner, 1)]), Rejected::OwnerNotGranted);
    world.act(6, vec![invite(Role::Member, 1)]);
}
