//! Going on from a cut comes to the same as resolving from nothing, also where what is after it hangs on what is below.

use mesto_governance::action::{
    Alias, ContextAllowed, ContextCapabilityGranted, ContextCapabilityRevoked, ContextRef, InvitationRevoked,
    JoinByInvitation, PeerHint,
};
use mesto_governance::{Action, Capabilities, Capability, Claim, ContextId, InvitationId, Role};
use mesto_oplog::EntryId;

use crate::world::{World, add, id, invitation, key, name, register, remove, sealing};

fn invite(uses: u32) -> Vec<Action> {
    vec![invitation(uses)]
}

fn claim(world: &World, invitation: InvitationId, joiner: u8) -> Vec<Action> {
    let claim =
        Claim::new(world.group(), invitation, &key(50), &key(joiner), sealing(joiner).public(), PeerHint::default());
    vec![Action::JoinByInvitation(JoinByInvitation { claim })]
}

fn named() -> Vec<Action> {
    vec![name(Alias::Group, "named")]
}

/// Admin 2 does `doubtful` beside its removal by admin 1; the owner merges both.
fn undone(world: &mut World, doubtful: Vec<Action>) -> (EntryId, EntryId) {
    let start = world.governance.heads();
    let undone = world.act_after(2, &start, doubtful);
    let removal = world.act_after(1, &start, vec![remove(2)]);
    (undone, world.act_after(0, &[undone, removal], vec![Action::Merge]))
}

/// The owner countersigns a claim of 7's, beside what 7 does as an admin whom another admin added.
fn claimed_beside_a_use(world: &mut World, head: EntryId, invitation: InvitationId) -> EntryId {
    let added = world.act_after(1, &[head], vec![add(7, Role::Admin, Capabilities::NONE)]);
    let used = world.act_after(7, &[added], named());
    let joined = claim(world, invitation, 7);
    world.act_after(0, &[head], joined);
    used
}

/// The owner's claim comes first in the void pass, where the removal of the removing admin has not taken effect: so it is
/// dead there, and voids nothing. That the cut has it live makes no difference.
fn assert_only(world: &World, dead: &[EntryId]) {
    let mut dead = dead.to_vec();
    dead.sort();
    assert_eq!(world.governance.dead(), dead);
    assert_eq!(world.governance.resolved().digest(), world.governance.digest());
}

#[test]
fn a_claim_whose_inviter_was_in_doubt_below_a_cut_is_resolved_with_it() {
    let mut world = World::peopled();
    let inviter = Capabilities::DEFAULT.with(Capability::InviteMembers);
    world.act(0, vec![add(6, Role::Member, inviter)]);
    let invitation = InvitationId::of_action(world.act(6, invite(1)), 0);
    let (undone, head) = undone(&mut world, vec![remove(6)]);
    claimed_beside_a_use(&mut world, head, invitation);
    assert_only(&world, &[undone]);
}

#[test]
fn a_claim_whose_door_was_in_doubt_below_a_cut_is_resolved_with_it() {
    let mut world = World::peopled();
    let invitation = InvitationId::of_action(world.act(1, invite(1)), 0);
    let (undone, head) = undone(&mut world, vec![Action::InvitationRevoked(InvitationRevoked { invitation })]);
    claimed_beside_a_use(&mut world, head, invitation);
    assert_only(&world, &[undone]);
}

#[test]
fn a_right_in_a_context_that_was_in_doubt_below_a_cut_is_resolved_with_it() {
    let mut world = World::peopled();
    world.act(0, vec![add(6, Role::Member, Capabilities::NONE.with(Capability::CreateContexts))]);
    let (undone, head) = undone(&mut world, vec![remove(6)]);
    // In the first stage 6 is out, and so is its context, and with this the owner's revocation.
    let registered = world.act_after(6, &[head], vec![register(9)]);
    let context = ContextRef::Id(ContextId::of_action(registered, 0));
    let right = (context, id(4), 1);
    let given = ContextCapabilityGranted { context: right.0, member: right.1, rights: right.2 };
    let given = world.act_after(0, &[registered], vec![Action::ContextCapabilityGranted(given)]);
    world.act_after(4, &[given], vec![Action::ContextAllowed(ContextAllowed { context, member: id(5) })]);
    let taken = ContextCapabilityRevoked { context: right.0, member: right.1, rights: right.2 };
    world.act_after(0, &[given], vec![Action::ContextCapabilityRevoked(taken)]);
    assert_only(&world, &[undone]);
}

#[test]
fn what_was_found_dead_without_resolving_is_in_doubt_as_well() {
    let inviter = Capabilities::DEFAULT.with(Capability::InviteMembers);
    for by_puppet in [false, true] {
        let mut world = World::peopled();
        world.act(0, vec![add(6, Role::Member, inviter)]);
        let invitation = InvitationId::of_action(world.act(6, invite(1)), 0);
        let start = world.governance.heads();
        // That the removal of 2 voids ops is known before 2, or the admin that it made, removes the inviter.
        let puppet = world.act_after(2, &start, vec![add(8, Role::Admin, Capabilities::NONE)]);
        let removal = world.act_after(1, &start, vec![remove(2)]);
        let undone = match by_puppet {
            true => world.act_after(8, &[puppet], vec![remove(6)]),
            false => world.act_after(2, &start, vec![remove(6)]),
        };
        let mut heads = vec![undone, removal];
        heads.extend((!by_puppet).then_some(puppet));
        let head = world.act_after(0, &heads, vec![Action::Merge]);
        claimed_beside_a_use(&mut world, head, invitation);
        assert_only(&world, &[puppet, undone]);
    }
}

#[test]
fn claims_below_a_cut_take_their_uses_and_dead_ones_none() {
    let mut world = World::peopled();
    let invitation = InvitationId::of_action(world.act(1, invite(2)), 0);
    let start = world.governance.heads();
    // One falls with its countersigner; one stands, and is the last op before the cut.
    let fallen = claim(&world, invitation, 9);
    let fallen = world.act_after(4, &start, fallen);
    let removal = world.act_after(1, &start, vec![remove(4)]);
    world.act_after(0, &[fallen, removal], vec![Action::Merge]);
    let first = claim(&world, invitation, 10);
    let first = world.act(0, first);
    let (second, third) = (claim(&world, invitation, 11), claim(&world, invitation, 12));
    let second = world.act_after(1, &[first], second);
    let third = world.act_after(2, &[first], third);
    assert_only(&world, &[fallen, second.max(third)]);
    assert_eq!(world.governance.state().invitation(&invitation).map(|row| row.used), Some(2));
}
