//! Clients that `mesto gen` makes: that they compile, and that they talk to a node.

#[path = "../../src/cli/generate/golden/everything.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is made for other crates; that it compiles is the test")]
mod everything;
#[path = "../../src/cli/generate/golden/kv.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is made for other crates, and not every method is called here")]
mod kv;

use std::fs;

use mesto_api::Client;
use mesto_api::ClientError;
use serde_json::json;

use crate::apps::{self, path_text};
use crate::network::begin;
use crate::node::Stage;

#[test]
fn a_generated_client_calls_and_reads_events() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let shared = begin(&node);
    let client = Client::new(node.api(), Some(node.home().token())).expect("a client");
    let kv = kv::KvClient::new(client.clone(), &shared.context);
    kv.set("tea", "green").expect("set");
    assert_eq!(kv.get("tea").expect("get"), Some("green".to_owned()));
    assert_eq!(kv.get("coffee").expect("get"), None);
    assert_eq!(kv.len().expect("len"), kv::Integer(1));
    assert!(matches!(kv.get_or_error("coffee"), Err(ClientError::Rpc(error)) if error.data["kind"] == "NotFound"));
    kv.clear().expect("clear");
    let lines = client.recent_events(&[shared.context]).expect("events");
    let events: Vec<_> = lines.iter().filter_map(|line| kv::KvEvent::of(&line.kind, &line.payload)).collect();
    let set = kv::KvEvent::Set(kv::Set { key: "tea".to_owned(), value: "green".to_owned() });
    assert_eq!(events, [set, kv::KvEvent::Cleared]);
}

#[test]
fn wide_integers_survive_json() {
    for (value, text) in [(json!(5), "5"), (json!("18446744073709551615"), "\"18446744073709551615\"")] {
        let integer: everything::Integer<u64> = serde_json::from_value(value).expect("an integer");
        assert_eq!(serde_json::to_string(&integer).expect("JSON"), text);
    }
    assert!(serde_json::from_value::<everything::Integer<u64>>(json!(-1)).is_err());
    let shape = everything::Shape::Group(vec![everything::Shape::Point, everything::Shape::Circle(1.5)]);
    assert_eq!(serde_json::to_value(&shape).expect("JSON"), json!({"Group": ["Point", {"Circle": 1.5}]}));
}

#[test]
fn a_schema_is_found_in_files_bundles_applications_and_contexts() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let shared = begin(&node);
    let wanted = include_str!("../../src/cli/generate/golden/kv.ts");
    let made = stage.path("kv.ts");
    for source in [apps::kv(), "kv", &shared.context, "board"] {
        node.cli(&["gen", "ts", source, "-o", path_text(&made)]).ok();
        assert_eq!(fs::read_to_string(&made).expect("written"), wanted, "{source}");
    }
    let elsewhere = stage.bare("no node");
    elsewhere.cli(&["gen", "rust", apps::kv(), "-o", path_text(&made)]).ok();
    assert_eq!(fs::read_to_string(&made).expect("written"), include_str!("../../src/cli/generate/golden/kv.rs"));
    node.cli(&["gen", "ts", "nothing"]).fails(5, "ContextNotFound");
}
