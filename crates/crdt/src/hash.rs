//! Hashing with domain separation: BLAKE3 in its key derivation mode, one context string for each purpose.

use blake3::hazmat::{ContextKey, HasherExt};

/// What is hashed. The context string is part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    Collection,
    Element,
    Leaf,
    TreeNode,
}

impl Domain {
    /// `hash_derive_key_context(context string)`, spelled out: a context key costs as much as the hash of a leaf,
    /// and a commit takes a dozen.
    fn key(self) -> &'static ContextKey {
        match self {
            Domain::Collection => &COLLECTION,
            Domain::Element => &ELEMENT,
            Domain::Leaf => &LEAF,
            Domain::TreeNode => &TREE_NODE,
        }
    }

    /// The hash of the concatenated `parts`. Callers see to it that the parts cannot be split otherwise.
    pub(crate) fn hash(self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_from_context_key(self.key());
        for part in parts {
            hasher.update(part);
        }
        *hasher.finalize().as_bytes()
    }
}

const COLLECTION: ContextKey = [
    0xcb, 0xa1, 0x5f, 0x5c, 0x1c, 0x3a, 0x30, 0xeb, 0xf3, 0x5f, 0x30, 0xb5, 0x00, 0xd4, 0xb8, 0x7d, 0xba, 0x6c, 0x2d,
    0xbe, 0x6e, 0xe2, 0x73, 0xc9, 0xb2, 0xad, 0xe3, 0x2c, 0x6b, 0x6d, 0x6b, 0x3c,
];
const ELEMENT: ContextKey = [
    0x65, 0xef, 0x0b, 0x30, 0x60, 0xbf, 0xa4, 0xff, 0xa1, 0xec, 0x75, 0xfa, 0xa4, 0x3b, 0xa9, 0x2e, 0xb9, 0x92, 0x8c,
    0xf5, 0x94, 0xfe, 0x33, 0x24, 0x38, 0x57, 0xe4, 0x37, 0xf7, 0xf5, 0xc3, 0x9f,
];
const LEAF: ContextKey = [
    0x16, 0x59, 0x11, 0x39, 0x5d, 0xff, 0x1f, 0x82, 0x12, 0xa0, 0xc3, 0x95, 0xe2, 0xb6, 0xd1, 0x15, 0x85, 0x8c, 0x46,
    0x02, 0x15, 0xa1, 0x15, 0xa2, 0xb0, 0xf5, 0xce, 0x91, 0xcb, 0xb1, 0xc8, 0x59,
];
const TREE_NODE: ContextKey = [
    0x63, 0xc9, 0x87, 0x74, 0xcb, 0x9c, 0x78, 0x1f, 0xc6, 0x99, 0x50, 0x45, 0x50, 0x04, 0x59, 0x57, 0x31, 0xe7, 0x42,
    0x0e, 0xa0, 0xdb, 0xf2, 0xe0, 0xc1, 0x51, 0xd2, 0xda, 0x7d, 0x6b, 0xb2, 0x2f,
];

#[cfg(test)]
mod tests {
    use super::*;
    use blake3::hazmat::hash_derive_key_context;

    #[test]
    fn context_keys_are_those_of_the_context_strings() {
        for (domain, context) in [
            (Domain::Collection, "mesto 2026 collection id v1"),
            (Domain::Element, "mesto 2026 element id v1"),
            (Domain::Leaf, "mesto 2026 state leaf v1"),
            (Domain::TreeNode, "mesto 2026 state node v1"),
        ] {
            let expected = hash_derive_key_context(context);
            assert_eq!(*domain.key(), expected, "{domain:?} {context}: {expected:#04x?}");
            assert_eq!(domain.hash(&[b"a", b"b"]), blake3::derive_key(context, b"ab"));
        }
    }
}
