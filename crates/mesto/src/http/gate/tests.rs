use super::*;
use axum::Router;
use axum::body::Body;
use axum::http::Request as HttpRequest;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get};
use tower::ServiceExt as _;
use zeroize::Zeroizing;

use crate::http::auth::Settings;
use crate::http::auth::permission::Permissions;

const TOKEN: &str = "secret";

struct World {
    auth: Arc<Auth>,
    _folder: tempfile::TempDir,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        token: Zeroizing::new(TOKEN.to_owned()),
        secret: Zeroizing::new([5; 32]),
        book: folder.path().join("auth.json"),
        issuer: "node".to_owned(),
    };
    World { auth: Arc::new(Auth::open(settings).unwrap()), _folder: folder }
}

impl World {
    fn token(&self, scopes: &[&str]) -> String {
        let owner = self.auth.caller(TOKEN, now_s()).unwrap();
        self.auth.create(&owner, "test", Permissions::parse(scopes).unwrap(), 60, now_s()).unwrap().2
    }

    fn ask(&self, path: &str, bearer: Option<&str>) -> Response {
        let at = |need| -> MethodRouter {
            let gate = Gate { auth: Arc::clone(&self.auth), need };
            get(async || "inside").route_layer(from_fn_with_state(gate, pass))
        };
        let router = Router::new()
            .route("/open", at(Need::Nothing))
            .route("/any", at(Need::Login))
            .route("/ws", at(Need::Login))
            .route("/sse", at(Need::Login))
            .route("/node", at(Need::Right(Right::NodeRead)))
            .route("/contexts/{context}/log", at(Need::Context(Right::ContextRead)));
        let mut request = HttpRequest::get(path);
        if let Some(bearer) = bearer {
            request = request.header("authorization", bearer);
        }
        let request = request.body(Body::empty()).unwrap();
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(router.oneshot(request)).unwrap()
    }

    fn status(&self, path: &str, bearer: Option<&str>) -> u16 {
        self.ask(path, bearer).status().as_u16()
    }
}

#[test]
fn the_token_opens_and_nothing_else_does() {
    let world = world();
    assert_eq!(world.status("/open", None), 200);
    assert_eq!(world.status("/any", Some("Bearer secret")), 200);
    assert_eq!(world.status("/any", Some("bearer secret")), 200);
    for wrong in ["Bearer secre", "Bearer secret2", "Bearer ", "Bearer", "secret", "Basic c2VjcmV0"] {
        let refused = world.ask("/any", Some(wrong));
        assert_eq!(refused.status(), 401, "{wrong}");
        assert_eq!(refused.headers()[AUTH_ERROR], "invalid_token", "{wrong}");
    }
    let refused = world.ask("/any", None);
    assert_eq!((refused.status().as_u16(), &refused.headers()[AUTH_ERROR]), (401, &HeaderValue::from_static("missing_token")));
    assert!(refused.headers().contains_key(header::WWW_AUTHENTICATE));
}

#[test]
fn only_streams_take_the_token_in_the_query() {
    let world = world();
    assert_eq!(world.status("/ws?token=secret", None), 200);
    assert_eq!(world.status("/sse?x=1&token=secret", None), 200);
    assert_eq!(world.status("/sse?token=wrong", None), 401);
    assert_eq!(world.status("/any?token=secret", None), 401);
    assert_eq!(world.status("/sse?token=secret", Some("Bearer wrong")), 401, "a bearer comes first");
}

#[test]
fn a_token_opens_what_its_scopes_name_and_no_more() {
    let world = world();
    let (here, there) = (ContextId::from_bytes([1; 32]), ContextId::from_bytes([2; 32]));
    let scoped = format!("Bearer {}", world.token(&[&format!("context:read[{here}]")]));
    assert_eq!(world.status("/any", Some(&scoped)), 200);
    assert_eq!(world.status(&format!("/contexts/{here}/log"), Some(&scoped)), 200);
    for elsewhere in [there.to_string(), here.to_string()[..8].to_owned(), "notes".into(), here.to_string().to_uppercase()] {
        let refused = world.ask(&format!("/contexts/{elsewhere}/log"), Some(&scoped));
        assert_eq!(refused.status(), 403, "{elsewhere}");
        assert!(refused.headers()[header::WWW_AUTHENTICATE].to_str().unwrap().contains("insufficient_scope"));
    }
    assert_eq!(world.status(&format!("/contexts/{here}%00/log"), Some(&scoped)), 403);
    assert_eq!(world.status("/node", Some(&scoped)), 403);
    let everywhere = format!("Bearer {}", world.token(&["context:read"]));
    assert_eq!(world.status("/contexts/notes/log", Some(&everywhere)), 200, "names are for who may read all");
    assert_eq!(world.status("/node", Some(&everywhere)), 403);
}

#[test]
fn a_revoked_token_is_told_so() {
    let world = world();
    let token = world.token(&["node:read"]);
    world.auth.revoke_by(&token, now_s()).unwrap();
    let refused = world.ask("/node", Some(&format!("Bearer {token}")));
    assert_eq!((refused.status().as_u16(), refused.headers()[AUTH_ERROR].to_str().unwrap()), (401, "token_revoked"));
}
