//! The node itself and its peers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether the node lives.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// `alive`.
    pub status: String,
}

/// How the node is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// Its id among peers.
    pub peer_id: String,
    /// What its operator calls it.
    pub name: Option<String>,
    /// The version of the program.
    pub version: String,
    /// Seconds since it started.
    pub uptime_seconds: u64,
    /// Addresses that peers reach it at.
    pub listen: Vec<String>,
    /// Connected peers.
    pub peers: u64,
    /// Groups that it is in.
    pub groups: u64,
    /// Contexts that it joined.
    pub contexts: u64,
    /// Joins that wait for a member.
    pub pending_joins: u64,
    /// Entries that wait for others.
    pub parked: u64,
}

/// What the node holds, in numbers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Groups that it is in.
    pub groups: u64,
    /// Contexts that it joined.
    pub contexts: u64,
    /// Joins that wait for a member.
    pub pending_joins: u64,
    /// Entries that wait for others.
    pub parked: u64,
    /// Stored blobs.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Streams of events that are open.
    pub event_sessions: u64,
}

/// A connected peer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// Its id.
    pub peer_id: String,
    /// Where it is reached.
    pub addrs: Vec<String>,
    /// Whether the connection goes straight to it.
    pub direct: bool,
    /// Round trip in milliseconds, once measured.
    pub rtt_ms: Option<f64>,
}

/// Asks to connect to a peer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Connect {
    /// A multiaddr, with or without the peer's id.
    pub addr: String,
}

/// The answer to [`Connect`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Connected {
    /// Who answered.
    pub peer_id: String,
}

/// Who this node is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Its id among peers.
    pub peer_id: String,
    /// Its key in the group that was asked for, or in its only group; none if there is no such one.
    pub member_id: Option<String>,
    /// Its key in each group.
    pub memberships: Vec<Membership>,
}

/// The node's key in one group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Membership {
    /// The group.
    pub group_id: String,
    /// The key.
    pub member_id: String,
}
