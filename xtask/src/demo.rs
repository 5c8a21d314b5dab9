//! `cargo xtask demo`: three nodes, one group, one context, and writes that arrive everywhere.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::json;

use crate::apps;
use crate::build::{self, Profile};
use crate::network::{self, Shared, wait_until_equal};
use crate::node::Node;
use crate::stop::Stop;
use crate::workspace::{Workspace, short};

const NAMES: [&str; 3] = ["anna", "boris", "clara"];
/// Writes by each of two nodes: enough to be concurrent, few enough to be done in a blink.
const WRITES_EACH: u64 = 100;

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let once = match arguments {
        [] => false,
        [one] if one == "--once" => true,
        _ => bail!("`cargo xtask demo` takes --once or nothing"),
    };
    apps::set_up()?;
    let mesto = build::mesto(workspace, Profile::Dev)?;
    let bundles =
        Bundles { kv: apps::build(workspace, &mesto, "kv")?, editor: apps::build(workspace, &mesto, "editor")? };

    let stop = Stop::on_signal()?;
    let folder = tempfile::Builder::new().prefix("mesto-demo-").tempdir().context("cannot make a temporary folder")?;
    let outcome = show(&mesto, &bundles, folder.path(), once, &stop);
    if let Err(error) = outcome {
        if stop.check().is_err() {
            return Ok(());
        }
        let kept = folder.keep();
        return Err(error.context(format!("the demo failed; the nodes' logs are {}/*.log", kept.display())));
    }
    folder.close().context("cannot remove the temporary folder")
}

/// The apps that the demo shows.
struct Bundles {
    kv: PathBuf,
    editor: PathBuf,
}

/// All of the demo; when it returns, the nodes have ended.
fn show(mesto: &Path, bundles: &Bundles, folder: &Path, once: bool, stop: &Stop) -> Result<()> {
    step(1, "Three nodes start, each with a home and keys of its own.");
    let mut nodes = Vec::new();
    for name in NAMES {
        stop.check()?;
        let node = Node::init_and_start(mesto, folder, name)?;
        detail(&format!("{name:<5}  API http://{}  home {}", node.api(), node.home().folder().display()));
        nodes.push(node);
    }
    let [anna, boris, clara] = nodes.as_slice() else { bail!("three nodes were to be started") };

    step(2, "Anna installs the app kv, begins a group that runs it, and a context: a shared board of keys and values.");
    let shared = network::begin(anna, &bundles.kv)?;
    detail(&format!("group    {}", shared.group));
    detail(&format!("context  {}", shared.context));

    step(3, "Boris and Clara join by tickets. App, keys and state reach them by themselves.");
    for joiner in [boris, clara] {
        stop.check()?;
        let begun = Instant::now();
        network::join(anna, joiner, &shared)?;
        detail(&format!("{:<5}  is in, after {}", joiner.name(), shown(begun.elapsed())));
    }

    step(4, &format!("Anna and Boris write {WRITES_EACH} values each, at the same time. Clara only listens."));
    let begun = Instant::now();
    write_concurrently(&[anna, boris], &shared.context)?;
    let written = begun.elapsed();
    detail(&format!("{} durable writes in {}", 2 * WRITES_EACH, shown(written)));
    // `init` is a delta, too.
    let (root, _) = wait_until_equal(&[anna, boris, clara], &shared.context, 2 * WRITES_EACH + 1)?;
    let arrived = begun.elapsed().saturating_sub(written);
    let seen = clara.client()?.call(&shared.context, "get", &json!({ "key": "anna-1" }))?;
    detail(&format!("Clara reads what Anna wrote: {}", seen.get("output").cloned().unwrap_or_default()));

    step(5, &format!("All three hold the same state, {} after the last write was acknowledged.", shown(arrived)));
    detail(&format!("root hash  {root}"));

    step(6, "Anna begins a text with the app editor; Boris joins it, and both type at the same place.");
    let text = begin_text(anna, boris, &bundles.editor, &shared)?;
    if once {
        return Ok(());
    }
    detail("Open these in two browsers (each address works once, within a quarter of an hour):");
    for node in [anna, boris] {
        let opened = node.cli(&["open", &text, "--print"])?;
        detail(&format!("{:<5}  {}", node.name(), network::field(&opened, "url")?));
    }
    print!("{}", next(mesto, &nodes, &shared));
    stop.wait();
    println!("\nThe nodes end, and their folders are removed.");
    Ok(())
}

/// A text that both hold, with a word of each; the context.
fn begin_text(first: &Node, second: &Node, editor: &Path, shared: &Shared) -> Result<String> {
    let application = network::field(&first.cli(&["app", "install", &editor.display().to_string()])?, "applicationId")?;
    let made = first.cli(&["context", "create", &shared.group, "--app", &application, "--name", "text"])?;
    let text = network::field(&made, "contextId")?;
    second.cli(&["context", "join", &text, "--wait", "--timeout", "60s"])?;
    std::thread::scope(|scope| {
        let typed = [first, second].map(|node| {
            scope.spawn(|| {
                node.client()?.call(
                    &text,
                    "insert",
                    &json!({ "at": 0, "text": format!("Hello from {}. ", node.name()) }),
                )
            })
        });
        typed.into_iter().try_for_each(|typist| match typist.join() {
            Ok(result) => result.map(|_| ()),
            Err(_) => Err(anyhow!("a typist panicked")),
        })
    })?;
    // `init` is a delta, too.
    wait_until_equal(&[first, second], &text, 3)?;
    let seen = second.client()?.call(&text, "text", &json!({}))?;
    detail(&format!("both read  {}", seen.get("output").cloned().unwrap_or_default()));
    Ok(text)
}

fn write_concurrently(nodes: &[&Node], context: &str) -> Result<()> {
    std::thread::scope(|scope| {
        let writers: Vec<_> = nodes.iter().map(|node| scope.spawn(|| write(node, context))).collect();
        let mut results =
            writers.into_iter().map(|writer| writer.join().unwrap_or_else(|_| Err(anyhow!("a writer panicked"))));
        results.try_for_each(|result| result)
    })
}

fn write(node: &Node, context: &str) -> Result<()> {
    let mut client = node.client()?;
    for n in 1..=WRITES_EACH {
        let arguments =
            json!({ "key": format!("{}-{n}", node.name()), "value": format!("hello {n} from {}", node.name()) });
        client.call(context, "set", &arguments)?;
    }
    Ok(())
}

/// What the user can do while the nodes run.
fn next(mesto: &Path, nodes: &[Node], shared: &Shared) -> String {
    let mesto = short(mesto);
    let mesto = mesto.display();
    let mut text = "\nThe nodes keep running. Try, in another terminal:\n\n".to_owned();
    for node in nodes {
        text.push_str(&format!("  export {}={}\n", node.name().to_uppercase(), node.home().folder().display()));
    }
    let context = shared.context.get(..8).unwrap_or(&shared.context);
    for line in [
        format!("MESTO_HOME=$CLARA {mesto} events {context} -f"),
        format!("MESTO_HOME=$ANNA {mesto} call {context} set key=tea value=green"),
        format!("MESTO_HOME=$BORIS {mesto} call {context} get key=tea"),
        format!("MESTO_HOME=$CLARA {mesto} context show {context}"),
        format!("MESTO_HOME=$CLARA {mesto} sync {context} --wait"),
        format!("MESTO_HOME=$ANNA {mesto} member ls demo"),
    ] {
        text.push_str(&format!("  {line}\n"));
    }
    text.push_str("\nCtrl-C ends the demo.\n");
    text
}

fn step(number: u32, text: &str) {
    println!("\n{number}. {text}");
}

fn detail(text: &str) {
    println!("   {text}");
}

fn shown(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}
