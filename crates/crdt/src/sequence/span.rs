//! What a delta inserts into a sequence, as minted: the form in which it travels, is stored and is hashed.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::clock::Hlc;
use crate::id::{CollectionId, DeltaId, Kind};
use crate::op::{OpError, VALUE_BYTES_MAX};

/// Who minted an element: the delta that inserted it. Ordered as ties between siblings are decided.
///
/// An element is (mint, offset), where the offset counts all elements that the delta inserted into this sequence, over
/// all its runs. An author that equivocates may have two deltas with one stamp; they are two mints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Mint {
    /// The delta's stamp.
    pub stamp: Hlc,
    /// The delta.
    pub delta: DeltaId,
}

/// Names an element in [`Spans`]: its mint by place in the table there, and its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Anchor {
    /// Place of its mint in [`Spans::mints`].
    pub mint: u32,
    /// Which of the mint's elements.
    pub offset: u32,
}

/// All that one delta inserts into one sequence. The same in the operation and in the leaf.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Spans {
    /// The mints that anchors name. Strictly ascending, each named at least once.
    pub mints: Vec<Mint>,
    /// What is inserted, and between which elements. The mint's offsets count through them in this order.
    pub runs: Vec<Run>,
}

/// Elements that were inserted side by side, in reading order.
///
/// The first has these origins; each further one has the one before it as its left origin, and the same right origin.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Run {
    /// The element that stood before them when they were inserted; `None` at the beginning.
    pub left: Option<Anchor>,
    /// The element that stood after them, deleted or not; `None` at the end.
    pub right: Option<Anchor>,
    /// The elements.
    pub content: Content,
}

/// The elements of a run.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Content {
    /// Characters of a `Text`: Unicode scalar values. Not empty.
    Text(String) = 1,
    /// Items of a `List`. Not empty.
    Items(Vec<Item>) = 2,
    /// So many elements whose delta is void: they show nothing, and hold the anchors of others. Not 0, never in an
    /// operation.
    Gone(u32) = 3,
}

/// An element of a `List`.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Item {
    /// A new item: the app's bytes.
    Value(Vec<u8>) = 1,
    /// A new place for the item that this anchor's element brought. Of an item's places the greatest by
    /// (mint, offset) shows it.
    Moved(Anchor) = 2,
}

/// Elements `start..start + len` of a mint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Stretch {
    /// The first.
    pub start: u32,
    /// How many. Not 0.
    pub len: u32,
}

/// What a delta deletes from one sequence.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Deleted {
    /// These elements. Strictly ascending by mint; may be empty.
    Some(Vec<DeletedOf>) = 1,
    /// Every element that a delta in the causal past inserted.
    All = 2,
}

/// The elements of one mint that a delta deletes.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct DeletedOf {
    /// Whose elements.
    pub mint: Mint,
    /// Which. Normalised: ascending, neither overlapping nor touching, not empty.
    pub stretches: Vec<Stretch>,
}

impl Content {
    /// How many elements.
    pub fn len(&self) -> u64 {
        match self {
            Content::Text(text) => text.chars().count() as u64,
            Content::Items(items) => items.len() as u64,
            Content::Gone(len) => u64::from(*len),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        match self {
            Content::Text(text) => text.is_empty(),
            Content::Items(items) => items.is_empty(),
            Content::Gone(len) => *len == 0,
        }
    }
}

impl Stretch {
    /// The element after the last.
    pub const fn end(self) -> u64 {
        self.start as u64 + self.len as u64
    }

    /// The chunks that it lies in.
    pub(crate) fn chunks(self) -> std::ops::RangeInclusive<u32> {
        self.start / CHUNK_ELEMENTS..=(self.end().saturating_sub(1) / u64::from(CHUNK_ELEMENTS)) as u32
    }
}

impl Spans {
    /// How many elements.
    pub fn len(&self) -> u64 {
        self.runs.iter().map(|run| run.content.len()).sum()
    }

    /// Whether nothing is inserted.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// All anchors, in no particular order.
    pub fn anchors(&self) -> impl Iterator<Item = Anchor> + '_ {
        self.runs.iter().flat_map(|run| {
            let items: &[Item] = match &run.content {
                Content::Items(items) => items,
                Content::Text(_) | Content::Gone(_) => &[],
            };
            let moved = items.iter().filter_map(|item| match item {
                Item::Moved(anchor) => Some(*anchor),
                Item::Value(_) => None,
            });
            run.left.into_iter().chain(run.right).chain(moved)
        })
    }

    /// The mint that an anchor names.
    pub fn mint_of(&self, anchor: Anchor) -> Option<&Mint> {
        self.mints.get(usize::try_from(anchor.mint).ok()?)
    }

    /// Whether all content is there, or none because the delta is void.
    pub(crate) fn is_whole_or_gone(&self) -> bool {
        let is_gone = |run: &Run| matches!(run.content, Content::Gone(_));
        self.runs.iter().all(is_gone) || !self.runs.iter().any(is_gone)
    }

    /// What remains if the delta is void: the places, without content.
    pub(crate) fn gone(&self) -> Spans {
        let mut builder = SpansBuilder::default();
        for run in &self.runs {
            let place = |anchor: Option<Anchor>| {
                anchor.and_then(|anchor| self.mint_of(anchor).map(|mint| (*mint, anchor.offset)))
            };
            let len = u32::try_from(run.content.len()).unwrap_or(u32::MAX);
            builder.push(place(run.left), place(run.right), Minted::Gone(len));
        }
        builder.build()
    }

    /// Whether they obey the rules that can be told from them alone, as content of a collection of `kind`.
    ///
    /// # Errors
    /// The first broken rule.
    pub(crate) fn check(&self, kind: Kind) -> Result<(), OpError> {
        if !self.mints.is_sorted_by(|a, b| a < b) {
            return Err(OpError::Unsorted);
        }
        let mut named = vec![false; self.mints.len()];
        for anchor in self.anchors() {
            let place = usize::try_from(anchor.mint).ok();
            *place.and_then(|place| named.get_mut(place)).ok_or(OpError::UnknownMint)? = true;
        }
        if named.contains(&false) {
            return Err(OpError::UnusedMint);
        }
        if self.len() > u64::from(u32::MAX) {
            return Err(OpError::TooManyElements);
        }
        self.runs.iter().try_for_each(|run| run.check(kind))
    }
}

impl Run {
    fn check(&self, kind: Kind) -> Result<(), OpError> {
        if self.content.is_empty() {
            return Err(OpError::EmptyRun);
        }
        if self.left.is_some() && self.left == self.right {
            return Err(OpError::SameOrigins);
        }
        match (&self.content, kind) {
            (Content::Text(_), Kind::Text) | (Content::Gone(_), Kind::Text | Kind::List) => Ok(()),
            (Content::Items(items), Kind::List) => items.iter().try_for_each(|item| match item {
                Item::Value(bytes) if bytes.len() > VALUE_BYTES_MAX => {
                    Err(OpError::ValueTooLarge { bytes: bytes.len() })
                }
                Item::Value(_) | Item::Moved(_) => Ok(()),
            }),
            (Content::Text(_) | Content::Items(_) | Content::Gone(_), kind) => {
                Err(OpError::WrongCollection { kind: Some(kind) })
            }
        }
    }
}

impl Deleted {
    /// Whether nothing is deleted.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Deleted::Some(of) if of.is_empty())
    }

    pub(crate) fn check(&self) -> Result<(), OpError> {
        let Deleted::Some(of) = self else { return Ok(()) };
        if !of.is_sorted_by(|a, b| a.mint < b.mint) {
            return Err(OpError::Unsorted);
        }
        of.iter().try_for_each(|of| check_stretches(&of.stretches))
    }
}

/// Whether they are normalised: ascending, neither overlapping nor touching, none empty, and there is one.
pub(crate) fn check_stretches(stretches: &[Stretch]) -> Result<(), OpError> {
    if stretches.is_empty() {
        return Err(OpError::NothingObserved);
    }
    let good = |stretch: &Stretch| stretch.len > 0 && stretch.end() <= u64::from(u32::MAX);
    if stretches.iter().all(good) && stretches.is_sorted_by(|a, b| a.end() < u64::from(b.start)) {
        Ok(())
    } else {
        Err(OpError::Unsorted)
    }
}

/// An element as a builder of spans is told of it.
pub(crate) type Element = (Mint, u32);

/// What a builder's run brings, with full names in place of anchors.
pub(crate) enum Minted {
    Text(String),
    Items(Vec<MintedItem>),
    Gone(u32),
}

pub(crate) enum MintedItem {
    Value(Vec<u8>),
    Moved(Element),
}

/// Collects runs, and makes the table of the mints that they name.
#[derive(Default)]
pub(crate) struct SpansBuilder {
    runs: Vec<(Option<Element>, Option<Element>, Minted)>,
}

impl SpansBuilder {
    pub(crate) fn push(&mut self, left: Option<Element>, right: Option<Element>, content: Minted) {
        self.runs.push((left, right, content));
    }

    pub(crate) fn build(self) -> Spans {
        let mut mints = Vec::new();
        for (left, right, content) in &self.runs {
            mints.extend(left.iter().chain(right).map(|(mint, _)| *mint));
            if let Minted::Items(items) = content {
                mints.extend(items.iter().filter_map(|item| match item {
                    MintedItem::Moved((mint, _)) => Some(*mint),
                    MintedItem::Value(_) => None,
                }));
            }
        }
        mints.sort_unstable();
        mints.dedup();
        let anchor = |(mint, offset): Element| {
            let place = mints.binary_search(&mint).expect("INVARIANT: the table was made of all mints");
            Anchor { mint: u32::try_from(place).expect("INVARIANT: a delta is shorter than 2^32 bytes"), offset }
        };
        let content = |content| match content {
            Minted::Text(text) => Content::Text(text),
            Minted::Gone(len) => Content::Gone(len),
            Minted::Items(items) => Content::Items(
                items
                    .into_iter()
                    .map(|item| match item {
                        MintedItem::Value(bytes) => Item::Value(bytes),
                        MintedItem::Moved(element) => Item::Moved(anchor(element)),
                    })
                    .collect(),
            ),
        };
        let run = |(left, right, minted): (Option<Element>, Option<Element>, Minted)| Run {
            left: left.map(anchor),
            right: right.map(anchor),
            content: content(minted),
        };
        let runs = self.runs.into_iter().map(run).collect();
        Spans { mints, runs }
    }
}

/// Elements whose deletion one leaf records: a leaf with every second one deleted is 4 KiB, and a deletion in a text that
/// was pasted rewrites no more.
pub const CHUNK_ELEMENTS: u32 = 1024;

const SPAN_TAG: u8 = 1;
const DELETED_TAG: u8 = 2;

/// What a leaf of a sequence is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SequenceKey {
    Spans(Mint),
    Deleted { mint: Mint, chunk: u32 },
}

/// The prefix of the keys of all spans of a sequence: a scan gives them in order of their mints, so causally.
pub fn spans_prefix(sequence: CollectionId) -> Vec<u8> {
    [sequence.as_bytes().as_slice(), &[SPAN_TAG]].concat()
}

/// The prefix of the keys of all leaves of deleted elements of a sequence, in order of their mints.
pub fn deleted_prefix(sequence: CollectionId) -> Vec<u8> {
    [sequence.as_bytes().as_slice(), &[DELETED_TAG]].concat()
}

/// The key of what `mint` inserted.
pub fn spans_key(sequence: CollectionId, mint: &Mint) -> Vec<u8> {
    mint_key(sequence, SPAN_TAG, mint)
}

/// The key of the `chunk`th [`CHUNK_ELEMENTS`] elements of `mint` that are deleted.
pub fn deleted_key(sequence: CollectionId, mint: &Mint, chunk: u32) -> Vec<u8> {
    let mut key = mint_key(sequence, DELETED_TAG, mint);
    key.extend_from_slice(&chunk.to_be_bytes());
    key
}

fn mint_key(sequence: CollectionId, tag: u8, mint: &Mint) -> Vec<u8> {
    let stamp = mint.stamp.bits().to_be_bytes();
    [sequence.as_bytes().as_slice(), &[tag], &stamp, &mint.delta.0].concat()
}

impl SequenceKey {
    /// What `element`, a leaf's key without the collection, is about.
    pub(crate) fn parse(element: &[u8]) -> Option<Self> {
        let (tag, rest) = element.split_first()?;
        let (stamp, rest) = rest.split_first_chunk::<8>()?;
        let (delta, rest) = rest.split_first_chunk::<32>()?;
        let stamp = Hlc::from_bits(u64::from_be_bytes(*stamp)).ok()?;
        let mint = Mint { stamp, delta: DeltaId(*delta) };
        match (*tag, rest) {
            (SPAN_TAG, []) => Some(SequenceKey::Spans(mint)),
            (DELETED_TAG, rest) => {
                let chunk = u32::from_be_bytes(rest.try_into().ok()?);
                Some(SequenceKey::Deleted { mint, chunk })
            }
            _ => None,
        }
    }
}
