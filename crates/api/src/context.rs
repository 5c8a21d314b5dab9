//! Contexts and how they stand with peers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Asks for a new context.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateContext {
    /// In which group: id, prefix or name.
    #[serde(alias = "groupId")]
    pub group: String,
    /// Which application; the group's target if absent.
    #[serde(alias = "applicationId", default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether only those on its allowlist may join it; as the group's default says if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restricted: Option<bool>,
    /// Arguments of the app's `init`, a JSON object; `{}` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub init: Option<Box<RawValue>>,
}

/// The answer to [`CreateContext`], and to joining one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContextCreated {
    /// The context.
    pub context_id: String,
    /// This node's identity in it.
    pub identity: String,
}

/// Something to tell to whoever listens now, on all members' nodes; it is kept nowhere.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Say {
    /// Its name, which the app gives it: 1 to 64 bytes.
    pub kind: String,
    /// Any JSON, of at most 4 KiB.
    #[schemars(with = "serde_json::Value")]
    pub payload: Box<RawValue>,
}

/// A context as this node sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Context {
    /// Its id.
    pub context_id: String,
    /// Its group.
    pub group_id: String,
    /// Its name.
    pub name: Option<String>,
    /// Its application.
    pub application_id: String,
    /// The bundle that it runs.
    pub blob_id: String,
    /// The version as the app's author calls it, if the bundle is here.
    pub version: Option<String>,
    /// Whether the bundle is here.
    pub bundle_held: bool,
    /// The root hash of its state, as computed here.
    pub root_hash: String,
    /// Newest deltas.
    pub heads: Vec<String>,
    /// Accepted deltas, `init` included.
    pub entries: u64,
    /// Leaves of the state tree.
    pub state_entries: u64,
    /// Voided deltas.
    pub voided: u64,
    /// Deltas that wait for something.
    pub parked: u64,
    /// This node's identity in it.
    pub identity: Option<String>,
    /// Whether this node joined it.
    pub joined: bool,
    /// Whether its bundle is here and its state was once equal to a member's, or began here.
    pub ready: bool,
    /// `open` or `restricted`.
    pub visibility: String,
}

/// A member's place in a context.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Seat {
    /// Who.
    pub member_id: String,
    /// Their name in the group.
    pub alias: Option<String>,
    /// Their role in the group; none if they are no member any more.
    pub role: Option<String>,
    /// Whether they are on the allowlist.
    pub allowed: bool,
    /// Whether they may read here now.
    pub reads: bool,
    /// Whether they may write here now.
    pub writes: bool,
    /// The identities under which they joined.
    pub identities: Vec<String>,
}

/// Asks to put members on an allowlist.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Allow {
    /// Members: keys, prefixes or aliases.
    pub members: Vec<String>,
}

/// Asks to open or restrict a context.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetVisibility {
    /// `open` or `restricted`.
    pub visibility: String,
}

/// Asks for a comparison with connected members.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StartSync {
    /// With whom; every connected member if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}

/// How a context stands with the connected members.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sync {
    /// The context.
    pub context_id: String,
    /// Our root hash.
    pub root_hash: String,
    /// Our heads.
    pub heads: Vec<String>,
    /// How comparisons are made.
    pub protocol: String,
    /// Bytes of comparisons and entries so far, both ways.
    pub bytes: u64,
    /// Round trips of comparisons so far.
    pub round_trips: u64,
    /// Whether somebody is connected and everybody who is has our root and heads.
    pub converged: bool,
    /// The connected members of the context.
    pub peers: Vec<SyncPeer>,
}

/// How we stand with one peer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncPeer {
    /// The peer.
    pub peer_id: String,
    /// Whether, as of its newest summary, its heads and root equal ours.
    pub equal: bool,
}

/// A leaf of a context's state, as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Leaf {
    /// Its place, in hexadecimal.
    pub key: String,
    /// What is there, in base64.
    pub value: String,
}
