//! A real app, compiled from Rust: `apps/kv`. These tests need a compiler for guests and are skipped, with a note, on
//! machines that have none; `cargo xtask test` sets one up first.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use mesto_app_kv::Kv;
use mesto_crdt::{Author, Delta, DeltaId, Hlc, MemoryState, Transaction, TreeCache};
use mesto_node::executor::{Call, CallError, Event, Executor as _, MethodKind, Outcome, Saying};
use mesto_runtime::{Limits, Runtime, componentize};
use mesto_sdk::native::{self, NativeApp};

use crate::guest::{bundle, call, no_state, runtime};

/// The app as a component, compiled once for all tests.
fn component() -> Option<&'static [u8]> {
    static COMPONENT: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    let component = COMPONENT.get_or_init(|| {
        let Some(toolchain) = mesto_guests::find_toolchain() else {
            eprintln!("skipped: no compiler for guests; `cargo xtask test` sets one up");
            return None;
        };
        let app = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../apps/kv");
        let module = mesto_guests::build(&toolchain, &app).expect("kv compiles");
        Some(componentize(&module).expect("kv is a guest"))
    });
    component.as_deref()
}

fn kv() -> Option<Runtime> {
    kv_within(Limits::default())
}

fn kv_within(limits: Limits) -> Option<Runtime> {
    let runtime = runtime(limits);
    runtime.load(bundle(), component()?).expect("loads");
    Some(runtime)
}

fn apply(state: &mut Arc<MemoryState>, outcome: &Outcome, stamp: Hlc) {
    let delta = Delta { id: DeltaId([stamp.ms() as u8; 32]), author: Author([3; 32]), stamp, ops: &outcome.ops };
    let mut cache = TreeCache::default();
    let mut transaction = Transaction::new(&**state, &mut cache);
    transaction.apply(&delta, &|_| true).expect("applies");
    let commit = transaction.finish().expect("commits");
    Arc::make_mut(state).apply_writes(&commit.writes);
}

/// The calls of a small life of the app.
const LIFE: [(&str, &str); 16] = [
    ("get", r#"{"key":"tea"}"#),
    ("set", r#"{"key":"tea","value":"green"}"#),
    ("set", r#"{"key":"milk","value":"oat \" \\ \u00e9"}"#),
    ("get", r#"{"key":"tea"}"#),
    ("entries", "{}"),
    ("len", "{}"),
    ("get_or_error", r#"{"key":"tea"}"#),
    ("get_or_error", r#"{"key":"salt"}"#),
    ("set", r#"{"key":"tea"}"#),
    ("set", r#"{"key":"tea","value":1}"#),
    ("get", r#"{"kye":"tea"}"#),
    ("get", "[]"),
    ("brew", "{}"),
    ("remove", r#"{"key":"tea"}"#),
    ("remove", r#"{"key":"tea"}"#),
    ("clear", "{}"),
];

fn natively(app: &NativeApp, call: &Call, state: Arc<MemoryState>) -> Result<Outcome, CallError> {
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
    let outcome = app.invoke(&native, state).map_err(|error| match error {
        native::CallError::MethodNotFound(method) => CallError::MethodNotFound(method),
        native::CallError::BadArguments(text) => CallError::BadArguments(text),
        native::CallError::App { message, data } => CallError::App { message, data },
        native::CallError::Trap(text) => CallError::Trap(text),
        native::CallError::Limit { limit, max } => CallError::Limit { limit: limit.to_owned(), max },
        native::CallError::ViewWrites(method) => CallError::ViewWrites(method),
        _ => panic!("{error}"),
    })?;
    let native::Outcome { output, ops, events, sayings, private, logs } = outcome;
    let events = events.into_iter().map(|native::Emitted { kind, payload, handler }| Event { kind, payload, handler });
    let sayings = sayings.into_iter().map(|native::Emitted { kind, payload, .. }| Saying { kind, payload });
    Ok(Outcome { output, ops, events: events.collect(), sayings: sayings.collect(), private, logs })
}

#[test]
fn a_component_does_what_the_same_app_does_natively() {
    let Some(runtime) = kv() else { return };
    let native = NativeApp::new::<Kv>();
    assert_eq!(runtime.schema(&bundle()).expect("loaded"), native.schema_json());
    let mut state = no_state();
    for (step, (method, args)) in LIFE.into_iter().enumerate() {
        let kind = runtime.method_kind(&bundle(), method).expect("loaded").unwrap_or(MethodKind::View);
        let mut call = call(method, args, kind);
        call.stamp = Hlc::new(1_000 + step as u64, 0).expect("in range");
        let outcome = runtime.execute(&call, Arc::<MemoryState>::clone(&state));
        assert_eq!(outcome, natively(&native, &call, Arc::clone(&state)), "{method} {args}");
        if let Ok(outcome) = outcome {
            apply(&mut state, &outcome, call.stamp);
        }
    }
}

#[test]
fn a_call_over_the_same_state_has_the_same_outcome() {
    let Some(runtime) = kv() else { return };
    let set = call("set", r#"{"key":"a","value":"b"}"#, MethodKind::Mutate);
    let first = runtime.execute(&set, no_state());
    assert!(first.is_ok());
    for _ in 0..5 {
        assert_eq!(runtime.execute(&set, no_state()), first);
    }
    // Under fuel, as the simulator runs it, too.
    let Some(fueled) = kv_within(Limits { fuel: Some(10_000_000), ..Limits::default() }) else { return };
    assert_eq!(fueled.execute(&set, no_state()), first);
}

#[test]
fn an_apps_own_error_arrives_as_json() {
    let Some(runtime) = kv() else { return };
    let refused = runtime.execute(&call("get_or_error", r#"{"key":"tea"}"#, MethodKind::View), no_state());
    let data = br#"{"kind":"NotFound","data":"tea"}"#.to_vec();
    assert_eq!(refused, Err(CallError::App { message: "key not found: tea".to_owned(), data }));
}

#[test]
fn limits_hold_for_compiled_apps_too() {
    let Some(runtime) = kv() else { return };
    let args = format!(r#"{{"key":"{}","value":"v"}}"#, "k".repeat(1_025));
    let refused = runtime.execute(&call("set", &args, MethodKind::Mutate), no_state());
    let expected = CallError::Limit { limit: "key_bytes".to_owned(), max: "1024 bytes".to_owned() };
    assert_eq!(refused, Err(expected));
    let as_view = runtime.execute(&call("set", r#"{"key":"k","value":"v"}"#, MethodKind::View), no_state());
    assert_eq!(as_view, Err(CallError::ViewWrites("set".to_owned())));
}

#[test]
fn many_entries_come_in_pages_and_in_order() {
    let Some(runtime) = kv() else { return };
    let mut state = no_state();
    let mut expected = std::collections::BTreeMap::new();
    let mut draft = mesto_crdt::Draft::new(MemoryState::new(), Author([3; 32]), mesto_crdt::DraftLimits::default());
    let items = draft.open_root("items", mesto_crdt::Kind::Map).expect("opens");
    for number in 0..500 {
        let (key, value) = (format!("key {number:03}"), "v".repeat(number * 7));
        let json = serde_json::to_vec(&value).expect("encodes");
        draft.map_insert(items, key.as_bytes(), json).expect("inserts");
        expected.insert(key, value);
    }
    let ops = draft.finish().expect("finishes");
    apply(&mut state, &Outcome { ops, ..Outcome::default() }, Hlc::new(9, 0).expect("in range"));
    let entries = runtime.execute(&call("entries", "{}", MethodKind::View), state).expect("runs");
    assert_eq!(entries.output, serde_json::to_vec(&expected).expect("encodes"));
}
