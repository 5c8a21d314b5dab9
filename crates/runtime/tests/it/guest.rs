//! Small guests written by hand, so that they can do what a compiler would not.

use std::fmt::Write as _;
use std::sync::Arc;

use mesto_crdt::{Hlc, MemoryState};
use mesto_governance::{BlobId, ContextId};
use mesto_node::executor::{Call, CallError, Executor as _, MethodKind, Outcome};
use mesto_oplog::PublicKey;
use mesto_runtime::{Limits, Runtime, RuntimeConfig, componentize};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The schema of hand-written guests: `run` mutates, `look` is a view.
pub(crate) const SCHEMA: &str =
    r#"{"schema":1,"methods":[{"name":"run","kind":"mutate"},{"name":"look","kind":"view"}]}"#;

/// A component whose `invoke` runs the instructions `body` and returns `null`.
///
/// At hand are the imports under short names; text at 256 (256 bytes of `k`); a map, a counter, a register, a text
/// (`$writing`) and a list in globals after `call $open`; `$text` and `$text_len` say what the result is.
pub(crate) fn component(body: &str) -> Vec<u8> {
    component_with(SCHEMA, body, "")
}

/// The same with another schema, and further items of the module.
pub(crate) fn component_with(schema: &str, body: &str, items: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
        (import "mesto:app/state@1.0.0" "[static]collection.root" (func $root (param i32 i32 i32) (result i32)))
        (import "mesto:app/state@1.0.0" "[method]collection.child"
            (func $child (param i32 i32 i32 i32) (result i32)))
        (import "mesto:app/state@1.0.0" "[method]collection.write" (func $write (param i32 i32 i32)))
        (import "mesto:app/state@1.0.0" "[method]collection.insert" (func $insert (param i32 i32 i32 i32 i32)))
        (import "mesto:app/state@1.0.0" "[method]collection.add" (func $add (param i32 i64)))
        (import "mesto:app/state@1.0.0" "[method]collection.len" (func $len (param i32) (result i64)))
        (import "mesto:app/state@1.0.0" "[static]collection.text-root" (func $text_root (param i32 i32) (result i32)))
        (import "mesto:app/state@1.0.0" "[static]collection.list-root" (func $list_root (param i32 i32) (result i32)))
        (import "mesto:app/state@1.0.0" "[method]collection.text-splice"
            (func $text_splice (param i32 i32 i64 i64 i32 i32)))
        (import "mesto:app/state@1.0.0" "[method]collection.text-slice" (func $text_slice (param i32 i32 i64 i64 i32)))
        (import "mesto:app/state@1.0.0" "[method]collection.text-line-start"
            (func $text_line_start (param i32 i32 i64) (result i64)))
        (import "mesto:app/state@1.0.0" "[method]collection.list-move" (func $list_move (param i32 i64 i64)))
        (import "mesto:app/private@1.0.0" "set" (func $keep (param i32 i32 i32 i32)))
        (import "mesto:app/output@1.0.0" "say" (func $say (param i32 i32 i32 i32)))
        (import "mesto:app/env@1.0.0" "now" (func $now (result i64)))
        (import "mesto:app/env@1.0.0" "random" (func $random (param i32 i32)))
        (import "mesto:app/output@1.0.0" "log" (func $log (param i32 i32)))
        (import "mesto:app/output@1.0.0" "emit" (func $emit (param i32 i32 i32 i32 i32 i32 i32)))
        (import "mesto:app/output@1.0.0" "panicked" (func $panicked (param i32 i32)))
        (memory (export "memory") 2)
        (table $table 1 funcref)
        (global $heap (mut i32) (i32.const 65536))
        (global $map (mut i32) (i32.const 0))
        (global $counter (mut i32) (i32.const 0))
        (global $register (mut i32) (i32.const 0))
        (global $writing (mut i32) (i32.const 0))
        (global $list (mut i32) (i32.const 0))
        (global $text (mut i32) (i32.const 16))
        (global $text_len (mut i32) (i32.const 4))
        (global $calls (mut i32) (i32.const 0))
        (data (i32.const 16) "null")
        (data (i32.const 32) "{{}}")
        (data (i32.const 256) "{keys}")
        (data (i32.const 4096) "{schema}")
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (local $at i32)
            (local.set $at (global.get $heap))
            (global.set $heap (i32.and (i32.add (i32.add (local.get $at) (local.get 3)) (i32.const 15)) (i32.const -16)))
            (block $fits
                (loop $more
                    (br_if $fits
                        (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
                    (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))
                    unreachable))
            (local.get $at))
        (func $open
            (global.set $map (call $root (i32.const 256) (i32.const 1) (i32.const 2)))
            (global.set $counter (call $root (i32.const 256) (i32.const 1) (i32.const 1)))
            (global.set $register (call $root (i32.const 256) (i32.const 1) (i32.const 0)))
            (global.set $writing (call $text_root (i32.const 256) (i32.const 1)))
            (global.set $list (call $list_root (i32.const 256) (i32.const 1))))
        {items}
        (func (export "mesto:app/methods@1.0.0#describe") (result i32)
            (i32.store (i32.const 0) (i32.const 4096))
            (i32.store (i32.const 4) (i32.const {schema_len}))
            (i32.const 0))
        (func (export "mesto:app/methods@1.0.0#invoke") (param i32 i32 i32 i32) (result i32)
            (local $i i32)
            {body}
            (i32.store (i32.const 64) (i32.const 0))
            (i32.store (i32.const 68) (global.get $text))
            (i32.store (i32.const 72) (global.get $text_len))
            (i32.const 64)))"#,
        keys = "k".repeat(256),
        schema = escaped(schema),
        schema_len = schema.len(),
    );
    let mut module = wat::parse_str(text).expect("a module");
    let mut resolve = Resolve::default();
    let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/wit");
    let (package, _) = resolve.push_path(wit).expect("the world");
    let world = resolve.select_world(&[package], Some("app")).expect("the world");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).expect("metadata");
    componentize(&module).expect("a component")
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        let _ = write!(escaped, "\\{byte:02x}");
        escaped
    })
}

/// A loop of the instructions `body`, `count` times.
pub(crate) fn repeat(count: u32, body: &str) -> String {
    format!(
        "(local.set $i (i32.const {count}))
        (loop $again {body} (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))"
    )
}

/// A runtime with these limits and no cache, for few concurrent calls.
pub(crate) fn runtime(limits: Limits) -> Runtime {
    Runtime::new(RuntimeConfig { limits, concurrent_calls: 4, ..RuntimeConfig::default() }).expect("starts")
}

pub(crate) fn bundle() -> BlobId {
    BlobId::from_bytes([1; 32])
}

/// A call with everything else fixed.
pub(crate) fn call(method: &str, args: &str, kind: MethodKind) -> Call {
    Call {
        context: ContextId::from_bytes([2; 32]),
        bundle: bundle(),
        method: method.to_owned(),
        args: args.as_bytes().to_vec(),
        kind,
        caller: PublicKey::from_bytes([3; 32]),
        stamp: Hlc::new(1_000, 0).expect("in range"),
        seed: [4; 32],
    }
}

pub(crate) fn no_state() -> Arc<MemoryState> {
    Arc::default()
}

/// Runs the method `run` of a guest with this body under these limits.
pub(crate) fn run(limits: Limits, body: &str) -> Result<Outcome, CallError> {
    run_component(limits, &component(body))
}

/// Runs the method `run` of a component under these limits.
pub(crate) fn run_component(limits: Limits, component: &[u8]) -> Result<Outcome, CallError> {
    let runtime = runtime(limits);
    runtime.load(bundle(), component).expect("loads");
    runtime.execute(&call("run", "{}", MethodKind::Mutate), no_state())
}
