//! The libraries, each by its own means: one change for each edit, in the unit that it counts in.

use automerge::transaction::Transactable;
use automerge::{AutoCommit, Change, ObjType, ROOT, ReadDoc};
use diamond_types::list::ListCRDT;
use diamond_types::list::encoding::ENCODE_FULL;
use loro::{ExportMode, LoroDoc};
use mesto_crdt::sequence::{Deleted, Sequence, Typist};
use mesto_crdt::{Author, CollectionId, Delta, Kind, MemoryState, Op, Transaction as Deltas, TreeCache};
use std::sync::{Arc, Mutex};
use yrs::updates::decoder::Decode;
use yrs::{Doc, GetString, ReadTxn, StateVector, Text, Transact, Update};

use crate::Edits;
use crate::trace::{Patch, Step, draft, mint, nobody};

/// A library.
pub trait Peer: Sync {
    fn name(&self) -> &'static str;
    /// Whether places count code points, and not bytes.
    fn counts_code_points(&self) -> bool {
        true
    }
    /// Types a trace into a new text.
    fn type_through(&self, edits: &Edits) -> Box<dyn Typed>;
    /// What somebody else must take in, one after the other; `None` if the library has no such thing.
    fn updates(&self, edits: &Edits) -> Option<Box<dyn Prepared>>;
    /// The text as it is stored.
    fn stored(&self, edits: &Edits) -> Option<Box<dyn Prepared>>;
}

/// A text that was typed.
pub trait Typed {
    fn text(&self) -> String;
}

/// Something that is read into a new text.
pub trait Prepared {
    fn apply(&self);
}

/// All of them.
pub const ALL: [&dyn Peer; 5] = [&Mesto, &DiamondTypes, &Loro, &Yrs, &Automerge];

impl<F: Fn()> Prepared for F {
    fn apply(&self) {
        self();
    }
}

struct Mesto;

impl Typed for Sequence {
    fn text(&self) -> String {
        Sequence::text(self)
    }
}

impl Mesto {
    fn steps(edits: &Edits) -> Vec<Step> {
        let mut text = Sequence::new(Kind::Text);
        let start = Patch(0, 0, edits.start.clone());
        let patches =
            edits.patches.iter().map(|(at, delete, insert)| Patch(*at as u64, *delete as u64, insert.clone()));
        let step = |(number, patch)| {
            let step = draft(&text, mint(number), &[patch]).expect("in range");
            step.apply(&mut text).expect("causal");
            step
        };
        std::iter::once(start).chain(patches).enumerate().map(step).collect()
    }
}

impl Peer for Mesto {
    fn name(&self) -> &'static str {
        "mesto"
    }

    fn type_through(&self, edits: &Edits) -> Box<dyn Typed> {
        let mut text = Typist::new(Sequence::new(Kind::Text));
        text.splice(mint(0), 0, 0, &edits.start, &nobody).expect("in range");
        for (number, (at, delete, insert)) in (1..).zip(&edits.patches) {
            text.splice(mint(number), *at as u64, *delete as u64, insert, &nobody).expect("in range");
        }
        Box::new(text.finish())
    }

    fn updates(&self, edits: &Edits) -> Option<Box<dyn Prepared>> {
        let steps = Self::steps(edits);
        Some(Box::new(move || {
            let mut text = Sequence::new(Kind::Text);
            steps.iter().for_each(|step| step.apply(&mut text).expect("causal"));
        }))
    }

    fn stored(&self, edits: &Edits) -> Option<Box<dyn Prepared>> {
        let collection = CollectionId::ROOT.child(Kind::Text, b"text");
        let (mut state, mut cache) = (MemoryState::new(), TreeCache::new());
        for steps in Self::steps(edits).chunks(4096) {
            let mut deltas = Deltas::new(&state, &mut cache);
            for Step { mint, inserted, deleted } in steps {
                if inserted.is_empty() && matches!(deleted, Deleted::Some(of) if of.is_empty()) {
                    continue;
                }
                let ops = [Op::Splice { collection, inserted: inserted.clone(), deleted: deleted.clone() }];
                let delta = Delta { id: mint.delta, author: Author([1; 32]), stamp: mint.stamp, ops: &ops };
                deltas.apply(&delta, &|_| true).expect("applies");
            }
            let commit = deltas.finish().expect("sound");
            state.apply_writes(&commit.writes);
        }
        Some(Box::new(move || drop(Sequence::load(&state, collection).expect("sound"))))
    }
}

struct DiamondTypes;

impl Typed for ListCRDT {
    fn text(&self) -> String {
        self.branch.content().to_string()
    }
}

impl DiamondTypes {
    fn typed(edits: &Edits) -> ListCRDT {
        let mut text = ListCRDT::new();
        let agent = text.get_or_create_agent_id("a");
        if !edits.start.is_empty() {
            text.insert(agent, 0, &edits.start);
        }
        for (at, delete, insert) in &edits.patches {
            if *delete > 0 {
                text.delete_without_content(agent, *at..at + delete);
            }
            if !insert.is_empty() {
                text.insert(agent, *at, insert);
            }
        }
        text
    }
}

impl Peer for DiamondTypes {
    fn name(&self) -> &'static str {
        "diamond-types"
    }

    fn type_through(&self, edits: &Edits) -> Box<dyn Typed> {
        Box::new(Self::typed(edits))
    }

    fn updates(&self, _: &Edits) -> Option<Box<dyn Prepared>> {
        None
    }

    fn stored(&self, edits: &Edits) -> Option<Box<dyn Prepared>> {
        let bytes = Self::typed(edits).oplog.encode(ENCODE_FULL);
        Some(Box::new(move || drop(ListCRDT::load_from(&bytes).expect("sound"))))
    }
}

struct Loro;

impl Typed for LoroDoc {
    fn text(&self) -> String {
        self.get_text("text").to_string()
    }
}

impl Loro {
    fn typed(edits: &Edits, commits: bool, begin: impl FnOnce(&LoroDoc)) -> LoroDoc {
        let doc = LoroDoc::new();
        begin(&doc);
        let text = doc.get_text("text");
        text.insert(0, &edits.start).expect("in range");
        for (at, delete, insert) in &edits.patches {
            if *delete > 0 {
                text.delete(*at, *delete).expect("in range");
            }
            if !insert.is_empty() {
                text.insert(*at, insert).expect("in range");
            }
            if commits {
                doc.commit();
            }
        }
        doc.commit();
        doc
    }
}

impl Peer for Loro {
    fn name(&self) -> &'static str {
        "loro"
    }

    fn type_through(&self, edits: &Edits) -> Box<dyn Typed> {
        Box::new(Self::typed(edits, false, |_| {}))
    }

    fn updates(&self, edits: &Edits) -> Option<Box<dyn Prepared>> {
        let updates: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let sink = Arc::clone(&updates);
        Self::typed(edits, true, |doc| {
            doc.subscribe_local_update(Box::new(move |bytes| {
                sink.lock().expect("no panics").push(bytes.clone());
                true
            }))
            .detach();
        });
        Some(Box::new(move || {
            let doc = LoroDoc::new();
            for update in updates.lock().expect("no panics").iter() {
                doc.import(update).expect("sound");
            }
        }))
    }

    fn stored(&self, edits: &Edits) -> Option<Box<dyn Prepared>> {
        let bytes = Self::typed(edits, false, |_| {}).export(ExportMode::Snapshot).expect("exports");
        Some(Box::new(move || {
            let doc = LoroDoc::from_snapshot(&bytes).expect("sound");
            // It reads lazily: the text must be asked for.
            assert!(doc.get_text("text").len_unicode() > 0);
        }))
    }
}

struct Yrs;

impl Typed for Doc {
    fn text(&self) -> String {
        let text = self.get_or_insert_text("text");
        text.get_string(&self.transact())
    }
}

impl Yrs {
    fn typed(edits: &Edits, mut show: impl FnMut(Vec<u8>), shows: bool) -> Doc {
        let doc = Doc::new();
        let text = doc.get_or_insert_text("text");
        let start = (0, 0, edits.start.clone());
        for (at, delete, insert) in std::iter::once(&start).chain(&edits.patches) {
            let mut transaction = doc.transact_mut();
            if *delete > 0 {
                text.remove_range(&mut transaction, *at as u32, *delete as u32);
            }
            if !insert.is_empty() {
                text.insert(&mut transaction, *at as u32, insert);
            }
            if shows {
                show(transaction.encode_update_v1());
            }
        }
        doc
    }
}

impl Peer for Yrs {
    fn name(&self) -> &'static str {
        "yrs"
    }

    fn counts_code_points(&self) -> bool {
        false
    }

    fn type_through(&self, edits: &Edits) -> Box<dyn Typed> {
        Box::new(Self::typed(edits, |_| {}, false))
    }

    fn updates(&self, edits: &Edits) -> Option<Box<dyn Prepared>> {
        let mut updates = Vec::new();
        Self::typed(edits, |update| updates.push(update), true);
        Some(Box::new(move || {
            let doc = Doc::new();
            for update in &updates {
                let update = Update::decode_v1(update).expect("sound");
                doc.transact_mut().apply_update(update).expect("sound");
            }
        }))
    }

    fn stored(&self, edits: &Edits) -> Option<Box<dyn Prepared>> {
        let doc = Self::typed(edits, |_| {}, false);
        let bytes = doc.transact().encode_state_as_update_v1(&StateVector::default());
        Some(Box::new(move || {
            let update = Update::decode_v1(&bytes).expect("sound");
            Doc::new().transact_mut().apply_update(update).expect("sound");
        }))
    }
}

struct Automerge;

impl Typed for (AutoCommit, automerge::ObjId) {
    fn text(&self) -> String {
        self.0.text(&self.1).expect("is a text")
    }
}

impl Automerge {
    fn typed(edits: &Edits, mut show: impl FnMut(Change), commits: bool) -> (AutoCommit, automerge::ObjId) {
        let mut doc = AutoCommit::new();
        let text = doc.put_object(ROOT, "text", ObjType::Text).expect("puts");
        let start = (0, 0, edits.start.clone());
        for (at, delete, insert) in std::iter::once(&start).chain(&edits.patches) {
            doc.splice_text(&text, *at, *delete as isize, insert).expect("in range");
            if commits {
                doc.commit();
                doc.get_last_local_change().into_iter().for_each(&mut show);
            }
        }
        doc.commit();
        (doc, text)
    }
}

impl Peer for Automerge {
    fn name(&self) -> &'static str {
        "automerge"
    }

    fn type_through(&self, edits: &Edits) -> Box<dyn Typed> {
        Box::new(Self::typed(edits, |_| {}, false))
    }

    fn updates(&self, edits: &Edits) -> Option<Box<dyn Prepared>> {
        let mut changes = Vec::new();
        Self::typed(edits, |change| changes.push(change), true);
        Some(Box::new(move || {
            let mut doc = AutoCommit::new();
            for change in &changes {
                doc.apply_changes([change.clone()]).expect("sound");
            }
        }))
    }

    fn stored(&self, edits: &Edits) -> Option<Box<dyn Prepared>> {
        let bytes = Self::typed(edits, |_| {}, false).0.save();
        Some(Box::new(move || drop(AutoCommit::load(&bytes).expect("sound"))))
    }
}
