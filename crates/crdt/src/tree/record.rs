//! How nodes are stored.
//!
//! Each node has one record: what its parent says of it, and if it is a bucket, its entries. A branch has nothing
//! else to store, because its children's records, which lie side by side, are what it is made of. So a change writes
//! 40 bytes for each branch on its way and not the whole branch, of which a sixteenth changed.
//!
//! Record: the node's hash (32), its number of leaves (`u64` LE), then of a bucket each entry: element id (32), leaf
//! hash (32), ascending by element id. A node with at most [`BUCKET_MAX`] leaves is a bucket, any other a branch.

use crate::read::{Read, Space};

use super::node::{BUCKET_MAX, Branch, Child, FANOUT, Node, Path, decode_entries, encode_entries};
use super::{CorruptTree, NodeHash, ROOT_KEY};

const CHILD_BYTES: usize = 32 + 8;

/// The key of the record of the node at `path`.
pub(super) fn key(path: &Path) -> Vec<u8> {
    if *path == Path::TOP { ROOT_KEY.to_vec() } else { path.key() }
}

/// The record of `node`, whose hash is known.
pub(super) fn encode(hash: NodeHash, node: &Node) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Node::Bucket(entries) = node {
        bytes.reserve_exact(CHILD_BYTES + 64 * entries.len());
    }
    bytes.extend_from_slice(&hash.0);
    bytes.extend_from_slice(&node.leaves().to_le_bytes());
    if let Node::Bucket(entries) = node {
        encode_entries(entries, &mut bytes);
    }
    bytes
}

/// What the record at `path` says of its node; `None` if there is no node.
pub(super) fn child(read: &dyn Read, path: &Path) -> Result<Option<Child>, CorruptTree> {
    let key = key(path);
    match read.get(Space::Node, &key) {
        Some(bytes) => split(&bytes).map(|(child, _)| Some(child)).ok_or(CorruptTree { key }),
        None => Ok(None),
    }
}

/// The node at `path`, of which its parent's branch says `known`.
pub(super) fn load(read: &dyn Read, path: &Path, known: Child) -> Result<Node, CorruptTree> {
    let node = if known.leaves <= BUCKET_MAX as u64 { bucket(read, path) } else { branch(read, path) };
    node.filter(|node| node.leaves() == known.leaves).ok_or_else(|| CorruptTree { key: key(path) })
}

fn bucket(read: &dyn Read, path: &Path) -> Option<Node> {
    let bytes = read.get(Space::Node, &key(path))?;
    let (_, entries) = split(&bytes)?;
    decode_entries(entries).map(Node::Bucket)
}

fn branch(read: &dyn Read, path: &Path) -> Option<Node> {
    let (prefix, after) = path.children_keys()?;
    let mut branch = Branch::default();
    for (key, bytes) in read.scan(Space::Node, &prefix, after.as_deref(), FANOUT) {
        // Behind the last child lie those of the next branch.
        let Some(nibble) = path.nibble_of_child(&key) else { break };
        *branch.children.get_mut(usize::from(nibble))? = Some(split(&bytes)?.0);
    }
    Some(Node::Branch(Box::new(branch)))
}

/// A record's child, and the entries if it is a bucket; `None` if its length or its number of leaves is not one that
/// is ever written.
fn split(bytes: &[u8]) -> Option<(Child, &[u8])> {
    let (hash, rest) = bytes.split_first_chunk::<32>()?;
    let (leaves, entries) = rest.split_first_chunk::<8>()?;
    let leaves = u64::from_le_bytes(*leaves);
    let entries_len = if leaves <= BUCKET_MAX as u64 { 64 * usize::try_from(leaves).ok()? } else { 0 };
    let is_sound = leaves > 0 && entries.len() == entries_len;
    is_sound.then_some((Child { hash: NodeHash(*hash), leaves }, entries))
}
