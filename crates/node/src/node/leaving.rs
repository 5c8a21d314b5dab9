//! Leaving contexts.
//!
//! What we wrote before we left was acknowledged, so it must reach the others. A context that was left is kept in step and
//! served, unseen by our own people, until somebody else is known to hold all that is here of it; then it rests on the
//! disk. What others wrote meanwhile comes with that: it is how we learn what they hold.
//!
//! Whoever left the group goes on in the same way: it tells former fellows how the logs stand, and they fetch what they lack.
//! They tell it nothing any more, so that it never knows whether they have it, and offers it on each connection.

use mesto_governance::action::{Action, ContextLeft, ContextRef};
use mesto_governance::{ContextId, GroupId};
use mesto_oplog::LogId;
use mesto_sync::Peer;

use super::{LogOwner, Node, Turn};
use crate::command::{Acted, CommandError, Reply};
use crate::flow::Flow;
use crate::layout;
use crate::step::{Effect, Ticket};
use crate::store::Keyspace;

impl Node {
    /// Ends our identity in a context. What is here of it stays on the disk: whoever joins again goes on from there, under a
    /// new identity.
    pub(crate) fn leave_context(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        group: GroupId,
        id: ContextId,
    ) -> Result<(), CommandError> {
        let context = self.contexts.get(&id).filter(|context| !context.is_left);
        let identity = context.map(|context| context.identity.public()).ok_or(CommandError::NotJoined(id))?;
        let is_bound = self.groups.get(&group).is_some_and(|group| group.has_identity(&id, &identity));
        let before = turn.step.batches.len();
        if is_bound {
            let keep = self.kept_in(turn, &id, |author| *author == identity);
            let left = ContextLeft { context: ContextRef::Id(id), identity, keep };
            self.decide_in_context(turn, ticket, (group, id), vec![Action::ContextLeft(left)], "context left")?;
        }
        self.with_context(turn, &id, |context, work| {
            context.leave(work);
            if !is_bound {
                let acted = Acted { group, context: Some(id), member: None, op: group.genesis() };
                work.after(Effect::Reply(ticket, Box::new(Ok(Reply::Acted(acted)))));
            }
        });
        // Ahead of the op, so that no crash leaves an op which says that we left, and a record which says that we did not:
        // if only the record comes true, the identity is bound to us and unused, and a join makes another.
        if let Some(later) = turn.step.batches.get_mut(before..) {
            later.rotate_right(1);
        }
        self.check_left(turn, id.log());
        Ok(())
    }

    /// A context that we left rests once somebody else has what is here of it, or if nothing is.
    pub(crate) fn check_left(&mut self, turn: &mut Turn<'_>, log: LogId) {
        let Some(LogOwner::Context(id)) = self.logs.get(&log).copied() else { return };
        let Some(context) = self.contexts.get(&id).filter(|context| context.is_left) else { return };
        let group = context.group;
        let is_held = context.log.dag.count() == 0
            || self.members_online(&group).into_iter().any(|peer| self.has_all(turn, &peer, &id));
        if !is_held {
            return;
        }
        self.with_context(turn, &id, |context, work| work.remove(Keyspace::Meta, layout::left(&context.id)));
        if let Some(mut context) = self.contexts.remove(&id) {
            context.rest();
            self.resting.insert(id, context);
        }
        self.logs.remove(&log);
        self.fetches.remove(&log);
        // Gossip about a log that we do not follow is ignored, so the topic may stay until the next start.
        turn.report(Flow::here("f04", "left for good", id));
    }

    /// Whether a member that follows a context said that it holds all that is here of it.
    fn has_all(&self, turn: &Turn<'_>, peer: &Peer, id: &ContextId) -> bool {
        let (Some(context), Some(session)) = (self.contexts.get(id), self.sessions.get(peer)) else { return false };
        let view = context.flight.view(turn.snapshot);
        let summary = session.summaries.get(&id.log()).filter(|_| self.reads_context(peer, &context.group, id));
        summary.is_some_and(|summary| context.log.is_within(&view, &summary.heads))
    }
}
