//! Texts in a draft.
//!
//! Places are counted in the [`Unit`] that the caller says. A draft shows its own edits at once.

use std::ops::Range;

use super::{Draft, DraftError, Handle};
use crate::id::Kind;
use crate::read::Read;
use crate::sequence::{TextStep, TextVersion, Unit};

impl<R: Read> Draft<R> {
    /// How long the text is.
    ///
    /// # Errors
    /// A handle that is not a text's; a corrupt store.
    pub fn text_len(&self, text: Handle, unit: Unit) -> Result<u64, DraftError> {
        self.overlay.with_sequence(self.collection(text, Kind::Text)?, |text| Ok(text.len(unit)))
    }

    /// The whole text.
    ///
    /// # Errors
    /// As for [`Draft::text_len`].
    pub fn text_read(&self, text: Handle) -> Result<String, DraftError> {
        self.overlay.with_sequence(self.collection(text, Kind::Text)?, |text| Ok(text.text()))
    }

    /// The text from one place to another.
    ///
    /// # Errors
    /// [`DraftError::Sequence`] for a place beyond the end or inside a character, and as for [`Draft::text_len`].
    pub fn text_slice(&self, text: Handle, unit: Unit, range: Range<u64>) -> Result<String, DraftError> {
        self.overlay.with_sequence(self.collection(text, Kind::Text)?, |text| text.text_slice(unit, range))
    }

    /// A place, counted in one unit, in another.
    ///
    /// # Errors
    /// As for [`Draft::text_slice`].
    pub fn text_convert(&self, text: Handle, from: Unit, at: u64, to: Unit) -> Result<u64, DraftError> {
        self.overlay.with_sequence(self.collection(text, Kind::Text)?, |text| text.convert(from, at, to))
    }

    /// How many lines the text has: one more than line feeds.
    ///
    /// # Errors
    /// As for [`Draft::text_len`].
    pub fn text_lines(&self, text: Handle) -> Result<u64, DraftError> {
        self.overlay.with_sequence(self.collection(text, Kind::Text)?, |text| Ok(text.newlines() + 1))
    }

    /// On which line a place is, from 0.
    ///
    /// # Errors
    /// As for [`Draft::text_slice`].
    pub fn text_line_of(&self, text: Handle, unit: Unit, at: u64) -> Result<u64, DraftError> {
        self.overlay.with_sequence(self.collection(text, Kind::Text)?, |text| text.line_of(unit, at))
    }

    /// Where a line begins; lines count from 0.
    ///
    /// # Errors
    /// As for [`Draft::text_slice`].
    pub fn text_line_start(&self, text: Handle, unit: Unit, line: u64) -> Result<u64, DraftError> {
        self.overlay.with_sequence(self.collection(text, Kind::Text)?, |text| text.line_start(line, unit))
    }

    /// The version of the text, with what the draft did to it.
    ///
    /// # Errors
    /// As for [`Draft::text_len`].
    pub fn text_version(&self, text: Handle) -> Result<TextVersion, DraftError> {
        let collection = self.collection(text, Kind::Text)?;
        let elements = self.overlay.elements(collection)?;
        self.overlay.with_sequence(collection, |text| Ok(TextVersion { elements, shown: text.len(Unit::CodePoint) }))
    }

    /// How the text of version `since` became what it is: steps, each in the text after those before it. `None` if that
    /// is not remembered, or if the draft itself has changed the text since.
    ///
    /// What is remembered differs from node to node and from time to time: it is for those who show a text.
    ///
    /// # Errors
    /// As for [`Draft::text_len`].
    pub fn text_steps(
        &self,
        text: Handle,
        unit: Unit,
        since: TextVersion,
    ) -> Result<Option<Vec<TextStep>>, DraftError> {
        let now = self.text_version(text)?;
        Ok(self.overlay.steps(self.collection(text, Kind::Text)?, since, now, unit))
    }

    /// Inserts before the place `at`.
    ///
    /// # Errors
    /// [`DraftError::Sequence`] for a place beyond the end or inside a character; a handle that is not a text's, an
    /// exceeded limit, an entry on its path that holds something else.
    pub fn text_insert(&mut self, text: Handle, unit: Unit, at: u64, insert: &str) -> Result<(), DraftError> {
        self.text_splice(text, unit, at, 0, insert)
    }

    /// Deletes `len` from the place `at` on.
    ///
    /// # Errors
    /// As for [`Draft::text_insert`].
    pub fn text_delete(&mut self, text: Handle, unit: Unit, at: u64, len: u64) -> Result<(), DraftError> {
        self.text_splice(text, unit, at, len, "")
    }

    /// Deletes `delete` from the place `at` on, and inserts there.
    ///
    /// # Errors
    /// As for [`Draft::text_insert`].
    pub fn text_splice(
        &mut self,
        text: Handle,
        unit: Unit,
        at: u64,
        delete: u64,
        insert: &str,
    ) -> Result<(), DraftError> {
        let collection = self.collection(text, Kind::Text)?;
        let end = at.saturating_add(delete);
        self.overlay.with_sequence(collection, |text| text.check_range(unit, at..end))?;
        if delete == 0 && insert.is_empty() {
            return Ok(());
        }
        self.refresh_path(text)?;
        self.overlay.edit_sequence(collection, |text| {
            text.delete(unit, at..end)?;
            text.insert_text(unit, at, insert)
        })
    }

    /// Deletes the whole text.
    ///
    /// # Errors
    /// As for [`Draft::text_insert`], places aside.
    pub fn text_clear(&mut self, text: Handle) -> Result<(), DraftError> {
        self.clear_sequence(text, Kind::Text)
    }
}
