//! Epochs of subgroups and of what is in them: whom their keys are for.

use mesto_governance::action::{ContextRef, Domain};
use mesto_governance::right::Denied;
use mesto_governance::{Action, EpochKey, Rejected};

use crate::forest::Forest;
use crate::subgroups::scene;
use crate::world::{allow, epoch, id, remove, restrict};

#[test]
fn a_key_of_a_subgroup_is_usable_until_somebody_goes_there_or_above() {
    let (mut forest, root, child) = scene();
    let nonce = |forest: &Forest, group| *forest.state(group).nonce();
    let (of_root, of_child) = (nonce(&forest, root), nonce(&forest, child));
    let key = |byte| EpochKey::new(of_child, [byte; 32]);
    let above = |byte| EpochKey::new(of_root, [byte; 32]);
    // Without a key of the parent's the members above are sealed to as well.
    let next = forest.groups[&child].next_epoch(None).unwrap();
    assert_eq!((next.readers.len(), next.parent), (6, None));
    forest.act(0, root, vec![epoch(Domain::Group, &of_root, 1, &[0, 1, 2, 4, 5])]);
    let next = forest.groups[&child].next_epoch(None).unwrap();
    let direct: Vec<_> = next.readers.iter().map(|(reader, _)| *reader).collect();
    let mut expected = vec![id(1), id(6)];
    expected.sort();
    assert_eq!((direct, next.parent), (expected, Some(above(1).id())));
    let start = |forest: &mut Forest, own: u8, parent: u8| {
        let Action::KeyEpochStarted(mut started) = epoch(Domain::Group, &of_child, own, &[1, 6]) else { panic!() };
        started.parent = Some(above(parent).wrap_child(&key(own), [3; 24]).unwrap());
        forest.act(1, child, vec![Action::KeyEpochStarted(started)]);
    };
    start(&mut forest, 11, 1);
    let current = |forest: &Forest| forest.groups[&child].current_epoch(None).map(|epoch| epoch.key);
    assert_eq!(current(&forest), Some(key(11).id()));
    assert!(forest.groups[&child].may_hold(&id(4), &key(11).id()));
    assert!(!forest.groups[&child].may_hold(&id(9), &key(11).id()));
    forest.act(0, root, vec![remove(4)]);
    assert!(forest.groups[&child].needs_epoch(None));
    assert!(!forest.groups[&child].may_hold(&id(4), &key(11).id()));
    // A new epoch that is wrapped under the parent's old key is of no use: who went has that.
    start(&mut forest, 12, 1);
    assert_eq!(current(&forest), None);
    forest.act(0, root, vec![epoch(Domain::Group, &of_root, 2, &[0, 1, 2, 5])]);
    assert_eq!(forest.groups[&child].next_epoch(None).unwrap().parent, Some(above(2).id()));
    start(&mut forest, 13, 2);
    assert_eq!(current(&forest), Some(key(13).id()));
}

#[test]
fn the_key_of_a_restricted_context_is_not_for_those_above() {
    let (mut forest, root, child) = scene();
    let context = forest.context(6, child, vec![restrict(ContextRef::Here(0))]);
    let next = forest.groups[&child].next_epoch(Some(context)).unwrap();
    assert_eq!(next.readers.iter().map(|(reader, _)| *reader).collect::<Vec<_>>(), vec![id(6)]);
    assert_eq!(next.parent, None);
    let there = Domain::Context(ContextRef::Id(context));
    assert!(matches!(
        forest.refused(2, child, vec![epoch(there, &[7; 32], 2, &[2])]),
        Rejected::Denied(Denied::NotOnAllowlist { .. })
    ));
    forest.act(6, child, vec![epoch(there, &[7; 32], 3, &[6])]);
    let key = EpochKey::new([7; 32], [3; 32]).id();
    assert!(!forest.groups[&child].may_hold(&id(0), &key));
    // Somebody from above who is on the list, and goes above, ends the epoch.
    forest.act(6, child, vec![allow(context, 4)]);
    forest.join(4, child, context);
    assert!(forest.groups[&child].may_hold(&id(4), &key));
    assert!(!forest.groups[&child].needs_epoch(Some(context)));
    forest.act(0, root, vec![remove(4)]);
    assert!(!forest.groups[&child].may_hold(&id(4), &key));
    assert!(forest.groups[&child].needs_epoch(Some(context)));
}
