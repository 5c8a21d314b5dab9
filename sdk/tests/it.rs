//! What the SDK promises to authors of apps, shown on an app that uses all of it.
#![allow(missing_docs, unreachable_pub)]

#[path = "it/passing.rs"]
mod passing;
#[path = "it/sequences.rs"]
mod sequences;

use std::collections::BTreeMap;

use mesto_sdk::native::{Call, CallError, NativeApp};
use mesto_sdk::testing::Replicas;
use mesto_sdk::{MethodKind, app};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, app::Describe)]
#[serde(rename_all = "camelCase")]
pub struct Card {
    card_title: String,
    #[serde(default)]
    points: u64,
    size: Option<Size>,
    parts: Vec<Card>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, app::Describe)]
pub enum Size {
    Small,
    Other { centimetres: f64 },
}

#[app::event]
#[derive(Debug)]
pub enum Event {
    Opened,
    Renamed(String),
    Moved(i32, i32),
    Counted { total: u64 },
}

#[app::state(emits = Event)]
pub struct Board {
    title: app::Register<String>,
    owner: app::Register<app::PublicKey>,
    visits: app::Counter,
    cards: app::Map<u32, Card>,
    votes: app::Map<String, app::Map<String, app::Counter>>,
    tags: app::Map<String, app::Set<i64>>,
    seen: app::Set<app::PublicKey>,
}

#[app::logic]
impl Board {
    /// Begins a board.
    #[app::init]
    pub fn begin(&mut self, title: &str) {
        self.title.set(title);
        self.owner.set(&app::env::caller());
        app::emit!(Event::Opened);
    }

    pub fn visit(&mut self, times: Option<i64>) -> i64 {
        self.visits.add(times.unwrap_or(1));
        self.seen.insert(&app::env::caller());
        self.visits.value()
    }

    pub fn put(&mut self, number: u32, card: Card) {
        self.cards.insert(&number, &card);
    }

    pub fn cards(&self) -> BTreeMap<u32, Card> {
        self.cards.iter().collect()
    }

    pub fn vote(&mut self, topic: String, choice: String) {
        self.votes.entry(&topic).entry(&choice).add(1);
    }

    pub fn votes(&self, topic: String) -> BTreeMap<String, i64> {
        let Some(topic) = self.votes.get(&topic) else { return BTreeMap::new() };
        topic.iter().map(|(choice, votes)| (choice, votes.value())).collect()
    }

    pub fn forget(&mut self, topic: String) -> bool {
        self.votes.remove(&topic)
    }

    pub fn tag(&mut self, name: String, numbers: &[i64]) {
        let mut tags = self.tags.entry(&name);
        for number in numbers {
            tags.insert(number);
        }
    }

    pub fn tags(&self, name: &str) -> Vec<i64> {
        self.tags.get(name).map(|tags| tags.iter().collect()).unwrap_or_default()
    }

    /// Everything that surrounds a call.
    pub fn surroundings(&self) -> (app::PublicKey, app::ContextId, app::Time, app::Bytes) {
        (app::env::caller(), app::env::context_id(), app::env::now(), app::Bytes(app::env::random::<8>().to_vec()))
    }

    pub fn large(&self) -> u64 {
        u64::MAX
    }

    pub fn tell(&mut self) {
        app::log!("telling {}", 3);
        app::emit!(Event::Renamed("new".into()));
        app::emit!(Event::Moved(1, -2));
        app::emit!(Event::Counted { total: u64::MAX }, handler = "on_counted");
    }

    #[app::private]
    pub fn on_counted(&mut self) {
        self.visits.add(self.own_amount());
    }

    pub fn refuse(&mut self, why: String) -> app::Result<()> {
        self.visits.add(100);
        app::bail!("refused: {why}")
    }

    pub fn panic(&self) {
        panic!("on purpose");
    }

    /// Not callable: it is not `pub`.
    fn own_amount(&self) -> i64 {
        1
    }
}

fn boards(count: usize) -> Replicas<Board> {
    Replicas::new(count)
}

#[test]
fn the_schema_says_what_the_methods_are() {
    let schema: Value = serde_json::from_str(&NativeApp::new::<Board>().schema_json()).expect("JSON");
    let method = |name: &str| {
        let methods = schema["methods"].as_array().expect("a list");
        methods.iter().find(|method| method["name"] == name).cloned()
    };
    assert_eq!(
        method("begin"),
        Some(json!({"name": "begin", "kind": "init", "doc": "Begins a board.",
            "args": [{"name": "title", "type": {"type": "string"}}], "result": {"type": "unit"}}))
    );
    assert_eq!(method("own_amount"), None);
    assert_eq!(method("on_counted").expect("listed")["private"], true);
    assert_eq!(method("refuse").expect("listed")["fallible"], true);
    assert_eq!(method("refuse").expect("listed")["result"], json!({"type": "unit"}));
    assert_eq!(method("tag").expect("listed")["args"][1]["type"]["of"], json!({"type": "integer", "format": "i64"}));
    let card = &method("put").expect("listed")["args"][1]["type"];
    assert_eq!(
        *card,
        json!({"type": "struct", "name": "Card", "fields": [
            {"name": "cardTitle", "type": {"type": "string"}},
            {"name": "points", "type": {"type": "integer", "format": "u64"}, "optional": true},
            {"name": "size", "type": {"type": "option", "of": {"type": "enum", "name": "Size", "variants": [
                {"name": "Small"},
                {"name": "Other", "type": {"type": "struct", "name": "Other",
                    "fields": [{"name": "centimetres", "type": {"type": "number"}}]}}]}}},
            {"name": "parts", "type": {"type": "list", "of": {"type": "reference", "name": "Card"}}}]})
    );
}

#[test]
fn the_schema_says_what_is_emitted_and_kept() {
    let schema: Value = serde_json::from_str(&NativeApp::new::<Board>().schema_json()).expect("JSON");
    let integer = json!({"type": "integer", "format": "i32"});
    assert_eq!(
        schema["events"],
        json!([
            {"name": "Opened", "type": {"type": "unit"}},
            {"name": "Renamed", "type": {"type": "string"}},
            {"name": "Moved", "type": {"type": "tuple", "of": [integer, integer]}},
            {"name": "Counted", "type": {"type": "struct", "name": "Counted",
                "fields": [{"name": "total", "type": {"type": "integer", "format": "u64"}}]}},
        ])
    );
    assert_eq!(schema["state"][2], json!({"name": "visits", "kind": "counter"}));
    assert_eq!(
        schema["state"][4],
        json!({"name": "votes", "kind": "map", "key": {"type": "string"},
            "of": {"kind": "map", "key": {"type": "string"}, "of": {"kind": "counter"}}})
    );
}

#[test]
fn arguments_and_results_cross_the_border_as_json() {
    let mut board = boards(1);
    let card = json!({"cardTitle": "a", "points": "18446744073709551615", "size": {"Other": {"centimetres": 2.5}}, "parts": []});
    assert_eq!(board.call(0, "put", &json!({"number": 7, "card": card})), Ok(Value::Null));
    // What came as a string leaves as one: a double could not hold it.
    assert_eq!(board.call(0, "cards", &json!({})), Ok(json!({"7": card})));
    assert_eq!(board.call(0, "large", &json!({})), Ok(json!("18446744073709551615")));
    assert_eq!(board.call(0, "visit", &json!({})), Ok(json!(1)));
    assert_eq!(board.call(0, "visit", &json!({"times": "4"})), Ok(json!(5)));
    assert_eq!(board.call(0, "tag", &json!({"name": "x", "numbers": [3, -1, 3]})), Ok(Value::Null));
    assert_eq!(board.call(0, "tags", &json!({"name": "x"})), Ok(json!([-1, 3])));
}

#[test]
fn a_call_knows_its_surroundings_and_no_others() {
    let app = NativeApp::new::<Board>();
    let call = |seed| Call {
        method: "surroundings",
        args: b"{}",
        kind: MethodKind::View,
        caller: [1; 32],
        context: [2; 32],
        stamp: mesto_crdt::Hlc::new(5, 6).expect("in range"),
        seed: [seed; 32],
    };
    let output = |seed| {
        let outcome = app.invoke(&call(seed), std::sync::Arc::new(mesto_crdt::MemoryState::new())).expect("runs");
        serde_json::from_slice::<Value>(&outcome.output).expect("JSON")
    };
    let first = output(1);
    assert_eq!(first[0].as_str().map(str::len), Some(52));
    assert_eq!(first[2], json!((5_u64 << 16 | 6).to_string()));
    assert_eq!(first, output(1));
    assert_ne!(first[3], output(2)[3]);
}

#[test]
fn events_carry_the_fields_of_their_variant() {
    let mut board = boards(1);
    board.write(0, Board::tell);
    let events: Vec<_> = board
        .take_events(0)
        .into_iter()
        .map(|event| (event.kind, String::from_utf8(event.payload).expect("text"), event.handler))
        .collect();
    let expected = [
        ("Renamed", r#""new""#, None),
        ("Moved", "[1,-2]", None),
        ("Counted", r#"{"total":"18446744073709551615"}"#, Some("on_counted")),
    ];
    assert_eq!(
        events,
        expected.map(|(kind, payload, handler)| (kind.into(), payload.into(), handler.map(str::to_owned)))
    );
    assert_eq!(board.take_logs(0), ["telling 3"]);
}

#[test]
fn nested_collections_merge() {
    let mut board = boards(3);
    for replica in 0..3 {
        board.write(replica, |board| board.vote("drink".into(), "tea".into()));
        board.write(replica, |board| board.tag("numbers".into(), &[replica as i64]));
        board.write(replica, |board| board.visit(Some(10)));
    }
    for seed in 0..10 {
        let mut board = boards(3);
        for replica in 0..3 {
            board.write(replica, |board| board.vote("drink".into(), format!("tea {}", replica % 2)));
        }
        board.deliver_shuffled(seed);
        board.assert_equal();
    }
    board.deliver_all();
    board.assert_equal();
    assert_eq!(board.view(1, |board| board.votes("drink".into())), BTreeMap::from([("tea".into(), 3)]));
    assert_eq!(board.view(1, |board| board.tags("numbers")), [0, 1, 2]);
    assert_eq!(board.view(2, |board| board.visits.value()), 30);
    assert_eq!(board.view(2, |board| board.seen.len()), 3);
}

#[test]
fn a_change_below_an_entry_survives_its_concurrent_removal() {
    let mut board = boards(2);
    board.write(0, |board| board.vote("drink".into(), "tea".into()));
    board.deliver_all();
    board.write(0, |board| board.vote("drink".into(), "tea".into()));
    assert!(board.write(1, |board| board.forget("drink".into())));
    board.deliver_all();
    board.assert_equal();
    assert_eq!(board.view(1, |board| board.votes("drink".into())), BTreeMap::from([("tea".into(), 1)]));
}

#[test]
fn a_refused_call_leaves_nothing() {
    let mut board = boards(1);
    let refused = board.call(0, "refuse", &json!({"why": "so"}));
    let expected = CallError::App { message: "refused: so".into(), data: br#""refused: so""#.to_vec() };
    assert_eq!(refused, Err(expected));
    assert!(board.attempt(0, |board| board.refuse("so".into())).is_err());
    assert_eq!(board.view(0, |board| board.visits.value()), 0);
}

#[test]
fn a_panic_is_a_trap_and_leaves_nothing() {
    let mut board = boards(1);
    assert_eq!(board.call(0, "panic", &json!({})), Err(CallError::Trap("on purpose".into())));
}

#[test]
fn a_view_cannot_write() {
    let app = NativeApp::new::<Board>();
    let call = Call {
        method: "visit",
        args: b"{}",
        kind: MethodKind::View,
        caller: [0; 32],
        context: [0; 32],
        stamp: mesto_crdt::Hlc::ZERO,
        seed: [0; 32],
    };
    let refused = app.invoke(&call, std::sync::Arc::new(mesto_crdt::MemoryState::new()));
    assert_eq!(refused, Err(CallError::ViewWrites("visit".into())));
}

#[test]
fn private_methods_and_init_cannot_be_called_by_name() {
    let app = NativeApp::new::<Board>();
    assert_eq!(app.method_kind("on_counted"), None);
    let call = |method, kind, args| Call {
        method,
        args,
        kind,
        caller: [0; 32],
        context: [0; 32],
        stamp: mesto_crdt::Hlc::ZERO,
        seed: [0; 32],
    };
    let invoke = |call: Call<'_>| app.invoke(&call, std::sync::Arc::new(mesto_crdt::MemoryState::new()));
    for method in ["on_counted", "begin", "own_amount"] {
        let refused = invoke(call(method, MethodKind::Mutate, b"{}"));
        assert_eq!(refused, Err(CallError::MethodNotFound(method.into())));
    }
    let begun = invoke(call("", MethodKind::Init, br#"{"title":"plans"}"#)).expect("begins");
    assert_eq!(begun.ops.len(), 2);
    assert_eq!(begun.events.len(), 1);
    let refused = invoke(call("", MethodKind::Init, b"{}"));
    assert_eq!(refused, Err(CallError::BadArguments("missing `title`".into())));
}
