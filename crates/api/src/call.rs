//! Calls, in the JSON-RPC shape that existing clients use.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A JSON-RPC request. Borrows from the text that it was read from.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RpcRequest<'a> {
    /// `2.0`.
    #[serde(borrow)]
    pub jsonrpc: Cow<'a, str>,
    /// Chosen by the caller and given back.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub id: Option<&'a RawValue>,
    /// `execute`.
    #[serde(borrow)]
    pub method: Cow<'a, str>,
    /// The arguments.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Execute<'static>>")]
    pub params: Option<&'a RawValue>,
}

/// The arguments of `execute`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Execute<'a> {
    /// Where: id, prefix or name.
    #[serde(borrow)]
    pub context_id: Cow<'a, str>,
    /// Which method.
    #[serde(borrow)]
    pub method: Cow<'a, str>,
    /// Its arguments by name: an object, or a string that holds one; `{}` if absent.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub args_json: Option<&'a RawValue>,
    /// As whom; this node's identity in the context if absent.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub executor_public_key: Option<Cow<'a, str>>,
}

/// What a call gave.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Called {
    /// The result.
    #[schemars(with = "serde_json::Value")]
    pub output: Box<RawValue>,
    /// Whether a delta was made.
    pub committed: bool,
    /// The delta.
    pub delta_id: Option<String>,
    /// The root hash after it.
    pub root_hash: String,
}

/// Why a JSON-RPC request was refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RpcError {
    /// The number that JSON-RPC wants.
    pub code: i32,
    /// What happened.
    pub message: String,
    /// The kind, one of a few words.
    #[serde(rename = "type")]
    pub kind: String,
    /// More for programs: the app's own error.
    #[serde(default)]
    pub data: serde_json::Value,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// An answer to an [`RpcRequest`].
#[derive(Debug, Deserialize)]
pub struct RpcResponse<T> {
    /// On success.
    #[serde(default = "Option::default")]
    pub result: Option<T>,
    /// On failure.
    #[serde(default)]
    pub error: Option<RpcError>,
}
