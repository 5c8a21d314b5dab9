//! The fold of levels against the reference, over random histories with equivocation and backdating; and the
//! known traps, by hand.

use std::collections::{BTreeMap, BTreeSet};

use mesto_governance::fold::levels::{LevelAction, Levels};
use mesto_governance::{Capabilities, Capability, Role, Standing};
use proptest::prelude::*;

use crate::reference::{Act, Id, Op, Reference, Who};

const PEOPLE: u8 = 5;

fn standing(level: u8) -> Standing {
    let manager = Capabilities::NONE.with(Capability::ManageMembers);
    match level {
        4 => Standing::new(Role::Admin, Capabilities::NONE),
        3 => Standing::new(Role::Member, manager),
        2 => Standing::new(Role::Member, Capabilities::NONE),
        _ => Standing::new(Role::ReadOnly, Capabilities::NONE),
    }
}

fn apply(levels: &mut Levels<Id, Who>, op: &Op) -> bool {
    let parents: Vec<Id> = op.parents.iter().copied().collect();
    let action = match op.act {
        Act::Genesis => return false,
        Act::Set(target, level) => LevelAction::Set(target, standing(level)),
        Act::Remove(target) => LevelAction::Remove(target),
        Act::Leave => LevelAction::Leave,
        Act::Name => LevelAction::Settings,
    };
    levels.apply(op.id, op.author, &parents, action).is_ok()
}

type Members = BTreeMap<Who, u8>;

fn members(roster: &mesto_governance::fold::roster::Roster<Id, Who>) -> Members {
    roster.members().map(|(who, standing)| (*who, 5 - standing.level() as u8)).collect()
}

/// A recipe of one op: author, act, and how its parents are chosen.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    author: u8,
    act: u8,
    target: u8,
    level: u8,
    first: u16,
    second: u16,
    id: u16,
}

pub(crate) fn recipes(ops: usize) -> impl Strategy<Value = Vec<Recipe>> {
    let recipe = (0..PEOPLE, 0u8..10, 0..PEOPLE, 1u8..5, any::<u16>(), any::<u16>(), any::<u16>()).prop_map(
        |(author, act, target, level, first, second, id)| Recipe { author, act, target, level, first, second, id },
    );
    prop::collection::vec(recipe, 1..ops)
}

/// Ops that the reference admits, parents first. Ids are shuffled, so that ties fall either way; parents are
/// mostly recent, sometimes old.
pub(crate) fn history(recipes: &[Recipe]) -> (Vec<Op>, Reference) {
    let mut reference = Reference::default();
    let genesis = Op { id: 1 << 16, author: 0, parents: BTreeSet::new(), act: Act::Genesis };
    assert!(reference.offer(&genesis));
    let mut ops = vec![genesis];
    let begin = [(1, 4), (2, 4), (3, 3)];
    for (at, (who, level)) in begin.into_iter().enumerate() {
        let parent = ops.last().unwrap().id;
        let op = Op { id: (2 << 16) + at as u32, author: 0, parents: [parent].into(), act: Act::Set(who, level) };
        assert!(reference.offer(&op));
        ops.push(op);
    }
    // Every other history goes on from a revocation that is excluded, which chance alone finds too seldom.
    if recipes.len() % 2 == 1 {
        let start = ops[3].id;
        for (id, author, parent, act) in [
            (1, 1, start, Act::Remove(3)),
            (2, 3, start, Act::Set(4, 2)),
            (3, 0, start, Act::Set(1, 3)),
            (4, 2, (3 << 16) + 3, Act::Remove(1)),
        ] {
            let op = Op { id: (3 << 16) + id, author, parents: [parent].into(), act };
            assert!(reference.offer(&op));
            ops.push(op);
        }
    }
    for (at, recipe) in recipes.iter().enumerate() {
        let near = |pick: u16| {
            let span = if pick.is_multiple_of(4) { ops.len() } else { ops.len().min(4) };
            ops[ops.len() - 1 - usize::from(pick / 4) % span].id
        };
        let parents = [near(recipe.first), near(recipe.second)].into();
        let act = match recipe.act {
            0..=4 => Act::Set(recipe.target, recipe.level),
            5..=7 => Act::Remove(recipe.target),
            8 => Act::Leave,
            _ => Act::Name,
        };
        let id = (u32::from(recipe.id) << 8) | at as u32 | 1 << 24;
        let op = Op { id, author: recipe.author, parents, act };
        if reference.offer(&op) {
            ops.push(op);
        }
    }
    (ops, reference)
}

/// Another order of arrival, parents first.
pub(crate) fn reordered(ops: &[Op], seed: u64) -> Vec<Op> {
    let mut open: Vec<Op> = ops[1..].to_vec();
    let mut done = vec![ops[0].clone()];
    let mut held = BTreeSet::from([ops[0].id]);
    let mut state = seed | 1;
    while !open.is_empty() {
        let ready: Vec<usize> =
            (0..open.len()).filter(|&at| open[at].parents.iter().all(|parent| held.contains(parent))).collect();
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let op = open.swap_remove(ready[(state >> 33) as usize % ready.len()]);
        held.insert(op.id);
        done.push(op);
    }
    done
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn the_fold_is_that_of_the_rules_in_any_order(recipes in recipes(14), seed: u64) {
        let (ops, reference) = history(&recipes);
        let (dead, expected) = reference.outcome();
        let mut levels = Levels::genesis(ops[0].id, ops[0].author);
        for op in &reordered(&ops, seed)[1..] {
            prop_assert!(apply(&mut levels, op), "{op:?} was rejected");
            // Ask now and then, so that views are extended from many places.
            if op.id % 3 == 0 {
                levels.roster();
            }
        }
        let roster = levels.roster();
        prop_assert_eq!(members(&roster), expected);
        prop_assert_eq!(levels.dead(), dead.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(levels.resolved(), (roster, levels.dead()));
    }

    #[test]
    fn what_the_rules_reject_is_rejected(recipes in recipes(8), last in recipes(2)) {
        let (ops, mut reference) = history(&recipes);
        let mut levels = Levels::genesis(ops[0].id, ops[0].author);
        for op in &ops[1..] {
            prop_assert!(apply(&mut levels, op));
        }
        for (at, recipe) in last.iter().enumerate() {
            for act in [Act::Set(recipe.target, recipe.level), Act::Remove(recipe.target), Act::Leave, Act::Name] {
                let parent = ops[usize::from(recipe.first) % ops.len()].id;
                let op = Op { id: at as u32 * 10, author: recipe.author, parents: [parent].into(), act };
                let admitted = reference.offer(&op);
                prop_assert_eq!(apply(&mut levels, &op), admitted, "{:?}", op);
                if admitted {
                    break;
                }
            }
        }
    }
}

/// Owner 0, admins 1 and 2, manager 3 (senior first), each added by the owner in turn; heads are at `start`.
struct Scene {
    levels: Levels<Id, Who>,
    start: Id,
}

impl Scene {
    fn new() -> Self {
        let (ops, _) = history(&[]);
        let mut levels = Levels::genesis(ops[0].id, ops[0].author);
        for op in &ops[1..] {
            assert!(apply(&mut levels, op));
        }
        Self { levels, start: ops.last().unwrap().id }
    }

    fn op(&mut self, id: Id, author: Who, parents: &[Id], act: Act) {
        let parents = if parents.is_empty() { [self.start].into() } else { parents.iter().copied().collect() };
        assert!(apply(&mut self.levels, &Op { id, author, parents, act }), "{id} was rejected");
    }

    fn rejects(&mut self, id: Id, author: Who, parents: &[Id], act: Act) {
        let parents = if parents.is_empty() { [self.start].into() } else { parents.iter().copied().collect() };
        assert!(!apply(&mut self.levels, &Op { id, author, parents, act }), "{id} was admitted");
    }

    fn level(&mut self, who: Who) -> u8 {
        members(&self.levels.roster()).get(&who).copied().unwrap_or(0)
    }
}

#[test]
fn of_a_mutual_removal_the_senior_admin_stands() {
    let mut scene = Scene::new();
    scene.op(10, 1, &[], Act::Remove(2));
    // A junior cannot remove a senior at all; by the owner's hand they are made to meet as equals in time.
    scene.rejects(11, 2, &[], Act::Remove(1));
    scene.op(12, 2, &[], Act::Remove(3));
    assert_eq!((scene.level(1), scene.level(2), scene.level(3)), (4, 0, 3));
    assert_eq!(scene.levels.dead(), vec![12]);
}

#[test]
fn concurrent_ops_of_a_demoted_admin_fall_and_what_rests_on_them() {
    let mut scene = Scene::new();
    scene.op(10, 0, &[], Act::Set(1, 2));
    scene.op(11, 1, &[], Act::Set(4, 4));
    scene.op(12, 4, &[11], Act::Remove(3));
    assert_eq!((scene.level(1), scene.level(4), scene.level(3)), (2, 0, 3));
    assert_eq!(scene.levels.dead(), vec![11, 12]);
}

#[test]
fn puppets_that_a_removed_admin_backdates_gain_nothing() {
    let mut scene = Scene::new();
    scene.op(10, 0, &[], Act::Remove(1));
    scene.op(20, 0, &[10], Act::Name);
    scene.op(11, 1, &[], Act::Set(4, 4));
    scene.op(12, 4, &[11], Act::Set(200, 4));
    scene.op(13, 200, &[12], Act::Name);
    assert_eq!((scene.level(4), scene.level(200)), (0, 0));
    assert_eq!(scene.levels.dead(), vec![11, 12, 13]);
}

#[test]
fn whoever_is_added_after_a_removal_is_back() {
    let mut scene = Scene::new();
    scene.op(10, 0, &[], Act::Remove(3));
    scene.op(11, 2, &[10], Act::Set(3, 2));
    assert_eq!(scene.level(3), 2);
    // An addition beside the removal does not undo it.
    let mut scene = Scene::new();
    scene.op(10, 0, &[], Act::Remove(3));
    scene.op(11, 2, &[], Act::Set(3, 2));
    assert_eq!(scene.level(3), 0);
}

#[test]
fn who_is_added_as_less_from_before_their_grant_is_less_until_the_role_is_given_again() {
    let mut scene = Scene::new();
    // The owner makes 4 an admin. A manager, by ops that do not know of that, adds 4 as a reader.
    scene.op(10, 0, &[], Act::Set(4, 4));
    scene.op(11, 4, &[10], Act::Name);
    scene.rejects(20, 3, &[10], Act::Set(4, 1));
    scene.op(21, 3, &[], Act::Set(4, 1));
    assert_eq!((scene.level(4), scene.levels.dead()), (1, vec![11]));
    // Whoever outranks the manager gives the role again, knowing of both.
    scene.op(30, 0, &[11, 21], Act::Set(4, 4));
    scene.op(31, 4, &[30], Act::Name);
    assert_eq!((scene.level(4), scene.levels.dead()), (4, vec![11]));
    // And once the manager is removed, it does so no more, however it dates that.
    scene.op(40, 0, &[31], Act::Remove(3));
    scene.op(41, 3, &[], Act::Set(4, 1));
    assert_eq!((scene.level(4), scene.level(3)), (4, 0));
}

#[test]
fn nobody_undoes_a_leave_by_removing_who_left() {
    let mut scene = Scene::new();
    scene.op(10, 3, &[], Act::Leave);
    scene.op(11, 1, &[], Act::Remove(3));
    assert_eq!(scene.level(3), 0);
    assert!(scene.levels.dead().is_empty());
    // Not even when the removal dies.
    scene.op(12, 0, &[], Act::Remove(1));
    assert_eq!(scene.level(3), 0);
    assert_eq!(scene.levels.dead(), vec![11]);
}

#[test]
fn a_void_by_a_revoker_that_dies_later_is_lifted() {
    let mut scene = Scene::new();
    scene.op(10, 1, &[], Act::Remove(2));
    scene.op(11, 2, &[], Act::Set(4, 2));
    assert_eq!((scene.level(2), scene.level(4)), (0, 0));
    scene.op(12, 0, &[], Act::Set(1, 2));
    assert_eq!((scene.level(1), scene.level(2), scene.level(4)), (2, 4, 2));
    assert_eq!(scene.levels.dead(), vec![10]);
}

#[test]
fn a_revocation_that_dies_of_what_it_did_not_see_voids_nothing() {
    let mut scene = Scene::new();
    // Admin 1 removes manager 3, who acts beside it: void. The owner makes 1 a manager, which leaves it the right
    // to remove; but then admin 2 outranks 1, and removes it. By rank the removal of 3 goes first all the same.
    scene.op(10, 1, &[], Act::Remove(3));
    scene.op(11, 3, &[], Act::Set(4, 2));
    scene.op(12, 0, &[], Act::Set(1, 3));
    assert_eq!((scene.level(1), scene.level(3), scene.level(4)), (3, 0, 0));
    scene.op(13, 2, &[12], Act::Remove(1));
    assert_eq!((scene.level(1), scene.level(3), scene.level(4)), (0, 3, 2));
    assert_eq!(scene.levels.dead(), vec![10]);
    assert_eq!(scene.levels.resolved().1, vec![10]);
}

#[test]
fn of_two_grants_of_one_level_the_weaker_makes_the_rank() {
    let mut scene = Scene::new();
    scene.op(10, 1, &[], Act::Set(4, 4));
    scene.op(11, 0, &[10], Act::Set(5, 4));
    scene.op(12, 1, &[10], Act::Set(5, 4));
    // As the owner's grant 5 would be senior to 4, which is a grant of 1; as the grant of 1 it is junior.
    scene.rejects(13, 4, &[11], Act::Remove(5));
    scene.op(14, 4, &[11, 12], Act::Remove(5));
    assert_eq!(scene.level(5), 0);
}

#[test]
fn of_two_grants_of_one_author_the_larger_id_makes_the_rank() {
    let mut scene = Scene::new();
    scene.op(10, 0, &[], Act::Set(4, 4));
    scene.op(5, 0, &[], Act::Set(6, 4));
    scene.op(20, 0, &[10], Act::Set(6, 4));
    // By the grant 5 alone 6 outranks 4, which was granted at the same height by 10; by 20 it does not.
    scene.rejects(30, 6, &[5, 20], Act::Remove(4));
    scene.op(31, 4, &[5, 20], Act::Remove(6));
}

#[test]
fn a_removal_that_is_void_voids_nothing_that_comes_late() {
    let mut scene = Scene::new();
    scene.op(10, 2, &[], Act::Remove(3));
    scene.op(11, 1, &[], Act::Remove(2));
    assert_eq!(scene.levels.dead(), vec![10]);
    scene.op(12, 3, &[], Act::Set(4, 2));
    assert_eq!(scene.levels.dead(), vec![10]);
    assert_eq!((scene.level(3), scene.level(4)), (3, 2));
}

#[test]
fn liveness_does_not_depend_on_the_target() {
    let mut scene = Scene::new();
    scene.op(10, 1, &[], Act::Set(4, 2));
    scene.op(11, 2, &[10], Act::Remove(4));
    // The addition falls; the removal of nobody stays live, because only its author's authority counts.
    scene.op(12, 0, &[], Act::Remove(1));
    assert_eq!(scene.level(4), 0);
    assert_eq!(scene.levels.dead(), vec![10]);
}

#[test]
fn the_owner_can_neither_be_removed_nor_leave() {
    let mut scene = Scene::new();
    scene.rejects(10, 1, &[], Act::Remove(0));
    scene.rejects(11, 0, &[], Act::Leave);
    scene.rejects(12, 1, &[], Act::Set(0, 2));
    assert_eq!(scene.level(0), 5);
}

#[test]
fn a_history_of_any_depth_is_walked_without_going_deep() {
    let mut scene = Scene::new();
    let mut head = scene.start;
    for id in 1000..21_000 {
        scene.op(id, 0, &[head], Act::Name);
        head = id;
    }
    // Beside all of it, and striking something at its beginning.
    scene.op(10, 2, &[], Act::Set(4, 2));
    scene.op(11, 1, &[head], Act::Remove(2));
    assert_eq!(scene.levels.dead(), vec![10]);
    assert_eq!(scene.levels.resolved().1, vec![10]);
}
