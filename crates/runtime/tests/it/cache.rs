//! Compiled code on disk: used when it is intact, made again when it is not.

use std::fs;
use std::path::{Path, PathBuf};

use mesto_node::executor::{Executor as _, MethodKind};
use mesto_runtime::{Runtime, RuntimeConfig};
use tempfile::TempDir;

use crate::guest::{bundle, call, component_with, no_state};

fn schema(method: &str) -> String {
    format!(r#"{{"schema":1,"methods":[{{"name":"{method}","kind":"view"}}]}}"#)
}

fn app(method: &str) -> Vec<u8> {
    component_with(&schema(method), "", "")
}

fn runtime(cache: &Path) -> Runtime {
    let cache_dir = Some(cache.to_owned());
    Runtime::new(RuntimeConfig { cache_dir, concurrent_calls: 2, ..RuntimeConfig::default() }).expect("starts")
}

fn files(cache: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(cache).expect("a folder").map(|file| file.expect("a file").path()).collect();
    files.sort();
    files
}

/// Loads an app in a runtime of its own and returns its schema.
fn load(cache: &Path, wasm: &[u8]) -> String {
    let runtime = runtime(cache);
    let schema = runtime.load(bundle(), wasm).expect("loads");
    let method = if schema.contains("other") { "other" } else { "look" };
    runtime.execute(&call(method, "{}", MethodKind::View), no_state()).expect("runs");
    schema
}

#[test]
fn what_was_compiled_once_is_not_compiled_again() {
    let cache = TempDir::new().expect("a folder");
    load(cache.path(), &app("look"));
    let [one] = files(cache.path()).try_into().expect("one file");
    load(cache.path(), &app("other"));
    let other = files(cache.path()).into_iter().find(|file| *file != one).expect("another file");
    // What the folder says counts: with the code of another app under its name, that one runs.
    fs::copy(&other, &one).expect("copies");
    assert_eq!(load(cache.path(), &app("look")), schema("other"));
}

#[test]
fn damaged_code_is_compiled_again() {
    let cache = TempDir::new().expect("a folder");
    load(cache.path(), &app("look"));
    let [file] = files(cache.path()).try_into().expect("one file");
    let intact = fs::read(&file).expect("reads");
    let mut flipped = intact.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for damaged in [flipped.as_slice(), &intact[..intact.len() / 2], b""] {
        fs::write(&file, damaged).expect("writes");
        assert_eq!(load(cache.path(), &app("look")), schema("look"));
        assert_ne!(fs::read(&file).expect("reads"), damaged, "the file is made anew");
    }
}

#[cfg(unix)]
#[test]
fn compiled_code_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = TempDir::new().expect("a folder");
    let cache = home.path().join("cache/wasm");
    fs::create_dir_all(&cache).expect("a folder");
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).expect("opens it up");
    load(&cache, &app("look"));
    let mode = |path: &Path| fs::metadata(path).expect("is there").permissions().mode() & 0o777;
    assert_eq!(mode(&cache), 0o700);
    for file in files(&cache) {
        assert_eq!(mode(&file), 0o600);
    }
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let home = TempDir::new().expect("a folder");
    let file = home.path().join("file");
    fs::write(&file, "").expect("writes");
    let config = RuntimeConfig { cache_dir: Some(file.join("cache")), concurrent_calls: 2, ..RuntimeConfig::default() };
    let error = Runtime::new(config).expect_err("refused").to_string();
    assert!(error.contains("file/cache"), "{error}");
}
