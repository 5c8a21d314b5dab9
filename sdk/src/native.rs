//! Running an app in this process, over the collections that a node uses: what tests and the simulator do. A
//! [`NativeApp`] answers like the same app as a WebAssembly component, but for limits on memory and time.

mod session;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use mesto_crdt::{Hlc, Op, Read, Write};

use crate::host;
use crate::method::{AppError, Refusal};
use crate::schema::{MethodKind, Schema};
use crate::{App, json};

use session::{Local, Stop};

/// Most events of a call. The node's default.
pub const EVENTS_MAX: usize = 100;
/// Most that a call tells without leaving a trace. The node's default.
pub const SAYINGS_MAX: usize = 16;
/// Longest payload of such a message, in bytes. The protocol's.
pub const SAYING_BYTES_MAX: usize = 4 << 10;
/// Longest payload of an event, and longest line of the log, in bytes. The node's default.
pub const LINE_BYTES_MAX: usize = 16 << 10;
/// Most lines that a call logs. The node's default.
pub const LOGS_MAX: usize = 1024;
/// Random bytes that a call may draw. The node's default.
pub const RANDOM_BYTES_MAX: usize = 1 << 20;
/// The context string under which a call's seed becomes its random numbers.
const RANDOM_CONTEXT: &str = "mesto 2026 call randomness v1";

/// The state that a call works on.
pub type State = Arc<dyn Read + Send + Sync>;

/// An app that runs in this process.
#[derive(Clone, Debug)]
pub struct NativeApp {
    schema: Schema,
    invoke: fn(&str, &str) -> Result<String, Refusal>,
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The method. For [`MethodKind::Init`] the name is ignored.
    pub method: &'a str,
    /// A JSON object with the arguments by name.
    pub args: &'a [u8],
    /// What the method may do: a view cannot write, whatever the schema says.
    pub kind: MethodKind,
    /// The public key of the identity that calls.
    pub caller: [u8; 32],
    /// The context.
    pub context: [u8; 32],
    /// The time of the call.
    pub stamp: Hlc,
    /// Seeds the random numbers.
    pub seed: [u8; 32],
}

/// An event that a call emitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emitted {
    /// Its name.
    pub kind: String,
    /// JSON.
    pub payload: Vec<u8>,
    /// The method that receivers run once, if any.
    pub handler: Option<String>,
}

/// What a call did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The result as JSON.
    pub output: Vec<u8>,
    /// The changes to the state.
    pub ops: Vec<Op>,
    /// What it emitted.
    pub events: Vec<Emitted>,
    /// What it told without leaving a trace; these have no handlers.
    pub sayings: Vec<Emitted>,
    /// What it keeps on this replica alone.
    pub private: Vec<Write>,
    /// What it logged.
    pub logs: Vec<String>,
}

/// Why a call gave no result. Nothing of it is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
    /// The app panicked, or used a collection as what it is not.
    #[error("the app stopped: {0}")]
    Trap(String),
    /// A limit was reached.
    #[error("limit reached: {limit} of {max}")]
    Limit {
        /// What was limited, by its name in the node's configuration.
        limit: &'static str,
        /// How much was allowed, with its unit.
        max: String,
    },
    /// A view tried to write.
    #[error("`{0}` is a view and cannot write")]
    ViewWrites(String),
}

impl NativeApp {
    /// The app `A`.
    #[must_use]
    pub fn new<A: App>() -> Self {
        Self { schema: A::schema(), invoke: A::invoke }
    }

    /// Its schema.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Its schema as JSON.
    #[must_use]
    pub fn schema_json(&self) -> String {
        json::encode_text(&self.schema).expect("INVARIANT: a schema has text keys only")
    }

    /// What `method` may do; `None` if there is no such method that may be called from outside.
    #[must_use]
    pub fn method_kind(&self, method: &str) -> Option<MethodKind> {
        self.schema.methods.iter().find(|known| known.name == method && !known.private).map(|known| known.kind)
    }

    /// Runs a call over `state`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn invoke(&self, call: &Call<'_>, state: State) -> Result<Outcome, CallError> {
        let not_found = || CallError::MethodNotFound(call.method.to_owned());
        let (method, kind) = match call.kind {
            MethodKind::Init => match self.schema.methods.iter().find(|method| method.kind == MethodKind::Init) {
                Some(init) => (init.name, MethodKind::Init),
                None => return init_of_nothing(call.args),
            },
            MethodKind::View | MethodKind::Mutate => match self.method_kind(call.method) {
                // The first state is made once, by the node.
                None | Some(MethodKind::Init) => return Err(not_found()),
                Some(kind) => (call.method, kind),
            },
        };
        let args = std::str::from_utf8(call.args)
            .map_err(|error| CallError::BadArguments(format!("not a JSON object of arguments by name: {error}")))?;
        let view = kind == MethodKind::View || call.kind == MethodKind::View;
        let (answer, outcome) = run(Local::new(call, view, state), || (self.invoke)(method, args))?;
        match answer {
            Ok(output) => Ok(Outcome { output: output.into_bytes(), ..outcome? }),
            Err(Refusal::UnknownMethod) => Err(not_found()),
            Err(Refusal::BadArguments(text)) => Err(CallError::BadArguments(text)),
            Err(Refusal::App(AppError { message, data })) => Err(CallError::App { message, data: data.into_bytes() }),
        }
    }
}

/// An app without `#[app::init]` begins with an empty state.
fn init_of_nothing(args: &[u8]) -> Result<Outcome, CallError> {
    let args = std::str::from_utf8(args).unwrap_or_default();
    match crate::method::Arguments::parse(args, &[]) {
        Ok(_) => Ok(Outcome { output: b"null".to_vec(), ..Outcome::default() }),
        Err(_) => Err(CallError::BadArguments("the app has no init method, so it takes no arguments".to_owned())),
    }
}

/// Runs `body` with the state of an app at hand, as a mutating call or a view, and returns what it did beside its
/// result. `call`'s method and arguments are not looked at.
pub(crate) fn run_body<R>(call: &Call<'_>, state: State, body: impl FnOnce() -> R) -> Result<(R, Outcome), CallError> {
    let (result, outcome) = run(Local::new(call, call.kind == MethodKind::View, state), body)?;
    Ok((result, outcome?))
}

/// A step that the session refuses ends the body by unwinding, as a trap ends a component.
fn run<R>(session: Local, body: impl FnOnce() -> R) -> Result<(R, Result<Outcome, CallError>), CallError> {
    let session = Rc::new(session);
    let within = || host::within(Rc::<Local>::clone(&session), body);
    match catch_unwind(AssertUnwindSafe(within)) {
        Ok(result) => {
            let session = Rc::into_inner(session).expect("INVARIANT: the call is over, nobody else has its session");
            Ok((result, session.finish()))
        }
        Err(panic) => Err(match panic.downcast::<Stop>() {
            Ok(stop) => stop.0,
            Err(panic) => CallError::Trap(text(panic.as_ref())),
        }),
    }
}

fn text(panic: &(dyn Any + Send)) -> String {
    let literal = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = literal.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a text".to_owned())
}
