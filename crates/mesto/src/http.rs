//! The HTTP interface: REST under `/admin-api`, JSON-RPC, streams of events.
//!
//! Every request passes one layer, the [`guard`], before it reaches a route. Routes translate between the types
//! of [`mesto_api`] and the commands of the node, and do nothing else.

mod applications;
mod blobs;
mod body;
mod connections;
mod contexts;
mod convert;
mod governance;
mod groups;
mod guard;
mod hub;
mod idempotency;
mod jsonrpc;
mod node;
mod refusal;
mod session;
mod sse;
mod told;
mod trace;
mod topics;
mod wait;
mod ws;

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post, put};
use mesto_api::ErrorCode;
use tokio::net::TcpListener;
use zeroize::Zeroizing;

use crate::driver::Handle;
use connections::Connections;
use guard::{Guard, Rules};
use hub::Hub;
use idempotency::Answers;
use refusal::Refusal;

/// What the interface needs to know.
pub(crate) struct Options {
    /// The secret that every request but the public ones must show.
    pub(crate) token: Zeroizing<String>,
}

/// What routes share.
pub(crate) struct Shared {
    node: Handle,
    hub: Arc<Hub>,
}

/// How a route gets [`Shared`].
type Serving = axum::extract::State<Arc<Shared>>;

/// Answers requests on `listener` until `stop` is done and open requests have ended. Streams of events end
/// with `stop`.
///
/// # Errors
/// If the listener has no address.
pub(crate) async fn serve(
    listener: TcpListener,
    node: Handle,
    options: Options,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let rules = Rules::new(options.token, listener.local_addr()?);
    let hub = Arc::new(Hub::new());
    let dispatcher = tokio::spawn(hub::dispatch(Arc::clone(&hub), node.clone()));
    let router = router(Arc::new(Shared { node, hub: Arc::clone(&hub) }), Guard::new(rules));
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

fn router(shared: Arc<Shared>, guard: Guard) -> Router {
    // What a lost answer must not make happen twice.
    let creating = Router::new()
        .route("/groups", post(groups::create))
        .route("/groups/join", post(groups::join))
        .route("/groups/{group}/invitations", post(groups::invite))
        .route("/contexts", post(contexts::create))
        .route_layer(from_fn_with_state(Arc::<Answers>::default(), idempotency::once));
    let admin = Router::new()
        .merge(creating)
        .merge(governance::routes())
        .route("/health", get(node::health))
        .route("/status", get(node::status))
        .route("/usage", get(node::usage))
        .route("/identity", get(node::identity))
        .route("/peers", get(node::peers).post(node::connect))
        .route("/sync", get(contexts::sync_all))
        .route("/events", get(topics::recent))
        .route("/trace", get(trace::trace))
        .route("/applications", get(applications::list).post(applications::install))
        .route("/applications/{app}", get(applications::show))
        .route("/applications/{app}/versions", get(applications::versions))
        .route("/applications/{app}/schema", get(applications::schema))
        .route("/groups", get(groups::list))
        .route("/groups/{group}", get(groups::show))
        .route("/groups/{group}/members", get(groups::members))
        .route("/groups/{group}/join", get(groups::join_status))
        .route("/groups/{group}/contexts", get(groups::contexts))
        .route("/groups/{group}/sync", post(groups::sync))
        .route("/groups/{group}/log", get(groups::log))
        .route("/contexts", get(contexts::list))
        .route("/contexts/{context}", get(contexts::show))
        .route("/contexts/{context}/join", post(contexts::join))
        .route("/contexts/{context}/sync", get(contexts::sync_status).post(contexts::sync))
        .route("/contexts/{context}/log", get(contexts::log))
        .route("/contexts/{context}/schema", get(contexts::schema))
        .route("/blobs", put(blobs::put).get(blobs::list))
        .route("/blobs/{blob}", get(blobs::get));
    Router::new()
        .route("/healthz", get(node::healthz))
        .route("/readyz", get(node::healthz))
        .nest("/admin-api", admin)
        .route("/jsonrpc", post(jsonrpc::execute))
        .route("/sse", get(sse::open))
        .route("/sse/subscription", post(topics::subscription))
        .route("/ws", get(ws::open))
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(guard)
        .with_state(shared)
}

async fn no_route(uri: axum::http::Uri) -> Refusal {
    Refusal::new(ErrorCode::NotFound, format!("there is no route {}", uri.path()))
}

async fn wrong_method(method: axum::http::Method, uri: axum::http::Uri) -> Refusal {
    Refusal::new(ErrorCode::MethodNotAllowed, format!("{} does not take {method}", uri.path()))
}
