//! What a group costs that rules itself: joining, an op on its way, a removal in a large group, and the fold.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use serde_json::{Value, json};

use super::load::quantile_ms;
use super::report::{Reference, Report};
use super::{Setup, reference};
use crate::http::{Client, text_of};
use crate::network::{Shared, field};
use crate::node::{Node, Patience, wait_for};

/// Nodes that join, of which the median counts.
const JOINS: usize = 5;
/// Ops that are timed from one node to another.
const OPS: usize = 50;
/// Members of the large group.
const MEMBERS: usize = 1_000;
/// Contexts of the large group, every second of them Restricted.
const CONTEXTS: usize = 100;
/// Cards that one node hands out before they are used.
const CARDS: usize = 250;
/// Removals, of which the median counts.
const REMOVALS: usize = 5;
/// How long anything of this may take to be seen.
const SEEN: Patience = Patience { within: Duration::from_secs(60), pause: Duration::from_micros(500) };

pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<()> {
    let (first, second, shared) = setup.pair(["first", "second"])?;
    joins(setup, report, &first, &shared)?;
    ops(setup, report, &first, &second, &shared)?;
    removals(setup, report, &first, &second, &shared)?;
    fold(setup, report)
}

/// From a ticket in hand to the first write of one's own that somebody else sees.
fn joins(setup: &Setup, report: &mut Report, inviter: &Node, shared: &Shared) -> Result<()> {
    let mut seen = inviter.client()?;
    let mut times = Vec::new();
    for n in 0..JOINS {
        let joiner = setup.node(&format!("joiner-{n}"))?;
        let ticket = field(&inviter.cli(&["invite", &shared.group])?, "ticket")?;
        let begun = Instant::now();
        joiner.cli(&["join", &ticket, "--wait", "--contexts", "all"])?;
        let value = Value::String(format!("joiner {n}"));
        joiner.client()?.call(&shared.context, "set", &json!({ "key": "joined", "value": value }))?;
        wait_for("the joiner's write to be seen", SEEN, || {
            let shown = seen.call(&shared.context, "get", &json!({ "key": "joined" }))?;
            Ok((shown.get("output") == Some(&value)).then_some(()))
        })?;
        times.push(begun.elapsed());
    }
    times.sort();
    report.add("from a ticket to one's own write seen elsewhere, median", quantile_ms(&times, 0.5), "ms", None);
    Ok(())
}

/// From asking one node for an op until another one has applied it.
fn ops(setup: &Setup, report: &mut Report, first: &Node, second: &Node, shared: &Shared) -> Result<()> {
    let (mut decide, mut see) = (first.client()?, second.client()?);
    let path = format!("/admin-api/groups/{}", shared.group);
    let mut times = Vec::new();
    for n in 0..OPS {
        setup.stop.check()?;
        let name = format!("name {n}");
        let begun = Instant::now();
        decide.send("PATCH", &path, &json!({ "name": name }))?;
        wait_for("the op to be applied", SEEN, || Ok((text_of(&see.get(&path)?, "name") == name).then_some(())))?;
        times.push(begun.elapsed());
    }
    times.sort();
    let disk = reference::disk(setup.scratch())?;
    for (what, share) in [("p50", 0.5), ("p99", 0.99)] {
        let beside = Some(Reference { what: "fsync".to_owned(), value: disk.sync_ms });
        report.add(
            format!("from asking A for an op until B shows it, {what}"),
            quantile_ms(&times, share),
            "ms",
            beside,
        );
    }
    Ok(())
}

/// Removals from a group with many members and contexts: keys are renewed in each domain.
fn removals(setup: &Setup, report: &mut Report, first: &Node, second: &Node, shared: &Shared) -> Result<()> {
    let mut client = first.client()?;
    let members = format!("/admin-api/groups/{}/members", shared.group);
    let group = format!("/admin-api/groups/{}", shared.group);
    let mut keys = Vec::new();
    let begun = Instant::now();
    while keys.len() < MEMBERS {
        let holder = setup.node(&format!("holder-{}", keys.len()))?;
        let mut cards = holder.client()?;
        let count = CARDS.min(MEMBERS - keys.len());
        let cards: Vec<Value> =
            (0..count).map(|_| cards.send("POST", "/admin-api/identity/cards", &json!({}))).collect::<Result<_>>()?;
        holder.stop()?;
        for card in cards {
            setup.stop.check()?;
            client.send("POST", &members, &json!({ "member": text_of(&card, "card") }))?;
            keys.push(field(&card, "memberId")?);
        }
    }
    report.add(
        "adding a member, on the way to 1,000",
        begun.elapsed().as_secs_f64() * 1e3 / MEMBERS as f64,
        "ms",
        None,
    );
    for n in 0..CONTEXTS {
        setup.stop.check()?;
        let mut arguments = vec!["context", "create", shared.group.as_str()];
        if n % 2 == 0 {
            arguments.push("--restricted");
        }
        first.cli(&arguments)?;
    }
    let mut see = second.client()?;
    let (mut asked, mut applied) = (Vec::new(), Vec::new());
    for key in keys.iter().take(REMOVALS) {
        let before = count(&mut see, &group)?;
        let begun = Instant::now();
        client.send("DELETE", &format!("{members}/{key}"), &json!({}))?;
        asked.push(begun.elapsed());
        wait_for("the removal to be applied", SEEN, || Ok((count(&mut see, &group)? < before).then_some(())))?;
        applied.push(begun.elapsed());
    }
    asked.sort();
    applied.sort();
    let of = format!("{MEMBERS} members, {CONTEXTS} contexts, new keys included");
    report.add(format!("a removal, {of}: answered, median"), quantile_ms(&asked, 0.5), "ms", None);
    report.add(format!("a removal, {of}: applied elsewhere, median"), quantile_ms(&applied, 0.5), "ms", None);
    let begun = Instant::now();
    client.call(&shared.context, "set", &json!({ "key": "after", "value": "the removals" }))?;
    report.add("the first write after them", begun.elapsed().as_secs_f64() * 1e3, "ms", None);
    Ok(())
}

fn count(client: &mut Client, group: &str) -> Result<u64> {
    let shown = client.get(group)?;
    shown.get("members").and_then(Value::as_u64).ok_or_else(|| anyhow!("the group shows no number of members: {shown}"))
}

/// The fold alone, without signatures, store and network.
fn fold(setup: &Setup, report: &mut Report) -> Result<()> {
    setup.stop.check()?;
    let arguments = ["run", "--release", "--quiet", "-p", "mesto-governance", "--example", "long_log"];
    let output = Command::new(env!("CARGO")).args(arguments).output().context("cannot run cargo")?;
    let text = String::from_utf8(output.stdout).context("the example printed no text")?;
    for line in text.lines() {
        let found: Value = serde_json::from_str(line).with_context(|| format!("the example printed `{line}`"))?;
        let history = text_of(&found, "history");
        for (key, what, unit) in [
            ("lastMicros", "an op, incrementally", "us"),
            ("resolveMs", "from scratch", "ms"),
            ("slowestMs", "the slowest op", "ms"),
        ] {
            let value = found.get(key).and_then(Value::as_f64).ok_or_else(|| anyhow!("no {key} in `{line}`"))?;
            report.add(format!("fold of governance ops, {history}: {what}"), value, unit, None);
        }
    }
    Ok(())
}
