//! Beginning contexts: the app's init is tried first, so that a failure leaves no trace; then the context is registered,
//! and begun by its first delta.

use mesto_crdt::Hlc;
use mesto_governance::action::{
    Action, Alias, AliasSet, ContextRef, ContextRegistered, ContextVisibilitySet, Release, Visibility,
};
use mesto_governance::{ContextId, GroupId};
use mesto_oplog::{Incarnation, SigningKey};

use super::{Node, Turn};
use crate::command::{AppVersion, CommandError};
use crate::context::Context;
use crate::executor::{Call, CallError, MethodKind, Outcome};
use crate::flow::Flow;
use crate::group::Group;
use crate::layout::{self, LogNumber};
use crate::record::ContextRecord;
use crate::state::ContextState;
use crate::step::Effect;
use crate::store::Keyspace;
use crate::view::View;

/// A context that is about to be created: its app's init is tried first, so that a failure leaves no trace.
#[derive(Debug)]
pub(crate) struct Creation {
    ticket: crate::step::Ticket,
    group: GroupId,
    app: AppVersion,
    plan: Plan,
}

/// What a new context is to be like.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) name: Option<String>,
    /// As the group's default says if absent.
    pub(crate) restricted: Option<bool>,
    /// Arguments of the app's init.
    pub(crate) init: Vec<u8>,
}

impl Node {
    /// Creates a context: first a rehearsal of its init, then the op, then the first delta.
    pub(crate) fn create_context(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: crate::step::Ticket,
        group_id: GroupId,
        app: AppVersion,
        plan: Plan,
    ) -> Result<(), CommandError> {
        self.renew_group_key(turn, group_id)?;
        let group = self.groups.get(&group_id).ok_or(CommandError::NotInstalled(app.package.clone()))?;
        let state = group.state().ok_or(CommandError::KeyMissing(group_id))?;
        let is_restricted = plan.restricted.unwrap_or(state.default_visibility() == Visibility::Restricted);
        if !is_restricted && group.current_key().is_none() {
            return Err(CommandError::KeyMissing(group_id));
        }
        self.last_creation += 1;
        let execution = self.last_creation;
        let seed = turn.entropy.bytes();
        let caller = group.member.public();
        let stamp = mesto_crdt::next(turn.time.wall_ms, Hlc::ZERO).unwrap_or(Hlc::ZERO);
        turn.effect(Effect::Execute {
            execution,
            call: Call {
                context: ContextId::default(),
                bundle: app.bundle,
                method: String::new(),
                args: plan.init.clone(),
                kind: MethodKind::Init,
                caller,
                stamp,
                seed,
            },
            state: ContextState::new(View::durable(std::sync::Arc::clone(turn.snapshot)), LogNumber::NONE),
        });
        self.creations.insert(execution, Creation { ticket, group: group_id, app, plan });
        Ok(())
    }

    /// The rehearsal has ended.
    pub(crate) fn creation_tried(&mut self, turn: &mut Turn<'_>, execution: u64, result: Result<Outcome, CallError>) {
        let Some(creation) = self.creations.remove(&execution) else { return };
        let ticket = creation.ticket;
        if let Err(error) = result {
            return Self::refuse(turn, ticket, CommandError::Call(error));
        }
        if let Err(error) = self.register_context(turn, creation) {
            Self::refuse(turn, ticket, error);
        }
    }

    /// A context is begun by a delta, for which there must be a key: started if somebody lost the right to read.
    pub(crate) fn renew_group_key(&mut self, turn: &mut Turn<'_>, id: GroupId) -> Result<(), CommandError> {
        let can_write = self.groups.get(&id).is_some_and(|group| {
            let standing = group.state().and_then(|state| state.standing(&group.member.public()));
            standing.is_some_and(|standing| standing.role.writes())
        });
        if can_write && self.groups.get_mut(&id).is_some_and(|group| !group.usable().epochs.contains_key(&None)) {
            self.with_group(turn, &id, |group, work| group.want_epoch(work, None)).unwrap_or(Ok(()))?;
        }
        Ok(())
    }

    fn register_context(&mut self, turn: &mut Turn<'_>, creation: Creation) -> Result<(), CommandError> {
        let Creation { ticket, group: group_id, app, plan: Plan { name, restricted, init } } = creation;
        let nonce: [u8; 32] = turn.entropy.bytes();
        let mut record = ContextRecord {
            group: *group_id.as_bytes(),
            identity_seed: turn.entropy.bytes(),
            incarnation: Incarnation(turn.entropy.number()),
            init: Some(init.clone()),
            caught_up: true,
            joined_by: None,
        };
        let identity = SigningKey::from_seed(&record.identity_seed);
        let here = ContextRef::Here(0);
        let before = turn.step.batches.len();
        let op = self
            .with_group(turn, &group_id, |group, work| {
                let default = group.state().map(mesto_governance::GroupState::default_visibility).unwrap_or_default();
                let visibility = match restricted {
                    Some(true) => Visibility::Restricted,
                    Some(false) => Visibility::Open,
                    None => default,
                };
                let mut actions = vec![
                    Action::ContextRegistered(ContextRegistered { nonce, release: release(&app) }),
                    Action::ContextVisibilitySet(ContextVisibilitySet { context: here, visibility, keep: Vec::new() }),
                ];
                if let Some(name) = name {
                    actions.push(Action::AliasSet(AliasSet { subject: Alias::Context(here), name }));
                }
                actions.push(group.join_context(here, &nonce, &identity));
                let key = match visibility {
                    Visibility::Restricted => Some(group.first_key(work, here, &nonce)?),
                    Visibility::Open => None,
                };
                let key = key.map(|(key, action)| {
                    actions.push(action);
                    key
                });
                let op = group.author(work, actions)?;
                if let Some(key) = key {
                    group.add_key(work, key, Some(here.resolve(op)));
                }
                Ok(op)
            })
            .unwrap_or(Err(CommandError::KeyMissing(group_id)))?;
        let id = here.resolve(op);
        turn.report(Flow::here("f01", "context registered", id));
        turn.report(Flow::to_all("f01", "op published", op));
        record.joined_by = Some(op);
        self.begin_context(turn, id, record, before)?;
        self.touched(turn, group_id.log());
        let view = self.groups.get_mut(&group_id).and_then(Group::view);
        self.with_context(turn, &id, |context, work| {
            context.governance = view;
            context.created = Some(ticket);
            context.resume_init(work);
        });
        Ok(())
    }

    /// A creation of which a crash left only the record never happened: nobody was told of it.
    pub(crate) fn forget_unregistered(&mut self, turn: &mut Turn<'_>) {
        let mut unregistered = Vec::new();
        for context in self.contexts.values().filter(|context| context.record.init.is_some()) {
            let is_registered = self.groups.get(&context.group).is_some_and(|group| {
                let view = group.flight.view(turn.snapshot);
                context.record.joined_by.is_some_and(|op| group.log.holds(&view, &op))
            });
            if !is_registered {
                unregistered.push(context.id);
            }
        }
        for id in unregistered {
            self.contexts.remove(&id);
            self.logs.remove(&id.log());
            self.with_own(turn, |work| work.remove(Keyspace::Meta, layout::context(&id)));
        }
    }

    /// A creation that a crash cut short is completed: the init runs now.
    pub(crate) fn resume_inits(&mut self, turn: &mut Turn<'_>) {
        for id in self.contexts.keys().copied().collect::<Vec<_>>() {
            self.with_context(turn, &id, Context::resume_init);
        }
    }
}

/// An installed version as governance names it.
pub(crate) fn release(app: &AppVersion) -> Release {
    Release {
        application: app.application,
        version: app.bundle,
        size: app.size,
        package: app.package.clone(),
        app_version: app.version.clone(),
    }
}
