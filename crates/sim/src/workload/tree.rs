//! Groups below groups: begun, filled, opened to some alone, and ended; and what is decided above them.

use mesto_governance::{Capabilities, GroupId};
use mesto_node::command::{Command, ContextInfo, GroupAct, GroupInfo, MemberInfo, Policy, Reply, Selector};

use super::politics::named;
use super::{What, Workload};
use crate::random::Random;
use crate::world::World;

/// How often it is about subgroups when a host does something, in thousandths.
const OFTEN: u64 = 140;
/// The same where people live in subgroups.
const OFTEN_DEEP: u64 = 300;
/// How often a call is one in a subgroup, where people live there, in thousandths.
const CALLS_BELOW: u64 = 850;
/// Subgroups of one run.
const CHILDREN_MAX: usize = 3;
/// Contexts of one run in subgroups, beside those that come about elsewhere.
const CONTEXTS_MAX: usize = 3;

/// The subgroups, as people know them.
#[derive(Debug)]
pub(super) struct Tree {
    random: Random,
    begun: usize,
    contexts: usize,
}

impl Tree {
    pub(super) const fn new(random: Random) -> Self {
        Self { random, begun: 0, contexts: 0 }
    }

    pub(super) fn comes_up(&mut self, is_deep: bool) -> bool {
        self.random.chance(if is_deep { OFTEN_DEEP } else { OFTEN })
    }

    /// Whether all are invited into a subgroup that was just begun, also those who are in nothing above it.
    pub(super) fn invites_all(&mut self) -> bool {
        self.random.chance(400)
    }
}

impl Workload {
    /// A host's people do something about subgroups.
    pub(super) fn tend_tree(&mut self, world: &mut World, host: usize, ours: &[GroupInfo]) {
        let children: Vec<GroupInfo> = ours.iter().filter(|info| info.parent.is_some()).cloned().collect();
        match self.tree.random.below(100) {
            0..=34 if self.tree.begun < CHILDREN_MAX => self.begin_child(world, host, ours),
            0..=54 if self.tree.contexts < CONTEXTS_MAX && !children.is_empty() => {
                self.tree.contexts += 1;
                self.context_in(world, host, &children);
            }
            0..=64 => self.invite(world, host, &children),
            65..=84 if world.profile.politics => self.seat(world, host, &children),
            85..=96 if world.profile.politics => self.remove_above(world, host, &children),
            97..=99 if world.profile.politics => {
                let Some(child) = self.tree.random.pick(&children) else { return };
                let group = Selector(child.group.to_string());
                self.ask(world, host, Command::GroupAct { group, act: GroupAct::Delete }, What::Act);
            }
            _ => {}
        }
    }

    /// Of some contexts those that a call may be about: where people live in subgroups, mostly those there.
    pub(super) fn callable(&mut self, world: &mut World, host: usize, contexts: Vec<ContextInfo>) -> Vec<ContextInfo> {
        if !world.profile.deep || !self.tree.random.chance(CALLS_BELOW) {
            return contexts;
        }
        let Some(Reply::Groups(infos)) = world.look(host, Command::GroupList) else { return contexts };
        let is_below = |context: &&ContextInfo| {
            infos.iter().any(|info| info.group == context.group && info.parent.is_some() && info.role.is_some())
        };
        let below: Vec<ContextInfo> = contexts.iter().filter(is_below).cloned().collect();
        if below.is_empty() { contexts } else { below }
    }

    /// Begins a group below one of ours, or below one that is below it.
    fn begin_child(&mut self, world: &mut World, host: usize, ours: &[GroupInfo]) {
        let Some(parent) = self.tree.random.pick(ours) else { return };
        self.tree.begun += 1;
        let application = world.hosts[host].blobs.keys().next().map(|bundle| Selector(bundle.to_string()));
        let name = Some(format!("subgroup {}", self.tree.begun));
        let parent = Some(Selector(parent.group.to_string()));
        let command = Command::GroupCreate { name, application, parent, policy: Policy::Automatic };
        self.ask(world, host, command, What::Child);
    }

    pub(super) fn child_refused(&mut self) {
        self.tree.begun = self.tree.begun.saturating_sub(1);
    }

    /// Gives somebody who is a member by an ancestor a row of their own.
    fn seat(&mut self, world: &mut World, host: usize, children: &[GroupInfo]) {
        let Some((child, rows)) = self.rows_of(world, host, children) else { return };
        let Some(row) = self.tree.random.pick(&rows).cloned() else { return };
        let role = self.politics.role();
        let act = if row.inherited && self.tree.random.chance(700) {
            GroupAct::AddMember { who: row.member.to_string(), role, capabilities: Some(Capabilities::ALL) }
        } else {
            GroupAct::SetRole(named(&row.member), role)
        };
        self.ask(world, host, Command::GroupAct { group: Selector(child.to_string()), act }, What::Act);
    }

    /// Removes somebody from the group above, whose membership below rests on that or does not.
    fn remove_above(&mut self, world: &mut World, host: usize, children: &[GroupInfo]) {
        let Some((child, rows)) = self.rows_of(world, host, children) else { return };
        let Some(info) = children.iter().find(|info| info.group == child) else { return };
        let Some(parent) = info.parent else { return };
        let others: Vec<&MemberInfo> = rows.iter().filter(|row| row.member != info.member).collect();
        let Some(member) = self.tree.random.pick(&others).map(|row| row.member) else { return };
        self.politics.will_be_former(parent, member);
        let act = GroupAct::RemoveMember(named(&member));
        self.ask(world, host, Command::GroupAct { group: Selector(parent.to_string()), act }, What::Act);
    }

    fn rows_of(
        &mut self,
        world: &mut World,
        host: usize,
        children: &[GroupInfo],
    ) -> Option<(GroupId, Vec<MemberInfo>)> {
        let child = self.tree.random.pick(children)?.group;
        match world.look(host, Command::MemberList(Selector(child.to_string()))) {
            Some(Reply::Members(rows)) => Some((child, rows)),
            _ => None,
        }
    }
}
