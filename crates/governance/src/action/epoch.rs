//! Key epochs: a fresh symmetric key for a domain, sealed to those who may read.

use borsh::{BorshDeserialize, BorshSerialize};
use mesto_oplog::PublicKey;

use super::context::ContextRef;
use crate::id::{BlobId, KeyId};
use crate::op::OpError;

/// Length of an epoch key under encryption: 32 bytes and a tag of 16.
pub const WRAPPED_KEY_LEN: usize = 48;
/// Wraps that an op carries itself; longer lists travel as a blob. 112 bytes each, so that they fill less than
/// half of an op.
pub const WRAPS_INLINE_MAX: usize = 1024;

/// Domain of the digest of recipients.
pub const RECIPIENTS_CONTEXT: &str = "mesto 2026 epoch recipients v1";

/// What a key protects.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Domain {
    /// The group, with its Open contexts.
    Group = 1,
    /// One Restricted context.
    Context(ContextRef) = 2,
}

/// The key, sealed to one recipient by HPKE.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
pub struct Wrap {
    /// The member to whose sealing key it is sealed.
    pub recipient: PublicKey,
    /// HPKE's encapsulated key.
    pub encapsulated: [u8; 32],
    /// The sealed key.
    pub ciphertext: [u8; WRAPPED_KEY_LEN],
}

/// The list of wraps.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Wraps {
    /// In the op, strictly ascending by recipient, at most [`WRAPS_INLINE_MAX`].
    Inline(Vec<Wrap>) = 1,
    /// In a blob that holds the same list.
    Blob {
        /// The blob.
        blob: BlobId,
        /// How many wraps it holds.
        count: u32,
    } = 2,
}

/// A key under another symmetric key.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct KeyWrap {
    /// 24 random bytes.
    pub nonce: [u8; 24],
    /// The encrypted key.
    pub ciphertext: [u8; WRAPPED_KEY_LEN],
}

/// The new key under the parent group's, for inherited members.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ParentWrap {
    /// The parent's key.
    pub parent: KeyId,
    /// The new key under it.
    pub wrap: KeyWrap,
}

/// The domain's previous key under the new one, so that the new key opens the past.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct HistoryWrap {
    /// The previous key.
    pub previous: KeyId,
    /// It, under the new key.
    pub wrap: KeyWrap,
}

/// Starts a key epoch.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct KeyEpochStarted {
    /// What the key protects.
    pub domain: Domain,
    /// The hash of the domain's nonce and the key.
    pub key: KeyId,
    /// Digest of the recipients, see [`recipients_digest`].
    pub recipients: [u8; 32],
    /// The key for each recipient.
    pub wraps: Wraps,
    /// The key for the parent group's members.
    pub parent: Option<ParentWrap>,
    /// The way back into the past; several where epochs had been started concurrently. Strictly ascending by
    /// key, at most [`HISTORY_MAX`].
    pub history: Vec<HistoryWrap>,
}

/// Previous keys that one epoch may wrap: as many as concurrent heads can be.
pub const HISTORY_MAX: usize = 32;

impl KeyEpochStarted {
    pub(super) fn check(&self) -> Result<(), OpError> {
        if self.history.len() > HISTORY_MAX {
            return Err(OpError::TooMany { field: "history", count: self.history.len(), max: HISTORY_MAX });
        }
        if !self.history.is_sorted_by(|a, b| a.previous < b.previous) {
            return Err(OpError::Unordered { field: "history" });
        }
        let Wraps::Inline(wraps) = &self.wraps else { return Ok(()) };
        if wraps.len() > WRAPS_INLINE_MAX {
            return Err(OpError::TooMany { field: "wraps", count: wraps.len(), max: WRAPS_INLINE_MAX });
        }
        if !wraps.is_sorted_by(|a, b| a.recipient < b.recipient) {
            return Err(OpError::Unordered { field: "wraps" });
        }
        if recipients_digest(wraps.iter().map(|wrap| wrap.recipient)) != self.recipients {
            return Err(OpError::RecipientsDiffer);
        }
        Ok(())
    }

    /// The wrap for `member`, if the op carries it.
    #[must_use]
    pub fn wrap_for(&self, member: &PublicKey) -> Option<&Wrap> {
        match &self.wraps {
            Wraps::Inline(wraps) => {
                let at = wraps.binary_search_by(|wrap| wrap.recipient.cmp(member)).ok()?;
                wraps.get(at)
            }
            Wraps::Blob { .. } => None,
        }
    }
}

/// The digest of a set of recipients, given in ascending order.
#[must_use]
pub fn recipients_digest(recipients: impl IntoIterator<Item = PublicKey>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(RECIPIENTS_CONTEXT);
    for recipient in recipients {
        hasher.update(recipient.as_bytes());
    }
    *hasher.finalize().as_bytes()
}
