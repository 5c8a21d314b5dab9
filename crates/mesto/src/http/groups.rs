//! `/admin-api/groups`.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use mesto_api::ErrorCode;
use mesto_api::group::{CreateGroup, GroupCreated, Invite, Invited, JoinContexts, JoinGroup};
use mesto_governance::{Capabilities, Capability, GroupId, Role};
use mesto_node::command::{Command, GroupInfo, JoinInfo, Reply, Selector};

use super::body::{self, Json};
use super::refusal::Refusal;
use super::wait::Wait;
use super::{Serving, Shared, contexts, convert};

/// How long a ticket is good for if nobody says: a day, so that it can be handed over in person.
const EXPIRES_MS_DEFAULT: u64 = 24 * 60 * 60 * 1000;

pub(super) async fn create(State(shared): Serving, Json(request): Json<CreateGroup>) -> Result<Response, Refusal> {
    begin(&shared, request).await
}

/// Begins a subgroup of the group in the path.
pub(super) async fn create_below(
    State(shared): Serving,
    Path(parent): Path<String>,
    Json(request): Json<CreateGroup>,
) -> Result<Response, Refusal> {
    begin(&shared, CreateGroup { parent: Some(parent), ..request }).await
}

async fn begin(shared: &Shared, request: CreateGroup) -> Result<Response, Refusal> {
    let command = Command::GroupCreate {
        name: request.name,
        application: request.app.map(Selector),
        parent: request.parent.map(Selector),
        policy: convert::policy_of(request.policy),
    };
    match shared.node.command(command).await? {
        Reply::GroupCreated { group, member } => {
            body::data(GroupCreated { group_id: group.to_string(), member_id: member.to_string() })
        }
        _ => Err(Refusal::mismatch("group create")),
    }
}

pub(super) async fn list(State(shared): Serving) -> Result<Response, Refusal> {
    match shared.node.command(Command::GroupList).await? {
        Reply::Groups(groups) => body::list(groups.iter().map(convert::group).collect()),
        _ => Err(Refusal::mismatch("group ls")),
    }
}

pub(super) async fn show(State(shared): Serving, Path(group): Path<String>) -> Result<Response, Refusal> {
    body::data(convert::group(&find(&shared, group).await?))
}

pub(super) async fn subgroups(State(shared): Serving, Path(group): Path<String>) -> Result<Response, Refusal> {
    let parent = find(&shared, group).await?;
    match shared.node.command(Command::GroupList).await? {
        Reply::Groups(groups) => {
            let children = groups.iter().filter(|group| parent.subgroups.contains(&group.group));
            body::list(children.map(convert::group).collect())
        }
        _ => Err(Refusal::mismatch("group ls")),
    }
}

/// Who is asked about, and what.
#[derive(serde::Deserialize)]
pub(super) struct Question {
    member: String,
    right: String,
}

pub(super) async fn why(
    State(shared): Serving,
    Path(group): Path<String>,
    Query(Question { member, right }): Query<Question>,
) -> Result<Response, Refusal> {
    let group = find(&shared, group).await?;
    let command =
        Command::Why { group: Selector(group.group.to_string()), member: Selector(member), right: right.clone() };
    match shared.node.command(command).await? {
        Reply::Why(why) => body::data(convert::why(&group, right, &why)),
        _ => Err(Refusal::mismatch("group why")),
    }
}

/// The group that is meant.
pub(super) async fn find(shared: &Shared, group: String) -> Result<GroupInfo, Refusal> {
    match shared.node.command(Command::GroupShow(Selector(group))).await? {
        Reply::Groups(groups) => groups.into_iter().next().ok_or_else(|| Refusal::mismatch("group show")),
        _ => Err(Refusal::mismatch("group show")),
    }
}

pub(super) async fn members(State(shared): Serving, Path(group): Path<String>) -> Result<Response, Refusal> {
    match shared.node.command(Command::MemberList(Selector(group))).await? {
        Reply::Members(members) => body::list(members.iter().map(convert::member).collect()),
        _ => Err(Refusal::mismatch("member ls")),
    }
}

pub(super) async fn invite(
    State(shared): Serving,
    Path(group): Path<String>,
    Json(request): Json<Invite>,
) -> Result<Response, Refusal> {
    let (role, capabilities) = offered(request.role.as_deref(), request.capabilities.as_deref())?;
    let command = Command::Invite {
        group: Selector(group),
        role,
        capabilities,
        expires_ms: request.expires_ms.unwrap_or(EXPIRES_MS_DEFAULT),
        uses: request.uses.unwrap_or(1),
    };
    match shared.node.command(command).await? {
        Reply::Invited { ticket, invitation, expires_at_ms } => body::data(Invited {
            ticket,
            invitation_id: invitation.to_string(),
            expires_at: mesto_api::time::rfc3339(expires_at_ms),
        }),
        _ => Err(Refusal::mismatch("invite")),
    }
}

pub(super) fn capabilities(names: &[String]) -> Result<Capabilities, Refusal> {
    names.iter().try_fold(Capabilities::NONE, |held, name| Ok(held.with(name.parse::<Capability>().map_err(invalid)?)))
}

/// The role and the capabilities that somebody is let in with; a reader is given none that would wait for it to become more.
pub(super) fn offered(role: Option<&str>, names: Option<&[String]>) -> Result<(Role, Option<Capabilities>), Refusal> {
    let role = role.map_or(Ok(Role::Member), str::parse).map_err(invalid)?;
    let given = names.map(capabilities).transpose()?;
    let beyond = given.unwrap_or_default().difference(Capabilities::DEFAULT);
    if role == Role::ReadOnly && !beyond.is_empty() {
        return Err(invalid(format!(
            "a reader has no capability but {}: leave out {}, or give the role member",
            Capability::JoinOpenContexts.name(),
            super::convert::capabilities(beyond).join(", ")
        )));
    }
    Ok((role, given))
}

pub(super) fn invalid(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(ErrorCode::InvalidArgument, error.to_string())
}

pub(super) async fn join(State(shared): Serving, Json(request): Json<JoinGroup>) -> Result<Response, Refusal> {
    let contexts_all = match request.contexts {
        JoinContexts::All => true,
        JoinContexts::None => false,
    };
    let command = Command::Join { ticket: request.ticket.trim().to_owned(), contexts_all };
    match shared.node.command(command).await? {
        Reply::Joining(join) => body::data(convert::join(&join)),
        _ => Err(Refusal::mismatch("join")),
    }
}

/// How far a join is: at once, or with `?waitMs=` as soon as it is complete or refused.
pub(super) async fn join_status(
    State(shared): Serving,
    Path(group): Path<String>,
    Query(wait): Query<Wait>,
) -> Result<Response, Refusal> {
    let group = match group.parse::<GroupId>() {
        Ok(group) => group,
        Err(_) => find(&shared, group).await?.group,
    };
    let look = || {
        let shared = Arc::clone(&shared);
        async move {
            match shared.node.command(Command::JoinStatus(group)).await? {
                Reply::Joining(join) => Ok(join),
                _ => Err(Refusal::mismatch("join status")),
            }
        }
    };
    let done =
        |join: &JoinInfo| join.refused.is_some() || (join.ready && join.contexts.iter().all(|(_, ready)| *ready));
    body::data(convert::join(&wait.until(&shared.node, look, done).await?))
}

pub(super) async fn contexts(State(shared): Serving, Path(group): Path<String>) -> Result<Response, Refusal> {
    contexts::of_group(&shared, Some(group)).await
}

/// Compares every context of the group that this node joined.
pub(super) async fn sync(State(shared): Serving, Path(group): Path<String>) -> Result<Response, Refusal> {
    let Reply::Contexts(contexts) = shared.node.command(Command::ContextList(Some(Selector(group)))).await? else {
        return Err(Refusal::mismatch("context ls"));
    };
    let mut begun = Vec::new();
    for context in contexts.iter().filter(|context| context.joined) {
        let command = Command::Sync { context: Selector(context.context.to_string()), peer: None };
        match shared.node.command(command).await? {
            Reply::Sync(sync) => begun.push(convert::sync(&sync)),
            _ => return Err(Refusal::mismatch("sync")),
        }
    }
    body::list(begun)
}

pub(super) async fn log(State(shared): Serving, Path(group): Path<String>) -> Result<Response, Refusal> {
    match shared.node.command(Command::GroupLog(Selector(group))).await? {
        Reply::Log(lines) => body::list(lines.iter().map(convert::log_line).collect()),
        _ => Err(Refusal::mismatch("group log")),
    }
}
