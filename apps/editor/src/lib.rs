//! A text that its members write together.
//!
//! Members type at the same time and offline; characters keep their places between their neighbours, and what two type at
//! one place stays apart. The page in `web/` is an editor on top of [`Editor::edit`] and [`Editor::read`].

use mesto_sdk::app;

/// Pages that the node remembers the last edit of. A page asks again within seconds if an answer was lost; more pages
/// than this are not open on one machine.
const SESSIONS_MAX: usize = 64;
/// Longest name of a page's session, in bytes.
const SESSION_BYTES_MAX: usize = 64;
/// Longest title, in characters: one line.
const TITLE_LEN_MAX: usize = 200;

/// What subscribers hear of.
#[app::event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The text is another one; what it is, is read.
    Edited,
    /// The text has a new title.
    TitleSet {
        /// The title.
        title: String,
    },
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, thiserror::Error)]
#[serde(tag = "kind", content = "data")]
pub enum Error {
    /// A place beyond the end of the text.
    #[error("place {at} is beyond the end of the text, {len}")]
    OutOfRange {
        /// The place.
        at: u64,
        /// The length of the text.
        len: u64,
    },
    /// The changes of an edit overlap, or are not in order.
    #[error("the changes of an edit are to be ascending and apart")]
    Unordered,
    /// The title has more than one line, or is too long.
    #[error("a title is one line of at most {TITLE_LEN_MAX} characters")]
    BadTitle,
    /// The name of a session is too long.
    #[error("the name of a session has at most {SESSION_BYTES_MAX} bytes")]
    BadSession,
}

/// A change of the text: what is between two places gives way to other text. Places are in UTF-16 units.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, app::Describe)]
pub struct Change {
    /// Where it begins.
    pub from: u64,
    /// Where it ends.
    pub to: u64,
    /// What is there then.
    pub insert: String,
}

impl From<app::TextStep> for Change {
    fn from(app::TextStep { at, delete, insert }: app::TextStep) -> Self {
        Self { from: at, to: at + delete, insert }
    }
}

/// What became of an edit.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, app::Describe)]
pub struct Edited {
    /// Whether the text has it. If not, the text is another one than it was based on.
    pub applied: bool,
    /// Whether the text had it already: the answer was lost.
    pub known: bool,
    /// The version of the text after it; if it was not applied, the text's version now.
    pub version: String,
}

/// The text as a page reads it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, app::Describe)]
pub struct Reading {
    /// The title.
    pub title: String,
    /// The version of the text.
    pub version: String,
    /// What became of the text that the reader has: changes, each in the places of the text after those before it; null if
    /// the node does not remember.
    pub steps: Option<Vec<Change>>,
    /// The text; null if there are steps.
    pub text: Option<String>,
}

/// The last edit of a page.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, app::Describe)]
pub struct Done {
    number: u64,
    version: String,
    /// Counts the edits of all sessions.
    order: u64,
}

/// The text and its title.
#[app::state(emits = Event)]
#[derive(Debug)]
pub struct Editor {
    text: app::Text,
    title: app::Register<String>,
    /// By session. It is about the pages of this node, so no other node needs it.
    done: app::PrivateMap<String, Done>,
}

#[app::logic]
impl Editor {
    /// Inserts before the place `at`, counted in characters.
    pub fn insert(&mut self, at: u64, text: String) -> Result<(), Error> {
        self.check(at, self.text.len())?;
        if !text.is_empty() {
            self.text.insert(at, &text);
            app::emit!(Event::Edited);
        }
        Ok(())
    }

    /// Deletes `len` characters from the place `at` on.
    pub fn delete(&mut self, at: u64, len: u64) -> Result<(), Error> {
        self.check(at.saturating_add(len), self.text.len())?;
        if len > 0 {
            self.text.delete(at, len);
            app::emit!(Event::Edited);
        }
        Ok(())
    }

    /// The whole text.
    pub fn text(&self) -> String {
        self.text.to_string()
    }

    /// How many characters the text has.
    #[expect(clippy::len_without_is_empty, reason = "callers have `len`")]
    pub fn len(&self) -> u64 {
        self.text.len()
    }

    /// A line of the text, counted from 0, without its end; null if there are fewer.
    pub fn line(&self, line: u64) -> Option<String> {
        self.text.line(line)
    }

    /// The title; empty until it is set.
    pub fn title(&self) -> String {
        self.title.get().unwrap_or_default()
    }

    /// Sets the title.
    pub fn set_title(&mut self, title: String) -> Result<(), Error> {
        if title.chars().count() > TITLE_LEN_MAX || title.contains(['\n', '\r']) {
            app::bail!(Error::BadTitle);
        }
        self.title.set(&title);
        app::emit!(Event::TitleSet { title });
        Ok(())
    }

    /// What a page has typed, as changes of the text of version `base`: ascending, apart, each in the places of that text.
    /// It is taken only if the text still is of that version, so it means what the page meant; else the page reads
    /// what is new, carries its changes over that, and tries again.
    ///
    /// A page numbers its edits from 1 and repeats one whose answer it did not get: it is taken once.
    pub fn edit(&mut self, session: String, number: u64, base: String, changes: Vec<Change>) -> Result<Edited, Error> {
        if session.len() > SESSION_BYTES_MAX {
            app::bail!(Error::BadSession);
        }
        if let Some(Done { version, .. }) = self.done.get(&session).filter(|done| done.number == number) {
            return Ok(Edited { applied: true, known: true, version });
        }
        let version = self.text.version();
        if version != base {
            return Ok(Edited { applied: false, known: false, version });
        }
        self.apply(&changes)?;
        let version = self.text.version();
        self.remember(session, number, version.clone());
        app::emit!(Event::Edited);
        Ok(Edited { applied: true, known: false, version })
    }

    /// The title, and what happened to the text since the version `since`; or the whole text.
    pub fn read(&self, since: Option<String>) -> Reading {
        let steps = since.and_then(|since| self.text.steps_since_utf16(&since));
        let steps = steps.map(|steps| steps.into_iter().map(Change::from).collect());
        let text = steps.is_none().then(|| self.text.to_string());
        Reading { title: self.title(), version: self.text.version(), steps, text }
    }

    fn check(&self, at: u64, len: u64) -> Result<(), Error> {
        if at > len { Err(Error::OutOfRange { at, len }) } else { Ok(()) }
    }

    /// From the last to the first, so that each finds the places that it was made for.
    fn apply(&mut self, changes: &[Change]) -> Result<(), Error> {
        let len = self.text.len_utf16();
        let mut after = len;
        for Change { from, to, insert } in changes.iter().rev() {
            self.check(*to, len)?;
            if from > to || *to > after {
                return Err(Error::Unordered);
            }
            self.text.splice_utf16(*from, to - from, insert);
            after = *from;
        }
        Ok(())
    }

    /// Remembers a session's last edit, and forgets the session that was longest silent if there are too many.
    fn remember(&mut self, session: String, number: u64, version: String) {
        let known: Vec<(String, u64)> = self.done.iter().map(|(session, done)| (session, done.order)).collect();
        let order = known.iter().map(|(_, order)| order + 1).max().unwrap_or(0);
        let is_new = known.iter().all(|(other, _)| *other != session);
        if known.len() >= SESSIONS_MAX
            && is_new
            && let Some((oldest, _)) = known.into_iter().min_by_key(|(_, order)| *order)
        {
            self.done.remove(&oldest);
        }
        self.done.insert(&session, &Done { number, version, order });
    }
}
