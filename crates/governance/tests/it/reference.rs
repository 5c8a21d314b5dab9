//! The level fold, once more: word for word from the rules, on plain sets, without any cleverness. It shares no
//! code with the crate.

use std::collections::{BTreeMap, BTreeSet};

pub(crate) type Id = u32;
pub(crate) type Who = u8;

/// Levels as numbers: owner 5, admin 4, manager 3, member 2, readonly 1, none 0.
pub(crate) type Level = u8;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Act {
    Genesis,
    Set(Who, Level),
    Remove(Who),
    Leave,
    Name,
}

#[derive(Clone, Debug)]
pub(crate) struct Op {
    pub(crate) id: Id,
    pub(crate) author: Who,
    pub(crate) parents: BTreeSet<Id>,
    pub(crate) act: Act,
}

/// Class (0 is the strongest), depth, height, id.
type Rank = (u8, u32, u64, Id);

#[derive(Default)]
pub(crate) struct Reference {
    ops: BTreeMap<Id, Op>,
    ranks: BTreeMap<Id, Rank>,
}

impl Reference {
    /// Admits or rejects; parents must have been decided before.
    pub(crate) fn offer(&mut self, op: &Op) -> bool {
        if op.act == Act::Genesis {
            if !self.ops.is_empty() || !op.parents.is_empty() {
                return false;
            }
            self.ranks.insert(op.id, (0, 0, 0, op.id));
            self.ops.insert(op.id, op.clone());
            return true;
        }
        if op.parents.is_empty() || op.parents.iter().any(|parent| !self.ops.contains_key(parent)) {
            return false;
        }
        let past: BTreeSet<Id> =
            op.parents.iter().flat_map(|&parent| self.past(parent).into_iter().chain([parent])).collect();
        let (_, members) = self.resolve(&past);
        let level = |who: Who| members.get(&who).map_or(0, |(level, _)| *level);
        let outranks = |target: Who| members[&op.author].1 < members[&target].1;
        let fits = level(op.author) >= need(op.act)
            && match op.act {
                Act::Genesis => false,
                Act::Set(target, to) => {
                    (1..5).contains(&to) && to != level(target) && (level(target) == 0 || outranks(target))
                }
                Act::Remove(target) => level(target) > 0 && outranks(target),
                Act::Leave => level(op.author) > 0 && level(op.author) < 5,
                Act::Name => true,
            };
        if fits {
            self.ranks.insert(op.id, members[&op.author].1);
            self.ops.insert(op.id, op.clone());
        }
        fits
    }

    /// Dead ops, and members with their levels.
    pub(crate) fn outcome(&self) -> (BTreeSet<Id>, BTreeMap<Who, Level>) {
        let all = self.ops.keys().copied().collect();
        let (dead, members) = self.resolve(&all);
        (dead, members.into_iter().map(|(who, (level, _))| (who, level)).collect())
    }

    fn past(&self, id: Id) -> BTreeSet<Id> {
        let mut past = BTreeSet::new();
        let mut open: Vec<Id> = self.ops[&id].parents.iter().copied().collect();
        while let Some(next) = open.pop() {
            if past.insert(next) {
                open.extend(&self.ops[&next].parents);
            }
        }
        past
    }

    fn height(&self, id: Id) -> u64 {
        self.ops[&id].parents.iter().map(|&parent| self.height(parent) + 1).max().unwrap_or(0)
    }

    /// What an op gives `who`, if it sets or ends that membership.
    fn gives(&self, id: Id, who: Who) -> Option<Level> {
        let op = &self.ops[&id];
        match op.act {
            Act::Genesis if op.author == who => Some(5),
            Act::Set(target, level) if target == who => Some(level),
            Act::Remove(target) if target == who => Some(0),
            Act::Leave if op.author == who => Some(0),
            Act::Genesis | Act::Set(..) | Act::Remove(_) | Act::Leave | Act::Name => None,
        }
    }

    /// The slot fold.
    fn state(&self, live: &BTreeSet<Id>) -> BTreeMap<Who, (Level, Rank)> {
        let mut members = BTreeMap::new();
        let named = |op: &Op| match op.act {
            Act::Set(target, _) | Act::Remove(target) => target,
            Act::Genesis | Act::Leave | Act::Name => op.author,
        };
        let people: BTreeSet<Who> = live.iter().map(|id| named(&self.ops[id])).collect();
        for who in people {
            let slot: BTreeSet<Id> = live.iter().copied().filter(|&id| self.gives(id, who).is_some()).collect();
            let maximal: Vec<Id> =
                slot.iter().copied().filter(|&a| !slot.iter().any(|&b| self.past(b).contains(&a))).collect();
            let Some(level) = maximal.iter().filter_map(|&id| self.gives(id, who)).min() else { continue };
            if level == 0 {
                continue;
            }
            let grant = maximal
                .into_iter()
                .filter(|&id| self.gives(id, who) == Some(level))
                .max_by_key(|&id| (self.ranks[&id], id))
                .unwrap();
            let depth = if self.ops[&grant].act == Act::Genesis { 0 } else { self.ranks[&grant].1 + 1 };
            members.insert(who, (level, (5 - level, depth, self.height(grant), grant)));
        }
        members
    }

    fn is_supported(&self, id: Id, live: &BTreeSet<Id>) -> bool {
        let op = &self.ops[&id];
        op.act == Act::Genesis || self.state(live).get(&op.author).map_or(0, |(level, _)| *level) >= need(op.act)
    }

    fn dead_in(&self, set: &BTreeSet<Id>, void: &BTreeMap<Id, Id>) -> BTreeSet<Id> {
        let mut order: Vec<Id> = set.iter().copied().collect();
        order.sort_by_key(|&id| (self.height(id), id));
        let mut dead = BTreeSet::new();
        for id in order {
            let live = self.past(id).difference(&dead).copied().collect();
            if void.contains_key(&id) || !self.is_supported(id, &live) {
                dead.insert(id);
            }
        }
        dead
    }

    fn revocation(&self, id: Id) -> Option<(Who, Level)> {
        match self.ops[&id].act {
            Act::Set(target, level) => Some((target, level)),
            Act::Remove(target) => Some((target, 0)),
            Act::Genesis | Act::Leave | Act::Name => None,
        }
    }

    fn void_pass(&self, set: &BTreeSet<Id>, excluded: &BTreeSet<Id>) -> BTreeMap<Id, Id> {
        let mut void = BTreeMap::new();
        let mut revocations: Vec<Id> = set.iter().copied().filter(|&id| self.revocation(id).is_some()).collect();
        revocations.sort_by_key(|&id| (self.ranks[&id], self.height(id), id));
        for revocation in revocations {
            let (target, left) = self.revocation(revocation).unwrap();
            let mut own = self.past(revocation);
            own.insert(revocation);
            if void.contains_key(&revocation)
                || excluded.contains(&revocation)
                || self.dead_in(&own, &void).contains(&revocation)
            {
                continue;
            }
            for &id in set {
                let op = &self.ops[&id];
                let concurrent = id != revocation && !own.contains(&id) && !self.past(id).contains(&revocation);
                if op.author == target && concurrent && op.act != Act::Leave && need(op.act) > left {
                    void.entry(id).or_insert(revocation);
                }
            }
        }
        void
    }

    fn resolve(&self, set: &BTreeSet<Id>) -> (BTreeSet<Id>, BTreeMap<Who, (Level, Rank)>) {
        let mut excluded = BTreeSet::new();
        loop {
            let void = self.void_pass(set, &excluded);
            let dead = self.dead_in(set, &void);
            let dead_cause = void
                .values()
                .copied()
                .filter(|cause| dead.contains(cause))
                .min_by_key(|&cause| (self.ranks[&cause], self.height(cause), cause));
            match dead_cause {
                Some(cause) => {
                    excluded.insert(cause);
                }
                None => {
                    let live = set.difference(&dead).copied().collect();
                    return (dead, self.state(&live));
                }
            }
        }
    }
}

fn need(act: Act) -> Level {
    match act {
        Act::Genesis => 0,
        Act::Set(_, level) if level >= 3 => 4,
        Act::Set(..) | Act::Remove(_) => 3,
        Act::Name => 4,
        Act::Leave => 1,
    }
}
