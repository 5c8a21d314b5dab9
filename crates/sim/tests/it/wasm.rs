//! A run with the app as a WebAssembly component takes the very course of the run with the same app in this process.
//! Needs a compiler for guests, and is skipped, with a note, where there is none.

use std::path::Path;
use std::sync::Arc;

use mesto_node::executor::{Call, CallError, Executor, MethodKind, Outcome};
use mesto_runtime::{Runtime, RuntimeConfig, componentize};
use mesto_sim::{App, Profile, run, run_with};

/// The component, under whatever bundle id the simulated network gave the app.
struct Component {
    runtime: Runtime,
    bundle: mesto_governance::BlobId,
}

impl Executor for Component {
    fn method_kind(&self, _bundle: &mesto_governance::BlobId, method: &str) -> Result<Option<MethodKind>, CallError> {
        self.runtime.method_kind(&self.bundle, method)
    }

    fn execute(&self, call: &Call, state: Arc<dyn mesto_crdt::Read + Send + Sync>) -> Result<Outcome, CallError> {
        self.runtime.execute(&Call { bundle: self.bundle, ..call.clone() }, state)
    }
}

#[test]
fn a_seed_takes_the_same_course_when_the_app_runs_as_a_component() {
    let Some(toolchain) = mesto_guests::find_toolchain() else {
        eprintln!("skipped: no compiler for guests; `cargo xtask test` sets one up");
        return;
    };
    let app = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../apps/kv");
    let wasm = componentize(&mesto_guests::build(&toolchain, &app).expect("kv compiles")).expect("kv is a guest");
    let runtime = Runtime::new(RuntimeConfig::default()).expect("the runtime starts");
    let bundle = mesto_governance::BlobId::from_bytes([1; 32]);
    runtime.load(bundle, &wasm).expect("loads");
    let profile = Profile { app: App::Kv, ..Profile::calm(3) };
    let native = run(11, profile.clone(), false);
    let wasm = run_with(11, profile, Arc::new(Component { runtime, bundle }), false);
    assert!(
        native.violations.is_empty() && wasm.violations.is_empty(),
        "{:?} {:?}",
        native.violations,
        wasm.violations
    );
    assert!(native.counts.get("calls").copied().unwrap_or_default() > 10, "{:?}", native.counts);
    assert_eq!((native.trace, native.events), (wasm.trace, wasm.events));
}
