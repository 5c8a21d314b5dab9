//! Governance: groups, roles, invitations and keys.
//!
//! A group governs itself by signed operations in a log of its own. This crate says what an operation is
//! ([`Op`], [`Action`]), and what a set of them comes to ([`Governance`], [`GroupState`]): a pure function of the
//! set, with the rules in [`fold`]. It also holds what joining needs ([`Ticket`], [`Claim`]) and the keys that
//! keep state from those who may not read it ([`keys`]).

pub mod action;
pub mod capability;
pub mod card;
pub mod claim;
pub mod context_right;
pub mod domain;
pub mod fold;
pub mod id;
pub mod keys;
pub mod op;
pub mod rank;
pub mod right;
pub mod role;
pub mod standing;
pub mod ticket;
pub mod verdict;
pub mod why;

pub use action::Action;
pub use capability::{Capabilities, Capability};
pub use card::Card;
pub use claim::Claim;
pub use context_right::ContextRight;
pub use domain::NextEpoch;
pub use fold::{Applied, Change, Governance, GroupState, MemberRow, Refusal, Rejected};
pub use id::{ApplicationId, BlobId, ContextId, GroupId, InvitationId, KeyId, SealingPublicKey};
pub use keys::{EpochKey, SealingKey};
pub use op::{Op, OpError};
pub use rank::Rank;
pub use right::{Denied, Right};
pub use role::{Level, Role};
pub use standing::{Need, Standing};
pub use ticket::Ticket;
pub use verdict::{Verdict, Warrant, verdict};
pub use why::Why;
