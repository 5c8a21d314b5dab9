//! The visible content of one leaf of the tree.

use std::ops::Range;
use std::sync::Arc;

/// Characters, or items, side by side. Cheap to split and join, because a leaf holds little.
#[derive(Clone, Debug)]
pub(crate) enum Chunk {
    Text(String),
    Items(Vec<Arc<[u8]>>),
}

/// How much content is: in all units in which places are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measure {
    /// Characters or items.
    pub(crate) visible: u32,
    /// UTF-16 code units; as many as items in a list.
    pub(crate) utf16: u32,
    /// Line feeds; none in a list.
    pub(crate) newlines: u32,
}

impl std::ops::AddAssign for Measure {
    fn add_assign(&mut self, other: Self) {
        self.visible += other.visible;
        self.utf16 += other.utf16;
        self.newlines += other.newlines;
    }
}

impl std::ops::SubAssign for Measure {
    fn sub_assign(&mut self, other: Self) {
        self.visible -= other.visible;
        self.utf16 -= other.utf16;
        self.newlines -= other.newlines;
    }
}

/// What an item weighs in a leaf, in bytes: its pointer. Its value is shared by all versions.
const ITEM_WEIGHT: usize = size_of::<Arc<[u8]>>();

impl Chunk {
    /// Content of the same sort, but none.
    pub(crate) fn empty_like(&self) -> Chunk {
        match self {
            Chunk::Text(_) => Chunk::Text(String::new()),
            Chunk::Items(_) => Chunk::Items(Vec::new()),
        }
    }

    /// Bytes that a copy of the leaf copies for it.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Chunk::Text(text) => text.len(),
            Chunk::Items(items) => items.len() * ITEM_WEIGHT,
        }
    }

    /// How many elements from the beginning weigh at most `weight`, but at least one.
    pub(crate) fn len_of_weight(&self, weight: usize) -> u32 {
        match self {
            Chunk::Text(text) => {
                let whole = (0..=weight.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
                text.get(..whole.unwrap_or(0)).map_or(0, |head| head.chars().count()).max(1) as u32
            }
            Chunk::Items(items) => items.len().min(weight / ITEM_WEIGHT).max(1) as u32,
        }
    }

    /// Bytes of content.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Chunk::Text(text) => text.len(),
            Chunk::Items(items) => items.iter().map(|item| item.len()).sum(),
        }
    }

    pub(crate) fn measure(&self) -> Measure {
        match self {
            Chunk::Text(text) => measure_text(text),
            Chunk::Items(items) => {
                let len = items.len() as u32;
                Measure { visible: len, utf16: len, newlines: 0 }
            }
        }
    }

    /// Puts `other` before element `at` of `len`.
    pub(crate) fn insert(&mut self, at: u32, len: u32, other: Chunk) {
        match (self, other) {
            (Chunk::Text(text), Chunk::Text(other)) => text.insert_str(byte_of(text, at, len), &other),
            (Chunk::Items(items), Chunk::Items(other)) => {
                let at = at as usize;
                items.splice(at..at, other);
            }
            // Cannot be: the collection's kind decides, and every way in checks it.
            (Chunk::Text(_), Chunk::Items(_)) | (Chunk::Items(_), Chunk::Text(_)) => {}
        }
    }

    /// Takes the elements `range` of `len` out.
    pub(crate) fn remove(&mut self, range: Range<u32>, len: u32) -> Chunk {
        match self {
            Chunk::Text(text) => {
                let bytes = bytes_of(text, &range, len);
                let removed = text.get(bytes.clone()).unwrap_or_default().to_owned();
                text.replace_range(bytes, "");
                Chunk::Text(removed)
            }
            Chunk::Items(items) => Chunk::Items(items.drain(range.start as usize..range.end as usize).collect()),
        }
    }

    /// Cuts the content in two before element `at` of `len`; the second part.
    pub(crate) fn split_off(&mut self, at: u32, len: u32) -> Chunk {
        match self {
            Chunk::Text(text) => {
                let tail = text.split_off(byte_of(text, at, len));
                text.shrink_to_fit();
                Chunk::Text(tail)
            }
            Chunk::Items(items) => {
                let tail = items.split_off(at as usize);
                items.shrink_to_fit();
                Chunk::Items(tail)
            }
        }
    }

    /// Shows the elements `range` of `len`.
    pub(crate) fn slice(&self, range: Range<u32>, len: u32) -> Slice<'_> {
        match self {
            Chunk::Text(text) => Slice::Text(text.get(bytes_of(text, &range, len)).unwrap_or_default()),
            Chunk::Items(items) => {
                Slice::Items(items.get(range.start as usize..range.end as usize).unwrap_or_default())
            }
        }
    }
}

/// Part of a chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Slice<'a> {
    Text(&'a str),
    Items(&'a [Arc<[u8]>]),
}

pub(crate) fn measure_text(text: &str) -> Measure {
    let mut measure = Measure::default();
    for byte in text.bytes() {
        // Every character has one byte that is not a continuation, and one of four bytes takes two units.
        measure.visible += u32::from(byte & 0xc0 != 0x80);
        measure.utf16 += u32::from(byte & 0xc0 != 0x80) + u32::from(byte >= 0xf0);
        measure.newlines += u32::from(byte == b'\n');
    }
    measure
}

fn bytes_of(text: &str, range: &Range<u32>, len: u32) -> Range<usize> {
    let start = byte_of(text, range.start, len);
    let rest = text.get(start..).unwrap_or_default();
    let end = start + byte_of(rest, range.end - range.start, len - range.start);
    start..end
}

/// Where character `at` of a text of `len` begins.
fn byte_of(text: &str, at: u32, len: u32) -> usize {
    if at == 0 {
        0
    } else if text.len() == len as usize {
        at as usize
    } else if at >= len {
        text.len()
    } else {
        text.char_indices().nth(at as usize).map_or(text.len(), |(byte, _)| byte)
    }
}
