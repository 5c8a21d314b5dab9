//! What shows somebody that it is no member any more: enough to come to that, whatever else it knows.

use mesto_governance::action::{Alias, DescendantHeads, JoinByInvitation, MemberRemoved, PeerHint};
use mesto_governance::{Action, Capabilities, Claim, GroupId, InvitationId, Role};
use mesto_oplog::{EntryId, Verified};

use crate::forest::Forest;
use crate::subgroups::scene;
use crate::world::{add, id, invitation, key, name, remove, sealing};

/// The ops that `known` and what they rest on are, in their order.
fn past_of(forest: &Forest, known: &[EntryId]) -> Vec<Verified> {
    let mut wanted = known.to_vec();
    let mut found: Vec<Verified> = Vec::new();
    for entry in forest.entries.iter().rev() {
        let is_genesis = entry.is_genesis();
        if is_genesis || wanted.contains(&entry.id()) {
            wanted.extend(&entry.header().parents);
            if !is_genesis {
                wanted.extend(&mesto_governance::Op::decode(entry).unwrap().ancestor_parents);
            }
            found.push(entry.clone());
        }
    }
    found.reverse();
    found
}

/// Whether somebody who knows some ops of a tree takes `who` for a member of `group`.
fn is_in(forest: &Forest, known: &[EntryId], who: u8, group: GroupId) -> bool {
    let mut own = Forest::default();
    own.take_all(&past_of(forest, known));
    own.state(group).standing(&id(who)).is_some()
}

#[test]
fn who_was_removed_by_whom_a_removed_admin_let_in_is_shown_what_that_removal_spared() {
    let (mut forest, root, child) = scene();
    let manager = Capabilities::DEFAULT.with(mesto_governance::Capability::ManageMembers);
    forest.act(1, child, vec![add(9, Role::Member, Capabilities::DEFAULT)]);
    forest.act(2, child, vec![add(3, Role::Member, manager)]);
    let removal = forest.act(3, child, vec![remove(9)]);
    let head = forest.act(1, child, vec![name(Alias::Group, "seen")]);
    let descendants = vec![DescendantHeads { group: child, heads: vec![head] }];
    let above =
        forest.act(0, root, vec![Action::MemberRemoved(MemberRemoved { member: id(2), keep: vec![], descendants })]);
    let governance = &forest.groups[&child];
    assert!(governance.state().standing(&id(9)).is_none());
    // Without the head, that removal above takes 2's part from it, and 3's with it.
    assert!(is_in(&forest, &[removal, above], 9, child));
    let shown = governance.endings_of(&id(9));
    assert!(shown.contains(&removal));
    assert!(!is_in(&forest, &[shown, vec![above]].concat(), 9, child));
}

#[test]
fn whose_claim_fell_with_a_row_is_shown_what_ended_what_the_row_had_hidden() {
    let (mut forest, root, child) = scene();
    let invitation = InvitationId::of_action(forest.act(1, child, vec![invitation(2)]), 0);
    let (joiner, sealing) = (key(9), sealing(9).public());
    let claim = Claim::new(child, invitation, &key(50), &joiner, sealing, PeerHint::default());
    let join = forest.draft(4, child, vec![Action::JoinByInvitation(JoinByInvitation { claim })]);
    forest.act(1, child, vec![add(4, Role::Member, Capabilities::DEFAULT)]);
    let removal = forest.act(1, child, vec![remove(4)]);
    // It inherits, so that its part of the claim stands, until that is ended too.
    forest.take(&join);
    assert!(forest.state(child).standing(&id(9)).is_some());
    let above = forest.act(0, root, vec![remove(4)]);
    let governance = &forest.groups[&child];
    assert!(governance.is_dead(&join.id()) && governance.state().standing(&id(9)).is_none());
    assert!(is_in(&forest, &[join.id(), removal], 9, child));
    let shown = [governance.endings_of(&id(9)), governance.endings_above(&id(9), &root)].concat();
    assert!(shown.contains(&removal) && shown.contains(&above));
    assert!(!is_in(&forest, &[shown, vec![join.id()]].concat(), 9, child));
}
