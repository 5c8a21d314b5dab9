//! `/admin-api/contexts/:id/ephemeral`: what a page tells to whoever listens now.

use axum::extract::{Path, State};
use axum::response::Response;
use mesto_api::context::Say;
use mesto_node::{Command, Reply, Saying, Selector};

use super::Serving;
use super::body::{self, Json};
use super::refusal::Refusal;

/// Tells the subscribers of the context, on all members' nodes. It makes no delta and is kept nowhere.
pub(super) async fn say(
    State(shared): Serving,
    Path(context): Path<String>,
    Json(Say { kind, payload }): Json<Say>,
) -> Result<Response, Refusal> {
    let saying = Saying { kind, payload: payload.get().as_bytes().to_vec() };
    match shared.node.command(Command::Say { context: Selector(context), saying }).await? {
        Reply::Said => body::data(serde_json::json!({})),
        _ => Err(Refusal::mismatch("ephemeral")),
    }
}
