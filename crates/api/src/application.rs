//! Applications.

use serde::{Deserialize, Serialize};

/// An installed version of an application.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
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
