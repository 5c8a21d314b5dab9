//! How the texts of a context came to be what they are, as far back as is remembered.
//!
//! A page that shows a text asks what changed since the version that it has. The steps from each version to the next are
//! noted when the next one is made, so nobody has to keep old versions. What is too long ago is forgotten; who asks for
//! it takes the whole text.

use std::sync::Arc;

use imbl::Vector;

use super::{Sequence, TextVersion, Unit};
use crate::id::{CollectionId, Kind};

/// Most bytes of steps that one context remembers: some 1,500 keystrokes, many times what comes while a page reads; and
/// for one that was away for longer the whole of a usual text is no longer.
pub const TRAIL_BYTES_MAX: usize = 128 << 10;
/// What a step takes beside its text: four numbers, and a pointer and a length.
const STEP_BYTES: usize = size_of::<Noted>();
/// What a version takes beside its steps: its collection, two names, and the counts and pointers that hold it.
const VERSION_BYTES: usize = size_of::<Stretch>() + 32;

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

/// The steps that are remembered, the oldest first. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Trail {
    stretches: Vector<Arc<Stretch>>,
    bytes: usize,
}

/// From one version of a text to the next.
struct Stretch {
    collection: CollectionId,
    from: TextVersion,
    to: TextVersion,
    steps: Vec<Noted>,
    bytes: usize,
}

/// A step, counted in both units.
struct Noted {
    code_points: Places,
    utf16: Places,
    insert: Box<str>,
}

#[derive(Clone, Copy)]
struct Places {
    at: u32,
    delete: u32,
}

impl Trail {
    /// A sequence goes on from one version to the next.
    pub(super) fn follow(&mut self, collection: CollectionId, old: &Sequence, new: &Sequence) {
        if collection.kind() != Some(Kind::Text) || old.version() == new.version() {
            return;
        }
        let Some(stretch) = Stretch::between(collection, old, new) else { return self.forget(collection) };
        self.bytes += stretch.bytes;
        self.stretches.push_back(Arc::new(stretch));
        while self.bytes > TRAIL_BYTES_MAX
            && let Some(oldest) = self.stretches.pop_front()
        {
            self.bytes -= oldest.bytes;
        }
    }

    /// Nothing is known of how a sequence came to be what it is.
    pub(super) fn forget(&mut self, collection: CollectionId) {
        self.stretches.retain(|stretch| stretch.collection != collection);
        self.bytes = self.stretches.iter().map(|stretch| stretch.bytes).sum();
    }

    /// The steps from one version to another, each in the text after those before it; `None` if they are not remembered.
    pub(super) fn steps(
        &self,
        collection: CollectionId,
        from: TextVersion,
        to: TextVersion,
        unit: Unit,
    ) -> Option<Vec<TextStep>> {
        let mut passed = Vec::new();
        let mut at = to;
        let mut newer = self.stretches.iter().rev().filter(|stretch| stretch.collection == collection);
        while at != from {
            let stretch = newer.next().filter(|stretch| stretch.to == at)?;
            at = stretch.from;
            passed.push(stretch);
        }
        let steps = passed.into_iter().rev().flat_map(|stretch| &stretch.steps);
        Some(steps.map(|step| step.counted(unit)).collect())
    }
}

impl Stretch {
    /// `None` if it is not known what changed, or if it is too much to be remembered.
    fn between(collection: CollectionId, old: &Sequence, new: &Sequence) -> Option<Self> {
        let changes = new.changes_since(old)?;
        let inserted: u64 = changes.iter().map(|change| change.new.end - change.new.start).sum();
        if changes.len() * STEP_BYTES + inserted as usize > TRAIL_BYTES_MAX {
            return None;
        }
        // From the last to the first: so each is at the place that it has in the old version.
        let steps = changes.iter().rev().map(|change| {
            let insert = new.text_slice(Unit::CodePoint, change.new.clone()).ok()?.into_boxed_str();
            let utf16 = |place| old.convert(Unit::CodePoint, place, Unit::Utf16).ok();
            let (start, end) = (utf16(change.old.start)?, utf16(change.old.end)?);
            let code_points = Places::new(change.old.start, change.old.end);
            Some(Noted { code_points, utf16: Places::new(start, end), insert })
        });
        let steps: Vec<Noted> = steps.collect::<Option<_>>()?;
        let bytes = VERSION_BYTES + steps.iter().map(|step| STEP_BYTES + step.insert.len()).sum::<usize>();
        Some(Self { collection, from: old.version(), to: new.version(), steps, bytes })
    }
}

impl Places {
    /// Counts in a sequence fit 32 bits.
    fn new(start: u64, end: u64) -> Self {
        Self { at: start as u32, delete: (end - start) as u32 }
    }
}

impl Noted {
    fn counted(&self, unit: Unit) -> TextStep {
        let Places { at, delete } = match unit {
            Unit::CodePoint => self.code_points,
            Unit::Utf16 => self.utf16,
        };
        TextStep { at: u64::from(at), delete: u64::from(delete), insert: self.insert.to_string() }
    }
}
