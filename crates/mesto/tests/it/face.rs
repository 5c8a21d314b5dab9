//! Who may ask, and how commands end.

use serde_json::{Value, json};

use crate::http::Connection;
use crate::network::{begin, group};
use crate::node::{Stage, number, text};

#[test]
fn without_a_node_commands_end_with_status_3() {
    let stage = Stage::of(0);
    let home = stage.home("home");
    for command in [&["status"][..], &["context", "ls"], &["call", "c", "m"], &["join", "t"], &["app", "install", "f"]]
    {
        let error = home.cli(command).fails(3, "NotReachable");
        assert!(text(&error, "hint").contains("run"), "{error}");
    }
    stage.bare("nothing").cli(&["status"]).fails(3, "NotReachable");
    home.cli(&["--api", "http://127.0.0.1:9", "status"]).fails(3, "NotReachable");
    // What needs no node works without.
    home.cli(&["config", "show"]).ok();
}

#[test]
fn a_wrong_token_opens_nothing() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    node.cli(&["--token", "wrong", "status"]).fails(4, "Unauthorized");
    let stranger = stage.bare("stranger");
    stranger.cli(&["--api", node.api(), "status"]).fails(4, "Unauthorized");
    stranger.cli(&["--api", node.api(), "--token", &node.home().token(), "status"]).ok();

    let mut nobody = Connection::open(node.api_address(), None);
    for path in ["/healthz", "/readyz", "/admin-api/health"] {
        assert_eq!(nobody.get(path).status, 200, "{path}");
    }
    assert_eq!(nobody.get("/admin-api/health").data(), json!({"status": "alive"}));
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "execute", "params": {}}).to_string();
    let json_body = ("content-type", "application/json");
    for (method, path, body) in [
        ("GET", "/admin-api/groups", ""),
        ("POST", "/admin-api/groups", "{}"),
        ("GET", "/admin-api/no-such-route", ""),
        ("PUT", "/admin-api/blobs", "bytes"),
        ("POST", "/jsonrpc", call.as_str()),
        ("GET", "/sse", ""),
        ("GET", "/ws", ""),
    ] {
        let refused = nobody.request(method, path, &[json_body], body.as_bytes());
        refused.problem(401, "Unauthorized");
        assert_eq!(refused.header("x-auth-error"), Some("missing_token"), "{method} {path}");
        assert!(refused.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer")));
        let refused = nobody.request(method, path, &[json_body, ("authorization", "Bearer wrong")], body.as_bytes());
        refused.problem(401, "Unauthorized");
        assert_eq!(refused.header("x-auth-error"), Some("invalid_token"), "{method} {path}");
    }
    let token = node.home().token();
    assert_eq!(nobody.get(&format!("/admin-api/groups?token={token}")).status, 401, "only streams take it there");
}

#[test]
fn web_pages_and_rebound_names_reach_nothing() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let mut http = node.http();
    let own = format!("http://{}", node.api_address());
    assert_eq!(http.request("GET", "/admin-api/groups", &[("origin", &own)], b"").status, 200);
    assert_eq!(http.request("GET", "/admin-api/groups", &[("host", "localhost")], b"").status, 200);
    for path in ["/admin-api/groups", "/ws", "/sse"] {
        for origin in ["http://evil.example", "null", "http://127.0.0.1:1", "https://localhost"] {
            http.request("GET", path, &[("origin", origin)], b"").problem(403, "OriginNotAllowed");
        }
        for host in ["evil.example", "evil.example:2480", "127.0.0.1.evil.example", "localhost.evil.example:80"] {
            http.request("GET", path, &[("host", host)], b"").problem(403, "HostNotAllowed");
        }
    }
    // A page asks first whether it may send JSON; it is not told that it may.
    let asked = http.request("OPTIONS", "/jsonrpc", &[("origin", "http://evil.example")], b"");
    assert_eq!((asked.status, asked.header("access-control-allow-origin")), (403, None));
    // And without asking it cannot.
    let call = http.request("POST", "/jsonrpc", &[("content-type", "text/plain")], b"{}");
    call.problem(415, "UnsupportedMediaType");
}

#[test]
fn what_is_not_there_ends_with_status_5_and_what_is_there_twice_with_2() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let nobody = "a".repeat(52);
    for name in ["nowhere", nobody.as_str(), "aaaa"] {
        node.cli(&["context", "show", name]).fails(5, "ContextNotFound");
        node.cli(&["group", "show", name]).fails(5, "GroupNotFound");
        node.cli(&["app", "show", name]).fails(5, "ApplicationNotFound");
        node.cli(&["blob", "get", name, "-o", "/dev/null"]).fails(5, "BlobNotFound");
        node.cli(&["member", "ls", name]).fails(5, "GroupNotFound");
        node.cli(&["invite", name]).fails(5, "GroupNotFound");
        node.http().get(&format!("/admin-api/contexts/{name}")).problem(404, "ContextNotFound");
    }
    node.http().get("/admin-api/no-such-route").problem(404, "NotFound");
    node.http().request("DELETE", "/admin-api/status", &[], b"").problem(405, "MethodNotAllowed");

    let twins = [group(&node, "twins"), group(&node, "twins")];
    let error = node.cli(&["group", "show", "twins"]).fails(2, "Ambiguous");
    let mut candidates: Vec<_> =
        error["data"]["candidates"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    candidates.sort_unstable();
    let mut both = twins.each_ref().map(String::as_str);
    both.sort_unstable();
    assert_eq!(candidates, both);
    assert_eq!(node.cli(&["group", "show", &twins[0]]).ok()["groupId"], twins[0].as_str());
    node.cli(&["group", "show"]).fails(2, "UsageError");
    node.cli(&["no-such-command"]).fails(2, "UsageError");
}

#[test]
fn waiting_ends_with_status_6_when_the_time_is_over() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    let ticket = crate::network::ticket(&anna, &shared.group);
    anna.cli(&["sync", &shared.context, "--wait", "--timeout", "200ms"]).fails(6, "TimedOut");
    anna.stop();
    let begun = std::time::Instant::now();
    boris.cli(&["join", &ticket, "--wait", "--timeout", "500ms"]).fails(6, "TimedOut");
    assert!(begun.elapsed() < crate::node::ARRIVES_WITHIN, "it waited for {:?}", begun.elapsed());
}

#[test]
fn lists_and_objects_have_the_shapes_that_scripts_rely_on() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let shared = begin(&node);
    let mut http = node.http();
    let groups = http.get("/admin-api/groups");
    assert_eq!(groups.data()[0]["groupId"], shared.group.as_str());
    assert_eq!(groups.json().get("nextCursor"), Some(&Value::Null));
    let usage = http.get("/admin-api/usage").data();
    assert_eq!((number(&usage, "groups"), number(&usage, "contexts")), (1, 1));
    let identity = http.get("/admin-api/identity").data();
    assert_eq!(identity["peerId"], node.peer_id());
    assert_eq!(identity["memberships"][0]["groupId"], shared.group.as_str());
    let members = http.get(&format!("/admin-api/groups/{}/members", shared.group)).data();
    assert_eq!((&members[0]["memberId"], &members[0]["role"]), (&identity["memberId"], &json!("owner")));
    assert_eq!(members[0]["inherited"], false);
    let log = http.get(&format!("/admin-api/groups/{}/log", shared.group)).data();
    assert!(log.as_array().is_some_and(|log| !log.is_empty()), "{log}");
    let wrong = http.post("/admin-api/groups", &json!({"nam": "a"}));
    wrong.problem(422, "InvalidArgument");
}
