//! Bodies: how they are read, and how answers are written.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use http_body_util::LengthLimitError;
use mesto_api::{Data, ErrorCode, List};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::refusal::Refusal;

/// Longest JSON body of a REST route, in bytes: the arguments of an `init` are the largest thing in any of them.
pub(super) const JSON_LEN_MAX: usize = 1024 * 1024;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A JSON body. No body at all reads as `{}`.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let bytes = read(&parts.headers, body, JSON_LEN_MAX).await?;
        if bytes.is_empty() {
            return parse(b"{}").map(Self);
        }
        check_json_type(&parts.headers)?;
        // A list would be read as the fields in their order.
        if bytes.trim_ascii_start().first() == Some(&b'[') {
            return Err(Refusal::new(ErrorCode::InvalidArgument, "the body is a list, not an object"));
        }
        parse(&bytes).map(Self)
    }
}

/// Reads JSON of a known shape.
pub(super) fn parse<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        Category::Data => Refusal::new(ErrorCode::InvalidArgument, error.to_string()),
        Category::Io | Category::Syntax | Category::Eof => {
            Refusal::new(ErrorCode::ParseError, format!("this is not JSON: {error}"))
        }
    })
}

/// The whole body, if it is not longer than `len_max`.
pub(super) async fn read(headers: &HeaderMap, body: Body, len_max: usize) -> Result<Bytes, Refusal> {
    let too_large = || Refusal::new(ErrorCode::PayloadTooLarge, format!("the body may have {len_max} bytes"));
    if content_length(headers).is_some_and(|len| len > len_max as u64) {
        return Err(too_large());
    }
    to_bytes(body, len_max).await.map_err(|error| {
        let error: Box<dyn std::error::Error + Send + Sync> = error.into();
        if error.is::<LengthLimitError>() || error.source().is_some_and(|cause| cause.is::<LengthLimitError>()) {
            too_large()
        } else {
            Refusal::new(ErrorCode::InvalidRequest, format!("the body was cut off: {error}"))
        }
    })
}

/// How long a body says that it is.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Refuses what is explicitly not JSON. A page of another origin cannot send JSON without being asked about first,
/// so this is a second fence behind the guard.
pub(super) fn check_json_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let given = headers.get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap_or_default());
    let essence = given.map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    match essence.as_deref() {
        Some("application/json") => Ok(()),
        Some(kind) if kind.starts_with("application/") && kind.ends_with("+json") => Ok(()),
        Some(kind) => Err(Refusal::new(ErrorCode::UnsupportedMediaType, format!("the body is `{kind}`, not JSON"))
            .hint("send `Content-Type: application/json`")),
        None => Err(Refusal::new(ErrorCode::UnsupportedMediaType, "the body does not say what it is")
            .hint("send `Content-Type: application/json`")),
    }
}

/// `{"data": …}`.
pub(super) fn data<T: Serialize>(data: T) -> Result<Response, Refusal> {
    json(&Data { data })
}

/// `{"data": […], "nextCursor": null}`.
pub(super) fn list<T: Serialize>(elements: Vec<T>) -> Result<Response, Refusal> {
    json(&List::whole(elements))
}

/// JSON without a wrapping.
pub(super) fn json(value: &impl Serialize) -> Result<Response, Refusal> {
    let text = serde_json::to_vec(value).map_err(|error| Refusal::new(ErrorCode::InternalError, error.to_string()))?;
    Ok(raw_json(text))
}

/// JSON that is written already.
pub(super) fn raw_json(text: Vec<u8>) -> Response {
    let mut response = text.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesto_api::node::Connect;

    fn send(content_type: Option<&str>, body: &str) -> Result<Connect, ErrorCode> {
        let mut request = Request::post("/");
        if let Some(kind) = content_type {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let read = Json::<Connect>::from_request(request, &());
        let read = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(read);
        read.map(|Json(connect)| connect).map_err(|refusal| refusal.problem().code)
    }

    #[test]
    fn a_body_is_json_of_the_right_shape_or_refused_by_the_broken_rule() {
        let good = r#"{"addr":"/ip4/127.0.0.1/tcp/1"}"#;
        assert!(send(Some("application/json"), good).is_ok());
        assert!(send(Some("application/json; charset=utf-8"), good).is_ok());
        assert_eq!(send(Some("text/plain"), good), Err(ErrorCode::UnsupportedMediaType));
        assert_eq!(send(None, good), Err(ErrorCode::UnsupportedMediaType));
        assert_eq!(send(Some("application/json"), "{"), Err(ErrorCode::ParseError));
        assert_eq!(send(Some("application/json"), r#"{"addr":5}"#), Err(ErrorCode::InvalidArgument));
        assert_eq!(send(Some("application/json"), r#"{"addr":"x","adr":1}"#), Err(ErrorCode::InvalidArgument));
        assert_eq!(send(Some("application/json"), r#" ["/ip4/127.0.0.1/tcp/1"]"#), Err(ErrorCode::InvalidArgument));
        assert_eq!(send(None, ""), Err(ErrorCode::InvalidArgument), "an empty body is {{}}");
        let long = format!("\"{}\"", "x".repeat(JSON_LEN_MAX));
        assert_eq!(send(Some("application/json"), &long), Err(ErrorCode::PayloadTooLarge));
    }
}
