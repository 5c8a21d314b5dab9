//! Flow F20: sign and install a bundle.

use std::fs;

use serde_json::{Value, json};

use crate::apps::{self, kv_source, path_text};
use crate::node::{Stage, text};

#[test]
fn f20_sign_and_install_step_by_step() {
    let stage = Stage::of(1);
    let tools = stage.bare("no home is needed");
    let key = stage.path("signer.pem");
    let made = tools.cli(&["key", "generate", "-o", path_text(&key)]).ok();
    assert!(text(&made, "did").starts_with("did:key:z6Mk"), "{made}");
    assert_eq!(tools.cli(&["key", "did", path_text(&key)]).ok(), made);
    tools.cli(&["key", "generate", "-o", path_text(&key)]).fails(1, "FileError");

    // The pieces of a bundle that exists, with a manifest of our own.
    let folder = stage.path("app");
    fs::create_dir(&folder).expect("a folder");
    let sample = mesto_bundle::Bundle::open(&fs::read(apps::kv()).expect("kv")).expect("kv is sound");
    fs::write(folder.join("app.wasm"), &sample.wasm).expect("written");
    fs::write(folder.join("schema.json"), sample.abi().expect("a schema")).expect("written");
    let manifest = folder.join("manifest.json");
    let mut fields = json!({"version": "1.0", "package": "org.example.kv", "appVersion": "2.0.0", "minRuntimeVersion": "0.1.0",
        "wasm": {"path": "app.wasm"}, "abi": {"path": "schema.json"}, "x-note": "kept and signed"});
    fs::write(&manifest, fields.to_string()).expect("written");
    let signed = tools.cli(&["bundle", "sign", path_text(&manifest), "-k", path_text(&key)]).ok();
    assert_eq!((&signed["package"], &signed["signerId"]), (&json!("org.example.kv"), &made["did"]));
    let written: Value = serde_json::from_slice(&fs::read(&manifest).expect("there")).expect("JSON");
    assert_eq!(written["x-note"], "kept and signed");

    let bundle = stage.path("own.mpk");
    tools.cli(&["bundle", "pack", path_text(&folder), "-o", path_text(&bundle)]).ok();
    let verified = tools.cli(&["bundle", "verify", path_text(&bundle)]).ok();
    assert_eq!((&verified["valid"], &verified["signerId"]), (&json!(true), &made["did"]));
    assert_eq!(verified["applicationId"], signed["applicationId"]);
    assert_eq!(tools.cli(&["bundle", "inspect", path_text(&bundle)]).ok(), verified);

    let node = stage.start("node");
    let installed = node.cli(&["app", "install", path_text(&bundle)]).ok();
    for same in ["applicationId", "signerId", "package", "version", "blobId"] {
        assert_eq!(installed[same], verified[same], "{same}");
    }
    assert_eq!(node.cli(&["app", "ls"]).ok(), json!([installed]));
    assert_eq!(node.cli(&["app", "show", "org.example.kv"]).ok(), installed);
    assert_eq!(node.cli(&["app", "install", path_text(&bundle)]).ok(), installed, "again is no second app");
    assert_eq!(node.cli(&["app", "ls"]).ok(), json!([installed]));

    // A change after signing is not what was signed.
    fields = written;
    fields["appVersion"] = json!("3.0.0");
    fs::write(&manifest, fields.to_string()).expect("written");
    tools.cli(&["bundle", "pack", path_text(&folder), "-o", path_text(&bundle)]).fails(1, "InvalidBundle");
}

#[test]
fn f20_one_command_builds_signs_and_packs() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    apps::kv();
    let bundle = stage.path("kv.mpk");
    let key = stage.path("signer.pem");
    let signer = node.cli(&["key", "generate", "-o", path_text(&key)]).ok();
    let source = kv_source();
    let built =
        node.cli(&["app", "build", path_text(&source), "-o", path_text(&bundle), "--key", path_text(&key)]).ok();
    assert_eq!((&built["path"], &built["signerId"]), (&json!(path_text(&bundle)), &signer["did"]));
    let installed = node.cli(&["app", "install", path_text(&bundle)]).ok();
    for same in ["applicationId", "blobId", "signerId", "package", "version", "size"] {
        assert_eq!(installed[same], built[same], "{same}");
    }
    // The same package of another signer is another app.
    let other = node.cli(&["app", "install", apps::kv()]).ok();
    assert_eq!(other["package"], installed["package"]);
    assert_ne!(other["applicationId"], installed["applicationId"]);
    let error = node.cli(&["app", "show", &text(&other, "package")]).fails(2, "Ambiguous");
    assert_eq!(error["data"]["candidates"].as_array().map(Vec::len), Some(2));
}

#[test]
fn f20_what_is_not_as_it_was_signed_is_not_installed() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let good = fs::read(apps::kv()).expect("kv");
    let bad = stage.path("bad.mpk");
    for at in [0, 10, good.len() / 3, good.len() / 2, good.len() - 9] {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        fs::write(&bad, flipped).expect("written");
        node.cli(&["app", "install", path_text(&bad)]).fails(1, "InvalidBundle");
        node.cli(&["bundle", "verify", path_text(&bad)]).fails(1, "InvalidBundle");
    }
    for bytes in [&good[..good.len() / 2], b"no bundle at all", &[0; 4096]] {
        fs::write(&bad, bytes).expect("written");
        node.cli(&["app", "install", path_text(&bad)]).fails(1, "InvalidBundle");
    }
    let empty = node.http().request("POST", "/admin-api/applications", &[], b"");
    empty.problem(400, "InvalidRequest");
    node.cli(&["app", "install", path_text(&stage.path("nothing"))]).fails(5, "FileNotFound");
    assert_eq!(node.cli(&["app", "ls"]).ok(), json!([]));
    assert_eq!(node.cli(&["blob", "ls"]).ok(), json!([]), "nothing of them is kept");

    let key = stage.path("signer.pem");
    fs::write(&key, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").expect("written");
    node.cli(&["key", "did", path_text(&key)]).fails(1, "InvalidKeyFile");
}

#[test]
fn a_node_fetches_bundles_from_public_addresses_alone() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let install = |url: &str| node.http().post("/admin-api/applications/install-from-url", &json!({ "url": url }));
    // The node's own API would answer.
    install(&format!("{}/healthz", node.api())).problem(502, "DownloadFailed");
    install(&format!("http://localhost:{}/healthz", node.api_address().rsplit_once(':').expect("a port").1))
        .problem(502, "DownloadFailed");
    install("http://169.254.169.254/latest/meta-data/").problem(502, "DownloadFailed");
    install("https://localhost/kv.mpk").problem(502, "DownloadFailed");
    install("https://10.0.0.1/kv.mpk").problem(502, "DownloadFailed");
    for url in ["file:///etc/passwd", "ftp://example.org/kv.mpk", ""] {
        install(url).problem(422, "InvalidArgument");
    }
}
