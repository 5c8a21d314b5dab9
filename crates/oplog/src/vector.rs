//! The author vector: a summary of a log from which another node can tell what the first one lacks.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Read};

use borsh::{BorshDeserialize, BorshSerialize};

use crate::chain::ChainKey;
use crate::dag::Dag;
use crate::id::{EntryId, PublicKey};

/// Authors in one vector: four times the largest group that we plan for.
pub const AUTHORS_MAX: usize = 4096;
/// Tips of one author in one vector, all its lives together. An honest author gets a second one by restoring
/// from a backup; only one that floods the log has more, and pays with its own entries being offered twice.
pub const TIPS_PER_AUTHOR_MAX: usize = 16;
/// Tips in one vector: with this many it still fits into a frame of 1 MiB.
pub const TIPS_MAX: usize = 16_384;
/// Largest vector, in bytes: every tip in a row of its own.
pub const VECTOR_LEN_MAX: usize = 1 + 4 + TIPS_MAX * (16 + 4 + 8 + 32);

/// What one node holds of a log: for each life of each author the last entry of each branch.
///
/// A log is closed under parents, so a tip stands for all that is in its past. Equal logs have equal vectors,
/// and so have unequal ones only if both are incomplete; equality of logs is judged by their heads.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize)]
pub struct AuthorVector {
    is_complete: bool,
    rows: Vec<Row>,
}

/// The tips of one life of one author.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Row {
    /// Whose life.
    pub life: ChainKey,
    /// Ascending, at least one: one, unless the author equivocated.
    pub tips: Vec<HeldTip>,
}

/// The last entry of a branch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
pub struct HeldTip {
    /// Its place in the chain, from 1.
    pub seq: u64,
    /// Its id.
    pub id: EntryId,
}

/// Why bytes are no vector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VectorError {
    /// More than [`VECTOR_LEN_MAX`] bytes.
    #[error("a vector of {0} bytes exceeds the limit of {VECTOR_LEN_MAX}")]
    TooLong(usize),
    /// Too short, bytes left over, too many tips, or anything out of order.
    #[error("malformed vector: {0}")]
    Malformed(String),
}

impl AuthorVector {
    /// Of a log without entries.
    #[must_use]
    pub const fn empty() -> Self {
        Self { is_complete: true, rows: Vec::new() }
    }

    /// The vector of a log: a function of what it holds, not of how that arrived.
    pub(crate) fn of(dag: &Dag) -> Self {
        let mut by_author: BTreeMap<PublicKey, Vec<(HeldTip, ChainKey)>> = BTreeMap::new();
        for (life, chain) in dag.lives() {
            let tip = HeldTip { seq: chain.tip.seq, id: chain.tip.id };
            by_author.entry(chain.author).or_default().push((tip, life));
        }
        for tips in by_author.values_mut() {
            tips.sort_by_key(|&(tip, _)| Reverse(tip));
        }
        let mut authors: Vec<_> = by_author.into_values().collect();
        // Where not all fit, the longest chains save the most.
        authors.sort_by_key(|tips| Reverse(tips.first().copied()));
        let mut is_complete = authors.len() <= AUTHORS_MAX;
        authors.truncate(AUTHORS_MAX);
        let mut each_max = TIPS_PER_AUTHOR_MAX;
        while authors.iter().map(|tips| tips.len().min(each_max)).sum::<usize>() > TIPS_MAX {
            each_max /= 2;
        }
        let mut rows: BTreeMap<ChainKey, Vec<HeldTip>> = BTreeMap::new();
        for tips in authors {
            is_complete &= tips.len() <= each_max;
            for (tip, life) in tips.into_iter().take(each_max) {
                rows.entry(life).or_default().push(tip);
            }
        }
        let sorted = |(life, mut tips): (_, Vec<_>)| {
            tips.sort();
            Row { life, tips }
        };
        Self { is_complete, rows: rows.into_iter().map(sorted).collect() }
    }

    /// The rows, strictly ascending by life.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Whether every tip is listed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Whether it is that of a log without entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All tips, in the order of rows.
    pub fn tips(&self) -> impl Iterator<Item = HeldTip> + '_ {
        self.rows.iter().flat_map(|row| row.tips.iter().copied())
    }

    /// The bytes to send; at most [`VECTOR_LEN_MAX`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        borsh::to_vec(self).expect("INVARIANT: writing to memory does not fail")
    }

    /// Reads a vector.
    ///
    /// # Errors
    /// For anything but the one encoding of a vector within its bounds.
    pub fn decode(bytes: &[u8]) -> Result<Self, VectorError> {
        if bytes.len() > VECTOR_LEN_MAX {
            return Err(VectorError::TooLong(bytes.len()));
        }
        Self::try_from_slice(bytes).map_err(|e| VectorError::Malformed(e.to_string()))
    }
}

/// Checks what it reads, so that a vector within a larger message is as good as one by itself.
impl BorshDeserialize for AuthorVector {
    fn deserialize_reader<R: Read>(reader: &mut R) -> std::io::Result<Self> {
        let refuse = |what: &str| Err(Error::new(ErrorKind::InvalidData, what));
        let is_complete = bool::deserialize_reader(reader)?;
        let rows_len = u32::deserialize_reader(reader)? as usize;
        if rows_len > TIPS_MAX {
            return refuse("more rows than a vector may have");
        }
        let mut rows: Vec<Row> = Vec::new();
        let mut left = TIPS_MAX;
        for _ in 0..rows_len {
            let life = ChainKey::deserialize_reader(reader)?;
            if rows.last().is_some_and(|before| before.life >= life) {
                return refuse("rows are not strictly ascending");
            }
            let tips_len = u32::deserialize_reader(reader)? as usize;
            if tips_len == 0 || tips_len > TIPS_PER_AUTHOR_MAX || tips_len > left {
                return refuse("a row without tips, or more tips than a vector may have");
            }
            left -= tips_len;
            let tips = (0..tips_len).map(|_| HeldTip::deserialize_reader(reader));
            let tips = tips.collect::<std::io::Result<Vec<_>>>()?;
            if !tips.is_sorted_by(|a, b| a < b) || tips.first().is_some_and(|tip| tip.seq == 0) {
                return refuse("tips are not strictly ascending from seq 1");
            }
            rows.push(Row { life, tips });
        }
        Ok(Self { is_complete, rows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::{Chain, Tip};
    use crate::entry::{Kind, Stamp};
    use crate::id::{Incarnation, LogId};
    use proptest::prelude::*;

    fn vector() -> AuthorVector {
        let tip = |seq, byte| HeldTip { seq, id: EntryId::from_bytes([byte; 32]) };
        AuthorVector {
            is_complete: true,
            rows: vec![
                Row { life: ChainKey([1; 16]), tips: vec![tip(7, 3)] },
                Row { life: ChainKey([2; 16]), tips: vec![tip(1, 5), tip(9, 4)] },
            ],
        }
    }

    #[test]
    fn the_bytes_of_a_vector_are_frozen() {
        assert_eq!(hex::encode(vector().encode()), include_str!("../tests/golden/vector.hex").trim());
    }

    #[test]
    fn what_is_out_of_order_or_out_of_bounds_is_refused() {
        let refused = |change: &dyn Fn(&mut AuthorVector)| {
            let mut changed = vector();
            change(&mut changed);
            AuthorVector::decode(&changed.encode()).is_err()
        };
        assert!(!refused(&|_| ()));
        assert!(refused(&|v| v.rows.reverse()));
        assert!(refused(&|v| v.rows[1].life = v.rows[0].life));
        assert!(refused(&|v| v.rows[1].tips.reverse()));
        assert!(refused(&|v| v.rows[1].tips.clear()));
        assert!(refused(&|v| v.rows[0].tips[0].seq = 0));
        assert!(refused(&|v| {
            let tips = (1..=17).map(|seq| HeldTip { seq, id: EntryId::default() });
            v.rows[0].tips = tips.collect();
        }));
        let mut longer = vector().encode();
        longer.push(0);
        assert!(AuthorVector::decode(&longer).is_err());
        assert_eq!(AuthorVector::decode(&vec![0; VECTOR_LEN_MAX + 1]), Err(VectorError::TooLong(VECTOR_LEN_MAX + 1)));
    }

    /// A log with chains of these authors and lives, each of the given length.
    fn dag(chains: impl IntoIterator<Item = (u16, u64, u64)>) -> Dag {
        let mut dag = Dag::new(LogId::default(), Kind::Delta);
        for (author, life, seq) in chains {
            let mut key = [0; 32];
            key[..2].copy_from_slice(&author.to_be_bytes());
            dag.push_chain(Chain {
                author: PublicKey::from_bytes(key),
                incarnation: Incarnation(life),
                base: None,
                tip: Tip { seq, id: EntryId::from_bytes(key), stamp: Stamp(0) },
                is_head: true,
            });
        }
        dag
    }

    #[test]
    fn an_author_with_too_many_lives_crowds_out_nobody_but_itself() {
        let flood = (0..5_000).map(|life| (7, life, 1 + life));
        let vector = dag(flood.chain((8..20).map(|author| (author, 0, 1)))).vector();
        assert!(!vector.is_complete());
        assert_eq!(vector.rows().len(), TIPS_PER_AUTHOR_MAX + 12);
        let longest = vector.tips().filter(|tip| tip.seq > 1).map(|tip| tip.seq).min();
        assert_eq!(longest, Some(5_000 - 15), "the longest chains are listed");
        assert_eq!(AuthorVector::decode(&vector.encode()), Ok(vector));
    }

    #[test]
    fn the_vector_of_any_log_is_within_the_bounds() {
        let crowd = |authors, lives| {
            dag((0..authors).flat_map(move |author| (0..lives).map(move |life| (author, life, 1)))).vector()
        };
        let all = crowd(1024, 16);
        assert!(all.is_complete() && all.encode().len() == VECTOR_LEN_MAX);
        for (vector, rows) in [(crowd(1025, 16), 1025 * 8), (crowd(4096, 16), 4096 * 4), (crowd(5000, 1), 4096)] {
            assert!(!vector.is_complete());
            assert_eq!(vector.rows().len(), rows);
            assert_eq!(AuthorVector::decode(&vector.encode()), Ok(vector));
        }
    }

    #[test]
    fn a_row_costs_at_most_64_bytes_an_author() {
        let mut one = vector();
        one.rows.truncate(1);
        assert!(one.encode().len() - AuthorVector::empty().encode().len() <= 64);
    }

    proptest! {
        #[test]
        fn what_decodes_is_what_would_be_encoded(flips in prop::collection::vec((0usize..160, any::<u8>()), 0..3)) {
            let mut bytes = vector().encode();
            for (at, byte) in flips {
                if let Some(slot) = bytes.get_mut(at) {
                    *slot = byte;
                }
            }
            if let Ok(read) = AuthorVector::decode(&bytes) {
                prop_assert_eq!(read.encode(), bytes);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = AuthorVector::decode(&bytes);
        }
    }
}
