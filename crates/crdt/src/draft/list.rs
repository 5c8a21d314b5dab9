//! Lists in a draft.

use super::{Draft, DraftError, Handle};
use crate::id::Kind;
use crate::read::Read;
use crate::sequence::{SequenceError, Unit};

impl<R: Read> Draft<R> {
    /// How many items the list has.
    ///
    /// # Errors
    /// A handle that is not a list's; a corrupt store.
    pub fn list_len(&self, list: Handle) -> Result<u64, DraftError> {
        self.overlay.with_sequence(self.collection(list, Kind::List)?, |list| Ok(list.len(Unit::CodePoint)))
    }

    /// The item at a place; `None` beyond the end.
    ///
    /// # Errors
    /// As for [`Draft::list_len`].
    pub fn list_get(&self, list: Handle, at: u64) -> Result<Option<Vec<u8>>, DraftError> {
        Ok(self.list_scan(list, at, 1)?.pop())
    }

    /// Up to `limit` items from a place on. Fewer than `limit` means that there are no more.
    ///
    /// # Errors
    /// As for [`Draft::list_len`].
    pub fn list_scan(&self, list: Handle, at: u64, limit: usize) -> Result<Vec<Vec<u8>>, DraftError> {
        let collection = self.collection(list, Kind::List)?;
        self.overlay
            .with_sequence(collection, |list| Ok(list.items(at, limit).into_iter().map(|item| item.to_vec()).collect()))
    }

    /// Inserts an item before the place `at`.
    ///
    /// # Errors
    /// [`DraftError::Sequence`] for a place beyond the end; a handle that is not a list's, an exceeded limit, an entry
    /// on its path that holds something else.
    pub fn list_insert(&mut self, list: Handle, at: u64, value: Vec<u8>) -> Result<(), DraftError> {
        self.list_splice(list, at, 0, vec![value])
    }

    /// Deletes `len` items from the place `at` on.
    ///
    /// # Errors
    /// As for [`Draft::list_insert`].
    pub fn list_delete(&mut self, list: Handle, at: u64, len: u64) -> Result<(), DraftError> {
        self.list_splice(list, at, len, Vec::new())
    }

    /// Deletes `delete` items from the place `at` on, and inserts others there.
    ///
    /// # Errors
    /// As for [`Draft::list_insert`].
    pub fn list_splice(&mut self, list: Handle, at: u64, delete: u64, insert: Vec<Vec<u8>>) -> Result<(), DraftError> {
        let collection = self.collection(list, Kind::List)?;
        insert.iter().try_for_each(|value| self.check_value(value))?;
        let end = at.saturating_add(delete);
        self.overlay.with_sequence(collection, |list| list.check_range(Unit::CodePoint, at..end))?;
        if delete == 0 && insert.is_empty() {
            return Ok(());
        }
        self.refresh_path(list)?;
        self.overlay.edit_sequence(collection, |list| {
            list.delete(Unit::CodePoint, at..end)?;
            list.insert_items(at, insert)
        })
    }

    /// Moves the item at `from`, so that it is at `to` then. Of concurrent moves of an item the latest wins, and a
    /// deletion beats them all.
    ///
    /// # Errors
    /// As for [`Draft::list_insert`].
    pub fn list_move(&mut self, list: Handle, from: u64, to: u64) -> Result<(), DraftError> {
        let collection = self.collection(list, Kind::List)?;
        self.overlay.with_sequence(collection, |list| {
            let len = list.len(Unit::CodePoint);
            match [from, to].into_iter().find(|at| *at >= len) {
                Some(at) => Err(SequenceError::OutOfRange { at, len }),
                None => Ok(()),
            }
        })?;
        if from == to {
            return Ok(());
        }
        self.refresh_path(list)?;
        self.overlay.edit_sequence(collection, |list| list.move_item(from, to))
    }

    /// Deletes all items.
    ///
    /// # Errors
    /// As for [`Draft::list_insert`], places aside.
    pub fn list_clear(&mut self, list: Handle) -> Result<(), DraftError> {
        self.clear_sequence(list, Kind::List)
    }

    pub(super) fn clear_sequence(&mut self, handle: Handle, kind: Kind) -> Result<(), DraftError> {
        let collection = self.collection(handle, kind)?;
        if !self.overlay.with_sequence(collection, |sequence| Ok(sequence.is_empty()))? {
            self.refresh_path(handle)?;
            self.overlay.clear(vec![collection])?;
        }
        Ok(())
    }
}
