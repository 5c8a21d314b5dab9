//! The apps that the tests install: the sample `kv`, and one that breaks rules.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use mesto_bundle::{SignerKey, Template};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The bundle of `apps/kv`, built once in a run.
static KV: LazyLock<PathBuf> = LazyLock::new(|| build("kv"));

/// The bundle of `apps/editor`, built once in a run.
static EDITOR: LazyLock<PathBuf> = LazyLock::new(|| build("editor"));

/// The bundle of `apps/kv`.
pub(crate) fn kv() -> &'static str {
    path_text(&KV)
}

/// The bundle of `apps/editor`.
pub(crate) fn editor() -> &'static str {
    path_text(&EDITOR)
}

/// The crate of `kv`.
pub(crate) fn kv_source() -> PathBuf {
    source("kv")
}

/// The crate of a sample app.
pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../apps").join(name)
}

fn build(name: &str) -> PathBuf {
    assert!(
        mesto_guests::find_toolchain().is_some(),
        "nothing here compiles apps: `cargo xtask test` sets up what is missing and runs these tests, too"
    );
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let key = folder.join(format!("{name}-signer.pem"));
    if !key.exists() {
        mesto(&["key", "generate", "-o", path_text(&key)]);
    }
    let bundle = folder.join(format!("{name}.mpk"));
    mesto(&["app", "build", path_text(&source(name)), "-o", path_text(&bundle), "--key", path_text(&key)]);
    bundle
}

pub(crate) fn path_text(path: &Path) -> &str {
    path.to_str().expect("a path in Unicode")
}

fn mesto(args: &[&str]) {
    let built =
        Command::new(env!("CARGO_BIN_EXE_mesto")).arg("--quiet").args(args).output().expect("the program starts");
    assert!(built.status.success(), "{args:?}: {}", String::from_utf8_lossy(&built.stderr));
}

const RUDE_SCHEMA: &str = r#"{"schema":1,"methods":[{"name":"write","kind":"mutate"},{"name":"trap","kind":"mutate"},
    {"name":"spin","kind":"mutate"},{"name":"cheat","kind":"view"}]}"#;

/// Writes the bundle of an app that, asked by the first letter of the method, writes and then: traps (`trap`), goes on
/// forever (`spin`), or ends well (`write`; `cheat` too, although it is a view).
pub(crate) fn rude(folder: &Path) -> PathBuf {
    let module = format!(
        r#"(module
        (import "mesto:app/state@1.0.0" "[static]collection.root" (func $root (param i32 i32 i32) (result i32)))
        (import "mesto:app/state@1.0.0" "[method]collection.add" (func $add (param i32 i64)))
        (memory (export "memory") 2)
        (global $heap (mut i32) (i32.const 65536))
        (data (i32.const 16) "null")
        (data (i32.const 32) "count")
        (data (i32.const 4096) "{schema}")
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (local $at i32)
            (local.set $at (global.get $heap))
            (global.set $heap (i32.and (i32.add (i32.add (local.get $at) (local.get 3)) (i32.const 15)) (i32.const -16)))
            (local.get $at))
        (func (export "mesto:app/methods@1.0.0#describe") (result i32)
            (i32.store (i32.const 0) (i32.const 4096))
            (i32.store (i32.const 4) (i32.const {schema_len}))
            (i32.const 0))
        (func (export "mesto:app/methods@1.0.0#invoke") (param i32 i32 i32 i32) (result i32)
            (local $letter i32)
            (if (local.get 1) (then (local.set $letter (i32.load8_u (local.get 0)))))
            (call $add (call $root (i32.const 32) (i32.const 5) (i32.const 1)) (i64.const 1))
            (if (i32.eq (local.get $letter) (i32.const 116)) (then unreachable))
            (if (i32.eq (local.get $letter) (i32.const 115)) (then (loop $forever (br $forever))))
            (i32.store (i32.const 64) (i32.const 0))
            (i32.store (i32.const 68) (i32.const 16))
            (i32.store (i32.const 72) (i32.const 4))
            (i32.const 64)))"#,
        schema = RUDE_SCHEMA.bytes().fold(String::new(), |mut escaped, byte| {
            let _ = write!(escaped, "\\{byte:02x}");
            escaped
        }),
        schema_len = RUDE_SCHEMA.len(),
    );
    let mut module = wat::parse_str(module).expect("a module");
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/wit")).expect("the world");
    let world = resolve.select_world(&[package], Some("app")).expect("the world");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).expect("metadata");
    let component = mesto_runtime::componentize(&module).expect("a component");
    let files = [("app.wasm".to_owned(), component), ("schema.json".to_owned(), RUDE_SCHEMA.as_bytes().to_vec())];
    let template = Template::new("rude", "1.0.0", "0.1.0", "app.wasm").with_abi("schema.json");
    let packed = mesto_bundle::build(template, &files.into(), &SignerKey::from_entropy(&[7; 32])).expect("a bundle");
    let path = folder.join("rude.mpk");
    fs::write(&path, packed).expect("written");
    path
}
