//! The whole fold over random histories of signed ops: any order of arrival gives one state, one digest and the
//! same dead; and its levels are those of the reference.

use std::collections::{BTreeMap, BTreeSet};

use mesto_governance::action::{
    AdmissionPolicySet, Alias, ContextAllowed, ContextCapabilityGranted, ContextCapabilityRevoked, ContextDisallowed,
    ContextRef, ContextVisibilitySet, Domain, InvitationRevoked, JoinByInvitation, MemberCapabilitiesSet, MemberLeft,
    MemberRoleSet, OwnershipTransferred, PeerHint, TeeAdmitted, Visibility,
};
use mesto_governance::{Action, Capabilities, Change, Claim, ContextId, Governance, InvitationId, Role};
use mesto_oplog::{EntryId, Verified};
use proptest::prelude::*;

use crate::levels::{history, recipes};
use crate::reference::{Act, Op as LevelOp};
use crate::world::{START_MS, World, add, entry, epoch, genesis, id, invitation, join, key, name, remove, sealing};

/// One step: author, kind of action, target, detail, and which ops are its parents.
type Step = (u8, u8, u8, u8, u16, u16);

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = (0u8..8, 0u8..25, 1u8..8, any::<u8>(), any::<u16>(), any::<u16>());
    prop::collection::vec(step, 1..most)
}

/// Steps by which admins let in, remove and demote each other.
fn quarrel(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let kind = prop::sample::select(vec![0u8, 2, 3, 4, 5, 6, 7, 14, 16, 17]);
    let step = (0u8..7, kind, 1u8..8, any::<u8>(), any::<u16>(), any::<u16>());
    prop::collection::vec(step, 1..most)
}

/// Steps by which a few are given places and rights in contexts, lose them, and go and come back.
fn places(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let kind = prop::sample::select(vec![0u8, 0, 2, 8, 10, 10, 11, 12, 19, 19, 21]);
    let step = (1u8..5, kind, 4u8..5, any::<u8>(), any::<u16>(), any::<u16>());
    prop::collection::vec(step, 1..most)
}

/// Applies what is admissible of the steps to a peopled group with two contexts and an invitation.
fn play(steps: &[Step]) -> World {
    let mut world = World::peopled();
    let open = world.context(1, vec![]);
    let restrict = Action::ContextVisibilitySet(ContextVisibilitySet {
        context: ContextRef::Here(0),
        visibility: Visibility::Restricted,
        keep: vec![],
    });
    let restricted = world.context(2, vec![restrict]);
    let invitation = InvitationId::of_action(world.act(2, vec![invitation(2)]), 0);
    for &(author, kind, target, detail, first, second) in steps {
        let context = if detail.is_multiple_of(2) { open } else { restricted };
        let action = action(&world, author, kind, target, detail, context, invitation);
        let near = |pick: u16| {
            let span = if pick.is_multiple_of(4) { 12 } else { 4 };
            world.entries[world.entries.len() - 1 - usize::from(pick / 4) % span.min(world.entries.len())].id()
        };
        let mut parents = vec![near(first), near(second)];
        parents.sort();
        parents.dedup();
        let entry = world.sign(author, &parents, vec![action]);
        if world.governance.apply(&entry).is_ok_and(|applied| !applied.is_duplicate) {
            world.entries.push(entry);
        }
    }
    world
}

fn action(
    world: &World,
    author: u8,
    kind: u8,
    target: u8,
    detail: u8,
    context: ContextId,
    invitation: InvitationId,
) -> Action {
    let context_ref = ContextRef::Id(context);
    let roles = [Role::Admin, Role::Member, Role::Member, Role::ReadOnly];
    let role = roles[usize::from(detail) % roles.len()];
    let capabilities = Capabilities::from_bits(detail & 0b1_1111).unwrap();
    match kind {
        0 | 1 => add(target, role, capabilities),
        2..=4 => remove(target),
        5 => Action::MemberLeft(MemberLeft { keep: vec![] }),
        6 => Action::MemberRoleSet(MemberRoleSet {
            member: id(target),
            role,
            capabilities: None,
            keep: vec![],
            descendants: vec![],
        }),
        7 => Action::MemberCapabilitiesSet(MemberCapabilitiesSet { member: id(target), capabilities }),
        8 | 9 => join(context_ref, &[7; 32], world.group(), author),
        10 => Action::ContextAllowed(ContextAllowed { context: context_ref, member: id(target) }),
        11 => Action::ContextDisallowed(ContextDisallowed { context: context_ref, member: id(target), keep: vec![] }),
        12 => Action::ContextVisibilitySet(ContextVisibilitySet {
            context: context_ref,
            visibility: if detail % 4 < 2 { Visibility::Open } else { Visibility::Restricted },
            keep: vec![],
        }),
        13 => name(Alias::Context(context_ref), if detail.is_multiple_of(2) { "one" } else { "two" }),
        14 | 15 => {
            let joiner = 6 + target % 4;
            let claim = Claim::new(
                world.group(),
                invitation,
                &key(50),
                &key(joiner),
                sealing(joiner).public(),
                PeerHint::default(),
            );
            Action::JoinByInvitation(JoinByInvitation { claim })
        }
        16 if detail.is_multiple_of(4) => Action::InvitationRevoked(InvitationRevoked { invitation }),
        16 => epoch(Domain::Group, &[0; 32], detail, &[author]),
        17 | 18 => Action::OwnershipTransferred(OwnershipTransferred { to: id(target) }),
        19 | 20 => {
            let rights = 1 + detail % 3;
            Action::ContextCapabilityGranted(ContextCapabilityGranted {
                context: context_ref,
                member: id(target),
                rights,
            })
        }
        21 => {
            let rights = 1 + detail % 3;
            Action::ContextCapabilityRevoked(ContextCapabilityRevoked {
                context: context_ref,
                member: id(target),
                rights,
            })
        }
        22 => {
            Action::AdmissionPolicySet(AdmissionPolicySet { enabled: !detail.is_multiple_of(4), measurements: vec![] })
        }
        23 => attested(6 + target % 4),
        _ => name(Alias::Group, if detail.is_multiple_of(2) { "one" } else { "two" }),
    }
}

fn attested(who: u8) -> Action {
    Action::TeeAdmitted(TeeAdmitted {
        member: id(who),
        sealing_key: sealing(who).public(),
        peer: PeerHint::default(),
        nonce: [1; 32],
        quote: vec![1],
        collateral: None,
    })
}

fn shuffled(entries: &[Verified], seed: u64) -> Vec<Verified> {
    let mut open: Vec<Verified> = entries[1..].to_vec();
    let mut done = vec![entries[0].clone()];
    let mut state = seed | 1;
    while !open.is_empty() {
        let ready: Vec<usize> = (0..open.len())
            .filter(|&at| open[at].header().parents.iter().all(|id| done.iter().any(|held| held.id() == *id)))
            .collect();
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        done.push(open.swap_remove(ready[(state >> 33) as usize % ready.len()]));
    }
    done
}

fn replay(entries: &[Verified]) -> Governance {
    let mut governance = Governance::genesis(&entries[0]).unwrap();
    for entry in &entries[1..] {
        governance.apply(entry).unwrap();
    }
    governance
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_arrival_gives_one_state(steps in steps(24), seed: u64) {
        let world = play(&steps);
        let again = replay(&shuffled(&world.entries, seed));
        prop_assert_eq!(again.heads(), world.governance.heads());
        prop_assert_eq!(again.dead(), world.governance.dead());
        prop_assert_eq!(again.digest(), world.governance.digest());
        for entry in &world.entries {
            prop_assert_eq!(again.voided_by(&entry.id()), world.governance.voided_by(&entry.id()));
        }
    }

    #[test]
    fn any_order_of_arrival_gives_the_same_places(steps in places(24), seed: u64) {
        let world = play(&steps);
        let again = replay(&shuffled(&world.entries, seed));
        prop_assert_eq!(again.dead(), world.governance.dead());
        prop_assert_eq!(again.digest(), world.governance.digest());
        prop_assert_eq!(world.governance.resolved().digest(), world.governance.digest());
    }

    #[test]
    fn what_is_extended_op_by_op_is_what_is_resolved_at_once(steps in steps(24)) {
        let mut world = play(&steps);
        let heads = world.governance.heads();
        prop_assert_eq!(world.governance.resolved().digest(), world.governance.digest());
        prop_assert_eq!(world.governance.state_at(&heads).map(|state| state.digest()), Some(world.governance.digest()));
        // And at every place in the past.
        for entry in world.entries.clone() {
            let at = world.governance.state_at(&[entry.id()]).unwrap().digest();
            let past: Vec<Verified> = past(&world.entries, entry.id());
            prop_assert_eq!(replay(&past).digest(), at);
        }
    }

    #[test]
    fn what_somebody_is_told_of_its_end_shows_it_whatever_else_it_knows(steps in quarrel(20), picks: u64) {
        let world = play(&steps);
        for who in 0..9 {
            let endings = world.governance.endings_of(&id(who));
            if endings.is_empty() {
                continue;
            }
            // Its own ops, and one of somebody else.
            let other = &world.entries[picks as usize % world.entries.len()];
            let own = world.entries.iter().filter(|entry| entry.header().author == id(who));
            let known: Vec<EntryId> = own.chain([other]).map(Verified::id).chain(endings).collect();
            let held: BTreeSet<EntryId> =
                known.iter().flat_map(|id| past(&world.entries, *id)).map(|entry| entry.id()).collect();
            let held: Vec<Verified> = world.entries.iter().filter(|entry| held.contains(&entry.id())).cloned().collect();
            prop_assert!(replay(&held).state().standing(&id(who)).is_none(), "{who}");
        }
    }

    #[test]
    fn changes_tell_the_whole_difference_of_members(steps in steps(24)) {
        let world = play(&steps);
        let mut governance = Governance::genesis(&world.entries[0]).unwrap();
        let mut members: BTreeSet<_> = governance.state().members().map(|row| row.member).collect();
        for entry in &world.entries[1..] {
            for change in governance.apply(entry).unwrap().changes {
                if let Change::MemberJoined { member, .. } = change {
                    prop_assert!(members.insert(member));
                } else if let Change::MemberLeft { member } = change {
                    prop_assert!(members.remove(&member));
                }
            }
            let now: BTreeSet<_> = governance.state().members().map(|row| row.member).collect();
            prop_assert_eq!(&members, &now);
        }
    }

    #[test]
    fn signed_ops_have_the_levels_of_the_rules(recipes in recipes(12)) {
        let (ops, _) = history(&recipes);
        let mut ids: BTreeMap<u32, EntryId> = BTreeMap::new();
        let first = genesis(0);
        let mut governance = Governance::genesis(&first).unwrap();
        ids.insert(ops[0].id, first.id());
        // Ids are hashes here, so ties may fall otherwise than in the reference: it is asked again with the
        // order of the hashes.
        let mut entries = vec![(ops[0].clone(), first)];
        for op in &ops[1..] {
            let parents: Vec<EntryId> = op.parents.iter().map(|parent| ids[parent]).collect();
            let base = governance.state_at(&parents).unwrap();
            let action = level_action(op, base.member(&id(target(op))).is_some());
            let body = mesto_governance::Op::new(action);
            let signed = entry(governance.group().log(), op.author, &parents, u64::from(op.id), START_MS, &body);
            ids.insert(op.id, signed.id());
            if governance.apply(&signed).is_err() {
                // With other ties an op may be inadmissible; its descendants are left out as well.
                break;
            }
            entries.push((op.clone(), signed));
        }
        let mut order: Vec<EntryId> = entries.iter().map(|(_, signed)| signed.id()).collect();
        order.sort();
        let rank = |id: EntryId| order.binary_search(&id).unwrap() as u32;
        let mut reference = crate::reference::Reference::default();
        for (op, signed) in &entries {
            let parents = op.parents.iter().map(|parent| rank(ids[parent])).collect();
            let renamed = LevelOp { id: rank(signed.id()), author: op.author, parents, act: op.act };
            prop_assert!(reference.offer(&renamed));
        }
        let (dead, members) = reference.outcome();
        let dead: Vec<EntryId> = dead.into_iter().map(|at| order[at as usize]).collect();
        prop_assert_eq!(governance.dead(), dead);
        let levels: BTreeMap<_, _> = members.into_iter().map(|(who, level)| (id(who), level)).collect();
        let own: BTreeMap<_, _> =
            governance.state().members().map(|row| (row.member, 5 - row.level as u8)).collect();
        prop_assert_eq!(own, levels);
    }
}

fn past(entries: &[Verified], of: EntryId) -> Vec<Verified> {
    let mut wanted = vec![of];
    let mut found: Vec<Verified> = Vec::new();
    for entry in entries.iter().rev() {
        if wanted.contains(&entry.id()) {
            wanted.extend(&entry.header().parents);
            found.push(entry.clone());
        }
    }
    found.reverse();
    found
}

fn target(op: &LevelOp) -> u8 {
    match op.act {
        Act::Set(target, _) | Act::Remove(target) => target,
        Act::Genesis | Act::Leave | Act::Name => op.author,
    }
}

/// The signed form of a level op: a member's role and capabilities are set in one op where both change.
fn level_action(op: &LevelOp, is_member: bool) -> Vec<Action> {
    let manager = Capabilities::from_bits(0b1000).unwrap();
    match op.act {
        Act::Genesis => vec![],
        Act::Set(who, level) => {
            let (role, capabilities) = match level {
                4 => (Role::Admin, Capabilities::NONE),
                3 => (Role::Member, manager),
                2 => (Role::Member, Capabilities::NONE),
                _ => (Role::ReadOnly, Capabilities::NONE),
            };
            if is_member {
                vec![Action::MemberRoleSet(MemberRoleSet {
                    member: id(who),
                    role,
                    capabilities: Some(capabilities),
                    keep: vec![],
                    descendants: vec![],
                })]
            } else {
                vec![add(who, role, capabilities)]
            }
        }
        Act::Remove(who) => vec![remove(who)],
        Act::Leave => vec![Action::MemberLeft(MemberLeft { keep: vec![] })],
        Act::Name => vec![name(Alias::Group, "x")],
    }
}
