//! The HTTP interface: REST under `/admin-api`, JSON-RPC, streams of events, logins, pages of apps.
//!
//! Every request passes two layers before it reaches a route: the [`guard`] (by what name, from which page) and the
//! [`gate`] (by whom, with what rights). All routes are in one [`table`], each with what it needs and what is to be said
//! about it. Routes translate between the types of [`mesto_api`] and the commands of the node, and do nothing else.

mod applications;
mod auth;
mod blobs;
mod body;
mod connections;
mod contexts;
mod convert;
mod ephemeral;
mod gate;
mod governance;
mod groups;
mod guard;
mod hub;
mod idempotency;
mod jsonrpc;
mod login;
mod metrics;
mod node;
mod openapi;
mod pages;
mod refusal;
mod routes;
mod session;
mod sse;
mod table;
mod told;
mod topics;
mod trace;
mod wait;
mod ws;

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use axum::response::{IntoResponse as _, Response};
use mesto_api::ErrorCode;
use tokio::net::TcpListener;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::driver::Handle;
use auth::Auth;
use connections::Connections;
use guard::Guard;
use hub::Hub;
use refusal::Refusal;
use routes::Listed;

pub(crate) use auth::{CHALLENGE_DOMAIN, Settings};
pub(crate) use guard::{PAGES_DOMAIN_DEFAULT, Rules};

/// What the interface needs to know.
pub(crate) struct Options {
    /// Who may ask.
    pub(crate) logins: Settings,
    /// By which names, from which pages.
    pub(crate) rules: Rules,
}

/// What routes share.
pub(crate) struct Shared {
    node: Handle,
    hub: Arc<Hub>,
    auth: Arc<Auth>,
    rules: Arc<Rules>,
    shelf: pages::Shelf,
    openapi: String,
}

/// How a route gets [`Shared`].
type Serving = State<Arc<Shared>>;

/// Answers requests on `listener` until `stop` is done and open requests have ended. Streams of events end
/// with `stop`.
///
/// # Errors
/// If the listener has no address, or the file of logins cannot be read.
pub(crate) async fn serve(
    listener: TcpListener,
    node: Handle,
    options: Options,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let auth = Arc::new(Auth::open(options.logins)?);
    let hub = Arc::new(Hub::new());
    let dispatcher = tokio::spawn(hub::dispatch(Arc::clone(&hub), node.clone(), Arc::clone(&auth)));
    let router = router(node, Arc::clone(&hub), auth, Arc::new(options.rules));
    let closing = Arc::clone(&hub);
    let stop = async move {
        stop.await;
        closing.close();
    };
    let served = axum::serve(Connections::new(listener), router).with_graceful_shutdown(stop).await;
    hub.close();
    dispatcher.abort();
    served
}

fn router(node: Handle, hub: Arc<Hub>, auth: Arc<Auth>, rules: Arc<Rules>) -> Router {
    let (router, listed): (_, Vec<Listed>) = table::routes(Arc::clone(&auth)).finish();
    let openapi = openapi::describe(&listed);
    let cors = cors(&rules);
    let shared = Shared { node, hub, auth, rules: Arc::clone(&rules), shelf: pages::Shelf::default(), openapi };
    router
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(cors)
        .layer(Guard::new(rules))
        .with_state(Arc::new(shared))
}

/// What foreign pages are told, if the owner listed any. No credentials but the token that a page itself sends.
fn cors(rules: &Rules) -> CorsLayer {
    let origins = rules.origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    let sent = [header::AUTHORIZATION, header::CONTENT_TYPE, header::RANGE, header::IF_RANGE, header::CACHE_CONTROL];
    let own = ["idempotency-key", "last-event-id"].map(HeaderName::from_static);
    let told =
        [header::ETAG, header::CONTENT_RANGE, header::ACCEPT_RANGES, header::CONTENT_LENGTH, header::WWW_AUTHENTICATE];
    let told_own =
        ["x-auth-error", "x-auth-user", "x-auth-permissions", "idempotency-replayed"].map(HeaderName::from_static);
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(sent.into_iter().chain(own).collect::<Vec<_>>())
        .expose_headers(told.into_iter().chain(told_own).collect::<Vec<_>>())
        // Some clients ask with credentials although there are no cookies.
        .allow_credentials(true)
}

async fn no_route(State(shared): Serving, uri: Uri, headers: HeaderMap) -> Response {
    match gate::identify(&shared.auth, &uri, &headers) {
        Ok(_) => Refusal::new(ErrorCode::NotFound, format!("there is no route {}", uri.path())).into_response(),
        Err(error) => *gate::unauthorised(error),
    }
}

async fn wrong_method(State(shared): Serving, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    match gate::identify(&shared.auth, &uri, &headers) {
        Ok(_) => {
            Refusal::new(ErrorCode::MethodNotAllowed, format!("{} does not take {method}", uri.path())).into_response()
        }
        Err(error) => *gate::unauthorised(error),
    }
}
