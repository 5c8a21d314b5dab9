//! The state tree: a hash trie over the leaves, whose root names the state.
//!
//! An element's id is the hash of its leaf key; the trie branches on the id's nibbles, most significant
//! first. A subtree of at most [`BUCKET_MAX`] leaves is one bucket, any greater one is a branch. So shape and
//! root are a function of the set of leaves alone, also after deletions. Hashed ids keep the tree balanced:
//! whoever wants 17 of them to share k nibbles must try 16^k keys for each.
//!
//! Each node has a record under its path ([`Path::key`]), the top node under [`ROOT_KEY`]: its hash, the number of its
//! leaves and, if it is a bucket, its entries. A branch is read from the records of its children, which lie side by
//! side. Nodes load when a change needs them.

mod node;
mod record;
mod update;

use std::collections::BTreeMap;
use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::hash::Domain;
use crate::id::base32_text;
use crate::read::{Read, Space};

pub use node::{BUCKET_MAX, Branch, Child, Entry, FANOUT, Node, Path};
pub(crate) use update::{Change, update};

/// Where the top node's record is stored in [`Space::Node`]. Keys of others begin with their depth, at most 64.
pub const ROOT_KEY: [u8; 1] = [0xff];

/// Nodes deeper than this are not cached. All above it are 1 + 16 + 256 + 4096 nodes, which
/// bounds the cache; of a state of a million leaves they are four of the five or six levels.
pub const CACHED_DEPTH_MAX: u8 = 3;

/// Leaves read at a time where all are visited: large enough to make the store's seek negligible, and
/// bounded in memory by the largest leaves.
const LEAVES_PAGE: usize = 32;

/// The hash of a state: of the top node of its tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct RootHash(pub [u8; 32]);
base32_text!(RootHash);

/// The hash of a node: BLAKE3 of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct NodeHash(pub [u8; 32]);
base32_text!(NodeHash);

/// Where an element sits in the tree: BLAKE3 of its leaf key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct ElementId(pub [u8; 32]);
base32_text!(ElementId);

/// The hash of an element: BLAKE3 of its id and its leaf's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct LeafHash(pub [u8; 32]);
base32_text!(LeafHash);

/// The stored tree is not one that this crate wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state tree is corrupt at key {}", data_encoding::HEXLOWER.encode(key))]
pub struct CorruptTree {
    /// The key in [`Space::Node`].
    pub key: Vec<u8>,
}

impl RootHash {
    /// The root of the empty state: the hash of a bucket without entries.
    pub fn empty() -> Self {
        Node::empty().hash().into()
    }
}

impl From<NodeHash> for RootHash {
    fn from(hash: NodeHash) -> Self {
        Self(hash.0)
    }
}

impl ElementId {
    /// The id of the element whose leaf is stored under `leaf_key`.
    pub fn of(leaf_key: &[u8]) -> Self {
        Self(Domain::Element.hash(&[leaf_key]))
    }
}

impl LeafHash {
    /// The hash of an element with the leaf `bytes`.
    pub fn of(element: ElementId, bytes: &[u8]) -> Self {
        Self(Domain::Leaf.hash(&[&element.0, bytes]))
    }
}

/// What the top node's record says: its hash and the number of leaves. Absent for the empty state.
pub(crate) fn load_root(read: &dyn Read) -> Result<Child, CorruptTree> {
    Ok(record::child(read, &Path::TOP)?.unwrap_or_else(|| Child { hash: Node::empty().hash(), leaves: 0 }))
}

/// The root of the state, read from the store in one step.
///
/// # Errors
/// [`CorruptTree`] if the record is malformed.
pub fn root(read: &dyn Read) -> Result<RootHash, CorruptTree> {
    Ok(load_root(read)?.hash.into())
}

/// The number of leaves of the state.
///
/// # Errors
/// [`CorruptTree`] if the record is malformed.
pub fn leaf_count(read: &dyn Read) -> Result<u64, CorruptTree> {
    Ok(load_root(read)?.leaves)
}

/// The stored node at `path`, to compare states or to serve them; `None` if the tree has none there.
///
/// # Errors
/// [`CorruptTree`] if its records are not ones that this crate writes.
pub fn node(read: &dyn Read, path: &Path) -> Result<Option<Node>, CorruptTree> {
    match record::child(read, path)? {
        Some(known) => record::load(read, path, known).map(Some),
        None => Ok(None),
    }
}

/// The root computed from the leaves alone, without any stored node: what [`root`] must equal. Visits the
/// whole state, and holds 64 bytes for each leaf.
pub fn recomputed_root(read: &dyn Read) -> RootHash {
    let mut entries = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = read.scan(Space::Leaf, &[], after.as_deref(), LEAVES_PAGE);
        for (key, bytes) in &page {
            let element = ElementId::of(key);
            entries.push(Entry { element, leaf: LeafHash::of(element, bytes) });
        }
        match page.into_iter().next_back() {
            Some((last, _)) => after = Some(last),
            None => break,
        }
    }
    entries.sort_unstable();
    update::root_of(&Path::TOP, entries).into()
}

/// The upper nodes of one state's tree, so that commits need not read and decode them again.
///
/// It cannot be wrong: a node is used only if its hash is the one that its parent names, so a commit that was
/// abandoned, or a view of another version, costs misses and nothing else.
#[derive(Default)]
pub struct TreeCache {
    nodes: BTreeMap<Path, (NodeHash, Node)>,
}

impl TreeCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many nodes it holds.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Forgets everything, for instance when the context has been idle.
    pub fn clear(&mut self) {
        self.nodes.clear();
    }

    /// Takes the node out, to be changed and put back.
    fn take(&mut self, path: &Path, hash: NodeHash) -> Option<Node> {
        if path.depth() > CACHED_DEPTH_MAX {
            return None;
        }
        self.nodes.remove(path).filter(|(cached, _)| *cached == hash).map(|(_, node)| node)
    }

    fn put(&mut self, path: Path, hash: NodeHash, node: Node) {
        if path.depth() <= CACHED_DEPTH_MAX {
            self.nodes.insert(path, (hash, node));
        }
    }
}

impl fmt::Debug for TreeCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TreeCache").field("nodes", &self.nodes.len()).finish()
    }
}
