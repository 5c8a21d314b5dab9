//! The bytes of every action, frozen.

use mesto_governance::action::*;
use mesto_governance::{
    Action, ApplicationId, BlobId, Capabilities, Claim, ContextId, GroupId, InvitationId, KeyId, Op, OpError, Role,
    SealingPublicKey,
};
use mesto_oplog::entry::GOVERNANCE_BODY_LEN_MAX;
use mesto_oplog::{EntryId, PublicKey};
use proptest::prelude::*;

fn who(byte: u8) -> PublicKey {
    PublicKey::from_bytes([byte; 32])
}

fn entry(byte: u8) -> EntryId {
    EntryId::from_bytes([byte; 32])
}

fn release() -> Release {
    Release {
        application: ApplicationId::from_bytes([1; 32]),
        version: BlobId::from_bytes([2; 32]),
        size: 3,
        package: "org.example.kv".into(),
        app_version: "1.2.3".into(),
    }
}

fn membership(context: ContextRef) -> Vec<Action> {
    let keep = vec![Kept { context: ContextId::from_bytes([4; 32]), delta: entry(5) }];
    let descendants = vec![DescendantHeads { group: GroupId::from_bytes([6; 32]), heads: vec![entry(7)] }];
    let _ = context;
    vec![
        Action::MemberAdded(MemberAdded {
            member: who(1),
            sealing_key: SealingPublicKey::from_bytes([2; 32]),
            role: Role::Member,
            capabilities: Capabilities::DEFAULT,
            peer: PeerHint(vec![3, 4]),
        }),
        Action::MemberRemoved(MemberRemoved { member: who(1), keep: keep.clone(), descendants: descendants.clone() }),
        Action::MemberLeft(MemberLeft { keep: keep.clone() }),
        Action::MemberRoleSet(MemberRoleSet {
            member: who(1),
            role: Role::ReadOnly,
            capabilities: Some(Capabilities::ALL),
            keep,
            descendants,
        }),
        Action::MemberCapabilitiesSet(MemberCapabilitiesSet { member: who(1), capabilities: Capabilities::ALL }),
        Action::DefaultCapabilitiesSet(DefaultCapabilitiesSet { capabilities: Capabilities::NONE }),
        Action::OwnershipTransferred(OwnershipTransferred { to: who(1) }),
        Action::InvitationCreated(InvitationCreated {
            key: who(1),
            role: Role::Admin,
            capabilities: Capabilities::NONE,
            expires_at_ms: 2,
            uses: 3,
        }),
        Action::InvitationRevoked(InvitationRevoked { invitation: InvitationId::from_bytes([1; 32]) }),
        Action::JoinByInvitation(JoinByInvitation {
            claim: Claim {
                invitation: InvitationId::from_bytes([1; 32]),
                joiner: who(2),
                sealing_key: SealingPublicKey::from_bytes([3; 32]),
                peer: PeerHint(vec![4]),
                by_ticket: [5; 64],
                by_joiner: [6; 64],
            },
        }),
    ]
}

fn contexts(context: ContextRef) -> Vec<Action> {
    let keep = vec![Kept { context: ContextId::from_bytes([4; 32]), delta: entry(5) }];
    vec![
        Action::ContextRegistered(ContextRegistered { nonce: [1; 32], release: release() }),
        Action::ContextDetached(ContextDetached { context, keep: keep.clone() }),
        Action::ContextVisibilitySet(ContextVisibilitySet {
            context,
            visibility: Visibility::Restricted,
            keep: keep.clone(),
        }),
        Action::DefaultVisibilitySet(DefaultVisibilitySet { visibility: Visibility::Open }),
        Action::ContextAllowed(ContextAllowed { context, member: who(1) }),
        Action::ContextDisallowed(ContextDisallowed { context, member: who(1), keep: keep.clone() }),
        Action::ContextJoined(ContextJoined { context, identity: who(1), proof: [2; 64] }),
        Action::ContextLeft(ContextLeft { context, identity: who(1), keep }),
        Action::ContextCapabilityGranted(ContextCapabilityGranted { context, member: who(1), rights: 2 }),
        Action::ContextCapabilityRevoked(ContextCapabilityRevoked { context, member: who(1), rights: 2 }),
        Action::TargetApplicationSet(TargetApplicationSet { release: release(), migrate: Some("migrate".into()) }),
        Action::UpgradePolicySet(UpgradePolicySet { policy: UpgradePolicy::Coordinated }),
        Action::ContextApplicationSet(ContextApplicationSet { context, release: release(), migrate: None }),
        Action::MigrationAborted(MigrationAborted { context, target: entry(1) }),
        Action::AliasSet(AliasSet { subject: Alias::Context(context), name: "Büro".into() }),
    ]
}

fn epochs() -> Vec<Action> {
    let wrap = KeyWrap { nonce: [1; 24], ciphertext: [2; 48] };
    let sealed = Wrap { recipient: who(3), encapsulated: [4; 32], ciphertext: [5; 48] };
    let started = KeyEpochStarted {
        domain: Domain::Group,
        key: KeyId::from_bytes([6; 32]),
        recipients: recipients_digest([who(3)]),
        wraps: Wraps::Inline(vec![sealed]),
        parent: Some(ParentWrap { parent: KeyId::from_bytes([7; 32]), wrap: wrap.clone() }),
        history: vec![HistoryWrap { previous: KeyId::from_bytes([8; 32]), wrap }],
    };
    let blob = Wraps::Blob { blob: BlobId::from_bytes([9; 32]), count: 10 };
    vec![
        Action::KeyEpochStarted(started.clone()),
        Action::KeyEpochStarted(KeyEpochStarted { wraps: blob, parent: None, history: vec![], ..started }),
    ]
}

fn all() -> Vec<Action> {
    let mut actions = vec![
        Action::GroupCreated(GroupCreated {
            nonce: [1; 32],
            parent: Some(GroupId::from_bytes([2; 32])),
            sealing_key: SealingPublicKey::from_bytes([3; 32]),
            peer: PeerHint(vec![4]),
        }),
        Action::SubgroupCreated(SubgroupCreated { group: GroupId::from_bytes([1; 32]) }),
        Action::SubgroupRemoved(SubgroupRemoved { group: GroupId::from_bytes([1; 32]) }),
        Action::GroupDeleted,
        Action::Checkpoint(Checkpoint {
            context: ContextId::from_bytes([1; 32]),
            deltas: vec![entry(2)],
            governance: vec![entry(3)],
            root: [4; 32],
            entries: 5,
        }),
    ];
    let context = ContextRef::Id(ContextId::from_bytes([8; 32]));
    actions.extend(membership(context));
    actions.extend(contexts(context));
    actions.extend(epochs());
    actions.extend([
        Action::AdmissionPolicySet(AdmissionPolicySet {
            enabled: true,
            measurements: vec![Measurement { register: 1, value: [2; 64] }],
        }),
        Action::TeeAdmitted(TeeAdmitted {
            member: who(1),
            sealing_key: SealingPublicKey::from_bytes([2; 32]),
            peer: PeerHint::default(),
            nonce: [3; 32],
            quote: vec![4],
            collateral: Some(BlobId::from_bytes([5; 32])),
        }),
        Action::Merge,
        Action::AliasSet(AliasSet { subject: Alias::Group, name: String::new() }),
        Action::AliasSet(AliasSet { subject: Alias::Member(who(1)), name: "Ada".into() }),
    ]);
    actions
}

#[test]
fn the_bytes_of_every_action_are_frozen() {
    let lines: Vec<String> = all()
        .into_iter()
        .map(|action| {
            let name = action.name();
            let op = Op { ancestor_parents: vec![entry(1)], actions: vec![action] };
            format!("{name} {}", hex::encode(op.encode().unwrap()))
        })
        .collect();
    let tags: std::collections::BTreeSet<u8> = all().iter().map(|action| borsh::to_vec(action).unwrap()[0]).collect();
    assert_eq!(tags, (1..=34).collect());
    assert_eq!(lines.join("\n"), include_str!("../golden/actions.hex").trim());
}

#[test]
fn what_is_encoded_decodes_to_itself_and_nothing_may_follow() {
    for action in all() {
        let op = Op::new(vec![action]);
        let mut bytes = op.encode().unwrap();
        assert_eq!(Op::from_bytes(&bytes), Ok(op));
        bytes.push(0);
        assert!(matches!(Op::from_bytes(&bytes), Err(OpError::Malformed(_))));
    }
}

#[test]
fn fields_out_of_bounds_are_refused_by_name() {
    let refused = |actions| Op::new(actions).encode().expect_err("refused");
    assert_eq!(refused(vec![]), OpError::ActionCount(0));
    assert_eq!(refused(vec![Action::Merge; 65]), OpError::ActionCount(65));
    let name = |name: String| vec![Action::AliasSet(AliasSet { subject: Alias::Group, name })];
    assert_eq!(refused(name("n".repeat(129))), OpError::TextTooLong { field: "name", len: 129, max: 128 });
    assert_eq!(refused(name("a\nb".into())), OpError::ControlCharacter { field: "name" });
    let kept = |delta| Kept { context: ContextId::from_bytes([1; 32]), delta: entry(delta) };
    let leave = |keep| vec![Action::MemberLeft(MemberLeft { keep })];
    assert_eq!(refused(leave(vec![kept(2), kept(1)])), OpError::Unordered { field: "keep" });
    assert_eq!(refused(leave(vec![kept(1), kept(1)])), OpError::Unordered { field: "keep" });
    let Action::InvitationCreated(mut invitation) = membership(ContextRef::Here(0)).remove(7) else { panic!() };
    invitation.uses = 0;
    assert_eq!(refused(vec![Action::InvitationCreated(invitation)]), OpError::UsesOutOfRange(0));
    let Action::KeyEpochStarted(mut epoch) = epochs().remove(0) else { panic!() };
    epoch.recipients = [0; 32];
    assert_eq!(refused(vec![Action::KeyEpochStarted(epoch)]), OpError::RecipientsDiffer);
}

#[test]
fn a_registration_is_named_only_after_it() {
    let allow = |index| Action::ContextAllowed(ContextAllowed { context: ContextRef::Here(index), member: who(1) });
    let register = contexts(ContextRef::Here(0)).remove(0);
    assert!(Op::new(vec![register.clone(), allow(0)]).encode().is_ok());
    let refused = Op::new(vec![allow(1), register.clone()]).encode();
    assert_eq!(refused, Err(OpError::NotRegisteredHere { action: 0, named: 1 }));
    let refused = Op::new(vec![Action::Merge, allow(0)]).encode();
    assert_eq!(refused, Err(OpError::NotRegisteredHere { action: 1, named: 0 }));
    assert!(Op::new(vec![register, allow(1)]).encode().is_err());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let _ = Op::from_bytes(&bytes);
    }

    #[test]
    fn whatever_decodes_would_be_encoded_the_same(which in 0usize..35, at in 0usize..400, byte: u8) {
        let all = all();
        let action = all[which % all.len()].clone();
        let mut bytes = Op { ancestor_parents: vec![entry(1)], actions: vec![action] }.encode().unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(op) = Op::from_bytes(&bytes) {
            prop_assert_eq!(op.encode().unwrap(), bytes);
        }
    }
}

#[test]
fn the_longest_lists_fit_an_op() {
    let wraps = (0..WRAPS_INLINE_MAX)
        .map(|at| Wrap {
            recipient: PublicKey::from_bytes(std::array::from_fn(|byte| match byte {
                0 => (at >> 8) as u8,
                1 => at as u8,
                _ => 0,
            })),
            encapsulated: [0; 32],
            ciphertext: [0; 48],
        })
        .collect::<Vec<_>>();
    let Action::KeyEpochStarted(mut epoch) = epochs().remove(0) else { panic!() };
    epoch.recipients = recipients_digest(wraps.iter().map(|wrap| wrap.recipient));
    epoch.wraps = Wraps::Inline(wraps);
    let bytes = Op::new(vec![Action::KeyEpochStarted(epoch)]).encode().unwrap();
    assert!(bytes.len() < GOVERNANCE_BODY_LEN_MAX);
}
