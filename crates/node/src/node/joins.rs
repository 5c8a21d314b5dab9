//! Becoming a member, and becoming part of contexts.

mod undone;

use mesto_governance::action::{Action, Alias, AliasSet, ContextRef, JoinByInvitation, PeerHint, Visibility};
use mesto_governance::claim::Claim;
use mesto_governance::ticket::Ticket;
use mesto_governance::{ContextId, GroupId};
use mesto_oplog::{Incarnation, LogId, SigningKey};
use mesto_sync::message::Refusal;
use mesto_sync::{Message, Peer};

use super::{LogOwner, Node, Timer, Turn};
use crate::command::{CommandError, JoinInfo};
use crate::context::Context;
use crate::flow::Flow;
use crate::group::Group;
use crate::layout;
use crate::record::{ContextRecord, GroupRecord, JoinRecord};
use crate::step::{Effect, Notice, Report};
use crate::store::Keyspace;
use crate::view::View;

/// How often a join is tried again, in milliseconds.
const JOIN_AGAIN_MS: u64 = 1_000;

impl Node {
    /// Takes a ticket: durable at once, and then tried until a member answers.
    pub(crate) fn join(
        &mut self,
        turn: &mut Turn<'_>,
        text: &str,
        contexts_all: bool,
    ) -> Result<GroupId, CommandError> {
        let ticket: Ticket =
            text.parse().map_err(|e: mesto_governance::ticket::TicketError| CommandError::BadTicket(e.to_string()))?;
        let id = ticket.group;
        let is_member = self.groups.get(&id).is_some_and(Group::we_are_member);
        if !is_member && ticket.expires_at_ms <= turn.time.wall_ms {
            return Err(CommandError::TicketExpired(ticket.expires_at_ms));
        }
        if !self.groups.contains_key(&id) {
            let record = GroupRecord {
                member_seed: turn.entropy.bytes(),
                sealing_seed: turn.entropy.bytes(),
                incarnation: Incarnation(turn.entropy.number()),
            };
            let number = self.number_of(&id.log());
            self.adopt_group(Group::new(id, number, record));
            self.with_group(turn, &id, |group, work| group.save_record(work));
            turn.effect(Effect::Subscribe(self.topic(&id.log())));
        }
        // Who asks again, perhaps only to wait, still wants what was asked for before.
        let contexts_all = contexts_all || self.joins.get(&id).is_some_and(|join| join.contexts_all && !join.caught_up);
        let record = JoinRecord { ticket: text.to_owned(), contexts_all, refused: None, caught_up: false };
        self.save_join(turn, id, record);
        if let Ok(peer) = <[u8; 32]>::try_from(ticket.peer.as_slice()) {
            self.remember_peer(turn, Peer::from_bytes(peer), &ticket.addresses);
        }
        self.hello_again(turn, id);
        self.continue_join(turn, id);
        self.check_caught_up(turn, id.log());
        Ok(id)
    }

    fn save_join(&mut self, turn: &mut Turn<'_>, id: GroupId, record: JoinRecord) {
        if let Ok(bytes) = borsh::to_vec(&record) {
            self.with_own(turn, |work| work.put(Keyspace::Meta, layout::join(&id), bytes));
        }
        self.joins.insert(id, record);
    }

    /// Asks every connected member that may help, until we are a member.
    pub(crate) fn continue_join(&mut self, turn: &mut Turn<'_>, id: GroupId) {
        let Some(join) = self.joins.get(&id) else { return };
        if join.refused.is_some() || join.caught_up {
            return;
        }
        for peer in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.ask_to_join(turn, peer, id);
        }
        self.timers.set(Timer::Join(id), turn.time.wall_ms + JOIN_AGAIN_MS);
    }

    /// Presents the claim of a pending join to a peer that knows the group. A join that was complete once is over, also for
    /// somebody who has been removed since.
    pub(crate) fn ask_to_join(&mut self, turn: &mut Turn<'_>, peer: Peer, id: GroupId) {
        let (Some(join), Some(group)) = (self.joins.get(&id), self.groups.get(&id)) else { return };
        let knows = self.sessions.get(&peer).is_some_and(|session| session.claims.contains_key(&id));
        let is_over = join.refused.is_some() || join.caught_up;
        if is_over || group.we_are_member() || !knows {
            return;
        }
        let Ok(ticket) = join.ticket.parse::<Ticket>() else { return };
        let claim = Claim::new(
            id,
            ticket.invitation,
            &ticket.key(),
            &group.member,
            group.sealing.public(),
            PeerHint(self.peer.as_bytes().to_vec()),
        );
        // The keys of the claim must be in the store before anybody countersigns them.
        let message = Message::Join { group: id.log(), claim };
        self.after_durable(turn, &id.log(), Effect::Send(peer, crate::step::Lane::Sync, message));
        turn.report(Flow::to("f03", "claim presented", peer, id));
    }

    /// A joiner presents a claim: countersign it if the invitation is good.
    pub(crate) fn join_asked(&mut self, turn: &mut Turn<'_>, peer: Peer, id: GroupId, claim: Claim) {
        let now = turn.time.wall_ms;
        turn.report(Flow::from("f03", "claim", peer, claim.joiner));
        let Some(group) = self.groups.get(&id) else { return };
        let answer = |turn: &mut Turn<'_>, node: &mut Self, refused: Option<Refusal>| {
            let message = Message::Joined { group: id.log(), refused };
            node.after_durable(turn, &id.log(), Effect::Send(peer, crate::step::Lane::Sync, message));
        };
        if group.is_member(&claim.joiner) {
            return answer(turn, self, None);
        }
        let refused = |is_final, reason: &str| Some(Refusal { is_final, reason: reason.to_owned() });
        let Some(state) = group.state().filter(|_| group.we_are_member()) else {
            return answer(turn, self, refused(false, "this node is not a member yet"));
        };
        if state.is_deleted() {
            return answer(turn, self, refused(true, "the group was ended"));
        }
        let Some(invitation) = state.invitation(&claim.invitation) else {
            return answer(turn, self, refused(false, "this node does not know the invitation yet"));
        };
        if invitation.expires_at_ms <= now {
            return answer(turn, self, refused(true, "the invitation has expired"));
        }
        if invitation.is_revoked {
            return answer(turn, self, refused(true, "the invitation was revoked"));
        }
        if invitation.used >= invitation.uses {
            return answer(turn, self, refused(true, "the invitation has been used up"));
        }
        if let Err(error) = claim.verify(id, &invitation.key) {
            return answer(turn, self, refused(true, &error.to_string()));
        }
        let joiner = claim.joiner;
        let authored = self.with_group(turn, &id, |group, work| {
            group.author(work, vec![Action::JoinByInvitation(JoinByInvitation { claim })])
        });
        match authored {
            Some(Ok(_)) => {
                turn.report(Flow::here("f03", "claim countersigned", joiner));
                turn.report(Flow::to("f03", "let in", peer, id));
                self.touched(turn, id.log());
                answer(turn, self, None);
            }
            // The rules of the group refuse it: the inviter may not invite any more, or the joiner was removed since.
            Some(Err(CommandError::Denied(why) | CommandError::Invalid(why))) => {
                answer(turn, self, refused(true, &why));
            }
            Some(Err(error)) => answer(turn, self, refused(false, &error.to_string())),
            None => {}
        }
    }

    pub(crate) fn join_answered(&mut self, turn: &mut Turn<'_>, peer: Peer, id: GroupId, refused: Option<Refusal>) {
        let Some(join) = self.joins.get(&id) else { return };
        let knows = self.sessions.get(&peer).is_some_and(|session| session.claims.contains_key(&id));
        if !knows || self.groups.get(&id).is_none_or(Group::we_are_member) {
            return;
        }
        let said = if refused.is_none() { "let in" } else { "refused" };
        turn.report(Flow::from("f03", said, peer, id));
        match refused {
            None => self.fetch_from(turn, id.log(), peer),
            Some(refusal) if refusal.is_final => {
                let mut record = join.clone();
                record.refused = Some(refusal.reason);
                self.save_join(turn, id, record);
            }
            Some(_) => {}
        }
    }

    /// How far a join is.
    pub(crate) fn join_info(&self, id: &GroupId) -> Option<JoinInfo> {
        let group = self.groups.get(id)?;
        let join = self.joins.get(id);
        let joined = group.we_are_member();
        let contexts: Vec<(ContextId, bool)> = self
            .contexts
            .values()
            .filter(|context| context.group == *id && !context.is_left && !self.is_shut_out(&context.id.log()))
            .map(|context| (context.id, context.record.caught_up && context.bundle.is_some()))
            .collect();
        let caught_up = join.is_none_or(|join| join.caught_up);
        Some(JoinInfo {
            group: *id,
            member: group.member.public(),
            joined,
            ready: joined && caught_up && group.is_key_held(),
            contexts,
            refused: join.filter(|_| !joined).and_then(|join| join.refused.clone()),
        })
    }

    /// Whether a log now holds all that some member had: then a join is complete, or a context ready.
    pub(crate) fn check_caught_up(&mut self, turn: &mut Turn<'_>, log: LogId) {
        match self.logs.get(&log).copied() {
            Some(LogOwner::Group(id)) => self.check_group_caught_up(turn, id),
            Some(LogOwner::Context(id)) => {
                self.check_context_caught_up(turn, id);
                self.check_left(turn, log);
            }
            None => {}
        }
    }

    fn holds_all_of_a_member(&self, turn: &Turn<'_>, log: &LogId) -> bool {
        let Some(group) = self.group_of(log) else { return false };
        let (of, flight) = match self.logs.get(log) {
            Some(LogOwner::Group(id)) => match self.groups.get(id) {
                Some(group) => (&group.log, &group.flight),
                None => return false,
            },
            Some(LogOwner::Context(id)) => match self.contexts.get(id) {
                Some(context) => (&context.log, &context.flight),
                None => return false,
            },
            None => return false,
        };
        let view = flight.view(turn.snapshot);
        self.members_online(&group).iter().any(|peer| {
            self.sessions.get(peer).and_then(|session| session.summaries.get(log)).is_some_and(|summary| {
                !summary.heads.is_empty() && summary.heads.iter().all(|head| of.holds(&view, head))
            })
        })
    }

    fn check_group_caught_up(&mut self, turn: &mut Turn<'_>, id: GroupId) {
        let Some(mut join) = self.joins.get(&id).filter(|join| !join.caught_up).cloned() else { return };
        let Some(group) = self.groups.get(&id) else { return };
        if !group.we_are_member() || !group.is_key_held() || !self.holds_all_of_a_member(turn, &id.log()) {
            return;
        }
        let contexts_all = join.contexts_all;
        join.caught_up = true;
        self.save_join(turn, id, join);
        turn.report(Flow::here("f03", "log and key held", id));
        self.introduce_ourselves(turn, id);
        if contexts_all {
            let open: Vec<ContextId> = self
                .groups
                .get(&id)
                .and_then(Group::state)
                .map(|state| {
                    state.contexts().filter(|row| row.visibility() == Visibility::Open).map(|row| row.id).collect()
                })
                .unwrap_or_default();
            for context in open {
                // A context that we may not join is not part of what was asked for.
                let _ = self.join_context(turn, context);
            }
        }
    }

    /// Takes our name as an alias in a group that we have joined, if we have none there.
    fn introduce_ourselves(&mut self, turn: &mut Turn<'_>, id: GroupId) {
        let Some(name) = self.name.clone() else { return };
        let authored = self.with_group(turn, &id, |group, work| {
            let us = group.member.public();
            let row = group.state().and_then(|state| state.member(&us)).filter(|row| row.alias.is_empty())?;
            let subject = Alias::Member(row.member);
            Some(group.author(work, vec![Action::AliasSet(AliasSet { subject, name })]))
        });
        match authored.flatten() {
            Some(Ok(op)) => {
                turn.report(Flow::to_all("f12", "our name", op));
                self.touched(turn, id.log());
            }
            Some(Err(error)) => {
                turn.report(Report::Refused { entry: mesto_oplog::EntryId::default(), reason: error.to_string() });
            }
            None => {}
        }
    }

    fn check_context_caught_up(&mut self, turn: &mut Turn<'_>, id: ContextId) {
        let Some(context) = self.contexts.get(&id) else { return };
        if context.record.caught_up || context.is_left || context.is_shut_out || context.log.dag.count() == 0 {
            return;
        }
        if !self.is_only_reader(&id) && !self.holds_all_of_a_member(turn, &id.log()) {
            return;
        }
        turn.report(Flow::here("f04", "state equals a member's", id));
        self.with_context(turn, &id, |context, work| {
            context.record.caught_up = true;
            context.save_record(work);
            work.after(Effect::Emit(Notice::SyncStatus {
                context: context.id,
                group: context.group,
                root: context.root.0,
            }));
        });
    }

    /// Whether nobody else reads a context: then nobody has more of it than we.
    fn is_only_reader(&self, id: &ContextId) -> bool {
        let Some(context) = self.contexts.get(id) else { return false };
        let Some(state) = self.groups.get(&context.group).and_then(Group::state) else { return false };
        let us = context.identity.public();
        state.context(id).is_some_and(|row| {
            row.identities().all(|(identity, _)| *identity == us || state.may_read(*id, identity).is_err())
        })
    }

    /// The readers of a group's contexts may have become other ones.
    pub(crate) fn check_contexts_caught_up(&mut self, turn: &mut Turn<'_>, group: GroupId) {
        let waiting = self.contexts.values().filter(|context| context.group == group && !context.record.caught_up);
        for id in waiting.map(|context| context.id).collect::<Vec<_>>() {
            self.check_context_caught_up(turn, id);
        }
    }

    /// Joins a context: binds a new identity to us and begins to follow its log.
    pub(crate) fn join_context(
        &mut self,
        turn: &mut Turn<'_>,
        id: ContextId,
    ) -> Result<mesto_oplog::PublicKey, CommandError> {
        if let Some(context) = self.contexts.get(&id).filter(|context| !context.is_left) {
            let (identity, group) = (context.identity.public(), context.group);
            // A crash can have taken the op that bound it.
            if self.groups.get(&group).is_some_and(|group| !group.has_identity(&id, &identity)) {
                self.bind_again(turn, id, group)?;
            }
            return Ok(identity);
        }
        let found = self.groups.values().find_map(|group| Some((group.id, group.state()?.context(&id)?.nonce)));
        let Some((group_id, nonce)) = found else { return Err(CommandError::NotJoined(id)) };
        let mut record = ContextRecord {
            group: *group_id.as_bytes(),
            identity_seed: turn.entropy.bytes(),
            incarnation: Incarnation(turn.entropy.number()),
            init: None,
            caught_up: false,
            joined_by: None,
        };
        let identity = SigningKey::from_seed(&record.identity_seed);
        let before = turn.step.batches.len();
        let op = self
            .with_group(turn, &group_id, |group, work| {
                let action = group.join_context(ContextRef::Id(id), &nonce, &identity);
                group.author(work, vec![action])
            })
            .unwrap_or(Err(CommandError::NotJoined(id)))
            .inspect_err(|_| self.report_kept_out(turn, &group_id, id))?;
        record.joined_by = Some(op);
        turn.report(Flow::here("f04", "identity bound", identity.public()));
        turn.report(Flow::to_all("f04", "op published", op));
        self.begin_context(turn, id, record, before)?;
        self.touched(turn, group_id.log());
        Ok(identity.public())
    }

    pub(crate) fn report_kept_out(&self, turn: &mut Turn<'_>, group: &GroupId, id: ContextId) {
        let row = self.groups.get(group).and_then(Group::state).and_then(|state| state.context(&id));
        if row.is_some_and(|row| row.visibility() == Visibility::Restricted) {
            turn.report(Flow::here("f19", "kept out of what is restricted", id));
        }
    }

    /// Makes the machine of a context that we are part of. Its record, and in it the secret of our identity,
    /// goes to the disk ahead of the batches from `before` on: a crash between them must not leave an op that
    /// binds an identity which nobody has.
    pub(crate) fn begin_context(
        &mut self,
        turn: &mut Turn<'_>,
        id: ContextId,
        record: ContextRecord,
        before: usize,
    ) -> Result<(), CommandError> {
        let context = if let Some(mut context) = self.contexts.remove(&id) {
            context.rejoin(record);
            context
        } else if let Some(mut context) = self.resting.remove(&id) {
            context.rejoin(record);
            // Others may have written since it was left for good.
            context.record.caught_up = false;
            context
        } else {
            // We may have been in it before the last start.
            let view = View::durable(std::sync::Arc::clone(turn.snapshot));
            let number = self.number_of(&id.log());
            Context::open(&view, id, number, record).map_err(CommandError::Invalid)?
        };
        let is_back = context.log.dag.count() > 0 && !context.record.caught_up;
        let group = context.group;
        self.adopt_context(context);
        let ours = self.peer;
        self.with_context(turn, &id, |context, work| {
            context.save_record(work);
            context.rejudge(work);
            // If we had left it: nobody told it since of what these wait for.
            context.readmit(work, ours);
        });
        self.look_for_missing(turn, id.log(), ours);
        if let Some(later) = turn.step.batches.get_mut(before..) {
            later.rotate_right(1);
        }
        turn.effect(Effect::Subscribe(self.topic(&id.log())));
        self.schedule_heartbeat(turn, id.log(), true);
        self.want_bundles(turn);
        if is_back {
            self.catch_up(turn, id);
        }
        for peer in self.members_online(&group) {
            self.tell(turn, peer, id.log());
        }
        Ok(())
    }

    /// A context whose binding op a crash took, or that a removal unbound and we are back, is bound again, with the same
    /// identity.
    pub(crate) fn rejoin_contexts(&mut self, turn: &mut Turn<'_>) {
        let unbound: Vec<(ContextId, GroupId)> = self
            .contexts
            .values()
            .filter(|context| !context.is_left)
            .filter(|context| {
                self.groups.get(&context.group).filter(|group| group.we_are_member()).is_some_and(|group| {
                    let known = group.state().is_some_and(|state| state.context(&context.id).is_some());
                    known && !group.has_identity(&context.id, &context.identity.public())
                })
            })
            .map(|context| (context.id, context.group))
            .collect();
        for (id, group_id) in unbound {
            if let Err(error) = self.bind_again(turn, id, group_id) {
                turn.report(Report::JoinFailed { context: id, reason: error.to_string() });
            }
        }
    }

    /// Binds the identity that we have in a context to us once more.
    fn bind_again(&mut self, turn: &mut Turn<'_>, id: ContextId, group_id: GroupId) -> Result<(), CommandError> {
        let identity = self.contexts.get(&id).map(|context| context.identity.clone());
        let identity = identity.ok_or(CommandError::NotJoined(id))?;
        let before = turn.step.batches.len();
        let op = self
            .with_group(turn, &group_id, |group, work| {
                let nonce = group.state().and_then(|state| state.context(&id)).map(|row| row.nonce);
                let action =
                    group.join_context(ContextRef::Id(id), &nonce.ok_or(CommandError::NotJoined(id))?, &identity);
                group.author(work, vec![action])
            })
            .unwrap_or(Err(CommandError::NotJoined(id)));
        // Ahead of the op, as when the context was begun.
        self.with_context(turn, &id, |context, work| {
            context.record.joined_by = op.as_ref().ok().copied().or(context.record.joined_by);
            context.save_record(work);
        });
        if let Some(later) = turn.step.batches.get_mut(before..) {
            later.rotate_right(1);
        }
        op.map(drop)
    }
}
