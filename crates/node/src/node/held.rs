//! What others can see leaves once all that it rests on is durable.
//!
//! A message about a log shows entries of that log, and that its sender takes somebody for a member. The one is in the
//! log's own machine, the other in those of its group and of the groups above, or, of whoever is told of a group because
//! it is a member of one below, in those of the groups below. Batches of several machines come to the disk one by one:
//! such a message waits for all of them that are on their way.

use std::collections::BTreeMap;

use mesto_governance::GroupId;
use mesto_oplog::LogId;
use mesto_sync::{Gossip, gossip};

use super::{LogOwner, Node, Turn};
use crate::flight::Flight;
use crate::step::{Effect, MachineId};

/// An effect that waits for batches of more than one machine. There are at most as many as wait in flights.
#[derive(Debug)]
pub(super) struct Held {
    /// The batch of each machine that it waits for still.
    awaited: BTreeMap<MachineId, u64>,
    effect: Effect,
}

impl Node {
    /// An effect that tells of a log's state: it leaves once that is durable, and so is why whoever is told may know it.
    pub(crate) fn after_durable(&mut self, turn: &mut Turn<'_>, log: &LogId, effect: Effect) {
        let awaited = self.in_flight_of(log);
        if awaited.len() > 1 {
            return self.held.push(Held { awaited, effect });
        }
        match awaited.into_keys().next() {
            Some(MachineId::Group(id)) => {
                self.with_group(turn, &id, |_, work| work.after(effect));
            }
            Some(MachineId::Context(id)) => {
                self.with_context(turn, &id, |_, work| work.after(effect));
            }
            Some(MachineId::Node) => self.with_own(turn, |work| work.after(effect)),
            None => turn.effect(effect),
        }
    }

    /// The newest batch on its way of each machine that decides what is told of a log, and to whom.
    fn in_flight_of(&self, log: &LogId) -> BTreeMap<MachineId, u64> {
        let (context, group) = match self.logs.get(log) {
            Some(LogOwner::Context(id)) => (self.contexts.get(id), self.contexts.get(id).map(|context| context.group)),
            Some(LogOwner::Group(id)) => (None, Some(*id)),
            None => (None, None),
        };
        let own = context.and_then(|of| Some((MachineId::Context(of.id), of.flight.newest()?)));
        let is_group = context.is_none();
        let groups = self.groups.values().filter_map(|of| Some((of.id, of.flight.newest()?)));
        let related = groups.filter(|(id, _)| group.is_some_and(|group| self.decides(id, &group, is_group)));
        own.into_iter().chain(related.map(|(id, newest)| (MachineId::Group(id), newest))).collect()
    }

    /// Whether who may hear of a group is decided in `other` too: it is the same, or above, or below as far as that counts.
    fn decides(&self, other: &GroupId, group: &GroupId, counts_below: bool) -> bool {
        self.lineage(group).contains(other) || (counts_below && self.lineage(other).contains(group))
    }

    /// Batches of a machine are durable: what waited for them and for nothing else leaves.
    pub(super) fn durable(&mut self, turn: &mut Turn<'_>, machine: MachineId, seq: u64) {
        let mut effects = self.flight_of(machine).map(|flight| flight.land(seq)).unwrap_or_default();
        for held in &mut self.held {
            if held.awaited.get(&machine).is_some_and(|awaited| *awaited <= seq) {
                held.awaited.remove(&machine);
            }
        }
        effects.extend(self.held.extract_if(.., |held| held.awaited.is_empty()).map(|held| held.effect));
        turn.step.effects.extend(joined(effects));
    }

    fn flight_of(&mut self, machine: MachineId) -> Option<&mut Flight> {
        match machine {
            MachineId::Node => Some(&mut self.flight),
            MachineId::Group(id) => self.groups.get_mut(&id).map(|group| &mut group.flight),
            MachineId::Context(id) => {
                let context = self.contexts.get_mut(&id).or_else(|| self.resting.get_mut(&id));
                context.map(|context| &mut context.flight)
            }
        }
    }
}

/// Joins publications on one topic that leave together, so that a burst costs few messages.
fn joined(effects: Vec<Effect>) -> Vec<Effect> {
    let mut joined = Vec::new();
    let mut entries: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for effect in effects {
        match effect {
            Effect::Publish(topic, Gossip::Entries(more)) => entries.entry(topic).or_default().extend(more),
            other => joined.push(other),
        }
    }
    for (topic, entries) in entries {
        // What is too large to be gossiped is announced by the heartbeat that follows every change.
        let (messages, _) = gossip::pack(entries.iter().map(Vec::as_slice));
        joined.extend(messages.into_iter().map(|message| Effect::Publish(topic.clone(), message)));
    }
    joined
}
