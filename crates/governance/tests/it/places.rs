//! What members have in contexts (places on allowlists, rights, what they registered) beside what gives and takes it.

use mesto_governance::action::{ContextCapabilityGranted, ContextCapabilityRevoked, ContextRef, SubgroupCreated};
use mesto_governance::right::Denied;
use mesto_governance::{Action, Capabilities, Capability, ContextId, ContextRight, Governance, Rejected, Role};
use mesto_oplog::EntryId;

use crate::forest::Forest;
use crate::world::{World, add, allow, disallow, id, remove, restrict};

fn grant(context: ContextId, member: u8, rights: u8) -> Action {
    let (context, member) = (ContextRef::Id(context), id(member));
    Action::ContextCapabilityGranted(ContextCapabilityGranted { context, member, rights })
}

fn revoke(context: ContextId, member: u8, rights: u8) -> Action {
    let (context, member) = (ContextRef::Id(context), id(member));
    Action::ContextCapabilityRevoked(ContextCapabilityRevoked { context, member, rights })
}

/// A group with a Restricted context of member 4, who may create contexts.
fn founded() -> (World, ContextId) {
    let mut world = World::peopled();
    world.act(0, vec![remove(4)]);
    world.act(0, vec![add(4, Role::Member, Capabilities::DEFAULT.with(Capability::CreateContexts))]);
    let context = world.context(4, vec![restrict(ContextRef::Here(0))]);
    (world, context)
}

/// What the last ops of a world come to, in every order in which they can arrive.
fn in_any_order(world: &World, last: usize, look: &dyn Fn(&Governance)) {
    fn go(governance: &Governance, open: &[mesto_oplog::Verified], look: &dyn Fn(&Governance)) {
        if open.is_empty() {
            look(governance);
            assert_eq!(governance.resolved().digest(), governance.digest());
        }
        for at in 0..open.len() {
            let is_ready = |id: &EntryId| !open.iter().any(|entry| entry.id() == *id);
            if open[at].header().parents.iter().all(is_ready) {
                let mut next = governance.clone();
                next.apply(&open[at]).unwrap();
                let mut rest = open.to_vec();
                rest.remove(at);
                go(&next, &rest, look);
            }
        }
    }
    let (before, after) = world.entries.split_at(world.entries.len() - last);
    let mut governance = Governance::genesis(&before[0]).unwrap();
    for entry in &before[1..] {
        governance.apply(entry).unwrap();
    }
    go(&governance, after, look);
}

#[test]
fn what_is_given_after_a_return_stands_whatever_was_given_beside_the_end() {
    for action in [allow, |context, member| grant(context, member, 1)] {
        let mut world = World::peopled();
        let context = world.context(1, vec![restrict(ContextRef::Here(0))]);
        let start = world.governance.heads();
        let gone = world.act_after(1, &start, vec![remove(4)]);
        let back = world.act_after(1, &[gone], vec![add(4, Role::Member, Capabilities::DEFAULT)]);
        world.act_after(1, &[back], vec![action(context, 4)]);
        world.act_after(2, &start, vec![action(context, 4)]);
        let digest = world.governance.digest();
        in_any_order(&world, 4, &|governance| {
            let row = governance.state().context(&context).unwrap();
            assert!(row.is_allowed(&id(4)) || row.has_right(&id(4), ContextRight::Manage));
            assert_eq!(governance.digest(), digest);
        });
    }
}

#[test]
fn what_an_admin_may_do_anyway_does_not_fall_with_a_right_that_it_was_given_too() {
    let (mut world, context) = founded();
    world.act(4, vec![grant(context, 1, 1)]);
    let start = world.governance.heads();
    let acts = world.act_after(1, &start, vec![disallow(context, 4)]);
    world.act_after(4, &start, vec![revoke(context, 1, 1)]);
    in_any_order(&world, 2, &|governance| {
        assert!(!governance.is_dead(&acts));
        assert!(!governance.state().context(&context).unwrap().is_allowed(&id(4)));
    });
}

#[test]
fn a_right_that_is_taken_and_given_in_one_op_is_given() {
    let mut world = World::peopled();
    let context = world.context(1, vec![]);
    world.act(1, vec![grant(context, 4, 1)]);
    world.act(1, vec![revoke(context, 4, 1), grant(context, 4, 1)]);
    let acts = world.act(4, vec![allow(context, 5)]);
    assert!(!world.governance.is_dead(&acts));
    assert!(world.governance.state().context(&context).unwrap().is_allowed(&id(5)));
    assert_eq!(world.governance.resolved().digest(), world.governance.digest());
}

#[test]
fn one_of_two_grants_is_enough() {
    let mut world = World::peopled();
    let context = world.context(0, vec![]);
    let start = world.governance.heads();
    let by_one = world.act_after(1, &start, vec![grant(context, 4, 1)]);
    let by_two = world.act_after(2, &start, vec![grant(context, 4, 1)]);
    let acts = world.act_after(4, &[by_one, by_two], vec![allow(context, 5)]);
    world.act_after(0, &start, vec![remove(2)]);
    in_any_order(&world, 4, &|governance| {
        assert!(governance.is_dead(&by_two) && !governance.is_dead(&acts));
        assert!(governance.state().context(&context).unwrap().has_right(&id(4), ContextRight::Manage));
    });
    // Without the other one it falls.
    world.act_after(0, &start, vec![remove(1)]);
    in_any_order(&world, 5, &|governance| {
        assert!(governance.is_dead(&by_one) && governance.is_dead(&by_two) && governance.is_dead(&acts));
        assert!(!governance.state().context(&context).unwrap().has_right(&id(4), ContextRight::Manage));
    });
}

#[test]
fn what_a_row_gave_in_contexts_falls_with_the_row_also_where_its_member_inherits() {
    let (mut forest, root) = Forest::new();
    for who in [4, 5, 7] {
        forest.act(0, root, vec![add(who, Role::Member, Capabilities::DEFAULT)]);
    }
    let child = forest.begin(0, Some(root), vec![]);
    forest.act(0, root, vec![Action::SubgroupCreated(SubgroupCreated { group: child })]);
    forest.act(0, child, vec![add(1, Role::Admin, Capabilities::NONE)]);
    let bits = Capabilities::DEFAULT.with(Capability::CreateContexts);
    forest.act(1, child, vec![add(4, Role::Member, bits), add(5, Role::Member, Capabilities::DEFAULT)]);
    let context = forest.context(4, child, vec![restrict(ContextRef::Here(0))]);
    forest.act(4, child, vec![grant(context, 5, 1)]);
    let of_founder = forest.draft(4, child, vec![allow(context, 7)]);
    let of_trusted = forest.draft(5, child, vec![allow(context, 7)]);
    let backdated = forest.clone();
    forest.act(1, child, vec![remove(4), remove(5)]);
    // After it, both are refused: what they inherit gives neither.
    for who in [4, 5] {
        let refused = forest.draft(who, child, vec![allow(context, 7)]);
        assert!(matches!(
            (*forest.groups[&child]).clone().apply(&refused),
            Err(Rejected::Denied(Denied::LevelTooLow { .. }))
        ));
    }
    forest.take(&of_founder);
    forest.take(&of_trusted);
    let governance = &forest.groups[&child];
    assert!(governance.is_dead(&of_founder.id()) && governance.is_dead(&of_trusted.id()));
    assert!(!governance.state().context(&context).unwrap().is_allowed(&id(7)));
    assert_eq!(governance.resolved().digest(), governance.digest());
    // Whichever comes first.
    let mut other = backdated;
    other.take(&of_founder);
    other.take(&of_trusted);
    let news = forest.entries[other.entries.len() - 2..].to_vec();
    other.take_all(&news);
    assert_eq!(other.groups[&child].digest(), governance.digest());
    assert_eq!(other.groups[&child].dead(), governance.dead());
}
