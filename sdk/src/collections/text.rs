use std::fmt;
use std::ops::Range;

use super::{Collection, Place};
use crate::describe::Within;
use crate::host::{Handle, HostStep, Kind, Unit};
use crate::schema::Shape;

/// Text that members write at the same time. Every character keeps its place between its neighbours, whatever others do
/// around it, and what two type at one place stays apart.
///
/// Places count characters (Unicode scalar values, as `char` does); the functions with `utf16` in their names count as
/// browsers do. A place that does not exist stops the call: ask for the length before.
pub struct Text(Place<str>);

/// A change of a text: `delete` from the place `at` on is deleted, and `insert` is put there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextStep {
    /// Where, in the text after the steps before this one.
    pub at: u64,
    /// How much is deleted.
    pub delete: u64,
    /// What is inserted.
    pub insert: String,
}

impl Text {
    /// How many characters it has.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.handle().text_len(Unit::CodePoint)
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The characters from one place to another.
    #[must_use]
    pub fn slice(&self, places: Range<u64>) -> String {
        self.0.handle().text_slice(Unit::CodePoint, places.start, places.end)
    }

    /// Inserts before the place `at`.
    pub fn insert(&mut self, at: u64, text: &str) {
        self.splice(at, 0, text);
    }

    /// Deletes `len` characters from the place `at` on.
    pub fn delete(&mut self, at: u64, len: u64) {
        self.splice(at, len, "");
    }

    /// Deletes `len` characters from the place `at` on, and inserts there.
    pub fn splice(&mut self, at: u64, len: u64, text: &str) {
        self.0.handle().text_splice(Unit::CodePoint, at, len, text);
    }

    /// Inserts at the end.
    pub fn push_str(&mut self, text: &str) {
        self.insert(self.len(), text);
    }

    /// Deletes everything.
    pub fn clear(&mut self) {
        self.0.handle().clear();
    }

    /// How many lines it has: one more than line feeds.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.0.handle().text_lines()
    }

    /// On which line a place is, from 0.
    #[must_use]
    pub fn line_of(&self, at: u64) -> u64 {
        self.0.handle().text_line_of(Unit::CodePoint, at)
    }

    /// Where a line, counted from 0, begins.
    #[must_use]
    pub fn line_start(&self, line: u64) -> u64 {
        self.0.handle().text_line_start(Unit::CodePoint, line)
    }

    /// A line, counted from 0, without its line feed; `None` if there are fewer.
    #[must_use]
    pub fn line(&self, line: u64) -> Option<String> {
        let lines = self.lines();
        if line >= lines {
            return None;
        }
        let end = if line + 1 < lines { self.line_start(line + 1) - 1 } else { self.len() };
        Some(self.slice(self.line_start(line)..end))
    }

    /// Its length in UTF-16 units.
    #[must_use]
    pub fn len_utf16(&self) -> u64 {
        self.0.handle().text_len(Unit::Utf16)
    }

    /// The text from one place to another, in UTF-16 units.
    #[must_use]
    pub fn slice_utf16(&self, places: Range<u64>) -> String {
        self.0.handle().text_slice(Unit::Utf16, places.start, places.end)
    }

    /// Deletes `len` UTF-16 units from the place `at` on, and inserts there. A place inside a character stops the call.
    pub fn splice_utf16(&mut self, at: u64, len: u64, text: &str) {
        self.0.handle().text_splice(Unit::Utf16, at, len, text);
    }

    /// The place of a character in UTF-16 units.
    #[must_use]
    pub fn to_utf16(&self, at: u64) -> u64 {
        self.0.handle().text_convert(Unit::CodePoint, at, Unit::Utf16)
    }

    /// The place in characters of a place in UTF-16 units.
    #[must_use]
    pub fn from_utf16(&self, at: u64) -> u64 {
        self.0.handle().text_convert(Unit::Utf16, at, Unit::CodePoint)
    }

    /// Names what the text is on this node now: as long as the name is the same, so is the text. Other nodes give other
    /// names, so it is fit for telling a page whether what it has is new, and for nothing that members share.
    #[must_use]
    pub fn version(&self) -> String {
        self.0.handle().text_version()
    }

    /// How the text became what it is since it had the version `since`: steps, each in the text after those before it.
    /// `None` if this node does not remember it, or if the call itself has changed the text since; then take the whole
    /// text. What a node remembers is a matter of time: it is for showing a text, not for deciding anything.
    #[must_use]
    pub fn steps_since(&self, since: &str) -> Option<Vec<TextStep>> {
        self.steps(Unit::CodePoint, since)
    }

    /// The same in UTF-16 units.
    #[must_use]
    pub fn steps_since_utf16(&self, since: &str) -> Option<Vec<TextStep>> {
        self.steps(Unit::Utf16, since)
    }

    fn steps(&self, unit: Unit, since: &str) -> Option<Vec<TextStep>> {
        let steps = self.0.handle().text_steps(unit, since)?;
        Some(steps.into_iter().map(|HostStep { at, delete, insert }| TextStep { at, delete, insert }).collect())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.slice(0..self.len()))
    }
}

impl Collection for Text {
    fn field(name: &'static str) -> Self {
        Self(Place::field(name, Kind::Text))
    }

    fn child(map: &Handle, key: &[u8]) -> Self {
        Self(Place::child(map, key, Kind::Text))
    }

    fn shape(_: &mut Within) -> Shape {
        Shape::Text
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Text").field(&self.to_string()).finish()
    }
}
