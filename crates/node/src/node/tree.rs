//! The tree of groups: which groups a node follows beside those that it was let into, and what they tell each other.
//!
//! Whoever is a member of a group is a member of its subgroups, and follows all of them. A subgroup cannot be folded
//! without its ancestors: whoever is a member of it alone follows their governance, and nothing else of them. In all
//! groups of a tree a node has one member key, as a rule: who was let in by a card in one and by a ticket in another can
//! have two.
//!
//! How many subgroups are followed because they are there has a bound, and so has what one member can take of it. Those
//! beyond it are followed as soon as there is room; those to which we were let in by a row of their own, or that we begin
//! or join ourselves, always are.

use std::collections::{BTreeMap, BTreeSet};

use mesto_governance::fold::SUBGROUP_DEPTH_MAX;
use mesto_governance::{Governance, GroupId};
use mesto_oplog::dag::DagRead as _;
use mesto_oplog::entry::Kind;
use mesto_oplog::{Incarnation, PublicKey};
use mesto_sync::Peer;
use mesto_sync::handshake::TAGS_MAX;

use super::cards::CLAIMED_MAX;
use super::{LogOwner, Node, Turn};
use crate::flow::Flow;
use crate::group::{Above, Group, News};
use crate::layout::{self, LogNumber};
use crate::log::Log;
use crate::record::GroupRecord;
use crate::step::{Effect, Report};
use crate::store::Keyspace;
use crate::view::View;

/// Subgroups that are followed below one root because they are there. Half of the groups that a hello can name, so that
/// there is room for other trees.
const SUBGROUPS_FOLLOWED_MAX: usize = TAGS_MAX / 2;
/// Of these so many that one member named: a quarter, so that no single member keeps the subgroups of others from being
/// followed.
const SUBGROUPS_OF_ONE_MAX: usize = SUBGROUPS_FOLLOWED_MAX / 4;

impl Node {
    /// Opens the groups of the store, each after its parent.
    pub(super) fn open_groups(&mut self, view: &View, records: Vec<([u8; 32], GroupRecord)>) -> Result<(), String> {
        let mut waiting: BTreeMap<GroupId, (GroupRecord, LogNumber, Option<GroupId>)> = BTreeMap::new();
        for (id, record) in records {
            let id = GroupId::from_bytes(id);
            let number = self.number_of(&id.log());
            waiting.insert(id, (record, number, parent_in_store(view, &id, number)));
        }
        while !waiting.is_empty() {
            let is_next = |parent: &Option<GroupId>| parent.is_none_or(|parent| self.groups.contains_key(&parent));
            let next = waiting.iter().find(|(_, (_, _, parent))| is_next(parent)).map(|(id, _)| *id);
            let Some((id, (record, number, parent))) = next.and_then(|id| waiting.remove_entry(&id)) else {
                let stuck: Vec<String> = waiting.keys().map(ToString::to_string).collect();
                return Err(format!("the parents of these groups are not in the store: {}", stuck.join(", ")));
            };
            let above = parent.and_then(|parent| self.groups.get(&parent)).and_then(Group::tell_below);
            self.adopt_group(Group::open(view, id, number, record, above)?);
        }
        Ok(())
    }

    /// A group and its ancestors, as far as they are known; nearest first.
    pub(crate) fn lineage(&self, id: &GroupId) -> Vec<GroupId> {
        let up = |id: &GroupId| self.groups.get(id).and_then(|group| group.parent);
        std::iter::successors(Some(*id), up).take(SUBGROUP_DEPTH_MAX + 1).collect()
    }

    /// A group and what is below it, parents before their children.
    pub(crate) fn subtree(&self, id: &GroupId) -> Vec<GroupId> {
        let mut tree = vec![*id];
        let mut at = 0;
        while let Some(of) = tree.get(at).copied() {
            tree.extend(self.groups.values().filter(|group| group.parent == Some(of)).map(|group| group.id));
            at += 1;
        }
        tree
    }

    /// Whether a peer proved to be a member of a group below this one.
    pub(crate) fn is_member_below(&self, peer: &Peer, id: &GroupId) -> bool {
        let Some(session) = self.sessions.get(peer) else { return false };
        session
            .claims
            .keys()
            .any(|below| below != id && self.is_member_peer(peer, below) && self.lineage(below).contains(id))
    }

    /// Tells the subgroups how their parent stands, and begins to follow those that are new.
    pub(super) fn carry_down(&mut self, turn: &mut Turn<'_>, id: GroupId, news: &News) {
        self.follow_children(turn, id);
        let children: Vec<GroupId> =
            self.groups.values().filter(|group| group.parent == Some(id)).map(|group| group.id).collect();
        if children.is_empty() {
            return;
        }
        let Some(above) = self.groups.get(&id).and_then(Group::tell_below) else { return };
        let arrived: Vec<_> = news.ops.iter().chain(&news.ops_above).copied().collect();
        for child in children {
            self.with_group(turn, &child, |group, work| group.follow(work, above.clone(), &arrived));
        }
    }

    /// A member of a group is one of its subgroups too. Also looked at when the node starts: a crash can have come between
    /// the op that names a subgroup and the record of it.
    pub(super) fn follow_children(&mut self, turn: &mut Turn<'_>, id: GroupId) {
        let Some(group) = self.groups.get(&id).filter(|group| group.we_are_member()) else { return };
        let (record, above) = (group.record.clone(), group.tell_below());
        let children = group.state().into_iter().flat_map(|state| state.subgroups());
        let (known, new): (Vec<GroupId>, Vec<GroupId>) = children.partition(|child| self.groups.contains_key(child));
        for child in known {
            // We had asked to be let in, by keys of its own, before we could know whose child it is.
            let is_other = |of: &Group| of.governance.is_none() && of.record.member_seed != record.member_seed;
            if self.groups.get(&child).is_some_and(is_other) {
                self.adopt(turn, child, &record);
            }
        }
        let left = self.follow_new(turn, id, new, above.as_ref());
        let before = if left == 0 { self.unfollowed.remove(&id) } else { self.unfollowed.insert(id, left) };
        let more = left.saturating_sub(before.unwrap_or_default());
        if more > 0 {
            turn.report(Report::Shed { bound: "subgroups that are followed", count: more });
        }
    }

    /// Follows subgroups of a group as far as there is room for them. Gives how many are left.
    fn follow_new(&mut self, turn: &mut Turn<'_>, id: GroupId, new: Vec<GroupId>, above: Option<&Above>) -> u64 {
        if new.is_empty() {
            return 0;
        }
        let (mut room, mut by_founder) = self.room_below(turn, &id);
        let mut left = 0;
        for child in new {
            let founder = (room > 0).then(|| self.founder_of(turn, &id, &child)).flatten();
            let of_founder = founder.map(|founder| by_founder.entry(founder).or_default());
            if room == 0 || of_founder.as_ref().is_some_and(|count| **count >= SUBGROUPS_OF_ONE_MAX) {
                left += 1;
                continue;
            }
            if self.follow_group(turn, child, id) {
                room -= 1;
                of_founder.into_iter().for_each(|count| *count += 1);
                if let Some(group) = self.groups.get_mut(&child) {
                    group.parent = Some(id);
                    group.above = above.cloned();
                }
                turn.report(Flow::here("f15", "subgroup followed", child));
            }
        }
        left
    }

    /// How many more subgroups may be followed in the tree of a group, and how many are of each founder.
    fn room_below(&mut self, turn: &Turn<'_>, id: &GroupId) -> (usize, BTreeMap<PublicKey, usize>) {
        let root = self.lineage(id).last().copied().unwrap_or(*id);
        let mut tree = self.subtree(&root);
        tree.retain(|id| self.groups.get(id).is_some_and(|group| group.parent.is_some() && !group.is_over()));
        let mut by_founder = BTreeMap::new();
        for child in &tree {
            let parent = self.groups.get(child).and_then(|group| group.parent);
            if let Some(founder) = parent.and_then(|parent| self.founder_of(turn, &parent, child)) {
                *by_founder.entry(founder).or_default() += 1;
            }
        }
        (SUBGROUPS_FOLLOWED_MAX.saturating_sub(tree.len()), by_founder)
    }

    /// The member that named a subgroup in its parent.
    fn founder_of(&mut self, turn: &Turn<'_>, parent: &GroupId, child: &GroupId) -> Option<PublicKey> {
        if let Some(founder) = self.founders.get(child) {
            return Some(*founder);
        }
        let parent = self.groups.get(parent)?;
        let op = parent.state()?.subgroup_op(child)?;
        let view = parent.flight.view(turn.snapshot);
        let founder = parent.log.read(&view).entry(&op)?.header().author;
        self.founders.insert(*child, founder);
        Some(founder)
    }

    /// A group of a tree has ended: there may be room for those that were left out.
    pub(super) fn follow_more(&mut self, turn: &mut Turn<'_>, id: &GroupId) {
        let root = self.lineage(id).last().copied().unwrap_or(*id);
        for group in self.subtree(&root) {
            if self.unfollowed.contains_key(&group) {
                self.follow_children(turn, group);
            }
        }
    }

    /// A member says that we have a row of our own in a subgroup that we do not follow.
    pub(super) fn follow_own_row(&mut self, turn: &mut Turn<'_>, peer: Peer, id: GroupId, member: PublicKey) {
        let is_ours = |group: &&Group| group.member.public() == member && group.we_are_member();
        let of = self.groups.values().filter(is_ours).find(|group| self.is_member_peer(&peer, &group.id));
        let Some(of) = of.map(|group| group.id) else { return };
        let unknown = self.groups.values().filter(|group| group.governance.is_none()).count();
        if unknown >= CLAIMED_MAX {
            return turn.report(Report::Shed { bound: "groups that claim to have added us", count: 1 });
        }
        if self.follow_group(turn, id, of) {
            turn.report(Flow::from("f15", "told of an own row", peer, id));
        }
    }

    /// The genesis of a group has shown whose child it is: without the parent it cannot be folded.
    pub(super) fn follow_parent(&mut self, turn: &mut Turn<'_>, id: GroupId) {
        let Some(parent) = self.groups.get(&id).and_then(|group| group.parent) else { return };
        if self.groups.contains_key(&parent) {
            let above = self.groups.get(&parent).and_then(Group::tell_below);
            if let Some(above) = above {
                let known: Vec<_> =
                    self.needs_of_group(&id).into_iter().filter(|op| above.governance.knows(op)).collect();
                self.with_group(turn, &id, |group, work| group.follow(work, above, &known));
            }
            return;
        }
        if self.lineage(&id).len() > SUBGROUP_DEPTH_MAX {
            return turn.report(Report::Shed { bound: "ancestors of a group", count: 1 });
        }
        if self.follow_group(turn, parent, id) {
            turn.report(Flow::here("f15", "parent followed", parent));
        }
    }

    /// Begins to follow a group, with the member key that we have in `of`.
    fn follow_group(&mut self, turn: &mut Turn<'_>, id: GroupId, of: GroupId) -> bool {
        let Some(of) = self.groups.get(&of).filter(|_| !self.logs.contains_key(&id.log())) else { return false };
        let incarnation = Incarnation(turn.entropy.number());
        let record = GroupRecord { incarnation, ..of.record.clone() };
        let number = self.number_of(&id.log());
        self.adopt_group(Group::new(id, number, record));
        self.with_group(turn, &id, |group, work| group.save_record(work));
        turn.effect(Effect::Subscribe(self.topic(&id.log())));
        self.schedule_heartbeat(turn, id.log(), true);
        self.hello_again(turn, id);
        true
    }

    /// A subgroup of ours that a crash cut off before its parent named it never was: nobody was told of it.
    pub(super) fn forget_unnamed(&mut self, turn: &mut Turn<'_>) {
        let is_unnamed = |group: &&Group| {
            let parent = group.parent.and_then(|parent| self.groups.get(&parent));
            let parent = parent.and_then(|parent| parent.governance.as_ref());
            let is_founded_here = group.state().and_then(|state| state.owner()) == Some(group.member.public());
            let is_alone = group.log.dag.count() == 1 && is_founded_here;
            // An op that is dead now may be live again.
            is_alone && parent.is_some_and(|parent| !parent.has_named(&group.id))
        };
        for id in self.groups.values().filter(is_unnamed).map(|group| group.id).collect::<Vec<_>>() {
            self.groups.remove(&id);
            self.logs.remove(&id.log());
            self.with_own(turn, |work| work.remove(Keyspace::Meta, layout::group(&id)));
        }
    }

    /// Somebody lost the right to read above this group: locks them out of what comes.
    pub(super) fn renew_keys(&mut self, turn: &mut Turn<'_>, id: GroupId) {
        self.with_group(turn, &id, |group, work| {
            if group.we_are_member() {
                // Who may not start an epoch, because it only reads, leaves it to who writes next.
                let _ = group.renew_keys(work);
            }
        });
    }

    /// Ops that entries of a group's log wait for, of its ancestors' logs.
    fn needs_of_group(&self, id: &GroupId) -> BTreeSet<mesto_oplog::EntryId> {
        let needs = self.groups.get(id).map(|group| group.log.needs()).unwrap_or_default();
        needs.into_iter().filter_map(|need| if let crate::log::Need::Op(op) = need { Some(op) } else { None }).collect()
    }

    /// Whether anything waits for ops of a group's log: deltas, or ops of groups below.
    pub(super) fn is_op_wanted(&self, id: &GroupId) -> bool {
        let tree = self.subtree(id);
        let in_contexts = self.contexts.values().filter(|context| tree.contains(&context.group));
        let in_contexts = in_contexts.flat_map(|context| context.log.needs());
        let below = tree.iter().skip(1).filter_map(|group| self.groups.get(group)).flat_map(|group| group.log.needs());
        in_contexts.chain(below).any(|need| matches!(need, crate::log::Need::Op(_)))
    }

    /// Logs in which an op may be that an entry of `log` waits for.
    pub(super) fn logs_of_ops(&self, log: &mesto_oplog::LogId) -> Vec<mesto_oplog::LogId> {
        let own = match self.logs.get(log) {
            // An op of the group's own log would be a parent.
            Some(LogOwner::Group(id)) => return self.lineage(id).iter().skip(1).map(|id| id.log()).collect(),
            Some(LogOwner::Context(_)) => self.group_of(log),
            None => None,
        };
        own.map(|id| self.lineage(&id).iter().map(|id| id.log()).collect()).unwrap_or_default()
    }
}

/// The parent of a group by its genesis, if that is in the store.
fn parent_in_store(view: &View, id: &GroupId, number: LogNumber) -> Option<GroupId> {
    let log = Log::open(view, id.log(), number, Kind::Governance).ok()?;
    let read = log.read(view);
    let genesis = read.by_arrival(0, 1).first().and_then(|id| read.entry(id))?;
    Governance::parent_named(&genesis)
}
