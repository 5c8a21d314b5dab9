//! Joins that were undone: we were let in by somebody who, as it came out since, had no right to any more.
//!
//! Nobody wanted us out, so where the invitation is still good we present our claim again, as if nobody had taken it yet.

use mesto_governance::GroupId;
use mesto_governance::ticket::Ticket;

use super::{Node, Turn};
use crate::flow::Flow;
use crate::group::Group;

impl Node {
    /// Goes on with the join of a group if it was undone.
    pub(crate) fn join_again(&mut self, turn: &mut Turn<'_>, id: GroupId) {
        let Some(join) = self.joins.get(&id).filter(|join| join.caught_up && join.refused.is_none()) else { return };
        let Ok(ticket) = join.ticket.parse::<Ticket>() else { return };
        if !self.groups.get(&id).is_some_and(|group| was_undone(group, &ticket, turn.time.wall_ms)) {
            return;
        }
        let mut record = join.clone();
        record.caught_up = false;
        self.save_join(turn, id, record);
        turn.report(Flow::here("f03", "the join was undone", id));
        self.continue_join(turn, id);
    }
}

fn was_undone(group: &Group, ticket: &Ticket, now_ms: u64) -> bool {
    let Some(governance) = &group.governance else { return false };
    let invitation = governance.state().invitation(&ticket.invitation).filter(|_| governance.state().is_there());
    governance.was_undone(&group.member.public())
        && invitation.is_some_and(|row| !row.is_revoked && row.used < row.uses && row.expires_at_ms > now_ms)
}
