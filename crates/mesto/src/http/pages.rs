//! `/apps/CONTEXT/…`: the pages of a context's app, as its bundle has them under `web/`.
//!
//! Each context's pages have a host of their own, so that the browser keeps apps apart: storage, tokens and documents
//! of one context are out of reach for the pages of another. On any other host pages are shown in a sandbox, in which
//! they have no origin at all; on this machine's own names browsers are sent to the right host.
//!
//! Pages are public: they hold no more than the signed bundle. Whoever asks knows the context's whole id.

mod media;
mod shelf;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use mesto_api::ErrorCode;
use mesto_governance::ContextId;
use mesto_node::command::Selector;

use super::guard::{self, PAGES_DOMAIN_DEFAULT};
use super::refusal::Refusal;
use super::{Serving, Shared};
use shelf::File;
pub(super) use shelf::Shelf;

/// What pages may load and whom they may talk to: this node, and nobody else.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; \
    font-src 'self'; media-src 'self' blob:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'";

/// Added where a page has no host of its own.
const SANDBOX: &str = "; sandbox allow-scripts allow-forms allow-modals allow-popups allow-downloads";

/// The page that a folder shows.
const INDEX: &str = "index.html";

/// How long browsers do not ask for an icon again: a day.
const ICON_KEPT: &str = "max-age=86400";

/// The folder of a bundle that is served.
const WEB: &str = "web/";

/// The client, for pages that bring none of their own.
const CLIENT: &str = include_str!("../../../../clients/js/src/mesto.js");

/// `GET /client.js`: the JavaScript client that fits this node.
pub(super) async fn client(headers: HeaderMap) -> Response {
    send(&File::new("client.js", Bytes::from_static(CLIENT.as_bytes())), &headers, None)
}

/// Browsers ask every host for this, unless its page names an icon.
pub(super) async fn no_icon() -> Response {
    (StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, ICON_KEPT)]).into_response()
}

/// Without the slash at the end relative URLs would lead elsewhere.
pub(super) async fn bare(Path(context): Path<String>) -> Result<Response, Refusal> {
    let context: ContextId = context.parse().map_err(|_| no_page())?;
    Ok(redirect(&format!("/apps/{context}/")))
}

pub(super) async fn index(
    shared: Serving,
    Path(context): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    file(shared, Path((context, String::new())), uri, headers).await
}

/// A file below `web/`.
pub(super) async fn file(
    State(shared): Serving,
    Path((context, path)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let context: ContextId = context.parse().map_err(|_| no_page())?;
    let policy = match place(&shared, &context, &uri, &headers)? {
        Place::Own => POLICY.to_owned(),
        Place::Shared => format!("{POLICY}{SANDBOX}"),
        Place::Elsewhere(url) => return Ok(redirect(&url)),
    };
    let bundle = shared.node.bundle_of(&Selector(context.to_string())).await?;
    let web = shared.shelf.open(&shared.node, bundle).await?;
    if path.is_empty()
        && let Some(first) = web.first().filter(|first| *first != INDEX)
    {
        return Ok(redirect(&format!("/apps/{context}/{first}")));
    }
    let path = if path.is_empty() || path.ends_with('/') { format!("{path}{INDEX}") } else { path };
    let file = web.file(&path).ok_or_else(no_page)?;
    Ok(send(file, &headers, Some(&policy)))
}

/// Where a request for a context's page has come to.
enum Place {
    /// To the host that is the context's alone.
    Own,
    /// To a host where other things live too.
    Shared,
    /// To where a browser should not show it, but there.
    Elsewhere(String),
}

fn place(shared: &Shared, context: &ContextId, uri: &Uri, headers: &HeaderMap) -> Result<Place, Refusal> {
    let host = guard::host_of(uri, headers);
    match shared.rules.context_of(host) {
        Some(own) if own == *context => return Ok(Place::Own),
        // On the host of one context the code of another has no place.
        Some(_) => return Err(no_page()),
        None => {}
    }
    let navigates = headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
    let known = guard::is_loopback(host) && shared.rules.pages_domain == PAGES_DOMAIN_DEFAULT;
    if navigates && known {
        let own = shared.rules.host_of_context(context, host);
        return Ok(Place::Elsewhere(format!("http://{own}{}", uri.path())));
    }
    Ok(Place::Shared)
}

fn send(file: &File, headers: &HeaderMap, policy: Option<&str>) -> Response {
    let matches =
        |tags: &HeaderValue| tags.to_str().is_ok_and(|tags| tags.split(',').any(|tag| tag.trim() == file.tag));
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(matches);
    let mut response =
        if known { StatusCode::NOT_MODIFIED.into_response() } else { Body::from(file.bytes.clone()).into_response() };
    let out = response.headers_mut();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            out.insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, file.media_type);
    set(header::ETAG, &file.tag);
    set(header::CACHE_CONTROL, "no-cache");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(HeaderName::from_static("origin-agent-cluster"), "?1");
    if let Some(policy) = policy {
        set(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// To be asked again, so that a page that moves is not remembered where it was.
fn redirect(to: &str) -> Response {
    let mut response = StatusCode::TEMPORARY_REDIRECT.into_response();
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn no_page() -> Refusal {
    Refusal::new(ErrorCode::NotFound, "there is no such page")
        .hint("`mesto open CONTEXT` opens the pages of a context's app")
}
