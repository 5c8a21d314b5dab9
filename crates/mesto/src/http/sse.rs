//! `GET /sse`: a stream of server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream::{self, Stream};
use mesto_api::ErrorCode;
use mesto_api::event::Opened;
use serde_json::json;

use super::auth::Caller;
use super::gate::Asked;
use super::refusal::Refusal;
use super::session::{Next, Reader};
use super::{Shared, Serving};

/// A comment goes out after so much silence, so that nobody between takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long browsers wait before they connect again, in the stream's own words.
const RETRY: Duration = Duration::from_secs(1);

/// Opens a stream, or takes up one whose connection broke, by `Last-Event-ID: {session}-{n}`.
pub(super) async fn open(
    State(shared): Serving,
    Asked(caller): Asked,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>> + use<>>, Refusal> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let resumed = last.and_then(|last| resume(&shared, &caller, last));
    let was_resumed = resumed.is_some();
    let reader = match resumed {
        Some(reader) => reader,
        None => shared.hub.open(caller.grant)?.attach(0),
    };
    // False: something was missed, and the subscriptions are to be made again.
    let resumed = last.is_some().then_some(was_resumed);
    let opened = Opened { kind: "connect".to_owned(), session_id: reader.session().id().to_owned(), resumed };
    let opened = serde_json::to_string(&opened).map_err(|error| Refusal::new(ErrorCode::InternalError, error.to_string()))?;
    let first = Event::default().retry(RETRY).data(opened);
    let stream = stream::unfold(Place::First(Box::new(first), reader, shared), step);
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("keep-alive")))
}

/// A reader that goes on after the message of this id, if nothing after it is lost.
fn resume(shared: &Shared, caller: &Caller, last: &str) -> Option<Reader> {
    let (id, number) = last.rsplit_once('-')?;
    let number = number.parse().ok()?;
    let session = shared.hub.session(id, caller.grant)?;
    session.covers(number).then(|| session.attach(number))
}

/// Where a stream is.
enum Place {
    First(Box<Event>, Reader, Arc<Shared>),
    Running(Reader, Arc<Shared>),
    Over,
}

async fn step(state: Place) -> Option<(Result<Event, Infallible>, Place)> {
    let (mut reader, shared) = match state {
        Place::First(event, reader, shared) => return Some((Ok(*event), Place::Running(reader, shared))),
        Place::Running(reader, shared) => (reader, shared),
        Place::Over => return None,
    };
    match reader.next().await {
        Next::Told(number, told) => {
            let id = format!("{}-{number}", reader.session().id());
            Some((Ok(Event::default().id(id).data(told.text())), Place::Running(reader, shared)))
        }
        Next::Missed => {
            shared.hub.remove(reader.session().id());
            Some((Ok(Event::default().data(missed().to_string())), Place::Over))
        }
        Next::Closed => None,
    }
}

/// What a subscriber is told that was too slow.
pub(super) fn missed() -> serde_json::Value {
    json!({ "type": "lagged", "message": "events came faster than they were read; connect again and look at the state anew" })
}
