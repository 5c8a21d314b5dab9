//! What a text is now, in a name.

use std::fmt;

use super::{Draft, DraftError, Handle};
use crate::id::Kind;
use crate::read::Read;
use crate::sequence::Unit;

/// Names a version of a text on one node: as long as the name is the same, so is the text.
///
/// A node's text goes from version to version by insertions, which add elements, and deletions, which hide some for good,
/// so how many there are and how many are shown tells them apart. A delta that is voided takes away what it showed; it
/// alone can bring back a name, and only by chance. Another node can give the same name to another text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextVersion {
    /// How many elements it has, deleted ones included.
    pub elements: u64,
    /// How many characters it shows.
    pub shown: u64,
}

impl fmt::Display for TextVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.elements, self.shown)
    }
}

impl<R: Read> Draft<R> {
    /// The version of the text, with what the draft did to it.
    ///
    /// # Errors
    /// A handle that is not a text's; a corrupt store.
    pub fn text_version(&self, text: Handle) -> Result<TextVersion, DraftError> {
        let collection = self.collection(text, Kind::Text)?;
        let elements = self.overlay.elements(collection)?;
        self.overlay.with_sequence(collection, |text| Ok(TextVersion { elements, shown: text.len(Unit::CodePoint) }))
    }
}
