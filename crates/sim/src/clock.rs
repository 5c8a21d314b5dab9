//! What a host's clock shows: the true time, skewed, drifting, and jumping.

use crate::world::Micros;

/// The true time at which every run begins, in milliseconds since 1970.
pub(crate) const START_MS: u64 = 1_800_000_000_000;

/// One host's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    /// How far it is ahead, in milliseconds.
    ahead_ms: i64,
    /// How much faster than true time it runs, in parts per million.
    drift_ppm: i64,
}

impl Clock {
    /// A clock that is off by so much and runs so fast.
    #[must_use]
    pub(crate) const fn new(ahead_ms: i64, drift_ppm: i64) -> Self {
        Self { ahead_ms, drift_ppm }
    }

    /// What it shows at a true time, in milliseconds since 1970.
    #[must_use]
    pub(crate) fn wall_ms(&self, now: Micros) -> u64 {
        let passed = i64::try_from(now).unwrap_or(i64::MAX);
        let drifted = passed.saturating_add(passed / 1_000_000 * self.drift_ppm);
        START_MS.saturating_add_signed(drifted / 1000 + self.ahead_ms)
    }

    /// True microseconds until it shows `wall_ms`; 0 if it does.
    #[must_use]
    pub(crate) fn until(&self, wall_ms: u64, now: Micros) -> Micros {
        wall_ms.saturating_sub(self.wall_ms(now)).saturating_mul(1000)
    }

    /// Jumps, forward or back.
    pub(crate) const fn jump(&mut self, by_ms: i64) {
        self.ahead_ms = self.ahead_ms.saturating_add(by_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_its_skew_its_drift_and_its_jumps() {
        let mut clock = Clock::new(50, 1000);
        assert_eq!(clock.wall_ms(0), START_MS + 50);
        assert_eq!(clock.wall_ms(10_000_000), START_MS + 10_060);
        clock.jump(-20);
        assert_eq!(clock.wall_ms(0), START_MS + 30);
        assert_eq!(clock.until(START_MS + 40, 0), 10_000);
        assert_eq!(clock.until(START_MS, 0), 0);
    }
}
