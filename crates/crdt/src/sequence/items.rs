//! Items of lists that have moved, and where each is shown.

use std::ops::Range;
use std::sync::Arc;

use imbl::OrdMap;

use super::chunk::Chunk;
use super::{Anchor, Content, Item, Segment, Sequence};

/// Where the items that have moved are. Both maps are by number of element.
#[derive(Clone, Default)]
pub(crate) struct Places {
    /// By the element that brought the item.
    items: OrdMap<u32, Moved>,
    /// By a new place: the element that it claims to have brought the item.
    of: OrdMap<u32, u32>,
}

#[derive(Clone)]
struct Moved {
    /// The new places that are not deleted.
    places: Vec<u32>,
    /// The one of them, or the item's own, that shows it; `None` once the item is deleted.
    shown: Option<u32>,
}

impl Places {
    /// The element that brought the item that `place` shows.
    pub(crate) fn item_at(&self, place: u32) -> u32 {
        self.of.get(&place).copied().unwrap_or(place)
    }

    /// Whether no item has moved.
    pub(crate) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.items.len() * 80 + self.of.len() * 16
    }
}

/// Cuts a run, whose first element has the number `first`, where what is shown begins and ends.
pub(super) fn segments(content: &Content, first: u32, is_deleted: &dyn Fn(u32) -> bool) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let hide = |segments: &mut Vec<Segment>, len| match segments.last_mut() {
        Some(Segment { len: before, content: None }) => *before += len,
        Some(_) | None => segments.push(Segment { len, content: None }),
    };
    match content {
        Content::Gone(len) => hide(&mut segments, *len),
        Content::Text(text) => {
            for (number, character) in (first..).zip(text.chars()) {
                if is_deleted(number) {
                    hide(&mut segments, 1);
                } else if let Some(Segment { len, content: Some(Chunk::Text(shown)) }) = segments.last_mut() {
                    *len += 1;
                    shown.push(character);
                } else {
                    segments.push(Segment { len: 1, content: Some(Chunk::Text(character.into())) });
                }
            }
        }
        Content::Items(items) => {
            for (number, item) in (first..).zip(items) {
                match item {
                    Item::Value(bytes) if !is_deleted(number) => {
                        let bytes = Arc::from(bytes.as_slice());
                        if let Some(Segment { len, content: Some(Chunk::Items(shown)) }) = segments.last_mut() {
                            *len += 1;
                            shown.push(bytes);
                        } else {
                            segments.push(Segment { len: 1, content: Some(Chunk::Items(vec![bytes])) });
                        }
                    }
                    Item::Value(_) | Item::Moved(_) => hide(&mut segments, 1),
                }
            }
        }
    }
    segments
}

impl Sequence {
    /// Shows items at the new places that a run, whose elements are in the tree, brings.
    pub(super) fn place_items(
        &mut self,
        first: u32,
        items: &[Item],
        number: &dyn Fn(Anchor) -> Option<u32>,
        is_deleted: &dyn Fn(u32) -> bool,
    ) {
        for (place, item) in (first..).zip(items) {
            let Item::Moved(anchor) = item else { continue };
            let Some(item) = number(*anchor) else { continue };
            // Whoever says that a place was an item moves nothing.
            let is_item = !self.items.of.contains_key(&item);
            self.items.of.insert(place, item);
            if is_item && !is_deleted(place) {
                self.add_place(place, item);
            }
        }
    }

    /// Takes in that elements are deleted, as far as items are concerned that have moved.
    pub(super) fn delete_items(&mut self, numbers: &Range<u32>) {
        if self.items.of.is_empty() {
            return;
        }
        let deleted: Vec<u32> = self.items.items.range(numbers.clone()).map(|(item, _)| *item).collect();
        for item in deleted {
            let shown = self.items.items.get_mut(&item).and_then(|moved| moved.shown.take());
            if let Some(shown) = shown {
                self.hide(shown..shown + 1);
            }
        }
        let places: Vec<(u32, u32)> = self.items.of.range(numbers.clone()).map(|(place, of)| (*place, *of)).collect();
        for (place, item) in places {
            if let Some(moved) = self.items.items.get_mut(&item) {
                moved.places.retain(|other| *other != place);
                self.settle(item);
            }
        }
    }

    fn add_place(&mut self, place: u32, item: u32) {
        if !self.items.items.contains_key(&item) {
            let (piece, _) = self.tree.piece_of(item);
            let moved = Moved { places: Vec::new(), shown: (!piece.is_hidden()).then_some(item) };
            self.items.items.insert(item, moved);
        }
        if let Some(moved) = self.items.items.get_mut(&item) {
            moved.places.push(place);
        }
        self.settle(item);
    }

    /// Shows an item at the greatest of its places.
    fn settle(&mut self, item: u32) {
        let Some(moved) = self.items.items.get(&item) else { return };
        let Some(shown) = moved.shown else { return };
        let greatest = moved.places.iter().copied().max_by(|a, b| self.mints.compare(*a, *b));
        let place = greatest.unwrap_or(item);
        if place != shown {
            let content = self.tree.hide(self.tree.spot_of(shown), 1);
            self.tree.unhide(self.tree.spot_of(place), content);
            if let Some(moved) = self.items.items.get_mut(&item) {
                moved.shown = Some(place);
            }
        }
    }
}
