//! Telling members how our logs stand: soon after a change, and from time to time.

use mesto_governance::GroupId;
use mesto_oplog::LogId;
use mesto_sync::{Gossip, Heartbeat, Message, Peer, Summary};

use super::{LogOwner, Node, Timer, Turn};
use crate::flow::Flow;
use crate::step::Effect;

/// A change is told after this long, in milliseconds, so that a burst is told once.
const AFTER_CHANGE_MS: (u64, u64) = (150, 300);
/// Heads that are too many wait this long for another member to merge them, in milliseconds.
const BEFORE_MERGE_MS: (u64, u64) = (50, 1_000);
/// Without changes a log is told this often, in milliseconds.
const IDLE_MS: (u64, u64) = (8_000, 12_000);

impl Node {
    /// How a log stands here.
    pub(crate) fn summary(&self, log: &LogId) -> Option<Summary> {
        match self.logs.get(log)? {
            LogOwner::Group(id) => self.groups.get(id).map(crate::group::Group::summary),
            LogOwner::Context(id) => self.contexts.get(id).map(crate::context::Context::summary),
        }
    }

    /// A log has changed.
    pub(crate) fn touched(&mut self, turn: &mut Turn<'_>, log: LogId) {
        self.schedule_heartbeat(turn, log, true);
        self.check_caught_up(turn, log);
    }

    pub(crate) fn schedule_heartbeat(&mut self, turn: &mut Turn<'_>, log: LogId, is_changed: bool) {
        let (low, high) = if is_changed { AFTER_CHANGE_MS } else { IDLE_MS };
        let delay = turn.entropy.between(low, high);
        self.timers.set(Timer::Heartbeat(log), turn.time.wall_ms + delay);
    }

    /// Publishes a heartbeat, signed as a member, if there is anybody to hear it.
    pub(crate) fn heartbeat(&mut self, turn: &mut Turn<'_>, log: LogId) {
        self.schedule_heartbeat(turn, log, false);
        if let Some(LogOwner::Context(id)) = self.logs.get(&log).copied()
            && self.contexts.get_mut(&id).is_some_and(crate::context::Context::cool_down)
        {
            turn.effect(Effect::Cooled(id));
        }
        if let Some(LogOwner::Group(id)) = self.logs.get(&log).copied()
            && !self.keys_lacking(&id).is_empty()
        {
            // Whatever it was by which we came to lack them: the question does not have to wait for the next op.
            self.timers.set(Timer::Keys(id), turn.time.wall_ms);
        }
        let Some(group) = self.group_of(&log).and_then(|id| self.groups.get(&id)) else { return };
        if !group.we_are_member() || self.sessions.is_empty() {
            return;
        }
        let Some(summary) = self.summary(&log) else { return };
        let heartbeat = Heartbeat::sign(summary, turn.time.wall_ms, &group.member);
        let topic = self.topic(&log);
        turn.report(Flow::to_all("f11", "heartbeat", log));
        // Held back until what it tells of is durable, like everything that others can see.
        let effect = Effect::Publish(topic, Gossip::Heartbeat(heartbeat));
        self.after_durable(turn, &log, effect);
    }

    /// Many heads of a group's log are to be merged, by one member and not by all at once.
    pub(crate) fn expect_merge(&mut self, turn: &mut Turn<'_>, id: GroupId) {
        if self.groups.get(&id).is_some_and(crate::group::Group::needs_merge) {
            let (low, high) = BEFORE_MERGE_MS;
            let delay = turn.entropy.between(low, high);
            self.timers.set(Timer::Merge(id), turn.time.wall_ms + delay);
        }
    }

    pub(crate) fn merge_heads(&mut self, turn: &mut Turn<'_>, id: GroupId) {
        // Who may not merge leaves it to others.
        self.with_group(turn, &id, |group, work| group.merge_heads(work).is_ok());
    }

    /// Tells a peer how a log stands, unless it was told the same before.
    pub(crate) fn tell(&mut self, turn: &mut Turn<'_>, peer: Peer, log: LogId) {
        let Some(summary) = self.summary(&log).filter(|_| self.may_hear(&peer, &log)) else { return };
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        let standing = (summary.heads.clone(), summary.count);
        if session.told.insert(log, standing.clone()).is_some_and(|told| told == standing) {
            return;
        }
        turn.report(Flow::to("f12", "how the log stands", peer, log));
        let effect = Effect::Send(peer, crate::step::Lane::Sync, Message::Summaries(vec![summary]));
        self.after_durable(turn, &log, effect);
    }

    /// Tells a member how all logs of a group stand.
    pub(crate) fn tell_all(&mut self, turn: &mut Turn<'_>, peer: Peer, group: GroupId) {
        let contexts = self.contexts.values().filter(|context| context.group == group);
        let logs: Vec<LogId> = std::iter::once(group.log()).chain(contexts.map(|context| context.id.log())).collect();
        for log in logs {
            self.tell(turn, peer, log);
        }
    }
}
