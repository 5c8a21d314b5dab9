//! A sequence from its leaves.

use super::chunk::Chunk;
use super::span::{Element, SequenceKey, deleted_prefix, spans_prefix};
use super::tree::ELEMENTS_MAX;
use super::{Content, Mint, Run, Segment, Sequence, SequenceError, Spans, Stretch, items, stretches};
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
        let mut loading = Loading { sequence: Sequence::new(collection.kind().unwrap_or(Kind::List)), typed: None };
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
            loading
                .take_in(mint, &inserted, &gone, &others)
                .map_err(|error| LoadError::Sequence { collection, error })?;
            at_stamp.1.push(mint.delta);
        }
        loading.place();
        Ok(loading.sequence)
    }
}

/// A sequence that is being loaded.
///
/// People type on where they were, so most deltas continue the one before. As long as that is so they are gathered, and
/// placed as one run: each element is directly after the one before it, on which nothing else can hang yet.
struct Loading {
    sequence: Sequence,
    typed: Option<Typed>,
}

/// Elements side by side that have numbers, and no places yet.
struct Typed {
    first: u32,
    left: Option<u32>,
    right: Option<u32>,
    /// The right origin as it is named.
    right_name: Option<Element>,
    /// The last of them as it is named.
    last: Element,
    segments: Vec<Segment>,
}

impl Loading {
    fn take_in(
        &mut self,
        mint: Mint,
        inserted: &Spans,
        deleted: &[Stretch],
        deltas_at: &dyn Fn(Hlc) -> Vec<DeltaId>,
    ) -> Result<(), SequenceError> {
        let [Run { left, right, content: content @ Content::Text(_) }] = inserted.runs.as_slice() else {
            self.place();
            return self.sequence.insert_but(mint, inserted, deleted, deltas_at);
        };
        let name =
            |anchor| inserted.mint_of(anchor).map(|mint| (*mint, anchor.offset)).ok_or(SequenceError::UnknownAnchor);
        let (left_name, right_name) = (left.map(name).transpose()?, right.map(name).transpose()?);
        let continues = |typed: &Typed| left_name == Some(typed.last) && right_name == typed.right_name;
        if !self.typed.as_ref().is_some_and(continues) {
            self.place();
        }
        let len = inserted.len();
        if u64::from(self.sequence.mints.next_number()) + len > u64::from(ELEMENTS_MAX) {
            return Err(SequenceError::TooLong);
        }
        let first = self.sequence.mints.add(mint, len as u32, deltas_at);
        let is_deleted = |element: u32| stretches::contains(deleted, element - first);
        let segments = items::segments(content, first, &is_deleted);
        let last = (mint, len as u32 - 1);
        if let Some(typed) = &mut self.typed {
            typed.last = last;
            segments.into_iter().for_each(|segment| typed.push(segment));
        } else {
            let left = left.map(|left| self.sequence.number(inserted, left)).transpose()?;
            let right = right.map(|right| self.sequence.number(inserted, right)).transpose()?;
            self.typed = Some(Typed { first, left, right, right_name, last, segments });
        }
        Ok(())
    }

    /// Places what was gathered.
    fn place(&mut self) {
        if let Some(Typed { first, left, right, segments, .. }) = self.typed.take() {
            self.sequence.insert_run(first, left, right, segments);
        }
    }
}

impl Typed {
    fn push(&mut self, segment: Segment) {
        match (self.segments.last_mut(), segment) {
            (Some(Segment { len, content: None }), Segment { len: more, content: None }) => *len += more,
            (
                Some(Segment { len, content: Some(Chunk::Text(text)) }),
                Segment { len: more, content: Some(Chunk::Text(rest)) },
            ) => {
                *len += more;
                text.push_str(&rest);
            }
            (_, segment) => self.segments.push(segment),
        }
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
