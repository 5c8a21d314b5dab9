//! Texts, as pages read them.

use serde_json::{Value, json};

use crate::apps;
use crate::network::{self, Shared};
use crate::node::{ARRIVES_WITHIN, Node, Stage, eventually, text};

/// Two nodes with one text.
fn two(stage: &Stage) -> (Node, Node, String) {
    let (first, second) = (stage.start("first"), stage.start("second"));
    let app = text(&first.cli(&["app", "install", apps::editor()]).ok(), "applicationId");
    let group = text(&first.cli(&["group", "create", "--name", "writers", "--app", &app]).ok(), "groupId");
    let context = text(&first.cli(&["context", "create", &group, "--name", "text"]).ok(), "contextId");
    let shared = Shared { group, context: context.clone() };
    network::join(&first, &second, &shared);
    (first, second, context)
}

/// A reading that is not of the version `since`.
#[track_caller]
fn news(node: &Node, context: &str, since: &Value) -> Value {
    let mut http = node.http();
    eventually("the text is another one", ARRIVES_WITHIN, || {
        let reading = http.call(context, "read", &json!({ "since": since }))["output"].clone();
        (reading["version"] != *since).then_some(reading)
    })
}

#[test]
fn f23_a_page_is_told_what_changed_and_not_the_whole_text() {
    let stage = Stage::of(2);
    let (first, second, context) = two(&stage);
    let long = "\u{1f600} some words in a line\n".repeat(4_000);
    first.http().call(&context, "insert", &json!({ "at": 0, "text": long }));
    news(&second, &context, &json!("0.0"));
    // After the first reading the text is in memory, and what comes is followed.
    let whole = second.http().call(&context, "read", &json!({ "since": null }))["output"].clone();
    assert_eq!((&whole["steps"], whole["text"].as_str()), (&Value::Null, Some(long.as_str())));
    let typed = |at: u64, insert: &str| first.http().call(&context, "insert", &json!({ "at": at, "text": insert }));

    typed(1, "x");
    let reading = news(&second, &context, &whole["version"]);
    assert_eq!(reading["steps"], json!([{ "from": 2, "to": 2, "insert": "x" }]), "in UTF-16 units");
    assert_eq!(reading["text"], Value::Null);
    first.http().call(&context, "delete", &json!({ "at": 0, "len": 2 }));
    let next = news(&second, &context, &reading["version"]);
    assert_eq!(next["steps"], json!([{ "from": 0, "to": 3, "insert": "" }]));
    let both = second.http().call(&context, "read", &json!({ "since": whole["version"] }))["output"]["steps"].clone();
    assert_eq!(both.as_array().map(Vec::len), Some(2), "{both}");

    // A node that was started since remembers nothing, and says so by giving the whole.
    let second = second.stop().0.start();
    let reading = news(&second, &context, &whole["version"]);
    assert_eq!(reading["steps"], Value::Null);
    assert!(reading["text"].as_str().is_some_and(|text| text.starts_with(" some words")), "{}", reading["version"]);
}
