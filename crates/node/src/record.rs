//! Records of the meta keyspace: what the node must know again after a restart.
//!
//! They hold secrets; the store's folder is readable by its owner only.

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use mesto_governance::{ApplicationId, BlobId};
use mesto_oplog::{EntryId, Incarnation};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::command::AppVersion;
use crate::layout;
use crate::store::{Keyspace, Snapshot};

/// Our part in a group.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Zeroize, ZeroizeOnDrop)]
pub struct GroupRecord {
    /// Seed of the member's signing key.
    pub member_seed: [u8; 32],
    /// Secret of the sealing key.
    pub sealing_seed: [u8; 32],
    /// The life of our chain in the group's log.
    #[zeroize(skip)]
    pub incarnation: Incarnation,
}

/// Keys that were made for a group that we are to be added to.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Zeroize, ZeroizeOnDrop)]
pub struct CardRecord {
    /// Seed of the member's signing key.
    pub member_seed: [u8; 32],
    /// Secret of the sealing key.
    pub sealing_seed: [u8; 32],
}

/// A join that has not been countersigned, or whose contexts are not all joined.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Zeroize, ZeroizeOnDrop)]
pub struct JoinRecord {
    /// The ticket's text.
    pub ticket: String,
    /// Whether each Open context is to be joined.
    pub contexts_all: bool,
    /// Why a member refused, if one did for good.
    pub refused: Option<String>,
    /// Whether the group's log caught up with a member's.
    pub caught_up: bool,
}

/// Our part in a context.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Zeroize, ZeroizeOnDrop)]
pub struct ContextRecord {
    /// The group's id.
    pub group: [u8; 32],
    /// Seed of the context identity's signing key.
    pub identity_seed: [u8; 32],
    /// The life of our chain in the context's log.
    #[zeroize(skip)]
    pub incarnation: Incarnation,
    /// Arguments of the app's init, while it is to run: set on the creator's node until the first delta.
    pub init: Option<Vec<u8>>,
    /// Whether the state equalled a member's once, or was begun here; and we have not been out of the context since.
    pub caught_up: bool,
    /// The op that bound our identity; absent until it is authored.
    #[zeroize(skip)]
    pub joined_by: Option<EntryId>,
}

/// Where a member's node listens.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct PeerRecord {
    /// Multiaddrs, newest first.
    pub addresses: Vec<String>,
}

macro_rules! no_debug {
    ($($record:ident),*) => {$(
        impl std::fmt::Debug for $record {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($record), "(..)"))
            }
        }
    )*};
}
no_debug!(GroupRecord, CardRecord, JoinRecord, ContextRecord);

/// A bundle that is here and ready to run.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct AppRecord {
    /// Package and signer, across versions.
    pub application: [u8; 32],
    /// Length of the bundle in bytes.
    pub size: u64,
    /// The package's name.
    pub package: String,
    /// The version as its author calls it.
    pub version: String,
}

/// The bundles that were installed when the store was last written. The shell tells at start which of them it
/// still holds.
#[must_use]
pub fn installed(snapshot: &Arc<dyn Snapshot>) -> Vec<AppVersion> {
    let pairs = snapshot.scan(Keyspace::Meta, layout::APPS, None, usize::MAX);
    let read = |(key, bytes): (Vec<u8>, Vec<u8>)| {
        let bundle = key.get(layout::APPS.len()..)?.try_into().ok()?;
        let record = AppRecord::try_from_slice(&bytes).ok()?;
        Some(AppVersion {
            application: ApplicationId::from_bytes(record.application),
            bundle: BlobId::from_bytes(bundle),
            size: record.size,
            package: record.package,
            version: record.version,
        })
    };
    pairs.into_iter().filter_map(read).collect()
}
