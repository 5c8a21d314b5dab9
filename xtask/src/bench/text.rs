//! Texts, on recorded traces: in memory, and as durable deltas of a node.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail};
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::Setup;
use super::load::{self, Until};
use super::report::{Reference, Report};
use crate::network;
use crate::node::Node;

/// Where the traces are, and the program that replays them in memory.
const DATA: &str = "crates/crdt/tests/data";
const REPLAY: [&str; 7] = ["run", "--quiet", "--release", "-p", "mesto-crdt", "--example", "text"];
/// Edits of a trace that become durable deltas one after the other: some seconds of them.
const DURABLE: usize = 2_000;

/// What the replay says of a trace: the figure, what it is called, its unit.
const FIGURES: [(&str, &str, &str); 7] = [
    ("localEditsPerSecond", "local edits", "/s"),
    ("remoteEditsPerSecond", "remote edits, taken in one by one", "/s"),
    ("listenerEditsPerSecond", "concurrent edits, taken in one by one", "/s"),
    ("livedEditsPerSecond", "concurrent edits, each made on its own version", "/s"),
    ("bytesPerChar", "memory, each character of the end", "bytes"),
    ("loadMs", "loading from the leaves", "ms"),
    ("loadCharsPerSecond", "  characters, deleted ones included", "/s"),
];

pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<()> {
    in_memory(setup, report)?;
    let (node, kv) = setup.node_with_context("text")?;
    load::set(&node, &kv.context, "warm", 1, Until::Calls(500))?;
    for name in traces(&setup.workspace.root().join(DATA))? {
        setup.stop.check()?;
        let trace = read(&setup.workspace.root().join(DATA).join(&name))?;
        if trace.get("kind").and_then(Value::as_str) == Some("concurrent") {
            continue;
        }
        let beside = load::set(&node, &kv.context, &name, 1, Until::Calls(DURABLE as u64))?.rate();
        let rate = durable(setup, &node, &trace)?;
        let beside = Reference { what: "kv.set".to_owned(), value: beside };
        report.add(format!("{name}: edits as durable deltas, one client"), rate, "/s", Some(beside));
    }
    Ok(())
}

fn in_memory(setup: &Setup, report: &mut Report) -> Result<()> {
    let mut replay = setup.workspace.cargo(&REPLAY);
    let output = replay.stderr(Stdio::inherit()).output().context("cannot run the replay")?;
    if !output.status.success() {
        bail!("the replay failed");
    }
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let said: Value = serde_json::from_str(line).context("the replay's line is no JSON")?;
        let name = said.get("trace").and_then(Value::as_str).unwrap_or_default();
        let figure = |key: &str| said.get("figures").and_then(|figures| figures.get(key)?.as_f64());
        for (key, what, unit) in FIGURES {
            if let Some(value) = figure(key) {
                report.add(format!("{name}: {what}"), value, unit, None);
            }
        }
        if let (Some(value), Some(set)) = (figure("keystrokeUs"), figure("mapSetUs")) {
            let beside = Reference { what: "setting a key".to_owned(), value: set };
            report.add(format!("{name}: a keystroke, drafted and committed in memory"), value, "us", Some(beside));
        }
    }
    Ok(())
}

/// Edits a second of one client that types a trace into a text of its own.
fn durable(setup: &Setup, node: &Node, trace: &Value) -> Result<f64> {
    let text = network::begin(node, &setup.editor)?.context;
    let mut client = node.client()?;
    let start = trace.get("startContent").and_then(Value::as_str).unwrap_or_default();
    client.call(&text, "insert", &json!({ "at": 0, "text": start }))?;
    let patches = trace.get("txns").and_then(Value::as_array).into_iter().flatten();
    let patches = patches.filter_map(|txn| txn.get("patches")?.as_array()).flatten().take(DURABLE);
    let begun = Instant::now();
    let mut edits = 0;
    for patch in patches {
        let at = patch.get(0).ok_or_else(|| anyhow!("a patch without a place: {patch}"))?;
        if patch.get(1).and_then(Value::as_u64).is_some_and(|len| len > 0) {
            client.call(&text, "delete", &json!({ "at": at, "len": patch[1] }))?;
        }
        if patch.get(2).and_then(Value::as_str).is_some_and(|insert| !insert.is_empty()) {
            client.call(&text, "insert", &json!({ "at": at, "text": patch[2] }))?;
        }
        edits += 1;
    }
    Ok(f64::from(edits) / begun.elapsed().as_secs_f64())
}

/// The names of the traces, in order.
fn traces(folder: &Path) -> Result<Vec<String>> {
    let files = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let names = files.map(|file| Ok(file?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect::<Result<_>>()?;
    names.retain(|name| name.ends_with(".json.gz"));
    names.sort();
    Ok(names)
}

fn read(path: &Path) -> Result<Value> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}
