//! Histories, and what follows from them by definition.

use std::collections::{BTreeMap, BTreeSet};

use mesto_oplog::{Draft, EntryId, Header, Incarnation, Kind, LogId, SigningKey, Stamp, Verified};
use proptest::prelude::*;

/// The log that all histories here are of.
pub(crate) fn log() -> LogId {
    LogId::from_bytes([9; 32])
}

pub(crate) fn key(author: u8) -> SigningKey {
    SigningKey::from_seed(&[author + 1; 32])
}

/// One entry to be made: by whom, in which life, on top of what, after which of its author's entries.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    author: u8,
    incarnation: u64,
    picks: Vec<prop::sample::Index>,
    prev: Option<prop::sample::Index>,
}

/// Steps of up to `len_max` entries. Authors who may fork forget what they have signed, or go back behind it.
pub(crate) fn steps(len_max: usize, may_fork: bool) -> impl Strategy<Value = Vec<Step>> {
    let prev = prop::option::weighted(0.3, any::<prop::sample::Index>());
    let picks = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    let parts = (0..4_u8, prop::bool::weighted(0.1), picks, prev);
    let step = parts.prop_map(move |(author, is_restored, picks, prev)| Step {
        author,
        incarnation: u64::from(is_restored),
        picks,
        prev: prev.filter(|_| may_fork),
    });
    prop::collection::vec(step, 1..len_max)
}

/// What an entry may claim, true or not.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    author: u8,
    seq: u64,
    stamp: u64,
    prev: prop::sample::Index,
    parents: Vec<prop::sample::Index>,
}

pub(crate) fn claims() -> impl Strategy<Value = Vec<Claim>> {
    let parents = prop::collection::vec(any::<prop::sample::Index>(), 1..4);
    let parts = (0..4_u8, 1..5_u64, 1..15_u64, any::<prop::sample::Index>(), parents);
    let claim = parts.prop_map(|(author, seq, stamp, prev, parents)| Claim { author, seq, stamp, prev, parents });
    prop::collection::vec(claim, 1..20)
}

/// A history: entries, each after its parents.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) entries: Vec<Verified>,
    /// For each entry all that is in its past, itself included.
    pub(crate) pasts: Vec<BTreeSet<usize>>,
    parents: Vec<BTreeSet<usize>>,
}

impl World {
    pub(crate) fn of(steps: &[Step], may_fork: bool) -> Self {
        let mut world = Self::default();
        for step in steps {
            world.make(step, may_fork);
        }
        world
    }

    fn make(&mut self, step: &Step, may_fork: bool) {
        let author = key(step.author);
        let life = (author.public(), Incarnation(step.incarnation));
        let is_own = |entry: &Verified| (entry.header().author, entry.header().incarnation) == life;
        let mut picked: BTreeSet<usize> = BTreeSet::new();
        if !self.entries.is_empty() {
            picked.extend(step.picks.iter().map(|pick| pick.index(self.entries.len())));
        }
        if !may_fork {
            picked.extend(self.entries.iter().rposition(is_own));
        }
        let parents: BTreeSet<usize> = picked
            .iter()
            .copied()
            .filter(|&one| !picked.iter().any(|&other| other != one && self.pasts[other].contains(&one)))
            .collect();
        let mut past: BTreeSet<usize> = parents.iter().flat_map(|&parent| self.pasts[parent].clone()).collect();
        let own: Vec<usize> = past.iter().copied().filter(|&at| is_own(&self.entries[at])).collect();
        let prev = match step.prev {
            Some(pick) if !own.is_empty() => Some(own[pick.index(own.len())]),
            _ => own.iter().copied().max_by_key(|&at| self.entries[at].header().seq),
        };
        let latest = parents.iter().map(|&parent| self.entries[parent].header().stamp).max();
        let mut parent_ids: Vec<EntryId> = parents.iter().map(|&parent| self.entries[parent].id()).collect();
        parent_ids.sort();
        let header = Header {
            kind: Kind::Delta,
            log: log(),
            author: life.0,
            incarnation: life.1,
            seq: prev.map_or(1, |prev| self.entries[prev].header().seq + 1),
            prev: prev.map(|prev| self.entries[prev].id()),
            parents: parent_ids,
            stamp: Stamp(latest.map_or(1, |stamp| stamp.0 + 1)),
        };
        let at = self.entries.len();
        let body = (at as u32).to_le_bytes().to_vec();
        self.entries.push(Draft { header, body }.sign(&author).expect("a valid draft"));
        past.insert(at);
        self.pasts.push(past);
        self.parents.push(parents);
    }

    /// Adds an entry that says of itself what it likes: its author, seq and stamp, and as parents and `prev`
    /// any entries at all.
    pub(crate) fn claim(&mut self, claim: &Claim) {
        let ids: Vec<EntryId> = self.entries.iter().map(Verified::id).collect();
        let parents: BTreeSet<EntryId> = claim.parents.iter().map(|pick| ids[pick.index(ids.len())]).collect();
        let author = key(claim.author);
        let header = Header {
            kind: Kind::Delta,
            log: log(),
            author: author.public(),
            incarnation: Incarnation(0),
            seq: claim.seq,
            prev: (claim.seq > 1).then(|| ids[claim.prev.index(ids.len())]),
            parents: parents.into_iter().collect(),
            stamp: Stamp(claim.stamp),
        };
        let body = (self.entries.len() as u32).to_le_bytes().to_vec();
        self.entries.push(Draft { header, body }.sign(&author).expect("well formed"));
    }

    /// The heads of the whole history.
    pub(crate) fn heads(&self) -> BTreeSet<EntryId> {
        let named: BTreeSet<usize> = self.parents.iter().flatten().copied().collect();
        (0..self.entries.len()).filter(|at| !named.contains(at)).map(|at| self.entries[at].id()).collect()
    }

    /// One more than the greatest height of a parent; entries stand after their parents.
    pub(crate) fn height(&self, of: usize) -> u64 {
        let mut heights: BTreeMap<usize, u64> = BTreeMap::new();
        for &at in &self.pasts[of] {
            let height = self.parents[at].iter().map(|parent| heights[parent] + 1).max().unwrap_or(0);
            heights.insert(at, height);
        }
        heights[&of]
    }

    /// A set that is closed under parents: the pasts of what `picks` names.
    pub(crate) fn closure(&self, picks: &[prop::sample::Index]) -> BTreeSet<usize> {
        picks.iter().flat_map(|pick| self.pasts[pick.index(self.entries.len())].clone()).collect()
    }

    pub(crate) fn ids(&self, of: impl IntoIterator<Item = usize>) -> BTreeSet<EntryId> {
        of.into_iter().map(|at| self.entries[at].id()).collect()
    }
}
