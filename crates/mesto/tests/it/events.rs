//! Streams of what happens.

use serde_json::{Value, json};

use crate::network::{begin, join, set, shown};
use crate::node::{ARRIVES_WITHIN, Running, Stage, eventually, text};
use crate::websocket::Socket;

/// What the app's `Set` looks like in a message of a stream.
fn is_set(message: &Value, context: &str, key: &str) -> bool {
    let result = &message["result"];
    result["contextId"] == context
        && result["type"] == "StateMutation"
        && result["data"]["events"]
            .as_array()
            .is_some_and(|events| events.iter().any(|event| event["kind"] == "Set" && event["data"]["key"] == key))
}

#[test]
fn server_sent_events_tell_what_is_subscribed_and_resume_where_they_broke() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    let other = text(&anna.cli(&["context", "create", &shared.group]).ok(), "contextId");
    let context = shared.context.as_str();
    let mut events = boris.http().events("/sse", &[]);
    let opened = events.next().data;
    assert_eq!(opened["type"], "connect");
    let session = text(&opened, "session_id");
    let subscribe = json!({"id": session, "method": "subscribe", "params": {"contextIds": [context]}});
    let answer = boris.http().post("/sse/subscription", &subscribe);
    assert_eq!((answer.status, &answer.json()["result"]["contextIds"]), (200, &json!([context])));

    set(&anna, &other, "not", "subscribed");
    let written = set(&anna, context, "tea", "green");
    let message = events.next();
    assert!(is_set(&message.data, context, "tea"), "{message:?}");
    let data = &message.data["result"]["data"];
    assert_eq!((&data["newRoot"], &data["deltaId"]), (&written["rootHash"], &written["deltaId"]));
    assert_eq!(data["author"], shown(&anna, context)["identity"]);
    let id = message.id.expect("an id");
    assert_eq!(id, format!("{session}-1"));

    // What happens while nobody reads is told to whoever comes back.
    drop(events);
    set(&boris, context, "missed", "1");
    set(&boris, context, "missed", "2");
    let mut events = boris.http().events("/sse", &[("last-event-id", &id)]);
    let opened = events.next().data;
    assert_eq!((&opened["session_id"], &opened["resumed"]), (&json!(session), &json!(true)));
    for n in 2..4 {
        let message = events.next();
        assert_eq!(message.id, Some(format!("{session}-{n}")));
        assert!(is_set(&message.data, context, "missed"), "{message:?}");
    }
    let mut stranger = boris.http().events("/sse", &[("last-event-id", "nobody-7")]);
    assert_eq!(stranger.next().data["resumed"], false, "it is told that it may have missed something");
}

#[test]
fn a_websocket_calls_and_tells() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    let context = shared.context.as_str();
    let mut socket = Socket::open(&boris);
    socket.send(&json!({"id": "s", "method": "subscribe", "params": {"contextIds": [context]}}));
    assert_eq!(socket.next(), json!({"id": "s", "result": {"contextIds": [context]}}));

    set(&anna, context, "tea", "green");
    let told = socket.next();
    assert!(is_set(&told, context, "tea"), "{told}");
    socket.execute(7, context, "get", &json!({"key": "tea"}));
    let answer = socket.next();
    assert_eq!((&answer["id"], &answer["result"]["output"]), (&json!(7), &json!("green")));
    socket.execute(8, context, "get_or_error", &json!({"key": "coffee"}));
    let answer = socket.next();
    assert_eq!((&answer["id"], &answer["error"]["type"]), (&json!(8), &json!("FunctionCallError")));
    assert_eq!(answer["error"]["data"], json!({"kind": "NotFound", "data": "coffee"}));
    socket.send(&json!({"id": 9, "method": "dance", "params": {}}));
    assert_eq!(socket.next()["error"]["type"], "MethodNotFound");

    socket.send(&json!({"id": 10, "method": "unsubscribe", "params": {"contextIds": [context]}}));
    assert_eq!(socket.next()["id"], 10);
    set(&boris, context, "tea", "black");
    socket.execute(11, context, "get", &json!({"key": "tea"}));
    assert_eq!(socket.next()["id"], 11, "nothing is told any more");
}

#[test]
fn the_command_line_follows_events() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    let context = shared.context.as_str();
    set(&boris, context, "before", "1");
    let followed = Running::start(boris.home(), &["events", context, "-f"]);
    let next = |kind: &str| loop {
        let line = followed.next();
        assert_eq!(line["contextId"], context, "{line}");
        if line["kind"] == kind {
            return line;
        }
    };
    assert_eq!(next("Set")["payload"], json!({"key": "before", "value": "1"}), "what was before is told first");
    let written = set(&anna, context, "tea", "green");
    let line = next("Set");
    assert_eq!(line["payload"], json!({"key": "tea", "value": "green"}));
    assert_eq!((&line["deltaId"], &line["author"]), (&written["deltaId"], &shown(&anna, context)["identity"]));
    anna.cli(&["call", context, "clear"]).ok();
    assert_eq!(next("Cleared")["deltaId"].as_str().map(str::len), Some(52));

    let past = boris.cli(&["events", context]);
    assert_eq!(past.status, Some(0), "{}", past.stderr);
    let kinds: Vec<Value> =
        past.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["kind"].clone()).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "Set").count(), 2, "{kinds:?}");
}

#[test]
fn following_goes_on_when_the_node_comes_back() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let shared = begin(&node);
    let context = shared.context.as_str();
    let followed = Running::start(node.home(), &["events", context, "-f"]);
    let key_of_next = || loop {
        let line = followed.next();
        if line["kind"] == "Set" {
            return line["payload"]["key"].clone();
        }
    };
    set(&node, context, "before", "1");
    assert_eq!(key_of_next(), "before");
    let (home, _) = node.stop();
    let node = home.start();
    set(&node, context, "after", "1");
    assert_eq!(key_of_next(), "after", "told once, at another port");
    set(&node, context, "later", "1");
    assert_eq!(key_of_next(), "later");
}

#[test]
fn a_new_member_is_told_to_whom_follows_the_group() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    let mut socket = Socket::open(&anna);
    socket.send(&json!({"id": 1, "method": "subscribe", "params": {"groupIds": [shared.group]}}));
    assert_eq!(socket.next()["result"]["groupIds"], json!([shared.group]));
    join(&anna, &boris, &shared);
    let member = text(&boris.cli(&["whoami", "friends"]).ok(), "memberId");
    let told = eventually("the new member is told", ARRIVES_WITHIN, || {
        let told = socket.next();
        (told["result"]["type"] == "MemberAdded" && told["result"]["data"]["memberId"] == member.as_str())
            .then_some(told)
    });
    assert_eq!(told["result"]["groupId"], shared.group.as_str());
}
