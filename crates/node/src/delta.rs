//! The body of a delta: what is signed in the clear, and what only holders of the epoch key can read.
//!
//! Body: `version (1) ‖ borsh(DeltaBody)`. In the clear are the governance heads that the author had seen and the
//! key's id, because a node has to know what it lacks before it can ask for it. The sealed part is
//! XChaCha20-Poly1305 under the epoch key, with the entry's place and the clear part as associated data, so that
//! a sealed payload cannot be moved to another entry.

use borsh::{BorshDeserialize, BorshSerialize};
use mesto_crdt::{Op, decode_ops, encode_ops};
use mesto_governance::keys::EpochKey;
use mesto_governance::{BlobId, KeyId};
use mesto_oplog::entry::PARENTS_MAX;
use mesto_oplog::{EntryId, Header};

use crate::executor::Event;

/// The format that this build reads and writes.
pub const VERSION: u8 = 1;
/// Events of one delta, as many as one call may emit.
pub const EVENTS_MAX: usize = 100;
/// Governance ops that one delta can name: the heads of its group's log, and as many of the ancestors' as an op names.
pub const GOVERNANCE_MAX: usize = 2 * PARENTS_MAX;

/// The signed body.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct DeltaBody {
    /// What stood for all governance ops that the author knew: heads of the group's log, and of its ancestors' logs
    /// those that the former do not have in their past; strictly ascending, at most [`GOVERNANCE_MAX`].
    pub governance: Vec<EntryId>,
    /// Which epoch key sealed the payload.
    pub key: KeyId,
    /// Random.
    pub nonce: [u8; 24],
    /// A sealed [`Payload`].
    pub sealed: Vec<u8>,
}

/// What a delta does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payload {
    /// The version of the app that ran.
    pub bundle: BlobId,
    /// Changes of the state.
    pub ops: Vec<Op>,
    /// What the app emitted.
    pub events: Vec<Event>,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct Wire {
    bundle: BlobId,
    ops: Vec<u8>,
    events: Vec<Event>,
}

/// Why a body says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeltaError {
    /// A format that this build does not know.
    #[error("delta format version {0} is not known here (this build reads version {VERSION}): update Mesto")]
    UnknownVersion(u8),
    /// Not the canonical encoding.
    #[error("malformed delta: {0}")]
    Malformed(String),
    /// Governance heads out of order, or too many.
    #[error("the delta's governance heads are not 1 to {GOVERNANCE_MAX} in strictly ascending order")]
    GovernanceHeads,
    /// The sealed part was altered, moved, or sealed under another key.
    #[error("the delta's payload does not open under its key")]
    Sealed,
}

impl DeltaBody {
    /// Seals a payload into the body of the entry with `header`.
    ///
    /// # Errors
    /// If the payload is too large to be sealed.
    pub fn seal(
        header: &Header,
        governance: Vec<EntryId>,
        key: &EpochKey,
        nonce: [u8; 24],
        payload: &Payload,
    ) -> Result<Vec<u8>, DeltaError> {
        let malformed = |e: std::io::Error| DeltaError::Malformed(e.to_string());
        let wire = Wire { bundle: payload.bundle, ops: encode_ops(&payload.ops), events: payload.events.clone() };
        let plain = borsh::to_vec(&wire).map_err(malformed)?;
        let id = key.id();
        let sealed =
            key.encrypt(&nonce, &associated(header, &governance, &id), &plain).map_err(|_| DeltaError::Sealed)?;
        let mut bytes = vec![VERSION];
        Self { governance, key: id, nonce, sealed }.serialize(&mut bytes).map_err(malformed)?;
        Ok(bytes)
    }

    /// Reads the clear part.
    ///
    /// # Errors
    /// Anything but the canonical encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, DeltaError> {
        let (&version, rest) = bytes.split_first().ok_or_else(|| DeltaError::Malformed("empty".to_owned()))?;
        if version != VERSION {
            return Err(DeltaError::UnknownVersion(version));
        }
        let body = Self::try_from_slice(rest).map_err(|e| DeltaError::Malformed(e.to_string()))?;
        let heads = &body.governance;
        if heads.is_empty() || heads.len() > GOVERNANCE_MAX || !heads.is_sorted_by(|a, b| a < b) {
            return Err(DeltaError::GovernanceHeads);
        }
        Ok(body)
    }

    /// Opens the sealed part.
    ///
    /// # Errors
    /// If `key` does not open it, or what is inside is malformed.
    pub fn open(&self, header: &Header, key: &EpochKey) -> Result<Payload, DeltaError> {
        let associated = associated(header, &self.governance, &self.key);
        let plain = key.decrypt(&self.nonce, &associated, &self.sealed).map_err(|_| DeltaError::Sealed)?;
        let wire = Wire::try_from_slice(&plain).map_err(|e| DeltaError::Malformed(e.to_string()))?;
        if wire.events.len() > EVENTS_MAX {
            return Err(DeltaError::Malformed(format!(
                "{} events exceed the limit of {EVENTS_MAX}",
                wire.events.len()
            )));
        }
        let ops = decode_ops(&wire.ops).map_err(|e| DeltaError::Malformed(e.to_string()))?;
        Ok(Payload { bundle: wire.bundle, ops, events: wire.events })
    }
}

fn associated(header: &Header, governance: &[EntryId], key: &KeyId) -> Vec<u8> {
    let place = (&header.log, &header.author, &header.incarnation, header.seq, governance, key);
    borsh::to_vec(&place).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use mesto_oplog::entry::{Kind, Stamp};
    use mesto_oplog::{Incarnation, LogId, PublicKey};

    use super::*;

    fn header(seq: u64) -> Header {
        Header {
            kind: Kind::Delta,
            log: LogId::from_bytes([1; 32]),
            author: PublicKey::from_bytes([2; 32]),
            incarnation: Incarnation(3),
            seq,
            prev: None,
            parents: vec![],
            stamp: Stamp(4),
        }
    }

    fn heads(count: u8) -> Vec<EntryId> {
        (0..count).map(|byte| EntryId::from_bytes([byte; 32])).collect()
    }

    fn sealed(governance: Vec<EntryId>) -> Vec<u8> {
        let payload = Payload { bundle: BlobId::from_bytes([5; 32]), ops: vec![], events: vec![] };
        DeltaBody::seal(&header(1), governance, &EpochKey::new([1; 32], [6; 32]), [7; 24], &payload).expect("seals")
    }

    #[test]
    fn heads_of_governance_are_some_not_too_many_and_in_order() {
        let most = u8::try_from(GOVERNANCE_MAX).expect("few");
        assert!(DeltaBody::decode(&sealed(heads(most))).is_ok());
        let backward = heads(2).into_iter().rev().collect();
        for bad in [vec![], heads(most + 1), backward, vec![EntryId::default(); 2]] {
            assert_eq!(DeltaBody::decode(&sealed(bad)), Err(DeltaError::GovernanceHeads));
        }
    }

    #[test]
    fn a_sealed_payload_opens_in_its_own_place_under_its_own_key_only() {
        let body = DeltaBody::decode(&sealed(heads(2))).expect("canonical");
        let key = EpochKey::new([1; 32], [6; 32]);
        assert!(body.open(&header(1), &key).is_ok());
        let moved = [
            header(2),
            Header { author: PublicKey::from_bytes([9; 32]), ..header(1) },
            Header { log: LogId::from_bytes([9; 32]), ..header(1) },
            Header { incarnation: Incarnation(9), ..header(1) },
        ];
        for header in moved {
            assert_eq!(body.open(&header, &key), Err(DeltaError::Sealed));
        }
        assert_eq!(body.open(&header(1), &EpochKey::new([1; 32], [9; 32])), Err(DeltaError::Sealed));
        let elsewhere = DeltaBody { governance: heads(1), ..body };
        assert_eq!(elsewhere.open(&header(1), &key), Err(DeltaError::Sealed));
    }
}
