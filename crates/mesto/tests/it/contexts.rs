//! Flows F01 and F02, and F04 where it is about a context and not about becoming a member.

use std::fs;

use serde_json::{Value, json};

use crate::apps::{self, path_text};
use crate::network::{begin, equal, get, group, join, set, shown, ticket};
use crate::node::{ARRIVES_WITHIN, Stage, eventually, number, text};

#[test]
fn f01_create_a_context_and_every_member_lists_it() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let group = group(&anna, "friends");
    boris.cli(&["join", &ticket(&anna, &group), "--wait"]).ok();

    let created = anna.cli(&["context", "create", &group, "--name", "board"]).ok();
    let (context, identity) = (text(&created, "contextId"), text(&created, "identity"));
    assert_eq!((context.len(), identity.len()), (52, 52));
    let mine = anna.cli(&["context", "show", "board"]).ok();
    assert_eq!(mine["contextId"], context.as_str());
    assert_eq!(mine["groupId"], group.as_str());
    assert_eq!(mine["identity"], identity.as_str());
    assert_eq!((&mine["joined"], &mine["ready"], &mine["visibility"]), (&json!(true), &json!(true), &json!("open")));
    assert_eq!(number(&mine, "entries"), 1, "init is the first delta");
    assert_eq!(mine["heads"].as_array().map(Vec::len), Some(1));

    let listed = eventually("the other member lists the context", ARRIVES_WITHIN, || {
        let listed = boris.cli(&["context", "ls", &group]).ok();
        listed.as_array()?.iter().find(|listed| listed["contextId"] == context.as_str()).cloned()
    });
    assert_eq!((&listed["name"], &listed["joined"]), (&json!("board"), &json!(false)));
    assert_eq!(listed["applicationId"], mine["applicationId"]);
}

#[test]
fn f01_a_context_needs_a_group_and_an_app() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    node.cli(&["context", "create", "nowhere"]).fails(5, "GroupNotFound");
    let bare = text(&node.cli(&["group", "create", "--name", "bare"]).ok(), "groupId");
    node.cli(&["context", "create", &bare]).fails(2, "NoApplication");
    node.cli(&["context", "create", &bare, "--app", "kv"]).fails(5, "ApplicationNotFound");
    assert_eq!(node.cli(&["context", "ls"]).ok(), json!([]));

    let app = text(&node.cli(&["app", "install", apps::kv()]).ok(), "applicationId");
    let asked = json!({"group": bare, "app": app, "name": "over HTTP"});
    let answer = node.http().post("/admin-api/contexts", &asked);
    let context = text(&answer.data(), "contextId");
    assert_eq!(shown(&node, &context)["name"], "over HTTP");
}

#[test]
fn f02_execute_a_method_and_its_change_is_there_at_once() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let context = begin(&node).context;
    let before = shown(&node, &context);

    let called = node.cli(&["call", "board", "set", "key=tea", "value=green"]).ok();
    assert_eq!((&called["output"], &called["committed"]), (&Value::Null, &json!(true)));
    assert_eq!(text(&called, "deltaId").len(), 52);
    let after = shown(&node, &context);
    assert_eq!(called["rootHash"], after["rootHash"]);
    assert_ne!(called["rootHash"], before["rootHash"]);
    assert_eq!(after["heads"], json!([called["deltaId"]]));
    assert_eq!(number(&after, "entries"), 2);

    let viewed = node.cli(&["call", &context[..8], "get", r#"{"key":"tea"}"#]).ok();
    assert_eq!(
        viewed,
        json!({"output": "green", "committed": false, "deltaId": null, "rootHash": after["rootHash"]}),
        "a view makes no delta"
    );
    assert_eq!(get(&node, &context, "coffee"), Value::Null);
    assert_eq!(node.cli(&["call", &context, "len"]).ok()["output"], 1);
    assert_eq!(shown(&node, &context), after);
}

#[test]
fn f02_arguments_come_from_words_a_file_or_standard_input() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let context = begin(&node).context;
    let file = stage.path("args.json");
    fs::write(&file, r#"{"key": "from a file", "value": "1"}"#).expect("written");
    node.cli(&["call", &context, "set", &format!("@{}", path_text(&file))]).ok();
    node.home().cli_reading(&["call", &context, "set", "-"], br#"{"key":"from standard input","value":"2"}"#).ok();
    node.cli(&["call", &context, "set", "key=from words", "value=3"]).ok();
    assert_eq!(
        node.cli(&["call", &context, "entries"]).ok()["output"],
        json!({"from a file": "1", "from standard input": "2", "from words": "3"})
    );
    node.cli(&["call", &context, "set", "[1]"]).fails(2, "UsageError");
    node.cli(&["call", &context, "set", "{"]).fails(2, "UsageError");
}

#[test]
fn f02_what_fails_leaves_no_trace() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let context = begin(&node).context;
    set(&node, &context, "tea", "green");
    let before = shown(&node, &context);

    let error = node.cli(&["call", &context, "get_or_error", "key=coffee"]).fails(1, "FunctionCallError");
    assert_eq!(error["data"], json!({"kind": "NotFound", "data": "coffee"}), "the app's own error");
    node.cli(&["call", &context, "brew"]).fails(5, "MethodNotFound");
    node.cli(&["call", &context, "init"]).fails(5, "MethodNotFound");
    node.cli(&["call", &context, "set", "key=tea"]).fails(1, "FunctionCallError");
    node.cli(&["call", &context, "set", r#"{"key":"tea","value":5}"#]).fails(1, "FunctionCallError");
    let long = "k".repeat(2_000);
    node.cli(&["call", &context, "set", &format!("key={long}"), "value=v"]).fails(1, "LimitExceeded");
    node.cli(&["call", &context, "get", "key=tea", "--as", &"a".repeat(52)]).fails(5, "IdentityNotFound");
    node.cli(&["call", "nowhere", "get", "key=tea"]).fails(5, "ContextNotFound");
    assert_eq!(shown(&node, &context), before);
}

#[test]
fn f02_an_app_that_breaks_leaves_no_trace_and_the_node_goes_on() {
    let stage = Stage::of(1);
    let home = stage.home("node");
    home.cli(&["config", "set", "limits.call_time_ms", "300"]).ok();
    let node = home.start();
    let bundle = apps::rude(home.folder().parent().expect("the stage"));
    node.cli(&["app", "install", path_text(&bundle)]).ok();
    let group = text(&node.cli(&["group", "create", "--app", "rude"]).ok(), "groupId");
    let context = text(&node.cli(&["context", "create", &group]).ok(), "contextId");
    let wrote = node.cli(&["call", &context, "write"]).ok();
    assert_eq!(wrote["committed"], true);
    let before = shown(&node, &context);

    node.cli(&["call", &context, "trap"]).fails(1, "FunctionCallError");
    node.cli(&["call", &context, "spin"]).fails(1, "LimitExceeded");
    node.cli(&["call", &context, "cheat"]).fails(1, "FunctionCallError");
    assert_eq!(shown(&node, &context), before, "they had written before they failed");

    assert_eq!(node.cli(&["call", &context, "write"]).ok()["committed"], true);
    assert_eq!(number(&shown(&node, &context), "entries"), number(&before, "entries") + 1);
}

#[test]
fn f04_join_an_open_context_and_take_part_in_it() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    let context = shared.context.as_str();
    set(&anna, context, "tea", "green");
    boris.cli(&["join", &ticket(&anna, &shared.group), "--wait"]).ok();

    boris.cli(&["context", "join", "nowhere"]).fails(5, "ContextNotFound");
    boris.cli(&["call", context, "get", "key=tea"]).fails(1, "NotJoined");
    let joined = boris.cli(&["context", "join", "board", "--wait"]).ok();
    assert_eq!(joined["contextId"], context);
    assert_eq!(boris.cli(&["context", "join", context, "--wait"]).ok(), joined, "to join twice is to join once");

    let his = equal(&[&boris, &anna], context, 2);
    assert_eq!((&his["joined"], &his["ready"], &his["bundleHeld"]), (&json!(true), &json!(true), &json!(true)));
    assert_eq!(his["identity"], joined["identity"]);
    assert_ne!(joined["identity"], shown(&anna, context)["identity"]);
    assert_eq!(get(&boris, context, "tea"), "green");
    set(&boris, context, "tea", "black");
    equal(&[&anna, &boris], context, 3);
    assert_eq!(get(&anna, context, "tea"), "black");
}

#[test]
fn f04_a_join_can_bring_all_open_contexts_along() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    let second = text(&anna.cli(&["context", "create", &shared.group]).ok(), "contextId");
    set(&anna, &second, "tea", "green");
    let joined = boris.cli(&["join", &ticket(&anna, &shared.group), "--wait", "--contexts", "all"]).ok();
    let mut contexts: Vec<_> =
        joined["contexts"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    contexts.sort_unstable();
    let mut both = [shared.context.as_str(), second.as_str()];
    both.sort_unstable();
    assert_eq!(contexts, both);
    assert_eq!(get(&boris, &second, "tea"), "green", "what was awaited is here");
    assert_eq!(shown(&boris, &shared.context)["rootHash"], shown(&anna, &shared.context)["rootHash"]);
}

#[test]
fn f04_whoever_joins_late_gets_all_that_was_written_before() {
    let stage = Stage::of(3);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    let (mut to_anna, mut to_boris) = (anna.http(), boris.http());
    for n in 0..100 {
        to_anna.call(&shared.context, "set", &json!({"key": format!("anna {n}"), "value": "x".repeat(200)}));
        to_boris.call(&shared.context, "set", &json!({"key": format!("boris {n}"), "value": "y".repeat(200)}));
    }
    equal(&[&anna, &boris], &shared.context, 201);
    let clara = stage.start("clara");
    join(&anna, &clara, &shared);
    equal(&[&clara, &anna, &boris], &shared.context, 201);
    assert_eq!(clara.http().call(&shared.context, "len", &json!({}))["output"], 200);
}
