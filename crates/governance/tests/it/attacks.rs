//! What somebody could try who can sign and send whatever they like.

use mesto_governance::action::{
    AdmissionPolicySet, Alias, Checkpoint, ContextCapabilityGranted, ContextCapabilityRevoked, ContextDetached,
    ContextRef, ContextVisibilitySet, InvitationCreated, InvitationRevoked, JoinByInvitation, MemberCapabilitiesSet,
    MigrationAborted, PeerHint, TeeAdmitted, Visibility,
};
use mesto_governance::op::OpError;
use mesto_governance::right::Denied;
use mesto_governance::{
    Action, Capabilities, Capability, Change, Claim, ContextId, ContextRight, Governance, InvitationId, Op, Rejected,
    Role,
};
use mesto_oplog::entry::{DecodeError, Draft, Header, Kind, Signed, Stamp};
use mesto_oplog::{EntryId, Incarnation};

use crate::world::{START_MS, World, add, allow, entry, genesis, id, invitation, key, name, remove, sealing};

fn grant(context: ContextId, who: u8, rights: u8) -> Action {
    let context = ContextRef::Id(context);
    Action::ContextCapabilityGranted(ContextCapabilityGranted { context, member: id(who), rights })
}

fn revoke(context: ContextId, who: u8, rights: u8) -> Action {
    let context = ContextRef::Id(context);
    Action::ContextCapabilityRevoked(ContextCapabilityRevoked { context, member: id(who), rights })
}

fn capabilities(who: u8, capabilities: Capabilities) -> Action {
    Action::MemberCapabilitiesSet(MemberCapabilitiesSet { member: id(who), capabilities })
}

#[test]
fn an_op_of_another_group_is_refused_and_one_that_is_replayed_changes_nothing() {
    let mut world = World::peopled();
    let mut other = Governance::genesis(&genesis(1)).unwrap();
    let op = world.sign(0, &world.governance.heads(), vec![add(6, Role::Admin, Capabilities::NONE)]);
    assert_eq!(other.apply(&op), Err(Rejected::AnotherGroup(world.group())));
    world.governance.apply(&op).unwrap();
    let before = world.governance.digest();
    let again = world.governance.apply(&op).unwrap();
    assert!(again.is_duplicate && again.changes.is_empty() && world.governance.digest() == before);
    // The same op in the other group's log, signed anew, stands on parents that are not there.
    let moved = entry(other.group().log(), 0, &op.header().parents, 1, START_MS, &Op::decode(&op).unwrap());
    assert!(matches!(other.apply(&moved), Err(Rejected::ParentNotAdmitted(_))));
}

#[test]
fn an_op_under_another_authors_name_is_not_signed_by_them() {
    let world = World::peopled();
    let op = world.sign(4, &world.governance.heads(), vec![remove(1)]);
    let bytes = op.bytes().to_vec();
    let at = bytes.windows(32).position(|part| part == id(4).as_bytes()).unwrap();
    let mut relabelled = bytes;
    relabelled[at..at + 32].copy_from_slice(id(0).as_bytes());
    assert!(Signed::decode(&relabelled).unwrap().verify().is_err());
}

#[test]
fn a_signature_that_was_reshaped_is_not_the_authors() {
    // What holds for s holds in the equation for s plus the order of the group as well: only one of them may count.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut world = World::peopled();
    let op = world.sign(4, &world.governance.heads(), vec![Action::Merge]);
    let mut bytes = op.bytes().to_vec();
    let s = bytes.len() - 32;
    let mut carry = 0;
    for (byte, order) in bytes[s..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    assert_eq!(carry, 0);
    let reshaped = Signed::decode(&bytes).unwrap();
    assert_eq!(reshaped.id(), op.id());
    assert!(reshaped.verify().is_err());
    world.governance.apply(&op).unwrap();
}

#[test]
fn two_ops_in_one_place_of_a_chain_are_concurrent_and_come_to_the_same_in_any_order() {
    let mut world = World::peopled();
    let heads = world.governance.heads();
    let first = world.sign(1, &heads, vec![remove(4)]);
    let mut other = world.clone();
    other.now_ms += 1;
    let second = other.sign(1, &heads, vec![name(Alias::Member(id(4)), "four")]);
    assert_eq!((first.header().seq, first.header().author), (second.header().seq, second.header().author));
    for (world, order) in [(&mut world, [&first, &second]), (&mut other, [&second, &first])] {
        for entry in order {
            world.governance.apply(entry).unwrap();
        }
    }
    assert_eq!(world.governance.digest(), other.governance.digest());
    assert_eq!(world.governance.heads().len(), 2);
}

#[test]
fn an_op_beyond_its_bounds_is_refused() {
    let ids: Vec<EntryId> = (0..33u8).map(|byte| EntryId::from_bytes([byte; 32])).collect();
    let wide = Op { ancestor_parents: ids.clone(), actions: vec![Action::Merge] };
    assert!(matches!(wide.encode(), Err(OpError::TooMany { field: "ancestor_parents", .. })));
    assert!(matches!(Op::new(vec![Action::Merge; 65]).encode(), Err(OpError::ActionCount(65))));
    let quote = TeeAdmitted {
        member: id(9),
        sealing_key: sealing(9).public(),
        peer: PeerHint::default(),
        nonce: [0; 32],
        quote: vec![0; 32 * 1024],
        collateral: None,
    };
    let large = Op::new(vec![Action::TeeAdmitted(quote); 9]).encode();
    assert!(matches!(large, Err(OpError::TooLong(_))), "{large:?}");
    let header = Header {
        kind: Kind::Governance,
        log: World::new().group().log(),
        author: id(0),
        incarnation: Incarnation(0),
        seq: 1,
        prev: None,
        parents: ids,
        stamp: Stamp(START_MS << 16),
    };
    let many = Draft { header, body: Op::new(vec![Action::Merge]).encode().unwrap() }.sign(&key(0));
    assert!(matches!(many, Err(mesto_oplog::entry::SignError::Invalid(DecodeError::TooManyParents(33)))));
}

#[test]
fn a_claim_beside_the_end_of_its_invitation_falls_with_what_rests_on_it() {
    let mut world = World::peopled();
    let invitation = InvitationId::of_action(world.act(1, vec![invitation(5)]), 0);
    let start = world.governance.heads();
    let claim = Claim::new(world.group(), invitation, &key(50), &key(7), sealing(7).public(), PeerHint::default());
    let join = world.act_after(4, &start, vec![Action::JoinByInvitation(JoinByInvitation { claim: claim.clone() })]);
    let named = world.act_after(7, &[join], vec![name(Alias::Member(id(7)), "seven")]);
    world.act_after(1, &start, vec![Action::InvitationRevoked(InvitationRevoked { invitation })]);
    let mut expected = vec![join, named];
    expected.sort();
    assert_eq!(world.governance.dead(), expected);
    assert!(world.governance.state().member(&id(7)).is_none());
    let late = vec![Action::JoinByInvitation(JoinByInvitation { claim })];
    assert_eq!(world.refused(4, late), Rejected::InvitationRevoked(invitation));
}

#[test]
fn nobody_climbs_by_capability_bits() {
    let mut world = World::peopled();
    let bits = |list: &[Capability]| list.iter().copied().collect::<Capabilities>();
    let inviter = bits(&[Capability::InviteMembers, Capability::JoinOpenContexts]);
    world.act(1, vec![capabilities(4, inviter)]);
    let invite = |capabilities| {
        Action::InvitationCreated(InvitationCreated {
            key: id(50),
            role: Role::Member,
            capabilities,
            expires_at_ms: START_MS,
            uses: 1,
        })
    };
    world.act(4, vec![invite(inviter)]);
    for more in [Capability::ManageApplication, Capability::CreateContexts, Capability::ManageMembers] {
        assert!(matches!(world.refused(4, vec![invite(inviter.with(more))]), Rejected::Denied(_)), "{more}");
        assert!(matches!(world.refused(4, vec![capabilities(4, inviter.with(more))]), Rejected::Denied(_)), "{more}");
    }
    // A manager neither outranks itself, nor gives in two steps what it lacks.
    assert!(matches!(world.refused(3, vec![capabilities(3, Capabilities::ALL)]), Rejected::Denied(_)));
    let puppet = add(8, Role::Member, bits(&[Capability::ManageApplication]));
    assert!(matches!(world.refused(3, vec![puppet]), Rejected::Denied(Denied::CapabilitiesMissing { .. })));
    assert!(matches!(world.refused(3, vec![add(8, Role::Admin, Capabilities::NONE)]), Rejected::Denied(_)));
}

#[test]
fn whoever_comes_back_has_what_they_are_given_then_and_nothing_of_before() {
    let mut world = World::peopled();
    let context = world.context(1, vec![]);
    world.act(1, vec![capabilities(4, Capabilities::ALL.without(Capability::ManageMembers)), grant(context, 4, 1)]);
    assert!(world.governance.state().context(&context).unwrap().has_right(&id(4), ContextRight::Manage));
    let start = world.governance.heads();
    world.act(1, vec![remove(4)]);
    // Somebody gives to the removed member beside its removal.
    world.act_after(2, &start, vec![capabilities(4, Capabilities::ALL.without(Capability::CreateContexts))]);
    world.act_after(2, &start, vec![grant(context, 4, 2), allow(context, 4)]);
    assert!(world.governance.state().member(&id(4)).is_none());
    world.act(1, vec![add(4, Role::Member, Capabilities::NONE)]);
    let state = world.governance.state();
    assert_eq!(state.member(&id(4)).unwrap().capabilities, Capabilities::NONE);
    let row = state.context(&context).unwrap();
    assert!(ContextRight::ALL.iter().all(|right| !row.has_right(&id(4), *right)));
    assert!(!row.is_allowed(&id(4)));
}

#[test]
fn whoever_comes_back_is_no_creator_of_what_they_had_registered() {
    let mut world = World::peopled();
    world.act(1, vec![capabilities(4, Capabilities::NONE.with(Capability::CreateContexts))]);
    let context = world.context(4, vec![]);
    world.act(4, vec![allow(context, 3), grant(context, 3, 1)]);
    // It would let itself into what was written while it was out.
    let restricted =
        ContextVisibilitySet { context: ContextRef::Id(context), visibility: Visibility::Restricted, keep: vec![] };
    world.act(1, vec![Action::ContextVisibilitySet(restricted)]);
    let applied = world.applied(1, vec![remove(4)]);
    assert!(applied.changes.contains(&Change::ContextChanged { context }));
    world.act(1, vec![add(4, Role::Member, Capabilities::DEFAULT)]);
    let here = ContextRef::Id(context);
    let detach = Action::ContextDetached(ContextDetached { context: here, keep: vec![] });
    for action in [allow(context, 4), grant(context, 4, 1), name(Alias::Context(here), "mine"), detach] {
        assert!(matches!(world.refused(4, vec![action]), Rejected::Denied(Denied::LevelTooLow { .. })));
    }
    assert_eq!(world.governance.resolved().digest(), world.governance.digest());
}

#[test]
fn admins_that_remove_each_other_leave_the_owner() {
    let mut world = World::peopled();
    let start = world.governance.heads();
    world.act_after(1, &start, vec![remove(2)]);
    world.act_after(0, &start, vec![remove(1)]);
    let admins: Vec<_> = world.governance.state().members().filter(|row| row.role <= Role::Admin).collect();
    assert!(admins.iter().any(|row| row.member == id(0) && row.role == Role::Owner));
    assert_eq!(world.refused(2, vec![remove(0)]), Denied::NotOutranked { member: id(2), target: id(0) }.into());
}

#[test]
fn a_right_in_a_context_gives_what_it_names_and_falls_with_what_it_did() {
    let mut world = World::peopled();
    let context = world.context(1, vec![]);
    assert!(matches!(world.refused(4, vec![allow(context, 4)]), Rejected::Denied(Denied::LevelTooLow { .. })));
    assert_eq!(world.refused(1, vec![grant(context, 4, 0)]), Rejected::UnknownRights(0));
    assert_eq!(world.refused(1, vec![grant(context, 4, 0b100)]), Rejected::UnknownRights(0b100));
    let granted = world.act(1, vec![grant(context, 4, 1)]);
    let start = world.governance.heads();
    world.act(4, vec![allow(context, 3)]);
    // Who was given a right gives none, and has no other.
    assert!(matches!(world.refused(4, vec![grant(context, 5, 1)]), Rejected::Denied(Denied::LevelTooLow { .. })));
    let aborted = Action::MigrationAborted(MigrationAborted { context: ContextRef::Id(context), target: granted });
    assert!(matches!(world.refused(4, vec![aborted.clone()]), Rejected::Denied(_)));
    // Beside the end of the right, what it did falls; what it did before that stays.
    let seen = world.governance.heads();
    let beside = world.act_after(4, &seen, vec![allow(context, 5)]);
    world.act_after(2, &seen, vec![revoke(context, 4, 1)]);
    assert_eq!(world.governance.dead(), vec![beside]);
    let row = world.governance.state().context(&context).unwrap().clone();
    assert!(row.is_allowed(&id(3)) && !row.is_allowed(&id(5)) && !row.has_right(&id(4), ContextRight::Manage));
    // Taken beats a concurrent given; and what rests on a grant that falls, falls.
    world.act_after(1, &start, vec![grant(context, 4, 1)]);
    assert!(!world.governance.state().context(&context).unwrap().has_right(&id(4), ContextRight::Manage));
    world.act(1, vec![grant(context, 4, 2)]);
    world.act(4, vec![aborted]);
    assert!(world.governance.state().context(&context).unwrap().is_aborted(&granted));
}

#[test]
fn a_grant_of_rights_that_falls_takes_what_was_done_by_it() {
    let mut world = World::peopled();
    let context = world.context(1, vec![]);
    let start = world.governance.heads();
    let granted = world.act_after(2, &start, vec![grant(context, 4, 1)]);
    let used = world.act_after(4, &[granted], vec![allow(context, 5)]);
    world.act_after(0, &start, vec![remove(2)]);
    let mut expected = vec![granted, used];
    expected.sort();
    assert_eq!(world.governance.dead(), expected);
    assert!(!world.governance.state().context(&context).unwrap().is_allowed(&id(5)));
}

#[test]
fn attested_nodes_come_in_as_readers_while_the_policy_stands() {
    let mut world = World::peopled();
    let admitted = Action::TeeAdmitted(TeeAdmitted {
        member: id(9),
        sealing_key: sealing(9).public(),
        peer: PeerHint::default(),
        nonce: [1; 32],
        quote: vec![1],
        collateral: None,
    });
    assert_eq!(world.refused(1, vec![admitted.clone()]), Rejected::NoAdmissions);
    let policy = |enabled| Action::AdmissionPolicySet(AdmissionPolicySet { enabled, measurements: vec![] });
    assert!(matches!(world.refused(3, vec![policy(true)]), Rejected::Denied(Denied::LevelTooLow { .. })));
    let start = world.governance.heads();
    let set = world.act_after(2, &start, vec![policy(true)]);
    assert!(matches!(world.refused(4, vec![admitted.clone()]), Rejected::Denied(Denied::CapabilitiesMissing { .. })));
    let came = world.act(1, vec![admitted.clone()]);
    let row = world.governance.state().member(&id(9)).unwrap();
    assert_eq!((row.role, row.sealing_key), (Role::ReadOnly, sealing(9).public()));
    assert_eq!(world.refused(1, vec![admitted]), Rejected::AlreadyAMember(id(9)));
    // With the policy goes who came in by it.
    world.act_after(0, &start, vec![remove(2)]);
    let mut expected = vec![set, came];
    expected.sort();
    assert_eq!(world.governance.dead(), expected);
    assert!(world.governance.state().member(&id(9)).is_none());
}

#[test]
fn checkpoints_are_made_by_admins_over_what_they_have_seen() {
    let mut world = World::peopled();
    let context = world.context(1, vec![]);
    let heads = world.governance.heads();
    let checkpoint = |governance: Vec<EntryId>| {
        let deltas = vec![EntryId::from_bytes([1; 32])];
        Action::Checkpoint(Checkpoint { context, deltas, governance, root: [2; 32], entries: 1 })
    };
    assert!(matches!(world.refused(4, vec![checkpoint(heads.clone())]), Rejected::Denied(Denied::LevelTooLow { .. })));
    let unseen = vec![EntryId::from_bytes([9; 32])];
    assert_eq!(world.refused(1, vec![checkpoint(unseen)]), Rejected::CheckpointUnfounded);
    let elsewhere = Checkpoint {
        context: ContextId::from_bytes([3; 32]),
        deltas: vec![EntryId::from_bytes([1; 32])],
        governance: heads.clone(),
        root: [2; 32],
        entries: 1,
    };
    assert!(matches!(
        world.refused(1, vec![Action::Checkpoint(elsewhere)]),
        Rejected::Denied(Denied::NoSuchContext(_))
    ));
    let made = world.applied(1, vec![checkpoint(heads.clone())]);
    assert!(made.rejudge);
    let row = world.governance.state().context(&context).unwrap();
    assert_eq!(row.checkpoints().map(|(_, made)| made.governance.clone()).collect::<Vec<_>>(), vec![heads]);
}
