//! Applications.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An installed version of an application.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// Package and signer, across versions.
    pub application_id: String,
    /// The bundle of this version.
    pub blob_id: String,
    /// The package's name.
    pub package: String,
    /// The version, as its author calls it.
    pub version: String,
    /// Who signed it, as a `did:key`; absent where only a group's word for it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer_id: Option<String>,
    /// Length of the bundle, in bytes.
    pub size: u64,
}

/// Asks the node to fetch a bundle and install it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InstallFromUrl {
    /// An `http://` URL at a public address. Who signed the bundle is in the answer.
    pub url: String,
    /// The bundle's blob id, if it is known: another is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob_id: Option<String>,
}
