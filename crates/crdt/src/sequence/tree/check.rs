//! What must hold in a tree.

use super::Tree;
use super::node::{FANOUT, Sums, WEIGHT_MAX};

impl Tree {
    /// Checks sums, parents, places and bounds of the whole tree.
    ///
    /// # Panics
    /// If something does not hold.
    pub(crate) fn check(&self) {
        assert_eq!(self.check_node(self.root, self.height, None), self.total, "the sums of the whole");
        let all = 0..self.total.elements;
        let mut seen = vec![false; all.len()];
        let mut spot = self.after(None);
        while let Some((piece, after)) = self.next(spot) {
            for number in piece.numbers() {
                assert!(!std::mem::replace(&mut seen[number as usize], true), "element {number} stands twice");
            }
            spot = after;
        }
        assert!(!seen.contains(&false), "every element stands somewhere");
    }

    fn check_node(&self, node: u32, level: u32, parent: Option<u32>) -> Sums {
        if level == 0 {
            let leaf = self.leaf(node);
            assert!(parent.is_none_or(|parent| parent == leaf.parent), "a leaf knows its parent");
            assert!(parent.is_none() || !leaf.pieces.is_empty(), "no leaf is empty but the first");
            assert!(leaf.pieces.len() <= FANOUT && leaf.chunk.weight() <= WEIGHT_MAX, "a leaf is not too full");
            for piece in &leaf.pieces {
                assert!(piece.len() > 0, "no piece is empty");
                assert!(piece.numbers().all(|number| self.places.leaf_of(number) == node), "places name the leaf");
            }
            assert!(leaf.pieces.windows(2).all(|pair| !pair[0].joins(pair[1])), "what can be one piece is one");
            let elements = leaf.pieces.iter().map(|piece| piece.len()).sum();
            let visible: u32 = leaf.pieces.iter().map(|piece| piece.visible()).sum();
            let sums = Sums { elements, shown: leaf.chunk.measure() };
            assert_eq!(visible, sums.shown.visible, "pieces and content agree");
            assert_eq!(sums, leaf.sums, "the sums of a leaf");
            return sums;
        }
        let inner = self.inner(node);
        assert!(parent.is_none_or(|parent| parent == inner.parent) && inner.level == level, "a node knows its place");
        assert!(inner.children.len() <= FANOUT && inner.children.len() == inner.sums.len(), "a node is not too full");
        let mut total = Sums::default();
        for (child, sums) in inner.children.iter().zip(&inner.sums) {
            assert_eq!(self.check_node(*child, level - 1, Some(node)), *sums, "the sums of a child");
            total += *sums;
        }
        total
    }
}
