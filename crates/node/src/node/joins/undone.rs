//! Joins that were undone: we were let in by somebody who, as it came out since, had no right to any more.
//!
//! Nobody wanted us out, so where the invitation is still good we present our claim again, as if nobody had taken it yet.
//! Else the join ends as one that was refused does.

use mesto_governance::GroupId;
use mesto_governance::ticket::Ticket;

use crate::flow::Flow;
use crate::group::Group;
use crate::node::{Node, Turn};

impl Node {
    /// Goes on with the join of a group if it was undone, or ends it.
    pub(crate) fn join_again(&mut self, turn: &mut Turn<'_>, id: GroupId) {
        let Some(join) = self.joins.get(&id).filter(|join| join.caught_up && join.refused.is_none()) else { return };
        let (Ok(ticket), Some(group)) = (join.ticket.parse::<Ticket>(), self.groups.get(&id)) else { return };
        let us = group.member.public();
        if !group.governance.as_ref().is_some_and(|governance| governance.was_undone(&us)) {
            return;
        }
        let mut record = join.clone();
        record.refused = why_not_again(group, &ticket, turn.time.wall_ms)
            .map(|why| format!("whoever let us in had no right to any more, and {why}"));
        record.caught_up = record.refused.is_some();
        self.save_join(turn, id, record);
        turn.report(Flow::here("f03", "the join was undone", id));
        self.continue_join(turn, id);
    }
}

/// Why nobody can be let in by an invitation any more, if so.
fn why_not_again(group: &Group, ticket: &Ticket, now_ms: u64) -> Option<&'static str> {
    let state = group.state().filter(|state| state.is_there());
    let Some(row) = state.and_then(|state| state.invitation(&ticket.invitation)) else {
        return Some("the invitation counts no more");
    };
    if row.is_revoked {
        Some("the invitation was revoked")
    } else if row.used >= row.uses {
        Some("the invitation has been used up")
    } else if row.expires_at_ms <= now_ms {
        Some("the invitation has expired")
    } else {
        None
    }
}
