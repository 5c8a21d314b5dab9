//! What happens in an ancestor, and what a subgroup makes of it, in every order of arrival.

use mesto_governance::action::{
    Alias, ContextAllowed, ContextRef, DescendantHeads, Domain, JoinByInvitation, Kept, MemberCapabilitiesSet,
    MemberLeft, MemberRemoved, MemberRoleSet, PeerHint,
};
use mesto_governance::right::Denied;
use mesto_governance::verdict::{Authorship, Warrant};
use mesto_governance::{
    Action, Capabilities, Capability, Claim, ContextId, EpochKey, GroupId, InvitationId, Op, Rejected, Role,
};
use mesto_oplog::{EntryId, Verified};

use crate::forest::{Forest, Taken};
use crate::world::{add, epoch, id, identity, invitation, key, name, remove, sealing};

/// A root with admins 1 and 2 and member 4; a subgroup of admin 1's. 2 and 4 have done nothing there.
fn scene() -> (Forest, GroupId, GroupId) {
    let (mut forest, root) = Forest::new();
    forest.act(0, root, vec![add(1, Role::Admin, Capabilities::NONE)]);
    forest.act(0, root, vec![add(2, Role::Admin, Capabilities::NONE)]);
    forest.act(0, root, vec![add(4, Role::Member, Capabilities::DEFAULT)]);
    let child = forest.subgroup(1, root);
    (forest, root, child)
}

fn warrant(forest: &Forest, group: GroupId, context: ContextId, who: u8, heads: &[EntryId]) -> Warrant {
    let authorship = Authorship { context, identity: identity(who), governance: heads, parents_governance: &[] };
    (*forest.groups[&group]).clone().warrant(&authorship)
}

fn knew(forest: &Forest, group: GroupId, heads: &[EntryId], cause: EntryId) -> bool {
    (*forest.groups[&group]).clone().knew(heads, &[cause])
}

fn applies(forest: &mut Forest, entry: &Verified) -> EntryId {
    let taken = forest.take(entry);
    assert!(matches!(taken, Taken::Applied), "{taken:?}");
    entry.id()
}

fn removal(who: u8, child: GroupId, heads: Vec<EntryId>, keep: Vec<Kept>) -> Vec<Action> {
    let descendants = vec![DescendantHeads { group: child, heads }];
    vec![Action::MemberRemoved(MemberRemoved { member: id(who), keep, descendants })]
}

fn assert_as_resolved(forest: &Forest, group: GroupId) {
    let governance = &forest.groups[&group];
    assert_eq!(governance.resolved().digest(), governance.digest());
}

#[test]
fn a_puppet_from_above_falls_below_with_the_grant_above_though_nobody_below_is_touched() {
    let (mut forest, root, child) = scene();
    let context = forest.context(1, child, vec![]);
    let undoing = forest.draft(1, root, vec![remove(2)]);
    let added = forest.act(2, root, vec![add(9, Role::Member, Capabilities::DEFAULT)]);
    let joined = forest.join(9, child, context);
    let then = forest.groups[&child].frontier();
    assert_eq!(warrant(&forest, child, context, 9, &then), Warrant::Valid { member: id(9) });
    applies(&mut forest, &undoing);
    assert!(forest.groups[&child].is_dead(&joined));
    assert_as_resolved(&forest, child);
    let mut causes = vec![added, joined];
    causes.sort();
    let expected = Warrant::Contested { member: id(9), causes, kept: vec![] };
    assert_eq!(warrant(&forest, child, context, 9, &then), expected);
    // Whoever saw the grant dead knew of it; whoever saw it live did not.
    let now = forest.groups[&child].frontier();
    assert!(knew(&forest, child, &now, added) && !knew(&forest, child, &then, added));
}

#[test]
fn who_saw_a_removal_above_dead_did_not_know_of_an_end() {
    let (mut forest, root, _) = scene();
    let child = forest.subgroup(0, root);
    let start = forest.groups[&root].heads();
    let removal = forest.draft(2, root, vec![remove(4)]);
    let undoing = forest.draft(1, root, vec![remove(2)]);
    let redoing = forest.draft(0, root, vec![remove(1)]);
    assert_eq!(removal.header().parents, start);
    for entry in [&removal, &undoing] {
        applies(&mut forest, entry);
    }
    let dead_then = forest.groups[&child].frontier();
    applies(&mut forest, &redoing);
    let live_now = forest.groups[&child].frontier();
    assert!(!forest.groups[&root].is_dead(&removal.id()));
    assert!(knew(&forest, child, &live_now, removal.id()) && !knew(&forest, child, &dead_then, removal.id()));
}

#[test]
fn a_leave_above_voids_nothing_below_and_contests_what_was_written_beside_it() {
    let (mut forest, root, child) = scene();
    let context = forest.context(1, child, vec![]);
    forest.join(4, child, context);
    let then = forest.groups[&child].frontier();
    let beside = forest.draft(4, child, vec![name(Alias::Member(id(4)), "four")]);
    let left = forest.act(4, root, vec![Action::MemberLeft(MemberLeft { keep: vec![] })]);
    applies(&mut forest, &beside);
    assert!(!forest.groups[&child].is_dead(&beside.id()));
    assert_as_resolved(&forest, child);
    let expected = Warrant::Contested { member: id(4), causes: vec![left], kept: vec![] };
    assert_eq!(warrant(&forest, child, context, 4, &then), expected);
}

#[test]
fn a_second_removal_above_does_not_keep_what_the_first_had_ended() {
    let (mut forest, root, child) = scene();
    let context = forest.context(1, child, vec![]);
    forest.join(4, child, context);
    let then = forest.groups[&child].frontier();
    let kept = |byte| vec![Kept { context, delta: EntryId::from_bytes([byte; 32]) }];
    let seen = forest.groups[&child].heads();
    forest.act(0, root, removal(4, child, seen.clone(), kept(3)));
    forest.act(0, root, vec![add(4, Role::Member, Capabilities::DEFAULT)]);
    forest.act(0, root, removal(4, child, seen, kept(9)));
    let Warrant::Contested { causes, kept, .. } = warrant(&forest, child, context, 4, &then) else { panic!() };
    assert_eq!((causes.len(), kept), (2, vec![EntryId::from_bytes([3; 32])]));
}

#[test]
fn the_end_of_an_own_row_takes_nothing_of_what_was_written_while_a_row_above_stands() {
    let (mut forest, _, child) = scene();
    let context = forest.context(1, child, vec![]);
    forest.act(1, child, vec![add(4, Role::Member, Capabilities::DEFAULT)]);
    forest.join(4, child, context);
    let then = forest.groups[&child].frontier();
    forest.act(1, child, vec![remove(4)]);
    assert_eq!(warrant(&forest, child, context, 4, &then), Warrant::Valid { member: id(4) });
}

#[test]
fn what_a_removal_above_had_seen_comes_back_to_life_with_the_op_that_shows_it() {
    let (mut forest, root, child) = scene();
    let mut behind = forest.clone();
    let done = forest.act(2, child, vec![add(7, Role::Member, Capabilities::DEFAULT)]);
    let between = forest.act(1, child, vec![Action::Merge]);
    let shows = forest.act(1, child, vec![Action::Merge]);
    let removed = forest.act(0, root, removal(2, child, vec![shows], vec![]));
    assert!(!forest.groups[&child].is_dead(&done));
    let entry = |id| forest.entries.iter().find(|entry| entry.id() == id).unwrap().clone();
    let (done, between, shows, removed) = (entry(done), entry(between), entry(shows), entry(removed));
    for entry in [&done, &removed, &between] {
        applies(&mut behind, entry);
    }
    assert!(behind.groups[&child].is_dead(&done.id()));
    // Who rests on it is refused where the op that shows it is not in its past, whatever else has come.
    let mut early = behind.clone();
    let parents = vec![done.id()];
    let op = Op { ancestor_parents: vec![removed.id()], actions: vec![name(Alias::Member(id(7)), "seven")] };
    let rests = behind.sign(7, child.log(), parents, op);
    applies(&mut behind, &shows);
    assert!(!behind.groups[&child].is_dead(&done.id()));
    assert_as_resolved(&behind, child);
    for forest in [&mut forest, &mut behind, &mut early] {
        let taken = forest.take(&rests);
        assert!(matches!(taken, Taken::Refused(Rejected::Denied(Denied::NotAMember(_)))), "{taken:?}");
    }
    // Beside others it is the same.
    let beside = early.sign(1, child.log(), vec![child.genesis()], Op::new(vec![Action::Merge]));
    applies(&mut early, &beside);
    applies(&mut early, &shows);
    assert!(!early.groups[&child].is_dead(&done.id()));
    assert_as_resolved(&early, child);
}

#[test]
fn what_hangs_on_doubt_is_resolved_with_it_also_where_the_doubt_came_with_the_ancestors() {
    let (mut forest, root, child) = scene();
    for (who, role, capabilities) in [
        (11, Role::Admin, Capabilities::NONE),
        (12, Role::Admin, Capabilities::NONE),
        (6, Role::Member, Capabilities::DEFAULT.with(Capability::InviteMembers)),
    ] {
        forest.act(1, child, vec![add(who, role, capabilities)]);
    }
    let invitation = InvitationId::of_action(forest.act(6, child, vec![invitation(1)]), 0);
    let undone = forest.draft(12, child, vec![remove(6)]);
    let undoing = forest.draft(11, child, vec![remove(12)]);
    applies(&mut forest, &undone);
    applies(&mut forest, &undoing);
    forest.act(1, child, vec![Action::Merge]);
    // Above, somebody changes who acted below: all is resolved anew.
    let change = MemberCapabilitiesSet { member: id(1), capabilities: Capabilities::ALL };
    forest.act(0, root, vec![Action::MemberCapabilitiesSet(change)]);
    let head = forest.act(1, child, vec![Action::Merge]);
    let claim = Claim::new(child, invitation, &key(50), &key(7), sealing(7).public(), PeerHint::default());
    let claimed = forest.draft(1, child, vec![Action::JoinByInvitation(JoinByInvitation { claim })]);
    assert_eq!(claimed.header().parents, vec![head]);
    forest.act(11, child, vec![add(7, Role::Admin, Capabilities::NONE)]);
    forest.act(7, child, vec![name(Alias::Group, "named")]);
    applies(&mut forest, &claimed);
    assert_eq!(forest.groups[&child].dead(), vec![undone.id()]);
    assert_as_resolved(&forest, child);
}

#[test]
fn an_epoch_below_is_of_no_use_once_a_grant_above_has_died() {
    let (mut forest, root, child) = scene();
    let demoted = Action::MemberRoleSet(MemberRoleSet {
        member: id(2),
        role: Role::Member,
        capabilities: None,
        keep: vec![],
        descendants: vec![],
    });
    let demoted = forest.draft(0, root, vec![demoted]);
    forest.act(2, root, vec![add(9, Role::Member, Capabilities::DEFAULT)]);
    let nonce = *forest.state(child).nonce();
    forest.act(1, child, vec![epoch(Domain::Group, &nonce, 1, &[0, 1, 2, 4, 9])]);
    let key = EpochKey::new(nonce, [1; 32]).id();
    assert!(forest.groups[&child].is_usable(&key) && forest.groups[&child].may_hold(&id(9), &key));
    applies(&mut forest, &demoted);
    assert!(!forest.groups[&child].is_usable(&key) && !forest.groups[&child].may_hold(&id(9), &key));
}

#[test]
fn a_row_between_that_came_and_went_is_no_reason_when_the_one_above_ends() {
    let (mut forest, root, child) = scene();
    let grandchild = forest.subgroup(1, child);
    let context = forest.context(1, grandchild, vec![]);
    let joined = forest.join(4, grandchild, context);
    let then = forest.groups[&grandchild].frontier();
    forest.act(1, child, vec![add(4, Role::Member, Capabilities::DEFAULT)]);
    forest.act(1, child, vec![remove(4)]);
    assert_eq!(warrant(&forest, grandchild, context, 4, &then), Warrant::Valid { member: id(4) });
    let mut causes = vec![joined, forest.act(0, root, vec![remove(4)])];
    causes.sort();
    let expected = Warrant::Contested { member: id(4), causes, kept: vec![] };
    assert_eq!(warrant(&forest, grandchild, context, 4, &then), expected);
}

#[test]
fn a_readers_row_of_its_own_ends_the_right_to_write_of_who_is_a_member_from_above() {
    let (mut forest, _, child) = scene();
    let context = forest.context(1, child, vec![]);
    forest.join(4, child, context);
    let then = forest.groups[&child].frontier();
    let bound = forest.draft(1, child, vec![add(4, Role::ReadOnly, Capabilities::DEFAULT)]);
    assert!((*forest.groups[&child]).clone().apply(&bound).unwrap().rejudge);
    applies(&mut forest, &bound);
    let expected = Warrant::Contested { member: id(4), causes: vec![bound.id()], kept: vec![] };
    assert_eq!(warrant(&forest, child, context, 4, &then), expected);
}

#[test]
fn whoever_comes_back_above_is_no_creator_below_of_what_they_had_registered() {
    let (mut forest, root, child) = scene();
    let context = forest.context(2, child, vec![]);
    assert!(forest.state(child).context(&context).unwrap().is_creator(&id(2)));
    let seen = forest.groups[&child].heads();
    forest.act(0, root, removal(2, child, seen, vec![]));
    forest.act(0, root, vec![add(2, Role::Member, Capabilities::DEFAULT)]);
    let list = Action::ContextAllowed(ContextAllowed { context: ContextRef::Id(context), member: id(2) });
    let refused = forest.refused(2, child, vec![list]);
    assert!(matches!(refused, Rejected::Denied(Denied::LevelTooLow { .. })), "{refused:?}");
    assert_as_resolved(&forest, child);
}

#[test]
fn to_be_let_in_again_above_as_less_takes_nothing_that_the_removal_had_spared() {
    let (mut forest, root, child) = scene();
    let done = forest.act(2, child, vec![add(7, Role::Member, Capabilities::DEFAULT)]);
    let seen = forest.groups[&child].heads();
    let beside = forest.draft(2, child, vec![add(8, Role::Member, Capabilities::DEFAULT)]);
    forest.act(0, root, removal(2, child, seen, vec![]));
    applies(&mut forest, &beside);
    forest.act(0, root, vec![add(2, Role::ReadOnly, Capabilities::DEFAULT)]);
    assert!(!forest.groups[&child].is_dead(&done));
    assert!(forest.groups[&child].is_dead(&beside.id()));
    assert_as_resolved(&forest, child);
}

#[test]
fn what_a_void_removal_claims_to_have_seen_is_not_spared_by_the_next() {
    let (mut forest, root, child) = scene();
    let hidden = forest.draft(2, child, vec![add(7, Role::Member, Capabilities::DEFAULT)]);
    let friendly = removal(2, child, vec![hidden.id()], vec![]);
    let friendly = forest.draft(1, root, friendly);
    let undoing = forest.draft(0, root, vec![remove(1)]);
    applies(&mut forest, &friendly);
    applies(&mut forest, &undoing);
    assert!(forest.groups[&root].is_dead(&friendly.id()));
    forest.act(0, root, vec![remove(2)]);
    applies(&mut forest, &hidden);
    assert!(forest.groups[&child].is_dead(&hidden.id()));
    assert_as_resolved(&forest, child);
}

#[test]
fn a_removal_beside_another_spares_nothing_by_what_the_other_had_seen() {
    let (mut forest, root, child) = scene();
    let done = forest.act(2, child, vec![add(7, Role::Member, Capabilities::DEFAULT)]);
    let seen = forest.groups[&child].heads();
    let knowing = removal(2, child, seen, vec![]);
    let knowing = forest.draft(1, root, knowing);
    let unknowing = forest.draft(0, root, vec![remove(2)]);
    applies(&mut forest, &knowing);
    assert!(!forest.groups[&child].is_dead(&done));
    applies(&mut forest, &unknowing);
    assert!(forest.groups[&child].is_dead(&done));
    assert_as_resolved(&forest, child);
}
