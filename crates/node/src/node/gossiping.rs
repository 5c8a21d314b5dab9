//! What is heard on topics.

use std::sync::Arc;

use mesto_governance::{Governance, GroupId};
use mesto_oplog::{LogId, Verified};
use mesto_sync::{Ephemeral, Heartbeat, Peer};

use super::pulls::Heard;
use super::{LogOwner, Node, Turn};
use crate::context::Heard as SayingHeard;
use crate::flow::Flow;
use crate::group::Group;
use crate::step::{Effect, GossipToken, Verdict};
use crate::verify::CheckedGossip;

impl Node {
    /// A member has begun to listen to a topic: it may have been away.
    pub(crate) fn peer_subscribed(&mut self, turn: &mut Turn<'_>, peer: Peer, topic: &str) {
        if let Some(log) = self.log_of(topic)
            && let Some(group) = self.group_of(&log)
            && self.is_member_peer(&peer, &group)
        {
            turn.report(Flow::from("f12", "subscribed", peer, log));
            self.tell(turn, peer, log);
        }
    }

    pub(crate) fn gossip(
        &mut self,
        turn: &mut Turn<'_>,
        token: GossipToken,
        topic: &str,
        from: Peer,
        gossip: CheckedGossip,
    ) {
        let log = self.log_of(topic);
        let verdict = match (log, gossip) {
            (None, _) => Verdict::Ignore,
            (Some(log), CheckedGossip::Entries(entries)) => self.entries_heard(turn, log, from, entries),
            (Some(log), CheckedGossip::Heartbeat(heartbeat)) => {
                let Some(group) = self.group_of(&log).and_then(|id| self.groups.get(&id)) else { return };
                let id = group.id;
                if heartbeat.summary.log != log {
                    Verdict::Reject
                } else if !group.is_member(&heartbeat.member) {
                    self.former_heard(turn, from, id, &heartbeat);
                    Verdict::Ignore
                } else {
                    self.heartbeat_heard(turn, from, heartbeat);
                    Verdict::Accept
                }
            }
            (Some(log), CheckedGossip::Ephemeral(message)) => self.saying_heard(turn, log, from, &message),
        };
        turn.effect(Effect::Judge(token, verdict));
    }

    fn saying_heard(&mut self, turn: &mut Turn<'_>, log: LogId, from: Peer, message: &Ephemeral) -> Verdict {
        let Some(LogOwner::Context(id)) = self.logs.get(&log).copied() else { return Verdict::Reject };
        if message.log != log {
            return Verdict::Reject;
        }
        if self.is_out_of(&log) {
            return Verdict::Ignore;
        }
        match self.with_context(turn, &id, |context, work| context.hear(work, message)) {
            Some(SayingHeard::Told) => Verdict::Accept,
            Some(SayingHeard::Forged) => Verdict::Reject,
            Some(SayingHeard::Unknown) => {
                if let Some(group) = self.group_of(&log) {
                    self.suspect_behind(turn, group, from);
                }
                Verdict::Ignore
            }
            Some(SayingHeard::Dropped) | None => Verdict::Ignore,
        }
    }

    /// Whether what is told on a topic is not for us: of a context that we may not hear of, or of a group that we were in. Others
    /// may not know yet that we know, and a topic has no door; once we are let in again, members tell us what we missed.
    fn is_out_of(&self, log: &LogId) -> bool {
        match self.logs.get(log) {
            Some(LogOwner::Group(id)) => self.was_let_out(id),
            Some(LogOwner::Context(_)) => self.is_shut_out(log),
            None => false,
        }
    }

    /// Whether we were a member of a group, and are none now, nor in any group below, nor about to join.
    fn was_let_out(&self, id: &GroupId) -> bool {
        let Some(group) = self.groups.get(id) else { return false };
        let was_in = |governance: &Arc<Governance>| governance.was_let_in(&group.member.public());
        let is_joining = self.joins.get(id).is_some_and(|join| !join.caught_up && join.refused.is_none());
        let is_in = |below: &GroupId| self.groups.get(below).is_some_and(Group::we_are_member);
        group.governance.as_ref().is_some_and(was_in) && !is_joining && !self.subtree(id).iter().any(is_in)
    }

    /// Someone whom we do not know speaks on a topic: maybe we are the one who lags.
    pub(crate) fn suspect_behind(&mut self, turn: &mut Turn<'_>, group: GroupId, from: Peer) {
        self.may_have(turn, group.log(), from);
    }

    fn heartbeat_heard(&mut self, turn: &mut Turn<'_>, from: Peer, heartbeat: Heartbeat) {
        let log = heartbeat.summary.log;
        turn.report(Flow::from("f11", "heartbeat", from, log));
        let Some(group) = self.group_of(&log) else { return };
        // A heartbeat is its signer's. Only if that is the very peer who passed it on does it tell about that peer.
        let is_own = self.sessions.get(&from).and_then(|s| s.claims.get(&group)) == Some(&heartbeat.member);
        let of = self.sessions.iter_mut().find(|(_, session)| session.claims.get(&group) == Some(&heartbeat.member));
        let source = match of {
            Some((peer, session)) => {
                session.remember(heartbeat.summary.clone());
                *peer
            }
            None => from,
        };
        self.compare(turn, source, &heartbeat.summary, Heard::Overheard);
        if is_own {
            self.check_caught_up(turn, log);
        } else {
            self.check_left(turn, log);
        }
    }

    fn entries_heard(&mut self, turn: &mut Turn<'_>, log: LogId, from: Peer, entries: Vec<Verified>) -> Verdict {
        if entries.iter().any(|entry| entry.log() != log) {
            return Verdict::Reject;
        }
        if self.is_out_of(&log) {
            return Verdict::Ignore;
        }
        let verdict = match self.logs.get(&log).copied() {
            Some(LogOwner::Group(id)) => {
                let known = self
                    .groups
                    .get(&id)
                    .is_some_and(|group| entries.iter().all(|entry| group.is_member(&entry.header().author)));
                turn.report(Flow::from("f10", "ops by gossip", from, id));
                let taken = self.with_group(turn, &id, |group, work| group.ingest(work, from, entries));
                if taken.is_some_and(|taken| taken > 0) {
                    turn.report(Flow::here("f10", "ops folded", id));
                    self.touched(turn, log);
                }
                known
            }
            Some(LogOwner::Context(id)) => {
                let known = self.contexts.get(&id).is_some_and(|context| {
                    entries.iter().all(|entry| context.may_write(&entry.header().author).is_ok())
                });
                turn.report(Flow::from("f09", "deltas by gossip", from, id));
                let entries = entries.into_iter().map(|entry| (from, entry)).collect();
                let taken = self.with_context(turn, &id, |context, work| {
                    let taken = context.ingest(work, entries);
                    context.pump(work);
                    taken
                });
                if taken.is_some_and(|taken| taken > 0) {
                    self.touched(turn, log);
                }
                known
            }
            None => false,
        };
        self.look_for_missing(turn, log, from);
        if verdict { Verdict::Accept } else { Verdict::Ignore }
    }
}
