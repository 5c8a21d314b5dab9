//! A sequence from its leaves.

use super::span::{SequenceKey, deleted_prefix, spans_prefix};
use super::{Mint, Sequence, SequenceError, Spans, Stretch};
use crate::clock::Hlc;
use crate::id::{CollectionId, DeltaId, Kind};
use crate::leaf::{CorruptLeaf, Leaf};
use crate::read::{Read, Space};

/// Leaves read at a time: many, as most hold a keystroke, and few enough that those that hold a pasted page fit memory.
const PAGE: usize = 128;

/// Why a sequence cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A stored leaf is not ours.
    #[error(transparent)]
    CorruptLeaf(#[from] CorruptLeaf),
    /// The leaves do not fit together.
    #[error("the leaves of sequence {collection} do not fit together: {error}")]
    Sequence {
        /// Which.
        collection: CollectionId,
        /// The rule.
        error: SequenceError,
    },
}

impl Sequence {
    /// The text or list that the stored leaves of `collection` make.
    ///
    /// # Errors
    /// [`LoadError`] if the store is corrupt, or the sequence too long.
    pub fn load(read: &dyn Read, collection: CollectionId) -> Result<Self, LoadError> {
        let mut sequence = Sequence::new(collection.kind().unwrap_or(Kind::List));
        let mut spans = Leaves::new(read, spans_prefix(collection));
        let mut deleted = Leaves::new(read, deleted_prefix(collection));
        // Both are in order of the mints, so one walk along each is enough.
        let mut pending = deleted.next_deleted()?;
        let mut at_stamp: (Hlc, Vec<DeltaId>) = (Hlc::ZERO, Vec::new());
        while let Some((mint, inserted)) = spans.next_spans()? {
            let mut gone = Vec::new();
            while let Some((of, stretches)) = pending.take_if(|(of, _)| *of <= mint) {
                if of == mint {
                    gone.extend(stretches);
                }
                pending = deleted.next_deleted()?;
            }
            if at_stamp.0 != mint.stamp {
                at_stamp = (mint.stamp, Vec::new());
            }
            let others = |_| at_stamp.1.clone();
            sequence
                .insert_but(mint, &inserted, &gone, &others)
                .map_err(|error| LoadError::Sequence { collection, error })?;
            at_stamp.1.push(mint.delta);
        }
        Ok(sequence)
    }
}

/// Walks along the leaves with one prefix.
struct Leaves<'a> {
    read: &'a dyn Read,
    prefix: Vec<u8>,
    page: std::vec::IntoIter<(Vec<u8>, Vec<u8>)>,
    last: Option<Vec<u8>>,
}

impl<'a> Leaves<'a> {
    fn new(read: &'a dyn Read, prefix: Vec<u8>) -> Self {
        Self { read, prefix, page: Vec::new().into_iter(), last: None }
    }

    fn next_spans(&mut self) -> Result<Option<(Mint, Spans)>, CorruptLeaf> {
        let Some((key, bytes)) = self.next() else { return Ok(None) };
        match (parse(&key), Leaf::decode(&key, &bytes)?) {
            (Some(SequenceKey::Spans(mint)), Leaf::Spans(spans)) => Ok(Some((mint, spans))),
            (_, Leaf::Spans(_) | Leaf::Deleted(_) | Leaf::Values(_) | Leaf::Slot(_)) => Err(CorruptLeaf { key }),
        }
    }

    fn next_deleted(&mut self) -> Result<Option<(Mint, Vec<Stretch>)>, CorruptLeaf> {
        let Some((key, bytes)) = self.next() else { return Ok(None) };
        match (parse(&key), Leaf::decode(&key, &bytes)?) {
            (Some(SequenceKey::Deleted { mint, .. }), Leaf::Deleted(stretches)) => Ok(Some((mint, stretches))),
            (_, Leaf::Spans(_) | Leaf::Deleted(_) | Leaf::Values(_) | Leaf::Slot(_)) => Err(CorruptLeaf { key }),
        }
    }

    fn next(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        if let Some(pair) = self.page.next() {
            return Some(pair);
        }
        let page = self.read.scan(Space::Leaf, &self.prefix, self.last.as_deref(), PAGE);
        self.last = page.last().map(|(key, _)| key.clone()).or(self.last.take());
        self.page = page.into_iter();
        self.page.next()
    }
}

fn parse(key: &[u8]) -> Option<SequenceKey> {
    key.get(size_of::<CollectionId>()..).and_then(SequenceKey::parse)
}
