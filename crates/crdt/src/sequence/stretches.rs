//! Sets of elements of one mint, as normalised stretches: their union is the merge of deletions.

use super::Stretch;

/// Adds the elements `start..end` to a normalised set.
pub(crate) fn add(set: &mut Vec<Stretch>, start: u32, end: u32) {
    if start >= end {
        return;
    }
    let first = set.partition_point(|stretch| stretch.end() < u64::from(start));
    let last = set.partition_point(|stretch| u64::from(stretch.start) <= u64::from(end));
    let touching = set.get(first..last).unwrap_or_default();
    let from = touching.first().map_or(start, |stretch| stretch.start.min(start));
    let to = touching.last().map_or(u64::from(end), |stretch| stretch.end().max(u64::from(end)));
    let len = u32::try_from(to - u64::from(from)).unwrap_or(u32::MAX);
    set.splice(first..last, [Stretch { start: from, len }]);
}

/// Whether an element is in a normalised set.
pub(crate) fn contains(set: &[Stretch], element: u32) -> bool {
    let after = set.partition_point(|stretch| stretch.start <= element);
    let last = after.checked_sub(1).and_then(|before| set.get(before));
    last.is_some_and(|stretch| u64::from(element) < stretch.end())
}

/// Normalises any collection of ranges.
pub(crate) fn normalised(mut ranges: Vec<std::ops::Range<u32>>) -> Vec<std::ops::Range<u32>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<std::ops::Range<u32>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
            Some(_) | None => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_set_is_the_union_of_what_was_added_and_is_normalised(
            ranges in prop::collection::vec((0u32..60, 0u32..9), 0..20),
        ) {
            let mut set = Vec::new();
            let mut expected = [false; 80];
            for (start, len) in &ranges {
                add(&mut set, *start, start + len);
                expected[*start as usize..(start + len) as usize].fill(true);
            }
            for (element, expected) in expected.iter().enumerate() {
                let element = element as u64;
                let found = set.iter().any(|s| u64::from(s.start) <= element && element < s.end());
                prop_assert_eq!(found, *expected);
            }
            prop_assert!(set.is_empty() || super::super::span::check_stretches(&set).is_ok());
            let as_ranges: Vec<_> = set.iter().map(|s| s.start..s.start + s.len).collect();
            prop_assert_eq!(normalised(ranges.iter().map(|(s, l)| *s..s + l).collect()), as_ranges);
        }
    }
}
