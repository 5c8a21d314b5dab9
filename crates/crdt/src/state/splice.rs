//! Splices: what deltas do to texts and lists.
//!
//! The leaves are changed always; the order in memory is changed too if somebody had it loaded, and is never computed
//! for this. So deltas of a text that nobody reads cost no more than those of a map.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{ApplyError, Transaction};
use crate::clock::Hlc;
use crate::id::{CollectionId, DeltaId};
use crate::leaf::{CorruptLeaf, Leaf};
use crate::op::{Delta, Op, OpError};
use crate::read::{Read, Space, with_prefix};
use crate::sequence::span::SequenceKey;
use crate::sequence::{
    CHUNK_ELEMENTS, Deleted, Mint, Sequence, SequenceError, Sequences, Spans, Stretch, deleted_key, spans_key,
    spans_prefix, stretches,
};

/// Leaves read at a time where all spans of a sequence are visited.
const SPANS_PAGE: usize = 128;

/// The sequences that a transaction has changed.
#[derive(Default)]
pub(super) struct Followed {
    /// `None` if the order in memory is not known any more, or never was.
    sequences: BTreeMap<CollectionId, Option<Arc<Sequence>>>,
}

/// One splice of a delta.
#[derive(Clone, Copy)]
pub(super) struct Splice<'s> {
    pub(super) collection: CollectionId,
    pub(super) inserted: &'s Spans,
    pub(super) deleted: &'s Deleted,
}

impl Followed {
    /// Those of the next version.
    pub(super) fn next(self, read: &dyn Read) -> Sequences {
        match read.sequences() {
            Some(sequences) => sequences.next(self.sequences),
            None => Sequences::new(),
        }
    }

    /// Gives the order in memory up, as the leaves are changed otherwise.
    pub(super) fn forget(&mut self, collection: CollectionId) {
        self.sequences.insert(collection, None);
    }

    fn get(&mut self, read: &dyn Read, collection: CollectionId) -> &mut Option<Arc<Sequence>> {
        let load = || read.sequences().and_then(|sequences| sequences.get(collection));
        self.sequences.entry(collection).or_insert_with(load)
    }

    /// Changes the order in memory, if it is known. One that does not take the change in is given up: it will be loaded
    /// again, and that tells what is wrong.
    fn change(
        &mut self,
        read: &dyn Read,
        collection: CollectionId,
        change: impl FnOnce(&mut Sequence) -> Result<(), SequenceError>,
    ) {
        let followed = self.get(read, collection);
        if let Some(sequence) = followed
            && change(Arc::make_mut(sequence)).is_err()
        {
            *followed = None;
        }
    }
}

impl Transaction<'_> {
    /// Whether a delta splices each sequence once, and all elements that it names are in its causal past: a function of
    /// the delta and of its past.
    pub(super) fn check_splices(
        &mut self,
        delta: &Delta<'_>,
        in_past: &dyn Fn(&DeltaId) -> bool,
    ) -> Result<(), ApplyError> {
        let mut spliced = BTreeSet::new();
        for (index, op) in delta.ops.iter().enumerate() {
            let Op::Splice { collection, inserted, deleted } = op else { continue };
            if !spliced.insert(*collection) {
                let error = OpError::SplicedTwice { collection: *collection };
                return Err(ApplyError::Malformed { index, error });
            }
            // The last element that is named of each mint.
            let mut named: BTreeMap<&Mint, u32> = BTreeMap::new();
            for anchor in inserted.anchors() {
                if let Some(mint) = inserted.mint_of(anchor) {
                    let last = named.entry(mint).or_default();
                    *last = anchor.offset.max(*last);
                }
            }
            if let Deleted::Some(of) = deleted {
                for of in of {
                    let last = named.entry(&of.mint).or_default();
                    let end = of.stretches.last().map_or(0, |stretch| stretch.start + (stretch.len - 1));
                    *last = end.max(*last);
                }
            }
            for (mint, offset) in named {
                let is_past = mint.delta != delta.id && in_past(&mint.delta);
                if !is_past || self.minted_len(*collection, mint)?.is_none_or(|len| offset >= len) {
                    let error = OpError::NotInPast { delta: mint.delta, offset };
                    return Err(ApplyError::Malformed { index, error });
                }
            }
        }
        Ok(())
    }

    /// Applies a splice, as far as `wanted` accepts the leaves' keys.
    pub(super) fn splice(
        &mut self,
        delta: &Delta<'_>,
        splice: Splice<'_>,
        in_past: &dyn Fn(&DeltaId) -> bool,
        wanted: &dyn Fn(&[u8]) -> bool,
    ) -> Result<(), ApplyError> {
        let Splice { collection, inserted, deleted } = splice;
        match deleted {
            Deleted::Some(of) => {
                for of in of {
                    self.delete_elements(collection, &of.mint, &of.stretches, wanted)?;
                }
            }
            Deleted::All => {
                for (mint, len) in self.minted(collection)? {
                    if mint.delta != delta.id && in_past(&mint.delta) {
                        self.delete_elements(collection, &mint, &[Stretch { start: 0, len }], wanted)?;
                    }
                }
            }
        }
        self.insert_spans(delta, collection, inserted.clone(), wanted)
    }

    /// Applies what remains of a splice whose delta is void: the places of its elements.
    pub(super) fn splice_void(
        &mut self,
        delta: &Delta<'_>,
        splice: Splice<'_>,
        wanted: &dyn Fn(&[u8]) -> bool,
    ) -> Result<(), ApplyError> {
        self.insert_spans(delta, splice.collection, splice.inserted.gone(), wanted)
    }

    fn insert_spans(
        &mut self,
        delta: &Delta<'_>,
        collection: CollectionId,
        spans: Spans,
        wanted: &dyn Fn(&[u8]) -> bool,
    ) -> Result<(), ApplyError> {
        let mint = Mint { stamp: delta.stamp, delta: delta.id };
        let key = spans_key(collection, &mint);
        if spans.is_empty() || !wanted(&key) {
            return Ok(());
        }
        let Self { read, touched, followed, .. } = self;
        let deltas_at = |stamp| deltas_at(*read, touched, collection, stamp);
        followed.change(*read, collection, |sequence| sequence.insert(mint, &spans, &deltas_at));
        *self.leaf(key)? = Some(Leaf::Spans(spans));
        Ok(())
    }

    fn delete_elements(
        &mut self,
        collection: CollectionId,
        mint: &Mint,
        deleted: &[Stretch],
        wanted: &dyn Fn(&[u8]) -> bool,
    ) -> Result<(), ApplyError> {
        for stretch in deleted {
            let mut start = stretch.start;
            let end = stretch.start + stretch.len;
            while start < end {
                let chunk = start / CHUNK_ELEMENTS;
                let chunk_end = ((chunk + 1).saturating_mul(CHUNK_ELEMENTS)).min(end);
                let key = deleted_key(collection, mint, chunk);
                if wanted(&key) {
                    let leaf = self.leaf(key)?;
                    let mut set = match leaf.take() {
                        Some(Leaf::Deleted(set)) => set,
                        // Cannot be: the key fixes what the leaf is, and decoding checks it.
                        Some(Leaf::Spans(_) | Leaf::Values(_) | Leaf::Slot(_)) | None => Vec::new(),
                    };
                    stretches::add(&mut set, start, chunk_end);
                    *leaf = Some(Leaf::Deleted(set));
                }
                start = chunk_end;
            }
            self.followed.change(self.read, collection, |sequence| sequence.delete(mint, *stretch));
        }
        Ok(())
    }

    /// How many elements a mint has; `None` if it has inserted nothing here.
    fn minted_len(&mut self, collection: CollectionId, mint: &Mint) -> Result<Option<u32>, CorruptLeaf> {
        let followed = self.followed.get(self.read, collection);
        if let Some(len) = followed.as_ref().and_then(|sequence| sequence.proven_len(mint)) {
            return Ok(Some(len));
        }
        let key = spans_key(collection, mint);
        let stored;
        let leaf = match self.touched.get(&key) {
            Some(touched) => touched.now.as_ref(),
            None => {
                let bytes = self.read.get(Space::Leaf, &key);
                stored = bytes.map(|bytes| Leaf::decode(&key, &bytes)).transpose()?;
                stored.as_ref()
            }
        };
        Ok(leaf.and_then(len_of))
    }

    /// All mints that have inserted into a sequence, and how many elements each.
    pub(super) fn minted(&self, collection: CollectionId) -> Result<BTreeMap<Mint, u32>, CorruptLeaf> {
        let mut minted = BTreeMap::new();
        each_minted(self.read, collection, |mint, len| {
            minted.insert(mint, len);
        })?;
        let prefix = spans_prefix(collection);
        for (key, touched) in with_prefix(&self.touched, &prefix, None) {
            if !key.starts_with(&prefix) {
                break;
            }
            let Some(mint) = mint_of(key) else { continue };
            match touched.now.as_ref().and_then(len_of) {
                Some(len) => minted.insert(mint, len),
                None => minted.remove(&mint),
            };
        }
        Ok(minted)
    }
}

/// Shows all mints that have inserted into a stored sequence.
pub(super) fn each_minted(
    read: &dyn Read,
    collection: CollectionId,
    mut show: impl FnMut(Mint, u32),
) -> Result<(), CorruptLeaf> {
    let prefix = spans_prefix(collection);
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = read.scan(Space::Leaf, &prefix, after.as_deref(), SPANS_PAGE);
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        for (key, bytes) in page {
            let len = len_of(&Leaf::decode(&key, &bytes)?);
            let (Some(mint), Some(len)) = (mint_of(&key), len) else { return Err(CorruptLeaf { key }) };
            show(mint, len);
        }
    }
}

/// The keys of all leaves of deleted elements that a mint of `len` elements can have.
pub(super) fn deleted_keys(collection: CollectionId, mint: Mint, len: u32) -> impl Iterator<Item = Vec<u8>> {
    let chunks = 0..len.div_ceil(CHUNK_ELEMENTS);
    chunks.map(move |chunk| deleted_key(collection, &mint, chunk))
}

/// All deltas that have inserted into a sequence under a stamp.
fn deltas_at(
    read: &dyn Read,
    touched: &BTreeMap<Vec<u8>, super::Touched>,
    collection: CollectionId,
    stamp: Hlc,
) -> Vec<DeltaId> {
    let prefix = [spans_prefix(collection).as_slice(), &stamp.bits().to_be_bytes()].concat();
    let stored = read.scan(Space::Leaf, &prefix, None, usize::MAX);
    let stored = stored.iter().map(|(key, _)| key);
    let touched = with_prefix(touched, &prefix, None).map(|(key, _)| key).take_while(|key| key.starts_with(&prefix));
    stored.chain(touched).filter_map(|key| mint_of(key)).map(|mint| mint.delta).collect()
}

fn mint_of(key: &[u8]) -> Option<Mint> {
    match key.get(size_of::<CollectionId>()..).and_then(SequenceKey::parse)? {
        SequenceKey::Spans(mint) => Some(mint),
        SequenceKey::Deleted { .. } => None,
    }
}

fn len_of(leaf: &Leaf) -> Option<u32> {
    match leaf {
        Leaf::Spans(spans) => u32::try_from(spans.len()).ok(),
        Leaf::Deleted(_) | Leaf::Values(_) | Leaf::Slot(_) => None,
    }
}
