//! The fold of levels over a tree of groups, once more: word for word from the prose, on plain sets. It shares no code
//! with the crate, and none of its ways: everything is searched for anew each time.

use std::collections::{BTreeMap, BTreeSet};

use mesto_oplog::EntryId as Id;

pub(crate) type Who = u8;
pub(crate) type Group = usize;
/// Owner 5, admin 4, manager 3, member 2, readonly 1, none 0.
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
    pub(crate) group: Group,
    pub(crate) author: Who,
    pub(crate) parents: BTreeSet<Id>,
    /// Ops of ancestors' logs.
    pub(crate) named: BTreeSet<Id>,
    pub(crate) act: Act,
    /// Heads of descendants' logs that a revocation names.
    pub(crate) seen: BTreeMap<Group, BTreeSet<Id>>,
}

/// Class (0 is the strongest), generation, depth, height, id.
type Rank = (u8, usize, u32, u64, Id);

#[derive(Clone, Debug, Default)]
pub(crate) struct Resolved {
    pub(crate) dead: BTreeSet<Id>,
    /// By rows of the group itself.
    rows: BTreeMap<Who, (Level, Rank)>,
}

pub(crate) struct Tree {
    /// By group: its parent.
    pub(crate) parents: Vec<Option<Group>>,
    pub(crate) ops: BTreeMap<Id, Op>,
    ranks: BTreeMap<Id, Rank>,
}

fn need(act: Act) -> (Level, bool) {
    match act {
        Act::Genesis => (0, false),
        Act::Set(_, 4..) => (4, true),
        Act::Set(_, 3) | Act::Name => (4, false),
        Act::Set(..) | Act::Remove(_) => (3, false),
        Act::Leave => (1, false),
    }
}

/// What comes along of an ancestor's row.
fn below(level: Level) -> Level {
    match level {
        4.. => 4,
        3 => 2,
        other => other,
    }
}

impl Tree {
    pub(crate) fn new(parents: Vec<Option<Group>>) -> Self {
        Self { parents, ops: BTreeMap::new(), ranks: BTreeMap::new() }
    }

    fn above(&self, group: Group) -> Vec<Group> {
        std::iter::successors(self.parents[group], |&group| self.parents[group]).collect()
    }

    /// All that is in the past of these ops, they included, in all logs.
    fn closure(&self, of: impl IntoIterator<Item = Id>) -> BTreeSet<Id> {
        let mut found = BTreeSet::new();
        let mut open: Vec<Id> = of.into_iter().collect();
        while let Some(id) = open.pop() {
            if found.insert(id) {
                open.extend(&self.ops[&id].parents);
                open.extend(&self.ops[&id].named);
            }
        }
        found
    }

    fn past(&self, id: Id) -> BTreeSet<Id> {
        let op = &self.ops[&id];
        self.closure(op.parents.iter().chain(&op.named).copied())
    }

    fn height(&self, id: Id) -> u64 {
        self.ops[&id].parents.iter().map(|&parent| self.height(parent) + 1).max().unwrap_or(0)
    }

    fn of(&self, group: Group, set: &BTreeSet<Id>) -> BTreeSet<Id> {
        set.iter().copied().filter(|id| self.ops[id].group == group).collect()
    }

    /// Admits or rejects; whatever it names must have been admitted.
    pub(crate) fn offer(&mut self, op: &Op) -> bool {
        if op.act == Act::Genesis {
            self.ranks.insert(op.id, (0, self.above(op.group).len(), 0, 0, op.id));
            self.ops.insert(op.id, op.clone());
            return true;
        }
        let past = self.closure(op.parents.iter().chain(&op.named).copied());
        let state = self.resolve(op.group, &past);
        let (level, direct, rank) = self.standing(op.group, &past, op.author);
        let (needed, is_direct) = need(op.act);
        let Some(rank) = rank.filter(|_| level >= needed && (direct || !is_direct)) else { return false };
        let row = |who: Who| state.rows.get(&who).map_or(0, |(level, _)| *level);
        let outranks = |who: Who| self.standing(op.group, &past, who).2.is_some_and(|other| rank < other);
        let fits = match op.act {
            Act::Genesis => false,
            Act::Set(who, to) => {
                let now = self.standing(op.group, &past, who).0;
                to < 5 && to > 0 && to != row(who) && (now == 0 || outranks(who))
            }
            Act::Remove(who) => row(who) > 0 && outranks(who),
            Act::Leave => row(op.author) > 0 && row(op.author) < 5,
            Act::Name => true,
        };
        if fits {
            self.ranks.insert(op.id, rank);
            self.ops.insert(op.id, op.clone());
        }
        fits
    }

    /// Level, whether by a row of the group itself, and rank, in the fold of a set that is closed over all logs.
    pub(crate) fn standing(&self, group: Group, set: &BTreeSet<Id>, who: Who) -> (Level, bool, Option<Rank>) {
        if let Some((level, rank)) = self.resolve(group, set).rows.get(&who) {
            return (*level, true, Some(*rank));
        }
        for ancestor in self.above(group) {
            if let Some((level, rank)) = self.resolve(ancestor, set).rows.get(&who) {
                let steps = self.above(group).iter().position(|&other| other == ancestor).unwrap() as u32;
                // An ancestor's owner before its admins; one step more for each group in between.
                let depth = if *level == 5 { steps } else { rank.2 + steps + 1 };
                let inherited = below(*level);
                return (inherited, false, Some((5 - inherited, rank.1, depth, rank.3, rank.4)));
            }
        }
        (0, false, None)
    }

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

    /// The row of somebody by live ops of one log: level 0 if there is none.
    fn row(&self, live: &BTreeSet<Id>, who: Who) -> (Level, Option<Rank>) {
        let slot: BTreeSet<Id> = live.iter().copied().filter(|&id| self.gives(id, who).is_some()).collect();
        let maximal: Vec<Id> =
            slot.iter().copied().filter(|&a| !slot.iter().any(|&b| self.past(b).contains(&a))).collect();
        let level = maximal.iter().filter_map(|&id| self.gives(id, who)).min().unwrap_or(0);
        let granting = maximal.into_iter().filter(|&id| self.gives(id, who) == Some(level));
        let Some(grant) = granting.max_by_key(|&id| (self.ranks[&id], id)).filter(|_| level > 0) else {
            return (0, None);
        };
        let depth = if self.ops[&grant].act == Act::Genesis { 0 } else { self.ranks[&grant].2 + 1 };
        let generation = self.above(self.ops[&grant].group).len();
        (level, Some((5 - level, generation, depth, self.height(grant), grant)))
    }

    /// Whether somebody has from above what `x` needs, in the fold of `set`.
    fn inherits(&self, x: Id, who: Who, needed: Level, set: &BTreeSet<Id>) -> bool {
        let group = self.ops[&x].group;
        let vantage = self.past(x);
        for ancestor in self.above(group) {
            let all = self.of(ancestor, set);
            let dead = self.resolve(ancestor, set).dead;
            let live: BTreeSet<Id> = all.difference(&dead).copied().collect();
            let seen: BTreeSet<Id> = live.intersection(&vantage).copied().collect();
            let (row, _) = self.row(&seen, who);
            let had_seen = |id: &Id| {
                let past = self.past(*id);
                let earlier = live.iter().filter(|other| past.contains(other) && self.gives(**other, who).is_some());
                let mut heads = earlier.chain([id]).flat_map(|op| self.ops[op].seen.get(&group)).flatten();
                heads.any(|head| set.contains(head) && self.closure(vec![*head]).contains(&x))
            };
            let unseen = live.iter().filter(|id| !vantage.contains(id) && self.ops[id].act != Act::Leave);
            let left: Vec<Level> = unseen.filter(|id| !had_seen(id)).filter_map(|&id| self.gives(id, who)).collect();
            if left.iter().any(|&left| left > 0 && below(left) < needed) {
                return false;
            }
            if row > 0 && !left.contains(&0) {
                return below(row) >= needed;
            }
        }
        false
    }

    fn is_supported(&self, x: Id, dead: &BTreeSet<Id>, set: &BTreeSet<Id>) -> bool {
        let op = &self.ops[&x];
        let live: BTreeSet<Id> = self.of(op.group, &self.past(x)).difference(dead).copied().collect();
        let (needed, is_direct) = need(op.act);
        match self.row(&live, op.author).0 {
            _ if op.act == Act::Genesis => true,
            0 => !is_direct && self.inherits(x, op.author, needed, set),
            level => level >= needed,
        }
    }

    fn dead_in(&self, of: &BTreeSet<Id>, void: &BTreeMap<Id, Id>, set: &BTreeSet<Id>) -> BTreeSet<Id> {
        let mut order: Vec<Id> = of.iter().copied().collect();
        order.sort_by_key(|&id| (self.height(id), id));
        let mut dead = BTreeSet::new();
        for id in order {
            if void.contains_key(&id) || !self.is_supported(id, &dead, set) {
                dead.insert(id);
            }
        }
        dead
    }

    fn void_pass(&self, of: &BTreeSet<Id>, excluded: &BTreeSet<Id>, set: &BTreeSet<Id>) -> BTreeMap<Id, Id> {
        let revocation = |id: Id| match self.ops[&id].act {
            Act::Set(who, level) => Some((who, level)),
            Act::Remove(who) => Some((who, 0)),
            Act::Genesis | Act::Leave | Act::Name => None,
        };
        let mut void = BTreeMap::new();
        let mut revocations: Vec<Id> = of.iter().copied().filter(|&id| revocation(id).is_some()).collect();
        revocations.sort_by_key(|&id| (self.ranks[&id], self.height(id), id));
        for by in revocations {
            let (target, left) = revocation(by).unwrap();
            let own: BTreeSet<Id> = self.past(by).into_iter().chain([by]).collect();
            let own_log: BTreeSet<Id> = own.intersection(of).copied().collect();
            if void.contains_key(&by) || excluded.contains(&by) || self.dead_in(&own_log, &void, set).contains(&by) {
                continue;
            }
            for &id in of {
                let op = &self.ops[&id];
                let is_beside = !own.contains(&id) && !self.past(id).contains(&by);
                let (needed, is_direct) = need(op.act);
                let keeps = left >= needed || (left == 0 && !is_direct && self.inherits(id, target, needed, set));
                if op.author == target && is_beside && op.act != Act::Leave && op.act != Act::Genesis && !keeps {
                    void.entry(id).or_insert(by);
                }
            }
        }
        void
    }

    /// The fold of a group, of what `set` has of its log and of its ancestors'.
    pub(crate) fn resolve(&self, group: Group, set: &BTreeSet<Id>) -> Resolved {
        let of = self.of(group, set);
        let mut excluded = BTreeSet::new();
        loop {
            let void = self.void_pass(&of, &excluded, set);
            let dead = self.dead_in(&of, &void, set);
            let causes = void.values().copied().filter(|cause| dead.contains(cause));
            match causes.min_by_key(|&cause| (self.ranks[&cause], self.height(cause), cause)) {
                Some(cause) => {
                    excluded.insert(cause);
                }
                None => {
                    let live: BTreeSet<Id> = of.difference(&dead).copied().collect();
                    let rows = (0..16).filter_map(|who| match self.row(&live, who) {
                        (level, Some(rank)) => Some((who, (level, rank))),
                        (_, None) => None,
                    });
                    return Resolved { rows: rows.collect(), dead };
                }
            }
        }
    }
}
