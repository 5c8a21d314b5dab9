//! Telling somebody that it is no member any more.
//!
//! Nothing of a group goes to who is not in it. But a node that was cut off when its member was removed would go on
//! for ever without knowing why nobody answers; so it is given what ended its membership, and the past of that, and
//! nothing that came after. What it did meanwhile is still taken from it: others may have built on it.

use mesto_governance::GroupId;
use mesto_oplog::dag::DagRead as _;
use mesto_oplog::vector::AuthorVector;
use mesto_oplog::{EntryId, LogId, Signed};
use mesto_sync::{Heartbeat, Message, Peer, Summary};

use super::pulls::Heard;
use super::{LogOwner, Node, Turn};
use crate::step::{Effect, Lane};

impl Node {
    /// The ops that ended the membership of a peer's member; none if it is a member, or never was one. Of a group above
    /// one in which it was, also those that took the right to let it in from whoever did, and what the ops that show the end
    /// in groups between had seen there: without that they cannot be folded.
    fn endings(&self, peer: &Peer, id: &GroupId) -> Vec<EntryId> {
        if self.is_member_peer(peer, id) {
            return Vec::new();
        }
        let own = self.endings_in(peer, id);
        let below = self.subtree(id).into_iter().skip(1).flat_map(|below| {
            let between = self.lineage(&below).into_iter().take_while(|between| between != id);
            let seen = between.flat_map(|between| {
                let of = self.groups.get(&between).and_then(|group| group.governance.as_ref());
                let endings = self.endings_above(peer, &below, &between).into_iter();
                endings.flat_map(|op| of.map(|of| of.seen_above(&op, id)).unwrap_or_default()).collect::<Vec<_>>()
            });
            seen.chain(self.endings_above(peer, &below, id)).collect::<Vec<_>>()
        });
        let governance = self.groups.get(id).and_then(|group| group.governance.as_ref());
        governance.map(|governance| governance.newest_of(own.into_iter().chain(below))).unwrap_or_default()
    }

    fn endings_in(&self, peer: &Peer, id: &GroupId) -> Vec<EntryId> {
        let member = self.sessions.get(peer).and_then(|session| session.claims.get(id));
        let governance = self.groups.get(id).and_then(|group| group.governance.as_ref());
        member.zip(governance).map(|(member, governance)| governance.endings_of(member)).unwrap_or_default()
    }

    /// The ops of a group, or of one above it, that show a peer's member that it is not in the former.
    fn endings_above(&self, peer: &Peer, id: &GroupId, above: &GroupId) -> Vec<EntryId> {
        if id == above {
            return self.endings_in(peer, id);
        }
        let member = self.sessions.get(peer).and_then(|session| session.claims.get(id));
        let governance = self.groups.get(id).and_then(|group| group.governance.as_ref());
        member.zip(governance).map(|(member, governance)| governance.endings_above(member, above)).unwrap_or_default()
    }

    /// How a group's log stands for somebody who was removed: as it did when that happened.
    pub(crate) fn farewell_summary(&self, peer: &Peer, id: &GroupId) -> Option<Summary> {
        let heads = self.endings(peer, id);
        let log = id.log();
        // Under no heads: the digest is not there to be compared.
        let summary = Summary { log, count: 0, digest: [0; 32], governance: Vec::new(), heads };
        (!summary.heads.is_empty()).then(|| summary.within_bounds())
    }

    /// Answers the pull of a former member.
    pub(crate) fn bid_farewell(
        &mut self,
        turn: &mut Turn<'_>,
        peer: Peer,
        log: LogId,
        theirs: &AuthorVector,
        cursor: u64,
        careful: bool,
    ) {
        let Some(LogOwner::Group(id)) = self.logs.get(&log).copied() else { return };
        let Some(summary) = self.farewell_summary(&peer, &id) else { return };
        let Some(group) = self.groups.get(&id) else { return };
        let view = group.flight.view(turn.snapshot);
        let read = group.log.read(&view);
        let Some(until) = group.log.dag.past_of(&read, &summary.heads) else { return };
        let (mut entries, next) = group.log.page(&view, theirs, cursor, careful);
        entries.retain(|bytes| {
            let id = Signed::decode(bytes).map(|entry| entry.trust_own_store().id());
            id.is_ok_and(|id| summary.heads.contains(&id) || read.placement(&id).is_some_and(|of| until.covers(&of)))
        });
        let message = Message::Page { log, entries, next, summary };
        self.after_durable(turn, &log, Effect::Send(peer, Lane::Sync, message));
    }

    /// A former member that does not know it yet tells how a log stands with it.
    pub(crate) fn former_heard(&mut self, turn: &mut Turn<'_>, from: Peer, id: GroupId, heartbeat: &Heartbeat) {
        let is_own = self.sessions.get(&from).and_then(|session| session.claims.get(&id)) == Some(&heartbeat.member);
        // What ended its membership may have been decided above.
        let lineage = self.lineage(&id);
        if !is_own || lineage.iter().all(|group| self.endings(&from, group).is_empty()) {
            return self.suspect_behind(turn, id, from);
        }
        if let Some(session) = self.sessions.get_mut(&from) {
            session.remember(heartbeat.summary.clone());
        }
        self.compare(turn, from, &heartbeat.summary, Heard::Overheard);
        for group in lineage {
            self.tell_farewell(turn, from, group);
        }
    }

    /// Shows a former member what ended its membership: it will ask for it.
    pub(crate) fn tell_farewell(&mut self, turn: &mut Turn<'_>, peer: Peer, id: GroupId) {
        let Some(summary) = self.farewell_summary(&peer, &id) else { return };
        let standing = (summary.heads.clone(), summary.count);
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        if session.told.insert(id.log(), standing.clone()).is_none_or(|told| told != standing) {
            let message = Message::Summaries(vec![summary]);
            self.after_durable(turn, &id.log(), Effect::Send(peer, Lane::Sync, message));
        }
    }
}
