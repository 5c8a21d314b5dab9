//! Flow F13: who may ask a node for what.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mesto_api::auth::TokenPair;
use serde_json::{Value, json};

use crate::apps::path_text;
use crate::http::{Answer, Connection};
use crate::network::{begin, set};
use crate::node::{Node, PATIENCE, Stage, eventually, text};
use crate::websocket::Socket;

/// A connection without a token.
fn stranger(node: &Node) -> Connection {
    Connection::open(node.api_address(), None)
}

fn with(node: &Node, token: &str) -> Connection {
    Connection::open(node.api_address(), Some(token))
}

fn add_anna(node: &Node, scopes: &[&str]) {
    let mut args = vec!["user", "add", "anna", "--password-stdin"];
    scopes.iter().for_each(|scope| args.extend(["--scope", *scope]));
    node.home().cli_reading(&args, b"correct horse\n").ok();
}

fn log_in(node: &Node, password: &str, wanted: Option<Value>) -> Answer {
    let mut request = json!({"auth_method": "user_password", "public_key": "", "client_name": "test", "timestamp": 0,
        "provider_data": {"username": "anna", "password": password}});
    if let Some(wanted) = wanted {
        request["permissions"] = wanted;
    }
    stranger(node).post("/auth/token", &request)
}

#[track_caller]
fn tokens(answer: &Answer) -> TokenPair {
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.json()["error"], Value::Null);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    serde_json::from_value(answer.json()["data"].clone()).expect("tokens")
}

#[track_caller]
fn unauthorised(answer: &Answer, reason: &str) {
    answer.problem(401, "Unauthorized");
    assert_eq!(answer.header("x-auth-error"), Some(reason));
    assert!(answer.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer ")));
}

#[test]
fn f13_a_login_by_password_opens_what_its_user_may_until_it_ends() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let shared = begin(&node);
    add_anna(&node, &[&format!("context:execute[{}]", &shared.context[..8]), "blob:read"]);
    let providers = stranger(&node).get("/auth/providers").data();
    assert_eq!((&providers["count"], &providers["providers"][0]["configured"]), (&json!(3), &json!(true)));

    log_in(&node, "incorrect horse", None).problem(401, "Unauthorized");
    log_in(&node, "correct horse", Some(json!(["admin"]))).problem(403, "Forbidden");
    let pair = tokens(&log_in(&node, "correct horse", None));
    let payload = pair.access_token.split('.').nth(1).expect("a JWT");
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("JSON");
    assert_eq!((&claims["sub"], &claims["iss"], &claims["aud"]), (&json!("anna"), &json!(node.peer_id()), &json!("mesto")));
    assert_eq!(claims["permissions"], json!([format!("context:execute[{}]", shared.context), "blob:read"]));

    let mut anna = with(&node, &pair.access_token);
    for method in ["GET", "HEAD", "POST"] {
        let valid = anna.request(method, "/auth/validate", &[], b"");
        assert_eq!((valid.status, valid.header("x-auth-user")), (200, Some("anna")), "{method}");
        assert!(valid.header("x-auth-permissions").is_some_and(|listed| listed.ends_with(",blob:read")), "{method}");
    }
    anna.call(&shared.context, "set", &json!({"key": "tea", "value": "green"}));
    anna.get(&format!("/admin-api/contexts/{}", shared.context)).data();
    for closed in ["/admin-api/contexts", "/admin-api/groups", "/admin-api/status", "/metrics", "/admin-api/blobs", "/auth/keys"] {
        let refused = anna.get(closed);
        assert_eq!(refused.status, 403, "{closed}");
    }

    let refreshed = tokens(&stranger(&node).post("/auth/refresh", &json!(pair)));
    with(&node, &refreshed.access_token).get("/auth/validate").data();
    // Whoever shows a refresh token again has stolen it, or was stolen from.
    unauthorised(&stranger(&node).post("/auth/refresh", &json!(pair)), "token_reuse");
    unauthorised(&with(&node, &refreshed.access_token).get("/auth/validate"), "token_revoked");
    unauthorised(&stranger(&node).post("/auth/refresh", &json!(refreshed)), "token_revoked");

    let pair = tokens(&log_in(&node, "correct horse", None));
    let (home, _) = node.stop();
    let node = home.start();
    let mut anna = with(&node, &pair.access_token);
    anna.get("/auth/validate").data();
    anna.post("/auth/revoke", &json!({"token": pair.refresh_token})).data();
    unauthorised(&anna.get("/auth/validate"), "token_revoked");
    let again = tokens(&log_in(&node, "correct horse", None));
    node.cli(&["user", "rm", "anna"]).ok();
    unauthorised(&with(&node, &again.access_token).get("/auth/validate"), "token_revoked");
    log_in(&node, "correct horse", None).problem(401, "Unauthorized");
}

#[test]
fn f13_forged_tokens_open_nothing() {
    let stage = Stage::of(2);
    let (node, other) = (stage.start("node"), stage.start("other"));
    let token = text(&node.cli(&["token", "create", "--expires", "1h"]).ok(), "token");
    with(&node, &token).get("/admin-api/status").data();
    unauthorised(&with(&other, &token).get("/admin-api/status"), "invalid_token");

    let mut parts = token.split('.');
    let (header, payload, mac) = (parts.next().expect("h"), parts.next().expect("p"), parts.next().expect("m"));
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("JSON");
    claims["exp"] = json!(u32::MAX);
    for forged in [
        format!("{}.{payload}.", part(&json!({"alg": "none", "typ": "JWT"}))),
        format!("{}.{payload}.{mac}", part(&json!({"alg": "none", "typ": "JWT"}))),
        format!("{}.{payload}.{mac}", part(&json!({"alg": "RS256", "typ": "JWT"}))),
        format!("{header}.{}.{mac}", part(&claims)),
        format!("{header}.{payload}."),
        format!("{header}.{payload}"),
        format!("{token}."),
        format!("{token}A"),
    ] {
        unauthorised(&with(&node, &forged).get("/admin-api/status"), "invalid_token");
    }
    let short = text(&node.cli(&["token", "create", "--expires", "1s"]).ok(), "token");
    eventually("the token ends", PATIENCE, || {
        let answer = with(&node, &short).get("/admin-api/status");
        (answer.header("x-auth-error") == Some("token_expired")).then_some(())
    });
}

#[test]
fn f13_a_scope_ends_where_its_context_ends() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let shared = begin(&node);
    let other = text(&node.cli(&["context", "create", &shared.group, "--name", "diary"]).ok(), "contextId");
    set(&node, &shared.context, "tea", "green");
    set(&node, &other, "secret", "1");
    let create = |scope: &str| text(&node.cli(&["token", "create", "--name", "t", "--scope", scope]).ok(), "token");

    let token = create("context:execute[board]");
    let mut full = with(&node, &token);
    assert_eq!(full.call(&shared.context, "get", &json!({"key": "tea"}))["output"], "green");
    for elsewhere in [other.as_str(), "diary", "board", &shared.context[..8], &other.to_uppercase()] {
        let answer = full.execute(elsewhere, "get", &json!({"key": "secret"}));
        assert_eq!(answer["error"]["type"], "Unauthorized", "{elsewhere}: {answer}");
        assert!(answer["result"].is_null());
    }
    let batch = full.rpc(&json!([{"jsonrpc": "2.0", "id": 1, "method": "execute",
        "params": {"contextId": other, "method": "get", "argsJson": {"key": "secret"}}}]).to_string());
    assert_eq!(batch[0]["error"]["type"], "Unauthorized");
    for path in ["", "/log", "/state", "/schema", "/sync"] {
        full.get(&format!("/admin-api/contexts/{}{path}", shared.context)).data();
        assert_eq!(full.get(&format!("/admin-api/contexts/{other}{path}")).status, 403, "{path}");
    }
    assert_eq!(full.get(&format!("/admin-api/events?context={other}")).status, 403);
    assert_eq!(full.get("/admin-api/events").status, 403);
    let mut events = with(&node, &token).events("/sse", &[]);
    let session = text(&events.next().data, "session_id");
    let subscribe = |topics: Value| json!({"id": session, "method": "subscribe", "params": topics});
    let mut sender = with(&node, &create("context:execute[board]"));
    assert_eq!(sender.post("/sse/subscription", &subscribe(json!({"contextIds": [shared.context]}))).status, 422, "another login's stream");
    let stolen = events_of(&node, "last-event-id", &format!("{session}-0"));
    assert_ne!(text(&stolen, "session_id"), session, "nor does anybody take over a stream of another login");

    // Who may read calls views, and nothing else.
    let mut reader = with(&node, &create("context:read[board]"));
    assert_eq!(reader.call(&shared.context, "get", &json!({"key": "tea"}))["output"], "green");
    let refused = reader.execute(&shared.context, "set", &json!({"key": "tea", "value": "black"}));
    assert_eq!(refused["error"]["type"], "Unauthorized", "{refused}");
    assert_eq!(node.http().call(&shared.context, "get", &json!({"key": "tea"}))["output"], "green");

    // Nobody makes themselves more.
    for scope in ["admin", "context:execute", &format!("context:read[{other}]")] {
        let more = full.post("/auth/tokens", &json!({"name": "more", "permissions": [scope]}));
        more.problem(403, "Forbidden");
    }
    full.post("/auth/codes", &json!({"contextId": other})).problem(403, "Forbidden");
    full.post("/auth/keys", &json!({"name": "me", "password": "correct horse", "permissions": ["admin"]})).problem(403, "Forbidden");
}

/// The first message of a stream that another login opens.
fn events_of(node: &Node, name: &str, value: &str) -> Value {
    let token = text(&node.cli(&["token", "create", "--scope", "context:read"]).ok(), "token");
    with(node, &token).events("/sse", &[(name, value)]).next().data
}

#[test]
fn f13_a_websocket_has_the_rights_of_its_token_and_ends_with_it() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let shared = begin(&node);
    let other = text(&node.cli(&["context", "create", &shared.group]).ok(), "contextId");
    let made = node.cli(&["token", "create", "--scope", &format!("context:execute[{}]", shared.context)]).ok();
    let mut socket = Socket::open_with(&node, &text(&made, "token"));
    socket.execute(1, &shared.context, "set", &json!({"key": "tea", "value": "green"}));
    assert_eq!(socket.next()["result"]["committed"], true);
    socket.execute(2, &other, "set", &json!({"key": "tea", "value": "green"}));
    assert_eq!(socket.next()["error"]["type"], "Unauthorized");
    socket.send(&json!({"id": 3, "method": "subscribe", "params": {"contextIds": [other]}}));
    assert_eq!(socket.next()["error"]["type"], "Unauthorized");
    socket.send(&json!({"id": 4, "method": "subscribe", "params": {"groupIds": ["*"]}}));
    assert_eq!(socket.next()["error"]["type"], "Unauthorized");
    node.cli(&["token", "revoke", &text(&made, "tokenId")]).ok();
    assert!(socket.ends(), "what was open is closed");
}

#[test]
fn f13_a_key_logs_in_by_a_signed_challenge() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let key = stage.path("key.pem");
    let tools = stage.bare("elsewhere");
    let made = tools.cli(&["key", "generate", "-o", path_text(&key)]).ok();
    let login = ["login", "--api", node.api(), "--key", path_text(&key)];
    tools.cli(&login).fails(4, "Unauthorized");
    node.cli(&["user", "add", "ci", "--public-key", &text(&made, "did"), "--scope", "node:read", "--scope", "application:read"]).ok();
    let logged_in = tools.cli(&login).ok();
    assert_eq!((&logged_in["subject"], &logged_in["permissions"]), (&json!("ci"), &json!(["node:read", "application:read"])));
    assert_eq!(tools.cli(&["status", "--api", node.api()]).ok()["peerId"], node.peer_id());
    tools.cli(&["group", "ls", "--api", node.api()]).fails(4, "Forbidden");
    let file = fs::metadata(tools.folder().join("logins.json")).expect("tokens are kept");
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(&fs::metadata(node.home().folder().join("auth.json")).expect("so are logins")), 0o600);
    tools.cli(&["logout", "--api", node.api()]).ok();
    tools.cli(&["status", "--api", node.api()]).fails(4, "Unauthorized");
    assert_eq!(node.cli(&["token", "ls"]).ok(), json!([]));
    assert_eq!(tools.cli(&[&login[..], &["--scope", "admin"]].concat()).status, Some(4), "not more than the key may");
}

fn mode(file: &fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    file.permissions().mode() & 0o7777
}

#[test]
fn f13_only_listed_names_and_origins_reach_the_node() {
    let stage = Stage::of(1);
    let home = stage.home("node");
    home.cli(&["config", "set", "api_origins", "https://app.example"]).ok();
    home.cli(&["config", "set", "api_hosts", "node.example"]).ok();
    home.cli(&["config", "set", "api_origins", "https://app.example/path"]).fails(2, "UsageError");
    let node = home.start();
    let mut http = node.http();
    let path = "/admin-api/status";
    assert_eq!(http.request("GET", path, &[("host", "node.example")], b"").status, 200);
    http.request("GET", path, &[("host", "evil.example")], b"").problem(403, "HostNotAllowed");
    http.request("GET", path, &[("origin", "https://evil.example")], b"").problem(403, "OriginNotAllowed");
    let listed = http.request("GET", path, &[("origin", "https://app.example")], b"");
    assert_eq!((listed.status, listed.header("access-control-allow-origin")), (200, Some("https://app.example")));
    let ask = |origin: &str| {
        let headers = [("origin", origin), ("access-control-request-method", "POST"), ("access-control-request-headers", "authorization")];
        stranger(&node).request("OPTIONS", "/jsonrpc", &headers, b"")
    };
    assert_eq!(ask("https://app.example").header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(ask("https://evil.example").header("access-control-allow-origin"), None);
}

#[test]
fn the_description_needs_a_token_and_names_every_answer() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    unauthorised(&stranger(&node).get("/admin-api/openapi.json"), "missing_token");
    let document = node.http().get("/admin-api/openapi.json").json();
    let mut asked = 0;
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (verb, operation) in operations.as_object().expect("operations") {
            let real = path.replace('{', "").replace('}', "");
            let answer = stranger(&node).request(&verb.to_uppercase(), &real, &[("content-type", "application/json")], b"{}");
            let public = operation["security"] == json!([]);
            assert_eq!(answer.status == 401 && answer.header("x-auth-error") == Some("missing_token"), !public, "{verb} {path}: {}", answer.status);
            assert_ne!(answer.status, 405, "{verb} {path}");
            asked += 1;
        }
    }
    assert!(asked > 40, "{asked}");
    let metrics = node.http().get("/metrics");
    let text = String::from_utf8(metrics.body).expect("text");
    assert!(text.contains("# TYPE mesto_peers gauge\nmesto_peers 0\n"), "{text}");
    unauthorised(&stranger(&node).get("/metrics"), "missing_token");
    assert_eq!(stranger(&node).get("/readyz").status, 200);
    assert!(Path::new(&node.home().folder().join("keys/api.secret")).exists());
}
