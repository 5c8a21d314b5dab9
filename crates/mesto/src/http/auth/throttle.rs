//! Slows down guessing: after some failures for a name, further tries for it are refused for a while.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Failures in a row before tries are refused: nobody mistypes more often.
const FAILURES_MAX: u32 = 5;

/// How long they are refused. 5 tries in 30 s are 14,400 a day: nothing against any password of 8 characters that is not in a list.
pub(super) const PAUSE_S: u64 = 30;

/// Failures by name: of users that exist, which are bounded, and under no name for all others together.
#[derive(Default)]
pub(super) struct Throttle(Mutex<BTreeMap<String, (u32, u64)>>);

impl Throttle {
    /// Whether a try may be made now.
    pub(super) fn permits(&self, name: &str, now_s: u64) -> bool {
        let failed = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied();
        failed.is_none_or(|(count, last)| count < FAILURES_MAX || now_s >= last + PAUSE_S)
    }

    /// A try went wrong.
    pub(super) fn failed(&self, name: &str, now_s: u64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, last) = all.entry(name.to_owned()).or_default();
        if *count >= FAILURES_MAX {
            *count = 0; // the pause is over, else there would have been no try
        }
        (*count, *last) = (*count + 1, now_s);
    }

    /// A try went well.
    pub(super) fn succeeded(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_is_slow_for_one_name_and_does_not_lock_out_others() {
        let throttle = Throttle::default();
        for _ in 0..FAILURES_MAX {
            assert!(throttle.permits("anna", 0));
            throttle.failed("anna", 0);
        }
        assert!(!throttle.permits("anna", PAUSE_S - 1));
        assert!(throttle.permits("boris", 0));
        assert!(throttle.permits("anna", PAUSE_S));
        throttle.failed("anna", PAUSE_S);
        assert!(throttle.permits("anna", PAUSE_S), "after a pause there are some tries again");
        throttle.succeeded("anna");
        assert!(throttle.permits("anna", PAUSE_S));
    }
}
