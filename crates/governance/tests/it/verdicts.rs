//! Verdicts of deltas: what a removed member's backdated deltas are worth.

use std::collections::BTreeSet;

use mesto_governance::action::{
    ContextDetached, ContextDisallowed, ContextRef, ContextVisibilitySet, Kept, MemberLeft, MemberRemoved,
    MemberRoleSet, Visibility,
};
use mesto_governance::right::Denied;
use mesto_governance::verdict::{Authorship, DeltaPast, NoWarrant, Verdict, Waits, Warrant, Written, settle, verdict};
use mesto_governance::{Action, Capabilities, ContextId, Role};
use mesto_oplog::EntryId;

use crate::world::{World, add, allow, disallow, id, identity, remove, restrict, show};

fn delta(byte: u8) -> EntryId {
    EntryId::from_bytes([byte; 32])
}

/// A log of deltas in which each has the ones before it in its past.
struct Line {
    at: u8,
    vouched: bool,
}

impl DeltaPast for Line {
    fn is_within(&self, other: &EntryId) -> bool {
        self.at <= other.as_bytes()[0]
    }

    fn is_vouched_for(&self) -> bool {
        self.vouched
    }
}

fn with_writer() -> (World, ContextId) {
    let mut world = World::peopled();
    let context = world.context(1, vec![]);
    let join = world.join(context, 4);
    world.act(4, vec![join]);
    (world, context)
}

fn warrant(world: &mut World, context: ContextId, who: u8, heads: &[EntryId]) -> Warrant {
    let authorship = Authorship { context, identity: identity(who), governance: heads, parents_governance: &[] };
    world.governance.warrant(&authorship)
}

fn judge(warrant: &Warrant, at: u8, vouched: bool) -> Verdict {
    verdict(&Waits::default(), warrant, &Line { at, vouched })
}

#[test]
fn a_writer_is_accepted_and_anybody_else_rejected_for_good() {
    let (mut world, context) = with_writer();
    let heads = world.governance.heads();
    assert_eq!(judge(&warrant(&mut world, context, 4, &heads), 1, false), Verdict::Accept { member: id(4) });
    let join = world.join(context, 5);
    world.act(5, vec![join]);
    let later = world.governance.heads();
    let reader = warrant(&mut world, context, 5, &later);
    assert_eq!(judge(&reader, 1, true), Verdict::Reject(Denied::ReadOnly(id(5)).into()));
    // Before its join it was nobody here.
    let before = warrant(&mut world, context, 5, &heads);
    let denied = Denied::NotJoined { context, identity: identity(5) };
    assert_eq!(judge(&before, 1, true), Verdict::Reject(denied.into()));
    assert_eq!(warrant(&mut world, context, 4, &[]), Warrant::Refused(NoWarrant::NoHeads));
}

#[test]
fn a_delta_parks_until_all_that_it_names_is_there() {
    let (mut world, context) = with_writer();
    let unknown = warrant(&mut world, context, 4, &[delta(9)]);
    assert_eq!(unknown, Warrant::Unknown { missing: vec![delta(9)] });
    let waits = Waits { parents: vec![delta(1)], ..Waits::default() };
    let expected = Waits { governance: vec![delta(9)], ..waits.clone() };
    assert_eq!(verdict(&waits, &unknown, &Line { at: 1, vouched: false }), Verdict::Park(expected));
    let heads = world.governance.heads();
    let known = warrant(&mut world, context, 4, &heads);
    assert_eq!(verdict(&waits, &known, &Line { at: 1, vouched: false }), Verdict::Park(waits));
}

#[test]
fn a_delta_cannot_know_less_than_its_parents() {
    let (mut world, context) = with_writer();
    let heads = world.governance.heads();
    world.act(1, vec![Action::Merge]);
    let newer = world.governance.heads();
    let behind = Authorship { context, identity: identity(4), governance: &heads, parents_governance: &[&newer] };
    assert_eq!(world.governance.warrant(&behind), Warrant::Refused(NoWarrant::BehindParents));
    let ahead = Authorship { governance: &newer, parents_governance: &[&heads], ..behind };
    assert_eq!(world.governance.warrant(&ahead), Warrant::Valid { member: id(4) });
}

#[test]
fn what_a_removed_member_backdates_is_void_and_what_the_remover_had_seen_is_kept() {
    let (mut world, context) = with_writer();
    let heads = world.governance.heads();
    let removal = world.act(
        1,
        vec![Action::MemberRemoved(MemberRemoved {
            member: id(4),
            keep: vec![Kept { context, delta: delta(5) }],
            descendants: vec![],
        })],
    );
    let contested = warrant(&mut world, context, 4, &heads);
    assert_eq!(contested, Warrant::Contested { member: id(4), causes: vec![removal], kept: vec![delta(5)] });
    assert_eq!(judge(&contested, 5, false), Verdict::Accept { member: id(4) });
    assert_eq!(judge(&contested, 6, false), Verdict::Void { causes: vec![removal] });
    assert_eq!(judge(&contested, 6, true), Verdict::Accept { member: id(4) });
    let after = world.governance.heads();
    assert!(matches!(warrant(&mut world, context, 4, &after), Warrant::Refused(NoWarrant::Denied(_))));
    // Coming back does not bring back what was written in between.
    world.act(1, vec![add(4, Role::Member, Capabilities::DEFAULT)]);
    assert!(matches!(warrant(&mut world, context, 4, &heads), Warrant::Contested { .. }));
}

#[test]
fn a_right_that_rests_on_a_dead_grant_is_void() {
    let mut world = World::peopled();
    let context = world.context(1, vec![]);
    let start = world.governance.heads();
    world.act_after(0, &start, vec![remove(2)]);
    // Admin 2 backdates a puppet into the group, and the puppet joins and writes.
    let added = world.act_after(2, &start, vec![add(9, Role::Member, Capabilities::DEFAULT)]);
    let join = world.join(context, 9);
    let joined = world.act_after(9, &[added], vec![join]);
    let puppet = warrant(&mut world, context, 9, &[joined]);
    assert!(
        matches!(&puppet, Warrant::Contested { causes, kept, .. }
        if causes.contains(&added) && causes.contains(&joined) && kept.is_empty()),
        "{puppet:?}"
    );
    assert!(matches!(judge(&puppet, 1, false), Verdict::Void { .. }));
}

#[test]
fn who_leaves_keeps_what_it_had_written() {
    let (mut world, context) = with_writer();
    let heads = world.governance.heads();
    world.act(4, vec![Action::MemberLeft(MemberLeft { keep: vec![Kept { context, delta: delta(3) }] })]);
    let contested = warrant(&mut world, context, 4, &heads);
    assert_eq!(judge(&contested, 3, false), Verdict::Accept { member: id(4) });
    assert!(matches!(judge(&contested, 4, false), Verdict::Void { .. }));
}

#[test]
fn a_log_settles_to_what_is_kept_and_what_others_built_on() {
    // 1 (X) <- 2 (Y, honest) and 1 <- 3 (X, backdated); 4 (Z, contested too) <- 3; nobody honest saw 3 or 4.
    let parents = |delta: &EntryId| match delta.as_bytes()[0] {
        2 | 3 => vec![1],
        4 => vec![3, 1],
        _ => vec![],
    };
    let is_past = |a: &EntryId, b: &EntryId| parents(b).contains(&a.as_bytes()[0]);
    let contested = Warrant::Contested { member: id(4), causes: vec![], kept: vec![] };
    let written = |at: u8, who: u8, warrant: &Warrant| Written {
        delta: delta(at),
        identity: identity(who),
        warrant: warrant.clone(),
        is_final: false,
    };
    let honest = Warrant::Valid { member: id(5) };
    let log = [written(1, 1, &contested), written(2, 2, &honest), written(3, 1, &contested), written(4, 3, &contested)];
    assert_eq!(settle(&log, &is_past, &mut |_, _| true), BTreeSet::from([delta(1), delta(2)]));
    // Whoever knew why it is contested, and built on it all the same, only merged it.
    assert_eq!(settle(&log, &is_past, &mut |by, _| *by != delta(2)), BTreeSet::from([delta(2)]));
}

#[test]
fn who_knew_of_a_removal_does_not_vouch_for_what_it_ended_and_who_did_not_does() {
    let (mut world, context) = with_writer();
    let heads = world.governance.heads();
    let removal = world.act(1, vec![remove(4)]);
    let after = world.governance.heads();
    let Warrant::Contested { causes, .. } = warrant(&mut world, context, 4, &heads) else { panic!("contested") };
    assert_eq!(causes, vec![removal]);
    assert!(world.governance.knew(&after, &causes) && !world.governance.knew(&heads, &causes));
}

#[test]
fn who_knew_of_a_removal_that_is_dead_by_now_does_not_vouch_for_what_another_one_ended() {
    let (mut world, context) = with_writer();
    let heads = world.governance.heads();
    // 2 removes 4, and all know it; then it turns out that 0 had removed 2 meanwhile, and 1 had removed 4.
    let fallen = world.act_after(2, &heads, vec![remove(4)]);
    world.act_after(0, &heads, vec![remove(2)]);
    let standing = world.act_after(1, &heads, vec![remove(4)]);
    assert!(world.governance.is_dead(&fallen));
    let contested = Warrant::Contested { member: id(4), causes: vec![standing], kept: vec![] };
    assert_eq!(warrant(&mut world, context, 4, &heads), contested);
    let trusted =
        |world: &mut World, heads: &[EntryId]| world.governance.trusted(heads, context, &identity(4), &[standing]);
    assert!(!trusted(&mut world, &[fallen]), "its author knew that 4 is out");
    assert!(!trusted(&mut world, &[standing]));
    assert!(trusted(&mut world, &heads));
}

#[test]
fn whoever_saw_a_grant_die_does_not_vouch_for_what_rests_on_it() {
    let mut world = World::peopled();
    let context = world.context(1, vec![]);
    let start = world.governance.heads();
    let added = world.act_after(2, &start, vec![add(9, Role::Member, Capabilities::DEFAULT)]);
    let join = world.join(context, 9);
    let joined = world.act_after(9, &[added], vec![join]);
    world.act_after(0, &start, vec![remove(2)]);
    let Warrant::Contested { causes, .. } = warrant(&mut world, context, 9, &[joined]) else { panic!("contested") };
    let after = world.governance.heads();
    assert!(world.governance.knew(&after, &causes) && !world.governance.knew(&[joined], &causes));
}

#[test]
fn a_second_removal_does_not_keep_what_the_first_had_ended() {
    let (mut world, context) = with_writer();
    let before = world.governance.heads();
    let removal = |delta: EntryId| {
        let keep = vec![Kept { context, delta }];
        vec![Action::MemberRemoved(MemberRemoved { member: id(4), keep, descendants: vec![] })]
    };
    let first = world.act(1, removal(delta(3)));
    // Back again, 4 writes 9, on top of 3 and of what it forged while it was out.
    world.act(1, vec![add(4, Role::Member, Capabilities::DEFAULT)]);
    let second = world.act(1, removal(delta(9)));
    let Warrant::Contested { causes, kept, .. } = warrant(&mut world, context, 4, &before) else { panic!("contested") };
    assert_eq!(BTreeSet::from_iter(causes), BTreeSet::from([first, second]));
    assert_eq!(kept, vec![delta(3)]);
}

#[test]
fn what_a_puppet_wrote_is_kept_by_nobody_who_knew_that_it_is_one() {
    let (mut world, context) = with_writer();
    let before = world.governance.heads();
    let restrict_keeping = |delta: EntryId| {
        vec![Action::ContextVisibilitySet(ContextVisibilitySet {
            context: ContextRef::Id(context),
            visibility: Visibility::Restricted,
            keep: vec![Kept { context, delta }],
        })]
    };
    let puppet = world.act_after(2, &before, vec![add(9, Role::Member, Capabilities::DEFAULT)]);
    let joined = world.join(context, 9);
    let joined = world.act_after(9, &[puppet], vec![joined]);
    // Beside the removal somebody keeps what there is, and has no reason not to.
    let unaware = world.act_after(1, &[joined], restrict_keeping(delta(3)));
    let unaware = world.act_after(1, &[unaware], vec![show(ContextRef::Id(context), Visibility::Open)]);
    world.act_after(0, &before, vec![remove(2)]);
    assert!(world.governance.is_dead(&puppet) && !world.governance.is_dead(&unaware));
    world.act(1, restrict_keeping(delta(7)));
    let Warrant::Contested { kept, .. } = warrant(&mut world, context, 9, &[joined]) else { panic!("contested") };
    assert_eq!(kept, vec![delta(3)]);
}

fn in_a_restricted_context() -> (World, ContextId) {
    let mut world = World::peopled();
    let context = world.context(1, vec![restrict(ContextRef::Here(0))]);
    world.act(1, vec![allow(context, 4)]);
    let join = world.join(context, 4);
    world.act(4, vec![join]);
    (world, context)
}

#[test]
fn to_be_let_in_again_gives_back_nothing_that_was_written_while_locked_out() {
    let (mut world, context) = in_a_restricted_context();
    let heads = world.governance.heads();
    let out = world.act(1, vec![disallow(context, 4)]);
    let contested = Warrant::Contested { member: id(4), causes: vec![out], kept: vec![] };
    assert_eq!(warrant(&mut world, context, 4, &heads), contested);
    let applied = world.act(1, vec![allow(context, 4)]);
    assert_eq!(warrant(&mut world, context, 4, &heads), contested);
    assert_eq!(warrant(&mut world, context, 4, &[applied]), Warrant::Valid { member: id(4) });
    world.act(1, vec![show(ContextRef::Id(context), Visibility::Open)]);
    assert_eq!(warrant(&mut world, context, 4, &heads), contested);
}

#[test]
fn who_is_let_in_beside_what_locks_everybody_out_may_write() {
    let (mut world, context) = with_writer();
    let heads = world.governance.heads();
    let locked = world.act_after(1, &heads, vec![restrict(ContextRef::Id(context))]);
    let contested = Warrant::Contested { member: id(4), causes: vec![locked], kept: vec![] };
    assert_eq!(warrant(&mut world, context, 4, &heads), contested);
    world.act_after(1, &heads, vec![allow(context, 4)]);
    assert_eq!(warrant(&mut world, context, 4, &heads), Warrant::Valid { member: id(4) });
}

#[test]
fn to_be_taken_off_the_list_of_an_open_context_ends_nothing_until_it_is_restricted() {
    let (mut world, context) = with_writer();
    let heads = world.governance.heads();
    world.act(1, vec![disallow(context, 4)]);
    assert_eq!(warrant(&mut world, context, 4, &heads), Warrant::Valid { member: id(4) });
    let locked = world.act(1, vec![restrict(ContextRef::Id(context))]);
    let contested = Warrant::Contested { member: id(4), causes: vec![locked], kept: vec![] };
    assert_eq!(warrant(&mut world, context, 4, &heads), contested);
}

#[test]
fn whatever_ends_a_right_to_write_contests_what_is_beside_it_and_nothing_else_does() {
    let (world, context) = with_writer();
    let here = ContextRef::Id(context);
    let reader = MemberRoleSet {
        member: id(4),
        role: Role::ReadOnly,
        capabilities: None,
        keep: vec![Kept { context: ContextId::from_bytes([1; 32]), delta: delta(5) }],
        descendants: vec![],
    };
    let disallow = Action::ContextDisallowed(ContextDisallowed { context: here, member: id(4), keep: vec![] });
    let cases = [
        (vec![Action::MemberRoleSet(reader)], true),
        (vec![Action::ContextDetached(ContextDetached { context: here, keep: vec![] })], true),
        (vec![restrict(here)], true),
        (vec![restrict(here), disallow.clone()], true),
        // Who is on the list is not locked out, nor is anybody off the list of what is Open.
        (vec![allow(context, 4), restrict(here)], false),
        (vec![disallow], false),
    ];
    let heads = world.governance.heads();
    for (actions, ends) in cases {
        let mut world = world.clone();
        let applied = world.applied(1, actions.clone());
        assert!(applied.rejudge || !ends, "{actions:?}");
        let op = world.governance.heads();
        // What is kept is of this context, and nothing here is.
        let contested = Warrant::Contested { member: id(4), causes: op, kept: vec![] };
        let expected = if ends { contested } else { Warrant::Valid { member: id(4) } };
        assert_eq!(warrant(&mut world, context, 4, &heads), expected, "{actions:?}");
    }
}

#[test]
fn a_removal_that_dies_ends_nothing() {
    let (mut world, context) = with_writer();
    let heads = world.governance.heads();
    let removal = world.act_after(2, &heads, vec![remove(4)]);
    assert!(matches!(warrant(&mut world, context, 4, &heads), Warrant::Contested { .. }));
    let undoing = world.act_after(1, &heads, vec![remove(2)]);
    assert_eq!(warrant(&mut world, context, 4, &heads), Warrant::Valid { member: id(4) });
    // Whoever saw it dead did not know of an end, also if it comes back to life later.
    let merged = world.act_after(5, &[removal, undoing], vec![Action::Merge]);
    world.act_after(0, &heads, vec![remove(1)]);
    assert!(!world.governance.is_dead(&removal));
    assert!(world.governance.knew(&[removal], &[removal]) && !world.governance.knew(&[merged], &[removal]));
}

#[test]
fn a_place_on_the_allowlist_that_falls_takes_the_right_to_write() {
    let mut world = World::peopled();
    let context = world.context(1, vec![restrict(ContextRef::Here(0))]);
    let start = world.governance.heads();
    let allowed = world.act_after(2, &start, vec![allow(context, 4)]);
    let join = world.join(context, 4);
    let joined = world.act_after(4, &[allowed], vec![join]);
    assert_eq!(warrant(&mut world, context, 4, &[joined]), Warrant::Valid { member: id(4) });
    world.act_after(0, &start, vec![remove(2)]);
    let expected = Warrant::Contested { member: id(4), causes: vec![allowed], kept: vec![] };
    assert_eq!(warrant(&mut world, context, 4, &[joined]), expected);
}

#[test]
fn nobody_vouches_for_what_is_their_own() {
    // 2 is of the same author as 1, who was let back in: valid, and on top of what was forged in between.
    let is_past = |a: &EntryId, b: &EntryId| a.as_bytes()[0] < b.as_bytes()[0];
    let contested = Warrant::Contested { member: id(4), causes: vec![delta(9)], kept: vec![] };
    let written =
        |at: u8, warrant: Warrant| Written { delta: delta(at), identity: identity(1), warrant, is_final: false };
    let log = [written(1, contested), written(2, Warrant::Valid { member: id(4) })];
    assert_eq!(settle(&log, &is_past, &mut |_, _| true), BTreeSet::from([delta(2)]));
}
