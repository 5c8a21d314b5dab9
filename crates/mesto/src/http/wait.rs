//! Answers that wait until something is so.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout};

use super::refusal::Refusal;
use crate::driver::Handle;

/// Longest wait of one request. Clients that want more ask again; proxies and clients give up on longer ones.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// Shortest time between two looks, so that a busy node is not asked at every step.
const LOOK_AGAIN_MIN: Duration = Duration::from_millis(15);

/// Longest time between two looks: what peers have told is not always a step of ours.
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(200);

/// `?waitMs=`.
#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wait {
    #[serde(default)]
    wait_ms: u64,
}

impl Wait {
    /// A wait that nobody asked for.
    pub(super) const fn of(wait_ms: u64) -> Self {
        Self { wait_ms }
    }

    /// Looks until `done`, or until the time is over; then what was seen last is the answer.
    pub(super) async fn until<T, F>(
        &self,
        node: &Handle,
        look: impl Fn() -> F,
        done: impl Fn(&T) -> bool,
    ) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, Refusal>>,
    {
        let deadline = Instant::now() + Duration::from_millis(self.wait_ms).min(WAIT_MAX);
        let mut changed = node.changed();
        loop {
            changed.mark_unchanged();
            let seen = look().await?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || done(&seen) {
                return Ok(seen);
            }
            // Whether something changed or the time is up, the next look tells.
            let _ = timeout(left.min(LOOK_AGAIN_MAX), changed.changed()).await;
            sleep(LOOK_AGAIN_MIN.min(left)).await;
        }
    }
}
