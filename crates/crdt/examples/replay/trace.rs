//! Recorded editing traces, and what they do as deltas.
//!
//! The format is that of <https://github.com/josephg/editing-traces>, sequential or concurrent.

use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::GzDecoder;
use mesto_crdt::sequence::{Deleted, Edit, Mint, Sequence, SequenceError, Spans, Typist};
use mesto_crdt::{DeltaId, Hlc, Kind, Unit};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A trace.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trace {
    /// `concurrent`, or absent.
    #[serde(default)]
    pub(crate) kind: String,
    /// What the text holds before.
    #[serde(default)]
    pub(crate) start_content: String,
    /// What it must hold after.
    pub(crate) end_content: String,
    /// What is done, in causal order.
    pub(crate) txns: Vec<Transaction>,
}

/// Edits that one author made at once.
#[derive(Deserialize)]
pub(crate) struct Transaction {
    /// On which transactions, merged, the places count; only in concurrent traces.
    #[serde(default)]
    pub(crate) parents: Vec<usize>,
    /// The edits, one on top of the other.
    pub(crate) patches: Vec<Patch>,
}

/// An edit: its place, how many characters are deleted there, what is inserted there.
#[derive(Clone)]
pub(crate) struct Patch(pub(crate) u64, pub(crate) u64, pub(crate) String);

/// A list of these three; some traces add when it happened.
impl<'de> Deserialize<'de> for Patch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts;

        impl<'de> Visitor<'de> for Parts {
            type Value = Patch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[place, deleted, inserted]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Patch, A::Error> {
                let mut at = || parts.next_element()?.ok_or_else(|| de::Error::custom("a number is missing"));
                let (at, deleted) = (at()?, at()?);
                let inserted = parts.next_element()?.ok_or_else(|| de::Error::custom("what is inserted is missing"))?;
                while parts.next_element::<de::IgnoredAny>()?.is_some() {}
                Ok(Patch(at, deleted, inserted))
            }
        }

        deserializer.deserialize_seq(Parts)
    }
}

/// What a delta does to the text.
#[derive(Clone)]
pub(crate) struct Step {
    /// Which delta.
    pub(crate) mint: Mint,
    /// What it inserts.
    pub(crate) inserted: Spans,
    /// What it deletes.
    pub(crate) deleted: Deleted,
}

impl Trace {
    /// Reads a trace, packed with gzip or not.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let bytes = fs::read(path)?;
        let text = if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut text = Vec::new();
            GzDecoder::new(bytes.as_slice()).read_to_end(&mut text)?;
            text
        } else {
            bytes
        };
        Ok(serde_json::from_slice(&text)?)
    }

    /// Whether the transactions are a graph.
    pub(crate) fn is_concurrent(&self) -> bool {
        self.kind == "concurrent" || self.txns.iter().any(|txn| !txn.parents.is_empty())
    }

    /// How many edits it has.
    pub(crate) fn edits(&self) -> usize {
        self.txns.iter().map(|txn| txn.patches.len()).sum()
    }

    /// Types a sequential trace, one delta an edit, into a text that nobody shares.
    pub(crate) fn type_through(&self) -> Result<Sequence, SequenceError> {
        let mut text = Typist::new(Sequence::new(Kind::Text));
        text.splice(mint(0), 0, 0, &self.start_content, &nobody)?;
        let patches = self.txns.iter().flat_map(|txn| &txn.patches);
        for (number, Patch(at, delete, insert)) in (1..).zip(patches) {
            text.splice(mint(number), *at, *delete, insert, &nobody)?;
        }
        Ok(text.finish())
    }

    /// Replays a concurrent trace as its authors lived it: each transaction on the merge of its parents. The deltas, the
    /// first with what the text begins with, and the merge of all.
    pub(crate) fn merge(&self) -> Result<(Vec<Step>, Sequence), SequenceError> {
        let first = draft(&Sequence::new(Kind::Text), mint(0), &[Patch(0, 0, self.start_content.clone())])?;
        let mut start = Sequence::new(Kind::Text);
        first.apply(&mut start)?;
        let mut history = History { steps: vec![first], parents: vec![vec![]], versions: BTreeMap::new() };
        let mut waiting = vec![0usize; self.txns.len() + 1];
        for (index, txn) in self.txns.iter().enumerate() {
            history.parents.push(self.parents_of(index, txn));
            history.parents[index + 1].iter().for_each(|parent| waiting[*parent] += 1);
        }
        history.versions.insert(0, start);
        for (index, txn) in self.txns.iter().enumerate() {
            let heads = history.parents[index + 1].clone();
            let mut text = history.merged(&heads, &mut waiting)?;
            let step = draft(&text, mint(index + 1), &txn.patches)?;
            step.apply(&mut text)?;
            history.steps.push(step);
            history.versions.insert(index + 1, text);
        }
        let heads: Vec<usize> = (0..waiting.len()).filter(|number| waiting[*number] == 0).collect();
        heads.iter().for_each(|head| waiting[*head] = 1);
        let text = history.merged(&heads, &mut waiting)?;
        Ok((history.steps, text))
    }

    /// The numbers of the deltas that a transaction is on; 0 is what the text begins with.
    fn parents_of(&self, index: usize, txn: &Transaction) -> Vec<usize> {
        match txn.parents.as_slice() {
            [] if self.is_concurrent() => vec![0],
            [] => vec![index],
            parents => parents.iter().map(|parent| parent + 1).collect(),
        }
    }
}

impl Step {
    /// Takes the delta in.
    pub(crate) fn apply(&self, text: &mut Sequence) -> Result<(), SequenceError> {
        if let Deleted::Some(of) = &self.deleted {
            for of in of {
                of.stretches.iter().try_for_each(|stretch| text.delete(&of.mint, *stretch))?;
            }
        }
        if self.inserted.is_empty() {
            return Ok(());
        }
        text.insert(self.mint, &self.inserted, &nobody)
    }
}

struct History {
    steps: Vec<Step>,
    parents: Vec<Vec<usize>>,
    /// The text after a transaction, while one waits for it that builds on it.
    versions: BTreeMap<usize, Sequence>,
}

impl History {
    /// The merge of `heads`. `waiting` counts how many transactions still need a version.
    fn merged(&mut self, heads: &[usize], waiting: &mut [usize]) -> Result<Sequence, SequenceError> {
        let (base, others) = heads.split_last().expect("a transaction has parents");
        let mut text = match waiting[*base] {
            1 => self.versions.remove(base).expect("it waits"),
            _ => self.versions[base].clone(),
        };
        if !others.is_empty() {
            for step in self.missing(*base, others) {
                self.steps[step].apply(&mut text)?;
            }
        }
        for head in heads {
            waiting[*head] -= 1;
            if waiting[*head] == 0 {
                self.versions.remove(head);
            }
        }
        Ok(text)
    }

    /// What is in the past of `heads`, these included, and not in that of `base`: in causal order.
    fn missing(&self, base: usize, heads: &[usize]) -> Vec<usize> {
        // Numbers grow along the graph, so walking down from the greatest finds all ways to an entry before the entry.
        let mut queue: BinaryHeap<(usize, bool)> = heads.iter().map(|head| (*head, false)).collect();
        queue.push((base, true));
        let (mut unseen, mut missing) = (heads.len(), Vec::new());
        while unseen > 0 {
            let Some((number, mut is_held)) = queue.pop() else { break };
            unseen -= usize::from(!is_held);
            while let Some((_, other)) = queue.peek().filter(|(other, _)| *other == number) {
                unseen -= usize::from(!other);
                is_held |= other;
                queue.pop();
            }
            if !is_held {
                missing.push(number);
            }
            for parent in &self.parents[number] {
                unseen += usize::from(!is_held);
                queue.push((*parent, is_held));
            }
        }
        missing.reverse();
        missing
    }
}

/// The delta of some patches on a text.
pub(crate) fn draft(text: &Sequence, mint: Mint, patches: &[Patch]) -> Result<Step, SequenceError> {
    let mut edit = Edit::new(text);
    for Patch(at, delete, insert) in patches {
        edit.delete(Unit::CodePoint, *at..at + delete)?;
        edit.insert_text(Unit::CodePoint, *at, insert)?;
    }
    let (inserted, deleted) = edit.finish(&mut |stamp| Some(delta_at(stamp)))?;
    Ok(Step { mint, inserted, deleted })
}

/// The mint of the delta with this number: stamps are a second apart, as if somebody typed.
pub(crate) fn mint(number: usize) -> Mint {
    let stamp = Hlc::new(1_000 * (number as u64 + 1), 0).expect("in range");
    Mint { stamp, delta: delta_at(stamp) }
}

fn delta_at(stamp: Hlc) -> DeltaId {
    let mut id = [7; 32];
    id[..8].copy_from_slice(&stamp.bits().to_le_bytes());
    DeltaId(id)
}

/// No two deltas of a trace share a stamp.
pub(crate) fn nobody(_: Hlc) -> Vec<DeltaId> {
    Vec::new()
}
