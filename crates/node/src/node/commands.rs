//! What people and their programs ask.

use mesto_governance::action::{Action, InvitationCreated, UpgradePolicy};
use mesto_governance::ticket::Ticket;
use mesto_governance::{Capabilities, ContextId, GroupId, GroupState, InvitationId, Right, Role};
use mesto_oplog::{PublicKey, SigningKey};
use mesto_sync::Saying;

use super::creations::Plan;
use super::founding::Foundation;
use super::infos::{delta_line, members, op_line};
use super::lookup::{find, unknown};
use super::{Node, Turn};
use crate::command::{Command, CommandError, ContextInfo, Noun, Policy, Reply, Selector, Status, SyncInfo};
use crate::context::{Context, WaitingCall};
use crate::flow::Flow;
use crate::group::Group;
use crate::step::Effect;

/// Lines that a log shows at once.
const LOG_LINES_MAX: usize = 100;
/// Longest time until an invitation expires, in milliseconds: a year.
const EXPIRES_MS_MAX: u64 = 366 * 24 * 60 * 60 * 1000;

impl Node {
    pub(crate) fn command(&mut self, turn: &mut Turn<'_>, ticket: crate::step::Ticket, command: Command) {
        let reply = match command {
            Command::Status => Ok(Some(Reply::Status(self.status()))),
            Command::GroupCreate { name, application, parent, policy } => {
                let (application, parent) = (application.as_ref(), parent.as_ref());
                self.group_create(turn, ticket, Foundation { name, application, parent, policy }).map(|()| None)
            }
            Command::Why { group, member, right } => self.why(&group, &member, &right).map(|why| Some(Reply::Why(why))),
            Command::GroupList => {
                Ok(Some(Reply::Groups(self.groups.values().filter_map(|g| self.group_info(g)).collect())))
            }
            Command::GroupShow(selector) => self.group(&selector).and_then(|group| {
                let info = self.group_info(group).ok_or(CommandError::KeyMissing(group.id))?;
                Ok(Some(Reply::Groups(vec![info])))
            }),
            Command::MemberList(selector) => self.group(&selector).map(|group| Some(Reply::Members(members(group)))),
            Command::Whoami(selector) => self.whoami(selector.as_ref()).map(|who| Some(Reply::Whoami(who))),
            Command::NewCard => self.new_card(turn, ticket).map(|()| None),
            Command::GroupAct { group, act } => self.group_act(turn, ticket, &group, act).map(|()| None),
            Command::ContextAct { context, act } => self.context_act(turn, ticket, &context, act).map(|()| None),
            Command::InvitationList(selector) => self.invitations(&selector).map(Some),
            Command::ContextMembers(selector) => self.seats(&selector).map(Some),
            Command::Invite { group, role, capabilities, expires_ms, uses } => {
                self.invite(turn, ticket, &group, role, capabilities, expires_ms, uses).map(|()| None)
            }
            Command::Join { ticket: text, contexts_all } => self.join(turn, &text, contexts_all).and_then(|group| {
                let info = self.join_info(&group).ok_or(CommandError::Stopping)?;
                self.with_own(turn, |work| work.after(Effect::Reply(ticket, Box::new(Ok(Reply::Joining(info))))));
                Ok(None)
            }),
            Command::JoinStatus(group) => self
                .join_info(&group)
                .map(|info| Some(Reply::Joining(info)))
                .ok_or_else(|| unknown(Noun::Group, &group.to_string())),
            Command::ContextCreate { group, application, name, restricted, init } => {
                let plan = Plan { name, restricted, init };
                self.context_create(turn, ticket, &group, application.as_ref(), plan).map(|()| None)
            }
            Command::ContextJoin(selector) => self.context_join(turn, ticket, &selector).map(|()| None),
            Command::ContextList(selector) => {
                self.context_list(selector.as_ref()).map(|list| Some(Reply::Contexts(list)))
            }
            Command::ContextShow(selector) => self.context_id(&selector).map(|id| {
                let reply = Reply::Contexts(self.context_info(&id).into_iter().collect());
                self.reply_once_durable(turn, ticket, &id, reply)
            }),
            Command::Call { context, method, args, identity } => {
                self.call(turn, ticket, &context, method, args, identity.as_ref()).map(|()| None)
            }
            Command::Say { context, saying } => self.say(turn, &context, saying).map(|()| Some(Reply::Said)),
            Command::Resolve(selector) => self.callable(&selector).map(Some).inspect_err(|error| {
                if let CommandError::NotReady(id) = error {
                    self.with_context(turn, id, Context::resume_init);
                }
            }),
            Command::Sync { context, peer } => {
                self.sync_now(turn, &context, peer.as_deref()).map(|i| Some(Reply::Sync(i)))
            }
            Command::SyncStatus(selector) => self.context_id(&selector).and_then(|id| {
                let info = self.sync_info(&id).ok_or(CommandError::NotJoined(id))?;
                Ok(self.reply_once_durable(turn, ticket, &id, Reply::Sync(info)))
            }),
            Command::GroupLog(selector) => self.group(&selector).map(|group| {
                let view = group.flight.view(turn.snapshot);
                Some(Reply::Log(group.log.newest(&view, LOG_LINES_MAX).iter().map(op_line).collect()))
            }),
            Command::ContextLog(selector) => self.context(&selector).map(|context| {
                let view = context.flight.view(turn.snapshot);
                Some(Reply::Log(context.log.newest(&view, LOG_LINES_MAX).iter().map(delta_line).collect()))
            }),
        };
        match reply {
            Ok(None) => {}
            Ok(Some(reply)) => turn.effect(Effect::Reply(ticket, Box::new(Ok(reply)))),
            Err(error) => Self::refuse(turn, ticket, error),
        }
    }

    /// Says how a context stands once that is on disk: views read what is durable, and whoever has been told of a
    /// root may expect to read what it stands for. Gives the reply back if there is nothing to wait for.
    fn reply_once_durable(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: crate::step::Ticket,
        context: &ContextId,
        reply: Reply,
    ) -> Option<Reply> {
        if !self.contexts.contains_key(context) {
            return Some(reply);
        }
        self.after_durable(turn, &context.log(), Effect::Reply(ticket, Box::new(Ok(reply))));
        None
    }

    fn status(&self) -> Status {
        let parked = self.groups.values().map(|group| group.log.parked());
        let parked = parked.chain(self.contexts.values().map(|context| context.log.parked())).sum();
        let pending = self
            .joins
            .iter()
            .filter(|(id, join)| join.refused.is_none() && !self.groups.get(*id).is_some_and(Group::we_are_member));
        Status {
            groups: self.groups.values().filter(|group| group.we_are_member()).count() as u64,
            contexts: self.contexts.values().filter(|context| !context.is_left).count() as u64,
            pending_joins: pending.count() as u64,
            parked,
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one command")]
    fn invite(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: crate::step::Ticket,
        selector: &Selector,
        role: Role,
        capabilities: Option<Capabilities>,
        expires_ms: u64,
        uses: u32,
    ) -> Result<(), CommandError> {
        let group = self.member_group(selector)?;
        let id = group.id;
        if expires_ms == 0 || expires_ms > EXPIRES_MS_MAX {
            return Err(CommandError::Invalid("an invitation expires after 1 ms to 366 days".to_owned()));
        }
        let state = group.state().ok_or(CommandError::KeyMissing(id))?;
        let capabilities = capabilities.unwrap_or(state.default_capabilities());
        let group_name = state.name().to_owned();
        let secret: [u8; 32] = turn.entropy.bytes();
        let key = SigningKey::from_seed(&secret).public();
        let expires_at_ms = turn.time.wall_ms.saturating_add(expires_ms);
        let action = Action::InvitationCreated(InvitationCreated { key, role, capabilities, expires_at_ms, uses });
        let mut addresses = self.listening.clone();
        addresses.truncate(mesto_governance::ticket::ADDRESSES_MAX);
        let peer = self.peer.as_bytes().to_vec();
        self.with_group(turn, &id, |group, work| {
            let op = group.author(work, vec![action])?;
            let invitation = InvitationId::of_action(op, 0);
            let text = Ticket { group: id, invitation, secret, peer, addresses, group_name, expires_at_ms }
                .to_text()
                .map_err(|e| CommandError::Invalid(e.to_string()))?;
            let reply = Reply::Invited { ticket: text, invitation, expires_at_ms };
            work.after(Effect::Reply(ticket, Box::new(Ok(reply))));
            Ok(())
        })
        .unwrap_or(Err(CommandError::Stopping))?;
        turn.report(Flow::here("f03", "invitation created", id));
        self.touched(turn, id.log());
        Ok(())
    }

    fn whoami(&self, selector: Option<&Selector>) -> Result<Vec<(GroupId, PublicKey)>, CommandError> {
        match selector {
            Some(selector) => self.group(selector).map(|group| vec![(group.id, group.member.public())]),
            None => Ok(self.groups.values().map(|group| (group.id, group.member.public())).collect()),
        }
    }

    fn context_create(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: crate::step::Ticket,
        group: &Selector,
        application: Option<&Selector>,
        plan: Plan,
    ) -> Result<(), CommandError> {
        let group = self.member_group(group)?;
        let state = group.state().ok_or(CommandError::KeyMissing(group.id))?;
        state
            .can(&group.member.public(), Right::CreateContexts)
            .map_err(|denied| CommandError::Denied(denied.to_string()))?;
        let app = match application {
            Some(selector) => self.application(selector)?,
            None => {
                let target = state.target().ok_or(CommandError::NoApplication)?;
                let release = &target.set.release;
                let installed = self.installed.get(&release.version).cloned();
                installed.ok_or_else(|| CommandError::ApplicationAwaited(release.package.clone()))?
            }
        };
        let id = group.id;
        self.create_context(turn, ticket, id, app, plan)
    }

    fn context_join(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: crate::step::Ticket,
        selector: &Selector,
    ) -> Result<(), CommandError> {
        let id = self.context_id(selector)?;
        let identity = self.join_context(turn, id)?;
        let group = self.contexts.get(&id).map(|context| context.group).ok_or(CommandError::NotJoined(id))?;
        // The op that binds our identity is written last.
        self.with_group(turn, &group, |_, work| {
            work.after(Effect::Reply(ticket, Box::new(Ok(Reply::ContextCreated { context: id, identity }))));
        });
        Ok(())
    }

    fn context_list(&self, selector: Option<&Selector>) -> Result<Vec<ContextInfo>, CommandError> {
        let of = selector.map(|selector| self.group(selector)).transpose()?.map(|group| group.id);
        let known = self.groups.values().filter(|group| of.is_none_or(|of| of == group.id));
        let ids: Vec<ContextId> =
            known.filter_map(Group::state).flat_map(GroupState::contexts).map(|row| row.id).collect();
        Ok(ids.iter().filter_map(|id| self.context_info(id)).collect())
    }

    fn call(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: crate::step::Ticket,
        selector: &Selector,
        method: String,
        args: Vec<u8>,
        identity: Option<&Selector>,
    ) -> Result<(), CommandError> {
        let context = self.context(selector)?;
        let id = context.id;
        if let Some(identity) = identity {
            let own = context.identity.public();
            find(Noun::Identity, identity, [(own, None)])?;
        }
        if context.bundle.is_none() {
            // Nobody gives the app to whoever is out: it is not on its way.
            let own = context.identity.public();
            let state = context.governance.as_ref().map(|view| view.governance.state());
            let denied = state.and_then(|state| state.may_read(id, &own).err());
            return Err(denied.map_or(CommandError::NotReady(id), |denied| CommandError::Denied(denied.to_string())));
        }
        self.with_context(turn, &id, |context, work| {
            context.enqueue(work, WaitingCall { ticket: Some(ticket), method, args, is_init: false });
            context.pump(work);
        });
        Ok(())
    }

    fn say(&mut self, turn: &mut Turn<'_>, selector: &Selector, saying: Saying) -> Result<(), CommandError> {
        let id = self.context(selector)?.id;
        self.with_context(turn, &id, |context, work| context.say(work, saying))
            .unwrap_or(Err(CommandError::NotJoined(id)))
    }

    fn sync_now(
        &mut self,
        turn: &mut Turn<'_>,
        selector: &Selector,
        peer: Option<&str>,
    ) -> Result<SyncInfo, CommandError> {
        let (id, group) = self.context(selector).map(|context| (context.id, context.group))?;
        let log = id.log();
        for online in self.members_online(&group) {
            if peer.is_some_and(|peer| peer != online.to_string()) {
                continue;
            }
            if let Some(session) = self.sessions.get_mut(&online) {
                session.told.remove(&log);
            }
            self.tell(turn, online, log);
        }
        self.sync_info(&id).ok_or(CommandError::NotJoined(id))
    }

    fn callable(&self, selector: &Selector) -> Result<Reply, CommandError> {
        let context = self.context(selector)?;
        let bundle = context.bundle.ok_or(CommandError::NotReady(context.id))?;
        if context.log.dag.count() == 0 {
            return Err(CommandError::NotReady(context.id));
        }
        Ok(Reply::Callable { context: context.id, identity: context.identity.public(), bundle })
    }
}

impl From<Policy> for UpgradePolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Automatic => Self::Automatic,
            Policy::Coordinated => Self::Coordinated,
            Policy::Lazy => Self::LazyOnAccess,
        }
    }
}

impl From<UpgradePolicy> for Policy {
    fn from(policy: UpgradePolicy) -> Self {
        match policy {
            UpgradePolicy::Automatic => Self::Automatic,
            UpgradePolicy::Coordinated => Self::Coordinated,
            UpgradePolicy::LazyOnAccess => Self::Lazy,
        }
    }
}
