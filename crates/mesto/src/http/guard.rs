//! The one layer before all routes: who may ask at all.
//!
//! 1. `Host` must be an IP address or a name of this machine. A foreign page that points its own name at us
//!    (DNS rebinding) sends that name.
//! 2. `Origin`, if there is one, must be our own: pages of others get nothing, not even from this machine.
//! 3. The token must be shown: as a bearer, or, where browsers cannot set headers (`/ws` and `/sse`), as `?token=`.
//!
//! Only whether the node lives is public; it is told to anybody.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header};
use axum::response::{IntoResponse as _, Response};
use futures::future::Either;
use mesto_api::ErrorCode;
use subtle::ConstantTimeEq as _;
use tower::{Layer, Service};
use zeroize::Zeroizing;

use super::refusal::Refusal;

/// Paths that anybody may ask.
const PUBLIC: [&str; 3] = ["/healthz", "/readyz", "/admin-api/health"];

/// Paths that browsers open without headers of their own.
const TOKEN_IN_QUERY: [&str; 2] = ["/ws", "/sse"];

/// Why a token was not enough, for programs.
const AUTH_ERROR: HeaderName = HeaderName::from_static("x-auth-error");

/// Whom the guard lets through.
pub(super) struct Rules {
    token: Zeroizing<String>,
    listen: SocketAddr,
}

impl Rules {
    pub(super) fn new(token: Zeroizing<String>, listen: SocketAddr) -> Self {
        Self { token, listen }
    }

    fn judge(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Box<Response>> {
        let path = uri.path();
        if PUBLIC.contains(&path) {
            return Ok(());
        }
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or(uri.host()).unwrap_or_default();
        if !self.is_ours(host) {
            let refusal = Refusal::new(ErrorCode::HostNotAllowed, format!("`{host}` is not a name of this node"))
                .hint("reach it by its IP address or as localhost");
            return Err(Box::new(refusal.into_response()));
        }
        if let Some(origin) = headers.get(header::ORIGIN)
            && !is_same_origin(origin, host)
        {
            let detail = format!("pages of {} may not use this node", String::from_utf8_lossy(origin.as_bytes()));
            return Err(Box::new(Refusal::new(ErrorCode::OriginNotAllowed, detail).into_response()));
        }
        self.check_token(uri, headers)
    }

    /// Whether a `Host` is an address, `localhost`, or what we were told to listen on.
    fn is_ours(&self, host: &str) -> bool {
        let name = without_port(host);
        name.eq_ignore_ascii_case("localhost")
            || name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok()
            || name == self.listen.ip().to_string()
    }

    fn check_token(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Box<Response>> {
        let shown = match headers.get(header::AUTHORIZATION) {
            Some(header) => Some(bearer(header)),
            None if TOKEN_IN_QUERY.contains(&uri.path()) => query_token(uri).map(Some),
            None => None,
        };
        match shown {
            Some(Some(shown)) if bool::from(shown.as_bytes().ct_eq(self.token.as_bytes())) => Ok(()),
            Some(_) => Err(unauthorised("invalid_token", "the token is not this node's")),
            None => Err(unauthorised("missing_token", "this needs the node's token")),
        }
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // In `[::1]` the last colon belongs to the address.
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}

/// Whether the page was served from the same host and port. Over plain HTTP, as everything here is.
fn is_same_origin(origin: &HeaderValue, host: &str) -> bool {
    let origin = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
    origin.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

fn bearer(header: &HeaderValue) -> Option<&str> {
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Tokens are base32, so nothing in them needs unescaping.
fn query_token(uri: &Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("token="))
}

fn unauthorised(reason: &'static str, detail: &str) -> Box<Response> {
    let hint = "send `Authorization: Bearer TOKEN`; the token is in the file `token` of the node's home";
    let mut response = Refusal::new(ErrorCode::Unauthorized, detail).hint(hint).into_response();
    let challenge = match reason {
        "missing_token" => HeaderValue::from_static("Bearer realm=\"mesto\""),
        _ => HeaderValue::from_static("Bearer realm=\"mesto\", error=\"invalid_token\""),
    };
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response.headers_mut().insert(AUTH_ERROR, HeaderValue::from_static(reason));
    Box::new(response)
}

/// The layer.
#[derive(Clone)]
pub(super) struct Guard(Arc<Rules>);

impl Guard {
    pub(super) fn new(rules: Rules) -> Self {
        Self(Arc::new(rules))
    }
}

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { rules: Arc::clone(&self.0), inner }
    }
}

/// A service behind the guard.
#[derive(Clone)]
pub(super) struct Guarded<S> {
    rules: Arc<Rules>,
    inner: S,
}

impl<S, B> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response, Infallible>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.rules.judge(request.uri(), request.headers()) {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(response) => Either::Right(ready(Ok(*response))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt as _;

    fn ask(path: &str, headers: &[(&str, &str)]) -> Response {
        let rules = Rules::new(Zeroizing::new("secret".to_owned()), SocketAddr::from(([127, 0, 0, 1], 2480)));
        let inside = Router::new().fallback(get(|| async { "inside" })).layer(Guard::new(rules));
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(inside.oneshot(request)).unwrap()
    }

    fn status(path: &str, headers: &[(&str, &str)]) -> u16 {
        ask(path, headers).status().as_u16()
    }

    const HOST: (&str, &str) = ("host", "127.0.0.1:2480");
    const TOKEN: (&str, &str) = ("authorization", "Bearer secret");

    #[test]
    fn the_token_opens_and_nothing_else_does() {
        assert_eq!(status("/admin-api/groups", &[HOST, TOKEN]), 200);
        assert_eq!(status("/admin-api/groups", &[HOST, ("authorization", "bearer secret")]), 200);
        for wrong in ["Bearer secre", "Bearer secret2", "Bearer ", "Bearer", "secret", "Basic c2VjcmV0"] {
            let refused = ask("/admin-api/groups", &[HOST, ("authorization", wrong)]);
            assert_eq!(refused.status(), 401, "{wrong}");
            assert_eq!(refused.headers()[AUTH_ERROR], "invalid_token", "{wrong}");
        }
        let refused = ask("/admin-api/groups", &[HOST]);
        assert_eq!(refused.status(), 401);
        assert_eq!(refused.headers()[AUTH_ERROR], "missing_token");
        assert!(refused.headers().contains_key(header::WWW_AUTHENTICATE));
    }

    #[test]
    fn only_streams_take_the_token_in_the_query() {
        assert_eq!(status("/ws?token=secret", &[HOST]), 200);
        assert_eq!(status("/sse?x=1&token=secret", &[HOST]), 200);
        assert_eq!(status("/sse?token=wrong", &[HOST]), 401);
        assert_eq!(status("/sse/subscription?token=secret", &[HOST]), 401);
        assert_eq!(status("/admin-api/groups?token=secret", &[HOST]), 401);
        assert_eq!(status("/sse?token=secret", &[HOST, ("authorization", "Bearer wrong")]), 401, "a bearer comes first");
    }

    #[test]
    fn whether_the_node_lives_is_public() {
        for path in PUBLIC {
            assert_eq!(status(path, &[("host", "node.example")]), 200);
        }
    }

    #[test]
    fn a_foreign_name_for_this_node_is_refused() {
        for host in ["127.0.0.1", "localhost:2480", "LOCALHOST", "[::1]:2480", "[::1]", "192.168.1.7:2480"] {
            assert_eq!(status("/x", &[("host", host), TOKEN]), 200, "{host}");
        }
        for host in ["evil.example", "evil.example:2480", "localhost.evil.example", "127.0.0.1.evil.example", ""] {
            assert_eq!(status("/x", &[("host", host), TOKEN]), 403, "{host}");
        }
        assert_eq!(status("/x", &[TOKEN]), 403, "no host at all");
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        assert_eq!(status("/x", &[HOST, TOKEN, ("origin", "http://127.0.0.1:2480")]), 200);
        for origin in ["http://127.0.0.1:3000", "https://127.0.0.1:2480", "http://evil.example", "null", "http://localhost:2480"] {
            assert_eq!(status("/x", &[HOST, TOKEN, ("origin", origin)]), 403, "{origin}");
        }
    }
}
