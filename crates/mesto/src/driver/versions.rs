//! The texts and lists in memory that views read.
//!
//! A view reads what is durable, and the node works some versions ahead of that. So here are, for each context, the
//! versions from the durable one on, each found by its root: two states of one root are the same state, so a view can
//! never get another version's.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mesto_crdt::{RootHash, Sequences};
use mesto_governance::ContextId;
use mesto_node::Version;

/// Most versions of a context, twice as many as batches that wait for the disk. They share what they do not differ in.
const VERSIONS_MAX: usize = 1024;
/// Most contexts. Each has at most what [`mesto_crdt::sequence::SEQUENCES_BYTES_MAX`] allows, and few have texts that
/// are read within some seconds of each other.
const CONTEXTS_MAX: usize = 64;

/// By context.
#[derive(Debug, Default)]
pub(super) struct Versions {
    inside: Mutex<Inside>,
}

/// What a view gets.
pub(super) struct Found {
    pub(super) version: Version,
    pub(super) state: Known,
}

/// What was known when a view came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Known {
    /// Nothing of the context is in memory: perhaps it has no texts.
    Nothing,
    /// The context has texts, but not this version's.
    Context,
    /// The version's.
    Version,
}

#[derive(Debug, Default)]
struct Inside {
    by_context: BTreeMap<ContextId, Kept>,
    /// Counts uses.
    now: u64,
}

#[derive(Debug, Default)]
struct Kept {
    /// The oldest first.
    versions: VecDeque<Version>,
    used: u64,
    is_used: bool,
}

impl Versions {
    /// A new version, not durable yet; or one that is known, with more in memory.
    pub(super) fn keep(&self, context: ContextId, version: Version) {
        let mut inside = self.inside();
        let kept = inside.of(context);
        match kept.versions.iter_mut().find(|known| **known == version) {
            Some(known) if version.sequences.bytes() >= known.sequences.bytes() => *known = version,
            Some(_) => {}
            None => kept.versions.push_back(version),
        }
        if kept.versions.len() > VERSIONS_MAX {
            kept.versions.pop_front();
        }
    }

    /// A version is durable: nobody reads those before it any more.
    pub(super) fn settle(&self, context: &ContextId, root: &RootHash) {
        if let Some(kept) = self.inside().by_context.get_mut(context)
            && let Some(at) = kept.versions.iter().rposition(|version| version.root == *root)
        {
            kept.versions.drain(..at);
        }
    }

    /// What is in memory of a version. Contexts without texts and lists cost nothing here.
    pub(super) fn of(&self, context: &ContextId, root: &RootHash) -> Found {
        let mut inside = self.inside();
        if !inside.by_context.contains_key(context) {
            return Found { version: Version { root: *root, sequences: Sequences::new() }, state: Known::Nothing };
        }
        let kept = inside.of(*context);
        kept.is_used = true;
        if let Some(version) = kept.versions.iter().find(|version| version.root == *root) {
            return Found { version: version.clone(), state: Known::Version };
        }
        let version = Version { root: *root, sequences: Sequences::new() };
        kept.put_first(version.clone());
        Found { version, state: Known::Context }
    }

    /// A view loaded what it needed of a version.
    pub(super) fn loaded(&self, context: ContextId, version: Version) {
        let mut inside = self.inside();
        let kept = inside.of(context);
        kept.is_used = true;
        if !kept.versions.contains(&version) {
            kept.put_first(version);
        }
    }

    /// Nothing was written for a while: what was not read either may go.
    pub(super) fn cool(&self, context: &ContextId) {
        let mut inside = self.inside();
        if let Some(kept) = inside.by_context.get_mut(context)
            && !std::mem::take(&mut kept.is_used)
        {
            inside.by_context.remove(context);
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// A version that a view found: older than all that the node told of, so it is the first to go.
    fn put_first(&mut self, version: Version) {
        // One that nobody has read anything of is of no use.
        self.versions.pop_front_if(|first| first.sequences.is_empty());
        self.versions.push_front(version);
        self.versions.truncate(VERSIONS_MAX);
    }
}

impl Inside {
    /// Of a context; the one that was longest unused gives way.
    fn of(&mut self, context: ContextId) -> &mut Kept {
        self.now += 1;
        let now = self.now;
        if self.by_context.len() >= CONTEXTS_MAX && !self.by_context.contains_key(&context) {
            let oldest = self.by_context.iter().min_by_key(|(_, kept)| kept.used).map(|(context, _)| *context);
            oldest.and_then(|oldest| self.by_context.remove(&oldest));
        }
        let kept = self.by_context.entry(context).or_default();
        kept.used = now;
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesto_crdt::{Author, Draft, DraftLimits, Kind, MemoryState, WithSequences};

    fn context(n: u8) -> ContextId {
        ContextId::from_bytes([n; 32])
    }

    fn root(n: u8) -> RootHash {
        RootHash([n; 32])
    }

    fn version(n: u8) -> Version {
        Version { root: root(n), sequences: loaded() }
    }

    /// Of an empty state in which a text was looked at.
    fn loaded() -> Sequences {
        let state = WithSequences { read: MemoryState::new(), sequences: Sequences::new() };
        let sequences = state.sequences.clone();
        let mut draft = Draft::new(state, Author([1; 32]), DraftLimits::default());
        let text = draft.open_root("text", Kind::Text).expect("opens");
        draft.text_read(text).expect("reads");
        sequences
    }

    #[test]
    fn a_view_gets_what_is_in_memory_of_its_very_version() {
        let versions = Versions::default();
        versions.keep(context(1), version(1));
        versions.keep(context(1), version(2));
        assert_eq!(versions.of(&context(1), &root(1)).version.sequences.len(), 1);
        assert_eq!(versions.of(&context(1), &root(2)).version.sequences.len(), 1);
        assert_eq!(versions.of(&context(1), &root(3)).version.sequences.len(), 0);
        assert_eq!(versions.of(&context(2), &root(1)).version.sequences.len(), 0);
        versions.settle(&context(1), &root(2));
        assert_eq!(
            versions.of(&context(1), &root(1)).version.sequences.len(),
            0,
            "nobody reads what is older than what is durable"
        );
        assert_eq!(versions.of(&context(1), &root(2)).version.sequences.len(), 1);
    }

    #[test]
    fn what_a_view_loads_is_there_for_the_next() {
        let versions = Versions::default();
        let found = versions.of(&context(1), &root(1));
        assert_eq!((found.state, versions.inside().by_context.len()), (Known::Nothing, 0));
        versions.loaded(context(1), version(1));
        assert_eq!(versions.of(&context(1), &root(1)).version.sequences.len(), 1);
        for n in 2..9 {
            assert_eq!(versions.of(&context(1), &root(n)).state, Known::Context);
        }
        assert_eq!(
            versions.inside().by_context[&context(1)].versions.len(),
            2,
            "versions that nobody read are not gathered"
        );
    }

    #[test]
    fn what_nobody_uses_goes() {
        let versions = Versions::default();
        versions.keep(context(1), version(1));
        let _ = versions.of(&context(1), &root(1));
        versions.cool(&context(1));
        assert_eq!(versions.of(&context(1), &root(1)).version.sequences.len(), 1, "it was read a moment ago");
        versions.cool(&context(1));
        versions.cool(&context(1));
        assert_eq!(versions.of(&context(1), &root(1)).version.sequences.len(), 0);
    }

    #[test]
    fn versions_and_contexts_are_bounded() {
        let versions = Versions::default();
        for n in 0..=u8::MAX {
            versions.keep(context(n), version(1));
        }
        assert_eq!(versions.inside().by_context.len(), CONTEXTS_MAX);
        assert_eq!(versions.of(&context(u8::MAX), &root(1)).version.sequences.len(), 1);
        for n in 0..2 * VERSIONS_MAX {
            let mut root = [0; 32];
            root[..8].copy_from_slice(&(n as u64).to_le_bytes());
            versions.keep(context(1), Version { root: RootHash(root), sequences: Sequences::new() });
        }
        assert_eq!(versions.inside().by_context[&context(1)].versions.len(), VERSIONS_MAX);
    }
}
