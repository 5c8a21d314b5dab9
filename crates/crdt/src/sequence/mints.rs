//! Numbers for elements: in memory an element is a `u32`, in order of arrival, and its name is looked up here.
//!
//! Mints that arrive in order of their stamps, as almost all do, cost two or three bytes each: blocks of varints. The
//! others are in ordered maps. A delta's id is kept only where the stamp does not tell which delta it is, where the
//! mint is large, and for the mints in use: else it is found by the stamp among the leaves.

use std::cmp::Ordering;

use imbl::OrdMap;

use super::Mint;
use super::arena::Arena;
use crate::clock::Hlc;
use crate::id::DeltaId;

/// Mints in one block: decoding one takes about 0.1 us, and a block's own cost is a byte for each of them.
const BLOCK_MINTS: u8 = 64;
/// Mints of so many elements keep their delta's id: to find it among the leaves would read all of them.
const LARGE_MINT: u32 = 64;
/// Mints whose names are at hand: people type at a few places at a time.
const RECENT_MAX: usize = 16;

#[derive(Clone, Default)]
pub(crate) struct Mints {
    /// Mints in order of their stamps and numbers.
    blocks: Arena<Block>,
    last_stamp: Option<Hlc>,
    /// Mints that came after one with a greater or equal stamp, by first number.
    late: OrdMap<u32, (Hlc, u32)>,
    late_by_stamp: OrdMap<(Hlc, u32), ()>,
    ids: OrdMap<u32, DeltaId>,
    recent: Vec<Found>,
    next_number: u32,
}

#[derive(Clone)]
struct Block {
    first_number: u32,
    first_stamp: Hlc,
    count: u8,
    /// How many elements its mints have together.
    numbers: u32,
    /// For each mint the varint of its stamp's distance from the one before, and its length if it is not 1.
    bytes: Vec<u8>,
}

/// A mint, and the numbers of its elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) mint: Mint,
    pub(crate) first: u32,
    pub(crate) len: u32,
}

/// What the numbers alone tell of a mint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) stamp: Hlc,
    pub(crate) first: u32,
    pub(crate) len: u32,
}

impl Mints {
    /// The number that the next element gets, which is how many there are.
    pub(crate) fn next_number(&self) -> u32 {
        self.next_number
    }

    /// Gives numbers to the elements of a mint; the first of them. `others` finds all deltas that have minted at a
    /// stamp.
    pub(crate) fn add(&mut self, mint: Mint, len: u32, others: &dyn Fn(Hlc) -> Vec<DeltaId>) -> u32 {
        let first = self.next_number;
        self.next_number += len;
        let rivals = self.at(mint.stamp);
        if self.last_stamp.is_none_or(|last| last < mint.stamp) {
            self.append(mint.stamp, first, len);
            self.last_stamp = Some(mint.stamp);
        } else {
            self.late.insert(first, (mint.stamp, len));
            self.late_by_stamp.insert((mint.stamp, first), ());
        }
        if let Some(unnamed) = rivals.iter().find(|rival| !self.ids.contains_key(&rival.first)) {
            let is_other =
                |id: &DeltaId| *id != mint.delta && !rivals.iter().any(|rival| self.ids.get(&rival.first) == Some(id));
            if let Some(id) = others(mint.stamp).into_iter().find(is_other) {
                self.ids.insert(unnamed.first, id);
            }
        }
        if !rivals.is_empty() || len >= LARGE_MINT {
            self.ids.insert(first, mint.delta);
        }
        self.use_now(Found { mint, first, len });
        first
    }

    /// The numbers of a mint that is known to be here.
    pub(crate) fn find(&self, mint: &Mint) -> Option<Found> {
        if let Some(found) = self.recent.iter().find(|found| found.mint == *mint) {
            return Some(*found);
        }
        let candidates = self.at(mint.stamp);
        let named = match candidates.as_slice() {
            [only] => Some(only),
            several => several.iter().find(|named| self.ids.get(&named.first) == Some(&mint.delta)),
        };
        named.map(|named| Found { mint: *mint, first: named.first, len: named.len })
    }

    /// As [`Mints::find`], but only if what is in memory proves that there is such a mint.
    pub(crate) fn find_proven(&self, mint: &Mint) -> Option<Found> {
        if let Some(found) = self.recent.iter().find(|found| found.mint == *mint) {
            return Some(*found);
        }
        let is_it = |named: &Named| self.ids.get(&named.first) == Some(&mint.delta);
        let named = self.at(mint.stamp).into_iter().find(is_it)?;
        Some(Found { mint: *mint, first: named.first, len: named.len })
    }

    /// Keeps a mint at hand.
    pub(crate) fn use_now(&mut self, found: Found) {
        match self.recent.iter().position(|other| other.first == found.first) {
            Some(0) => {}
            Some(place) => self.recent.get_mut(..=place).unwrap_or_default().rotate_right(1),
            None => {
                self.recent.truncate(RECENT_MAX - 1);
                self.recent.insert(0, found);
            }
        }
    }

    /// The mint of an element.
    pub(crate) fn of(&self, number: u32) -> Named {
        let found = self.in_blocks(number);
        found.unwrap_or_else(|| {
            let (first, (stamp, len)) =
                self.late.get_prev(&number).expect("INVARIANT: every number was given to an element of some mint");
            Named { stamp: *stamp, first: *first, len: *len }
        })
    }

    /// The delta of the mint whose first number is this, if it is at hand.
    pub(crate) fn id_of(&self, first: u32) -> Option<DeltaId> {
        let recent = self.recent.iter().find(|found| found.first == first);
        recent.map(|found| found.mint.delta).or_else(|| self.ids.get(&first).copied())
    }

    /// Orders elements by (stamp, delta, offset).
    pub(crate) fn compare(&self, a: u32, b: u32) -> Ordering {
        let (of_a, of_b) = (self.of(a), self.of(b));
        if of_a.first == of_b.first {
            return a.cmp(&b);
        }
        // Mints that share a stamp have their ids here.
        let ids = || self.ids.get(&of_a.first).cmp(&self.ids.get(&of_b.first));
        of_a.stamp.cmp(&of_b.stamp).then_with(ids)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let block = |block: &Block| size_of::<Block>() + 24 + block.bytes.capacity();
        let blocks: usize = self.blocks.iter().map(block).sum();
        // An entry of an ordered map takes about half as much again as what is in it.
        blocks + self.late.len() * 48 + self.ids.len() * 60 + self.recent.capacity() * size_of::<Found>()
    }

    fn in_blocks(&self, number: u32) -> Option<Named> {
        let after = self.blocks.partition_point(|block| block.first_number <= number);
        let block = self.blocks.get(after.checked_sub(1)?);
        block.mints().find(|named| number - named.first < named.len)
    }

    /// All mints with this stamp.
    fn at(&self, stamp: Hlc) -> Vec<Named> {
        let mut found = Vec::new();
        if self.last_stamp.is_some_and(|last| stamp <= last) {
            let after = self.blocks.partition_point(|block| block.first_stamp <= stamp);
            if let Some(block) = after.checked_sub(1) {
                found.extend(self.blocks.get(block).mints().find(|named| named.stamp == stamp));
            }
        }
        for ((_, first), ()) in self.late_by_stamp.range((stamp, 0)..=(stamp, u32::MAX)) {
            found.extend(self.late.get(first).map(|(stamp, len)| Named { stamp: *stamp, first: *first, len: *len }));
        }
        found
    }

    fn append(&mut self, stamp: Hlc, first: u32, len: u32) {
        let last = self.blocks.len().checked_sub(1);
        let open = last.filter(|last| {
            let block = self.blocks.get(*last);
            block.count < BLOCK_MINTS && block.first_number + block.numbers == first
        });
        let before = self.last_stamp;
        match (open, before) {
            (Some(open), Some(before)) => self.blocks.get_mut(open).push(stamp.bits() - before.bits(), len),
            (Some(_) | None, _) => {
                let mut block =
                    Block { first_number: first, first_stamp: stamp, count: 0, bytes: Vec::new(), numbers: 0 };
                block.push(0, len);
                self.blocks.push(block);
            }
        }
    }
}

/// Stamps mostly differ in their milliseconds alone, and mints mostly have one element.
const WHOLE_MS: u64 = 0;
const FINE: u64 = 1;
const SEVERAL: u64 = 2;
const FLAG_BITS: u32 = 2;
const COUNTER_BITS: u32 = 16;

impl Block {
    fn push(&mut self, distance: u64, len: u32) {
        let ms = distance >> COUNTER_BITS;
        let (value, unit) = if ms << COUNTER_BITS == distance { (ms, WHOLE_MS) } else { (distance, FINE) };
        let several = if len == 1 { 0 } else { SEVERAL };
        push_varint(&mut self.bytes, u128::from(value) << FLAG_BITS | u128::from(unit | several));
        if len != 1 {
            push_varint(&mut self.bytes, u128::from(len));
        }
        self.count += 1;
        self.numbers += len;
    }

    fn mints(&self) -> impl Iterator<Item = Named> + '_ {
        let mut bytes = self.bytes.as_slice();
        let (mut stamp, mut first) = (self.first_stamp.bits(), self.first_number);
        std::iter::from_fn(move || {
            let head = pop_varint(&mut bytes)?;
            let flags = head as u64 & ((1 << FLAG_BITS) - 1);
            let value = (head >> FLAG_BITS) as u64;
            stamp += if flags & FINE == 0 { value << COUNTER_BITS } else { value };
            let len = if flags & SEVERAL == 0 { 1 } else { pop_varint(&mut bytes)? as u32 };
            let stamp = Hlc::from_bits(stamp).expect("INVARIANT: it was pushed as a stamp");
            let named = Named { stamp, first, len };
            first += len;
            Some(named)
        })
    }
}

fn push_varint(bytes: &mut Vec<u8>, mut value: u128) {
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn pop_varint(bytes: &mut &[u8]) -> Option<u128> {
    let (mut value, mut shift) = (0u128, 0);
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u128::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn names_and_numbers_are_one_to_one(
            mints in prop::collection::vec((prop_oneof![0u64..6, 0u64..1 << 20, Just(5 << 16), 0u64..1 << 63], 1u32..90), 1..200),
        ) {
            let mut table = Mints::default();
            let mut model: Vec<(Mint, u32, u32)> = Vec::new();
            let mut next = 0;
            for (index, (step, len)) in mints.into_iter().enumerate() {
                let last = model.last().map_or(0, |(mint, ..)| mint.stamp.bits());
                // Mostly later ones, sometimes earlier or equal.
                let bits = if index % 5 == 4 { last / 2 + step } else { last.saturating_add(step) };
                let stamp = Hlc::from_bits(bits.min(Hlc::MAX.bits())).expect("in range");
                let mint = Mint { stamp, delta: DeltaId([index as u8; 32]) };
                let others = |stamp| model.iter().filter(|m| m.0.stamp == stamp).map(|m| m.0.delta).collect();
                prop_assert_eq!(table.add(mint, len, &others), next);
                model.push((mint, next, len));
                next += len;
            }
            prop_assert_eq!(table.next_number(), next);
            for (mint, first, len) in &model {
                let found = table.find(mint).expect("is there");
                prop_assert_eq!((found.mint, found.first, found.len), (*mint, *first, *len));
                for number in [*first, first + len - 1] {
                    prop_assert_eq!(table.of(number), Named { stamp: mint.stamp, first: *first, len: *len });
                }
                let proven = table.find_proven(mint);
                prop_assert!(proven.is_none_or(|proven| proven.first == *first));
                prop_assert!(*len < LARGE_MINT || proven.is_some());
                let liar = Mint { delta: DeltaId([255; 32]), ..*mint };
                prop_assert!(table.find_proven(&liar).is_none());
                for (other, other_first, _) in &model {
                    let expected = (mint, 0).cmp(&(other, 0));
                    prop_assert_eq!(table.compare(*first, *other_first), expected);
                }
            }
        }
    }
}
