//! What happened lately on this node, arrow by arrow.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use mesto_node::Flow;

use super::core::wall_ms;

/// Arrows that are remembered of each flow, so that a busy one does not drive out the others: in all two megabytes at most.
const KEPT_MAX: usize = 1_024;

/// An arrow, and when it happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Happening {
    /// Counts all arrows since the start.
    pub(crate) seq: u64,
    /// Milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// The arrow.
    pub(crate) flow: Flow,
}

/// The newest arrows.
#[derive(Debug, Default)]
pub(crate) struct Flows(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    last: u64,
    kept: BTreeMap<&'static str, VecDeque<Happening>>,
}

impl Flows {
    pub(super) fn push(&self, flow: Flow) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.last += 1;
        let happening = Happening { seq: ring.last, at_ms: wall_ms(), flow };
        let kept = ring.kept.entry(flow.flow).or_default();
        if kept.len() >= KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(happening);
    }

    /// The arrows of one flow after number `after`, oldest first.
    pub(crate) fn of(&self, flow: &str, after: u64) -> Vec<Happening> {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = ring.kept.get(flow).into_iter().flatten();
        kept.filter(|happening| happening.seq > after).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesto_governance::GroupId;
    use mesto_node::{About, Arrow};

    #[test]
    fn the_newest_arrows_are_kept_and_each_flow_is_told_apart() {
        let flows = Flows::default();
        for n in 0..KEPT_MAX * 10 {
            let flow = if n < 3 || n > KEPT_MAX * 8 { "f03" } else { "f10" };
            flows.push(Flow { flow, step: "s", arrow: Arrow::Here, about: About::Group(GroupId::default()) });
        }
        let joins = flows.of("f03", 0);
        assert_eq!(joins.len(), KEPT_MAX);
        assert_eq!(flows.of("f10", 0).len(), KEPT_MAX);
        assert!(flows.of("f01", 0).is_empty());
        let last = joins.last().expect("some").seq;
        assert!(flows.of("f03", last).is_empty());
        assert!(joins.is_sorted_by(|a, b| a.seq < b.seq) && joins.iter().all(|arrow| arrow.flow.flow == "f03"));
    }
}
