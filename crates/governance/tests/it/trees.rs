//! Random histories over a tree of groups: whatever order the ops of all groups come in, each group comes to the same
//! state, and going on op by op is the same as resolving at once.

use std::collections::BTreeMap;

use mesto_governance::action::{
    ContextAllowed, ContextRef, ContextVisibilitySet, DescendantHeads, MemberLeft, MemberRemoved, MemberRoleSet,
    OwnershipTransferred, SubgroupCreated, SubgroupRemoved, Visibility,
};
use mesto_governance::{Action, Capabilities, ContextId, GroupId, Op, Role};
use mesto_oplog::{EntryId, Verified};
use proptest::prelude::*;

use crate::forest::{Forest, Taken};
use crate::world::{add, id, join};

/// One step: group, author, kind of action, target, detail, and what it has seen.
type Step = (u8, u8, u8, u8, u8, u16, u16);

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = (0u8..4, 0u8..8, 0u8..16, 1u8..8, any::<u8>(), any::<u16>(), any::<u16>());
    prop::collection::vec(step, 1..most)
}

/// A root with admins 1 and 2 and members 3 to 5; a child of admin 1's with a context and the direct member 6, a
/// grandchild of the owner's with the direct member 4, and a sibling of the child.
fn start() -> (Forest, [GroupId; 4], Vec<(GroupId, ContextId)>) {
    let (mut forest, root) = Forest::new();
    for (who, role) in [(1, Role::Admin), (2, Role::Admin), (3, Role::Member), (4, Role::Member), (5, Role::ReadOnly)] {
        forest.act(0, root, vec![add(who, role, Capabilities::DEFAULT)]);
    }
    let child = forest.subgroup(1, root);
    forest.act(1, child, vec![add(6, Role::Admin, Capabilities::DEFAULT)]);
    let grandchild = forest.subgroup(0, child);
    forest.act(0, grandchild, vec![add(4, Role::Admin, Capabilities::DEFAULT)]);
    let sibling = forest.subgroup(2, root);
    let contexts = vec![(child, forest.context(1, child, vec![])), (grandchild, forest.context(0, grandchild, vec![]))];
    (forest, [root, child, grandchild, sibling], contexts)
}

fn play(steps: &[Step]) -> (Forest, [GroupId; 4]) {
    let (mut forest, groups, contexts) = start();
    for &(group, author, kind, target, detail, first, second) in steps {
        let group = groups[usize::from(group)];
        let own = recent(&forest, &[group], first);
        let above: Vec<GroupId> = forest.groups[&group].ancestors().map(|group| group.group()).collect();
        let mut ancestor_parents =
            if above.is_empty() || second.is_multiple_of(8) { vec![] } else { recent(&forest, &above, second) };
        if second % 8 > 3 {
            ancestor_parents = forest.groups[&group].ancestor_parents();
        }
        let parents = if first % 8 > 3 { forest.groups[&group].heads() } else { own };
        let action = action(&forest, group, &groups, &contexts, author, kind, target, detail);
        let entry = forest.sign(author, group.log(), parents, Op { ancestor_parents, actions: vec![action] });
        forest.take(&entry);
    }
    (forest, groups)
}

/// One or two of the last ops of these groups' logs.
fn recent(forest: &Forest, of: &[GroupId], pick: u16) -> Vec<EntryId> {
    let of: Vec<EntryId> =
        forest.entries.iter().filter(|entry| of.contains(&entry.log().into())).map(Verified::id).collect();
    let near = |pick: usize| of[of.len() - 1 - pick % of.len().min(6)];
    let mut picked = vec![near(usize::from(pick / 8)), near(usize::from(pick / 64))];
    picked.sort();
    picked.dedup();
    picked
}

#[allow(clippy::too_many_arguments)] // The parts of one random step.
fn action(
    forest: &Forest,
    group: GroupId,
    groups: &[GroupId; 4],
    contexts: &[(GroupId, ContextId)],
    author: u8,
    kind: u8,
    target: u8,
    detail: u8,
) -> Action {
    let role = [Role::Admin, Role::Member, Role::Member, Role::ReadOnly][usize::from(detail) % 4];
    let capabilities = Capabilities::from_bits(detail & 0b1_1111).unwrap();
    let mut descendants: Vec<DescendantHeads> = groups
        .iter()
        .filter(|_| detail.is_multiple_of(2))
        .filter(|other| forest.groups[other].ancestors().any(|above| above.group() == group))
        .map(|other| DescendantHeads { group: *other, heads: forest.groups[other].heads() })
        .collect();
    descendants.sort();
    let context = contexts.iter().find(|(of, _)| *of == group).map(|(_, context)| ContextRef::Id(*context));
    match (kind, context) {
        (0..=2, _) => add(target, role, capabilities),
        (3..=6, _) => Action::MemberRemoved(MemberRemoved { member: id(target), keep: vec![], descendants }),
        (7, _) => Action::MemberLeft(MemberLeft { keep: vec![] }),
        (8 | 9, _) => {
            let member = id(target);
            Action::MemberRoleSet(MemberRoleSet { member, role, capabilities: None, keep: vec![], descendants })
        }
        (10 | 11, Some(context)) => join(context, &[7; 32], group, author),
        (12, Some(context)) => Action::ContextAllowed(ContextAllowed { context, member: id(target) }),
        (13, Some(context)) => {
            let visibility = if detail.is_multiple_of(2) { Visibility::Open } else { Visibility::Restricted };
            Action::ContextVisibilitySet(ContextVisibilitySet { context, visibility, keep: vec![] })
        }
        (14, _) => Action::OwnershipTransferred(OwnershipTransferred { to: id(target) }),
        (15, _) if detail.is_multiple_of(8) => {
            Action::SubgroupRemoved(SubgroupRemoved { group: groups[usize::from(target) % 4] })
        }
        (15, _) if detail.is_multiple_of(9) => {
            Action::SubgroupCreated(SubgroupCreated { group: groups[usize::from(target) % 4] })
        }
        (10..=15, _) => Action::Merge,
        (16.., _) => unreachable!(),
    }
}

fn shuffled(entries: &[Verified], seed: u64) -> Vec<Verified> {
    let mut state = seed | 1;
    let mut entries = entries.to_vec();
    for at in (1..entries.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        entries.swap(at, (state >> 33) as usize % (at + 1));
    }
    entries
}

/// All that is to be equal, in a readable form.
fn account(forest: &Forest) -> BTreeMap<GroupId, String> {
    let of = |governance: &mesto_governance::Governance| {
        let state = governance.state();
        let everybody: Vec<_> =
            state.everybody().into_iter().map(|row| (row.member, row.from, row.level, row.rank)).collect();
        let identities: Vec<Vec<_>> =
            state.contexts().map(|row| row.identities().map(|(who, of)| (*who, of)).collect()).collect();
        let flags = (state.is_there(), state.is_deleted());
        format!(
            "{:?} {:?} {everybody:?} {identities:?} {flags:?} {:?}",
            governance.heads(),
            governance.dead(),
            governance.digest()
        )
    };
    forest.groups.iter().map(|(group, governance)| (*group, of(governance))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, ..ProptestConfig::default() })]

    #[test]
    fn any_order_over_the_whole_tree_gives_one_state_for_each_group(steps in steps(28), seed: u64) {
        let (forest, _) = play(&steps);
        let mut again = Forest::default();
        again.take_all(&shuffled(&forest.entries, seed));
        prop_assert_eq!(account(&again), account(&forest));
    }

    #[test]
    fn going_on_op_by_op_is_resolving_at_once_in_every_group(steps in steps(28)) {
        let (forest, _) = play(&steps);
        for governance in forest.groups.values() {
            prop_assert_eq!(governance.resolved().digest(), governance.digest());
        }
    }

    #[test]
    fn a_group_without_rows_of_its_own_for_somebody_has_them_as_its_parent_does(steps in steps(20)) {
        let (forest, groups) = play(&steps);
        for group in groups {
            let state = forest.state(group);
            for who in 0..8 {
                let expected = state.direct(&id(who)).or_else(|| {
                    forest.groups[&group].parent().and_then(|parent| parent.state().standing(&id(who))).map(|own| own.inherited())
                });
                prop_assert_eq!(state.standing(&id(who)), expected);
            }
            // There always is exactly one owner.
            let owners = state.members().filter(|row| row.role == Role::Owner).count();
            prop_assert_eq!(owners, 1);
        }
    }

    #[test]
    fn a_refusal_is_everybodys(steps in steps(16), last in steps(4), seed: u64) {
        let (mut forest, _) = play(&steps);
        let mut again = Forest::default();
        again.take_all(&shuffled(&forest.entries, seed));
        for &(_, author, _, target, detail, ..) in &last {
            for group in forest.groups.keys().copied().collect::<Vec<_>>() {
                let role = [Role::Admin, Role::Member][usize::from(detail) % 2];
                let entry = forest.draft(author, group, vec![add(target, role, Capabilities::DEFAULT)]);
                let is_applied = |taken: &Taken| matches!(taken, Taken::Applied);
                prop_assert_eq!(is_applied(&again.take(&entry)), is_applied(&forest.take(&entry)));
            }
        }
    }
}
