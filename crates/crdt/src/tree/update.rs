//! Changing a batch of leaves: touched paths are loaded, changed and re-hashed once each.

use std::collections::BTreeMap;

use crate::read::{Read, Space, Write};

use super::node::{BUCKET_MAX, Branch, Child, Entry, Node, Path};
use super::{CorruptTree, ElementId, LeafHash, NodeHash, TreeCache, record};

/// The new hash of an element, or its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) element: ElementId,
    pub(crate) leaf: Option<LeafHash>,
}

/// The tree after a batch.
pub(crate) struct Updated {
    pub(crate) root: Child,
    pub(crate) writes: Vec<Write>,
}

/// Applies `changes`, strictly ascending by element, to the stored tree.
pub(crate) fn update(read: &dyn Read, cache: &mut TreeCache, changes: &[Change]) -> Result<Updated, CorruptTree> {
    let before = super::load_root(read)?;
    if changes.is_empty() {
        return Ok(Updated { root: before, writes: Vec::new() });
    }
    let mut trie = Trie { read, cache, written: BTreeMap::new() };
    let top = match before.leaves {
        0 => Node::empty(),
        _ => trie.load(&Path::TOP, before)?,
    };
    let top = trie.change(&Path::TOP, top, changes)?;
    let leaves = top.leaves();
    let hash = if leaves == 0 {
        trie.delete(Path::TOP);
        top.hash()
    } else {
        trie.store(Path::TOP, top)
    };
    let write = |(path, value)| Write { space: Space::Node, key: record::key(&path), value };
    let writes = trie.written.into_iter().map(write).collect();
    Ok(Updated { root: Child { hash, leaves }, writes })
}

/// The hash of the tree of `entries`, ascending, below `path`.
pub(super) fn root_of(path: &Path, entries: Vec<Entry>) -> NodeHash {
    let mut discard = |_, node: Node| node.hash();
    build(path, entries, &mut discard).hash()
}

/// The canonical node of `entries`, ascending, at `path`; what is below it goes to `store`, which returns its hash.
fn build(path: &Path, entries: Vec<Entry>, store: &mut dyn FnMut(Path, Node) -> NodeHash) -> Node {
    if entries.len() <= BUCKET_MAX {
        return Node::Bucket(entries);
    }
    let mut branch = Branch::default();
    for group in entries.chunk_by(|a, b| path.nibble_of(a.element) == path.nibble_of(b.element)) {
        let (child_path, slot) = descend(path, &mut branch, group[0].element);
        let child = build(&child_path, group.to_vec(), store);
        let leaves = child.leaves();
        *slot = Some(Child { hash: store(child_path, child), leaves });
    }
    Node::Branch(Box::new(branch))
}

/// The way on from the branch at `path` to `element`.
fn descend<'b>(path: &Path, branch: &'b mut Branch, element: ElementId) -> (Path, &'b mut Option<Child>) {
    path.nibble_of(element)
        .and_then(|nibble| Some((path.child(nibble)?, branch.children.get_mut(usize::from(nibble))?)))
        .expect("INVARIANT: two element ids differ within 64 nibbles, so no branch is deeper")
}

/// The tree while it changes.
struct Trie<'a> {
    read: &'a dyn Read,
    cache: &'a mut TreeCache,
    written: BTreeMap<Path, Option<Vec<u8>>>,
}

impl Trie<'_> {
    /// The node at `path` after `changes`, all of which are below it. Stores what is below, not the node itself.
    fn change(&mut self, path: &Path, node: Node, changes: &[Change]) -> Result<Node, CorruptTree> {
        match node {
            Node::Bucket(entries) => {
                let entries = merge(&entries, changes);
                Ok(build(path, entries, &mut |path, node| self.store(path, node)))
            }
            Node::Branch(branch) => self.change_branch(path, *branch, changes),
        }
    }

    fn change_branch(&mut self, path: &Path, mut branch: Branch, changes: &[Change]) -> Result<Node, CorruptTree> {
        let mut changed: BTreeMap<Path, Node> = BTreeMap::new();
        for group in changes.chunk_by(|a, b| path.nibble_of(a.element) == path.nibble_of(b.element)) {
            let (child_path, slot) = descend(path, &mut branch, group[0].element);
            let child = match slot.take() {
                Some(child) => self.load(&child_path, child)?,
                None => Node::empty(),
            };
            changed.insert(child_path, self.change(&child_path, child, group)?);
        }
        let leaves = branch.leaves() + changed.values().map(Node::leaves).sum::<u64>();
        if leaves <= BUCKET_MAX as u64 {
            return self.collapse(path, &branch, changed);
        }
        for (nibble, slot) in (0u8..).zip(&mut branch.children) {
            let Some(child_path) = path.child(nibble) else {
                break;
            };
            match changed.remove(&child_path) {
                Some(child) if child.leaves() > 0 => {
                    let leaves = child.leaves();
                    *slot = Some(Child { hash: self.store(child_path, child), leaves });
                }
                Some(_) => self.delete(child_path),
                None => {}
            }
        }
        Ok(Node::Branch(Box::new(branch)))
    }

    /// The bucket that a branch becomes when few leaves are left; its children are buckets too. `branch` has
    /// those that did not change.
    fn collapse(
        &mut self,
        path: &Path,
        branch: &Branch,
        mut changed: BTreeMap<Path, Node>,
    ) -> Result<Node, CorruptTree> {
        let mut entries = Vec::new();
        for (nibble, slot) in (0u8..).zip(&branch.children) {
            let Some(child_path) = path.child(nibble) else {
                break;
            };
            let child = match (changed.remove(&child_path), slot) {
                (Some(child), _) => child,
                (None, Some(child)) => self.load(&child_path, *child)?,
                (None, None) => continue,
            };
            match child {
                Node::Bucket(bucket) => entries.extend(bucket),
                Node::Branch(_) => {
                    return Err(CorruptTree { key: child_path.key() });
                }
            }
            self.delete(child_path);
        }
        Ok(Node::Bucket(entries))
    }

    fn load(&mut self, path: &Path, known: Child) -> Result<Node, CorruptTree> {
        match self.cache.take(path, known.hash) {
            Some(node) => Ok(node),
            None => record::load(self.read, path, known),
        }
    }

    fn store(&mut self, path: Path, node: Node) -> NodeHash {
        let hash = node.hash();
        self.written.insert(path, Some(record::encode(hash, &node)));
        self.cache.put(path, hash, node);
        hash
    }

    fn delete(&mut self, path: Path) {
        self.written.insert(path, None);
    }
}

/// The entries of a bucket after `changes`; both are ascending.
fn merge(entries: &[Entry], changes: &[Change]) -> Vec<Entry> {
    let mut merged = Vec::with_capacity(entries.len() + changes.len());
    let mut old = entries.iter().peekable();
    for change in changes {
        while let Some(entry) = old.next_if(|entry| entry.element < change.element) {
            merged.push(*entry);
        }
        old.next_if(|entry| entry.element == change.element);
        merged.extend(change.leaf.map(|leaf| Entry { element: change.element, leaf }));
    }
    merged.extend(old);
    merged
}
