//! What happened in a flow.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Between whom something went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// Within the node.
    Here,
    /// From the node to a peer.
    To,
    /// From a peer to the node.
    From,
    /// From the node to whoever listens.
    ToAll,
}

/// One arrow of a flow.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Arrow {
    /// Counts all arrows since the node started.
    pub seq: u64,
    /// When, RFC 3339.
    pub at: String,
    /// `f01` to `f23`.
    pub flow: String,
    /// What was done.
    pub step: String,
    /// Between whom.
    pub direction: Direction,
    /// The peer, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_id: Option<String>,
    /// The id of what it was about.
    pub about: String,
}
