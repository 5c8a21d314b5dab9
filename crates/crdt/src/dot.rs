//! Names of single operations, and of what a removal has seen.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::clock::Hlc;
use crate::id::{Author, DeltaId};

/// One assignment that took effect. The order of the fields is the order of last-writer-wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Dot {
    /// The delta's stamp.
    pub stamp: Hlc,
    /// The delta's author.
    pub author: Author,
    /// The operation's place in the delta, from 0.
    pub index: u32,
    /// The delta. Last, so that no tie is left between two deltas of an author that equivocates.
    pub delta: DeltaId,
}

/// Names a [`Dot`] in an operation: the delta's id already implies stamp and author.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct DotRef {
    /// The delta.
    pub delta: DeltaId,
    /// The operation's place in the delta, from 0.
    pub index: u32,
}

impl Dot {
    /// The name of this dot.
    pub const fn name(&self) -> DotRef {
        DotRef { delta: self.delta, index: self.index }
    }
}

/// How far an author's additions to a counter go: the newest of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Mark {
    /// Its delta's stamp.
    pub stamp: Hlc,
    /// Its delta.
    pub delta: DeltaId,
}

/// What the removal of a counter has seen of one author's slot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct SlotMark {
    /// Whose slot.
    pub author: Author,
    /// The newest addition in it.
    pub mark: Mark,
    /// The sum of all additions in it.
    pub sum: i128,
    /// The baselines in it, which this one replaces. Strictly ascending.
    pub overwrites: Vec<DotRef>,
}
