//! What people and their programs ask.

use mesto_governance::action::{
    Action, Alias, AliasSet, GroupCreated, InvitationCreated, PeerHint, TargetApplicationSet, UpgradePolicy,
    UpgradePolicySet, Visibility,
};
use mesto_governance::keys::EpochKey;
use mesto_governance::ticket::Ticket;
use mesto_governance::{Capabilities, ContextId, GroupId, GroupState, InvitationId, Op, Role};
use mesto_oplog::entry::Draft;
use mesto_oplog::id::{CANDIDATES_MAX, ID_PREFIX_LEN_MIN};
use mesto_oplog::{Incarnation, PublicKey, SigningKey, Verified};

use super::joins::release;
use super::{Node, Turn};
use crate::command::{
    AppVersion, Command, CommandError, ContextInfo, GroupInfo, LogLine, MemberInfo, Noun, Policy, Reply, Selector,
    Status, SyncInfo, SyncPeer,
};
use crate::context::{Context, WaitingCall};
use crate::group::{Group, genesis_header};
use crate::record::GroupRecord;
use crate::step::{Effect, Report};

/// Lines that a log shows at once.
const LOG_LINES_MAX: usize = 100;
/// Longest time until an invitation expires, in milliseconds: a year.
const EXPIRES_MS_MAX: u64 = 366 * 24 * 60 * 60 * 1000;

impl Node {
    pub(crate) fn command(&mut self, turn: &mut Turn<'_>, ticket: crate::step::Ticket, command: Command) {
        let reply = match command {
            Command::Status => Ok(Some(Reply::Status(self.status()))),
            Command::GroupCreate { name, application, policy } => {
                self.group_create(turn, ticket, name, application.as_ref(), policy).map(|()| None)
            }
            Command::GroupList => Ok(Some(Reply::Groups(self.groups.values().filter_map(|g| self.group_info(g)).collect()))),
            Command::GroupShow(selector) => self.group(&selector).map(|group| {
                Some(Reply::Groups(self.group_info(group).into_iter().collect()))
            }),
            Command::MemberList(selector) => self.group(&selector).map(|group| Some(Reply::Members(members(group)))),
            Command::Whoami(selector) => self.whoami(selector.as_ref()).map(|who| Some(Reply::Whoami(who))),
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
            Command::ContextCreate { group, application, name, init } => {
                self.context_create(turn, ticket, &group, application.as_ref(), name, init).map(|()| None)
            }
            Command::ContextJoin(selector) => self.context_join(turn, ticket, &selector).map(|()| None),
            Command::ContextList(selector) => self.context_list(selector.as_ref()).map(|list| Some(Reply::Contexts(list))),
            Command::ContextShow(selector) => self.context_id(&selector).map(|id| {
                let reply = Reply::Contexts(self.context_info(&id).into_iter().collect());
                self.reply_once_durable(turn, ticket, &id, reply)
            }),
            Command::Call { context, method, args, identity } => {
                self.call(turn, ticket, &context, method, args, identity.as_ref()).map(|()| None)
            }
            Command::Resolve(selector) => self.callable(&selector).map(Some).inspect_err(|error| {
                if let CommandError::NotReady(id) = error {
                    self.with_context(turn, id, Context::resume_init);
                }
            }),
            Command::Sync { context, peer } => self.sync_now(turn, &context, peer.as_deref()).map(|i| Some(Reply::Sync(i))),
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
        let pending = self.joins.iter().filter(|(id, join)| {
            join.refused.is_none() && !self.groups.get(*id).is_some_and(Group::we_are_member)
        });
        Status {
            groups: self.groups.values().filter(|group| group.we_are_member()).count() as u64,
            contexts: self.contexts.len() as u64,
            pending_joins: pending.count() as u64,
            parked,
        }
    }

    fn group_create(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: crate::step::Ticket,
        name: Option<String>,
        application: Option<&Selector>,
        policy: Policy,
    ) -> Result<(), CommandError> {
        let target = application.map(|selector| self.application(selector)).transpose()?;
        let record = GroupRecord {
            member_seed: turn.entropy.bytes(),
            sealing_seed: turn.entropy.bytes(),
            incarnation: Incarnation(turn.entropy.number()),
        };
        let member = SigningKey::from_seed(&record.member_seed);
        let sealing = mesto_governance::keys::SealingKey::from_seed(&record.sealing_seed);
        let nonce = turn.entropy.bytes();
        let key = EpochKey::from_bytes(turn.entropy.bytes());
        let seed = turn.entropy.bytes();
        let invalid = |e: &dyn std::fmt::Display| CommandError::Invalid(e.to_string());
        let wrap = key.seal(&nonce, member.public(), sealing.public(), &seed).map_err(|e| invalid(&e))?;
        let mut actions = vec![
            Action::GroupCreated(GroupCreated {
                nonce,
                parent: None,
                sealing_key: sealing.public(),
                peer: PeerHint(self.peer.as_bytes().to_vec()),
            }),
            crate::group::epoch_action(&key, vec![wrap]),
            Action::UpgradePolicySet(UpgradePolicySet { policy: policy.into() }),
        ];
        if let Some(name) = name {
            actions.push(Action::AliasSet(AliasSet { subject: Alias::Group, name }));
        }
        if let Some(app) = &target {
            actions.push(Action::TargetApplicationSet(TargetApplicationSet { release: release(app), migrate: None }));
        }
        let body = Op::new(actions).encode().map_err(|e| invalid(&e))?;
        let header = genesis_header(member.public(), &record, turn.time.wall_ms);
        let genesis = Draft { header, body }.sign(&member).map_err(|e| invalid(&e))?;
        let id = GroupId::of_genesis(genesis.id());
        self.adopt_group(Group::new(id, record));
        let begun = self.with_group(turn, &id, |group, work| {
            group.save_record(work);
            group.begin(work, &genesis)?;
            let reply = Reply::GroupCreated { group: id, member: group.member.public() };
            work.after(Effect::Reply(ticket, Box::new(Ok(reply))));
            Ok(())
        });
        if let Some(Err(error)) = begun {
            self.groups.remove(&id);
            self.logs.remove(&id.log());
            return Err(error);
        }
        turn.effect(Effect::Subscribe(self.topic(&id.log())));
        self.hello_again(turn, id);
        self.touched(turn, id.log());
        self.want_bundles(turn);
        Ok(())
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
        turn.report(Report::Flow { flow: "f03", step: "invitation created", subject: id.to_string() });
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
        name: Option<String>,
        init: Vec<u8>,
    ) -> Result<(), CommandError> {
        let group = self.member_group(group)?;
        let app = match application {
            Some(selector) => self.application(selector)?,
            None => {
                let target = group.state().and_then(|state| state.target()).ok_or(CommandError::NoApplication)?;
                let release = &target.set.release;
                let installed = self.installed.get(&release.version).cloned();
                installed.ok_or_else(|| CommandError::NotInstalled(release.package.clone()))?
            }
        };
        let id = group.id;
        self.create_context(turn, ticket, id, app, name, init)
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
            return Err(CommandError::NotReady(id));
        }
        self.with_context(turn, &id, |context, work| {
            context.enqueue(work, WaitingCall { ticket: Some(ticket), method, args, is_init: false });
            context.pump(work);
        });
        Ok(())
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

    fn sync_info(&self, id: &ContextId) -> Option<SyncInfo> {
        let context = self.contexts.get(id)?;
        let log = id.log();
        let heads = context.log.heads();
        let peers = self
            .members_online(&context.group)
            .into_iter()
            .filter_map(|peer| {
                let summary = self.sessions.get(&peer)?.summaries.get(&log)?;
                Some(SyncPeer { peer, equal: summary.heads == heads && summary.digest == context.root.0 })
            })
            .collect();
        let fetch = self.fetches.get(&log);
        Some(SyncInfo {
            context: *id,
            root: context.root.0,
            heads,
            peers,
            bytes: fetch.map_or(0, |fetch| fetch.bytes),
            round_trips: fetch.map_or(0, |fetch| fetch.round_trips),
        })
    }

    fn group_info(&self, group: &Group) -> Option<GroupInfo> {
        let state = group.state()?;
        let own = state.standing(&group.member.public());
        Some(GroupInfo {
            group: group.id,
            name: named(state.name()),
            member: group.member.public(),
            role: own.map(|standing| standing.role),
            members: state.member_count() as u64,
            contexts: state.contexts().count() as u64,
            target: state.target().map(|target| app_version(&target.set.release)),
            policy: state.policy().into(),
            default_capabilities: state.default_capabilities(),
            heads: group.log.heads(),
            ops: group.log.dag.count(),
            digest: group.governance.as_ref()?.digest(),
            key_held: group.current_key().is_some(),
        })
    }

    fn context_info(&self, id: &ContextId) -> Option<ContextInfo> {
        let group = self.groups.values().find(|group| group.state().is_some_and(|s| s.context(id).is_some()))?;
        let row = group.state()?.context(id)?;
        let machine = self.contexts.get(id);
        let bundle = row.release().version;
        Some(ContextInfo {
            context: *id,
            group: group.id,
            name: named(row.name()),
            application: row.release().application,
            bundle,
            version: Some(row.release().app_version.clone()),
            bundle_held: self.installed.contains_key(&bundle),
            root: machine.map_or(mesto_crdt::RootHash::empty().0, |context| context.root.0),
            heads: machine.map(|context| context.log.heads()).unwrap_or_default(),
            entries: machine.map_or(0, |context| context.log.dag.count()),
            state_entries: machine.map_or(0, |context| context.leaves),
            voided: 0,
            parked: machine.map_or(0, |context| context.log.parked()),
            identity: machine.map(|context| context.identity.public()),
            joined: machine.is_some(),
            ready: machine.is_some_and(|context| context.record.caught_up && context.bundle.is_some()),
            restricted: row.visibility() == Visibility::Restricted,
        })
    }

    /// The group that a selector names.
    fn group(&self, selector: &Selector) -> Result<&Group, CommandError> {
        let named = self.groups.values().map(|group| (group.id, group.state().map(GroupState::name)));
        let id = find(Noun::Group, selector, named)?;
        self.groups.get(&id).ok_or_else(|| unknown(Noun::Group, &selector.0))
    }

    /// The same, if we are a member.
    fn member_group(&self, selector: &Selector) -> Result<&Group, CommandError> {
        let group = self.group(selector)?;
        if group.we_are_member() {
            return Ok(group);
        }
        Err(CommandError::Denied(format!("this node is not a member of group {} yet", group.id)))
    }

    /// The context that a selector names, joined or not.
    fn context_id(&self, selector: &Selector) -> Result<ContextId, CommandError> {
        let known = self.groups.values().filter_map(Group::state).flat_map(GroupState::contexts);
        find(Noun::Context, selector, known.map(|row| (row.id, Some(row.name()))))
    }

    /// The context that a selector names, if we joined it.
    fn context(&self, selector: &Selector) -> Result<&Context, CommandError> {
        // A whole id needs no search: this is the way of every call.
        let whole = selector.0.parse::<ContextId>().ok().and_then(|id| self.contexts.get(&id));
        if let Some(context) = whole {
            return Ok(context);
        }
        let id = self.context_id(selector)?;
        self.contexts.get(&id).ok_or(CommandError::NotJoined(id))
    }

    fn application(&self, selector: &Selector) -> Result<AppVersion, CommandError> {
        // A version by its bundle, or an application by its id or package: then the newest that was installed.
        if let Ok(bundle) = find(Noun::Application, selector, self.installed.keys().map(|bundle| (*bundle, None))) {
            return self.installed.get(&bundle).cloned().ok_or_else(|| CommandError::NotInstalled(selector.0.clone()));
        }
        let mut named: Vec<_> =
            self.installed.values().map(|app| (app.application, Some(app.package.as_str()))).collect();
        named.dedup();
        let id = find(Noun::Application, selector, named)?;
        let newest = self.installed.values().filter(|app| app.application == id).max_by_key(|app| version_key(&app.version));
        newest.cloned().ok_or_else(|| CommandError::NotInstalled(selector.0.clone()))
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

/// Numbers in a version compare as numbers.
fn version_key(version: &str) -> Vec<(u64, String)> {
    version.split(['.', '-', '+']).map(|part| (part.parse().unwrap_or(0), part.to_owned())).collect()
}

fn unknown(noun: Noun, selector: &str) -> CommandError {
    CommandError::Unknown { noun, selector: selector.to_owned() }
}

/// The one thing that a selector names: by id, by name, or by a prefix of its id.
fn find<'a, T: Copy + Eq + std::fmt::Display>(
    noun: Noun,
    selector: &Selector,
    named: impl IntoIterator<Item = (T, Option<&'a str>)>,
) -> Result<T, CommandError> {
    let text = selector.0.as_str();
    let mut by_name: Vec<T> = Vec::new();
    let mut by_prefix: Vec<T> = Vec::new();
    for (id, name) in named {
        let id_text = id.to_string();
        if id_text == text {
            return Ok(id);
        }
        if name == Some(text) && !by_name.contains(&id) {
            by_name.push(id);
        }
        if text.len() >= ID_PREFIX_LEN_MIN && id_text.starts_with(text) && !by_prefix.contains(&id) {
            by_prefix.push(id);
        }
    }
    let found = if by_name.is_empty() { by_prefix } else { by_name };
    match found.as_slice() {
        [] => Err(unknown(noun, text)),
        [one] => Ok(*one),
        many => Err(CommandError::Ambiguous {
            noun,
            selector: text.to_owned(),
            candidates: many.iter().take(CANDIDATES_MAX).map(ToString::to_string).collect(),
        }),
    }
}

fn members(group: &Group) -> Vec<MemberInfo> {
    let Some(state) = group.state() else { return Vec::new() };
    state
        .members()
        .map(|row| MemberInfo {
            member: row.member,
            role: row.role,
            owner: row.role == Role::Owner,
            capabilities: row.capabilities,
            inherited: false,
            alias: named(&row.alias),
        })
        .collect()
}

fn named(name: &str) -> Option<String> {
    (!name.is_empty()).then(|| name.to_owned())
}

fn app_version(release: &mesto_governance::action::Release) -> AppVersion {
    AppVersion {
        application: release.application,
        bundle: release.version,
        size: release.size,
        package: release.package.clone(),
        version: release.app_version.clone(),
    }
}

fn op_line(entry: &Verified) -> LogLine {
    let summary = Op::decode(entry).map_or_else(
        |error| error.to_string(),
        |op| op.actions.iter().map(Action::name).collect::<Vec<_>>().join(", "),
    );
    line(entry, summary)
}

fn delta_line(entry: &Verified) -> LogLine {
    line(entry, format!("{} bytes, encrypted", entry.body().len()))
}

fn line(entry: &Verified, summary: String) -> LogLine {
    let header = entry.header();
    LogLine {
        id: entry.id(),
        author: header.author,
        seq: header.seq,
        stamp: header.stamp.0,
        parents: header.parents.clone(),
        summary,
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
