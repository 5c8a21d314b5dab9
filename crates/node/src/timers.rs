//! When the node wants to be woken, and for what.

use std::collections::{BTreeMap, BTreeSet};

/// A set of named alarms; setting one that is set keeps the earlier time.
#[derive(Debug, Clone)]
pub(crate) struct Timers<K> {
    by_time: BTreeSet<(u64, K)>,
    by_key: BTreeMap<K, u64>,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self { by_time: BTreeSet::new(), by_key: BTreeMap::new() }
    }
}

impl<K: Ord + Copy> Timers<K> {
    /// Sets an alarm for `at_ms`, or earlier if it is set already.
    pub(crate) fn set(&mut self, key: K, at_ms: u64) {
        match self.by_key.get(&key) {
            Some(&set) if set <= at_ms => {}
            Some(&set) => {
                self.by_time.remove(&(set, key));
                self.insert(key, at_ms);
            }
            None => self.insert(key, at_ms),
        }
    }

    fn insert(&mut self, key: K, at_ms: u64) {
        self.by_time.insert((at_ms, key));
        self.by_key.insert(key, at_ms);
    }

    /// The clock was set back by so much: alarms that are to ring after a while ring so much earlier by the clock, and
    /// so as late as was meant. Those that `is_by_clock` picks stay: they are about what the clock shows.
    pub(crate) fn set_back(&mut self, by_ms: u64, is_by_clock: impl Fn(&K) -> bool) {
        for (key, at) in std::mem::take(&mut self.by_key) {
            let at = if is_by_clock(&key) { at } else { at.saturating_sub(by_ms) };
            self.by_key.insert(key, at);
        }
        self.by_time = self.by_key.iter().map(|(key, at)| (*at, *key)).collect();
    }

    /// Takes an alarm whose time has come.
    pub(crate) fn pop_due(&mut self, now_ms: u64) -> Option<K> {
        let (at, key) = *self.by_time.first()?;
        if at > now_ms {
            return None;
        }
        self.by_time.pop_first();
        self.by_key.remove(&key);
        Some(key)
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<u64> {
        self.by_time.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_of_two_settings_counts() {
        let mut timers = Timers::default();
        timers.set('a', 20);
        timers.set('a', 10);
        timers.set('a', 30);
        timers.set('b', 15);
        assert_eq!(timers.next(), Some(10));
        assert_eq!(timers.pop_due(12), Some('a'));
        assert_eq!(timers.pop_due(12), None);
        assert_eq!(timers.pop_due(40), Some('b'));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_clock_that_is_set_back_delays_only_what_is_about_the_clock() {
        let mut timers = Timers::default();
        timers.set('a', 5_000);
        timers.set('c', 4_900);
        timers.set_back(4_000, |key| *key == 'c');
        assert_eq!(timers.pop_due(1_000), Some('a'));
        assert_eq!((timers.pop_due(4_800), timers.next()), (None, Some(4_900)));
        timers.set('c', 4_000);
        assert_eq!(timers.pop_due(4_000), Some('c'));
    }
}
