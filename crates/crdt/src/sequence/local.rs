//! Edits under a name that is known already: for replays, where there is no call that would end.

use super::chunk::{Chunk, measure_text};
use super::tree::ELEMENTS_MAX;
use super::{Mint, Sequence, SequenceError, Unit};
use crate::clock::Hlc;
use crate::id::DeltaId;

impl Sequence {
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
        let (len, end) = (self.len(Unit::CodePoint), at.saturating_add(delete));
        if end > len {
            return Err(SequenceError::OutOfRange { at: end, len });
        }
        let measure = measure_text(insert);
        if u64::from(self.mints.next_number()) + u64::from(measure.visible) > u64::from(ELEMENTS_MAX) {
            return Err(SequenceError::TooLong);
        }
        let at = at as u32;
        self.hide_visible(at, delete as u32);
        if !insert.is_empty() {
            let first = self.mints.add(mint, measure.visible, deltas_at);
            let left = at.checked_sub(1).map(|before| self.tree.visible_element(before));
            self.insert_after(left, first, measure.visible, Chunk::Text(insert.to_owned()));
        }
        Ok(())
    }

    fn hide_visible(&mut self, at: u32, mut len: u32) {
        while len > 0 {
            let (spot, rest) = self.tree.visible_spot(at);
            let part = rest.min(len);
            let gone = self.tree.hide(spot, part);
            self.content_bytes -= gone.bytes();
            len -= part;
        }
    }
}
