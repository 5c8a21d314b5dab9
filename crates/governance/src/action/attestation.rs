//! Admission of attested nodes.

use borsh::{BorshDeserialize, BorshSerialize};
use mesto_oplog::PublicKey;

use super::check_list;
use super::membership::PeerHint;
use crate::id::{BlobId, SealingPublicKey};
use crate::op::OpError;

/// Measurements that one policy may list.
pub const MEASUREMENTS_MAX: usize = 64;
/// Largest attestation quote that an op carries, in bytes: certificate chains included they are about 5 KiB.
pub const QUOTE_LEN_MAX: usize = 32 * 1024;

/// What an enclave must measure as: up to 64 bytes, shorter ones padded with zeros by their scheme.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
pub struct Measurement {
    /// Which register of the enclave.
    pub register: u8,
    /// Its value.
    pub value: [u8; 64],
}

/// Sets which attested nodes may be admitted.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct AdmissionPolicySet {
    /// Whether attested nodes are admitted at all.
    pub enabled: bool,
    /// What they may measure as, strictly ascending, at most [`MEASUREMENTS_MAX`].
    pub measurements: Vec<Measurement>,
}

impl AdmissionPolicySet {
    pub(super) fn check(&self) -> Result<(), OpError> {
        check_list("measurements", &self.measurements, MEASUREMENTS_MAX)
    }
}

/// Admits an attested node as a reader.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct TeeAdmitted {
    /// The new member.
    pub member: PublicKey,
    /// Its sealing key.
    pub sealing_key: SealingPublicKey,
    /// Where its node may be found.
    pub peer: PeerHint,
    /// The nonce that the quote answers.
    pub nonce: [u8; 32],
    /// The quote, at most [`QUOTE_LEN_MAX`] bytes.
    pub quote: Vec<u8>,
    /// Certificates and revocation lists that the quote was checked against.
    pub collateral: Option<BlobId>,
}

impl TeeAdmitted {
    pub(super) fn check(&self) -> Result<(), OpError> {
        self.peer.check()?;
        if self.quote.len() > QUOTE_LEN_MAX {
            return Err(OpError::TooMany { field: "quote", count: self.quote.len(), max: QUOTE_LEN_MAX });
        }
        Ok(())
    }
}
