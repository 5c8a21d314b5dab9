//! `GET /metrics`: what is counted, in Prometheus' text format (0.0.4).

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};

use super::refusal::Refusal;
use super::{Serving, node};

/// The media type of the text format.
pub(super) const MEDIA_TYPE: &str = "text/plain; version=0.0.4";

/// What begins every name.
const PREFIX: &str = "mesto";

pub(super) async fn show(State(shared): Serving) -> Result<Response, Refusal> {
    let held = node::held(&shared).await?;
    let mut text = String::new();
    let counters = shared.node.metrics().counters();
    for (name, value) in &counters {
        write_one(&mut text, &format!("{name}_total"), "counter", *value);
    }
    for (name, value) in [
        ("uptime_seconds", shared.node.uptime().as_secs()),
        ("peers", shared.node.peers().await.len() as u64),
        ("groups", held.groups),
        ("contexts", held.contexts),
        ("pending_joins", held.pending_joins),
        ("parked_entries", held.parked),
        ("blob_bytes", shared.node.blobs().used_bytes()),
        ("blob_quota_bytes", shared.node.blobs().quota_bytes()),
        ("event_sessions", shared.hub.sessions() as u64),
    ] {
        write_one(&mut text, name, "gauge", value);
    }
    let mut response = text.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    Ok(response)
}

fn write_one(text: &mut String, name: &str, kind: &str, value: u64) {
    // Writing to a text does not fail.
    let _ = write!(text, "# TYPE {PREFIX}_{name} {kind}\n{PREFIX}_{name} {value}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let mut text = String::new();
        write_one(&mut text, "peers", "gauge", 3);
        write_one(&mut text, "shed_total", "counter", 0);
        assert_eq!(text, "# TYPE mesto_peers gauge\nmesto_peers 3\n# TYPE mesto_shed_total counter\nmesto_shed_total 0\n");
    }
}
