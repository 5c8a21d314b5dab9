//! Which leaf of the tree holds an element.

use std::ops::Range;

use super::arena::Arena;

const PAGE_BITS: u32 = 8;
/// Elements that a page covers: their places within it fit a byte.
const PAGE: u32 = 1 << PAGE_BITS;

/// Maps each number that was given to an element to the leaf that holds it, run-length coded page by page.
#[derive(Clone, Default)]
pub(crate) struct Places {
    pages: Arena<Page>,
}

/// From which element of the page on in which leaf. Ascending, the first at 0 once it is written.
#[derive(Clone, Default)]
struct Page {
    leaves: Vec<(u8, u32)>,
}

impl Places {
    /// The leaf of `number`, which has one.
    pub(crate) fn leaf_of(&self, number: u32) -> u32 {
        let page = self.pages.get((number >> PAGE_BITS) as usize);
        page.leaf_at(number & (PAGE - 1))
    }

    /// Puts elements into a leaf. Numbers are given out in order, without gaps.
    pub(crate) fn put(&mut self, numbers: Range<u32>, leaf: u32) {
        let mut start = numbers.start;
        while start < numbers.end {
            let page = (start >> PAGE_BITS) as usize;
            while self.pages.len() <= page {
                self.pages.push(Page::default());
            }
            let end = numbers.end.min((start | (PAGE - 1)) + 1);
            let first = start & (PAGE - 1);
            self.pages.get_mut(page).put(first, first + (end - start), leaf);
            start = end;
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let page = |page: &Page| size_of::<Page>() + 24 + page.leaves.capacity() * size_of::<(u8, u32)>();
        self.pages.iter().map(page).sum()
    }
}

impl Page {
    fn leaf_at(&self, element: u32) -> u32 {
        let after = self.leaves.partition_point(|(start, _)| u32::from(*start) <= element);
        let entry = after.checked_sub(1).and_then(|before| self.leaves.get(before));
        entry.expect("INVARIANT: numbers are given out in order, so every lower one has a leaf").1
    }

    fn put(&mut self, start: u32, end: u32, leaf: u32) {
        let first = self.leaves.partition_point(|(other, _)| u32::from(*other) < start);
        let last = self.leaves.partition_point(|(other, _)| u32::from(*other) <= end);
        let resumes = match self.leaves.get(..last).and_then(<[_]>::last) {
            Some((_, resumes)) if end < PAGE => Some(*resumes).filter(|resumes| *resumes != leaf),
            Some(_) | None => None,
        };
        let continues = first.checked_sub(1).and_then(|before| self.leaves.get(before)).is_some_and(|e| e.1 == leaf);
        let begin = (!continues).then_some((start as u8, leaf));
        let resume = resumes.map(|resumes| (end as u8, resumes));
        self.leaves.splice(first..last, begin.into_iter().chain(resume));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_number_is_where_it_was_put_last(puts in prop::collection::vec((0u32..900, 1u32..300, 0u32..5), 1..40)) {
            let (mut places, mut expected) = (Places::default(), Vec::new());
            for (start, len, leaf) in puts {
                let start = start.min(expected.len() as u32);
                let end = start + len;
                places.put(start..end, leaf);
                expected.resize(expected.len().max(end as usize), leaf);
                expected[start as usize..end as usize].fill(leaf);
            }
            for (number, leaf) in expected.iter().enumerate() {
                prop_assert_eq!(places.leaf_of(number as u32), *leaf);
            }
        }
    }
}
