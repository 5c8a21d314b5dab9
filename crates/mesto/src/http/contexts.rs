//! `/admin-api/contexts`.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mesto_api::context::{CreateContext, Leaf, StartSync};
use mesto_api::{ErrorCode, List};
use mesto_node::command::{Command, CommandError, ContextInfo, Reply, Selector, SyncInfo};
use serde::Deserialize;

use super::body::{self, Json};
use super::refusal::Refusal;
use super::wait::Wait;
use super::{Serving, Shared, convert};

/// How long a new context waits for the group's application, in milliseconds: whoever has just joined has it in a
/// second or two, and a person would not wait longer without being told.
const APPLICATION_WAIT_MS: u64 = 10_000;

pub(super) async fn create(State(shared): Serving, Json(request): Json<CreateContext>) -> Result<Response, Refusal> {
    let init = request.init.map_or_else(|| b"{}".to_vec(), |init| init.get().as_bytes().to_vec());
    if !init.starts_with(b"{") {
        return Err(Refusal::new(ErrorCode::InvalidArgument, "`init` is not a JSON object"));
    }
    let command = || Command::ContextCreate {
        group: Selector(request.group.clone()),
        application: request.app.clone().map(Selector),
        name: request.name.clone(),
        restricted: request.restricted,
        init: init.clone(),
    };
    let look = || async { Ok(shared.node.command(command()).await) };
    let done = |created: &Result<Reply, CommandError>| !matches!(created, Err(CommandError::ApplicationAwaited(_)));
    match Wait::of(APPLICATION_WAIT_MS).until(&shared.node, look, done).await?? {
        Reply::ContextCreated { context, identity } => body::data(convert::context_created(context, identity)),
        _ => Err(Refusal::mismatch("context create")),
    }
}

/// `?group=`.
#[derive(Deserialize)]
pub(super) struct OfGroup {
    group: Option<String>,
}

pub(super) async fn list(
    State(shared): Serving,
    Query(OfGroup { group }): Query<OfGroup>,
) -> Result<Response, Refusal> {
    of_group(&shared, group).await
}

/// The contexts of one group or of all.
pub(super) async fn of_group(shared: &Shared, group: Option<String>) -> Result<Response, Refusal> {
    match shared.node.command(Command::ContextList(group.map(Selector))).await? {
        Reply::Contexts(contexts) => body::list(contexts.iter().map(convert::context).collect()),
        _ => Err(Refusal::mismatch("context ls")),
    }
}

/// One context: at once, or with `?waitMs=` as soon as it is ready.
pub(super) async fn show(
    State(shared): Serving,
    Path(context): Path<String>,
    Query(wait): Query<Wait>,
) -> Result<Response, Refusal> {
    let look = || {
        let (shared, context) = (Arc::clone(&shared), context.clone());
        async move { find(&shared, context).await }
    };
    body::data(convert::context(&wait.until(&shared.node, look, |context| context.ready).await?))
}

/// The context that is meant.
pub(super) async fn find(shared: &Shared, context: String) -> Result<ContextInfo, Refusal> {
    match shared.node.command(Command::ContextShow(Selector(context))).await? {
        Reply::Contexts(contexts) => contexts.into_iter().next().ok_or_else(|| Refusal::mismatch("context show")),
        _ => Err(Refusal::mismatch("context show")),
    }
}

pub(super) async fn join(State(shared): Serving, Path(context): Path<String>) -> Result<Response, Refusal> {
    match shared.node.command(Command::ContextJoin(Selector(context))).await? {
        Reply::ContextCreated { context, identity } => body::data(convert::context_created(context, identity)),
        _ => Err(Refusal::mismatch("context join")),
    }
}

pub(super) async fn sync(
    State(shared): Serving,
    Path(context): Path<String>,
    Json(StartSync { peer }): Json<StartSync>,
) -> Result<Response, Refusal> {
    match shared.node.command(Command::Sync { context: Selector(context), peer }).await? {
        Reply::Sync(sync) => body::data(convert::sync(&sync)),
        _ => Err(Refusal::mismatch("sync")),
    }
}

/// How a context stands: at once, or with `?waitMs=` as soon as it equals every connected member's.
pub(super) async fn sync_status(
    State(shared): Serving,
    Path(context): Path<String>,
    Query(wait): Query<Wait>,
) -> Result<Response, Refusal> {
    let look = || {
        let (shared, context) = (Arc::clone(&shared), context.clone());
        async move { status(&shared, context).await }
    };
    let done = |sync: &SyncInfo| !sync.peers.is_empty() && sync.peers.iter().all(|peer| peer.equal);
    body::data(convert::sync(&wait.until(&shared.node, look, done).await?))
}

async fn status(shared: &Shared, context: String) -> Result<SyncInfo, Refusal> {
    match shared.node.command(Command::SyncStatus(Selector(context))).await? {
        Reply::Sync(sync) => Ok(sync),
        _ => Err(Refusal::mismatch("sync status")),
    }
}

/// `/admin-api/sync`: how every joined context stands.
pub(super) async fn sync_all(State(shared): Serving) -> Result<Response, Refusal> {
    let Reply::Contexts(contexts) = shared.node.command(Command::ContextList(None)).await? else {
        return Err(Refusal::mismatch("context ls"));
    };
    let mut all = Vec::new();
    for context in contexts.iter().filter(|context| context.joined) {
        all.push(convert::sync(&status(&shared, context.context.to_string()).await?));
    }
    body::list(all)
}

pub(super) async fn log(State(shared): Serving, Path(context): Path<String>) -> Result<Response, Refusal> {
    match shared.node.command(Command::ContextLog(Selector(context))).await? {
        Reply::Log(lines) => body::list(lines.iter().map(convert::log_line).collect()),
        _ => Err(Refusal::mismatch("context log")),
    }
}

/// Leaves on a page of the state, if nobody says, and at most: values may have 10 MiB, but hardly have.
const LEAVES_DEFAULT: usize = 100;
const LEAVES_MAX: usize = 1000;

/// `?cursor=&limit=`.
#[derive(Deserialize)]
pub(super) struct Page {
    cursor: Option<String>,
    limit: Option<usize>,
}

/// The state as it is stored, page by page.
pub(super) async fn state(
    State(shared): Serving,
    Path(context): Path<String>,
    Query(page): Query<Page>,
) -> Result<Response, Refusal> {
    let after = page.cursor.map(hex::decode).transpose();
    let after =
        after.map_err(|_| Refusal::new(ErrorCode::InvalidArgument, "`cursor` is not one that this route gave"))?;
    let limit = page.limit.unwrap_or(LEAVES_DEFAULT).clamp(1, LEAVES_MAX);
    let leaves = shared.node.state_page(&Selector(context), after.as_deref(), limit).await?;
    let next_cursor = leaves.last().filter(|_| leaves.len() == limit).map(|(key, _)| hex::encode(key));
    let leaf = |(key, value): &(Vec<u8>, Vec<u8>)| Leaf { key: hex::encode(key), value: STANDARD.encode(value) };
    body::json(&List { data: leaves.iter().map(leaf).collect(), next_cursor })
}

pub(super) async fn schema(State(shared): Serving, Path(context): Path<String>) -> Result<Response, Refusal> {
    Ok(schema_answer(&shared.node.context_schema(Selector(context)).await?))
}

/// `{"data": …}` of JSON that is written already.
pub(super) fn schema_answer(schema: &str) -> Response {
    body::raw_json(format!("{{\"data\":{schema}}}").into_bytes())
}
