//! Counts of what passed and what was refused, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// The counters of a running network.
#[derive(Debug, Default)]
pub(super) struct Counters {
    frames_in: AtomicU64,
    frames_out: AtomicU64,
    frame_bytes_in: AtomicU64,
    frame_bytes_out: AtomicU64,
    lane_resets: AtomicU64,
    gossip_in: AtomicU64,
    gossip_refused: AtomicU64,
    gossip_out: AtomicU64,
    dial_failures: AtomicU64,
}

/// A reading of all counters, each since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetCounters {
    /// Frames received on all lanes.
    pub frames_in: u64,
    /// Frames handed to streams on all lanes.
    pub frames_out: u64,
    /// Bytes of the received frames, without prefixes.
    pub frame_bytes_in: u64,
    /// Bytes of the sent frames, without prefixes.
    pub frame_bytes_out: u64,
    /// Lanes that ended, for whatever reason.
    pub lane_resets: u64,
    /// Gossip messages handed to the consumer.
    pub gossip_in: u64,
    /// Gossip messages rejected because they were too large, or by the consumer's verdict.
    pub gossip_refused: u64,
    /// Gossip messages published.
    pub gossip_out: u64,
    /// Dials that failed.
    pub dial_failures: u64,
}

impl Counters {
    pub(super) fn frame_in(&self, bytes: usize) {
        add(&self.frames_in, 1);
        add(&self.frame_bytes_in, bytes as u64);
    }

    pub(super) fn frame_out(&self, bytes: usize) {
        add(&self.frames_out, 1);
        add(&self.frame_bytes_out, bytes as u64);
    }

    pub(super) fn lane_reset(&self) {
        add(&self.lane_resets, 1);
    }

    pub(super) fn gossip_in(&self) {
        add(&self.gossip_in, 1);
    }

    pub(super) fn gossip_refused(&self) {
        add(&self.gossip_refused, 1);
    }

    pub(super) fn gossip_out(&self) {
        add(&self.gossip_out, 1);
    }

    pub(super) fn dial_failure(&self) {
        add(&self.dial_failures, 1);
    }

    pub(super) fn read(&self) -> NetCounters {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        NetCounters {
            frames_in: get(&self.frames_in),
            frames_out: get(&self.frames_out),
            frame_bytes_in: get(&self.frame_bytes_in),
            frame_bytes_out: get(&self.frame_bytes_out),
            lane_resets: get(&self.lane_resets),
            gossip_in: get(&self.gossip_in),
            gossip_refused: get(&self.gossip_refused),
            gossip_out: get(&self.gossip_out),
            dial_failures: get(&self.dial_failures),
        }
    }
}

fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}
