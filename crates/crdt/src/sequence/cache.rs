//! The sequences of one version of a context that are in memory.

use std::fmt;
#[expect(clippy::disallowed_types, reason = "guards a memo: what is in it is a function of the version alone")]
use std::sync::Mutex;
use std::sync::{Arc, PoisonError};

use imbl::OrdMap;

use super::trail::{TextStep, Trail};
use super::{LoadError, Sequence, TextVersion, Unit};
use crate::id::CollectionId;
use crate::read::Read;

/// Most bytes of sequences that one context keeps in memory: four texts of a million characters that were typed one by
/// one, or some hundred as they usually are. What does not fit is loaded for the call that needs it.
pub const SEQUENCES_BYTES_MAX: usize = 64 << 20;

/// The loaded sequences of one version of one context. A clone is of the same version, and shares them.
///
/// Filled when they are needed. What it holds is what [`Sequence::load`] would give on that version, so it
/// influences nothing but time; and how the texts came to be that ([`Sequences::steps`]), which is for those who show them.
#[derive(Clone, Default)]
pub struct Sequences {
    #[expect(clippy::disallowed_types, reason = "as above")]
    memo: Arc<Mutex<Memo>>,
}

#[derive(Clone, Default)]
struct Memo {
    loaded: OrdMap<CollectionId, Arc<Sequence>>,
    bytes: usize,
    trail: Trail,
}

impl Sequences {
    /// None loaded.
    pub fn new() -> Self {
        Self::default()
    }

    /// The sequence, if it is loaded.
    pub fn get(&self, collection: CollectionId) -> Option<Arc<Sequence>> {
        self.with(|memo| memo.loaded.get(&collection).cloned())
    }

    /// The sequence; `read` is of this version.
    ///
    /// # Errors
    /// [`LoadError`] if it cannot be loaded.
    pub fn get_or_load(&self, read: &dyn Read, collection: CollectionId) -> Result<Arc<Sequence>, LoadError> {
        if let Some(sequence) = self.get(collection) {
            return Ok(sequence);
        }
        // Others may load it at the same time: both get the same.
        let sequence = Arc::new(Sequence::load(read, collection)?);
        self.with(|memo| memo.keep(collection, Arc::clone(&sequence)));
        Ok(sequence)
    }

    /// How a text of version `from` became what it is in this version, `to`: steps, each in the text after those before
    /// it. `None` if that is not remembered; then compare the whole texts.
    pub fn steps(
        &self,
        collection: CollectionId,
        from: TextVersion,
        to: TextVersion,
        unit: Unit,
    ) -> Option<Vec<TextStep>> {
        let trail = self.with(|memo| memo.trail.clone());
        trail.steps(collection, from, to, unit)
    }

    /// How many are loaded.
    pub fn len(&self) -> usize {
        self.with(|memo| memo.loaded.len())
    }

    /// Whether none is loaded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how many bytes they take.
    pub fn bytes(&self) -> usize {
        self.with(|memo| memo.bytes)
    }

    /// Those of the next version: `changed` are the sequences that differ, and what they are now if that is known.
    pub(crate) fn next(&self, changed: impl IntoIterator<Item = (CollectionId, Option<Arc<Sequence>>)>) -> Sequences {
        let mut memo = self.with(|memo| memo.clone());
        for (collection, sequence) in changed {
            memo.advance(collection, sequence);
        }
        #[expect(clippy::disallowed_types, reason = "as above")]
        Sequences { memo: Arc::new(Mutex::new(memo)) }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Memo) -> T) -> T {
        // A panic elsewhere leaves at worst an entry less.
        look(&mut self.memo.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Memo {
    fn advance(&mut self, collection: CollectionId, sequence: Option<Arc<Sequence>>) {
        let old = self.forget(collection);
        if let (Some(old), Some(new)) = (&old, &sequence) {
            self.trail.follow(collection, old, new);
        }
        if let Some(new) = sequence {
            self.keep(collection, new);
        }
        // Of what is not loaded nothing is remembered.
        if old.is_some() && !self.loaded.contains_key(&collection) {
            self.trail.forget(collection);
        }
    }

    fn keep(&mut self, collection: CollectionId, sequence: Arc<Sequence>) {
        let bytes = sequence.weight();
        if self.bytes + bytes <= SEQUENCES_BYTES_MAX && !self.loaded.contains_key(&collection) {
            self.bytes += bytes;
            self.loaded.insert(collection, sequence);
        }
    }

    fn forget(&mut self, collection: CollectionId) -> Option<Arc<Sequence>> {
        let sequence = self.loaded.remove(&collection)?;
        self.bytes -= sequence.weight();
        Some(sequence)
    }
}

impl fmt::Debug for Sequences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sequences").field("loaded", &self.len()).field("bytes", &self.bytes()).finish()
    }
}
