//! Edits under names that are known already: for replays, where there is no call that would end.

use super::chunk::{Measure, Slice, measure_text};
use super::tree::ELEMENTS_MAX;
use super::{Mint, Sequence, SequenceError, Unit};
use crate::clock::Hlc;
use crate::id::DeltaId;

/// A text that somebody types in.
///
/// People type on where they were: what is typed on and on, or deleted character by character, goes into the order at
/// once when they go elsewhere. Each edit gets its name at once.
pub struct Typist {
    text: Sequence,
    pending: Pending,
}

/// What is not in the order yet.
enum Pending {
    Nothing,
    /// Text before the place `at`, whose elements have the numbers from `first` on.
    Typed {
        at: u32,
        first: u32,
        measure: Measure,
        text: String,
    },
    /// `len` visible elements from the place `at` on.
    Deleted {
        at: u32,
        len: u32,
    },
}

impl Typist {
    /// Begins to type.
    pub fn new(text: Sequence) -> Self {
        Self { text, pending: Pending::Nothing }
    }

    /// Deletes `delete` code points from the place `at` on, and inserts there what `mint` brings. Each mint once.
    /// `deltas_at` is as for [`Sequence::insert`].
    ///
    /// # Errors
    /// [`SequenceError::OutOfRange`], [`SequenceError::TooLong`]; nothing is changed then.
    pub fn splice(
        &mut self,
        mint: Mint,
        at: u64,
        delete: u64,
        insert: &str,
        deltas_at: &dyn Fn(Hlc) -> Vec<DeltaId>,
    ) -> Result<(), SequenceError> {
        let (len, end) = (self.len(), at.saturating_add(delete));
        if end > len {
            return Err(SequenceError::OutOfRange { at: end, len });
        }
        let measure = measure_text(insert);
        let elements = u64::from(self.text.mints.next_number()) + u64::from(measure.visible);
        if elements > u64::from(ELEMENTS_MAX) {
            return Err(SequenceError::TooLong);
        }
        let (at, delete) = (at as u32, delete as u32);
        if delete > 0 {
            self.delete(at, delete);
        }
        if !insert.is_empty() {
            let first = self.text.mints.add(mint, measure.visible, deltas_at);
            self.insert(at, first, measure, insert);
        }
        Ok(())
    }

    /// Ends typing.
    pub fn finish(mut self) -> Sequence {
        self.settle();
        self.text
    }

    fn len(&self) -> u64 {
        let len = self.text.len(Unit::CodePoint);
        match &self.pending {
            Pending::Nothing => len,
            Pending::Typed { measure, .. } => len + u64::from(measure.visible),
            Pending::Deleted { len: deleted, .. } => len - u64::from(*deleted),
        }
    }

    fn delete(&mut self, at: u32, delete: u32) {
        match &mut self.pending {
            Pending::Deleted { at: before, len } if *before == at => *len += delete,
            Pending::Deleted { at: before, len } if at + delete == *before => {
                *before = at;
                *len += delete;
            }
            Pending::Deleted { .. } | Pending::Typed { .. } | Pending::Nothing => {
                self.settle();
                self.pending = Pending::Deleted { at, len: delete };
            }
        }
    }

    fn insert(&mut self, at: u32, first: u32, more: Measure, insert: &str) {
        match &mut self.pending {
            Pending::Typed { at: before, measure, text, .. } if *before + measure.visible == at => {
                *measure += more;
                text.push_str(insert);
            }
            Pending::Typed { .. } | Pending::Deleted { .. } | Pending::Nothing => {
                self.settle();
                self.pending = Pending::Typed { at, first, measure: more, text: insert.to_owned() };
            }
        }
    }

    /// Puts what is pending into the order.
    fn settle(&mut self) {
        match std::mem::replace(&mut self.pending, Pending::Nothing) {
            Pending::Nothing => {}
            Pending::Typed { at, first, measure, text } => {
                self.text.insert_before(at, first, measure.visible, Slice::Text(&text));
            }
            Pending::Deleted { at, len } => self.text.hide_visible(at, len),
        }
    }
}

impl Sequence {
    fn hide_visible(&mut self, at: u32, mut len: u32) {
        while len > 0 {
            let (spot, rest) = self.tree.visible_spot(at);
            let part = rest.min(len);
            self.content_bytes -= self.tree.hide(spot, part);
            len -= part;
        }
    }
}
