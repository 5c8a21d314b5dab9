//! The order of sequences: held against the rule itself, written down as slowly as can be.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use mesto_crdt::sequence::{Anchor, Content, Deleted, DeletedOf, Edit, Mint, Run, Sequence, Spans, Stretch};
use mesto_crdt::{DeltaId, Hlc, Kind, Unit};
use proptest::prelude::*;

use crate::model::Random;

type Id = (Mint, u32);

/// What a delta does, and what it had seen.
#[derive(Clone)]
struct Step {
    mint: Mint,
    past: BTreeSet<usize>,
    inserted: Spans,
    deleted: Vec<DeletedOf>,
}

#[derive(Default)]
struct History {
    steps: Vec<Step>,
}

/// A text, and which steps it has taken in.
#[derive(Clone)]
struct Replica {
    text: Sequence,
    held: BTreeSet<usize>,
}

impl Replica {
    fn new() -> Self {
        Self { text: Sequence::new(Kind::Text), held: BTreeSet::new() }
    }

    fn apply(&mut self, history: &History, number: usize) {
        let step = &history.steps[number];
        for of in &step.deleted {
            for stretch in &of.stretches {
                self.text.delete(&of.mint, *stretch).expect("causal");
            }
        }
        if !step.inserted.is_empty() {
            let held = self.held.clone();
            let at = |stamp| {
                let steps = held.iter().map(|number| &history.steps[*number]);
                let at_stamp = steps.filter(|step| step.mint.stamp == stamp && !step.inserted.is_empty());
                at_stamp.map(|step| step.mint.delta).collect()
            };
            self.text.insert(step.mint, &step.inserted, &at).expect("causal");
        }
        self.held.insert(number);
    }

    fn catch_up(&mut self, history: &History, with: &BTreeSet<usize>) {
        let missing: Vec<usize> = with.difference(&self.held).copied().collect();
        missing.into_iter().for_each(|number| self.apply(history, number));
    }
}

impl History {
    /// Adds a step on top of what a replica holds. Its stamp is the least that is allowed, so that many share one.
    fn add(&mut self, replica: &mut Replica, inserted: Spans, deleted: Vec<DeletedOf>) {
        let newest = replica.held.iter().map(|number| self.steps[*number].mint.stamp).max();
        let stamp = newest.unwrap_or(Hlc::ZERO).successor().expect("in range");
        let number = self.steps.len();
        let delta = DeltaId(*blake3::hash(&number.to_le_bytes()).as_bytes());
        let (mint, past) = (Mint { stamp, delta }, replica.held.clone());
        self.steps.push(Step { mint, past, inserted, deleted });
        replica.apply(self, number);
    }

    fn edit(&mut self, replica: &mut Replica, edit: impl FnOnce(&mut Edit)) {
        let mut now = Edit::new(&replica.text);
        edit(&mut now);
        let shown = now.sequence().text();
        let mut delta_at = |stamp| {
            let held = replica.held.iter().map(|number| &self.steps[*number].mint);
            held.filter(|mint| mint.stamp == stamp).map(|mint| mint.delta).next()
        };
        let (inserted, deleted) = now.finish(&mut delta_at).expect("names are known");
        let Deleted::Some(deleted) = deleted else { panic!("stretches") };
        if inserted.is_empty() && deleted.is_empty() {
            return;
        }
        self.add(replica, inserted, deleted);
        assert_eq!(replica.text.text(), shown, "what is taken in is what the edit showed");
    }

    fn all(&self) -> BTreeSet<usize> {
        (0..self.steps.len()).collect()
    }

    /// All steps, in a causal order that `random` picks.
    fn replay(&self, random: &mut Random) -> Replica {
        let mut replica = Replica::new();
        while replica.held.len() < self.steps.len() {
            let is_ready = |i: &usize| !replica.held.contains(i) && self.steps[*i].past.is_subset(&replica.held);
            let ready: Vec<usize> = (0..self.steps.len()).filter(is_ready).collect();
            replica.apply(self, ready[random.below(ready.len())]);
        }
        replica
    }

    fn elements(&self) -> Vec<Id> {
        let of = |step: &Step| (0..step.inserted.len() as u32).map(|offset| (step.mint, offset)).collect::<Vec<_>>();
        self.steps.iter().flat_map(of).collect()
    }
}

/// The rule of `sequence/order.rs`: a tree of elements, walked.
#[derive(Default)]
struct Tree {
    origins: BTreeMap<Id, (Option<Id>, Option<Id>)>,
    before: BTreeMap<Id, Vec<Id>>,
    after: BTreeMap<Option<Id>, Vec<Id>>,
}

impl Tree {
    fn insert(&mut self, id: Id, left: Option<Id>, right: Option<Id>) {
        match right {
            Some(right) if self.origins[&right].0 == left => {
                let siblings = self.before.entry(right).or_default();
                siblings.push(id);
                siblings.sort();
            }
            _ => {
                let order = self.walk();
                let place = |right: Option<Id>| {
                    right.map_or(order.len(), |r| order.iter().position(|x| *x == r).expect("is there"))
                };
                let by_right = |a: &Id, b: &Id| -> Ordering {
                    let right_of = |x: &Id| if *x == id { right } else { self.origins[x].1 };
                    place(right_of(b)).cmp(&place(right_of(a))).then(a.cmp(b))
                };
                let mut siblings = self.after.get(&left).cloned().unwrap_or_default();
                siblings.push(id);
                siblings.sort_by(by_right);
                self.after.insert(left, siblings);
            }
        }
        self.origins.insert(id, (left, right));
    }

    fn walk(&self) -> Vec<Id> {
        let mut order = Vec::new();
        self.walk_after(None, &mut order);
        order
    }

    fn walk_after(&self, parent: Option<Id>, order: &mut Vec<Id>) {
        for child in self.after.get(&parent).into_iter().flatten() {
            self.walk_from(*child, order);
        }
    }

    fn walk_from(&self, id: Id, order: &mut Vec<Id>) {
        for child in self.before.get(&id).into_iter().flatten() {
            self.walk_from(*child, order);
        }
        order.push(id);
        self.walk_after(Some(id), order);
    }

    /// The text that steps make, in the order in which they are.
    fn text_of(history: &History) -> String {
        let mut tree = Tree::default();
        let (mut characters, mut deleted) = (BTreeMap::new(), BTreeSet::new());
        for step in &history.steps {
            let name = |anchor: Anchor| (step.inserted.mints[anchor.mint as usize], anchor.offset);
            let mut offset = 0;
            for run in &step.inserted.runs {
                let Content::Text(text) = &run.content else { panic!("text") };
                let (mut left, right) = (run.left.map(name), run.right.map(name));
                for character in text.chars() {
                    let id = (step.mint, offset);
                    tree.insert(id, left, right);
                    characters.insert(id, character);
                    left = Some(id);
                    offset += 1;
                }
            }
            for of in &step.deleted {
                for Stretch { start, len } in &of.stretches {
                    deleted.extend((*start..start + len).map(|offset| (of.mint, offset)));
                }
            }
        }
        tree.walk().into_iter().filter(|id| !deleted.contains(id)).map(|id| characters[&id]).collect()
    }
}

fn check_changes(old: &Sequence, new: &Sequence) -> Result<(), TestCaseError> {
    let changes = new.changes_since(old).expect("made of it");
    let mut text: Vec<char> = old.text().chars().collect();
    let shown: Vec<char> = new.text().chars().collect();
    for change in changes.iter().rev() {
        let inserted = shown[change.new.start as usize..change.new.end as usize].iter().copied();
        text.splice(change.old.start as usize..change.old.end as usize, inserted);
    }
    prop_assert_eq!(text, shown);
    prop_assert!(changes.is_sorted_by(|a, b| a.old.end < b.old.start || a.new.end < b.new.start));
    Ok(())
}

#[derive(Clone, Debug)]
enum Action {
    Splice {
        replica: usize,
        at: u16,
        delete: u8,
        insert: String,
    },
    /// Any anchors at all among what the replica holds.
    Forge {
        replica: usize,
        left: u16,
        right: u16,
        insert: String,
    },
    Sync {
        from: usize,
        to: usize,
    },
}

const REPLICAS: usize = 4;

fn actions(forgeries: u32) -> impl Strategy<Value = Vec<Action>> {
    let text = || "[a-z\u{e9}\u{1f600}\n]{0,3}";
    let replica = || 0..REPLICAS;
    prop::collection::vec(
        prop_oneof![
            6 => (replica(), any::<u16>(), prop_oneof![2 => Just(0u8), 1 => 0u8..4], text())
                .prop_map(|(replica, at, delete, insert)| Action::Splice { replica, at, delete, insert }),
            forgeries => (replica(), any::<u16>(), any::<u16>(), "[A-Z]{1,3}")
                .prop_map(|(replica, left, right, insert)| Action::Forge { replica, left, right, insert }),
            3 => (replica(), replica()).prop_map(|(from, to)| Action::Sync { from, to }),
        ],
        1..40,
    )
}

fn run(actions: &[Action]) -> (History, Vec<Replica>) {
    let mut history = History::default();
    let mut replicas = vec![Replica::new(); REPLICAS];
    for action in actions {
        match action {
            Action::Sync { from, to } => {
                let with = replicas[*from].held.clone();
                replicas[*to].catch_up(&history, &with);
            }
            Action::Splice { replica, at, delete, insert } => {
                let replica = &mut replicas[*replica];
                let len = replica.text.len(Unit::CodePoint);
                let at = u64::from(*at) % (len + 1);
                let end = len.min(at + u64::from(*delete));
                history.edit(replica, |edit| {
                    edit.delete(Unit::CodePoint, at..end).expect("in range");
                    edit.insert_text(Unit::CodePoint, at, insert).expect("in range");
                });
            }
            Action::Forge { replica, left, right, insert } => {
                let replica = &mut replicas[*replica];
                let held = replica.held.iter().map(|number| &history.steps[*number]);
                let ids = held.flat_map(|s| (0..s.inserted.len() as u32).map(|offset| (s.mint, offset)));
                let ids: Vec<Id> = ids.collect();
                let pick = |pick: u16| ids.get(usize::from(pick) % (ids.len() + 1)).copied();
                let (left, right) = (pick(*left), pick(*right));
                if left.is_some() && left == right {
                    continue;
                }
                let mints: BTreeSet<Mint> = left.iter().chain(&right).map(|(mint, _)| *mint).collect();
                let mints: Vec<Mint> = mints.into_iter().collect();
                let anchor = |(mint, offset): Id| Anchor {
                    mint: mints.binary_search(&mint).expect("is in the table") as u32,
                    offset,
                };
                let content = Content::Text(insert.clone());
                let run = Run { left: left.map(anchor), right: right.map(anchor), content };
                history.add(replica, Spans { mints: mints.clone(), runs: vec![run] }, vec![]);
            }
        }
    }
    (history, replicas)
}

fn all_agree(actions: &[Action], seed: u64) -> Result<(), TestCaseError> {
    let (history, replicas) = run(actions);
    let mut random = Random(seed);
    let expected = Tree::text_of(&history);
    for mut replica in replicas {
        replica.catch_up(&history, &history.all());
        replica.text.check();
        prop_assert_eq!(replica.text.text(), expected.clone());
    }
    for _ in 0..2 {
        let replica = history.replay(&mut random);
        replica.text.check();
        prop_assert_eq!(replica.text.text(), expected.clone());
        prop_assert_eq!(replica.text.elements() as usize, history.elements().len());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_causal_order_gives_the_text_that_the_rule_gives(actions in actions(0), seed in any::<u64>()) {
        all_agree(&actions, seed)?;
    }

    /// Whatever origins a liar names.
    #[test]
    fn forged_origins_are_in_the_same_place_everywhere(actions in actions(3), seed in any::<u64>()) {
        all_agree(&actions, seed)?;
    }

    /// Everybody types one run at the same place, in one direction, and hears of the others now and then. (Where three
    /// type backwards and hear of each other, what follows an element goes before what precedes one.)
    #[test]
    fn concurrent_runs_do_not_interleave(
        forwards in any::<bool>(), start in 0usize..4, hears in 0usize..4, seed in any::<u64>(),
    ) {
        let mut random = Random(seed);
        let mut history = History::default();
        let users = if forwards || hears == 0 { 3 } else { 2 };
        let mut replicas = vec![Replica::new(); users];
        let common = ["", "x", "xy", "x\ny"][start];
        history.edit(&mut replicas[0], |edit| edit.insert_text(Unit::CodePoint, 0, common).expect("in range"));
        for replica in &mut replicas {
            replica.catch_up(&history, &history.all());
        }
        let place = u64::min(1, common.chars().count() as u64);
        let runs = &["abcdefgh", "ABCDEFGH", "12345678"][..users];
        let mut typed = vec![0usize; users];
        loop {
            let unfinished: Vec<usize> = (0..users).filter(|who| typed[*who] < 8).collect();
            if unfinished.is_empty() {
                break;
            }
            let who = unfinished[random.below(unfinished.len())];
            let run = runs[who];
            let (last, next) = if forwards {
                (typed[who].checked_sub(1).map(|last| &run[last..=last]), &run[typed[who]..=typed[who]])
            } else {
                let at = 7 - typed[who];
                (run.get(at + 1..at + 2), &run[at..=at])
            };
            let text = replicas[who].text.text();
            let at = match last {
                Some(last) => text.chars().position(|c| last.starts_with(c)).expect("typed") as u64 + u64::from(forwards),
                None => place,
            };
            history.edit(&mut replicas[who], |edit| edit.insert_text(Unit::CodePoint, at, next).expect("in range"));
            typed[who] += 1;
            // Who has heard of a run before it begins its own may mean to be in the middle of that.
            if hears > 0 && typed.iter().all(|typed| *typed > 0) && random.below(4) < hears {
                let with = replicas[random.below(users)].held.clone();
                replicas[who].catch_up(&history, &with);
            }
        }
        let merged = history.replay(&mut random).text.text();
        for run in runs {
            prop_assert!(merged.contains(*run), "{merged}");
        }
    }

    #[test]
    fn places_are_those_of_the_plain_string(actions in actions(0), from in any::<u16>(), to in any::<u16>()) {
        let (_, replicas) = run(&actions);
        let text = &replicas[0].text;
        let plain: Vec<char> = text.text().chars().collect();
        let (from, to) = (usize::from(from) % (plain.len() + 1), usize::from(to) % (plain.len() + 1));
        let (from, to) = (from.min(to), from.max(to));
        let slice: String = plain[from..to].iter().collect();
        prop_assert_eq!(text.text_slice(Unit::CodePoint, from as u64..to as u64), Ok(slice.clone()));
        let utf16 = |end: usize| plain[..end].iter().map(|c| c.len_utf16() as u64).sum::<u64>();
        prop_assert_eq!(text.text_slice(Unit::Utf16, utf16(from)..utf16(to)), Ok(slice));
        prop_assert_eq!(text.convert(Unit::CodePoint, from as u64, Unit::Utf16), Ok(utf16(from)));
        prop_assert_eq!(text.convert(Unit::Utf16, utf16(from), Unit::CodePoint), Ok(from as u64));
        let lines = plain[..from].iter().filter(|c| **c == '\n').count() as u64;
        prop_assert_eq!(text.line_of(Unit::CodePoint, from as u64), Ok(lines));
        let start = plain[..from].iter().rposition(|c| *c == '\n').map_or(0, |at| at + 1);
        prop_assert_eq!(text.line_start(lines, Unit::CodePoint), Ok(start as u64));
        prop_assert_eq!(text.line_start(lines, Unit::Utf16), Ok(utf16(start)));
        prop_assert!(text.line_start(text.newlines() + 1, Unit::CodePoint).is_err());
        prop_assert!(text.convert(Unit::Utf16, text.len(Unit::Utf16) + 1, Unit::CodePoint).is_err());
        if plain.get(from) == Some(&'\u{1f600}') {
            prop_assert!(text.convert(Unit::Utf16, utf16(from) + 1, Unit::CodePoint).is_err(), "inside a character");
        }
    }

    #[test]
    fn changes_make_the_later_version_of_the_earlier_one(actions in actions(0), seed in any::<u64>()) {
        let (history, replicas) = run(&actions);
        let mut random = Random(seed);
        for replica in replicas {
            let mut later = replica.clone();
            later.catch_up(&history, &history.all());
            for (old, new) in [(&replica.text, &later.text), (&later.text, &later.text), (&replica.text, &replica.text)] {
                check_changes(old, new)?;
            }
            prop_assert!(replica.text.changes_since(&history.replay(&mut random).text).is_none());
        }
    }

    /// Long texts: many leaves, several levels, cuts everywhere; old versions stay what they were.
    #[test]
    fn long_texts_keep_their_structure(seed in any::<u64>()) {
        let mut random = Random(seed);
        let mut edit = Edit::new(&Sequence::new(Kind::Text));
        let mut plain: Vec<char> = Vec::new();
        let mut versions = Vec::new();
        for round in 0..400 {
            let at = random.below(plain.len() + 1);
            let delete = random.below(20).min(plain.len() - at);
            let len = if round % 50 == 0 { 3_000 } else { random.below(40) };
            let insert: String = (0..len).map(|_| ['a', '\n', '\u{e9}', '\u{1f600}'][random.below(4)]).collect();
            edit.delete(Unit::CodePoint, at as u64..(at + delete) as u64).expect("in range");
            edit.insert_text(Unit::CodePoint, at as u64, &insert).expect("in range");
            plain.splice(at..at + delete, insert.chars());
            if round % 80 == 0 {
                versions.push((edit.sequence().clone(), plain.clone()));
            }
        }
        versions.push((edit.sequence().clone(), plain));
        for pair in versions.windows(2) {
            check_changes(&pair[0].0, &pair[1].0)?;
        }
        for (text, plain) in versions {
            prop_assert_eq!(text.text(), plain.into_iter().collect::<String>());
        }
    }
}
