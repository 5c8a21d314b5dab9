//! Apps that run in this process: the sample app `kv`, and one that uses every collection, written straight on the
//! host's drafts.
//!
//! A call that is to fail says so in its arguments and fails after it has written, so that whatever it wrote can
//! be looked for in every state later.

use std::sync::Arc;

use mesto_crdt::{Author, Draft, DraftError, DraftLimits, Handle, Kind, Read};
use mesto_governance::BlobId;
use mesto_node::{Call, CallError, Event, Executor, MethodKind, Outcome, Saying};
use mesto_sdk::native::{self, NativeApp};
use serde_json::Value;

/// What the value of a call begins with that is to stop after writing it.
pub(crate) const POISON: &str = "poison-";

/// An app that a run can be about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum App {
    /// One that uses every collection.
    Collections,
    /// The sample app.
    Kv,
}

impl App {
    /// Its executor in this process.
    #[must_use]
    pub fn native(self) -> Arc<dyn Executor> {
        match self {
            Self::Collections => Arc::new(Collections),
            Self::Kv => Arc::new(Kv(NativeApp::new::<mesto_app_kv::Kv>())),
        }
    }
}

/// The sample app.
struct Kv(NativeApp);

impl Executor for Kv {
    fn method_kind(&self, _bundle: &BlobId, method: &str) -> Result<Option<MethodKind>, CallError> {
        Ok(self.0.method_kind(method).map(|kind| match kind {
            mesto_sdk::MethodKind::View => MethodKind::View,
            mesto_sdk::MethodKind::Mutate => MethodKind::Mutate,
            mesto_sdk::MethodKind::Init => MethodKind::Init,
        }))
    }

    fn execute(&self, call: &Call, state: State) -> Result<Outcome, CallError> {
        let kind = match call.kind {
            MethodKind::View => mesto_sdk::MethodKind::View,
            MethodKind::Mutate => mesto_sdk::MethodKind::Mutate,
            MethodKind::Init => mesto_sdk::MethodKind::Init,
        };
        let native = native::Call {
            method: &call.method,
            args: &call.args,
            kind,
            caller: *call.caller.as_bytes(),
            context: *call.context.as_bytes(),
            stamp: call.stamp,
            seed: call.seed,
        };
        let done = self.0.invoke(&native, state).map_err(failure)?;
        let event = |event: native::Emitted| Event { kind: event.kind, payload: event.payload, handler: event.handler };
        let events = done.events.into_iter().map(event).collect();
        let saying = |said: native::Emitted| Saying { kind: said.kind, payload: said.payload };
        let sayings = done.sayings.into_iter().map(saying).collect();
        Ok(Outcome { output: done.output, ops: done.ops, events, sayings, private: done.private, logs: done.logs })
    }
}

fn failure(error: native::CallError) -> CallError {
    let text = error.to_string();
    match error {
        native::CallError::MethodNotFound(method) => CallError::MethodNotFound(method),
        native::CallError::BadArguments(text) => CallError::BadArguments(text),
        native::CallError::App { message, data } => CallError::App { message, data },
        native::CallError::Limit { limit, max } => CallError::Limit { limit: limit.to_owned(), max },
        native::CallError::ViewWrites(method) => CallError::ViewWrites(method),
        native::CallError::Trap(text) => CallError::Trap(text),
        _ => CallError::Trap(text),
    }
}

/// The app that uses every collection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Collections;

type State = Arc<dyn Read + Send + Sync>;

impl Executor for Collections {
    fn method_kind(&self, _bundle: &BlobId, method: &str) -> Result<Option<MethodKind>, CallError> {
        Ok(match method {
            "get" => Some(MethodKind::View),
            "set" | "remove" | "clear" | "incr" | "add" | "drop" | "nest" | "tally" | "write" | "refuse" | "idle" => {
                Some(MethodKind::Mutate)
            }
            _ => None,
        })
    }

    fn execute(&self, call: &Call, state: State) -> Result<Outcome, CallError> {
        let args: Value =
            serde_json::from_slice(&call.args).map_err(|error| CallError::BadArguments(error.to_string()))?;
        let text = |name: &str| args.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |name: &str| args.get(name).and_then(Value::as_i64).unwrap_or_default();
        let mut draft = Draft::new(state, Author(*call.caller.as_bytes()), DraftLimits::default());
        let output = match call.kind {
            MethodKind::Init => set_register(&mut draft, "title", &text("title")).map(|()| Some(Value::Null)),
            MethodKind::View | MethodKind::Mutate => {
                run(&mut draft, &call.method, &text("key"), &text("value"), number("by"))
            }
        };
        let output = output.map_err(|error| CallError::Trap(error.to_string()))?;
        let output = output.ok_or_else(|| CallError::MethodNotFound(call.method.clone()))?;
        if call.method == "refuse" {
            return Err(CallError::App { message: "as asked".to_owned(), data: b"null".to_vec() });
        }
        if text("value").starts_with(POISON) {
            return Err(CallError::Trap("as asked".to_owned()));
        }
        let ops = draft.finish().map_err(|error| CallError::Trap(error.to_string()))?;
        let events = if ops.is_empty() { Vec::new() } else { vec![event(&call.method)] };
        Ok(Outcome { output: output.to_string().into_bytes(), ops, events, ..Outcome::default() })
    }
}

fn event(method: &str) -> Event {
    Event { kind: method.to_owned(), payload: b"{}".to_vec(), handler: None }
}

/// Runs a method; nothing if there is none of this name.
fn run(draft: &mut Draft<State>, method: &str, key: &str, value: &str, by: i64) -> Result<Option<Value>, DraftError> {
    let key = key.as_bytes();
    Ok(Some(match method {
        "get" => {
            let items = draft.open_root("items", Kind::Map)?;
            Value::Bool(draft.map_contains(items, key)?)
        }
        "set" => {
            let items = draft.open_root("items", Kind::Map)?;
            draft.map_insert(items, key, value.as_bytes().to_vec())?;
            Value::Null
        }
        "refuse" => {
            let items = draft.open_root("items", Kind::Map)?;
            draft.map_insert(items, b"refused", value.as_bytes().to_vec())?;
            Value::Null
        }
        "remove" => {
            let items = draft.open_root("items", Kind::Map)?;
            Value::Bool(draft.map_remove(items, key)?)
        }
        "clear" => {
            let items = draft.open_root("items", Kind::Map)?;
            draft.map_clear(items)?;
            Value::Null
        }
        "incr" => {
            let hits = draft.open_root("hits", Kind::Counter)?;
            draft.counter_add(hits, by)?;
            Value::from(draft.counter_value(hits)?)
        }
        "add" => {
            let tags = draft.open_root("tags", Kind::Set)?;
            Value::Bool(draft.set_insert(tags, key)?)
        }
        "drop" => {
            let tags = draft.open_root("tags", Kind::Set)?;
            Value::Bool(draft.set_remove(tags, key)?)
        }
        "nest" => {
            let rooms = draft.open_root("rooms", Kind::Map)?;
            let room = draft.open_child(rooms, key, Kind::Map)?;
            draft.map_insert(room, &by.to_be_bytes(), value.as_bytes().to_vec())?;
            Value::Null
        }
        "tally" => {
            let tallies = draft.open_root("tallies", Kind::Map)?;
            if by == 0 {
                return Ok(Some(Value::Bool(draft.map_remove(tallies, key)?)));
            }
            let tally = draft.open_child(tallies, key, Kind::Counter)?;
            draft.counter_add(tally, by)?;
            Value::from(draft.counter_value(tally)?)
        }
        "write" => {
            set_register(draft, "title", value)?;
            Value::Null
        }
        "idle" => Value::Null,
        _ => return Ok(None),
    }))
}

fn set_register(draft: &mut Draft<State>, field: &str, value: &str) -> Result<(), DraftError> {
    let register: Handle = draft.open_root(field, Kind::Register)?;
    draft.register_set(register, value.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesto_crdt::{Hlc, MemoryState};
    use mesto_governance::ContextId;
    use mesto_oplog::PublicKey;

    fn call(method: &str, args: &str) -> Call {
        Call {
            context: ContextId::default(),
            bundle: BlobId::default(),
            method: method.to_owned(),
            args: args.as_bytes().to_vec(),
            kind: MethodKind::Mutate,
            caller: PublicKey::default(),
            stamp: Hlc::ZERO,
            seed: [0; 32],
        }
    }

    #[test]
    fn every_method_that_is_named_runs_and_another_does_not() {
        let empty: State = Arc::new(MemoryState::new());
        for method in ["set", "remove", "clear", "incr", "add", "drop", "nest", "tally", "write", "idle"] {
            assert!(Collections.method_kind(&BlobId::default(), method).unwrap().is_some());
            Collections.execute(&call(method, r#"{"key":"k","value":"v","by":1}"#), Arc::clone(&empty)).unwrap();
        }
        let unknown = Collections.execute(&call("fly", "{}"), Arc::clone(&empty));
        assert_eq!(unknown, Err(CallError::MethodNotFound("fly".to_owned())));
    }

    #[test]
    fn what_is_poisoned_or_refused_gives_no_operations() {
        let empty: State = Arc::new(MemoryState::new());
        let trapped = Collections.execute(&call("set", r#"{"key":"k","value":"poison-1"}"#), Arc::clone(&empty));
        assert!(matches!(trapped, Err(CallError::Trap(_))));
        let refused = Collections.execute(&call("refuse", r#"{"value":"poison-2"}"#), empty);
        assert!(matches!(refused, Err(CallError::App { .. })));
    }
}
