//! What the node asks of an executor: run one method of an app over a state, and tell what it did.
//!
//! An executor is a pure function of its arguments: the same call over the same state gives the same outcome,
//! on every machine (limits on wall time aside, which end in an error and leave no trace).

use std::sync::Arc;

use mesto_crdt::{Hlc, Op, Write};
use mesto_governance::{BlobId, ContextId};
use mesto_oplog::PublicKey;
pub use mesto_sync::Saying;
pub use mesto_sync::ephemeral::{KIND_LEN_MAX as SAYING_KIND_LEN_MAX, PAYLOAD_LEN_MAX as SAYING_LEN_MAX};

/// What a method may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MethodKind {
    /// Reads only; runs on a snapshot, makes no delta.
    View,
    /// Reads and writes; one at a time in a context.
    Mutate,
    /// Makes the first state; runs once, when the context is created.
    Init,
}

/// One call of a method.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// The instance.
    pub context: ContextId,
    /// The version of the app: the blob id of its bundle.
    pub bundle: BlobId,
    /// The method's name. For [`MethodKind::Init`] the name is ignored.
    pub method: String,
    /// A JSON object with the arguments by name.
    pub args: Vec<u8>,
    /// What the method may do.
    pub kind: MethodKind,
    /// The context identity that calls.
    pub caller: PublicKey,
    /// The time of the call: what the app sees as now, and for a mutating call its delta's stamp.
    pub stamp: Hlc,
    /// Seeds the app's random numbers.
    pub seed: [u8; 32],
}

/// Something that the app tells its subscribers.
#[derive(Clone, PartialEq, Eq, Debug, borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Event {
    /// The event's name in the app's schema.
    pub kind: String,
    /// JSON.
    pub payload: Vec<u8>,
    /// The method that receivers run once, if any.
    pub handler: Option<String>,
}

/// What a call did. Without an error in `output` only.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// The result as JSON.
    pub output: Vec<u8>,
    /// The changes to the state; empty for a view.
    pub ops: Vec<Op>,
    /// What it emitted.
    pub events: Vec<Event>,
    /// What it tells subscribers without leaving a trace.
    pub sayings: Vec<Saying>,
    /// What it keeps on this node alone ([`mesto_crdt::Private::finish`]).
    pub private: Vec<Write>,
    /// What it logged, for the node's own log.
    pub logs: Vec<String>,
}

/// Why a call gave no result. Nothing of it is kept.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The app has no such method that may be called from outside.
    #[error("the app has no method `{0}`")]
    MethodNotFound(String),
    /// The arguments do not fit the method.
    #[error("the arguments do not fit: {0}")]
    BadArguments(String),
    /// The app refused; `data` is its own error as JSON.
    #[error("the app refused the call: {message}")]
    App {
        /// The error as text.
        message: String,
        /// The error as JSON.
        data: Vec<u8>,
    },
    /// The app broke: a panic or another trap.
    #[error("the app stopped: {0}")]
    Trap(String),
    /// A limit was reached.
    #[error("limit reached: {limit} of {max}")]
    Limit {
        /// What was limited, by its name in the configuration.
        limit: String,
        /// How much was allowed, with its unit.
        max: String,
    },
    /// A view tried to write.
    #[error("`{0}` is a view and cannot write")]
    ViewWrites(String),
    /// The bundle is not here or cannot be loaded.
    #[error("the app cannot be loaded: {0}")]
    NotLoaded(String),
}

/// Runs methods of apps.
pub trait Executor: Send + Sync {
    /// What `method` of `bundle` may do; `None` if there is no such method that may be called from outside.
    ///
    /// # Errors
    /// [`CallError::NotLoaded`].
    fn method_kind(&self, bundle: &BlobId, method: &str) -> Result<Option<MethodKind>, CallError>;

    /// Runs a call over `state`.
    ///
    /// # Errors
    /// See [`CallError`].
    fn execute(&self, call: &Call, state: Arc<dyn mesto_crdt::Read + Send + Sync>) -> Result<Outcome, CallError>;
}
