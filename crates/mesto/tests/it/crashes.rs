//! Nodes that are killed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::network::{begin, join};
use crate::node::{ARRIVES_WITHIN, Node, Stage, eventually};

const ROUNDS: u32 = 10;

/// Writers that are at it when the node is killed: enough that writes of several go to disk together.
const WRITERS: u32 = 3;

fn entries(node: &Node, context: &str) -> BTreeMap<String, Value> {
    let output = node.http().call(context, "entries", &json!({}))["output"].clone();
    serde_json::from_value(output).expect("an object")
}

/// Writes until the node is gone; gives the keys whose writes were acknowledged.
fn write_until_killed(node: &Node, context: &str, writer: u32, round: u32, killed: &AtomicBool) -> Vec<String> {
    let mut http = node.http();
    let mut acknowledged = Vec::new();
    for n in 0.. {
        let key = format!("{round} {writer} {n}");
        match http.try_call(context, "set", &json!({"key": key, "value": "here"})) {
            Some(_) => acknowledged.push(key),
            None => {
                assert!(killed.load(Ordering::SeqCst), "a write failed before the node was killed");
                break;
            }
        }
    }
    acknowledged
}

#[test]
fn no_acknowledged_write_is_lost_however_often_the_node_is_killed() {
    let stage = Stage::of(2);
    let (mut anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    let context = shared.context.as_str();
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let killed = AtomicBool::new(false);
        thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let (node, killed) = (&anna, &killed);
                    scope.spawn(move || write_until_killed(node, context, writer, round, killed))
                })
                .collect();
            // Another moment of the node's work in each round.
            thread::sleep(Duration::from_millis(60 + 17 * u64::from(round)));
            killed.store(true, Ordering::SeqCst);
            crate::node::signal("-KILL", anna.pid());
            for writer in writers {
                acknowledged.extend(writer.join().expect("no panic"));
            }
        });
        anna = anna.kill().start();
        let held = entries(&anna, context);
        let lost: Vec<_> = acknowledged.iter().filter(|key| !held.contains_key(*key)).collect();
        assert!(lost.is_empty(), "round {round}: {} of {} are lost: {lost:?}", lost.len(), acknowledged.len());
    }
    assert!(acknowledged.len() > 50, "only {} writes were tried", acknowledged.len());
    let path = format!("/admin-api/contexts/{context}");
    eventually("both nodes hold the same", ARRIVES_WITHIN, || {
        let (here, there) = (anna.http().get(&path).data(), boris.http().get(&path).data());
        (here["rootHash"] == there["rootHash"] && here["entries"] == there["entries"]).then_some(())
    });
    let held = entries(&boris, context);
    assert!(acknowledged.iter().all(|key| held.contains_key(key)), "the other node lacks acknowledged writes");
    assert_eq!(anna.http().get(&path).data()["voided"], 0);
}

#[test]
fn a_node_that_is_killed_while_it_receives_ends_up_with_everything() {
    let stage = Stage::of(2);
    let (anna, mut boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    let context = shared.context.as_str();
    let done = AtomicBool::new(false);
    let written = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut http = anna.http();
            let mut count = 0;
            while !done.load(Ordering::SeqCst) {
                http.call(context, "set", &json!({"key": format!("{count}"), "value": "x"}));
                count += 1;
            }
            count
        });
        for _ in 0..4 {
            thread::sleep(Duration::from_millis(120));
            boris.end();
            boris = boris.home().start();
        }
        done.store(true, Ordering::SeqCst);
        writer.join().expect("no panic")
    });
    crate::network::equal(&[&boris, &anna], context, written + 1);
    assert_eq!(entries(&boris, context), entries(&anna, context));
}
