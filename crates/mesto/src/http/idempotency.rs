//! `Idempotency-Key`: a request that creates something can be sent again when its answer was lost, and creates it
//! once. The answer of a success is remembered for a while, in memory; a failure is not, so that it can be retried.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use mesto_api::ErrorCode;
use tokio::sync::Mutex as Turn;

use super::auth::Caller;
use super::body::{self, JSON_LEN_MAX};
use super::refusal::Refusal;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Marks an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Longest key: room for two UUIDs and a word.
const KEY_LEN_MAX: usize = 128;

/// Answers that are remembered: some minutes of a busy script. Each has some hundred bytes.
const ANSWERS_MAX: usize = 1024;

/// Longest answer that is remembered.
const ANSWER_LEN_MAX: usize = 64 * 1024;

/// The answers by key.
#[derive(Default)]
pub(super) struct Answers(Mutex<Known>);

#[derive(Default)]
struct Known {
    by_key: BTreeMap<String, Arc<Turn<Option<Answer>>>>,
    oldest_first: VecDeque<String>,
}

#[derive(Clone)]
struct Answer {
    request: blake3::Hash,
    content_type: Option<HeaderValue>,
    body: Bytes,
}

impl Answers {
    /// Where the answer for this key is, or will be. Who holds it is the one that asks.
    fn slot(&self, key: &str) -> Arc<Turn<Option<Answer>>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = known.by_key.get(key) {
            return Arc::clone(slot);
        }
        if known.oldest_first.len() >= ANSWERS_MAX
            && let Some(oldest) = known.oldest_first.pop_front()
        {
            known.by_key.remove(&oldest);
        }
        let slot = Arc::default();
        known.by_key.insert(key.to_owned(), Arc::clone(&slot));
        known.oldest_first.push_back(key.to_owned());
        slot
    }
}

/// Answers again what was answered before, under the same key and for the same request.
pub(super) async fn once(State(answers): State<Arc<Answers>>, request: Request, next: Next) -> Result<Response, Refusal> {
    let Some(key) = key_of(request.headers())? else { return Ok(next.run(request).await) };
    let (parts, body) = request.into_parts();
    let body = body::read(&parts.headers, body, JSON_LEN_MAX).await?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(parts.method.as_str().as_bytes()).update(b" ").update(parts.uri.path().as_bytes()).update(b"\n").update(&body);
    let asked = hasher.finalize();
    let own = format!("{}/{key}", asker(&parts.extensions));
    let mut slot = answers.slot(&own).lock_owned().await;
    if let Some(answer) = slot.as_ref() {
        return if answer.request == asked { Ok(replay(answer)) } else { Err(other_request(&key)) };
    }
    // On a task of its own: if the caller hangs up now, what it began is finished, and remembered.
    let request = Request::from_parts(parts, Body::from(body));
    let answered = tokio::spawn(async move {
        let response = next.run(request).await;
        if response.status() != StatusCode::OK {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, ANSWER_LEN_MAX).await.map_err(|error| Refusal::new(ErrorCode::InternalError, error.to_string()))?;
        let content_type = parts.headers.get(header::CONTENT_TYPE).cloned();
        *slot = Some(Answer { request: asked, content_type, body: body.clone() });
        Ok(Response::from_parts(parts, Body::from(body)))
    });
    answered.await.unwrap_or_else(|error| Err(Refusal::new(ErrorCode::InternalError, error.to_string())))
}

/// Keys of different callers are different keys: nobody is told what somebody else was answered.
fn asker(extensions: &Extensions) -> String {
    let grant = extensions.get::<Arc<Caller>>().and_then(|caller| caller.grant);
    grant.map(|id| id.to_string()).unwrap_or_default()
}

fn key_of(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(key) = headers.get(KEY) else { return Ok(None) };
    match key.to_str() {
        Ok(key) if (1..=KEY_LEN_MAX).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(Refusal::new(ErrorCode::InvalidRequest, format!("an Idempotency-Key has 1 to {KEY_LEN_MAX} ASCII characters"))),
    }
}

fn replay(answer: &Answer) -> Response {
    let mut response = answer.body.clone().into_response();
    if let Some(kind) = &answer.content_type {
        response.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

fn other_request(key: &str) -> Refusal {
    Refusal::new(ErrorCode::InvalidArgument, format!("the Idempotency-Key `{key}` was used for another request")).hint("use a new key")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::routing::post;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tower::ServiceExt as _;

    fn counting(answers: &Arc<Answers>) -> (Router, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let handler = move |body: String| async move {
            let n = counted.fetch_add(1, Ordering::SeqCst);
            if body == "fail" { Err(Refusal::new(ErrorCode::Forbidden, "no")) } else { Ok(format!("{n}")) }
        };
        (Router::new().route("/", post(handler)).layer(from_fn_with_state(Arc::clone(answers), once)), count)
    }

    async fn send(router: &Router, key: Option<&str>, body: &str) -> (u16, String) {
        let mut request = Request::post("/");
        if let Some(key) = key {
            request = request.header(KEY, key);
        }
        let response = router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_same_key_creates_once() {
        let (router, count) = counting(&Arc::default());
        assert_eq!(send(&router, Some("a"), "x").await, (200, "0".to_owned()));
        assert_eq!(send(&router, Some("a"), "x").await, (200, "0".to_owned()));
        assert_eq!(send(&router, Some("b"), "x").await, (200, "1".to_owned()));
        assert_eq!(send(&router, None, "x").await, (200, "2".to_owned()));
        assert_eq!(send(&router, Some("a"), "y").await.0, 422, "another request under the same key");
        assert_eq!(count.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_failure_can_be_retried() {
        let (router, count) = counting(&Arc::default());
        assert_eq!(send(&router, Some("a"), "fail").await.0, 403);
        assert_eq!(send(&router, Some("a"), "fail").await.0, 403);
        assert_eq!(count.load(Ordering::SeqCst), 2);
        assert_eq!(send(&router, Some(&"k".repeat(KEY_LEN_MAX + 1)), "x").await.0, 400);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let answers = Answers::default();
        for n in 0..=ANSWERS_MAX {
            answers.slot(&n.to_string());
        }
        let known = answers.0.lock().unwrap();
        assert_eq!((known.by_key.len(), known.oldest_first.len()), (ANSWERS_MAX, ANSWERS_MAX));
        assert!(!known.by_key.contains_key("0"));
    }
}
