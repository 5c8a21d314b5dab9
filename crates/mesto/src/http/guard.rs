//! The outermost layer: which names this node answers to, and whose pages may talk to it.
//!
//! 1. `Host` must be an IP address, a name of this machine, one that its owner configured, or the host of a context's
//!    pages. A foreign page that points its own name at us (DNS rebinding) sends that name.
//! 2. `Origin`, if there is one, must be our own or one that the owner configured: pages of others get nothing, not
//!    even from this machine.
//!
//! Whether the node lives is told to anybody. Who asks is the business of the [`gate`](super::gate).

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::http::{HeaderMap, HeaderValue, Request, Uri, header};
use axum::response::{IntoResponse as _, Response};
use futures::future::Either;
use mesto_api::ErrorCode;
use mesto_governance::ContextId;
use tower::{Layer, Service};

use super::refusal::Refusal;

/// Paths that anybody may ask, under whatever name.
const PUBLIC: [&str; 3] = ["/healthz", "/readyz", "/admin-api/health"];

/// The domain below which each context's pages have a host of their own, if nothing is configured. Browsers take every
/// name below `localhost` for this machine.
pub(crate) const PAGES_DOMAIN_DEFAULT: &str = "localhost";

/// Whom the guard lets through.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Names beside IP addresses and `localhost` that requests may use for this node.
    pub(crate) hosts: Vec<String>,
    /// Origins of foreign pages that may use the API.
    pub(crate) origins: Vec<String>,
    /// Below which domain contexts' pages have their hosts.
    pub(crate) pages_domain: String,
}

impl Default for Rules {
    fn default() -> Self {
        Self { hosts: Vec::new(), origins: Vec::new(), pages_domain: PAGES_DOMAIN_DEFAULT.to_owned() }
    }
}

impl Rules {
    fn judge(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Box<Response>> {
        if PUBLIC.contains(&uri.path()) {
            return Ok(());
        }
        let host = host_of(uri, headers);
        if !self.is_ours(host) {
            let refusal = Refusal::new(ErrorCode::HostNotAllowed, format!("`{host}` is not a name of this node"))
                .hint("reach it by its IP address or as localhost, or list the name in `api_hosts`");
            return Err(Box::new(refusal.into_response()));
        }
        if let Some(origin) = headers.get(header::ORIGIN)
            && !is_same_origin(origin, host)
            && !self.origins.iter().any(|listed| origin == listed.as_str())
        {
            let detail = format!("pages of {} may not use this node", String::from_utf8_lossy(origin.as_bytes()));
            let hint = "the node's owner can list the origin in `api_origins`";
            return Err(Box::new(Refusal::new(ErrorCode::OriginNotAllowed, detail).hint(hint).into_response()));
        }
        Ok(())
    }

    /// Whether a `Host` is an address, a name of ours, or that of a context's pages.
    fn is_ours(&self, host: &str) -> bool {
        let name = without_port(host);
        is_loopback_name(name)
            || bare(name).parse::<IpAddr>().is_ok()
            || self.hosts.iter().any(|listed| listed.eq_ignore_ascii_case(name))
            || self.context_of(host).is_some()
    }

    /// The context whose pages have this host to themselves.
    pub(super) fn context_of(&self, host: &str) -> Option<ContextId> {
        let (label, domain) = without_port(host).split_once('.')?;
        if domain.eq_ignore_ascii_case(&self.pages_domain) { label.parse().ok() } else { None }
    }

    /// The host of a context's pages, at the port of the given one.
    pub(super) fn host_of_context(&self, context: &ContextId, host: &str) -> String {
        let port = &host[without_port(host).len()..];
        format!("{context}.{}{port}", self.pages_domain)
    }
}

/// What a request calls us.
pub(super) fn host_of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> &'a str {
    headers.get(header::HOST).and_then(|host| host.to_str().ok()).or(uri.host()).unwrap_or_default()
}

/// Whether a host is this machine as it calls itself.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = without_port(host);
    is_loopback_name(name) || bare(name).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_loopback_name(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
}

fn bare(name: &str) -> &str {
    name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name)
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

/// The layer.
#[derive(Clone)]
pub(super) struct Guard(Arc<Rules>);

impl Guard {
    pub(super) fn new(rules: Arc<Rules>) -> Self {
        Self(rules)
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
        let rules = Rules {
            hosts: vec!["node.example".to_owned()],
            origins: vec!["https://app.example".to_owned()],
            ..Rules::default()
        };
        let inside = Router::new().fallback(get(|| async { "inside" })).layer(Guard::new(Arc::new(rules)));
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

    #[test]
    fn whether_the_node_lives_is_public() {
        for path in PUBLIC {
            assert_eq!(status(path, &[("host", "evil.example")]), 200);
        }
    }

    #[test]
    fn a_foreign_name_for_this_node_is_refused() {
        let own = ["127.0.0.1", "localhost:2480", "LOCALHOST", "[::1]:2480", "[::1]", "192.168.1.7:2480", "node.example", "NODE.example:443"];
        for host in own {
            assert_eq!(status("/x", &[("host", host)]), 200, "{host}");
        }
        let foreign = ["evil.example", "evil.example:2480", "localhost.evil.example", "127.0.0.1.evil.example", "", "x.localhost", "a.node.example"];
        for host in foreign {
            assert_eq!(status("/x", &[("host", host)]), 403, "{host}");
        }
        assert_eq!(status("/x", &[]), 403, "no host at all");
    }

    #[test]
    fn each_context_has_a_host_of_its_own() {
        let rules = Rules::default();
        let context = ContextId::from_bytes([7; 32]);
        let host = rules.host_of_context(&context, "127.0.0.1:2480");
        assert_eq!(host, format!("{context}.localhost:2480"));
        assert_eq!(rules.context_of(&host), Some(context));
        assert_eq!(rules.host_of_context(&context, "[::1]"), format!("{context}.localhost"));
        assert_eq!(status("/x", &[("host", &host)]), 200);
        assert_eq!(status("/x", &[("host", &format!("{context}.evil.example"))]), 403);
        assert_eq!(status("/x", &[("host", &format!("a.{context}.localhost"))]), 403);
        assert_eq!(status("/x", &[("host", &host), ("origin", &format!("http://{host}"))]), 200);
        assert_eq!(status("/x", &[HOST, ("origin", &format!("http://{host}"))]), 403, "pages stay on their own host");
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        for origin in ["http://127.0.0.1:2480", "https://app.example"] {
            assert_eq!(status("/x", &[HOST, ("origin", origin)]), 200, "{origin}");
        }
        let foreign = ["http://127.0.0.1:3000", "https://127.0.0.1:2480", "http://evil.example", "null", "http://localhost:2480", "http://app.example"];
        for origin in foreign {
            assert_eq!(status("/x", &[HOST, ("origin", origin)]), 403, "{origin}");
        }
    }
}
