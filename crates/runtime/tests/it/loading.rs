//! What can be loaded, and what an app may be asked.

use std::sync::Arc;

use mesto_governance::BlobId;
use mesto_node::executor::{CallError, Executor as _, MethodKind};
use mesto_runtime::{Limits, LoadError, Runtime, RuntimeConfig, WasmSource};

use crate::guest::{SCHEMA, bundle, call, component, component_with, no_state, runtime};

fn refused(wasm: &[u8]) -> LoadError {
    runtime(Limits::default()).load(bundle(), wasm).expect_err("refused")
}

#[test]
fn only_components_are_loaded() {
    assert!(matches!(refused(b""), LoadError::NotAComponent { module: false }));
    assert!(matches!(refused(b"(component)"), LoadError::NotAComponent { module: false }));
    assert!(matches!(refused(b"\x7fELF\x02\x01\x01"), LoadError::NotAComponent { module: false }));
    let module = wat::parse_str("(module)").expect("a module");
    assert!(matches!(refused(&module), LoadError::NotAComponent { module: true }));
    let mut broken = component("");
    broken.truncate(broken.len() / 2);
    assert!(matches!(refused(&broken), LoadError::Malformed(_)));
}

#[test]
fn an_app_cannot_ask_for_more_than_the_world_has() {
    let text =
        r#"(component (import "wasi:clocks/monotonic-clock@0.2.0" (instance (export "now" (func (result u64))))))"#;
    let wasm = wat::parse_str(text).expect("a component");
    assert!(matches!(refused(&wasm), LoadError::AnotherWorld(text) if text.contains("wasi:clocks")));
    let empty = wat::parse_str("(component)").expect("a component");
    assert!(matches!(refused(&empty), LoadError::AnotherWorld(_)));
}

#[test]
fn instructions_whose_result_depends_on_the_machine_are_refused() {
    let threads = "(component (core module (memory 1 1 shared)))";
    let relaxed = "(component (core module (func (param v128 v128) (result v128)
        (i8x16.relaxed_swizzle (local.get 0) (local.get 1)))))";
    for text in [threads, relaxed] {
        let wasm = wat::parse_str(text).expect("a component");
        assert!(matches!(refused(&wasm), LoadError::Malformed(_)), "{text}");
    }
}

#[test]
fn more_memory_than_allowed_is_refused_at_the_door() {
    let text = "(component (core module $m (memory 2000)) (core instance (instantiate $m)))";
    let wasm = wat::parse_str(text).expect("a component");
    assert!(matches!(refused(&wasm), LoadError::Malformed(_) | LoadError::AnotherWorld(_)));
}

#[test]
fn an_app_that_describes_itself_badly_is_refused() {
    assert!(matches!(refused(&component_with("[]", "", "")), LoadError::Schema(_)));
    assert!(matches!(refused(&component_with(r#"{"schema":9}"#, "", "")), LoadError::Schema(_)));
}

#[test]
fn methods_are_those_of_the_schema() {
    let runtime = runtime(Limits::default());
    assert_eq!(runtime.load(bundle(), &component("")).expect("loads"), SCHEMA);
    assert_eq!(runtime.method_kind(&bundle(), "run"), Ok(Some(MethodKind::Mutate)));
    assert_eq!(runtime.method_kind(&bundle(), "look"), Ok(Some(MethodKind::View)));
    assert_eq!(runtime.method_kind(&bundle(), "other"), Ok(None));
    let other = runtime.execute(&call("other", "{}", MethodKind::Mutate), no_state());
    assert_eq!(other, Err(CallError::MethodNotFound("other".to_owned())));
}

#[test]
fn private_methods_cannot_be_called_from_outside_and_init_runs_only_as_such() {
    let schema =
        r#"{"schema":1,"methods":[{"name":"hidden","kind":"mutate","private":true},{"name":"start","kind":"init"}]}"#;
    let runtime = runtime(Limits::default());
    runtime.load(bundle(), &component_with(schema, "", "")).expect("loads");
    let execute = |method, kind| runtime.execute(&call(method, "{}", kind), no_state());
    assert!(matches!(execute("hidden", MethodKind::Mutate), Err(CallError::MethodNotFound(_))));
    assert!(matches!(execute("start", MethodKind::Mutate), Err(CallError::MethodNotFound(_))));
    assert_eq!(execute("whatever", MethodKind::Init).map(|outcome| outcome.output), Ok(b"null".to_vec()));
}

#[test]
fn an_app_without_an_init_method_begins_with_an_empty_state() {
    let runtime = runtime(Limits::default());
    runtime.load(bundle(), &component("unreachable")).expect("loads");
    let init = |args| runtime.execute(&call("init", args, MethodKind::Init), no_state());
    assert_eq!(init("{}").map(|outcome| (outcome.output, outcome.ops)), Ok((b"null".to_vec(), Vec::new())));
    assert!(matches!(init(r#"{"a":1}"#), Err(CallError::BadArguments(_))));
}

#[test]
fn the_longest_unused_app_goes_and_comes_back_from_the_source() {
    struct Bundles(Vec<(BlobId, Vec<u8>)>);
    impl WasmSource for Bundles {
        fn wasm(&self, bundle: &BlobId) -> Option<Vec<u8>> {
            self.0.iter().find(|(known, _)| known == bundle).map(|(_, wasm)| wasm.clone())
        }
    }
    let bundles: Vec<_> = (0..3).map(|number| (BlobId::from_bytes([number; 32]), component(""))).collect();
    let config = || RuntimeConfig { loaded_apps: 2, concurrent_calls: 2, ..RuntimeConfig::default() };

    let alone = Runtime::new(config()).expect("starts");
    for (bundle, wasm) in &bundles {
        alone.load(*bundle, wasm).expect("loads");
    }
    assert!(matches!(alone.method_kind(&bundles[0].0, "run"), Err(CallError::NotLoaded(_))));
    assert!(alone.method_kind(&bundles[2].0, "run").is_ok());

    let source = Some(Arc::new(Bundles(bundles.clone())) as Arc<dyn WasmSource>);
    let sourced = Runtime::new(RuntimeConfig { source, ..config() }).expect("starts");
    for (bundle, _) in bundles.iter().chain(&bundles) {
        assert_eq!(sourced.method_kind(bundle, "run"), Ok(Some(MethodKind::Mutate)));
    }
    let unknown = sourced.method_kind(&BlobId::from_bytes([9; 32]), "run");
    assert!(matches!(unknown, Err(CallError::NotLoaded(_))));
}

/// A component that was built for the world in this folder, and whose `invoke` opens a map and counts its keys.
fn built_for(wit: &str) -> Vec<u8> {
    let text = r#"(module
        (import "mesto:app/state@1.0.0" "[static]collection.root" (func $root (param i32 i32 i32) (result i32)))
        (import "mesto:app/state@1.0.0" "[method]collection.len" (func $len (param i32) (result i64)))
        (import "mesto:app/output@1.0.0" "log" (func $log (param i32 i32)))
        (memory (export "memory") 2)
        (data (i32.const 16) "null")
        (data (i32.const 64) "{\22schema\22:1,\22methods\22:[{\22name\22:\22look\22,\22kind\22:\22view\22}]}")
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
        (func (export "mesto:app/methods@1.0.0#describe") (result i32)
            (i32.store (i32.const 0) (i32.const 64))
            (i32.store (i32.const 4) (i32.const 54))
            (i32.const 0))
        (func (export "mesto:app/methods@1.0.0#invoke") (param i32 i32 i32 i32) (result i32)
            (drop (call $len (call $root (i32.const 16) (i32.const 4) (i32.const 2))))
            (call $log (i32.const 16) (i32.const 4))
            (i32.store (i32.const 32) (i32.const 0))
            (i32.store (i32.const 36) (i32.const 16))
            (i32.store (i32.const 40) (i32.const 4))
            (i32.const 32)))"#;
    let mut module = wat::parse_str(text).expect("a module");
    let mut resolve = wit_parser::Resolve::default();
    let path = format!("{}/{wit}", env!("CARGO_MANIFEST_DIR"));
    let (package, _) = resolve.push_path(path).expect("the world");
    let world = resolve.select_world(&[package], Some("app")).expect("the world");
    let utf8 = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, utf8, false).expect("metadata");
    mesto_runtime::componentize(&module).expect("a component")
}

#[test]
fn an_app_that_was_built_for_the_first_world_still_runs() {
    for wit in ["tests/it/first-world", "../../sdk/wit"] {
        let runtime = runtime(Limits::default());
        runtime.load(bundle(), &built_for(wit)).expect(wit);
        let outcome = runtime.execute(&call("look", "{}", MethodKind::View), no_state()).expect(wit);
        assert_eq!(outcome.output, b"null");
    }
}
