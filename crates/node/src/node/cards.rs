//! Becoming a member without a ticket: a card is handed over, somebody adds it to a group, and tells its node.
//!
//! Whoever is added cannot know to which group until a member's node says so. That is a reconciled state: each
//! member's node tells it on each connection for as long as it does not show that it knows the group.

use mesto_governance::GroupId;
use mesto_governance::action::PeerHint;
use mesto_governance::card::Card;
use mesto_governance::keys::SealingKey;
use mesto_oplog::{Incarnation, LogId, PublicKey, SigningKey};
use mesto_sync::{Message, Peer};

use super::{Node, Timer, Turn};
use crate::command::{CommandError, Reply};
use crate::flow::Flow;
use crate::group::Group;
use crate::layout;
use crate::record::{CardRecord, GroupRecord};
use crate::step::{Effect, Report, Ticket};
use crate::store::Keyspace;

/// Cards that may wait to be used: more than a person hands out, and a bound for what programs can make.
const CARDS_MAX: usize = 256;
/// Groups that may claim to have added us and do not show it yet: whoever has a card can say so.
pub(super) const CLAIMED_MAX: usize = 64;

impl Node {
    /// Makes keys for a group that we do not know yet, and a card that tells of them.
    pub(crate) fn new_card(&mut self, turn: &mut Turn<'_>, ticket: Ticket) -> Result<(), CommandError> {
        if self.cards.len() >= CARDS_MAX {
            return Err(CommandError::Invalid(format!("{CARDS_MAX} cards wait to be used already")));
        }
        let record = CardRecord { member_seed: turn.entropy.bytes(), sealing_seed: turn.entropy.bytes() };
        let member = SigningKey::from_seed(&record.member_seed);
        let sealing = SealingKey::from_seed(&record.sealing_seed).public();
        let mut addresses = self.listening.clone();
        addresses.truncate(mesto_governance::ticket::ADDRESSES_MAX);
        let card = Card::new(&member, sealing, PeerHint(self.peer.as_bytes().to_vec()), addresses)
            .to_text()
            .map_err(|e| CommandError::Invalid(e.to_string()))?;
        let bytes = borsh::to_vec(&record).map_err(|e| CommandError::Invalid(e.to_string()))?;
        let reply = Reply::Card { card, member: member.public() };
        self.with_own(turn, |work| {
            work.put(Keyspace::Meta, layout::card(&member.public()), bytes);
            work.after(Effect::Reply(ticket, Box::new(Ok(reply))));
        });
        self.cards.insert(member.public(), record);
        Ok(())
    }

    /// Tells a peer of the groups that it was added to and does not know of.
    pub(crate) fn tell_added(&mut self, turn: &mut Turn<'_>, peer: Peer) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        if session.hello.is_none() {
            return;
        }
        let mut added = Vec::new();
        for group in self.groups.values().filter(|group| group.we_are_member()) {
            // By keys that count no more it shows that it was a member once.
            if session.claims.get(&group.id).is_some_and(|member| group.is_member(member)) {
                continue;
            }
            let rows = group.state().into_iter().flat_map(|state| state.members());
            if let Some(row) = rows.into_iter().find(|row| row.peer.0.as_slice() == peer.as_bytes())
                && session.added.insert((group.id, row.member))
            {
                added.push((group.id, row.member));
            }
        }
        for (group, member) in added {
            turn.report(Flow::to("f16", "told of being added", peer, member));
            let message = Message::Added { group: group.log(), member };
            self.after_durable(turn, &group.log(), Effect::Send(peer, crate::step::Lane::Sync, message));
        }
    }

    /// A peer says that we were added to a group. The group's log will show whether that is so.
    pub(crate) fn added_heard(&mut self, turn: &mut Turn<'_>, peer: Peer, log: LogId, member: PublicKey) {
        let id = GroupId::from(log);
        let Some(card) = self.cards.get(&member) else {
            if !self.groups.contains_key(&id) {
                self.follow_own_row(turn, peer, id, member);
            }
            return;
        };
        let record = GroupRecord {
            member_seed: card.member_seed,
            sealing_seed: card.sealing_seed,
            incarnation: Incarnation(turn.entropy.number()),
        };
        match self.groups.get(&id) {
            Some(group) if group.we_are_member() || group.member.public() == member => return,
            Some(_) => {}
            None => {
                let claimed = self.groups.values().filter(|group| group.governance.is_none()).count();
                if claimed >= CLAIMED_MAX || self.logs.contains_key(&log) {
                    return turn.report(Report::Shed { bound: "groups that claim to have added us", count: 1 });
                }
                let number = self.number_of(&log);
                self.adopt_group(Group::new(id, number, record.clone()));
                turn.effect(Effect::Subscribe(self.topic(&log)));
            }
        }
        let addresses = self.sessions.get(&peer).map(|session| session.addresses.clone()).unwrap_or_default();
        self.remember_peer(turn, peer, &addresses);
        turn.report(Flow::from("f16", "told of being added", peer, id));
        self.adopt(turn, id, &record);
    }

    /// Who is nobody in a group by the keys that it has there, and a member by those that it has above, goes on with these:
    /// it had come into the group alone, was added above by a card, and has lost its own row since.
    pub(crate) fn adopt_from_above(&mut self, turn: &mut Turn<'_>, id: GroupId) {
        let Some(group) = self.groups.get(&id).filter(|group| !group.we_are_member()) else { return };
        let Some(parent) = group.parent.and_then(|parent| self.groups.get(&parent)) else { return };
        if parent.member.public() == group.member.public() || !group.is_member(&parent.member.public()) {
            return;
        }
        let record = parent.record.clone();
        self.adopt(turn, id, &record);
    }

    /// Takes other member keys for a group, and for those below in which we are nobody by the ones that we had, and
    /// proves itself by them.
    pub(crate) fn adopt(&mut self, turn: &mut Turn<'_>, id: GroupId, record: &GroupRecord) {
        let mut adopted = self.subtree(&id);
        adopted.retain(|group| *group == id || self.groups.get(group).is_some_and(|group| !group.we_are_member()));
        for group in &adopted {
            if self.groups.get(group).is_some_and(|group| group.record.member_seed != record.member_seed) {
                self.keep_keys(turn, *group);
            }
            self.with_group(turn, group, |group, work| {
                group.adopt(GroupRecord { incarnation: group.record.incarnation, ..record.clone() });
                group.save_record(work);
            });
        }
        for session in self.sessions.values_mut() {
            session.proved.retain(|group| !adopted.contains(group));
        }
        for group in adopted {
            // The log may be here, and in it epochs that are sealed to these keys.
            self.timers.set(Timer::Keys(group), turn.time.wall_ms);
            self.hello_again(turn, group);
        }
    }

    /// Keys that make room for others wait as those of a card do: somebody may be countersigning the claim that we presented
    /// with them, or a verdict may turn, so that they are a member's again.
    fn keep_keys(&mut self, turn: &mut Turn<'_>, id: GroupId) {
        let Some(group) = self.groups.get(&id) else { return };
        let member = group.member.public();
        let card = CardRecord { member_seed: group.record.member_seed, sealing_seed: group.record.sealing_seed };
        if self.cards.len() < CARDS_MAX
            && !self.cards.contains_key(&member)
            && let Ok(bytes) = borsh::to_vec(&card)
        {
            self.with_own(turn, |work| work.put(Keyspace::Meta, layout::card(&member), bytes));
            self.cards.insert(member, card);
        }
    }

    /// A card whose group shows us as a member has served.
    pub(crate) fn retire_card(&mut self, turn: &mut Turn<'_>, group: &GroupId) {
        let Some(group) = self.groups.get(group).filter(|group| group.we_are_member()) else { return };
        let member = group.member.public();
        if self.cards.remove(&member).is_some() {
            self.with_own(turn, |work| work.remove(Keyspace::Meta, layout::card(&member)));
        }
    }
}
