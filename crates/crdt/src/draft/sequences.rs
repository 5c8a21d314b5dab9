//! The changed texts and lists of a draft, above the state that they change.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::Hlc;
use crate::id::{CollectionId, DeltaId};
use crate::op::Op;
use crate::read::{Read, Space};
use crate::sequence::span::SequenceKey;
use crate::sequence::{Deleted, Edit, LoadError, Sequence, SequenceError, spans_prefix};
use crate::state::leaf_count_of;

use super::DraftError;

/// Encoded size of a splice that changes nothing: tag, collection, the lengths of three lists, and the tag of what is
/// deleted.
const SPLICE_BYTES: usize = 1 + 32 + 3 * 4 + 1;
/// A call that deletes all that there is says so by name if that takes more bytes than this: to apply "all" costs a look
/// at everything that was ever inserted, which a list of 20 deltas is not worth.
const DELETED_BYTES_MAX: usize = 1024;
/// Most leaves that are read at once to find whose mints are named: neighbours are often deleted together.
const NAMES_PAGE_MAX: usize = 32;

#[derive(Default)]
pub(super) struct ChangedSequences {
    changed: BTreeMap<CollectionId, Changed>,
    /// What was read, unchanged: so that a call loads each but once, even where nobody keeps them.
    loaded: RefCell<BTreeMap<CollectionId, Arc<Sequence>>>,
}

#[derive(Default)]
struct Changed {
    /// Whether all that the state holds is deleted.
    is_cleared: bool,
    edit: Option<Edit>,
}

impl ChangedSequences {
    /// Shows a sequence as the call has left it.
    pub(super) fn with<T>(
        &self,
        read: &dyn Read,
        collection: CollectionId,
        look: impl FnOnce(&Sequence) -> Result<T, SequenceError>,
    ) -> Result<T, DraftError> {
        match self.changed.get(&collection) {
            Some(Changed { edit: Some(edit), .. }) => Ok(look(edit.sequence())?),
            Some(Changed { is_cleared: true, .. }) => Ok(look(&empty(collection))?),
            Some(_) | None => Ok(look(&*self.base(read, collection)?)?),
        }
    }

    /// How many elements a sequence will have, deleted ones included.
    pub(super) fn elements(&self, read: &dyn Read, collection: CollectionId) -> Result<u64, DraftError> {
        let edit = self.changed.get(&collection).and_then(|changed| changed.edit.as_ref());
        let own = edit.map_or(0, Edit::own);
        Ok(u64::from(self.base(read, collection)?.elements()) + u64::from(own))
    }

    /// Changes a sequence; the encoded length of its operation before and after is at most so much.
    pub(super) fn edit(
        &mut self,
        read: &dyn Read,
        collection: CollectionId,
        change: impl FnOnce(&mut Edit) -> Result<(), SequenceError>,
    ) -> Result<(usize, usize), DraftError> {
        let before = self.op_bytes(collection);
        let is_cleared = self.changed.get(&collection).is_some_and(|changed| changed.is_cleared);
        let edit = match self.changed.get_mut(&collection).and_then(|changed| changed.edit.as_mut()) {
            Some(edit) => edit,
            None => {
                let base = self.base(read, collection)?;
                let edit = if is_cleared { Edit::of_cleared(&base) } else { Edit::new(&base) };
                self.changed.entry(collection).or_default().edit.insert(edit)
            }
        };
        change(edit)?;
        Ok((before, self.op_bytes(collection)))
    }

    /// Deletes all that is in a sequence, without looking at it; the encoded length of its operation before and after.
    pub(super) fn clear(&mut self, collection: CollectionId) -> (usize, usize) {
        let before = self.op_bytes(collection);
        self.changed.insert(collection, Changed { is_cleared: true, edit: None });
        (before, self.op_bytes(collection))
    }

    /// The operations.
    pub(super) fn finish(&self, read: &dyn Read) -> Result<Vec<Op>, DraftError> {
        let mut ops = Vec::new();
        for (collection, changed) in &self.changed {
            let mut names = Names::new(read, *collection);
            let mut delta_at = |stamp| names.find(stamp);
            let (mut inserted, mut deleted) = (Default::default(), Deleted::Some(Vec::new()));
            if let Some(edit) = &changed.edit {
                inserted = edit.inserted(&mut delta_at)?;
                deleted = match edit.deletes_all() && edit.bytes() > DELETED_BYTES_MAX {
                    true => Deleted::All,
                    false => Deleted::Some(edit.deleted(&mut delta_at)?),
                };
            }
            if changed.is_cleared {
                let corrupt = || DraftError::CorruptCount { collection: *collection };
                let has_leaves = leaf_count_of(read, *collection).ok_or_else(corrupt)? > 0;
                deleted = if has_leaves { Deleted::All } else { Deleted::Some(Vec::new()) };
            }
            if !inserted.is_empty() || !deleted.is_nothing() {
                ops.push(Op::Splice { collection: *collection, inserted, deleted });
            }
        }
        Ok(ops)
    }

    fn base(&self, read: &dyn Read, collection: CollectionId) -> Result<Arc<Sequence>, DraftError> {
        if let Some(sequence) = self.loaded.borrow().get(&collection) {
            return Ok(Arc::clone(sequence));
        }
        let sequence = match read.sequences() {
            Some(sequences) => sequences.get_or_load(read, collection)?,
            None => Arc::new(Sequence::load(read, collection)?),
        };
        self.loaded.borrow_mut().insert(collection, Arc::clone(&sequence));
        Ok(sequence)
    }

    fn op_bytes(&self, collection: CollectionId) -> usize {
        let changed = self.changed.get(&collection);
        changed.map_or(0, |changed| SPLICE_BYTES + changed.edit.as_ref().map_or(0, Edit::bytes))
    }
}

fn empty(collection: CollectionId) -> Sequence {
    Sequence::new(collection.kind().unwrap_or(crate::id::Kind::List))
}

impl From<LoadError> for DraftError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::CorruptLeaf(error) => DraftError::CorruptLeaf(error),
            error @ LoadError::Sequence { .. } => DraftError::SequenceNotLoaded(error),
        }
    }
}

/// Finds deltas by the stamps of what they inserted, in the keys of the leaves.
struct Names<'a> {
    read: &'a dyn Read,
    prefix: Vec<u8>,
    found: BTreeMap<Hlc, DeltaId>,
    page: usize,
}

impl<'a> Names<'a> {
    fn new(read: &'a dyn Read, collection: CollectionId) -> Self {
        Self { read, prefix: spans_prefix(collection), found: BTreeMap::new(), page: 1 }
    }

    fn find(&mut self, stamp: Hlc) -> Option<DeltaId> {
        if let Some(delta) = self.found.get(&stamp) {
            return Some(*delta);
        }
        // No key ends after its stamp, so the one sought is the first after this one.
        let after = [self.prefix.as_slice(), &stamp.bits().to_be_bytes()].concat();
        for (key, _) in self.read.scan(Space::Leaf, &self.prefix, Some(&after), self.page) {
            let element = key.get(size_of::<CollectionId>()..).and_then(SequenceKey::parse);
            if let Some(SequenceKey::Spans(mint)) = element {
                self.found.insert(mint.stamp, mint.delta);
            }
        }
        self.page = NAMES_PAGE_MAX.min(self.page * 2);
        self.found.get(&stamp).copied()
    }
}
