//! The sample app that the tests build, and ways to tamper with it.

use mesto_bundle::{Manifest, SignerKey, Template, archive, build};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub(crate) type Files = BTreeMap<String, Vec<u8>>;

pub(crate) fn key() -> SignerKey {
    SignerKey::from_entropy(&[7; 32])
}

pub(crate) fn other_key() -> SignerKey {
    SignerKey::from_entropy(&[8; 32])
}

pub(crate) fn files() -> Files {
    [
        ("app.wasm", b"\0asm\x0d\0\x01\0 the component".as_slice()),
        ("abi.json", br#"{"methods":[]}"#),
        ("web/index.html", b"<!doctype html><title>notes</title>"),
        ("web/app.js", b"export {}"),
    ]
    .into_iter()
    .map(|(path, content)| (path.to_owned(), content.to_vec()))
    .collect()
}

pub(crate) fn template() -> Template {
    Template::new("org.example.notes", "1.2.0", "0.1.0", "app.wasm").with_abi("abi.json")
}

pub(crate) fn mpk() -> Vec<u8> {
    build(template(), &files(), &key()).unwrap()
}

pub(crate) fn signed() -> Manifest {
    let mut template = template();
    template.describe_files(&files()).unwrap();
    template.sign(&key()).unwrap()
}

pub(crate) fn json_of(manifest: &Manifest) -> Map<String, Value> {
    manifest.as_json().clone()
}

/// The sample, unpacked, changed and packed again without any check.
pub(crate) fn altered(change: impl FnOnce(&mut Files)) -> Vec<u8> {
    let mut files = archive::unpack(&mpk(), &archive::Limits::DEFAULT).unwrap();
    change(&mut files);
    archive::pack(&files).unwrap()
}

/// The sample with another manifest, packed without any check.
pub(crate) fn with_manifest(change: impl FnOnce(&mut Map<String, Value>)) -> Vec<u8> {
    altered(|files| {
        let mut json = json_of(&signed());
        change(&mut json);
        files.insert("manifest.json".to_owned(), serde_json::to_vec(&json).unwrap());
    })
}
