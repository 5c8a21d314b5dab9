//! Signed entries and the causal logs that they form.
//!
//! Bytes from outside become a [`Signed`] (well-formed, canonical, not yet trusted), then a [`Verified`]
//! (its author signed exactly these bytes), and only a `Verified` can be looked into or placed in a log.
//!
//! The rules that hold for every entry of every log:
//!
//! 1. *One encoding.* Decoding refuses anything that would encode differently.
//! 2. *Everything is signed.* The id is the BLAKE3 hash of the signed bytes, the signature covers the id.
//! 3. *Author chains.* `seq` counts 1, 2, 3… per author, incarnation and log; `prev` names the entry before.
//!    Two entries with the same place in a chain are an *equivocation*: both stay, as concurrent branches.
//! 4. *Causality.* An entry's parents and `prev` are in its past and its stamp is after all of theirs.
//! 5. *No tie ends in (author, seq).* Where an order is needed, the last word has the entry id.
//! 6. *Closed under parents.* A log holds an entry only together with all of its past, so a few ids speak for
//!    all: [`Dag::heads`] for equality, an [`AuthorVector`] for what is missing. What comes too early is
//!    [parked](Parking).
//!
//! Everything here is pure: it reads through [`DagRead`] and returns what the caller is to write.

pub mod chain;
pub mod dag;
pub mod entry;
pub mod equivocation;
pub mod id;
pub mod key;
pub mod memory;
pub mod missing;
pub mod parking;
pub mod placement;
pub mod vector;

pub use chain::{Base, Chain, ChainKey, Tip};
pub use dag::{Admission, ChainEntry, Dag, DagRead, Inserted, Next, Ready, Refusal};
pub use entry::{DecodeError, Draft, Header, Kind, SignError, Signed, Stamp, Verified, VerifyError};
pub use equivocation::Proof;
pub use id::{EntryId, Incarnation, LogId, PrefixError, PublicKey};
pub use key::SigningKey;
pub use missing::{Assume, Lacking, Page, ahead_of, missing};
pub use parking::Parking;
pub use placement::{ChainIx, Past, Placement};
pub use vector::AuthorVector;
