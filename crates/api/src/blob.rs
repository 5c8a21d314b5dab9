//! Blobs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A stored blob.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Blob {
    /// Its id: the BLAKE3 hash of its bytes.
    pub blob_id: String,
    /// Its length in bytes.
    pub size: u64,
}

/// The answer to an upload. Existing JavaScript clients read the id under its second name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Uploaded {
    /// The id.
    #[serde(rename = "blobId")]
    pub blob_id: String,
    /// The id again.
    #[serde(rename = "blob_id")]
    pub blob_id_snake: String,
    /// Length in bytes.
    pub size: u64,
}
