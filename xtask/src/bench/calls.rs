//! Calls over HTTP, beside the store's own loop.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::load::{self, Until};
use super::process::cpu;
use super::report::{Reference, Report};
use super::{Setup, reference};
use crate::network::{self, Shared};
use crate::node::Node;

/// How long each load lasts: long enough to even out, short enough to run often.
const LOAD: Duration = Duration::from_secs(5);
const CLIENTS: [usize; 3] = [1, 8, 32];

pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<()> {
    let (node, shared) = setup.node_with_context("calls")?;
    load::set(&node, &shared.context, "warm", 8, Until::Calls(500))?;
    let disk = reference::disk(setup.scratch())?;
    report.add("fsync of a page", disk.syncs_per_second, "/s", None);
    let floor = reference::signatures(&setup.mesto)?;
    for clients in CLIENTS {
        setup.stop.check()?;
        let alone = reference::store(&setup.mesto, setup.scratch(), clients)?;
        let before = cpu(node.pid())?;
        let seen = load::set(&node, &shared.context, &format!("c{clients}"), clients, Until::Passed(LOAD))?;
        let each_us = (cpu(node.pid())? - before).as_secs_f64() * 1e6 / seen.calls() as f64;
        let beside = alone.map(|value| Reference { what: "the store alone".to_owned(), value });
        report.add(format!("kv.set, {clients} clients"), seen.rate(), "/s", beside);
        report.add(
            "  p50",
            seen.latency_ms(0.5),
            "ms",
            Some(Reference { what: "fsync".to_owned(), value: disk.sync_ms }),
        );
        report.add("  p99", seen.latency_ms(0.99), "ms", None);
        let signing = floor.as_ref().map(|floor| 1e6 / floor.signed_per_second);
        let beside = signing.map(|value| Reference { what: "signing it".to_owned(), value });
        report.add("  CPU of the node, each", each_us, "us", beside);
    }
    for clients in CLIENTS {
        setup.stop.check()?;
        let before = cpu(node.pid())?;
        let seen = load::get(&node, &shared.context, "c1", clients, Until::Passed(LOAD))?;
        let each_us = (cpu(node.pid())? - before).as_secs_f64() * 1e6 / seen.calls() as f64;
        report.add(format!("kv.get, {clients} clients"), seen.rate(), "/s", None);
        report.add("  p50", seen.latency_ms(0.5), "ms", None);
        report.add("  CPU of the node, each", each_us, "us", None);
    }
    followed(setup, report, &node, &shared)
}

/// The same while two more nodes on this machine follow, and then two nodes that write at once.
fn followed(setup: &Setup, report: &mut Report, node: &Node, shared: &Shared) -> Result<()> {
    let followers = [setup.node("second")?, setup.node("third")?];
    for follower in &followers {
        network::join(node, follower, shared)?;
    }
    let [second, third] = &followers;
    let nodes = [node, second, third];
    let context = shared.context.as_str();
    let settle = || network::wait_until_equal(&nodes, context, 0);
    let used = || nodes.iter().map(|node| cpu(node.pid())).collect::<Result<Vec<_>>>();

    settle()?;
    let before = used()?;
    let seen = load::set(node, context, "followed", 8, Until::Passed(LOAD))?;
    let (_, behind) = settle()?;
    let each_us: Vec<f64> = std::iter::zip(used()?, before)
        .map(|(after, before)| (after - before).as_secs_f64() * 1e6 / seen.calls() as f64)
        .collect();
    report.add("kv.set, 8 clients, two more nodes follow", seen.rate(), "/s", None);
    report.add("  all equal after the last answer", behind.as_secs_f64() * 1000.0, "ms", None);
    report.add("  CPU of the writer, each", each_us[0], "us", None);
    report.add("  CPU of a follower, each", each_us[1].midpoint(each_us[2]), "us", None);

    setup.stop.check()?;
    let begun = Instant::now();
    let both = std::thread::scope(|scope| {
        let writers = [node, second]
            .map(|writer| scope.spawn(move || load::set(writer, context, writer.name(), 8, Until::Calls(2_000))));
        writers.map(|writer| writer.join().unwrap_or_else(|_| Err(anyhow!("a client panicked"))))
    });
    for seen in both {
        seen?;
    }
    report.add(
        "2 x 2,000 kv.set from 8 clients each on two nodes",
        4_000.0 / begun.elapsed().as_secs_f64(),
        "/s",
        None,
    );
    let (_, behind) = settle()?;
    report.add("  all three equal after the last answer", behind.as_secs_f64() * 1000.0, "ms", None);
    Ok(())
}
