//! `GET /ws`: calls and events over one WebSocket.
//!
//! Requests are `{"id", "method": "subscribe" | "unsubscribe" | "execute", "params"}`; answers carry the id. Events
//! carry `"id":null`: existing clients tell them from answers by that.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use mesto_api::ErrorCode;
use mesto_api::event::Topics;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::auth::Caller;
use super::gate::Asked;
use super::refusal::Refusal;
use super::session::{Next, Session};
use super::{Shared, Serving, body, jsonrpc, sse, topics};

/// Requests of one connection that run at once; further ones wait in the socket.
const RUNNING_MAX: usize = 64;

/// How often a silent connection is pinged.
const PING_EVERY: Duration = Duration::from_secs(30);

/// How long one message may take to leave: who does not read for so long gives its place to others.
const SEND_MAX: Duration = Duration::from_secs(30);

pub(super) async fn open(State(shared): Serving, Asked(caller): Asked, upgrade: WebSocketUpgrade) -> Result<Response, Refusal> {
    let session = shared.hub.open(caller.grant)?;
    Ok(upgrade.max_message_size(jsonrpc::RPC_LEN_MAX).max_frame_size(jsonrpc::RPC_LEN_MAX).on_upgrade(move |socket| async move {
        let id = session.id().to_owned();
        talk(Arc::clone(&shared), caller, session, socket).await;
        shared.hub.remove(&id);
    }))
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    method: String,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

async fn talk(shared: Arc<Shared>, caller: Arc<Caller>, session: Arc<Session>, mut socket: WebSocket) {
    let mut reader = session.attach(0);
    let mut running: FuturesUnordered<BoxFuture<'static, String>> = FuturesUnordered::new();
    let mut ping = tokio::time::interval(PING_EVERY);
    ping.reset();
    loop {
        let out = tokio::select! {
            received = socket.recv(), if running.len() < RUNNING_MAX => match received {
                Some(Ok(Message::Text(text))) => {
                    running.push(Box::pin(answer(Arc::clone(&shared), Arc::clone(&caller), Arc::clone(&session), text.as_str().to_owned())));
                    continue;
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Binary(_))) => {
                    let refusal = Refusal::new(ErrorCode::InvalidRequest, "requests are text");
                    Message::text(failed(None, refusal))
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
            Some(answer) = running.next(), if !running.is_empty() => Message::text(answer),
            next = reader.next() => match next {
                Next::Told(_, told) => Message::text(as_event(told.text())),
                Next::Missed => {
                    // The connection ends either way.
                    let _ = socket.send(Message::text(sse::missed().to_string())).await;
                    return;
                }
                Next::Closed => return,
            },
            _ = ping.tick() => Message::Ping(Default::default()),
        };
        match timeout(SEND_MAX, socket.send(out)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

async fn answer(shared: Arc<Shared>, caller: Arc<Caller>, session: Arc<Session>, text: String) -> String {
    let request: Request<'_> = match body::parse(text.as_bytes()) {
        Ok(request) => request,
        Err(refusal) => return failed(None, refusal),
    };
    match run(&shared, &caller, &session, &request).await {
        Ok(result) => format!("{{\"id\":{},\"result\":{result}}}", id(request.id)),
        Err(refusal) => failed(request.id, refusal),
    }
}

async fn run(shared: &Shared, caller: &Caller, session: &Session, request: &Request<'_>) -> Result<String, Refusal> {
    let params = request.params.ok_or_else(|| Refusal::new(ErrorCode::InvalidRequest, "`params` is missing"))?;
    match request.method.as_str() {
        "execute" => {
            let called = jsonrpc::call(&shared.node, caller, params).await?;
            let mut result = Vec::with_capacity(called.output.len());
            jsonrpc::write_result(&mut result, &called);
            String::from_utf8(result).map_err(|_| Refusal::new(ErrorCode::FunctionCallError, "the app gave a result that is not text"))
        }
        method @ ("subscribe" | "unsubscribe") => {
            let named: Topics = body::parse(params.get().as_bytes())?;
            let now = topics::change(shared, caller, session, &named, method == "subscribe").await?;
            serde_json::to_string(&now).map_err(|error| Refusal::new(ErrorCode::InternalError, error.to_string()))
        }
        other => Err(Refusal::new(ErrorCode::MethodNotFound, format!("there is no method `{other}`"))),
    }
}

/// `{"result":…}` with the id that no request has.
fn as_event(text: &str) -> String {
    format!("{{\"id\":null,{}", text.strip_prefix('{').unwrap_or(text))
}

fn id(id: Option<&RawValue>) -> &str {
    id.map_or("null", RawValue::get)
}

fn failed(of: Option<&RawValue>, refusal: Refusal) -> String {
    let error = serde_json::to_string(&refusal.rpc()).unwrap_or_default(); // texts and JSON always encode
    format!("{{\"id\":{},\"error\":{error}}}", id(of))
}
