//! `/admin-api/blobs`: bytes in and out, never whole in memory.

use std::str::FromStr as _;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use http_body_util::BodyExt as _;
use mesto_api::ErrorCode;
use mesto_api::blob::{Blob, Uploaded};
use mesto_governance::BlobId;
use mesto_oplog::id::{PrefixError, find_by_prefix};
use tokio::io::AsyncReadExt as _;

use super::auth::Caller;
use super::auth::permission::Right;
use super::body;
use super::gate::Asked;
use super::refusal::Refusal;
use super::{Shared, Serving};
use crate::blobs::{BlobError, Check};

/// How much of a blob is read and sent at once: few system calls, little memory for each download.
const PIECE_LEN: usize = 256 * 1024;

/// Takes raw bytes.
pub(super) async fn put(State(shared): Serving, request: Request) -> Result<Response, Refusal> {
    let (parts, mut incoming_body) = request.into_parts();
    let blobs = shared.node.blobs();
    let left = blobs.quota_bytes().saturating_sub(blobs.used_bytes());
    if let Some(len) = body::content_length(&parts.headers).filter(|len| *len > left) {
        let detail = format!("there is room for {left} bytes of blobs, not for {len}");
        return Err(Refusal::new(ErrorCode::StorageFull, detail).hint("remove some, or raise `limits.blob_bytes`"));
    }
    let mut incoming = blobs.incoming()?;
    while let Some(frame) = incoming_body.frame().await {
        let frame = frame.map_err(|error| Refusal::new(ErrorCode::InvalidRequest, format!("the body was cut off: {error}")))?;
        if let Some(bytes) = frame.data_ref() {
            incoming.write(bytes).await?;
        }
    }
    let stored = incoming.finish().await?;
    let id = stored.id.to_string();
    body::data(Uploaded { blob_id: id.clone(), blob_id_snake: id, size: stored.len })
}

pub(super) async fn list(State(shared): Serving) -> Result<Response, Refusal> {
    body::list(all(&shared).await?)
}

/// All stored blobs.
pub(super) async fn all(shared: &Shared) -> Result<Vec<Blob>, Refusal> {
    let blobs = shared.node.blobs().clone();
    let listed = tokio::task::spawn_blocking(move || blobs.list()).await;
    let listed = listed.map_err(|error| Refusal::new(ErrorCode::InternalError, error.to_string()))??;
    Ok(listed.iter().map(|blob| Blob { blob_id: blob.id.to_string(), size: blob.len }).collect())
}

/// Sends a blob, or the one range of it that `Range` asks for. Also answers `HEAD`.
pub(super) async fn get(
    State(shared): Serving,
    Asked(caller): Asked,
    Path(blob): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let id = resolve(&shared, &caller, &blob).await?;
    let reader = shared.node.blobs().get(id, Check::Nothing).await?.ok_or_else(|| not_here(&blob))?;
    let len = reader.len();
    let tag = format!("\"{id}\"");
    let asked = if headers.get(header::IF_RANGE).is_none_or(|condition| condition == tag.as_str()) { headers.get(header::RANGE) } else { None };
    let (status, offset, part_len) = match asked.and_then(|range| range.to_str().ok()).map_or(Range::Whole, |range| range_of(range, len)) {
        Range::Whole => (StatusCode::OK, 0, len),
        Range::Part { offset, len } => (StatusCode::PARTIAL_CONTENT, offset, len),
        Range::Outside => {
            let mut response = Refusal::new(ErrorCode::RangeNotSatisfiable, format!("the blob has {len} bytes")).into_response();
            set(&mut response, header::CONTENT_RANGE, &format!("bytes */{len}"));
            return Ok(response);
        }
    };
    let file = reader.into_range(offset, part_len).await?;
    let pieces = stream::try_unfold(file, async |mut file| {
        let mut piece = Vec::with_capacity(PIECE_LEN);
        let read = (&mut file).take(PIECE_LEN as u64).read_to_end(&mut piece).await?;
        Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(piece), file)))
    });
    let mut response = (status, Body::from_stream(Box::pin(pieces))).into_response();
    set(&mut response, header::CONTENT_TYPE, "application/octet-stream");
    set(&mut response, header::CONTENT_LENGTH, &part_len.to_string());
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    set(&mut response, header::ETAG, &tag);
    if status == StatusCode::PARTIAL_CONTENT {
        let last = (offset + part_len).saturating_sub(1);
        set(&mut response, header::CONTENT_RANGE, &format!("bytes {offset}-{last}/{len}"));
    }
    Ok(response)
}

fn set(response: &mut Response, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// Removes a blob from this node. The bundle of an installed application stays: without it contexts cannot run.
pub(super) async fn delete(State(shared): Serving, Asked(caller): Asked, Path(blob): Path<String>) -> Result<Response, Refusal> {
    let id = resolve(&shared, &caller, &blob).await?;
    if let Some(app) = shared.node.installed().into_iter().find(|app| app.version.bundle == id) {
        let detail = format!("the blob is version {} of the installed application {}", app.version.version, app.version.package);
        return Err(Refusal::new(ErrorCode::InvalidArgument, detail));
    }
    let size = shared.node.blobs().len(id)?.ok_or_else(|| not_here(&blob))?;
    let blobs = shared.node.blobs().clone();
    let removed = tokio::task::spawn_blocking(move || blobs.remove(id)).await;
    if !removed.map_err(|error| Refusal::new(ErrorCode::InternalError, error.to_string()))?? {
        return Err(not_here(&blob));
    }
    body::data(Blob { blob_id: id.to_string(), size })
}

/// The blob that is meant. Only who may list blobs finds them by the beginnings of their ids.
async fn resolve(shared: &Shared, caller: &Caller, selector: &str) -> Result<BlobId, Refusal> {
    if let Ok(id) = BlobId::from_str(selector) {
        return Ok(id);
    }
    caller.may(Right::BlobManage, None).map_err(|refusal| *refusal)?;
    let known: Vec<BlobId> = all(shared).await?.iter().filter_map(|blob| blob.blob_id.parse().ok()).collect();
    find_by_prefix(selector, known).map_err(|error| match error {
        PrefixError::Ambiguous { ref candidates, .. } => {
            Refusal::new(ErrorCode::Ambiguous, error.to_string()).data(serde_json::json!({ "candidates": candidates }))
        }
        _ => not_here(selector),
    })
}

fn not_here(selector: &str) -> Refusal {
    Refusal::new(ErrorCode::BlobNotFound, format!("there is no blob `{selector}` here")).hint("`mesto blob ls` lists them")
}

impl From<BlobError> for Refusal {
    fn from(error: BlobError) -> Self {
        let detail = error.to_string();
        let code = match error {
            BlobError::QuotaExceeded { .. } => ErrorCode::StorageFull,
            BlobError::TooLarge { .. } => ErrorCode::PayloadTooLarge,
            BlobError::Io { ref source, .. } if source.kind() == std::io::ErrorKind::StorageFull => ErrorCode::StorageFull,
            BlobError::Damaged { .. } | BlobError::Source(_) | BlobError::Io { .. } => ErrorCode::InternalError,
        };
        Self::new(code, detail)
    }
}

/// What a `Range` asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Range {
    Whole,
    Part { offset: u64, len: u64 },
    Outside,
}

/// One range of bytes (RFC 9110, 14.1.2). Several at once, other units and what is malformed get the whole, as the
/// standard allows.
fn range_of(range: &str, len: u64) -> Range {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else { return Range::Whole };
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        return match last.parse::<u64>() {
            Ok(0) => Range::Outside,
            Ok(suffix) if len > 0 => Range::Part { offset: len.saturating_sub(suffix), len: suffix.min(len) },
            Ok(_) => Range::Outside,
            Err(_) => Range::Whole,
        };
    }
    let Ok(first) = first.parse::<u64>() else { return Range::Whole };
    let last = if last.is_empty() { Ok(u64::MAX) } else { last.parse::<u64>() };
    match last {
        Err(_) => Range::Whole,
        Ok(last) if last < first => Range::Whole,
        Ok(_) if first >= len => Range::Outside,
        Ok(last) => Range::Part { offset: first, len: last.min(len - 1) - first + 1 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_mean_what_the_standard_says() {
        let part = |offset, len| Range::Part { offset, len };
        for (range, wanted) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=0-99", part(0, 100)),
            ("bytes=90-", part(90, 10)),
            ("bytes=90-1000", part(90, 10)),
            ("bytes=-1", part(99, 1)),
            ("bytes=-500", part(0, 100)),
            ("bytes=100-", Range::Outside),
            ("bytes=-0", Range::Outside),
            ("bytes=5-4", Range::Whole),
            ("bytes=0-1,5-6", Range::Whole),
            ("bytes=a-b", Range::Whole),
            ("lines=0-1", Range::Whole),
            ("bytes=18446744073709551615-", Range::Outside),
            ("bytes=0-18446744073709551615", part(0, 100)),
        ] {
            assert_eq!(range_of(range, 100), wanted, "{range}");
        }
        assert_eq!(range_of("bytes=0-", 0), Range::Outside);
        assert_eq!(range_of("bytes=-5", 0), Range::Outside);
    }
}
