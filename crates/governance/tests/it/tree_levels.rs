//! The fold of a tree of groups against its reference.

use std::collections::{BTreeMap, BTreeSet};

use mesto_governance::action::{Alias, DescendantHeads, MemberLeft, MemberRemoved, MemberRoleSet, SubgroupCreated};
use mesto_governance::{Action, Capabilities, Capability, GroupId, Role};
use mesto_oplog::EntryId;
use proptest::prelude::*;

use crate::forest::{Forest, Taken};
use crate::tree_reference::{Act, Op, Tree, Who};
use crate::world::{add, id, name};

const PEOPLE: Who = 6;

/// Group, author, act, target, level, and two picks of what was seen.
type Recipe = (u8, u8, u8, u8, u8, u16, u16);

fn recipes(most: usize) -> impl Strategy<Value = Vec<Recipe>> {
    let recipe = (0u8..3, 0..PEOPLE, 0u8..11, 0..PEOPLE, 1u8..5, any::<u16>(), any::<u16>());
    prop::collection::vec(recipe, 1..most)
}

struct Pair {
    forest: Forest,
    groups: Vec<GroupId>,
    tree: Tree,
    /// By group: its ops that both admitted, without what only the forest has.
    logs: Vec<Vec<EntryId>>,
}

impl Pair {
    /// A root of 0's with admins 1 and 2 and manager 3, a child of 1's with the direct admin 4, and its child of 0's.
    fn new() -> Self {
        let (mut forest, root) = Forest::new();
        let child = forest.begin(1, Some(root), vec![]);
        forest.act(0, root, vec![Action::SubgroupCreated(SubgroupCreated { group: child })]);
        let grandchild = forest.subgroup(0, child);
        let groups = vec![root, child, grandchild];
        let tree = Tree::new(vec![None, Some(0), Some(1)]);
        let mut pair = Self { forest, groups, tree, logs: vec![vec![]; 3] };
        // The forest's own ops that name subgroups are, for levels, ops that set nothing.
        for entry in pair.forest.entries.clone() {
            let group = pair.groups.iter().position(|group| *group == entry.log().into()).unwrap();
            let body = mesto_governance::Op::decode(&entry).unwrap();
            let op = Op {
                id: entry.id(),
                group,
                author: (0..PEOPLE).find(|who| id(*who) == entry.header().author).unwrap(),
                parents: entry.header().parents.iter().copied().collect(),
                named: body.ancestor_parents.iter().copied().collect(),
                act: if entry.is_genesis() { Act::Genesis } else { Act::Name },
                seen: BTreeMap::new(),
            };
            assert!(pair.tree.offer(&op));
            pair.logs[group].push(op.id);
        }
        for (group, author, target, level) in [(0, 0, 1, 4), (0, 0, 2, 4), (0, 0, 3, 3), (1, 1, 4, 4), (2, 0, 5, 3)] {
            assert!(pair.act(group, author, Act::Set(target, level), (0, 0)));
        }
        pair
    }

    /// Signs an op and gives it to both; whether both admitted it. They have to agree.
    fn act(&mut self, group: usize, author: Who, act: Act, picks: (u16, u16)) -> bool {
        let governance = &self.forest.groups[&self.groups[group]];
        let near = |log: &[EntryId], pick: u16| log[log.len() - 1 - usize::from(pick) % log.len().min(4)];
        let (first, second) = picks;
        let mut parents = match first % 4 {
            0 | 1 => governance.heads(),
            _ => vec![near(&self.logs[group], first / 4), near(&self.logs[group], first / 16)],
        };
        let above: Vec<EntryId> = (0..group).flat_map(|group| &self.logs[group]).copied().collect();
        let mut named = match second % 4 {
            _ if above.is_empty() => vec![],
            0 => governance.ancestor_parents(),
            1 => vec![],
            _ => vec![above[above.len() - 1 - usize::from(second / 4) % above.len().min(5)]],
        };
        for list in [&mut parents, &mut named] {
            list.sort();
            list.dedup();
        }
        let seen: BTreeMap<usize, BTreeSet<EntryId>> = (group + 1..3)
            .filter(|_| second / 64 % 2 == 0)
            .map(|below| (below, BTreeSet::from([near(&self.logs[below], second / 128)])))
            .collect();
        let is_row = match act {
            Act::Set(target, _) => {
                let heads: Vec<EntryId> = parents.iter().chain(&named).copied().collect();
                let state = (**governance).clone().state_at(&heads).unwrap();
                state.direct(&id(target)).is_some()
            }
            Act::Genesis | Act::Remove(_) | Act::Leave | Act::Name => false,
        };
        let actions = vec![self.action(act, author, &seen, is_row)];
        let body = mesto_governance::Op { ancestor_parents: named.clone(), actions };
        let entry = self.forest.sign(author, self.groups[group].log(), parents.clone(), body);
        let op = Op {
            id: entry.id(),
            group,
            author,
            parents: parents.into_iter().collect(),
            named: named.into_iter().collect(),
            act,
            seen: if matches!(act, Act::Remove(_)) || (is_row && matches!(act, Act::Set(..))) {
                seen
            } else {
                BTreeMap::new()
            },
        };
        let admitted = self.tree.offer(&op);
        let taken = self.forest.take(&entry);
        assert_eq!(matches!(taken, Taken::Applied), admitted, "{op:?} {taken:?}");
        if admitted {
            self.logs[group].push(op.id);
        }
        admitted
    }

    fn action(&self, act: Act, author: Who, seen: &BTreeMap<usize, BTreeSet<EntryId>>, is_row: bool) -> Action {
        let of = |(below, heads): (&usize, &BTreeSet<EntryId>)| DescendantHeads {
            group: self.groups[*below],
            heads: heads.iter().copied().collect(),
        };
        let mut descendants: Vec<DescendantHeads> = seen.iter().map(of).collect();
        descendants.sort();
        match act {
            Act::Genesis | Act::Name => name(Alias::Group, if author.is_multiple_of(2) { "a" } else { "b" }),
            Act::Set(target, level) => {
                let manager = Capabilities::NONE.with(Capability::ManageMembers);
                let (role, capabilities) = match level {
                    4.. => (Role::Admin, Capabilities::NONE),
                    3 => (Role::Member, manager),
                    2 => (Role::Member, Capabilities::NONE),
                    _ => (Role::ReadOnly, Capabilities::NONE),
                };
                if is_row {
                    let (member, capabilities) = (id(target), Some(capabilities));
                    Action::MemberRoleSet(MemberRoleSet { member, role, capabilities, keep: vec![], descendants })
                } else {
                    add(target, role, capabilities)
                }
            }
            Act::Remove(target) => {
                Action::MemberRemoved(MemberRemoved { member: id(target), keep: vec![], descendants })
            }
            Act::Leave => Action::MemberLeft(MemberLeft { keep: vec![] }),
        }
    }

    fn compare(&self) {
        let all: BTreeSet<EntryId> = self.tree.ops.keys().copied().collect();
        for (group, real) in self.groups.iter().enumerate() {
            let governance = &self.forest.groups[real];
            let expected = self.tree.resolve(group, &all);
            assert_eq!(governance.dead(), expected.dead.into_iter().collect::<Vec<_>>(), "dead of group {group}");
            for who in 0..PEOPLE {
                let level = governance.state().member(&id(who)).map_or(0, |row| 5 - row.level as u8);
                assert_eq!(level, self.tree.standing(group, &all, who).0, "{who} in group {group}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn a_tree_of_groups_is_folded_as_the_rules_say(recipes in recipes(24)) {
        let mut pair = Pair::new();
        for (group, author, act, target, level, first, second) in recipes {
            let act = match act {
                0..=3 => Act::Set(target, level),
                4..=8 => Act::Remove(target),
                9 => Act::Leave,
                _ => Act::Name,
            };
            // Whoever may not is asked too; then somebody who may.
            let mut authors = [author, 1, 2, 4, 0].into_iter();
            while authors.next().is_some_and(|author| !pair.act(usize::from(group), author, act, (first, second))) {}
        }
        pair.compare();
    }
}
