//! Nodes of the tree and their canonical bytes, which are hashed; [`record`](super::record) tells what is stored.
//!
//! Bucket: `01`, number of entries (1 byte), then each: element id (32), leaf hash (32), ascending by element id.
//! Branch: `02`, a little-endian `u16` whose bit n says that child n exists, then each child in order: hash (32),
//! number of its leaves (`u64` LE). A node's hash covers these bytes, so the counts are as trustworthy as the root.

use crate::hash::Domain;

use super::{ElementId, LeafHash, NodeHash};

/// Children of a branch: one for each nibble.
pub const FANOUT: usize = 16;
/// Most leaves in a bucket. At 16 a bucket is as large as a branch, about 1 KiB, and the
/// tree of n leaves has about n / 10 nodes.
pub const BUCKET_MAX: usize = 16;
/// Nibbles of an element id, hence the depth of the deepest possible bucket.
const DEPTH_MAX: u8 = 64;

const TAG_BUCKET: u8 = 1;
const TAG_BRANCH: u8 = 2;
const HASH_BYTES: usize = 32;
const ENTRY_BYTES: usize = 2 * HASH_BYTES;
const CHILD_BYTES: usize = HASH_BYTES + 8;

/// A node of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// All elements of a small subtree, ascending.
    Bucket(Vec<Entry>),
    /// The children of a larger one.
    Branch(Box<Branch>),
}

/// An element in a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its id.
    pub element: ElementId,
    /// Its hash.
    pub leaf: LeafHash,
}

/// Children by the next nibble of the element id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Branch {
    /// `None` where there is no leaf.
    pub children: [Option<Child>; FANOUT],
}

/// What a branch says of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its hash.
    pub hash: NodeHash,
    /// Leaves in and below it.
    pub leaves: u64,
}

impl Node {
    /// The top node of the empty state.
    pub(crate) fn empty() -> Self {
        Node::Bucket(Vec::new())
    }

    /// Leaves in and below it.
    pub fn leaves(&self) -> u64 {
        match self {
            Node::Bucket(entries) => entries.len() as u64,
            Node::Branch(branch) => branch.leaves(),
        }
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Node::Bucket(entries) => {
                let mut bytes = Vec::with_capacity(2 + entries.len() * ENTRY_BYTES);
                bytes.extend([TAG_BUCKET, entries.len() as u8]);
                encode_entries(entries, &mut bytes);
                bytes
            }
            Node::Branch(branch) => {
                let mut bytes = Vec::with_capacity(3 + FANOUT * CHILD_BYTES);
                bytes.push(TAG_BRANCH);
                bytes.extend_from_slice(&branch.bitmap().to_le_bytes());
                for child in branch.children.iter().flatten() {
                    bytes.extend_from_slice(&child.hash.0);
                    bytes.extend_from_slice(&child.leaves.to_le_bytes());
                }
                bytes
            }
        }
    }

    /// Reads a node; `None` if the bytes are not canonical.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [TAG_BUCKET, len, rest @ ..] => decode_bucket(usize::from(*len), rest),
            [TAG_BRANCH, low, high, rest @ ..] => decode_branch(u16::from_le_bytes([*low, *high]), rest),
            _ => None,
        }
    }

    /// The hash of its bytes.
    pub fn hash(&self) -> NodeHash {
        NodeHash(Domain::TreeNode.hash(&[&self.encode()]))
    }
}

impl Branch {
    /// Leaves below it.
    pub fn leaves(&self) -> u64 {
        let counts = self.children.iter().flatten().map(|child| child.leaves);
        counts.fold(0, u64::saturating_add)
    }

    fn bitmap(&self) -> u16 {
        let present = self.children.iter().enumerate().filter(|(_, child)| child.is_some());
        present.fold(0, |bits, (nibble, _)| bits | 1 << nibble)
    }
}

/// Appends the entries of a bucket.
pub(super) fn encode_entries(entries: &[Entry], bytes: &mut Vec<u8>) {
    for entry in entries {
        bytes.extend_from_slice(&entry.element.0);
        bytes.extend_from_slice(&entry.leaf.0);
    }
}

/// Reads what [`encode_entries`] wrote; `None` if they are not ascending or too many for a bucket.
pub(super) fn decode_entries(bytes: &[u8]) -> Option<Vec<Entry>> {
    if bytes.len() > BUCKET_MAX * ENTRY_BYTES || !bytes.len().is_multiple_of(ENTRY_BYTES) {
        return None;
    }
    let entries: Vec<Entry> = bytes
        .chunks_exact(ENTRY_BYTES)
        .map(|chunk| {
            let (element, leaf) = chunk.split_first_chunk::<HASH_BYTES>()?;
            let leaf = LeafHash(*leaf.first_chunk::<HASH_BYTES>()?);
            Some(Entry { element: ElementId(*element), leaf })
        })
        .collect::<Option<_>>()?;
    entries.is_sorted_by(|a, b| a.element < b.element).then_some(entries)
}

fn decode_bucket(len: usize, bytes: &[u8]) -> Option<Node> {
    if bytes.len() != len * ENTRY_BYTES {
        return None;
    }
    decode_entries(bytes).map(Node::Bucket)
}

fn decode_branch(bitmap: u16, bytes: &[u8]) -> Option<Node> {
    if bytes.len() != bitmap.count_ones() as usize * CHILD_BYTES {
        return None;
    }
    let mut branch = Branch::default();
    let mut chunks = bytes.chunks_exact(CHILD_BYTES);
    for (nibble, child) in branch.children.iter_mut().enumerate() {
        if bitmap >> nibble & 1 == 1 {
            let (hash, leaves) = chunks.next()?.split_first_chunk::<HASH_BYTES>()?;
            let leaves = u64::from_le_bytes(*leaves.first_chunk()?);
            if leaves == 0 {
                return None;
            }
            *child = Some(Child { hash: NodeHash(*hash), leaves });
        }
    }
    let large = branch.leaves() > BUCKET_MAX as u64;
    large.then(|| Node::Branch(Box::new(branch)))
}

/// The way from the top to a node: the first nibbles of all element ids below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    depth: u8,
    /// Two nibbles a byte, the earlier one high; zero after `depth` nibbles.
    packed: [u8; HASH_BYTES],
}

impl Path {
    /// The top node's.
    pub const TOP: Path = Path { depth: 0, packed: [0; HASH_BYTES] };

    /// How many nibbles.
    pub const fn depth(&self) -> u8 {
        self.depth
    }

    /// Whether nothing can be below it.
    pub const fn is_deepest(&self) -> bool {
        self.depth >= DEPTH_MAX
    }

    /// The path to the child at `nibble` (only its low four bits count); `None` below the deepest level.
    pub fn child(mut self, nibble: u8) -> Option<Path> {
        if self.is_deepest() {
            return None;
        }
        let shift = if self.depth.is_multiple_of(2) { 4 } else { 0 };
        *self.packed.get_mut(usize::from(self.depth / 2))? |= (nibble & 0xf) << shift;
        self.depth += 1;
        Some(self)
    }

    /// The key in the store: the depth, then the nibbles, two a byte.
    pub fn key(&self) -> Vec<u8> {
        let packed = self.packed.iter().take(usize::from(self.depth).div_ceil(2));
        std::iter::once(&self.depth).chain(packed).copied().collect()
    }

    /// Where the keys of the children of the node at this path lie: all with a prefix that come after a key, if one is
    /// given, and before those of the next branch; `None` at the deepest level.
    pub(super) fn children_keys(&self) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        let mut prefix = self.child(0)?.key();
        let first = prefix.pop()?;
        // The cousin before the first child: keys of one depth are equally long.
        let after = first.checked_sub(1).map(|before| [prefix.as_slice(), &[before]].concat());
        Some((prefix, after))
    }

    /// Which child of the node at this path has this key; `None` if it is another node's.
    pub(super) fn nibble_of_child(&self, key: &[u8]) -> Option<u8> {
        let last = *key.last()?;
        let nibble = if self.depth.is_multiple_of(2) { last >> 4 } else { last & 0xf };
        (self.child(nibble)?.key() == key).then_some(nibble)
    }

    /// Which child of the node at this path `element` is below; `None` at the deepest level.
    pub(crate) fn nibble_of(&self, element: ElementId) -> Option<u8> {
        let byte = element.0.get(usize::from(self.depth / 2))?;
        Some(if self.depth.is_multiple_of(2) { byte >> 4 } else { byte & 0xf })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(byte: u8) -> Entry {
        Entry { element: ElementId([byte; 32]), leaf: LeafHash([byte; 32]) }
    }

    #[test]
    fn a_node_has_one_encoding() {
        let bucket = Node::Bucket(vec![entry(1), entry(2)]);
        let mut branch = Branch::default();
        branch.children[0] = Some(Child { hash: NodeHash([1; 32]), leaves: 16 });
        branch.children[15] = Some(Child { hash: NodeHash([2; 32]), leaves: 1 });
        for node in [Node::empty(), bucket, Node::Branch(Box::new(branch.clone()))] {
            let bytes = node.encode();
            assert_eq!(Node::decode(&bytes), Some(node));
            assert_eq!(Node::decode(&[bytes.as_slice(), &[0]].concat()), None);
            assert_eq!(Node::decode(&bytes[..bytes.len() - 1]), None);
        }
        let unsorted = Node::Bucket(vec![entry(2), entry(1)]);
        assert_eq!(Node::decode(&unsorted.encode()), None);
        branch.children[15] = None;
        assert_eq!(Node::decode(&Node::Branch(Box::new(branch)).encode()), None, "too small");
    }

    #[test]
    fn paths_follow_the_nibbles_of_an_element() {
        let element = ElementId(std::array::from_fn(|i| i as u8 ^ 0xa5));
        let mut path = Path::TOP;
        while let Some(nibble) = path.nibble_of(element) {
            path = path.child(nibble).expect("not at the deepest level");
        }
        assert_eq!(path.depth(), DEPTH_MAX);
        assert_eq!(path.packed, element.0);
        assert_eq!(path.child(0), None);
        assert_eq!(Path::TOP.key(), [0]);
        let path = Path::TOP.child(0xa).and_then(|p| p.child(0xb)).and_then(|p| p.child(0xc));
        assert_eq!(path.map(|p| p.key()), Some(vec![3, 0xab, 0xc0]));
    }

    #[test]
    fn the_keys_of_children_lie_side_by_side() {
        let path =
            |nibbles: &[u8]| nibbles.iter().try_fold(Path::TOP, |path, nibble| path.child(*nibble)).expect("short");
        assert_eq!(path(&[]).children_keys(), Some((vec![1], None)));
        assert_eq!(path(&[0]).children_keys(), Some((vec![2], None)));
        assert_eq!(path(&[2]).children_keys(), Some((vec![2], Some(vec![2, 0x1f]))));
        assert_eq!(path(&[2, 3]).children_keys(), Some((vec![3, 0x23], None)));
        for of in [path(&[2]), path(&[2, 3])] {
            for nibble in 0..16 {
                let child = of.child(nibble).expect("short");
                assert_eq!(of.nibble_of_child(&child.key()), Some(nibble));
                assert_eq!(path(&[3]).nibble_of_child(&child.key()), None);
            }
        }
        assert_eq!(path(&[5; 64]).children_keys(), None);
    }
}
