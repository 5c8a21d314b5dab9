//! What members decide about a context: who may be in it, its name, and whether it is there at all.

use mesto_governance::action::{
    Action, Alias, AliasSet, ContextAllowed, ContextDetached, ContextDisallowed, ContextRef, ContextVisibilitySet,
    KEEP_MAX, Kept, Visibility,
};
use mesto_governance::{ContextId, GroupId, GroupState};
use mesto_oplog::PublicKey;

use super::lookup::member;
use super::{LogOwner, Node, Turn};
use crate::command::{CommandError, ContextAct, Reply, Seat, Selector};
use crate::group::keys::reads;
use crate::step::Ticket;

impl Node {
    /// Decides something about a context.
    pub(crate) fn context_act(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        selector: &Selector,
        act: ContextAct,
    ) -> Result<(), CommandError> {
        let id = self.context_id(selector)?;
        let group = self.group_of_context(&id)?;
        let state = self.state_of(&group)?;
        let context = ContextRef::Id(id);
        let members = |who: &[Selector]| who.iter().map(|who| member(state, who)).collect::<Result<Vec<_>, _>>();
        let (actions, step) = match act {
            ContextAct::Allow(who) => {
                let allow = |member| Action::ContextAllowed(ContextAllowed { context, member });
                (members(&who)?.into_iter().map(allow).collect(), "members allowed")
            }
            ContextAct::Disallow(who) => {
                let disallow = |member| {
                    let keep = self.kept_in(turn, &id, |author| self.is_identity_of(&group, &id, author, &member));
                    Action::ContextDisallowed(ContextDisallowed { context, member, keep })
                };
                (members(&who)?.into_iter().map(disallow).collect(), "members disallowed")
            }
            ContextAct::Restrict(restricted) => {
                let keep = if restricted { self.kept_in(turn, &id, |_| true) } else { Vec::new() };
                let visibility = if restricted { Visibility::Restricted } else { Visibility::Open };
                let set = ContextVisibilitySet { context, visibility, keep };
                (vec![Action::ContextVisibilitySet(set)], "visibility set")
            }
            ContextAct::Name(name) => {
                let set = AliasSet { subject: Alias::Context(context), name };
                (vec![Action::AliasSet(set)], "context named")
            }
            ContextAct::Detach => {
                let keep = self.kept_in(turn, &id, |_| true);
                (vec![Action::ContextDetached(ContextDetached { context, keep })], "context detached")
            }
            ContextAct::Leave => return self.leave_context(turn, ticket, group, id),
        };
        self.decide_in_context(turn, ticket, (group, id), actions, step)
            .inspect_err(|_| self.report_kept_out(turn, &group, id))
    }

    /// The last accepted deltas of a context's chains whose authors `of` accepts.
    pub(crate) fn kept_in(&self, turn: &Turn<'_>, id: &ContextId, of: impl Fn(&PublicKey) -> bool) -> Vec<Kept> {
        let Some(context) = self.contexts.get(id) else { return Vec::new() };
        let view = context.flight.view(turn.snapshot);
        let mut kept: Vec<Kept> =
            context.last_accepted(&view, of).into_iter().map(|delta| Kept { context: *id, delta }).collect();
        kept.sort_unstable();
        kept.dedup();
        kept.truncate(KEEP_MAX);
        kept
    }

    fn is_identity_of(&self, group: &GroupId, id: &ContextId, author: &PublicKey, member: &PublicKey) -> bool {
        let row = self.groups.get(group).and_then(|group| group.state()).and_then(|state| state.context(id));
        row.is_some_and(|row| row.member_of(author) == Some(*member))
    }

    /// The group that a context is registered in.
    pub(crate) fn group_of_context(&self, id: &ContextId) -> Result<GroupId, CommandError> {
        let registered =
            self.groups.values().find(|group| group.state().is_some_and(|state| state.context(id).is_some()));
        registered.map(|group| group.id).ok_or(CommandError::NotJoined(*id))
    }

    /// Who has a place in a context: its identities' members, and its allowlist.
    pub(crate) fn seats(&self, selector: &Selector) -> Result<Reply, CommandError> {
        let id = self.context_id(selector)?;
        let state = self.state_of(&self.group_of_context(&id)?)?;
        let row = state.context(&id).ok_or(CommandError::NotJoined(id))?;
        let mut members: Vec<PublicKey> =
            row.identities().map(|(_, member)| member).chain(row.allowlist().copied()).collect();
        members.sort_unstable();
        members.dedup();
        let seat = |member: PublicKey| {
            let standing = state.member(&member);
            let identities: Vec<PublicKey> =
                row.identities().filter(|(_, of)| *of == member).map(|(identity, _)| *identity).collect();
            Seat {
                member,
                alias: standing.as_ref().map(|row| row.alias.clone()).filter(|alias| !alias.is_empty()),
                role: standing.as_ref().map(|row| row.role),
                allowed: row.is_allowed(&member),
                reads: reads(state, &member, Some(id)),
                writes: identities.iter().any(|identity| state.may_write(id, identity).is_ok()),
                identities,
            }
        };
        Ok(Reply::Seats(members.into_iter().map(seat).collect()))
    }

    /// Whether a peer may hear of a log: of a group's its members and those of the groups below, of a Restricted
    /// context's those who may read it.
    pub(crate) fn may_hear(&self, peer: &mesto_sync::Peer, log: &mesto_oplog::LogId) -> bool {
        let Some(id) = self.group_of(log) else { return false };
        if !self.is_member_peer(peer, &id) {
            return *log == id.log() && self.is_member_below(peer, &id);
        }
        let Some(LogOwner::Context(context)) = self.logs.get(log) else { return true };
        let member = self.sessions.get(peer).and_then(|session| session.claims.get(&id));
        let state = self.groups.get(&id).and_then(|group| group.state());
        let (Some(member), Some(state)) = (member, state) else { return false };
        may_hear_of(state, context, member)
    }
}

/// Whether a member may hear of a context's log.
pub(super) fn may_hear_of(state: &GroupState, context: &ContextId, member: &PublicKey) -> bool {
    state.context(context).is_none_or(|row| row.visibility() == Visibility::Open || row.is_allowed(member))
}
