//! Being shut out of contexts, and let in again: by a removal from the group, or by the allowlist of a Restricted context.
//!
//! Nobody tells whoever is out anything of a context, so what was heard and asked before counts no more, and the context
//! is as ready as one that was never joined. Whoever is let in again asks for what was written meanwhile.

use mesto_governance::{ContextId, GroupId};
use mesto_oplog::LogId;
use mesto_sync::Peer;

use super::places::may_hear_of;
use super::{LogOwner, Node, Timer, Turn};
use crate::group::Group;
use crate::group::keys::reads;

/// So many members are asked at most how a context stands, when none is known to have heard that we are in it again: one
/// would do, but it may be one that has not heard it yet, and then does not answer.
const ASKED_MAX: usize = 3;

impl Node {
    /// Whether a log is one of a context that we may not hear of: nobody would answer, and a question that is out would
    /// keep us from asking for as long as it may take, once we are in it again.
    pub(crate) fn is_shut_out(&self, log: &LogId) -> bool {
        let Some(LogOwner::Context(id)) = self.logs.get(log) else { return false };
        let group = self.contexts.get(id).and_then(|context| self.groups.get(&context.group));
        let Some(group) = group.filter(|group| group.we_are_member()) else { return true };
        !group.state().is_some_and(|state| may_hear_of(state, id, &group.member.public()))
    }

    /// Who may hear of the contexts of a group may have changed, and be it us.
    pub(crate) fn renew_places(&mut self, turn: &mut Turn<'_>, group: GroupId) {
        let of_group = self.contexts.values().filter(|context| context.group == group);
        for (id, was_shut_out) in of_group.map(|context| (context.id, context.is_shut_out)).collect::<Vec<_>>() {
            match (was_shut_out, self.is_shut_out(&id.log())) {
                (_, true) => self.shut_out(turn, id),
                (true, false) => self.let_in(turn, id),
                (false, false) => {}
            }
        }
    }

    fn shut_out(&mut self, turn: &mut Turn<'_>, id: ContextId) {
        // To this one nobody answers any more.
        if let Some(fetch) = self.fetches.get_mut(&id.log()) {
            fetch.active = None;
        }
        let Some(context) = self.contexts.get_mut(&id) else { return };
        context.is_shut_out = true;
        if context.record.caught_up {
            self.with_context(turn, &id, |context, work| {
                context.record.caught_up = false;
                context.save_record(work);
            });
        }
    }

    fn let_in(&mut self, turn: &mut Turn<'_>, id: ContextId) {
        if let Some(context) = self.contexts.get_mut(&id) {
            context.is_shut_out = false;
        }
        self.catch_up(turn, id);
    }

    /// Asks members how a context stands that we were not in for a while. What they said before, they said of what was
    /// there before, and will not say again.
    pub(crate) fn catch_up(&mut self, turn: &mut Turn<'_>, id: ContextId) {
        let log = id.log();
        for session in self.sessions.values_mut() {
            session.summaries.remove(&log);
        }
        let Some(group) = self.contexts.get(&id).map(|context| context.group) else { return };
        let readers: Vec<Peer> =
            self.members_online(&group).into_iter().filter(|peer| self.reads_context(peer, &group, &id)).collect();
        match readers.iter().find(|peer| self.is_as_far(peer, &group)) {
            Some(peer) => self.fetch_from(turn, log, *peer),
            None => readers.into_iter().take(ASKED_MAX).for_each(|peer| self.may_have(turn, log, peer)),
        }
        if self.fetches.get(&log).is_some_and(|fetch| fetch.active.is_none() && !fetch.candidates.is_empty()) {
            // Also those that told of something while we were out.
            let grace_ms = self.fetches.get(&log).map_or(0, crate::peers::Fetch::grace_ms);
            self.timers.set(Timer::Pull(log), turn.time.wall_ms + grace_ms);
        }
    }

    /// Whether a peer's member reads a context.
    pub(crate) fn reads_context(&self, peer: &Peer, group: &GroupId, id: &ContextId) -> bool {
        let state = self.groups.get(group).and_then(Group::state);
        let member = self.sessions.get(peer).and_then(|session| session.claims.get(group));
        state.zip(member).is_some_and(|(state, member)| reads(state, member, Some(*id)))
    }

    /// Whether a peer has told that it holds the newest that we hold of a group's log, or something that is newer still.
    fn is_as_far(&self, peer: &Peer, group: &GroupId) -> bool {
        let Some(of) = self.groups.get(group) else { return false };
        let summary = self.sessions.get(peer).and_then(|session| session.summaries.get(&group.log()));
        let heads = of.log.heads();
        summary.is_some_and(|summary| summary.heads.iter().any(|head| heads.contains(head)))
    }
}
