//! Flow F09: what one node writes is on the others.

use serde_json::json;

use crate::network::{Shared, begin, connected, equal, get, join, set, shown};
use crate::node::{ARRIVES_WITHIN, Node, Stage, eventually, number, text};

/// Three nodes that share a context.
fn three(stage: &Stage) -> (Node, Node, Node, Shared) {
    let (anna, boris, clara) = (stage.start("anna"), stage.start("boris"), stage.start("clara"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    join(&anna, &clara, &shared);
    (anna, boris, clara, shared)
}

/// Each node sets `count` keys, at the same time as the others.
fn write_at_once(nodes: &[(&str, &Node)], context: &str, round: u32, count: u32) {
    std::thread::scope(|scope| {
        for (name, node) in nodes {
            scope.spawn(move || {
                let mut http = node.http();
                for n in 0..count {
                    let args = json!({"key": format!("{name} {round} {n}"), "value": format!("{n}")});
                    http.call(context, "set", &args);
                    http.call(context, "set", &json!({"key": format!("both {n}"), "value": *name}));
                }
            });
        }
    });
}

#[test]
fn f09_ingest_concurrent_writes_of_two_nodes_on_a_third() {
    let stage = Stage::of(3);
    let (anna, boris, clara, shared) = three(&stage);
    write_at_once(&[("anna", &anna), ("boris", &boris)], &shared.context, 1, 50);
    equal(&[&clara, &anna, &boris], &shared.context, 201);
    let entries = |node: &Node| node.http().call(&shared.context, "entries", &json!({}))["output"].clone();
    let all = entries(&clara);
    assert_eq!(all.as_object().map(serde_json::Map::len), Some(150));
    assert_eq!((&entries(&anna), &entries(&boris)), (&all, &all), "also where both wrote to one key");
}

#[test]
fn f09_ingest_what_was_missed_while_stopped() {
    let stage = Stage::of(3);
    let (anna, boris, clara, shared) = three(&stage);
    let (clara, ended) = clara.stop();
    assert!(ended.success());
    write_at_once(&[("anna", &anna), ("boris", &boris)], &shared.context, 1, 25);
    equal(&[&anna, &boris], &shared.context, 101);
    let clara = clara.start();
    equal(&[&clara, &anna, &boris], &shared.context, 101);
    assert_eq!(get(&clara, &shared.context, "boris 1 24"), "24");
    set(&clara, &shared.context, "clara", "back");
    equal(&[&clara, &anna, &boris], &shared.context, 102);
}

#[test]
fn f09_ingest_what_both_sides_wrote_apart() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    let (boris, _) = boris.stop();
    set(&anna, &shared.context, "anna", "alone");
    let (anna, _) = anna.stop();
    let boris = boris.start();
    for n in 0..3 {
        set(&boris, &shared.context, "boris", &format!("alone {n}"));
    }
    let anna = anna.start();
    equal(&[&anna, &boris], &shared.context, 5);
    assert_eq!(
        (get(&boris, &shared.context, "anna"), get(&anna, &shared.context, "boris")),
        (json!("alone"), json!("alone 2"))
    );
}

#[test]
fn f09_ingest_of_what_is_here_already_changes_nothing() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    write_at_once(&[("anna", &anna), ("boris", &boris)], &shared.context, 1, 5);
    let before = equal(&[&anna, &boris], &shared.context, 21);
    for _ in 0..3 {
        let synced = boris.cli(&["sync", &shared.context, "--wait"]).ok();
        assert_eq!((&synced["converged"], &synced["rootHash"]), (&json!(true), &before["rootHash"]));
        anna.cli(&["sync", &shared.context, "--peer", boris.peer_id(), "--wait"]).ok();
    }
    // A peer that comes back is told everything anew.
    let boris = boris.kill().start();
    boris.cli(&["sync", &shared.context, "--wait"]).ok();
    assert_eq!(equal(&[&anna, &boris], &shared.context, 21)["rootHash"], before["rootHash"]);
    assert_eq!(number(&shown(&anna, &shared.context), "voided"), 0);
}

#[test]
fn members_that_were_never_introduced_go_on_without_the_inviter() {
    let stage = Stage::of(3);
    let (anna, boris, clara, shared) = three(&stage);
    connected(&boris, &clara);
    anna.stop();
    set(&boris, &shared.context, "boris", "hello");
    eventually("what Boris wrote is with Clara", ARRIVES_WITHIN, || {
        (get(&clara, &shared.context, "boris") == "hello").then_some(())
    });
    set(&clara, &shared.context, "clara", "hello");
    equal(&[&boris, &clara], &shared.context, 3);
    // They also find each other again without anybody's help.
    let clara = clara.kill().start();
    set(&boris, &shared.context, "again", "hello");
    equal(&[&clara, &boris], &shared.context, 4);
}

#[test]
fn sync_tells_with_whom_and_gives_up_when_nobody_is_there() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    anna.cli(&["sync", &shared.context, "--wait", "--timeout", "300ms"]).fails(6, "TimedOut");
    join(&anna, &boris, &shared);
    let synced = anna.cli(&["sync", "board", "--wait"]).ok();
    assert_eq!(synced["contextId"], shared.context.as_str());
    assert_eq!(synced["peers"][0]["peerId"], boris.peer_id());
    assert_eq!(synced["rootHash"], shown(&boris, &shared.context)["rootHash"]);
    let all = boris.cli(&["sync", "status"]).ok();
    assert_eq!(text(&all[0], "contextId"), shared.context);
    anna.cli(&["sync", "nowhere"]).fails(5, "ContextNotFound");
}
