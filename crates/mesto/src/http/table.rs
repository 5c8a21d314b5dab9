//! Every route: how it is asked, what it needs of its caller, who answers, and what is to be said about it. Those by
//! which members decide stand beside their handlers, in `governance`.

use std::sync::Arc;

use mesto_api::application::{Application, InstallFromUrl};
use mesto_api::auth::{
    AddLoginKey, Challenge, Code, CreateToken, LoginKey, MakeCode, Providers, Refresh, Revoke, Revoked, Token,
    TokenAnswer, TokenCreated, TokenRequest, Validated,
};
use mesto_api::blob::{Blob, Uploaded};
use mesto_api::call::{Called, RpcRequest};
use mesto_api::context::{Context, ContextCreated, CreateContext, Leaf, Say, StartSync, Sync};
use mesto_api::event::{EventLine, Subscription};
use mesto_api::group::{CreateGroup, Group, GroupCreated, Invite, Invited, Join, JoinGroup, LogLine, Member};
use mesto_api::node::{Connect, Connected, Health, Identity, NodeStatus, Peer, Usage};
use mesto_api::trace::Arrow;
use serde_json::Value;

use super::auth::Auth;
use super::auth::permission::Right::{
    ApplicationInstall, ApplicationRead, BlobManage, BlobRead, BlobWrite, ContextCreate, ContextExecute, ContextManage,
    ContextRead, GroupManage, GroupRead, MetricsRead, NodeRead,
};
use super::gate::Need::{Context as In, Login, Nothing, Right};
use super::routes::Verb::{Delete, Get, Post, Put};
use super::routes::{Routes, data, json, list, other};
use super::{
    applications, blobs, contexts, ephemeral, governance, groups, jsonrpc, login, metrics, node, openapi, pages, sse,
    topics, trace, ws,
};

/// What a wait means, wherever one can be asked for.
const WAIT: &str = "Milliseconds to wait until it is so; 20 s at most.";

/// All of them.
pub(super) fn routes(auth: Arc<Auth>) -> Routes {
    let routes = of_node(Routes::new(auth));
    let routes = of_logins(routes);
    let routes = of_applications(routes);
    let routes = of_groups(routes);
    let routes = governance::routes(of_contexts(routes));
    of_pages(of_calls_and_events(of_blobs(routes)))
}

fn of_node(routes: Routes) -> Routes {
    routes
        .on(Get, "/healthz", Nothing, node::healthz, other("text/plain", "Whether the node lives"))
        .on(Get, "/readyz", Nothing, node::readyz, other("text/plain", "Whether the node answers"))
        .on(Get, "/metrics", Right(MetricsRead), metrics::show, other(metrics::MEDIA_TYPE, "What is counted"))
        .on(Get, "/admin-api/health", Nothing, node::health, data::<Health>("Whether the node lives"))
        .on(Get, "/admin-api/openapi.json", Login, openapi::show, json::<Value>("This description"))
        .on(Get, "/admin-api/status", Right(NodeRead), node::status, data::<NodeStatus>("How the node is"))
        .on(Get, "/admin-api/usage", Right(NodeRead), node::usage, data::<Usage>("What the node holds"))
        .on(
            Get,
            "/admin-api/identity",
            Right(NodeRead),
            node::identity,
            data::<Identity>("Who the node is").query("group", "In which group."),
        )
        .on(
            Get,
            "/admin-api/trace",
            Right(NodeRead),
            trace::trace,
            list::<Arrow>("A flow that happened")
                .query("flow", "Which, `f01` to `f23`.")
                .query("after", "Only arrows after this number."),
        )
        .on(Get, "/admin-api/peers", Right(NodeRead), node::peers, list::<Peer>("The connected peers"))
        .on(
            Post,
            "/admin-api/peers",
            Right(GroupManage),
            node::connect,
            data::<Connected>("Connect to a peer").takes::<Connect>(),
        )
        .on(
            Get,
            "/admin-api/sync",
            Right(NodeRead),
            contexts::sync_all,
            list::<Sync>("How every joined context stands"),
        )
}

fn of_logins(routes: Routes) -> Routes {
    routes
        .on(Get, "/auth/providers", Nothing, login::providers, data::<Providers>("The ways to log in"))
        .on(Get, "/auth/challenge", Nothing, login::challenge, data::<Challenge>("Something to sign"))
        .on(Post, "/auth/token", Nothing, login::token, json::<TokenAnswer>("Log in").takes::<TokenRequest>())
        .on(
            Post,
            "/auth/refresh",
            Nothing,
            login::refresh,
            json::<TokenAnswer>("Exchange a refresh token").takes::<Refresh>(),
        )
        .on(
            Post,
            "/admin-api/refresh-jwt-token",
            Nothing,
            login::refresh,
            json::<TokenAnswer>("Exchange a refresh token, as older clients ask for it").takes::<Refresh>(),
        )
        .on(
            Post,
            "/auth/revoke",
            Nothing,
            login::revoke,
            data::<Revoked>("End a login by one of its tokens").takes::<Revoke>(),
        )
        .on(Get, "/auth/validate", Login, login::validate, data::<Validated>("Whose token it is"))
        .on(Post, "/auth/validate", Login, login::validate, data::<Validated>("Whose token it is"))
        .on(
            Get,
            "/auth/tokens",
            Login,
            login::tokens,
            list::<Token>("Logins and tokens: all for admins, else one's own"),
        )
        .on(
            Post,
            "/auth/tokens",
            Login,
            login::create_token,
            data::<TokenCreated>("Make a token for a program").takes::<CreateToken>(),
        )
        .on(Delete, "/auth/tokens/{token}", Login, login::revoke_token, data::<Revoked>("End a login or token"))
        .on(Get, "/auth/keys", Login, login::keys, list::<LoginKey>("Who may log in"))
        .on(Post, "/auth/keys", Login, login::add_key, data::<LoginKey>("Let somebody log in").takes::<AddLoginKey>())
        .on(Delete, "/auth/keys/{key}", Login, login::remove_key, data::<Revoked>("Let somebody log in no more"))
        .on(
            Post,
            "/auth/codes",
            Login,
            login::code,
            data::<Code>("A one-time code for a context's page").takes::<MakeCode>(),
        )
}

fn of_applications(routes: Routes) -> Routes {
    let all = "/admin-api/applications";
    routes
        .on(Get, all, Right(ApplicationRead), applications::list, list::<Application>("The installed applications"))
        .on(
            Post,
            all,
            Right(ApplicationInstall),
            applications::install,
            data::<Application>("Install a bundle").takes_bytes("application/octet-stream"),
        )
        .on(
            Post,
            "/admin-api/applications/install-from-url",
            Right(ApplicationInstall),
            applications::install_from_url,
            data::<Application>("Fetch a bundle from a public address and install it")
                .takes::<InstallFromUrl>()
                .creates(),
        )
        .on(
            Get,
            "/admin-api/applications/{app}",
            Right(ApplicationRead),
            applications::show,
            data::<Application>("The newest installed version"),
        )
        .on(
            Get,
            "/admin-api/applications/{app}/versions",
            Right(ApplicationRead),
            applications::versions,
            list::<Application>("All installed versions"),
        )
        .on(
            Get,
            "/admin-api/applications/{app}/schema",
            Right(ApplicationRead),
            applications::schema,
            data::<Value>("Methods, events and types"),
        )
}

fn of_groups(routes: Routes) -> Routes {
    routes
        .on(Get, "/admin-api/groups", Right(GroupRead), groups::list, list::<Group>("The groups that the node is in"))
        .on(
            Post,
            "/admin-api/groups",
            Right(GroupManage),
            groups::create,
            data::<GroupCreated>("Begin a group").takes::<CreateGroup>().creates(),
        )
        .on(
            Post,
            "/admin-api/groups/join",
            Right(GroupManage),
            groups::join,
            data::<Join>("Join by a ticket").takes::<JoinGroup>().creates(),
        )
        .on(Get, "/admin-api/groups/{group}", Right(GroupRead), groups::show, data::<Group>("A group"))
        .on(Get, "/admin-api/groups/{group}/members", Right(GroupRead), groups::members, list::<Member>("Its members"))
        .on(
            Post,
            "/admin-api/groups/{group}/invitations",
            Right(GroupManage),
            groups::invite,
            data::<Invited>("Make a ticket").takes::<Invite>().creates(),
        )
        .on(
            Get,
            "/admin-api/groups/{group}/join",
            Right(GroupRead),
            groups::join_status,
            data::<Join>("How far a join is").query("waitMs", WAIT),
        )
        .on(
            Get,
            "/admin-api/groups/{group}/contexts",
            Right(ContextRead),
            groups::contexts,
            list::<Context>("Its contexts"),
        )
        .on(
            Post,
            "/admin-api/groups/{group}/sync",
            Right(ContextManage),
            groups::sync,
            list::<Sync>("Compare all of its joined contexts"),
        )
        .on(
            Get,
            "/admin-api/groups/{group}/log",
            Right(GroupRead),
            groups::log,
            list::<LogLine>("The newest of its log"),
        )
}

fn of_contexts(routes: Routes) -> Routes {
    let one = "/admin-api/contexts/{context}";
    routes
        .on(
            Get,
            "/admin-api/contexts",
            Right(ContextRead),
            contexts::list,
            list::<Context>("Contexts").query("group", "Of which group."),
        )
        .on(
            Post,
            "/admin-api/contexts",
            Right(ContextCreate),
            contexts::create,
            data::<ContextCreated>("Make a context").takes::<CreateContext>().creates(),
        )
        .on(Get, one, In(ContextRead), contexts::show, data::<Context>("A context").query("waitMs", WAIT))
        .on(
            Post,
            "/admin-api/contexts/{context}/join",
            In(ContextManage),
            contexts::join,
            data::<ContextCreated>("Join it"),
        )
        .on(
            Get,
            "/admin-api/contexts/{context}/sync",
            In(ContextRead),
            contexts::sync_status,
            data::<Sync>("How it stands with members").query("waitMs", WAIT),
        )
        .on(
            Post,
            "/admin-api/contexts/{context}/sync",
            In(ContextManage),
            contexts::sync,
            data::<Sync>("Compare it").takes::<StartSync>(),
        )
        .on(
            Get,
            "/admin-api/contexts/{context}/log",
            In(ContextRead),
            contexts::log,
            list::<LogLine>("The newest of its log"),
        )
        .on(
            Post,
            "/admin-api/contexts/{context}/ephemeral",
            In(ContextExecute),
            ephemeral::say,
            data::<Value>("Tell something to whoever listens now, on all members' nodes; it is kept nowhere")
                .takes::<Say>(),
        )
        .on(
            Get,
            "/admin-api/contexts/{context}/state",
            In(ContextRead),
            contexts::state,
            list::<Leaf>("Its state as it is stored, leaf by leaf")
                .query("cursor", "`nextCursor` of the page before.")
                .query("limit", "Leaves on the page: 100 if absent, 1000 at most."),
        )
        .on(
            Get,
            "/admin-api/contexts/{context}/schema",
            In(ContextRead),
            contexts::schema,
            data::<Value>("Methods, events and types of its app"),
        )
}

fn of_blobs(routes: Routes) -> Routes {
    let bytes = "application/octet-stream";
    routes
        .on(Get, "/admin-api/blobs", Right(BlobManage), blobs::list, list::<Blob>("The stored blobs"))
        .on(Put, "/admin-api/blobs", Right(BlobWrite), blobs::put, data::<Uploaded>("Store bytes").takes_bytes(bytes))
        .on(
            Get,
            "/admin-api/blobs/{blob}",
            Right(BlobRead),
            blobs::get,
            other(bytes, "The bytes, or the one range that is asked for"),
        )
        .on(
            Delete,
            "/admin-api/blobs/{blob}",
            Right(BlobManage),
            blobs::delete,
            data::<Blob>("Remove a blob from this node"),
        )
}

fn of_calls_and_events(routes: Routes) -> Routes {
    routes
        .on(
            Post,
            "/jsonrpc",
            Login,
            jsonrpc::execute,
            json::<Called>("Call methods (JSON-RPC 2.0, batches too); `result` is what is shown here")
                .takes::<RpcRequest<'static>>(),
        )
        .on(Get, "/sse", Login, sse::open, other("text/event-stream", "A stream of events"))
        .on(
            Post,
            "/sse/subscription",
            Login,
            topics::subscription,
            json::<Value>("Choose what a stream carries").takes::<Subscription>(),
        )
        .on(Get, "/ws", Login, ws::open, other("application/json", "Calls and events over a WebSocket"))
        .on(
            Get,
            "/admin-api/events",
            Login,
            topics::recent,
            list::<EventLine>("What happened lately")
                .query("context", "In which contexts; may be there several times."),
        )
}

fn of_pages(routes: Routes) -> Routes {
    let page = "text/html";
    routes
        .on(
            Get,
            "/client.js",
            Nothing,
            pages::client,
            other("text/javascript", "The JavaScript client that fits this node"),
        )
        .on(Get, "/favicon.ico", Nothing, pages::no_icon, other("image/x-icon", "Nothing: pages name their own"))
        .on(Get, "/apps/{context}", Nothing, pages::bare, other(page, "Where the pages of a context's app are"))
        .on(Get, "/apps/{context}/", Nothing, pages::index, other(page, "The first page of a context's app"))
        .on(Get, "/apps/{context}/{*path}", Nothing, pages::file, other("*/*", "A file of a context's app"))
}
