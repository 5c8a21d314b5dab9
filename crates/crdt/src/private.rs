//! What an app keeps on one node: never merged, never sent, no part of the root.
//!
//! Keys and values live in [`Space::Private`]. A call's changes are gathered in [`Private`] and written together with
//! the call's delta, so what is kept and what was changed cannot come apart.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::draft::{DraftError, DraftLimits};
use crate::read::{Read, Space, Write};

/// A key with its value.
type Pair = (Vec<u8>, Vec<u8>);

/// One call's changes of what its node keeps privately.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Private {
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
}

impl Private {
    /// No changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is kept under `key`.
    pub fn get(&self, read: &dyn Read, key: &[u8]) -> Option<Vec<u8>> {
        match self.changes.get(key) {
            Some(change) => change.clone(),
            None => read.get(Space::Private, key),
        }
    }

    /// Keeps `value` under `key`, or nothing any more.
    ///
    /// # Errors
    /// A key, a value, or all of the call's changes together that are too long.
    pub fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>, limits: &DraftLimits) -> Result<(), DraftError> {
        let (key_bytes, max) = (key.len(), limits.key_bytes_max);
        if key_bytes > max {
            return Err(DraftError::KeyTooLong { bytes: key_bytes, max });
        }
        let (value_bytes, max) = (value.as_ref().map_or(0, Vec::len), limits.value_bytes_max);
        if value_bytes > max {
            return Err(DraftError::ValueTooLarge { bytes: value_bytes, max });
        }
        let replaced = self.changes.get(&key).map_or(0, |old| key_bytes + old.as_ref().map_or(0, Vec::len));
        let bytes = self.bytes - replaced + key_bytes + value_bytes;
        if bytes > limits.ops_bytes_max {
            return Err(DraftError::DeltaTooLarge { max: limits.ops_bytes_max });
        }
        self.bytes = bytes;
        self.changes.insert(key, value);
        Ok(())
    }

    /// Up to `limit` pairs whose keys begin with `prefix`, in order of their keys, those strictly after `after` if
    /// given. Fewer than `limit` means that there are no more.
    pub fn scan(&self, read: &dyn Read, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Pair> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            Some(_) | None => Bound::Included(prefix),
        };
        let changes = self.changes.range::<[u8], _>((start, Bound::Unbounded));
        let changes: Vec<_> = changes.take_while(|(key, _)| key.starts_with(prefix)).collect();
        // Each removal can take a place in the page without giving a pair.
        let removals = changes.iter().filter(|(_, value)| value.is_none()).count();
        let stored = read.scan(Space::Private, prefix, after, limit.saturating_add(removals));
        let mut pairs: BTreeMap<Vec<u8>, Vec<u8>> = stored.into_iter().collect();
        for (key, value) in changes {
            match value {
                Some(value) => pairs.insert(key.clone(), value.clone()),
                None => pairs.remove(key),
            };
        }
        pairs.into_iter().take(limit).collect()
    }

    /// The writes, in order of their keys.
    pub fn finish(self) -> Vec<Write> {
        let write = |(key, value)| Write { space: Space::Private, key, value };
        self.changes.into_iter().map(write).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::MemoryState;
    use proptest::prelude::*;

    fn limits() -> DraftLimits {
        DraftLimits { key_bytes_max: 4, value_bytes_max: 8, ops_bytes_max: 20 }
    }

    #[test]
    fn what_is_too_long_is_refused_and_the_rest_kept() {
        let mut private = Private::new();
        let refused = private.set(vec![0; 5], None, &limits());
        assert_eq!(refused, Err(DraftError::KeyTooLong { bytes: 5, max: 4 }));
        let refused = private.set(vec![0], Some(vec![0; 9]), &limits());
        assert_eq!(refused, Err(DraftError::ValueTooLarge { bytes: 9, max: 8 }));
        private.set(vec![0], Some(vec![0; 8]), &limits()).expect("fits");
        private.set(vec![1], Some(vec![0; 8]), &limits()).expect("fits");
        let refused = private.set(vec![2], Some(vec![0; 8]), &limits());
        assert_eq!(refused, Err(DraftError::DeltaTooLarge { max: 20 }));
        private.set(vec![0], None, &limits()).expect("what is replaced no longer counts");
        private.set(vec![2], Some(vec![0; 8]), &limits()).expect("fits");
        assert_eq!(private.finish().len(), 3);
    }

    proptest! {
        #[test]
        fn a_call_sees_what_will_be_kept(
            stored in proptest::collection::btree_map(proptest::collection::vec(0u8..3, 1..4), 0u8..9, 0..12),
            changes in proptest::collection::vec((proptest::collection::vec(0u8..3, 1..4), proptest::option::of(0u8..9)), 0..12),
            prefix in proptest::collection::vec(0u8..3, 0..3),
            after in proptest::option::of(proptest::collection::vec(0u8..3, 0..4)),
            limit in 0usize..6,
        ) {
            let mut state = MemoryState::new();
            let write = |(key, value): (Vec<u8>, u8)| Write { space: Space::Private, key, value: Some(vec![value]) };
            state.apply_writes(&stored.into_iter().map(write).collect::<Vec<_>>());
            let mut private = Private::new();
            for (key, value) in changes {
                private.set(key, value.map(|value| vec![value]), &DraftLimits::default()).expect("small");
            }
            let seen = private.scan(&state, &prefix, after.as_deref(), limit);
            let one = private.get(&state, &prefix);
            let mut kept = state.clone();
            kept.apply_writes(&private.finish());
            prop_assert_eq!(seen, kept.scan(Space::Private, &prefix, after.as_deref(), limit));
            prop_assert_eq!(one, kept.get(Space::Private, &prefix));
            prop_assert_eq!(crate::root(&kept).expect("a root"), crate::root(&state).expect("a root"));
        }
    }
}
