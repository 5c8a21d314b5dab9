//! The pages of apps.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::apps::{self, path_text};
use crate::http::{Answer, Connection};
use crate::node::{Node, Stage, text};

/// A bundle of `kv` with pages.
fn with_pages(stage: &Stage) -> PathBuf {
    let tools = stage.bare("tools");
    let key = stage.path("signer.pem");
    tools.cli(&["key", "generate", "-o", path_text(&key)]).ok();
    let folder = stage.path("app");
    let sample = mesto_bundle::Bundle::open(&fs::read(apps::kv()).expect("kv")).expect("kv is sound");
    let put = |path: &str, bytes: &[u8]| {
        let path: PathBuf = folder.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, bytes).expect("written");
    };
    put("app.wasm", &sample.wasm);
    put("schema.json", sample.abi().expect("a schema"));
    put("web/index.html", b"<!doctype html><script type=module src=./app.js></script>");
    put("web/app.js", b"export const x = 1;\n");
    put("web/a b/deep.css", b"p {}\n");
    put("web/a b/index.html", b"<p>deep</p>");
    put("web/strange.xyz", b"<script>alert(1)</script>");
    let manifest = folder.join("manifest.json");
    let fields = json!({"version": "1.0", "package": "org.example.paged", "appVersion": "1.0.0", "minRuntimeVersion": "0.1.0",
        "wasm": {"path": "app.wasm"}, "abi": {"path": "schema.json"}, "web": "web/index.html"});
    fs::write(&manifest, fields.to_string()).expect("written");
    tools.cli(&["bundle", "sign", path_text(&manifest), "-k", path_text(&key)]).ok();
    let bundle = stage.path("paged.mpk");
    tools.cli(&["bundle", "pack", path_text(&folder), "-o", path_text(&bundle)]).ok();
    bundle
}

/// A context whose app has pages, and one more.
fn begin(node: &Node, bundle: &Path) -> (String, String) {
    let app = text(&node.cli(&["app", "install", path_text(bundle)]).ok(), "applicationId");
    let group = text(&node.cli(&["group", "create", "--app", &app]).ok(), "groupId");
    let create = || text(&node.cli(&["context", "create", &group]).ok(), "contextId");
    (create(), create())
}

fn get(node: &Node, path: &str, headers: &[(&str, &str)]) -> Answer {
    Connection::open(node.api_address(), None).request("GET", path, headers, b"")
}

fn host(node: &Node, context: &str) -> String {
    let port = node.api_address().rsplit_once(':').expect("a port").1;
    format!("{context}.localhost:{port}")
}

#[test]
fn a_page_is_served_under_a_strict_policy_and_to_its_own_origin() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let (context, other) = begin(&node, &with_pages(&stage));
    let own = host(&node, &context);
    let page = get(&node, &format!("/apps/{context}/"), &[("host", &own)]);
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").expect("a policy").to_owned();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self';"),
        "{policy}"
    );
    for never in ["unsafe-inline", "'unsafe-eval'", "*", "http:", "https:", "sandbox"] {
        assert!(!policy.contains(never), "{never} in {policy}");
    }
    for (name, value) in
        [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer"), ("cache-control", "no-cache")]
    {
        assert_eq!(page.header(name), Some(value));
    }
    let script = get(&node, &format!("/apps/{context}/app.js"), &[("host", &own)]);
    assert_eq!(
        (script.header("content-type"), script.body.as_slice()),
        (Some("text/javascript; charset=utf-8"), &b"export const x = 1;\n"[..])
    );
    let tag = script.header("etag").expect("a tag").to_owned();
    let again = get(&node, &format!("/apps/{context}/app.js"), &[("host", &own), ("if-none-match", &tag)]);
    assert_eq!((again.status, again.body.len()), (304, 0));
    let strange = get(&node, &format!("/apps/{context}/strange.xyz"), &[("host", &own)]);
    assert_eq!(strange.header("content-type"), Some("application/octet-stream"));
    assert_eq!(get(&node, &format!("/apps/{context}/a%20b/deep.css"), &[("host", &own)]).body, b"p {}\n");
    assert_eq!(get(&node, &format!("/apps/{context}/a%20b/"), &[("host", &own)]).body, b"<p>deep</p>");
    let bare = get(&node, &format!("/apps/{context}"), &[("host", &own)]);
    assert_eq!((bare.status, bare.header("location")), (307, Some(format!("/apps/{context}/").as_str())));

    // On the host of one context the pages of another are not shown, and elsewhere only in a sandbox.
    get(&node, &format!("/apps/{other}/"), &[("host", &own)]).problem(404, "NotFound");
    let elsewhere = get(&node, &format!("/apps/{context}/"), &[]);
    assert!(
        elsewhere.header("content-security-policy").is_some_and(|policy| policy.contains("; sandbox allow-scripts"))
    );
    let navigated = get(&node, &format!("/apps/{context}/app.js"), &[("sec-fetch-mode", "navigate")]);
    assert_eq!(
        (navigated.status, navigated.header("location")),
        (307, Some(format!("http://{own}/apps/{context}/app.js").as_str()))
    );
}

#[test]
fn nothing_but_the_files_of_the_bundles_web_folder_is_served() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let (context, _) = begin(&node, &with_pages(&stage));
    let own = host(&node, &context);
    for path in [
        "../app.wasm",
        "..%2fapp.wasm",
        "%2e%2e/app.wasm",
        "%2e%2e%2fmanifest.json",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "web/index.html",
        "app.wasm",
        "manifest.json",
        "index.html/",
        "a%20b",
        "..\\app.wasm",
        "%00",
        "index.html%00.js",
        "./../../token",
        "INDEX.HTML",
    ] {
        let answer = get(&node, &format!("/apps/{context}/{path}"), &[("host", &own)]);
        assert!([400, 401, 404].contains(&answer.status), "{path}: {}", answer.status);
    }
    for context in ["x", &context[..8], &context.to_uppercase(), &"a".repeat(52)] {
        let answer = get(&node, &format!("/apps/{context}/"), &[]);
        answer.problem(
            404,
            if context.len() == 52 && context.starts_with("aaaa") { "ContextNotFound" } else { "NotFound" },
        );
    }
}

#[test]
fn a_page_logs_in_by_the_code_in_its_address() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let (context, other) = begin(&node, &with_pages(&stage));
    let opened = node.cli(&["open", &context[..8], "--print"]).ok();
    let url = text(&opened, "url");
    let own = host(&node, &context);
    let code = url.strip_prefix(&format!("http://{own}/apps/{context}/#code=")).expect("the page, with a code");
    let log_in = |code: &str| {
        let request = json!({"auth_method": "code", "client_name": "page", "provider_data": {"code": code}});
        Connection::open(node.api_address(), None).post("/auth/token", &request)
    };
    let data: Value = log_in(code).json()["data"].clone();
    log_in(code).problem(401, "Unauthorized");
    let token = text(&data, "access_token");
    let mut page = Connection::open(node.api_address(), Some(&token));
    // As the page's script asks.
    let origin = format!("http://{own}");
    let asked =
        page.request("GET", &format!("/admin-api/contexts/{context}"), &[("host", &own), ("origin", &origin)], b"");
    assert_eq!(asked.data()["contextId"], json!(context));
    page.call(&context, "set", &json!({"key": "k", "value": "v"}));
    assert_eq!(page.execute(&other, "len", &json!({}))["error"]["type"], "Unauthorized");
    let stored = page.request("PUT", "/admin-api/blobs", &[], b"a picture").data();
    let blob = text(&stored, "blobId");
    assert_eq!(page.get(&format!("/admin-api/blobs/{blob}")).body, b"a picture");
    assert_eq!(page.get(&format!("/admin-api/blobs/{}", &blob[..8])).status, 403, "only whole ids");
    assert_eq!(page.request("DELETE", &format!("/admin-api/blobs/{blob}"), &[], b"").status, 403);
    for closed in ["/admin-api/contexts", "/admin-api/groups", "/admin-api/status"] {
        assert_eq!(page.get(closed).status, 403, "{closed}");
    }
    let client = get(&node, "/client.js", &[("host", &own)]);
    assert_eq!((client.status, client.header("content-type")), (200, Some("text/javascript; charset=utf-8")));
    let icon = get(&node, "/favicon.ico", &[("host", &own)]);
    assert_eq!((icon.status, icon.body.len()), (204, 0), "browsers ask for it unasked, without a login");
    node.cli(&["blob", "rm", &blob]).ok();
    assert_eq!(node.http().get(&format!("/admin-api/blobs/{blob}")).status, 404);
}
