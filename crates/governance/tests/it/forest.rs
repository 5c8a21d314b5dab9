//! A tree of groups, as one node holds it: each group folded below its parent, entries taken in whatever order they
//! come, waiting for what they name.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesto_governance::action::{GroupCreated, PeerHint, SubgroupCreated};
use mesto_governance::fold::Refusal;
use mesto_governance::{Action, ContextId, Governance, GroupId, GroupState, Op, Rejected};
use mesto_oplog::entry::{Draft, Header, Kind, Stamp};
use mesto_oplog::{EntryId, Incarnation, LogId, Verified};

use crate::world::{START_MS, id, join, key, register, sealing};

#[derive(Clone, Default)]
pub(crate) struct Forest {
    pub(crate) groups: BTreeMap<GroupId, Arc<Governance>>,
    /// All that was applied, in order.
    pub(crate) entries: Vec<Verified>,
    nonce: u64,
}

/// What became of an entry.
#[derive(Debug)]
pub(crate) enum Taken {
    Applied,
    Refused(Rejected),
    Waits,
}

impl Forest {
    /// A root with its owner 0.
    pub(crate) fn new() -> (Self, GroupId) {
        let mut forest = Self::default();
        let root = forest.begin(0, None, vec![]);
        (forest, root)
    }

    /// Signs and takes the first op of a group.
    pub(crate) fn begin(&mut self, who: u8, parent: Option<GroupId>, more: Vec<Action>) -> GroupId {
        self.nonce += 1;
        let created = GroupCreated {
            nonce: [self.nonce as u8; 32],
            parent,
            sealing_key: sealing(who).public(),
            peer: PeerHint::default(),
        };
        let mut actions = vec![Action::GroupCreated(created)];
        actions.extend(more);
        let ancestor_parents = parent.map(|parent| self.groups[&parent].frontier()).unwrap_or_default();
        let entry = self.sign(who, LogId::default(), vec![], Op { ancestor_parents, actions });
        let taken = self.take(&entry);
        assert!(matches!(taken, Taken::Applied), "{taken:?}");
        GroupId::of_genesis(entry.id())
    }

    /// A subgroup of `parent`, begun and named by `who`.
    pub(crate) fn subgroup(&mut self, who: u8, parent: GroupId) -> GroupId {
        let group = self.begin(who, Some(parent), vec![]);
        self.act(who, parent, vec![Action::SubgroupCreated(SubgroupCreated { group })]);
        group
    }

    /// Signs and takes an op on top of all that is known.
    pub(crate) fn act(&mut self, who: u8, group: GroupId, actions: Vec<Action>) -> EntryId {
        let entry = self.draft(who, group, actions);
        let taken = self.take(&entry);
        assert!(matches!(taken, Taken::Applied), "{taken:?}");
        entry.id()
    }

    pub(crate) fn refused(&mut self, who: u8, group: GroupId, actions: Vec<Action>) -> Rejected {
        let entry = self.draft(who, group, actions);
        match self.take(&entry) {
            Taken::Refused(why) => why,
            taken @ (Taken::Applied | Taken::Waits) => panic!("{taken:?}"),
        }
    }

    /// An op on top of all that is known here, which may be taken somewhere else, or later.
    pub(crate) fn draft(&mut self, who: u8, group: GroupId, actions: Vec<Action>) -> Verified {
        let governance = &self.groups[&group];
        let op = Op { ancestor_parents: governance.ancestor_parents(), actions };
        let parents = governance.heads();
        self.sign(who, group.log(), parents, op)
    }

    pub(crate) fn sign(&mut self, who: u8, log: LogId, parents: Vec<EntryId>, op: Op) -> Verified {
        self.nonce += 1;
        let header = Header {
            kind: Kind::Governance,
            log,
            author: id(who),
            incarnation: Incarnation(self.nonce),
            seq: 1,
            prev: None,
            parents,
            stamp: Stamp(START_MS << 16),
        };
        Draft { header, body: op.encode().unwrap() }.sign(&key(who)).unwrap()
    }

    pub(crate) fn take(&mut self, entry: &Verified) -> Taken {
        let taken = if entry.is_genesis() { self.take_genesis(entry) } else { self.take_op(entry) };
        if matches!(taken, Taken::Applied) {
            self.entries.push(entry.clone());
            self.follow_below(GroupId::from(entry.log()));
        }
        taken
    }

    fn take_genesis(&mut self, entry: &Verified) -> Taken {
        let begun = match Governance::parent_named(entry) {
            None => Governance::genesis(entry),
            Some(parent) => match self.groups.get(&parent) {
                Some(parent) => Governance::genesis_below(entry, parent),
                None => return Taken::Waits,
            },
        };
        match begun {
            Ok(begun) => {
                self.groups.insert(begun.group(), Arc::new(begun));
                Taken::Applied
            }
            Err(Refusal::Rejected(Rejected::AncestorUnknown(_))) => Taken::Waits,
            Err(Refusal::Rejected(why)) => Taken::Refused(why),
            Err(why) => panic!("{why}"),
        }
    }

    fn take_op(&mut self, entry: &Verified) -> Taken {
        let Some(governance) = self.groups.get_mut(&GroupId::from(entry.log())) else { return Taken::Waits };
        let has_parents = entry.header().parents.iter().all(|parent| governance.holds(parent));
        if !has_parents || !governance.missing(&Op::decode(entry).unwrap()).is_empty() {
            return Taken::Waits;
        }
        match Arc::make_mut(governance).apply(entry) {
            Ok(_) => Taken::Applied,
            Err(why) => Taken::Refused(why),
        }
    }

    fn follow_below(&mut self, group: GroupId) {
        let parent = Arc::clone(&self.groups[&group]);
        let is_child = |child: &Arc<Governance>| child.parent().is_some_and(|above| above.group() == group);
        let children: Vec<GroupId> =
            self.groups.values().filter(|child| is_child(child)).map(|child| child.group()).collect();
        for child in children {
            Arc::make_mut(self.groups.get_mut(&child).unwrap()).follow(&parent).unwrap();
            self.follow_below(child);
        }
    }

    /// Takes entries over and over until no more can be taken.
    pub(crate) fn take_all(&mut self, entries: &[Verified]) {
        let mut open: Vec<&Verified> = entries.iter().collect();
        loop {
            let before = open.len();
            open.retain(|entry| matches!(self.take(entry), Taken::Waits));
            if open.is_empty() || open.len() == before {
                assert!(open.is_empty(), "{} entries wait for ever", open.len());
                return;
            }
        }
    }

    pub(crate) fn state(&self, group: GroupId) -> &GroupState {
        self.groups[&group].state()
    }

    /// Registers a context as `who`, and joins it with identity `who + 100`.
    pub(crate) fn context(&mut self, who: u8, group: GroupId, mut more: Vec<Action>) -> ContextId {
        let mut actions = vec![register(7)];
        actions.append(&mut more);
        actions.push(join(mesto_governance::action::ContextRef::Here(0), &[7; 32], group, who));
        ContextId::of_action(self.act(who, group, actions), 0)
    }

    pub(crate) fn join(&mut self, who: u8, group: GroupId, context: ContextId) -> EntryId {
        let context = mesto_governance::action::ContextRef::Id(context);
        self.act(who, group, vec![join(context, &[7; 32], group, who)])
    }
}
