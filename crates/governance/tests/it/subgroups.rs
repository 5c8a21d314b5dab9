//! Subgroups: what comes from above, and what does not.

use mesto_governance::action::{
    Alias, ContextRef, ContextVisibilitySet, DescendantHeads, Kept, MemberLeft, MemberRemoved, MemberRoleSet,
    SubgroupCreated, SubgroupRemoved, TargetApplicationSet, Visibility,
};
use mesto_governance::fold::{Refusal, SUBGROUP_DEPTH_MAX};
use mesto_governance::right::{Denied, Right};
use mesto_governance::verdict::{Authorship, Warrant};
use mesto_governance::{Action, Capabilities, Capability, Change, Governance, GroupId, Level, Rejected, Role};
use mesto_oplog::EntryId;
use std::sync::Arc;

use crate::forest::{Forest, Taken};
use crate::world::{add, allow, id, identity, join, name, register, release, remove, restrict};

/// A root with admins 1 and 2, member 4 and reader 5; a subgroup of admin 1's with the direct member 6.
pub(crate) fn scene() -> (Forest, GroupId, GroupId) {
    let (mut forest, root) = Forest::new();
    forest.act(0, root, vec![add(1, Role::Admin, Capabilities::NONE)]);
    forest.act(0, root, vec![add(2, Role::Admin, Capabilities::NONE)]);
    forest.act(0, root, vec![add(4, Role::Member, Capabilities::ALL.without(Capability::ManageMembers))]);
    forest.act(0, root, vec![add(5, Role::ReadOnly, Capabilities::DEFAULT)]);
    let child = forest.subgroup(1, root);
    forest.act(1, child, vec![add(6, Role::Member, Capabilities::DEFAULT.with(Capability::CreateContexts))]);
    (forest, root, child)
}

fn remove_knowing(who: u8, group: GroupId, heads: Vec<EntryId>, keep: Vec<Kept>) -> Action {
    let descendants = vec![DescendantHeads { group, heads }];
    Action::MemberRemoved(MemberRemoved { member: id(who), keep, descendants })
}

#[test]
fn what_is_inherited_is_the_role_and_no_capability_but_to_join() {
    let (forest, root, child) = scene();
    let state = forest.state(child);
    let level = |who| state.member(&id(who)).map(|row| (row.level, row.from));
    assert_eq!(level(0), Some((Level::Admin, root)));
    assert_eq!(level(1), Some((Level::Owner, child)));
    assert_eq!(level(2), Some((Level::Admin, root)));
    assert_eq!(level(5), Some((Level::ReadOnly, root)));
    let four = state.member(&id(4)).unwrap();
    assert_eq!((four.level, four.capabilities), (Level::Member, Capabilities::DEFAULT));
    assert_eq!(state.members().count(), 2);
    assert_eq!(state.everybody().len(), 6);
    // Nothing flows up.
    assert!(forest.state(root).member(&id(6)).is_none());
}

#[test]
fn an_admin_above_has_structural_authority_but_no_say_in_who_reads() {
    let (mut forest, _, child) = scene();
    forest.act(2, child, vec![add(7, Role::Member, Capabilities::NONE.with(Capability::ManageMembers))]);
    forest.act(2, child, vec![remove(7)]);
    // Not of who could be let into what is Restricted: it makes no admins, itself neither.
    for who in [2, 7] {
        let refused = forest.refused(2, child, vec![add(who, Role::Admin, Capabilities::NONE)]);
        assert!(matches!(refused, Rejected::Denied(Denied::OnlyInherited(_) | Denied::NotOutranked { .. })));
    }
    let target = Action::TargetApplicationSet(TargetApplicationSet { release: release(2), migrate: None });
    forest.act(2, child, vec![target]);
    let context = forest.context(6, child, vec![restrict(ContextRef::Here(0))]);
    let refused = forest.refused(2, child, vec![allow(context, 2)]);
    assert_eq!(refused, Denied::OnlyInherited(id(2)).into());
    let open = Action::ContextVisibilitySet(ContextVisibilitySet {
        context: ContextRef::Id(context),
        visibility: Visibility::Open,
        keep: vec![],
    });
    assert_eq!(forest.refused(2, child, vec![open]), Denied::OnlyInherited(id(2)).into());
    let denied = Denied::NotOnAllowlist { context, member: id(2) };
    let joining = join(ContextRef::Id(context), &[7; 32], child, 2);
    assert_eq!(forest.refused(2, child, vec![joining]), denied.into());
    // And nobody removes the owner.
    assert!(matches!(forest.refused(0, child, vec![remove(1)]), Rejected::Denied(Denied::NotOutranked { .. })));
    forest.act(1, child, vec![add(8, Role::Admin, Capabilities::NONE)]);
    forest.act(8, child, vec![allow(context, 8)]);
    assert!(matches!(forest.refused(8, child, vec![remove(2)]), Rejected::Denied(Denied::OnlyInherited(_))));
}

#[test]
fn what_took_a_direct_admin_falls_with_the_direct_row_though_the_inherited_one_stays() {
    let (mut forest, _, child) = scene();
    let context = forest.context(6, child, vec![]);
    forest.act(1, child, vec![add(2, Role::Admin, Capabilities::NONE)]);
    let lists = forest.draft(2, child, vec![allow(context, 2)]);
    let adds = forest.draft(2, child, vec![add(7, Role::Member, Capabilities::DEFAULT)]);
    forest.act(1, child, vec![remove(2)]);
    forest.take(&lists);
    forest.take(&adds);
    assert_eq!(forest.groups[&child].dead(), vec![lists.id()]);
    assert!(forest.state(child).member(&id(7)).is_some());
}

#[test]
fn whoever_is_only_inherited_is_not_removed_demoted_or_let_go_below() {
    let (mut forest, _, child) = scene();
    assert_eq!(forest.refused(1, child, vec![remove(4)]), Denied::OnlyInherited(id(4)).into());
    let leave = Action::MemberLeft(MemberLeft { keep: vec![] });
    assert_eq!(forest.refused(4, child, vec![leave]), Denied::OnlyInherited(id(4)).into());
    // A direct admin does not outrank an admin from above, and gives it no weaker row of its own.
    forest.act(1, child, vec![add(7, Role::Admin, Capabilities::NONE)]);
    let refused = forest.refused(7, child, vec![add(2, Role::ReadOnly, Capabilities::NONE)]);
    assert_eq!(refused, Denied::NotOutranked { member: id(7), target: id(2) }.into());
    // It may give one to a plain member, which then counts.
    forest.act(7, child, vec![add(4, Role::ReadOnly, Capabilities::NONE)]);
    assert_eq!(forest.state(child).member(&id(4)).map(|row| (row.level, row.from)), Some((Level::ReadOnly, child)));
    forest.act(7, child, vec![remove(4)]);
    assert_eq!(forest.state(child).standing(&id(4)).map(|own| own.level()), Some(Level::Member));
}

#[test]
fn groups_nest_to_their_depth_and_no_deeper() {
    let (mut forest, root) = Forest::new();
    let mut group = root;
    for depth in 1..=SUBGROUP_DEPTH_MAX {
        group = forest.subgroup(0, group);
        assert_eq!(forest.state(group).generation(), depth);
    }
    forest.context(0, group, vec![]);
    let another = GroupId::from_bytes([9; 32]);
    let named = Action::SubgroupCreated(SubgroupCreated { group: another });
    assert_eq!(forest.refused(0, group, vec![named]), Rejected::TooDeep);
}

#[test]
fn a_group_is_folded_below_the_parent_that_it_names_and_no_other() {
    let (mut forest, root, child) = scene();
    let genesis = forest.entries.iter().find(|entry| entry.id() == child.genesis()).unwrap().clone();
    assert_eq!(Governance::genesis(&genesis).err(), Some(Refusal::Rejected(Rejected::AnotherParent)));
    let sibling = forest.subgroup(2, root);
    let below_sibling = Governance::genesis_below(&genesis, &forest.groups[&sibling]);
    assert_eq!(below_sibling.err(), Some(Refusal::Rejected(Rejected::AnotherParent)));
    let sibling = Arc::clone(&forest.groups[&sibling]);
    let mut of_child = (*forest.groups[&child]).clone();
    assert_eq!(of_child.follow(&sibling).err(), Some(Refusal::NotTheParent(sibling.group())));
}

#[test]
fn a_subgroup_that_its_parent_never_named_gives_no_rights() {
    let (mut forest, root, _) = scene();
    // Member 4 begins one by itself, which takes an admin.
    let wild = forest.begin(4, Some(root), vec![]);
    let context = forest.context(4, wild, vec![]);
    assert!(!forest.state(wild).is_there());
    assert_eq!(forest.state(wild).may_write(context, &identity(4)), Err(Denied::GroupDeleted));
    let named = Action::SubgroupCreated(SubgroupCreated { group: wild });
    assert!(matches!(forest.refused(4, root, vec![named.clone()]), Rejected::Denied(Denied::LevelTooLow { .. })));
    forest.act(2, root, vec![named.clone()]);
    assert_eq!(forest.state(wild).may_write(context, &identity(4)), Ok(id(4)));
    assert_eq!(forest.refused(2, root, vec![named]), Rejected::SubgroupKnown(wild));
}

#[test]
fn the_end_of_a_group_ends_its_descendants() {
    let (mut forest, root, child) = scene();
    let grandchild = forest.subgroup(1, child);
    let context = forest.context(1, grandchild, vec![]);
    assert_eq!(forest.state(grandchild).may_write(context, &identity(1)), Ok(id(1)));
    let mut forest_deleted = forest.clone();
    forest.act(2, root, vec![Action::SubgroupRemoved(SubgroupRemoved { group: child })]);
    assert!(forest.state(grandchild).is_deleted());
    assert_eq!(forest.state(grandchild).may_write(context, &identity(1)), Err(Denied::GroupDeleted));
    assert_eq!(forest.refused(1, grandchild, vec![Action::Merge]), Rejected::GroupDeleted);
    let again = Action::SubgroupRemoved(SubgroupRemoved { group: child });
    assert_eq!(forest.refused(2, root, vec![again]), Rejected::NoSuchSubgroup(child));
    forest_deleted.act(0, root, vec![Action::GroupDeleted]);
    assert!(forest_deleted.state(grandchild).is_deleted());
}

#[test]
fn a_removal_above_ends_what_was_inherited_and_spares_direct_rows() {
    let (mut forest, root, child) = scene();
    let open = forest.context(6, child, vec![]);
    forest.join(4, child, open);
    forest.act(1, child, vec![add(5, Role::Member, Capabilities::DEFAULT)]);
    forest.join(5, child, open);
    assert_eq!(forest.state(child).may_write(open, &identity(4)), Ok(id(4)));
    forest.act(0, root, vec![remove(4)]);
    forest.act(0, root, vec![remove(5)]);
    let state = forest.state(child);
    assert!(state.member(&id(4)).is_none());
    assert!(state.may_write(open, &identity(4)).is_err());
    assert_eq!(state.may_write(open, &identity(5)), Ok(id(5)));
    // Who comes back above begins anew below.
    forest.act(0, root, vec![add(4, Role::Member, Capabilities::DEFAULT)]);
    assert!(forest.state(child).member(&id(4)).is_some());
    assert!(forest.state(child).may_write(open, &identity(4)).is_err());
    forest.join(4, child, open);
    assert_eq!(forest.state(child).may_write(open, &identity(4)), Ok(id(4)));
}

#[test]
fn a_removal_above_does_not_erase_what_its_target_rightly_did_below() {
    let (mut forest, root, child) = scene();
    let done = forest.act(2, child, vec![add(7, Role::Member, Capabilities::DEFAULT)]);
    // The remover had seen this, and not what comes of the same hand beside the removal.
    let seen = forest.groups[&child].heads();
    let beside = forest.draft(2, child, vec![add(8, Role::Member, Capabilities::DEFAULT)]);
    forest.act(0, root, vec![remove_knowing(2, child, seen, vec![])]);
    assert!(matches!(forest.take(&beside), Taken::Applied));
    let governance = &forest.groups[&child];
    assert!(!governance.is_dead(&done));
    assert!(governance.is_dead(&beside.id()));
    assert!(governance.state().member(&id(7)).is_some());
    assert!(governance.state().member(&id(8)).is_none());
}

#[test]
fn a_removal_above_that_names_nothing_voids_all_that_rested_on_it_except_direct_rows() {
    let (mut forest, root, child) = scene();
    let by_inheritance = forest.draft(2, child, vec![add(7, Role::Member, Capabilities::DEFAULT)]);
    forest.act(0, root, vec![remove(2)]);
    forest.act(0, root, vec![remove(1)]);
    forest.take(&by_inheritance);
    assert!(forest.groups[&child].is_dead(&by_inheritance.id()));
    // Admin 1 owns the subgroup: a direct row.
    let state = forest.state(child);
    assert_eq!(state.member(&id(1)).map(|row| (row.level, row.from)), Some((Level::Owner, child)));
    assert!(state.member(&id(6)).is_some());
}

#[test]
fn a_demotion_above_takes_what_needs_more_and_leaves_the_rest() {
    let (mut forest, root, child) = scene();
    let context = forest.context(6, child, vec![]);
    let adds = forest.draft(2, child, vec![add(7, Role::Member, Capabilities::DEFAULT)]);
    let joins = forest.draft(2, child, vec![join(ContextRef::Id(context), &[7; 32], child, 2)]);
    let demote = Action::MemberRoleSet(MemberRoleSet {
        member: id(2),
        role: Role::Member,
        capabilities: Some(Capabilities::DEFAULT),
        keep: vec![],
        descendants: vec![],
    });
    forest.act(0, root, vec![demote]);
    forest.take(&adds);
    forest.take(&joins);
    let governance = &forest.groups[&child];
    assert!(governance.is_dead(&adds.id()));
    assert!(!governance.is_dead(&joins.id()));
    assert_eq!(governance.state().may_write(context, &identity(2)), Ok(id(2)));
}

#[test]
fn a_revocation_below_acts_below_only() {
    let (mut forest, root, child) = scene();
    forest.act(1, child, vec![add(4, Role::Admin, Capabilities::NONE)]);
    forest.act(1, child, vec![remove(4)]);
    assert!(forest.state(root).member(&id(4)).is_some());
    assert_eq!(forest.state(child).member(&id(4)).map(|row| row.from), Some(root));
}

#[test]
fn puppets_that_a_removed_admin_backdates_into_a_subgroup_gain_nothing() {
    let (mut forest, root, child) = scene();
    let puppet = forest.draft(2, child, vec![add(7, Role::Member, Capabilities::ALL)]);
    let mut apart = forest.clone();
    apart.take(&puppet);
    let of_puppet = apart.draft(7, child, vec![register(9)]);
    let seen = forest.groups[&child].heads();
    forest.act(0, root, vec![remove_knowing(2, child, seen, vec![])]);
    forest.take(&puppet);
    forest.take(&of_puppet);
    assert_eq!(forest.groups[&child].dead().len(), 2);
    assert!(forest.state(child).member(&id(7)).is_none());
    assert_eq!(forest.state(child).contexts().count(), 0);
}

#[test]
fn an_op_waits_for_what_it_names_of_the_ancestors() {
    let (forest, root, child) = scene();
    let mut ahead = forest.clone();
    let news = ahead.act(0, root, vec![add(7, Role::Admin, Capabilities::NONE)]);
    let op = ahead.draft(7, child, vec![add(8, Role::Member, Capabilities::DEFAULT)]);
    let mut behind = forest;
    assert!(matches!(behind.take(&op), Taken::Waits));
    let mut governance = (*behind.groups[&child]).clone();
    assert_eq!(governance.apply(&op), Err(Rejected::AncestorUnknown(news)));
    behind.take_all(&ahead.entries[ahead.entries.len() - 1..]);
    assert!(matches!(behind.take(&op), Taken::Applied));
    // Without naming what made its author an admin, the same op is refused for good.
    let parents = vec![child.genesis()];
    let unfounded = behind.sign(
        7,
        child.log(),
        parents,
        mesto_governance::Op::new(vec![add(9, Role::Member, Capabilities::DEFAULT)]),
    );
    assert!(matches!(behind.take(&unfounded), Taken::Refused(Rejected::Denied(Denied::NotAMember(_)))));
}

fn warrant(
    forest: &Forest,
    group: GroupId,
    context: mesto_governance::ContextId,
    who: u8,
    heads: &[EntryId],
) -> Warrant {
    let authorship = Authorship { context, identity: identity(who), governance: heads, parents_governance: &[] };
    (*forest.groups[&group]).clone().warrant(&authorship)
}

#[test]
fn deltas_of_whom_an_ancestor_removed_are_contested_unless_a_direct_row_stands() {
    let (mut forest, root, child) = scene();
    let context = forest.context(6, child, vec![]);
    forest.join(4, child, context);
    forest.act(1, child, vec![add(5, Role::Member, Capabilities::DEFAULT)]);
    forest.join(5, child, context);
    let then = forest.groups[&child].frontier();
    assert_eq!(warrant(&forest, child, context, 4, &then), Warrant::Valid { member: id(4) });
    let delta = EntryId::from_bytes([7; 32]);
    let seen = forest.groups[&child].heads();
    let removal = forest.act(0, root, vec![remove_knowing(4, child, seen, vec![Kept { context, delta }])]);
    forest.act(0, root, vec![remove(5)]);
    let expected = Warrant::Contested { member: id(4), causes: vec![removal], kept: vec![delta] };
    assert_eq!(warrant(&forest, child, context, 4, &then), expected);
    assert_eq!(warrant(&forest, child, context, 5, &then), Warrant::Valid { member: id(5) });
    let now = forest.groups[&child].frontier();
    assert!(matches!(warrant(&forest, child, context, 4, &now), Warrant::Refused(_)));
    // Back above and joined anew, it writes again by naming the ancestor's heads.
    forest.act(0, root, vec![add(4, Role::Member, Capabilities::DEFAULT)]);
    forest.join(4, child, context);
    let now = forest.groups[&child].frontier();
    assert_eq!(warrant(&forest, child, context, 4, &now), Warrant::Valid { member: id(4) });
}

#[test]
fn who_knew_of_a_removal_above_is_told_apart_from_who_acted_before_it_was_there() {
    let (mut forest, root, child) = scene();
    let then = forest.groups[&child].frontier();
    let mut governance = (*forest.groups[&child]).clone();
    // The view of then is kept, above an ancestor that had fewer ops.
    assert!(governance.state_at(&then).is_some());
    forest.act(0, root, vec![add(9, Role::Member, Capabilities::DEFAULT)]);
    let removal = forest.act(0, root, vec![remove(4)]);
    governance.follow(&Arc::clone(&forest.groups[&root])).unwrap();
    let after = governance.frontier();
    assert!(governance.knew(&after, &[removal]));
    assert!(!governance.knew(&then, &[removal]));
}

#[test]
fn deltas_in_a_subgroup_whose_naming_fell_are_contested() {
    let (mut forest, root, _) = scene();
    let mut apart = forest.clone();
    let group = apart.begin(2, Some(root), vec![]);
    let naming = apart.act(2, root, vec![Action::SubgroupCreated(SubgroupCreated { group })]);
    let context = apart.context(2, group, vec![]);
    let then = apart.groups[&group].frontier();
    forest.act(0, root, vec![remove(2)]);
    let rest = apart.entries[forest.entries.len() - 1..].to_vec();
    forest.take_all(&rest);
    assert!(forest.groups[&root].is_dead(&naming));
    assert!(!forest.state(group).is_there());
    let Warrant::Contested { causes, .. } = warrant(&forest, group, context, 2, &then) else { panic!() };
    assert!(causes.contains(&naming));
}

#[test]
fn following_tells_what_may_have_changed() {
    let (mut forest, root, child) = scene();
    let mut governance = (*forest.groups[&child]).clone();
    assert_eq!(governance.follow(&Arc::clone(&forest.groups[&root])).unwrap().changes, vec![]);
    forest.act(0, root, vec![add(9, Role::Member, Capabilities::DEFAULT)]);
    let applied = governance.follow(&Arc::clone(&forest.groups[&root])).unwrap();
    assert_eq!((applied.changes, applied.rejudge), (vec![Change::AncestorsChanged], false));
    forest.act(0, root, vec![remove(9)]);
    assert!(governance.follow(&Arc::clone(&forest.groups[&root])).unwrap().rejudge);
    let beside = forest.draft(2, child, vec![add(7, Role::Member, Capabilities::DEFAULT)]);
    governance.apply(&beside).unwrap();
    forest.act(0, root, vec![remove(2)]);
    let applied = governance.follow(&Arc::clone(&forest.groups[&root])).unwrap();
    assert_eq!(applied.died, vec![beside.id()]);
    assert!(applied.changes.contains(&Change::MemberLeft { member: id(7) }));
}

#[test]
fn why_tells_the_rows_and_where_they_come_from() {
    let (mut forest, root, child) = scene();
    let why = forest.groups[&child].why(&id(4), Right::CreateContexts);
    assert!(matches!(why.verdict, Err(Denied::CapabilitiesMissing { .. })));
    let rows: Vec<_> = why.rows.iter().map(|row| (row.group, row.standing.is_some(), row.counts)).collect();
    assert_eq!(rows, vec![(child, false, false), (root, true, true)]);
    let beside = forest.draft(2, root, vec![add(9, Role::Member, Capabilities::DEFAULT)]);
    let removal = forest.act(0, root, vec![remove(2)]);
    forest.take(&beside);
    let why = forest.groups[&child].why(&id(9), Right::Read);
    assert_eq!(why.verdict, Err(Denied::NotAMember(id(9))));
    assert_eq!(why.rows[1].dead[0].voided_by, Some(removal));
    let text = why.to_string();
    assert!(text.contains(&format!("voided by {removal}")), "{text}");
    let context = forest.context(6, child, vec![restrict(ContextRef::Here(0))]);
    let why = forest.groups[&child].why(&id(1), Right::JoinContext(context));
    assert!(why.to_string().contains("not on its allowlist"), "{why}");
}

#[test]
fn a_frontier_names_every_head_above_however_many_somebody_makes() {
    let (mut forest, root, child) = scene();
    let branches: Vec<_> =
        (0..40).map(|n| forest.draft(4, root, vec![name(Alias::Member(id(4)), &format!("branch {n}"))])).collect();
    let mut before = forest.groups[&child].frontier();
    for branch in branches {
        assert!(matches!(forest.take(&branch), Taken::Applied));
        let frontier = forest.groups[&child].frontier();
        // What a delta named must not fall out of what the next one names.
        let is_kept = |op: &EntryId| frontier.contains(op) || branch.header().parents.contains(op);
        assert!(before.iter().all(is_kept) && frontier.contains(&branch.id()));
        before = frontier;
    }
    assert_eq!(before.len(), 41);
}

#[test]
fn who_is_let_in_below_after_it_was_removed_above_is_judged_anew() {
    let (mut forest, root, child) = scene();
    let context = forest.context(1, child, vec![]);
    forest.join(4, child, context);
    let seen = forest.groups[&child].heads();
    forest.act(0, root, vec![remove_knowing(4, child, seen, vec![])]);
    let row = forest.draft(1, child, vec![add(4, Role::Member, Capabilities::DEFAULT)]);
    let child = Arc::make_mut(forest.groups.get_mut(&child).unwrap());
    let applied = child.apply(&row).unwrap();
    assert!(applied.rejudge, "{applied:?}");
}

#[test]
fn who_lost_its_row_below_and_then_the_one_above_is_shown_both() {
    let (mut forest, root, child) = scene();
    let deep = forest.subgroup(1, child);
    forest.act(1, deep, vec![add(4, Role::Member, Capabilities::DEFAULT)]);
    let below = forest.act(1, deep, vec![remove(4)]);
    let knows = |forest: &Forest, group: GroupId| {
        let governance = &forest.groups[&group];
        (
            governance.endings_of(&id(4)),
            governance.endings_above(&id(4), &child),
            governance.endings_above(&id(4), &root),
        )
    };
    // What it would inherit it still has.
    assert_eq!(knows(&forest, deep), (vec![], vec![], vec![]));
    let above = forest.act(0, root, vec![remove(4)]);
    assert_eq!(knows(&forest, deep), (vec![below], vec![], vec![above]));
    assert_eq!(knows(&forest, child), (vec![], vec![], vec![above]));
}
