//! The node itself: `/healthz`, `/admin-api/{health, status, usage, identity, peers}`.

use axum::extract::{Query, State};
use axum::response::Response;
use mesto_api::node::{Connect, Connected, Health, Identity, Membership, NodeStatus, Peer, Usage};
use mesto_api::ErrorCode;
use mesto_node::command::{Command, Reply, Selector, Status};
use serde::Deserialize;

use super::body::{self, Json};
use super::refusal::Refusal;
use super::{Shared, Serving};
use crate::driver::ConnectError;

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the node answers.
pub(super) async fn readyz(State(shared): Serving) -> Result<&'static str, Refusal> {
    held(&shared).await?;
    Ok("ready\n")
}

pub(super) async fn health() -> Result<Response, Refusal> {
    body::data(Health { status: "alive".to_owned() })
}

pub(super) async fn status(State(shared): Serving) -> Result<Response, Refusal> {
    let held = held(&shared).await?;
    let node = &shared.node;
    body::data(NodeStatus {
        peer_id: node.peer_id(),
        name: node.name(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_seconds: node.uptime().as_secs(),
        listen: node.listen().await,
        peers: node.peers().await.len() as u64,
        groups: held.groups,
        contexts: held.contexts,
        pending_joins: held.pending_joins,
        parked: held.parked,
    })
}

pub(super) async fn usage(State(shared): Serving) -> Result<Response, Refusal> {
    let held = held(&shared).await?;
    let blobs = super::blobs::all(&shared).await?;
    body::data(Usage {
        groups: held.groups,
        contexts: held.contexts,
        pending_joins: held.pending_joins,
        parked: held.parked,
        blobs: blobs.len() as u64,
        blob_bytes: blobs.iter().map(|blob| blob.size).sum(),
        event_sessions: shared.hub.sessions() as u64,
    })
}

pub(super) async fn held(shared: &Shared) -> Result<Status, Refusal> {
    match shared.node.command(Command::Status).await? {
        Reply::Status(status) => Ok(status),
        _ => Err(Refusal::mismatch("status")),
    }
}

/// `?group=`.
#[derive(Deserialize)]
pub(super) struct InGroup {
    group: Option<String>,
}

pub(super) async fn identity(State(shared): Serving, Query(InGroup { group }): Query<InGroup>) -> Result<Response, Refusal> {
    let asked = group.is_some();
    let Reply::Whoami(keys) = shared.node.command(Command::Whoami(group.map(Selector))).await? else {
        return Err(Refusal::mismatch("whoami"));
    };
    let memberships: Vec<Membership> = keys
        .iter()
        .map(|(group, member)| Membership { group_id: group.to_string(), member_id: member.to_string() })
        .collect();
    let member_id = match memberships.as_slice() {
        [only] => Some(only.member_id.clone()),
        [first, ..] if asked => Some(first.member_id.clone()),
        _ => None,
    };
    body::data(Identity { peer_id: shared.node.peer_id(), member_id, memberships })
}

pub(super) async fn peers(State(shared): Serving) -> Result<Response, Refusal> {
    let peers = shared.node.peers().await;
    body::list(
        peers
            .iter()
            .map(|peer| Peer {
                peer_id: peer.peer.to_string(),
                addrs: if peer.addresses.is_empty() {
                    vec![peer.address.to_string()]
                } else {
                    peer.addresses.iter().map(ToString::to_string).collect()
                },
                direct: peer.direct,
                rtt_ms: peer.rtt.map(|rtt| rtt.as_secs_f64() * 1000.0),
            })
            .collect(),
    )
}

pub(super) async fn connect(State(shared): Serving, Json(Connect { addr }): Json<Connect>) -> Result<Response, Refusal> {
    match shared.node.connect(&addr).await {
        Ok(peer_id) => body::data(Connected { peer_id }),
        Err(error @ ConnectError::BadAddress(_)) => Err(Refusal::new(ErrorCode::InvalidArgument, error.to_string())),
        Err(error) => Err(Refusal::new(ErrorCode::PeerUnreachable, error.to_string())
            .hint("is the address right, and does the node run there? `mesto status` on that machine lists where it listens")),
    }
}
