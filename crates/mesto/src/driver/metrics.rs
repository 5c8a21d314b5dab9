//! What is counted.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use mesto_node::Report;

use super::flows::Flows;

/// Counters by name, for `/admin-api/usage` and the log.
#[derive(Debug, Default)]
pub struct Metrics {
    counters: Mutex<BTreeMap<&'static str, u64>>,
    flows: Flows,
}

impl Metrics {
    /// All counters.
    pub fn counters(&self) -> BTreeMap<&'static str, u64> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What happened lately, flow by flow.
    pub(crate) fn flows(&self) -> &Flows {
        &self.flows
    }

    fn count(&self, name: &'static str, by: u64) {
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += by;
    }

    /// A peer sent what no honest peer sends.
    pub(super) fn misbehaved(&self, why: &str) {
        self.count("peer_faults", 1);
        tracing::debug!(why, "a peer sent something malformed");
    }

    /// A bound was reached; what was dropped is fetched again.
    pub(super) fn shed(&self, bound: &'static str) {
        self.count("shed", 1);
        tracing::debug!(bound, "a bound was reached");
    }

    /// What the node wants operators to see.
    pub(super) fn report(&self, report: Report) {
        match report {
            Report::Flow(flow) => {
                tracing::debug!(flow = flow.flow, step = flow.step, about = %flow.about, arrow = ?flow.arrow, "flow");
                self.flows.push(flow);
            }
            Report::Refused { entry, reason } => {
                self.count("entries_refused", 1);
                tracing::info!(%entry, reason, "an entry was refused");
            }
            Report::Diverged { log, peer, ours, theirs } => {
                self.count("diverged", 1);
                let (ours, theirs) = (mesto_oplog::id::to_text(&ours), mesto_oplog::id::to_text(&theirs));
                tracing::error!(%log, %peer, ours, theirs, "equal heads, another digest: a bug, or a peer that lies");
            }
            Report::Equivocation { entry, author } => {
                self.count("equivocations", 1);
                tracing::warn!(%entry, %author, "an author signed two entries for one place; the proof is kept");
            }
            Report::Shed { bound, count } => {
                self.count("shed", count);
                tracing::warn!(bound, count, "a bound was reached; what was dropped is fetched again");
            }
            Report::Judged { context, voided, restored } => {
                self.count("deltas_voided", voided);
                self.count("deltas_restored", restored);
                tracing::info!(%context, voided, restored, "verdicts of deltas changed");
            }
            Report::BadKey { group, op } => {
                self.count("keys_forged", 1);
                tracing::warn!(%group, %op, "an epoch was started whose key does not open here");
            }
            Report::BundleRefused { blob, reason } => {
                self.count("bundles_refused", 1);
                tracing::warn!(%blob, reason, "a bundle from a member was refused");
            }
            Report::JoinFailed { context, reason } => {
                tracing::warn!(%context, reason, "a context could not be joined again");
            }
            Report::AppLog { context, line } => tracing::info!(target: "app", %context, "{line}"),
            Report::Compared { log, protocol, overhead_bytes, entries } => {
                self.count("comparisons", 1);
                tracing::debug!(flow = "f07", step = "protocol chosen", %log, protocol, overhead_bytes, entries, "flow");
            }
            _ => {}
        }
    }
}
