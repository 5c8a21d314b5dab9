//! Nodes that share a group and a context.

use serde_json::{Value, json};

use crate::apps;
use crate::node::{ARRIVES_WITHIN, Node, eventually, text};

/// A group that runs `kv`, and a context in it.
pub(crate) struct Shared {
    pub(crate) group: String,
    pub(crate) context: String,
}

/// The first node installs `kv` and begins a group and a context.
pub(crate) fn begin(first: &Node) -> Shared {
    let group = group(first, "friends");
    let context = text(&first.cli(&["context", "create", &group, "--name", "board"]).ok(), "contextId");
    Shared { group, context }
}

/// A group that runs `kv`.
pub(crate) fn group(first: &Node, name: &str) -> String {
    let app = text(&first.cli(&["app", "install", apps::kv()]).ok(), "applicationId");
    text(&first.cli(&["group", "create", "--name", name, "--app", &app]).ok(), "groupId")
}

/// A new ticket for one.
pub(crate) fn ticket(inviter: &Node, group: &str) -> String {
    text(&inviter.cli(&["invite", group]).ok(), "ticket")
}

/// A node joins the group and the context, and holds what the inviter holds.
pub(crate) fn join(inviter: &Node, joiner: &Node, shared: &Shared) {
    let ticket = ticket(inviter, &shared.group);
    joiner.cli(&["join", &ticket, "--wait"]).ok();
    joiner.cli(&["context", "join", &shared.context, "--wait"]).ok();
}

/// A node's own key in a group.
pub(crate) fn me(node: &Node, group: &str) -> String {
    text(&node.cli(&["whoami", group]).ok(), "memberId")
}

/// A member as a node lists it.
pub(crate) fn listed(node: &Node, group: &str, member: &str) -> Option<Value> {
    let members = node.cli(&["member", "ls", group]).ok();
    members.as_array()?.iter().find(|row| row["memberId"] == member).cloned()
}

/// Sets a key.
pub(crate) fn set(node: &Node, context: &str, key: &str, value: &str) -> Value {
    node.http().call(context, "set", &json!({"key": key, "value": value}))
}

/// What a node reads under a key.
pub(crate) fn get(node: &Node, context: &str, key: &str) -> Value {
    node.http().call(context, "get", &json!({"key": key}))["output"].clone()
}

/// A context as a node shows it.
#[track_caller]
pub(crate) fn shown(node: &Node, context: &str) -> Value {
    node.http().get(&format!("/admin-api/contexts/{context}")).data()
}

/// Waits until all nodes have taken in so many deltas and show the same root and heads; gives what they show.
#[track_caller]
pub(crate) fn equal(nodes: &[&Node], context: &str, entries: u64) -> Value {
    let mut connections: Vec<_> = nodes.iter().map(|node| node.http()).collect();
    let path = format!("/admin-api/contexts/{context}");
    let mut last = Vec::new();
    let begun = std::time::Instant::now();
    while begun.elapsed() < ARRIVES_WITHIN {
        last = connections.iter_mut().map(|connection| connection.get(&path).data()).collect::<Vec<_>>();
        let same = |key: &str| last.iter().all(|context| context[key] == last[0][key]);
        if last[0]["entries"] == entries && same("entries") && same("rootHash") && same("heads") {
            return last[0].clone();
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("the nodes do not come to the same {entries} deltas within {ARRIVES_WITHIN:?}: {last:#?}");
}

/// Waits until two nodes are connected.
pub(crate) fn connected(one: &Node, other: &Node) {
    eventually("the nodes are connected", ARRIVES_WITHIN, || {
        let peers = one.http().get("/admin-api/peers").data();
        peers.as_array()?.iter().find(|peer| peer["peerId"] == other.peer_id()).map(drop)
    });
}
