//! `/admin-api/trace`: flows that happened.

use axum::extract::{Query, State};
use axum::response::Response;
use mesto_api::trace::{Arrow, Direction};
use mesto_node::Arrow as Between;
use serde::Deserialize;

use super::body;
use super::refusal::Refusal;
use super::{Serving, groups};
use crate::driver::{Handle, Happening};

/// How many flows there are.
const FLOWS: u32 = 23;

/// `?flow=&after=`.
#[derive(Deserialize)]
pub(super) struct Which {
    flow: String,
    #[serde(default)]
    after: u64,
}

pub(super) async fn trace(
    State(shared): Serving,
    Query(Which { flow, after }): Query<Which>,
) -> Result<Response, Refusal> {
    let name =
        name(&flow).ok_or_else(|| groups::invalid(format!("`{flow}` is not a flow: there are f01 to f{FLOWS}")))?;
    body::list(shared.node.flows(&name, after).iter().map(arrow).collect())
}

/// `f03` for `F03`, `f3` and `3`.
fn name(flow: &str) -> Option<String> {
    let number: u32 = flow.trim().trim_start_matches(['f', 'F']).parse().ok()?;
    (1..=FLOWS).contains(&number).then(|| format!("f{number:02}"))
}

fn arrow(happening: &Happening) -> Arrow {
    let flow = &happening.flow;
    let (direction, peer) = match flow.arrow {
        Between::Here => (Direction::Here, None),
        Between::To(peer) => (Direction::To, Some(peer)),
        Between::From(peer) => (Direction::From, Some(peer)),
        Between::ToAll => (Direction::ToAll, None),
    };
    Arrow {
        seq: happening.seq,
        at: mesto_api::time::rfc3339(happening.at_ms),
        flow: flow.flow.to_owned(),
        step: flow.step.to_owned(),
        direction,
        peer_id: peer.map(|peer| Handle::peer_text(&peer)),
        about: flow.about.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_are_named_by_their_number() {
        for text in ["f03", "F03", "3", " f3"] {
            assert_eq!(name(text).as_deref(), Some("f03"), "{text}");
        }
        for text in ["f00", "f24", "join", "", "f-1"] {
            assert_eq!(name(text), None, "{text}");
        }
    }
}
