//! Where an accepted entry stands in its log: the local index beside its bytes.
//!
//! A placement is neither signed nor sent. Chain numbers and arrival numbers are this node's own, so two nodes
//! with the same log hold different placements that say the same.

use std::io::{Error, ErrorKind, Read, Write};

use borsh::{BorshDeserialize, BorshSerialize};

use crate::entry::Stamp;

/// Number of a chain within one log on this node, in the order in which the chains were first seen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct ChainIx(pub u32);

/// A causal past: for each chain with entries in it the largest `seq`, ascending by chain.
///
/// A past that reaches into a branch always names the chains below the branch too, at least up to the forks,
/// so one look at one chain tells whether an entry is in it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Past {
    reach: Vec<(ChainIx, u64)>,
}

impl Past {
    /// The past of nothing.
    #[must_use]
    pub const fn empty() -> Self {
        Self { reach: Vec::new() }
    }

    /// The largest `seq` of `chain` in this past; 0 if there is none.
    #[must_use]
    pub fn reach(&self, chain: ChainIx) -> u64 {
        self.reach
            .binary_search_by_key(&chain, |&(at, _)| at)
            .ok()
            .and_then(|at| self.reach.get(at))
            .map_or(0, |&(_, seq)| seq)
    }

    /// Whether the entry at `placement` is in this past.
    #[must_use]
    pub fn covers(&self, placement: &Placement) -> bool {
        self.reach(placement.chain) >= placement.seq
    }

    /// Each chain in this past with its largest `seq`, ascending by chain.
    pub fn iter(&self) -> impl Iterator<Item = (ChainIx, u64)> + '_ {
        self.reach.iter().copied()
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reach.is_empty()
    }

    /// Adds all of `other`.
    pub fn join(&mut self, other: &Self) {
        if self.reach.is_empty() {
            self.reach.clone_from(&other.reach);
            return;
        }
        let mut joined = Vec::with_capacity(self.reach.len().max(other.reach.len()));
        let mut ours = self.reach.iter().copied().peekable();
        let mut theirs = other.reach.iter().copied().peekable();
        while let (Some(&a), Some(&b)) = (ours.peek(), theirs.peek()) {
            if a.0 <= b.0 {
                ours.next();
            }
            if b.0 <= a.0 {
                theirs.next();
            }
            joined.push(match a.0.cmp(&b.0) {
                std::cmp::Ordering::Less => a,
                std::cmp::Ordering::Greater => b,
                std::cmp::Ordering::Equal => (a.0, a.1.max(b.1)),
            });
        }
        joined.extend(ours);
        joined.extend(theirs);
        self.reach = joined;
    }

    /// Raises the reach into `chain` to at least `seq`, which counts from 1.
    pub(crate) fn extend_to(&mut self, chain: ChainIx, seq: u64) {
        match self.reach.binary_search_by_key(&chain, |&(at, _)| at) {
            Ok(at) => {
                if let Some((_, reached)) = self.reach.get_mut(at) {
                    *reached = seq.max(*reached);
                }
            }
            Err(at) => self.reach.insert(at, (chain, seq)),
        }
    }
}

/// The count, then per chain the distance to the chain before it and the `seq`, all as LEB128: two or three
/// bytes a chain, and a placement is written for every entry.
impl BorshSerialize for Past {
    fn serialize<W: Write>(&self, writer: &mut W) -> std::io::Result<()> {
        write_varint(writer, self.reach.len() as u64)?;
        let mut next = 0;
        for &(chain, seq) in &self.reach {
            write_varint(writer, u64::from(chain.0) - next)?;
            write_varint(writer, seq)?;
            next = u64::from(chain.0) + 1;
        }
        Ok(())
    }
}

impl BorshDeserialize for Past {
    fn deserialize_reader<R: Read>(reader: &mut R) -> std::io::Result<Self> {
        let refuse = |what: &str| Error::new(ErrorKind::InvalidData, what);
        let count = read_varint(reader)?;
        let mut reach = Vec::new();
        let mut next = 0_u64;
        for _ in 0..count {
            let chain = next.checked_add(read_varint(reader)?).ok_or_else(|| refuse("a chain number overflows"))?;
            let seq = read_varint(reader)?;
            if seq == 0 {
                return Err(refuse("a past reaches to seq 0"));
            }
            let chain_ix = u32::try_from(chain).map_err(|_| refuse("a chain number overflows"))?;
            reach.push((ChainIx(chain_ix), seq));
            next = chain + 1;
        }
        Ok(Self { reach })
    }
}

fn write_varint<W: Write>(writer: &mut W, mut value: u64) -> std::io::Result<()> {
    while value >= 0x80 {
        writer.write_all(&[(value & 0x7f) as u8 | 0x80])?;
        value >>= 7;
    }
    writer.write_all(&[value as u8])
}

fn read_varint<R: Read>(reader: &mut R) -> std::io::Result<u64> {
    let mut value = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = u8::deserialize_reader(reader)?;
        let low = u64::from(byte & 0x7f);
        let shifted = low << shift;
        if shifted >> shift != low || (byte == 0 && shift > 0) {
            break;
        }
        value |= shifted;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Error::new(ErrorKind::InvalidData, "a number is longer than it need be"))
}

/// Position data about one accepted entry.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Placement {
    /// Number of the entry in the order of acceptance on this node, from 0: a topological order of the log.
    pub arrival: u64,
    /// The chain that it stands in.
    pub chain: ChainIx,
    /// Its place in the author's chain, from 1.
    pub seq: u64,
    /// 0 without parents, else one more than the greatest height of a parent. The same on every node.
    pub height: u64,
    /// The entry's own stamp, so that a child's can be compared without reading the entry.
    pub stamp: Stamp,
    /// Its causal past, itself included.
    pub past: Past,
}

/// Why bytes are no placement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlacementError {
    /// Too short, too long or not canonical.
    #[error("malformed placement: {0}")]
    Malformed(String),
    /// The past does not end in the entry itself.
    #[error("a placement's past does not end in its own entry")]
    NotInOwnPast,
}

impl Placement {
    /// The bytes to keep beside the entry.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        borsh::to_vec(self).expect("INVARIANT: writing to memory does not fail")
    }

    /// Reads what [`Placement::encode`] wrote.
    ///
    /// # Errors
    /// For anything else; see [`PlacementError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, PlacementError> {
        let placement = Self::try_from_slice(bytes).map_err(|e| PlacementError::Malformed(e.to_string()))?;
        if placement.seq == 0 || placement.past.reach(placement.chain) != placement.seq {
            return Err(PlacementError::NotInOwnPast);
        }
        Ok(placement)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn past(reach: &[(u32, u64)]) -> Past {
        let mut past = Past::empty();
        for &(chain, seq) in reach {
            past.extend_to(ChainIx(chain), seq);
        }
        past
    }

    fn placement() -> Placement {
        Placement {
            arrival: 9,
            chain: ChainIx(3),
            seq: 300,
            height: 7,
            stamp: Stamp(5 << 16 | 1),
            past: past(&[(0, 2), (1, 1), (3, 300), (200, 1 << 40)]),
        }
    }

    #[test]
    fn the_bytes_of_a_placement_are_frozen() {
        assert_eq!(hex::encode(placement().encode()), include_str!("../tests/golden/placement.hex").trim());
    }

    #[test]
    fn a_placement_that_is_not_in_its_own_past_is_refused() {
        let mut wrong = placement();
        wrong.past = past(&[(3, 299)]);
        assert_eq!(Placement::decode(&wrong.encode()), Err(PlacementError::NotInOwnPast));
    }

    #[test]
    fn a_number_in_more_bytes_than_it_needs_is_refused() {
        let mut padded = [0x81_u8, 0x00].as_slice();
        assert!(read_varint(&mut padded).is_err());
        let mut too_large = [0xff; 10].as_slice();
        assert!(read_varint(&mut too_large).is_err());
    }

    proptest! {
        #[test]
        fn numbers_round_trip(value: u64) {
            let mut bytes = Vec::new();
            write_varint(&mut bytes, value).expect("memory");
            prop_assert_eq!(read_varint(&mut bytes.as_slice()).ok(), Some(value));
        }

        #[test]
        fn what_decodes_is_what_would_be_encoded(flips in prop::collection::vec((0usize..64, any::<u8>()), 0..3)) {
            let mut bytes = placement().encode();
            for (at, byte) in flips {
                if let Some(slot) = bytes.get_mut(at) {
                    *slot = byte;
                }
            }
            if let Ok(read) = Placement::decode(&bytes) {
                prop_assert_eq!(read.encode(), bytes);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Placement::decode(&bytes);
        }

        #[test]
        fn a_join_reaches_as_far_as_the_farther_side(
            a in prop::collection::btree_map(0u32..12, 1u64..9, 0..8),
            b in prop::collection::btree_map(0u32..12, 1u64..9, 0..8),
        ) {
            let sides = [&a, &b].map(|side| past(&side.iter().map(|(c, s)| (*c, *s)).collect::<Vec<_>>()));
            let mut joined = sides[0].clone();
            joined.join(&sides[1]);
            for chain in (0..12).map(ChainIx) {
                prop_assert_eq!(joined.reach(chain), sides[0].reach(chain).max(sides[1].reach(chain)));
            }
            prop_assert!(joined.iter().all(|(_, seq)| seq > 0));
            prop_assert!(joined.reach.is_sorted_by(|x, y| x.0 < y.0));
        }
    }
}
