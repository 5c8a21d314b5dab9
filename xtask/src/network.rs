//! Several nodes that share a group and a context of the sample app `kv`.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::http::text_of;
use crate::node::{Node, Patience, wait_for};

/// How long what reaches all nodes may take to do so: it takes milliseconds, but not on a machine that also compiles.
const ARRIVES: Patience = Patience { within: Duration::from_secs(120), pause: Duration::from_millis(2) };

/// A group on the first of some nodes, and its context.
pub(crate) struct Shared {
    /// The group's id.
    pub(crate) group: String,
    /// The context's id.
    pub(crate) context: String,
}

/// The first node begins a group that runs the bundle `app`, and a context in it.
pub(crate) fn begin(first: &Node, app: &Path) -> Result<Shared> {
    let application = field(&first.cli(&["app", "install", &app.display().to_string()])?, "applicationId")?;
    let group = field(&first.cli(&["group", "create", "--name", "demo", "--app", &application])?, "groupId")?;
    let context = field(&first.cli(&["context", "create", &group, "--name", "board"])?, "contextId")?;
    Ok(Shared { group, context })
}

/// `joiner` joins the group by a ticket of `inviter`, and the context; returns when it holds the same state.
pub(crate) fn join(inviter: &Node, joiner: &Node, shared: &Shared) -> Result<()> {
    let ticket = field(&inviter.cli(&["invite", &shared.group])?, "ticket")?;
    joiner.cli(&["join", &ticket, "--wait", "--timeout", "60s"])?;
    joiner.cli(&["context", "join", &shared.context, "--wait", "--timeout", "60s"])?;
    Ok(())
}

/// Waits until all nodes show the same root after `entries` deltas; the root and the time that it took.
pub(crate) fn wait_until_equal(nodes: &[&Node], context: &str, entries: u64) -> Result<(String, Duration)> {
    let begun = Instant::now();
    let mut clients = nodes.iter().map(|node| node.client()).collect::<Result<Vec<_>>>()?;
    let mut last = Vec::new();
    let equal = wait_for("all nodes to show the same root hash", ARRIVES, || {
        last.clear();
        for (node, client) in nodes.iter().zip(&mut clients) {
            last.push(node.root(client, context)?);
        }
        let first = last.first().cloned().unwrap_or_default();
        Ok((first.1 >= entries && last.iter().all(|other| *other == first)).then_some(first.0))
    });
    let root = equal.with_context(|| format!("root hashes and numbers of deltas were {last:?}"))?;
    Ok((root, begun.elapsed()))
}

/// A text field that an answer must have.
pub(crate) fn field(answer: &Value, key: &str) -> Result<String> {
    match text_of(answer, key) {
        empty if empty.is_empty() => bail!("the answer has no {key}: {answer}"),
        text => Ok(text),
    }
}
