//! What a text is now, in a name.

use std::fmt;
use std::str::FromStr;

use super::{Sequence, Unit};

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

/// A text that names no version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a version of a text")]
pub struct NotAVersion;

impl Sequence {
    /// The version of the text.
    pub fn version(&self) -> TextVersion {
        TextVersion { elements: u64::from(self.elements()), shown: self.len(Unit::CodePoint) }
    }
}

impl fmt::Display for TextVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.elements, self.shown)
    }
}

impl FromStr for TextVersion {
    type Err = NotAVersion;

    fn from_str(name: &str) -> Result<Self, NotAVersion> {
        let (elements, shown) = name.split_once('.').ok_or(NotAVersion)?;
        let number = |digits: &str| digits.parse().map_err(|_| NotAVersion);
        Ok(Self { elements: number(elements)?, shown: number(shown)? })
    }
}
