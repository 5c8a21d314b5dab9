//! How texts came to be what they are, as it is told to those who show them.

use std::collections::{BTreeMap, BTreeSet};

use mesto_crdt::sequence::TRAIL_BYTES_MAX;
use mesto_crdt::{Draft, Handle, Kind, TextStep, TextVersion, Unit};
use proptest::prelude::*;

use crate::model::{History, Replica, State, author, draft};

const REPLICAS: usize = 3;
const ALPHABET: [&str; 5] = ["a", "é", "\n", "😀", "bc"];

/// A text that somebody shows, as they got it.
#[derive(Clone)]
struct Shown {
    version: TextVersion,
    text: String,
}

#[derive(Default)]
struct World {
    history: History,
    replicas: BTreeMap<usize, Replica>,
}

impl World {
    fn new() -> Self {
        let replicas = (0..REPLICAS).map(|replica| (replica, Replica::default())).collect();
        Self { history: History::default(), replicas }
    }

    fn call(&mut self, replica: usize, run: impl FnOnce(&mut Draft<&State>, Handle)) {
        let Replica { held, state, cache } = self.replicas.get_mut(&replica).expect("is there");
        let mut draft = draft(state, replica);
        let text = draft.open_root("f", Kind::Text).expect("opens");
        run(&mut draft, text);
        let ops = draft.finish().expect("within the limits");
        let number = self.history.add(author(replica), held.clone(), ops);
        self.history.apply(state, cache, &[number]);
        held.insert(number);
    }

    /// One replica gets all that another has, in batches.
    fn hear(&mut self, to: usize, from: usize, batch: usize) {
        let missing: Vec<usize> = self.replicas[&from].held.difference(&self.replicas[&to].held).copied().collect();
        let Replica { held, state, cache } = self.replicas.get_mut(&to).expect("is there");
        for batch in missing.chunks(batch) {
            self.history.apply(state, cache, batch);
        }
        held.extend(missing);
    }

    fn show(&self, replica: usize) -> Shown {
        self.view(replica, |draft, text| {
            let version = draft.text_version(text).expect("reads");
            Shown { version, text: draft.text_read(text).expect("reads") }
        })
    }

    fn steps(&self, replica: usize, since: TextVersion, unit: Unit) -> Option<Vec<TextStep>> {
        self.view(replica, |draft, text| draft.text_steps(text, unit, since).expect("reads"))
    }

    fn view<T>(&self, replica: usize, look: impl FnOnce(&Draft<&State>, Handle) -> T) -> T {
        let mut draft = draft(&self.replicas[&replica].state, replica);
        let text = draft.open_root("f", Kind::Text).expect("opens");
        look(&draft, text)
    }
}

fn after(text: &str, steps: Vec<TextStep>, unit: Unit) -> String {
    let mut units: Vec<u32> = match unit {
        Unit::CodePoint => text.chars().map(u32::from).collect(),
        Unit::Utf16 => text.encode_utf16().map(u32::from).collect(),
    };
    for TextStep { at, delete, insert } in steps {
        let insert: Vec<u32> = match unit {
            Unit::CodePoint => insert.chars().map(u32::from).collect(),
            Unit::Utf16 => insert.encode_utf16().map(u32::from).collect(),
        };
        units.splice(at as usize..(at + delete) as usize, insert);
    }
    match unit {
        Unit::CodePoint => units.into_iter().map(|unit| char::from_u32(unit).expect("a character")).collect(),
        Unit::Utf16 => {
            let units: Vec<u16> = units.into_iter().map(|unit| unit as u16).collect();
            String::from_utf16(&units).expect("no character is cut")
        }
    }
}

fn splice(draft: &mut Draft<&State>, text: Handle, at: u16, delete: u16, insert: &str) {
    let len = draft.text_len(text, Unit::CodePoint).expect("reads");
    let at = u64::from(at) % (len + 1);
    let delete = u64::from(delete).min(len - at);
    draft.text_splice(text, Unit::CodePoint, at, delete, insert).expect("in range");
}

#[derive(Clone, Debug)]
enum Action {
    Write { replica: usize, splices: Vec<(u16, u16, usize)> },
    Clear { replica: usize },
    Hear { from: usize, to: usize, batch: usize },
    Show { replica: usize },
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let replica = || 0..REPLICAS;
    let splice = (any::<u16>(), prop_oneof![Just(0u16), 0u16..4], 0..ALPHABET.len());
    prop::collection::vec(
        prop_oneof![
            6 => (replica(), prop::collection::vec(splice, 1..4))
                .prop_map(|(replica, splices)| Action::Write { replica, splices }),
            1 => replica().prop_map(|replica| Action::Clear { replica }),
            4 => (replica(), replica(), 1usize..4).prop_map(|(from, to, batch)| Action::Hear { from, to, batch }),
            3 => replica().prop_map(|replica| Action::Show { replica }),
        ],
        1..50,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn steps_make_what_is_shown_now_of_what_was_shown_then(actions in actions()) {
        let mut world = World::new();
        let mut shown: Vec<(usize, Shown)> = Vec::new();
        for action in actions {
            match action {
                Action::Write { replica, splices } => world.call(replica, |draft, text| {
                    for (at, delete, insert) in splices {
                        splice(draft, text, at, delete, ALPHABET[insert]);
                    }
                }),
                Action::Clear { replica } => world.call(replica, |draft, text| draft.text_clear(text).expect("clears")),
                Action::Hear { from, to, batch } => world.hear(to, from, batch),
                Action::Show { replica } => shown.push((replica, world.show(replica))),
            }
        }
        for (replica, then) in shown {
            let now = world.show(replica);
            for unit in [Unit::CodePoint, Unit::Utf16] {
                let steps = world.steps(replica, then.version, unit).expect("little was done since it was loaded");
                prop_assert_eq!(after(&then.text, steps, unit), now.text.as_str());
            }
            if now.version == then.version {
                prop_assert_eq!(&now.text, &then.text);
            }
            prop_assert_eq!(now.version.to_string().parse(), Ok(now.version));
        }
    }
}

/// A loaded text, on two replicas.
fn of_two(text: &str) -> World {
    let mut world = World::new();
    world.call(0, |draft, handle| draft.text_insert(handle, Unit::CodePoint, 0, text).expect("inserts"));
    world.hear(1, 0, 1);
    world.show(1);
    world
}

#[test]
fn a_remote_keystroke_in_a_long_text_is_one_step() {
    let mut world = of_two("");
    for _ in 0..50 {
        world.call(0, |draft, text| splice(draft, text, 0, 0, &"😀 some words\n".repeat(1_000)));
    }
    world.hear(1, 0, 1);
    let then = world.show(1);
    world.call(0, |draft, text| draft.text_splice(text, Unit::CodePoint, 123_456, 1, "x").expect("in range"));
    world.hear(1, 0, 1);
    let at =
        world.view(0, |draft, text| draft.text_convert(text, Unit::CodePoint, 123_456, Unit::Utf16).expect("there"));
    let deleted = if then.text.chars().nth(123_456) == Some('😀') { 2 } else { 1 };
    let step = TextStep { at, delete: deleted, insert: "x".into() };
    assert_eq!(world.steps(1, then.version, Unit::Utf16), Some(vec![step]));
}

#[test]
fn what_is_too_much_is_forgotten_and_what_comes_after_it_is_not() {
    let mut world = of_two("abc");
    let first = world.show(1);
    let long = "x".repeat(TRAIL_BYTES_MAX / 3);
    for times in 1..=3 {
        let before = world.show(1);
        world.call(0, |draft, text| splice(draft, text, 0, 0, &long));
        world.hear(1, 0, 1);
        assert!(world.steps(1, before.version, Unit::Utf16).is_some());
        assert_eq!(world.steps(1, first.version, Unit::Utf16).is_some(), times < 3, "{times}");
    }
    let before = world.show(1);
    world.call(0, |draft, text| splice(draft, text, 0, 0, &"y".repeat(TRAIL_BYTES_MAX)));
    world.hear(1, 0, 1);
    assert_eq!(world.steps(1, before.version, Unit::Utf16), None);
    let before = world.show(1);
    world.call(0, |draft, text| splice(draft, text, 0, 0, "z"));
    world.hear(1, 0, 1);
    assert_eq!(world.steps(1, before.version, Unit::Utf16).map(|steps| steps.len()), Some(1));
}

#[test]
fn a_call_that_has_changed_the_text_is_told_of_no_steps() {
    let mut world = of_two("abc");
    let then = world.show(1);
    world.call(1, |draft, text| {
        splice(draft, text, 0, 0, "x");
        assert_eq!(draft.text_steps(text, Unit::CodePoint, then.version), Ok(None));
        let now = draft.text_version(text).expect("reads");
        assert_eq!(draft.text_steps(text, Unit::CodePoint, now), Ok(Some(vec![])));
    });
    assert!(world.steps(1, then.version, Unit::CodePoint).is_some());
}

#[test]
fn a_version_that_never_was_has_no_steps() {
    let world = of_two("abc");
    for version in [TextVersion { elements: 2, shown: 2 }, TextVersion { elements: 9, shown: 9 }] {
        assert_eq!(world.steps(1, version, Unit::CodePoint), None);
    }
    for name in ["", "3", "3.", ".3", "3.x", "3.3.3", "-1.0", "3. 3"] {
        assert!(name.parse::<TextVersion>().is_err(), "{name}");
    }
    let names: BTreeSet<String> = ["3.3", "0.0"].into_iter().map(str::to_owned).collect();
    assert!(names.iter().all(|name| name.parse::<TextVersion>().is_ok_and(|version| version.to_string() == *name)));
}
