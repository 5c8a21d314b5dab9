//! `POST /jsonrpc`, in the shapes that existing clients know.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::apps::{self, path_text};
use crate::network::{begin, set, shown};
use crate::node::{Stage, number, text};
use crate::websocket::Socket;

#[test]
fn a_call_and_its_failures_have_the_known_shapes() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let context = begin(&node).context;
    set(&node, &context, "tea", "green");
    let root = shown(&node, &context)["rootHash"].clone();
    let mut http = node.http();
    let execute = |method: &str, args: Value| {
        json!({"jsonrpc": "2.0", "id": "x", "method": "execute",
            "params": {"contextId": context, "method": method, "argsJson": args}})
        .to_string()
    };
    assert_eq!(
        http.rpc(&execute("get", json!({"key": "tea"}))),
        json!({"jsonrpc": "2.0", "id": "x",
            "result": {"output": "green", "committed": false, "deltaId": null, "rootHash": root}})
    );
    assert_eq!(
        http.rpc(&execute("get", json!(r#"{"key":"tea"}"#)))["result"]["output"],
        "green",
        "text that holds JSON"
    );
    // Existing clients send it whether they know a key or not.
    for (key, error) in [(json!(""), Value::Null), (json!(null), Value::Null), (json!("nobody"), json!("Unauthorized"))]
    {
        let asked = json!({"jsonrpc": "2.0", "id": "x", "method": "execute", "params": {"contextId": context,
            "method": "get", "argsJson": {"key": "tea"}, "executorPublicKey": key}});
        let answer = http.rpc(&asked.to_string());
        assert_eq!(answer["error"]["type"], error, "{key}: {answer}");
        assert_eq!(answer["result"]["output"] == "green", error.is_null(), "{key}: {answer}");
    }

    let mut error = |text: &str| {
        let answer = http.rpc(text);
        assert_eq!(answer["jsonrpc"], "2.0", "{answer}");
        assert!(answer.get("result").is_none(), "{answer}");
        assert!(answer["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer}");
        (
            answer["id"].clone(),
            answer["error"]["code"].as_i64(),
            text_of(&answer, "type"),
            answer["error"]["data"].clone(),
        )
    };
    let mut fails = |text: &str, code: i64, kind: &str| {
        let (_, found, found_kind, data) = error(text);
        assert_eq!((found, found_kind.as_str()), (Some(code), kind), "{text}");
        data
    };
    fails("{", -32700, "ParseError");
    fails("[", -32700, "ParseError");
    fails("[]", -32600, "InvalidRequest");
    fails("5", -32600, "InvalidRequest");
    fails(r#"{"jsonrpc":"1.0","id":1,"method":"execute","params":{}}"#, -32600, "InvalidRequest");
    fails(r#"{"jsonrpc":"2.0","id":1,"method":"execute"}"#, -32600, "InvalidRequest");
    fails(r#"{"jsonrpc":"2.0","id":1,"method":"execute","params":{"contextId":5}}"#, -32600, "InvalidRequest");
    fails(r#"{"jsonrpc":"2.0","id":1,"method":"eval","params":{}}"#, -32601, "MethodNotFound");
    fails(&execute("brew", json!({})), -32601, "MethodNotFound");
    fails(&execute("get", json!([])), -32600, "InvalidRequest");
    fails(&execute("get", json!({"kee": "tea"})), -32000, "FunctionCallError");
    fails(&execute("get", json!({"key": "tea"})).replace(&context, "nowhere"), -32004, "ContextNotFound");
    let data = fails(&execute("get_or_error", json!({"key": "coffee"})), -32000, "FunctionCallError");
    assert_eq!(data, json!({"kind": "NotFound", "data": "coffee"}));
    assert_eq!(error("{").0, Value::Null, "nobody can know its id");
    assert_eq!(error(&execute("brew", json!({}))).0, "x");
}

fn text_of(answer: &Value, key: &str) -> String {
    text(&answer["error"], key)
}

#[test]
fn a_batch_is_answered_in_order_and_each_call_sees_those_before_it() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let context = begin(&node).context;
    let call = |id: u32, method: &str, args: Value| {
        json!({"jsonrpc": "2.0", "id": id, "method": "execute",
            "params": {"contextId": context, "method": method, "argsJson": args}})
    };
    let batch = json!([
        call(1, "set", json!({"key": "a", "value": "1"})),
        call(2, "get", json!({"key": "a"})),
        call(3, "get_or_error", json!({"key": "b"})),
        call(4, "set", json!({"key": "b", "value": "2"})),
        {"jsonrpc": "2.0", "id": 5, "method": "nothing"},
        call(6, "len", json!({})),
    ]);
    let answers = node.http().rpc(&batch.to_string());
    let answers = answers.as_array().expect("a list");
    assert_eq!(answers.iter().map(|answer| number(answer, "id")).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(answers[0]["result"]["committed"], true);
    assert_eq!(answers[1]["result"]["output"], "1");
    assert_eq!(answers[2]["error"]["type"], "FunctionCallError");
    assert_eq!(answers[4]["error"]["type"], "MethodNotFound");
    assert_eq!(answers[5]["result"]["output"], 2);
    let long = json!(vec![call(1, "len", json!({})); 257]);
    assert_eq!(node.http().rpc(&long.to_string())["error"]["type"], "InvalidRequest");
}

#[test]
fn when_1024_calls_wait_further_ones_are_refused_and_those_that_wait_are_done() {
    const SOCKETS: u64 = 24;
    const CALLS_EACH: u64 = 60;
    let stage = Stage::of(1);
    let home = stage.home("node");
    home.cli(&["config", "set", "limits.call_time_ms", "3000"]).ok();
    let node = home.start();
    let bundle = apps::rude(home.folder().parent().expect("the stage"));
    node.cli(&["app", "install", path_text(&bundle)]).ok();
    let group = text(&node.cli(&["group", "create", "--app", "rude"]).ok(), "groupId");
    let context = text(&node.cli(&["context", "create", &group]).ok(), "contextId");

    // One call keeps the context busy while the others come.
    let mut spinning = Socket::open(&node);
    spinning.execute(0, &context, "spin", &json!({}));
    let mut sockets: Vec<Socket> = (0..SOCKETS).map(|_| Socket::open(&node)).collect();
    for id in 0..CALLS_EACH {
        for socket in &mut sockets {
            socket.execute(id, &context, "write", &json!({}));
        }
    }
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for socket in &mut sockets {
        for _ in 0..CALLS_EACH {
            let answer = socket.next();
            let what = if answer["result"]["committed"] == true {
                "done"
            } else {
                answer["error"]["type"].as_str().unwrap_or("?")
            };
            *counts.entry(what.to_owned()).or_default() += 1;
        }
    }
    assert_eq!(counts.keys().collect::<Vec<_>>(), ["LimitExceeded", "done"], "{counts:?}");
    assert!(counts["done"] >= 1024, "{counts:?}");
    assert_eq!(spinning.next()["error"]["type"], "LimitExceeded");
    // The one that spun and those that were refused changed nothing; `init` and the others did.
    assert_eq!(number(&shown(&node, &context), "entries"), 1 + counts["done"]);
    assert_eq!(node.cli(&["call", &context, "write"]).ok()["committed"], true);
}
