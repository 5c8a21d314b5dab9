//! What leaves no trace: values that one replica keeps for itself, and messages that are kept nowhere.

use std::collections::BTreeMap;

use mesto_sdk::app;
use mesto_sdk::native::CallError;
use mesto_sdk::testing::Replicas;
use serde_json::json;

#[app::event]
#[derive(Debug)]
pub enum Event {
    Typing { who: String },
}

#[app::state(emits = Event)]
pub struct Desk {
    notes: app::Map<String, String>,
    draft: app::Private<String>,
    read: app::PrivateMap<String, u64>,
}

#[app::logic]
impl Desk {
    pub fn keep(&mut self, draft: String) {
        self.draft.set(&draft);
    }

    pub fn publish(&mut self, name: String) -> app::Result<()> {
        let Some(draft) = self.draft.get() else { app::bail!("there is no draft") };
        self.draft.clear();
        self.notes.insert(&name, &draft);
        Ok(())
    }

    pub fn seen(&mut self, name: String, times: u64, fail: bool) -> app::Result<u64> {
        self.read.insert(&name, &(self.read.get(&name).unwrap_or_default() + times));
        let seen = self.read.get(&name).unwrap_or_default();
        if fail {
            app::bail!("as asked");
        }
        Ok(seen)
    }

    pub fn forget(&mut self, name: String) {
        self.read.remove(&name);
    }

    pub fn draft(&self) -> Option<String> {
        self.draft.get()
    }

    pub fn read(&self) -> BTreeMap<String, u64> {
        self.read.iter().collect()
    }

    pub fn typing(&mut self, who: String, times: u32) {
        for _ in 0..times {
            app::ephemeral!(Event::Typing { who: who.clone() });
        }
    }
}

#[test]
fn what_a_replica_keeps_for_itself_never_reaches_another_nor_the_root() {
    let mut group = Replicas::<Desk>::new(2);
    let empty = group.root(0);
    group.write(0, |desk| desk.keep("secret".into()));
    for n in 0..200 {
        group.attempt(0, |desk| desk.seen(format!("note {n:03}"), n, false)).expect("seen");
    }
    assert_eq!(group.root(0), empty);
    group.deliver_all();
    assert_eq!(group.view(1, |desk| desk.draft()), None);
    assert_eq!(group.view(1, |desk| desk.read()), BTreeMap::new());
    assert_eq!(group.view(0, |desk| desk.draft()).as_deref(), Some("secret"));
    let read: Vec<_> = group.view(0, |desk| desk.read()).into_iter().collect();
    assert_eq!(read.len(), 200);
    assert_eq!((read[7].0.as_str(), read[7].1), ("note 007", 7));
}

#[test]
fn what_is_kept_is_kept_together_with_the_change_of_its_call_or_not_at_all() {
    let mut group = Replicas::<Desk>::new(2);
    assert!(group.attempt(0, |desk| desk.publish("a".into())).is_err());
    group.write(0, |desk| desk.keep("text".into()));
    group.attempt(0, |desk| desk.publish("a".into())).expect("there is a draft");
    assert_eq!(group.view(0, |desk| desk.draft()), None);
    group.deliver_all();
    group.assert_equal();
    assert_eq!(group.view(1, |desk| desk.notes.get("a")).as_deref(), Some("text"));
    assert_eq!(group.attempt(0, |desk| desk.seen("a".into(), 2, false)).expect("seen"), 2);
    assert!(group.attempt(0, |desk| desk.seen("a".into(), 5, true)).is_err());
    assert_eq!(group.attempt(0, |desk| desk.seen("a".into(), 1, false)).expect("seen"), 3);
    group.write(0, |desk| desk.forget("a".into()));
    assert_eq!(group.view(0, |desk| desk.read()), BTreeMap::new());
}

#[test]
fn a_passing_message_makes_no_change_and_there_can_be_few_in_a_call() {
    let mut group = Replicas::<Desk>::new(2);
    let before = group.root(0);
    assert_eq!(group.call(0, "typing", &json!({"who": "ada", "times": 2})), Ok(json!(null)));
    assert_eq!(group.root(0), before);
    let said = group.take_sayings(0);
    assert_eq!(said.len(), 2);
    assert_eq!((said[0].kind.as_str(), said[0].payload.as_slice()), ("Typing", &br#"{"who":"ada"}"#[..]));
    assert!(group.take_events(0).is_empty());
    let refused = group.call(0, "typing", &json!({"who": "ada", "times": 17}));
    assert_eq!(refused, Err(CallError::Limit { limit: "sayings", max: "16 messages".into() }));
    let refused = group.call(0, "typing", &json!({"who": "a".repeat(5000), "times": 1}));
    assert_eq!(refused, Err(CallError::Limit { limit: "saying_bytes", max: "4096 bytes".into() }));
    assert!(group.take_sayings(0).is_empty());
}

#[test]
fn the_schema_shows_what_is_kept_privately_as_such() {
    let schema = mesto_sdk::native::NativeApp::new::<Desk>().schema_json();
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
    assert_eq!(schema["state"][1], json!({"name": "draft", "kind": "private", "of": {"type": "string"}}));
    let read = json!({"name": "read", "kind": "private", "key": {"type": "string"}, "of": {"type": "integer", "format": "u64"}});
    assert_eq!(schema["state"][2], read);
}
