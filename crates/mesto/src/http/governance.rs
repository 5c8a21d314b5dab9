//! What members decide: about each other, their group, and who may see which context.

use axum::extract::{Path, State};
use axum::response::Response;
use mesto_api::context::{Allow, Seat, SetVisibility};
use mesto_api::group::{
    Acted, AddMember, Card, CreateGroup, Group, GroupCreated, Invitation, Member, SetAlias, SetCapabilities, SetGroup,
    SetRole, Why,
};
use mesto_node::command::{Command, CommandError, ContextAct, GroupAct, Noun, Reply, Selector, Settings};

use super::auth::permission::Right::{ContextManage, ContextRead, GroupManage, GroupRead};
use super::body::{self, Json};
use super::gate::Need::{Context as In, Right};
use super::groups::{capabilities, invalid, offered};
use super::refusal::Refusal;
use super::routes::Verb::{Delete, Get, Patch, Post, Put};
use super::routes::{Routes, data, list};
use super::{Serving, Shared, convert, groups};

/// The routes of it.
pub(super) fn routes(routes: Routes) -> Routes {
    of_contexts(of_groups(routes))
}

fn of_groups(routes: Routes) -> Routes {
    routes
        .on(
            Post,
            "/admin-api/identity/cards",
            Right(GroupManage),
            new_card,
            data::<Card>("Make a card, by which a member adds us"),
        )
        .on(
            Patch,
            "/admin-api/groups/{group}",
            Right(GroupManage),
            settings,
            data::<Acted>("Change its settings").takes::<SetGroup>(),
        )
        .on(
            Get,
            "/admin-api/groups/{group}/subgroups",
            Right(GroupRead),
            groups::subgroups,
            list::<Group>("Its subgroups"),
        )
        .on(
            Post,
            "/admin-api/groups/{group}/subgroups",
            Right(GroupManage),
            groups::create_below,
            data::<GroupCreated>("Begin a subgroup").takes::<CreateGroup>().creates(),
        )
        .on(
            Get,
            "/admin-api/groups/{group}/why",
            Right(GroupRead),
            groups::why,
            data::<Why>("Why a member may do something, or may not")
                .query("member", "Who: key, prefix or alias.")
                .query("right", mesto_node::command::RIGHTS),
        )
        .on(Delete, "/admin-api/groups/{group}", Right(GroupManage), delete_group, data::<Acted>("End it"))
        .on(Post, "/admin-api/groups/{group}/leave", Right(GroupManage), leave_group, data::<Acted>("Leave it"))
        .on(
            Post,
            "/admin-api/groups/{group}/members",
            Right(GroupManage),
            add_member,
            data::<Member>("Add a member").takes::<AddMember>().creates(),
        )
        .on(Get, "/admin-api/groups/{group}/members/{member}", Right(GroupRead), member, data::<Member>("A member"))
        .on(
            Delete,
            "/admin-api/groups/{group}/members/{member}",
            Right(GroupManage),
            remove_member,
            data::<Acted>("Remove a member"),
        )
        .on(
            Put,
            "/admin-api/groups/{group}/members/{member}/role",
            Right(GroupManage),
            set_role,
            data::<Member>("Change a role").takes::<SetRole>(),
        )
        .on(
            Put,
            "/admin-api/groups/{group}/members/{member}/capabilities",
            Right(GroupManage),
            set_capabilities,
            data::<Member>("Change capabilities").takes::<SetCapabilities>(),
        )
        .on(
            Put,
            "/admin-api/groups/{group}/members/{member}/alias",
            Right(GroupManage),
            set_alias,
            data::<Member>("Name a member").takes::<SetAlias>(),
        )
        .on(
            Get,
            "/admin-api/groups/{group}/invitations",
            Right(GroupRead),
            invitations,
            list::<Invitation>("Its invitations"),
        )
        .on(
            Delete,
            "/admin-api/groups/{group}/invitations/{invitation}",
            Right(GroupManage),
            revoke_invitation,
            data::<Acted>("Close an invitation"),
        )
}

fn of_contexts(routes: Routes) -> Routes {
    routes
        .on(
            Delete,
            "/admin-api/contexts/{context}",
            In(ContextManage),
            detach,
            data::<Acted>("Take it out of its group"),
        )
        .on(Post, "/admin-api/contexts/{context}/leave", In(ContextManage), leave_context, data::<Acted>("Leave it"))
        .on(Get, "/admin-api/contexts/{context}/members", In(ContextRead), seats, list::<Seat>("Who is in it"))
        .on(Get, "/admin-api/contexts/{context}/allowlist", In(ContextRead), allowlist, list::<Seat>("Who may join it"))
        .on(
            Post,
            "/admin-api/contexts/{context}/allowlist",
            In(ContextManage),
            allow,
            data::<Acted>("Let members join it").takes::<Allow>(),
        )
        .on(
            Post,
            "/admin-api/contexts/{context}/allowlist/remove",
            In(ContextManage),
            disallow,
            data::<Acted>("Let members in no more").takes::<Allow>(),
        )
        .on(
            Delete,
            "/admin-api/contexts/{context}/allowlist/{member}",
            In(ContextManage),
            disallow_one,
            data::<Acted>("Let a member in no more"),
        )
        .on(
            Put,
            "/admin-api/contexts/{context}/visibility",
            In(ContextManage),
            set_visibility,
            data::<Acted>("Open or restrict it").takes::<SetVisibility>(),
        )
        .on(
            Put,
            "/admin-api/contexts/{context}/alias",
            In(ContextManage),
            name_context,
            data::<Acted>("Name it").takes::<SetAlias>(),
        )
}

async fn new_card(State(shared): Serving) -> Result<Response, Refusal> {
    match shared.node.command(Command::NewCard).await? {
        Reply::Card { card, member } => {
            body::data(Card { peer_id: shared.node.peer_id(), member_id: member.to_string(), card })
        }
        _ => Err(Refusal::mismatch("whoami --new")),
    }
}

async fn decide(shared: &Shared, group: String, act: GroupAct) -> Result<mesto_node::command::Acted, Refusal> {
    match shared.node.command(Command::GroupAct { group: Selector(group), act }).await? {
        Reply::Acted(acted) => Ok(acted),
        _ => Err(Refusal::mismatch("a decision")),
    }
}

async fn decide_in(shared: &Shared, context: String, act: ContextAct) -> Result<Response, Refusal> {
    match shared.node.command(Command::ContextAct { context: Selector(context), act }).await? {
        Reply::Acted(acted) => body::data(convert::acted(&acted)),
        _ => Err(Refusal::mismatch("a decision")),
    }
}

/// A decision about a member, answered with the member as it stands then. To set what is set already is no decision,
/// and no failure.
async fn decide_about(shared: &Shared, group: String, act: GroupAct) -> Result<Response, Refusal> {
    let command = Command::GroupAct { group: Selector(group.clone()), act };
    let member = match shared.node.command(command).await {
        Ok(Reply::Acted(acted)) => acted.member,
        Err(CommandError::NoChange(member)) => Some(member),
        Ok(_) => return Err(Refusal::mismatch("a decision")),
        Err(error) => return Err(error.into()),
    };
    show_member(shared, group, &member.map(|member| member.to_string()).unwrap_or_default()).await
}

async fn show_member(shared: &Shared, group: String, member: &str) -> Result<Response, Refusal> {
    let Reply::Members(rows) = shared.node.command(Command::MemberList(Selector(group))).await? else {
        return Err(Refusal::mismatch("member ls"));
    };
    let named = rows.iter().map(|row| (row.member, row.alias.as_deref()));
    let found = mesto_node::find(Noun::Member, &Selector(member.to_owned()), named)?;
    match rows.iter().find(|row| row.member == found) {
        Some(row) => body::data(convert::member(row)),
        None => Err(super::refusal::unknown(Noun::Member, member)),
    }
}

async fn member(State(shared): Serving, Path((group, member)): Path<(String, String)>) -> Result<Response, Refusal> {
    show_member(&shared, group, &member).await
}

async fn add_member(
    State(shared): Serving,
    Path(group): Path<String>,
    Json(request): Json<AddMember>,
) -> Result<Response, Refusal> {
    let (role, capabilities) = offered(request.role.as_deref(), request.capabilities.as_deref())?;
    let act = GroupAct::AddMember { who: request.member, role, capabilities };
    decide_about(&shared, group, act).await
}

async fn remove_member(
    State(shared): Serving,
    Path((group, member)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    body::data(convert::acted(&decide(&shared, group, GroupAct::RemoveMember(Selector(member))).await?))
}

async fn set_role(
    State(shared): Serving,
    Path((group, member)): Path<(String, String)>,
    Json(SetRole { role }): Json<SetRole>,
) -> Result<Response, Refusal> {
    decide_about(&shared, group, GroupAct::SetRole(Selector(member), role.parse().map_err(invalid)?)).await
}

async fn set_capabilities(
    State(shared): Serving,
    Path((group, member)): Path<(String, String)>,
    Json(request): Json<SetCapabilities>,
) -> Result<Response, Refusal> {
    let held = capabilities(&request.capabilities)?;
    decide_about(&shared, group, GroupAct::SetCapabilities(Selector(member), held)).await
}

async fn set_alias(
    State(shared): Serving,
    Path((group, member)): Path<(String, String)>,
    Json(SetAlias { alias }): Json<SetAlias>,
) -> Result<Response, Refusal> {
    decide_about(&shared, group, GroupAct::NameMember(Selector(member), alias)).await
}

async fn settings(
    State(shared): Serving,
    Path(group): Path<String>,
    Json(request): Json<SetGroup>,
) -> Result<Response, Refusal> {
    let act = GroupAct::Set(Settings {
        name: request.name,
        default_capabilities: request.default_capabilities.as_deref().map(capabilities).transpose()?,
        default_restricted: request.default_visibility.as_deref().map(is_restricted).transpose()?,
        policy: request.policy.map(convert::policy_of),
    });
    body::data(convert::acted(&decide(&shared, group, act).await?))
}

fn is_restricted(visibility: &str) -> Result<bool, Refusal> {
    match visibility {
        "restricted" => Ok(true),
        "open" => Ok(false),
        _ => Err(invalid(format!("`{visibility}` is not a visibility: there are open and restricted"))),
    }
}

async fn leave_group(State(shared): Serving, Path(group): Path<String>) -> Result<Response, Refusal> {
    body::data(convert::acted(&decide(&shared, group, GroupAct::Leave).await?))
}

async fn delete_group(State(shared): Serving, Path(group): Path<String>) -> Result<Response, Refusal> {
    body::data(convert::acted(&decide(&shared, group, GroupAct::Delete).await?))
}

async fn invitations(State(shared): Serving, Path(group): Path<String>) -> Result<Response, Refusal> {
    match shared.node.command(Command::InvitationList(Selector(group))).await? {
        Reply::Invitations(rows) => body::list(rows.iter().map(convert::invitation).collect()),
        _ => Err(Refusal::mismatch("invite ls")),
    }
}

async fn revoke_invitation(
    State(shared): Serving,
    Path((group, invitation)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    body::data(convert::acted(&decide(&shared, group, GroupAct::RevokeInvitation(Selector(invitation))).await?))
}

async fn seats(State(shared): Serving, Path(context): Path<String>) -> Result<Response, Refusal> {
    body::list(all_seats(&shared, context).await?.iter().map(convert::seat).collect())
}

async fn allowlist(State(shared): Serving, Path(context): Path<String>) -> Result<Response, Refusal> {
    let seats = all_seats(&shared, context).await?;
    body::list(seats.iter().filter(|seat| seat.allowed).map(convert::seat).collect())
}

async fn all_seats(shared: &Shared, context: String) -> Result<Vec<mesto_node::command::Seat>, Refusal> {
    match shared.node.command(Command::ContextMembers(Selector(context))).await? {
        Reply::Seats(seats) => Ok(seats),
        _ => Err(Refusal::mismatch("members of a context")),
    }
}

fn selectors(members: Vec<String>) -> Result<Vec<Selector>, Refusal> {
    if members.is_empty() {
        return Err(invalid("no member was named"));
    }
    Ok(members.into_iter().map(Selector).collect())
}

async fn allow(
    State(shared): Serving,
    Path(context): Path<String>,
    Json(request): Json<Allow>,
) -> Result<Response, Refusal> {
    decide_in(&shared, context, ContextAct::Allow(selectors(request.members)?)).await
}

async fn disallow(
    State(shared): Serving,
    Path(context): Path<String>,
    Json(request): Json<Allow>,
) -> Result<Response, Refusal> {
    decide_in(&shared, context, ContextAct::Disallow(selectors(request.members)?)).await
}

async fn disallow_one(
    State(shared): Serving,
    Path((context, member)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    decide_in(&shared, context, ContextAct::Disallow(vec![Selector(member)])).await
}

async fn set_visibility(
    State(shared): Serving,
    Path(context): Path<String>,
    Json(request): Json<SetVisibility>,
) -> Result<Response, Refusal> {
    decide_in(&shared, context, ContextAct::Restrict(is_restricted(&request.visibility)?)).await
}

async fn name_context(
    State(shared): Serving,
    Path(context): Path<String>,
    Json(SetAlias { alias }): Json<SetAlias>,
) -> Result<Response, Refusal> {
    decide_in(&shared, context, ContextAct::Name(alias)).await
}

async fn leave_context(State(shared): Serving, Path(context): Path<String>) -> Result<Response, Refusal> {
    decide_in(&shared, context, ContextAct::Leave).await
}

async fn detach(State(shared): Serving, Path(context): Path<String>) -> Result<Response, Refusal> {
    decide_in(&shared, context, ContextAct::Detach).await
}
