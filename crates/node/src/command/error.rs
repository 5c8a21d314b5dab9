//! Why a command is refused.

use mesto_governance::{ContextId, GroupId};
use mesto_oplog::PublicKey;

use super::Noun;
use crate::executor::CallError;

/// Why a command was refused. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// Nothing has this id, prefix or name.
    #[error("there is no {noun:?} `{selector}` here")]
    Unknown {
        /// What was looked for.
        noun: Noun,
        /// How it was named.
        selector: String,
    },
    /// Several things have this prefix or name.
    #[error("`{selector}` could be any of: {}", candidates.join(", "))]
    Ambiguous {
        /// What was looked for.
        noun: Noun,
        /// How it was named.
        selector: String,
        /// The ids that fit.
        candidates: Vec<String>,
    },
    /// The rights do not suffice.
    #[error("not allowed: {0}")]
    Denied(String),
    /// A value is malformed or beyond its bound.
    #[error("{0}")]
    Invalid(String),
    /// A member card is altered, truncated or of another version.
    #[error("the card is not valid: {0}")]
    BadCard(String),
    /// The ticket is altered, truncated or of another version.
    #[error("the ticket is not valid: {0}")]
    BadTicket(String),
    /// The ticket's time is over.
    #[error("the ticket expired at {0} ms since 1970")]
    TicketExpired(u64),
    /// The context exists, but this node did not join it.
    #[error("this node has not joined context {0}")]
    NotJoined(ContextId),
    /// The context was joined, but its app or state is not here yet.
    #[error("context {0} is not ready: its application or state is still on its way")]
    NotReady(ContextId),
    /// The application is not installed here.
    #[error("application {0} is not installed here")]
    NotInstalled(String),
    /// The group's application has not arrived.
    #[error("application {0} of the group has not arrived yet")]
    ApplicationAwaited(String),
    /// What is asked for is so already.
    #[error("{0} already has this standing")]
    NoChange(PublicKey),
    /// The group names no application and none was given.
    #[error("the group has no target application: name one")]
    NoApplication,
    /// The group's current key has not arrived.
    #[error("the key of group {0} has not arrived yet")]
    KeyMissing(GroupId),
    /// Too many calls wait in this context.
    #[error("{waiting} calls already wait in this context; try again")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// More is said than others would listen to.
    #[error("passing messages come too fast: {per_second} a second can be told in a context")]
    TooFast {
        /// How many may.
        per_second: u64,
    },
    /// The call gave no result.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}
