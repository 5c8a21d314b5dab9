//! What the app promises, as its users would check it.

use mesto_app_kv::{Error, Event, Kv};
use mesto_sdk::native::{CallError, NativeApp};
use mesto_sdk::testing::Replicas;
use serde_json::{Value, json};

fn kv(replicas: usize) -> Replicas<Kv> {
    Replicas::new(replicas)
}

fn set(group: &mut Replicas<Kv>, replica: usize, key: &str, value: &str) {
    group.write(replica, |kv| kv.set(key.into(), value.into()));
}

fn get(group: &mut Replicas<Kv>, replica: usize, key: &str) -> Option<String> {
    group.view(replica, |kv| kv.get(key.into()))
}

#[test]
fn the_schema_is_the_one_that_clients_were_written_for() {
    let schema: Value = serde_json::from_str(&NativeApp::new::<Kv>().schema_json()).expect("JSON");
    let golden: Value = serde_json::from_str(include_str!("golden/schema.json")).expect("JSON");
    assert_eq!(schema, golden);
}

#[test]
fn what_is_set_can_be_read_until_it_is_removed() {
    let mut group = kv(1);
    assert_eq!(get(&mut group, 0, "tea"), None);
    set(&mut group, 0, "tea", "green");
    assert_eq!(get(&mut group, 0, "tea").as_deref(), Some("green"));
    assert!(group.write(0, |kv| kv.remove("tea".into())));
    assert!(!group.write(0, |kv| kv.remove("tea".into())));
    assert_eq!(get(&mut group, 0, "tea"), None);
}

#[test]
fn entries_come_in_order_of_their_keys_and_clear_removes_them() {
    let mut group = kv(1);
    for key in ["b", "a", "c"] {
        set(&mut group, 0, key, key);
    }
    assert_eq!(group.view(0, |kv| kv.len()), 3);
    let keys: Vec<_> = group.view(0, |kv| kv.entries().into_keys().collect());
    assert_eq!(keys, ["a", "b", "c"]);
    group.write(0, Kv::clear);
    assert_eq!(group.view(0, |kv| kv.len()), 0);
}

#[test]
fn clients_call_by_name_with_json() {
    let mut group = kv(1);
    assert_eq!(group.call(0, "set", &json!({"key": "tea", "value": "green"})), Ok(Value::Null));
    assert_eq!(group.call(0, "get", &json!({"key": "tea"})), Ok(json!("green")));
    assert_eq!(group.call(0, "get", &json!({"key": "milk"})), Ok(Value::Null));
    assert_eq!(group.call(0, "remove", &json!({"key": "tea"})), Ok(json!(true)));
    assert_eq!(group.call(0, "entries", &json!({})), Ok(json!({})));
}

#[test]
fn a_missing_key_is_an_error_that_clients_can_read() {
    let mut group = kv(1);
    let refused = group.call(0, "get_or_error", &json!({"key": "tea"}));
    let Err(CallError::App { message, data }) = refused else { panic!("{refused:?}") };
    assert_eq!(message, "key not found: tea");
    let data: Value = serde_json::from_slice(&data).expect("JSON");
    assert_eq!(data, json!({"kind": "NotFound", "data": "tea"}));
    assert_eq!(group.view(0, |kv| kv.get_or_error("tea".into())), Err(Error::NotFound("tea".into())));
}

#[test]
fn arguments_that_do_not_fit_are_refused_by_name() {
    let mut group = kv(1);
    let refused = |result| match result {
        Err(CallError::BadArguments(text)) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(group.call(0, "set", &json!({"key": "tea"}))), "missing `value`");
    let unknown = refused(group.call(0, "get", &json!({"key": "tea", "kye": 1})));
    assert_eq!(unknown, "unknown `kye`; the method takes `key`");
    assert_eq!(group.call(0, "brew", &json!({})), Err(CallError::MethodNotFound("brew".into())));
}

#[test]
fn changes_are_told_to_subscribers() {
    let mut group = kv(1);
    set(&mut group, 0, "tea", "green");
    group.write(0, |kv| kv.remove("tea".into()));
    group.write(0, |kv| kv.remove("tea".into()));
    group.write(0, Kv::clear);
    let events: Vec<_> = group
        .take_events(0)
        .into_iter()
        .map(|event| (event.kind, serde_json::from_slice::<Value>(&event.payload).expect("JSON")))
        .collect();
    let expected = [
        ("Set", json!({"key": "tea", "value": "green"})),
        ("Removed", json!({"key": "tea"})),
        ("Cleared", Value::Null),
    ];
    assert_eq!(events, expected.map(|(kind, payload)| (kind.to_owned(), payload)));
    assert_eq!(Event::Cleared, Event::Cleared);
}

#[test]
fn concurrent_writes_to_different_keys_all_survive() {
    let mut group = kv(3);
    for replica in 0..3 {
        set(&mut group, replica, &format!("key {replica}"), "value");
    }
    group.deliver_all();
    group.assert_equal();
    assert_eq!(group.view(0, |kv| kv.len()), 3);
}

#[test]
fn of_concurrent_writes_to_one_key_everybody_reads_the_last() {
    let mut group = kv(2);
    set(&mut group, 0, "tea", "green");
    set(&mut group, 1, "tea", "black");
    group.deliver_all();
    group.assert_equal();
    assert_eq!(get(&mut group, 0, "tea").as_deref(), Some("black"));
}

#[test]
fn a_write_beats_a_removal_that_had_not_seen_it() {
    let mut group = kv(2);
    set(&mut group, 0, "tea", "green");
    group.deliver_all();
    set(&mut group, 0, "tea", "black");
    group.write(1, |kv| kv.remove("tea".into()));
    group.deliver_all();
    group.assert_equal();
    assert_eq!(get(&mut group, 1, "tea").as_deref(), Some("black"));
}

#[test]
fn a_partitioned_group_agrees_again_once_it_is_healed() {
    let mut group = kv(3);
    group.partition(&[&[0, 1], &[2]]);
    set(&mut group, 0, "tea", "green");
    set(&mut group, 2, "milk", "oat");
    group.deliver_all();
    assert_eq!(get(&mut group, 1, "tea").as_deref(), Some("green"));
    assert_eq!(get(&mut group, 2, "tea"), None);
    assert!(!group.converged());
    group.heal();
    group.deliver_all();
    group.assert_equal();
    assert_eq!(group.view(2, |kv| kv.len()), 2);
}

#[test]
fn any_order_of_delivery_gives_the_same_state() {
    let run = |seed| {
        let mut group = kv(3);
        for round in 0..5 {
            for replica in 0..3 {
                set(&mut group, replica, &format!("key {}", (round + replica) % 4), &format!("{round} {replica}"));
                if round == 3 {
                    group.write(replica, |kv| kv.remove("key 1".into()));
                }
            }
            if round == 1 {
                group.deliver_shuffled(seed);
            }
        }
        group.deliver_shuffled(seed);
        group.assert_equal();
        group.view(0, |kv| kv.entries())
    };
    for seed in 1..20 {
        assert_eq!(run(seed), run(0));
    }
}
