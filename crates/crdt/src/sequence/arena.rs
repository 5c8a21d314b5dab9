//! A growing array whose clones share what neither has changed.
//!
//! To clone costs one reference count; to change a value of a clone copies its path of [`FANOUT`]-wide nodes, and of an
//! array that nobody shares nothing.

use std::sync::Arc;

const FANOUT_BITS: u32 = 4;
/// Small, because a change of a shared array copies a node of each level, and counts a reference for each entry.
const FANOUT: usize = 1 << FANOUT_BITS;

pub(crate) struct Arena<T> {
    root: Arc<Node<T>>,
    /// Levels above the values.
    height: u32,
    len: usize,
}

enum Node<T> {
    Inner(Vec<Arc<Node<T>>>),
    Values(Vec<Arc<T>>),
}

impl<T> Clone for Arena<T> {
    fn clone(&self) -> Self {
        Self { root: Arc::clone(&self.root), height: self.height, len: self.len }
    }
}

impl<T> Clone for Node<T> {
    fn clone(&self) -> Self {
        match self {
            Node::Inner(children) => Node::Inner(children.clone()),
            Node::Values(values) => Node::Values(values.clone()),
        }
    }
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { root: Arc::new(Node::Values(Vec::new())), height: 0, len: 0 }
    }
}

const OUT_OF_BOUNDS: &str = "INVARIANT: an index into an arena is less than its length";

impl<T: Clone> Arena<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, index: usize) -> &T {
        let mut node = &*self.root;
        let mut shift = self.height * FANOUT_BITS;
        loop {
            let slot = (index >> shift) & (FANOUT - 1);
            match node {
                Node::Inner(children) => node = children.get(slot).expect(OUT_OF_BOUNDS),
                Node::Values(values) => return values.get(slot).expect(OUT_OF_BOUNDS),
            }
            shift = shift.saturating_sub(FANOUT_BITS);
        }
    }

    /// The value, to be changed: the path to it is copied where others hold it.
    pub(crate) fn get_mut(&mut self, index: usize) -> &mut T {
        let mut node = Arc::make_mut(&mut self.root);
        let mut shift = self.height * FANOUT_BITS;
        loop {
            let slot = (index >> shift) & (FANOUT - 1);
            match node {
                Node::Inner(children) => {
                    node = Arc::make_mut(children.get_mut(slot).expect(OUT_OF_BOUNDS));
                }
                Node::Values(values) => return Arc::make_mut(values.get_mut(slot).expect(OUT_OF_BOUNDS)),
            }
            shift = shift.saturating_sub(FANOUT_BITS);
        }
    }

    /// Adds a value; its index.
    pub(crate) fn push(&mut self, value: T) -> usize {
        let index = self.len;
        if index >> ((self.height + 1) * FANOUT_BITS) > 0 {
            let below = Arc::clone(&self.root);
            self.root = Arc::new(Node::Inner(vec![below]));
            self.height += 1;
        }
        let mut node = Arc::make_mut(&mut self.root);
        let mut level = self.height;
        loop {
            let slot = (index >> (level * FANOUT_BITS)) & (FANOUT - 1);
            match node {
                Node::Inner(children) => {
                    if slot == children.len() {
                        let child = if level > 1 { Node::Inner(Vec::new()) } else { Node::Values(Vec::new()) };
                        children.push(Arc::new(child));
                    }
                    node = Arc::make_mut(children.get_mut(slot).expect(OUT_OF_BOUNDS));
                    level -= 1;
                }
                Node::Values(values) => {
                    values.push(Arc::new(value));
                    self.len += 1;
                    return index;
                }
            }
        }
    }

    /// The number of leading values for which `is_before` holds; it must hold for a prefix of them.
    pub(crate) fn partition_point(&self, is_before: impl Fn(&T) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len);
        while low < high {
            let middle = low.midpoint(high);
            if is_before(self.get(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.len).map(|index| self.get(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_keeps_what_it_was() {
        let mut arena = Arena::default();
        let mut old = Vec::new();
        for number in 0..5_000usize {
            assert_eq!(arena.push(number), number);
            if number % 700 == 0 {
                old.push(arena.clone());
            }
        }
        for index in 0..arena.len() {
            *arena.get_mut(index) += 1;
        }
        assert!(arena.iter().enumerate().all(|(index, value)| *value == index + 1));
        for old in old {
            assert!(old.iter().enumerate().all(|(index, value)| *value == index));
        }
        assert_eq!(arena.partition_point(|value| *value < 1_234), 1_233);
    }
}
