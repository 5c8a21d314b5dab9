//! Blobs: put, get, and parts of them.

use std::collections::BTreeMap;
use std::fs;

use serde_json::json;

use crate::apps::path_text;
use crate::node::{Stage, number, text};

fn id_of(bytes: &[u8]) -> String {
    mesto_bundle::id_text(blake3::hash(bytes).as_bytes())
}

/// Bytes that repeat nowhere near.
fn bytes(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

#[test]
fn a_blob_comes_back_as_it_was_put_and_is_named_by_its_hash() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let content = bytes(3 * 1024 * 1024 + 17);
    let (file, copy) = (stage.path("file"), stage.path("copy"));
    fs::write(&file, &content).expect("written");
    let put = node.cli(&["blob", "put", path_text(&file)]).ok();
    assert_eq!(put, json!({"blobId": id_of(&content), "size": content.len()}));
    assert_eq!(node.cli(&["blob", "put", path_text(&file)]).ok(), put, "again is the same");
    let id = text(&put, "blobId");
    node.cli(&["blob", "get", &id[..8], "-o", path_text(&copy)]).ok();
    assert!(fs::read(&copy).expect("there") == content);
    assert_eq!(node.cli(&["blob", "ls"]).ok(), json!([put]));

    let piped = node.home().cli_reading(&["blob", "put", "-"], b"from a pipe").ok();
    assert_eq!(piped, json!({"blobId": id_of(b"from a pipe"), "size": 11}));
    let empty = node.home().cli_reading(&["blob", "put", "-"], b"").ok();
    assert_eq!(number(&empty, "size"), 0);

    let put = node.http().request("PUT", "/admin-api/blobs", &[], b"over HTTP");
    assert_eq!(put.data(), json!({"blobId": id_of(b"over HTTP"), "blob_id": id_of(b"over HTTP"), "size": 9}));
    node.cli(&["blob", "put", path_text(&stage.path("nothing"))]).fails(5, "FileNotFound");
    let home = node.kill();
    assert_eq!(home.start().cli(&["blob", "ls"]).ok().as_array().map(Vec::len), Some(4));
}

#[test]
fn parts_of_a_blob_are_served_as_the_standard_says() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let content = bytes(600_000);
    let mut http = node.http();
    let id = text(&http.request("PUT", "/admin-api/blobs", &[], &content).data(), "blobId");
    let path = format!("/admin-api/blobs/{id}");
    let whole = http.get(&path);
    assert_eq!((whole.status, whole.header("accept-ranges")), (200, Some("bytes")));
    assert!(whole.body == content);
    let tag = whole.header("etag").expect("a tag").to_owned();

    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=262144-262145", 262_144, 262_146),
        ("bytes=599990-", 599_990, 600_000),
        ("bytes=-10", 599_990, 600_000),
        ("bytes=100-9999999", 100, 600_000),
    ] {
        let part = http.request("GET", &path, &[("range", range)], b"");
        assert_eq!(part.status, 206, "{range}");
        assert_eq!(part.header("content-range"), Some(format!("bytes {from}-{}/600000", to - 1).as_str()), "{range}");
        assert!(part.body == content[from..to], "{range}");
    }
    let outside = http.request("GET", &path, &[("range", "bytes=600000-")], b"");
    outside.problem(416, "RangeNotSatisfiable");
    assert_eq!(outside.header("content-range"), Some("bytes */600000"));
    for whole in ["bytes=5-4", "lines=1-2", "bytes=x-y"] {
        assert_eq!(http.request("GET", &path, &[("range", whole)], b"").status, 200, "{whole}");
    }
    let since = |tag: &str, http: &mut crate::http::Connection| {
        http.request("GET", &path, &[("range", "bytes=0-0"), ("if-range", tag)], b"").status
    };
    assert_eq!((since(&tag, &mut http), since("\"other\"", &mut http)), (206, 200));
    let head = http.request("HEAD", &path, &[], b"");
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("600000"), 0));
    assert_eq!(http.get(&path).body.len(), 600_000, "the connection goes on after all this");
}

#[test]
fn a_prefix_of_two_blobs_is_refused_with_both() {
    // Two texts whose ids begin with the same four characters: among some thousands there are such.
    let mut known = BTreeMap::new();
    let (prefix, one, other) = (0_u32..)
        .find_map(|n| {
            let content = n.to_string();
            let prefix = id_of(content.as_bytes())[..4].to_owned();
            known.insert(prefix.clone(), content.clone()).map(|earlier| (prefix, earlier, content))
        })
        .expect("numbers do not end");
    let stage = Stage::of(1);
    let node = stage.start("node");
    let mut http = node.http();
    for content in [&one, &other] {
        http.request("PUT", "/admin-api/blobs", &[], content.as_bytes()).data();
    }
    let target = stage.path("target");
    let error = node.cli(&["blob", "get", &prefix, "-o", path_text(&target)]).fails(2, "Ambiguous");
    assert_eq!(error["data"]["candidates"].as_array().map(Vec::len), Some(2));
    assert!(!target.exists());
    node.cli(&["blob", "get", &id_of(one.as_bytes()), "-o", path_text(&target)]).ok();
    assert_eq!(fs::read_to_string(&target).expect("there"), one);
}
