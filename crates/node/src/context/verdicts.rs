//! Which deltas of a context's log are void.
//!
//! What governance says of a delta depends on its author and on the governance heads that it names, and those only
//! grow along a chain. So each chain falls into *stretches* of equal knowledge, and a delta's verdict is that of its
//! stretch: a right that stands, or one that is contested. Of a contested stretch a beginning counts all the same:
//! what the revocations keep, and what deltas of other authors that count themselves, and took it for valid,
//! were built on. All these are causal pasts, and a causal past takes a beginning of each chain; so verdicts
//! are one number for each stretch, and [`settle`] finds the least fixed point over those numbers without looking at
//! single deltas.
//!
//! The result is a function of the log and of the group's ops: not of the order in which either came.

use std::collections::BTreeMap;

use mesto_governance::verdict::{Authorship, Warrant};
use mesto_governance::{ContextId, Governance};
use mesto_oplog::dag::{Dag, DagRead};
use mesto_oplog::placement::{ChainIx, Placement};
use mesto_oplog::{EntryId, PublicKey};

use crate::flight::Work;
use crate::layout::{self, LogNumber};
use crate::store::Keyspace;
use crate::view::View;

/// Runs of void deltas: by chain and first `seq` the last.
pub(crate) type Void = BTreeMap<(ChainIx, u64), u64>;

/// What is known of a context's verdicts; all of it is in the store.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    /// The governance heads that authors name: by chain and first `seq` of the stretch.
    knowledge: BTreeMap<(ChainIx, u64), Vec<EntryId>>,
    void: Void,
}

impl Verdicts {
    /// Reads them back.
    pub(super) fn open(view: &View, context: &ContextId, log: LogNumber) -> Result<Self, String> {
        let place = |key: &[u8], prefix: &[u8]| {
            let (chain, seq) = key.get(prefix.len()..)?.split_first_chunk::<4>()?;
            Some((ChainIx(u32::from_be_bytes(*chain)), u64::from_be_bytes(seq.try_into().ok()?)))
        };
        let mut verdicts = Self::default();
        let prefix = layout::knowledge_all(log);
        for (key, heads) in view.scan(Keyspace::Log, &prefix, None, usize::MAX) {
            let read = place(&key, &prefix).zip(borsh::from_slice(&heads).ok());
            let (place, heads) = read.ok_or_else(|| format!("what authors of {context} knew is malformed"))?;
            verdicts.knowledge.insert(place, heads);
        }
        let prefix = layout::void_all(log);
        for (key, last) in view.scan(Keyspace::Log, &prefix, None, usize::MAX) {
            let last = last.try_into().ok().map(u64::from_be_bytes);
            let (place, last) =
                place(&key, &prefix).zip(last).ok_or_else(|| format!("void deltas of {context} are malformed"))?;
            verdicts.void.insert(place, last);
        }
        Ok(verdicts)
    }

    /// A delta was inserted that names `heads`.
    pub(super) fn note(&mut self, work: &mut Work<'_>, log: LogNumber, placement: &Placement, heads: &[EntryId]) {
        let place = (placement.chain, placement.seq);
        let known = self.knowledge.range((placement.chain, 0)..=place).next_back();
        if known.is_some_and(|(_, known)| known == heads) {
            return;
        }
        if let Ok(bytes) = borsh::to_vec(heads) {
            work.put(Keyspace::Log, layout::knowledge(log, placement.chain.0, placement.seq), bytes);
        }
        self.knowledge.insert(place, heads.to_vec());
    }

    /// The delta at `placement` does not count.
    pub(super) fn set_void(&mut self, work: &mut Work<'_>, log: LogNumber, placement: &Placement) {
        if self.is_void(placement) {
            return;
        }
        let mut void = self.void.clone();
        let before = void.range((placement.chain, 0)..(placement.chain, placement.seq)).next_back();
        match before.map(|(place, last)| (*place, *last)) {
            Some((place, last)) if last + 1 == placement.seq => void.insert(place, placement.seq),
            Some(_) | None => void.insert((placement.chain, placement.seq), placement.seq),
        };
        self.replace(work, log, void);
    }

    /// Writes what changed of the void runs.
    pub(super) fn replace(&mut self, work: &mut Work<'_>, log: LogNumber, void: Void) {
        for (chain, seq) in self.void.keys().filter(|place| !void.contains_key(place)) {
            work.remove(Keyspace::Log, layout::void(log, chain.0, *seq));
        }
        for ((chain, seq), last) in void.iter().filter(|(place, last)| self.void.get(place) != Some(last)) {
            work.put(Keyspace::Log, layout::void(log, chain.0, *seq), last.to_be_bytes().to_vec());
        }
        self.void = void;
    }

    pub(crate) fn is_void(&self, placement: &Placement) -> bool {
        self.is_void_at(placement.chain, placement.seq)
    }

    pub(super) fn is_void_at(&self, chain: ChainIx, seq: u64) -> bool {
        is_in(&self.void, chain, seq)
    }

    pub(crate) fn has_void(&self) -> bool {
        !self.void.is_empty()
    }

    /// How many deltas are void.
    pub(crate) fn count(&self) -> u64 {
        self.void.iter().map(|((_, first), last)| last - first + 1).sum()
    }

    /// The last `seq` of a chain that counts, from `tip` down; 0 if none does.
    pub(super) fn last_accepted(&self, chain: ChainIx, first: u64, tip: u64) -> u64 {
        let mut seq = tip;
        while let Some((&(_, start), &last)) = self.void.range((chain, 0)..=(chain, seq)).next_back() {
            if last < seq {
                break;
            }
            seq = start.saturating_sub(1);
        }
        if seq < first { 0 } else { seq }
    }

    /// The runs that are void by `void` or by what holds now, but not by both.
    pub(super) fn changed(&self, void: &Void) -> (Void, Void) {
        (without(void, &self.void), without(&self.void, void))
    }

    /// Which deltas are void, as governance and the log are now.
    pub(super) fn settle(
        &self,
        governance: &mut Governance,
        context: ContextId,
        dag: &Dag,
        read: &dyn DagRead,
    ) -> Void {
        let stretches = self.stretches(governance, context, dag, read);
        if stretches.iter().all(|stretch| stretch.kept_to >= stretch.last) {
            return Void::new();
        }
        settle(&stretches, read, &mut |heads, author, causes| governance.trusted(heads, context, author, causes))
    }

    fn stretches(
        &self,
        governance: &mut Governance,
        context: ContextId,
        dag: &Dag,
        read: &dyn DagRead,
    ) -> Vec<Stretch<'_>> {
        let mut said: BTreeMap<(PublicKey, &[EntryId]), Warrant> = BTreeMap::new();
        let mut stretches = Vec::new();
        let mut next = self.knowledge.iter().skip(1);
        for (&(chain, first), heads) in &self.knowledge {
            let following = next.next().filter(|((of, _), _)| *of == chain).map(|((_, seq), _)| seq - 1);
            let Some(row) = dag.chain(chain) else { continue };
            let (author, heads) = (row.author, heads.as_slice());
            let last = following.unwrap_or(row.tip.seq);
            let warrant = said.entry((author, heads)).or_insert_with(|| {
                let by = Authorship { context, identity: author, governance: heads, parents_governance: &[] };
                governance.warrant(&by)
            });
            let (kept_to, causes) = match warrant {
                Warrant::Valid { .. } => (last, Vec::new()),
                Warrant::Contested { kept, causes, .. } => {
                    let reach = kept.iter().filter_map(|delta| read.placement(delta)).map(|of| reach(&of, chain)).max();
                    (reach.unwrap_or(0).min(last), causes.clone())
                }
                // Whoever was no writer at the heads that it names was refused, and is not in the log.
                Warrant::Refused(_) | Warrant::Unknown { .. } => (0, Vec::new()),
            };
            stretches.push(Stretch { chain, author, first, last, kept_to, heads, causes });
        }
        stretches
    }
}

/// Deltas of one chain that follow each other and name the same governance heads.
#[derive(Clone, Debug)]
struct Stretch<'a> {
    chain: ChainIx,
    author: PublicKey,
    first: u64,
    last: u64,
    /// What counts whatever others built on: to here.
    kept_to: u64,
    /// The governance heads that it names.
    heads: &'a [EntryId],
    /// Why it is contested.
    causes: Vec<EntryId>,
}

impl Stretch<'_> {
    /// The last of it that counts, if others vouch for it up to `vouched`.
    fn counts_to(&self, vouched: u64) -> u64 {
        self.kept_to.max(vouched).min(self.last)
    }
}

/// How far the past of a delta, itself included, takes in a chain.
fn reach(of: &Placement, chain: ChainIx) -> u64 {
    if of.chain == chain { of.seq.max(of.past.reach(chain)) } else { of.past.reach(chain) }
}

/// The least set with all that counts by itself and all that is in the past of what counts of other authors that took it
/// for valid. `trusted` tells that of governance heads, an author, and what its deltas are contested for.
fn settle(
    stretches: &[Stretch<'_>],
    read: &dyn DagRead,
    trusted: &mut dyn FnMut(&[EntryId], &PublicKey, &[EntryId]) -> bool,
) -> Void {
    let mut vouched = vec![0; stretches.len()];
    let mut looked = vec![0; stretches.len()];
    let mut known: BTreeMap<(&[EntryId], PublicKey, &[EntryId]), bool> = BTreeMap::new();
    let contested: Vec<usize> = (0..stretches.len()).filter(|&at| !stretches[at].causes.is_empty()).collect();
    loop {
        let mut is_done = true;
        for (at, by) in stretches.iter().enumerate() {
            // Along a stretch pasts only grow, so its last delta that counts speaks for all of them.
            let to = by.counts_to(vouched[at]);
            if to < by.first || looked[at] == to {
                continue;
            }
            looked[at] = to;
            let entry = read.chain_entries(by.chain, to, 1).into_iter().find(|entry| entry.seq == to);
            let Some(placement) = entry.and_then(|entry| read.placement(&entry.id)) else { continue };
            for &of in &contested {
                let stretch = &stretches[of];
                let reach = placement.past.reach(stretch.chain).min(stretch.last);
                if stretch.author == by.author || reach < stretch.first || reach <= stretch.counts_to(vouched[of]) {
                    continue;
                }
                let (author, causes) = (stretch.author, stretch.causes.as_slice());
                let is_trusted = known.entry((by.heads, author, causes));
                if *is_trusted.or_insert_with(|| trusted(by.heads, &author, causes)) {
                    vouched[of] = reach;
                    is_done = false;
                }
            }
        }
        if is_done {
            break;
        }
    }
    let mut void = Void::new();
    for (stretch, vouched) in stretches.iter().zip(vouched) {
        let first = stretch.first.max(stretch.counts_to(vouched) + 1);
        if first <= stretch.last {
            push(&mut void, stretch.chain, first, stretch.last);
        }
    }
    void
}

/// Adds a run; what it continues becomes longer, so that equal verdicts are written alike.
fn push(void: &mut Void, chain: ChainIx, first: u64, last: u64) {
    match void.range((chain, 0)..(chain, first)).next_back().map(|(place, last)| (*place, *last)) {
        Some((place, before)) if before + 1 == first => void.insert(place, last),
        Some(_) | None => void.insert((chain, first), last),
    };
}

pub(super) fn is_in(void: &Void, chain: ChainIx, seq: u64) -> bool {
    void.range((chain, 0)..=(chain, seq)).next_back().is_some_and(|(_, last)| *last >= seq)
}

/// The parts of `runs` that are not in `others`.
fn without(runs: &Void, others: &Void) -> Void {
    let mut left = Void::new();
    for (&(chain, first), &last) in runs {
        let mut from = first;
        let before = others.range((chain, 0)..(chain, first)).next_back();
        let within = others.range((chain, first)..=(chain, last));
        for (&(_, start), &end) in before.into_iter().chain(within) {
            if end < from || start > last {
                continue;
            }
            if start > from {
                left.insert((chain, from), start - 1);
            }
            from = end + 1;
        }
        if from <= last {
            left.insert((chain, from), last);
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn runs() -> impl Strategy<Value = Void> {
        proptest::collection::btree_set((0u32..3, 1u64..20), 0..30).prop_map(|set| {
            let mut void = Void::new();
            for (chain, seq) in set {
                push(&mut void, ChainIx(chain), seq, seq);
            }
            void
        })
    }

    fn each(void: &Void) -> Vec<(u32, u64)> {
        void.iter().flat_map(|(&(chain, first), &last)| (first..=last).map(move |seq| (chain.0, seq))).collect()
    }

    proptest! {
        #[test]
        fn the_difference_of_runs_is_that_of_their_members(a in runs(), b in runs()) {
            let expected: Vec<_> =
                each(&a).into_iter().filter(|(chain, seq)| !is_in(&b, ChainIx(*chain), *seq)).collect();
            prop_assert_eq!(each(&without(&a, &b)), expected);
        }

        #[test]
        fn the_last_that_counts_is_the_largest_that_is_not_void(void in runs(), first in 1u64..5) {
            let verdicts = Verdicts { void, ..Verdicts::default() };
            let expected = (first..=20).rev().find(|seq| !is_in(&verdicts.void, ChainIx(0), *seq)).unwrap_or(0);
            prop_assert_eq!(verdicts.last_accepted(ChainIx(0), first, 20), expected);
        }
    }
}
