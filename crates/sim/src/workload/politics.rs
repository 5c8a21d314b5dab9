//! What people decide about each other: who is in, as what, and who may see which context.

use mesto_governance::{Capabilities, Capability, GroupId, Role as MemberRole};
use mesto_node::command::{Command, ContextAct, GroupAct, GroupInfo, MemberInfo, Reply, Selector};
use mesto_oplog::PublicKey;

use super::{What, Workload, joined};
use crate::host::Role;
use crate::invariants::Acknowledged;
use crate::random::Random;
use crate::world::World;

/// How often a decision is due when a host does something, in thousandths.
const OFTEN: u64 = 160;
/// Cards that wait to be used.
const CARDS_MAX: usize = 3;
/// Former members that are remembered, to be brought back.
const FORMER_MAX: usize = 6;

/// What is going on between people.
#[derive(Debug)]
pub(super) struct Politics {
    random: Random,
    pub(super) cards: Vec<String>,
    former: Vec<(GroupId, PublicKey)>,
}

impl Politics {
    pub(super) const fn new(random: Random) -> Self {
        Self { random, cards: Vec::new(), former: Vec::new() }
    }

    pub(super) fn comes_up(&mut self) -> bool {
        self.random.chance(OFTEN)
    }

    pub(super) fn restricts(&mut self) -> bool {
        self.random.chance(250)
    }

    pub(super) fn role(&mut self) -> MemberRole {
        match self.random.below(5) {
            0 | 1 => MemberRole::Admin,
            2 => MemberRole::ReadOnly,
            _ => MemberRole::Member,
        }
    }

    /// Somebody is removed, and may be brought back.
    pub(super) fn will_be_former(&mut self, group: GroupId, member: PublicKey) {
        if self.former.len() >= FORMER_MAX {
            self.former.remove(0);
        }
        self.former.push((group, member));
    }

    fn capabilities(&mut self) -> Capabilities {
        let all = Capability::ALL.into_iter();
        all.fold(Capabilities::DEFAULT, |held, one| if self.random.chance(400) { held.with(one) } else { held })
    }
}

impl Workload {
    /// A host's people decide something, whether or not they may.
    pub(super) fn govern(&mut self, world: &mut World, host: usize, ours: &[GroupInfo]) {
        let Some(info) = self.politics.random.pick(ours).cloned() else { return self.hand_out(world, host) };
        let group = Selector(info.group.to_string());
        let Some(Reply::Members(rows)) = world.look(host, Command::MemberList(group.clone())) else { return };
        // The members in the order of their keys are in no order for us.
        let other = self.politics.random.pick(&rows).cloned().filter(|row| row.member != info.member);
        if let Some(act) = self.about_liar(world, &info, &rows) {
            self.ask(world, host, Command::GroupAct { group, act }, What::Act);
            return;
        }
        let act = match self.politics.random.below(100) {
            0..=19 => other.map(|row| self.remove(&info, &row)),
            20..=34 => other.map(|row| GroupAct::SetRole(named(&row.member), self.politics.role())),
            35..=44 => other.map(|row| GroupAct::SetCapabilities(named(&row.member), self.politics.capabilities())),
            45..=59 => self.bring_back(&info),
            60..=66 => self.by_card(),
            67..=69 => Some(GroupAct::Leave),
            70..=74 => return self.hand_out(world, host),
            75..=77 => Some(GroupAct::NameMember(named(&info.member), format!("host {host}"))),
            _ => return self.govern_context(world, host, &rows),
        };
        if let Some(act) = act {
            self.ask(world, host, Command::GroupAct { group, act }, What::Act);
        }
    }

    /// Those who break the rules are trusted first, and found out later: else they would seldom have anything to abuse.
    fn about_liar(&mut self, world: &World, info: &GroupInfo, rows: &[MemberInfo]) -> Option<GroupAct> {
        let liar = (0..world.hosts.len()).find(|host| world.hosts[*host].role == Role::Liar)?;
        let member = crate::invariants::member_key(world, liar, info.group)?;
        let row = rows.iter().find(|row| row.member == member).filter(|row| row.member != info.member)?.clone();
        match self.politics.random.below(8) {
            0 => Some(self.remove(info, &row)),
            1 => Some(GroupAct::SetRole(named(&row.member), MemberRole::Admin)),
            _ => None,
        }
    }

    fn remove(&mut self, info: &GroupInfo, row: &MemberInfo) -> GroupAct {
        self.politics.will_be_former(info.group, row.member);
        GroupAct::RemoveMember(named(&row.member))
    }

    fn bring_back(&mut self, info: &GroupInfo) -> Option<GroupAct> {
        let former: Vec<PublicKey> =
            self.politics.former.iter().filter(|(group, _)| *group == info.group).map(|(_, member)| *member).collect();
        let who = self.politics.random.pick(&former)?.to_string();
        Some(GroupAct::AddMember { who, role: self.politics.role(), capabilities: Some(Capabilities::ALL) })
    }

    fn by_card(&mut self) -> Option<GroupAct> {
        let who = self.politics.random.pick(&self.politics.cards)?.clone();
        Some(GroupAct::AddMember { who, role: MemberRole::Member, capabilities: None })
    }

    fn hand_out(&mut self, world: &mut World, host: usize) {
        if self.politics.cards.len() < CARDS_MAX {
            self.ask(world, host, Command::NewCard, What::Card);
        }
    }

    fn govern_context(&mut self, world: &mut World, host: usize, rows: &[MemberInfo]) {
        let contexts = joined(world, host);
        let Some(info) = self.politics.random.pick(&contexts).cloned() else { return };
        let Some(who) = self.politics.random.pick(rows).map(|row| named(&row.member)) else { return };
        let act = match self.politics.random.below(20) {
            0..=6 => ContextAct::Allow(vec![who]),
            7..=10 => ContextAct::Disallow(vec![who]),
            11..=14 => ContextAct::Restrict(true),
            15..=17 => ContextAct::Restrict(false),
            18 => ContextAct::Leave,
            _ => ContextAct::Name(format!("context of host {host}")),
        };
        if act == ContextAct::Leave {
            // What was said of it is void from here on, whether or not the answer arrives.
            if !world.acknowledged.remove(&(host, Acknowledged::Context(info.context))) {
                world.left_early.insert((host, info.context));
            }
        }
        self.ask(world, host, Command::ContextAct { context: Selector(info.context.to_string()), act }, What::Act);
    }
}

pub(super) fn named(member: &PublicKey) -> Selector {
    Selector(member.to_string())
}
