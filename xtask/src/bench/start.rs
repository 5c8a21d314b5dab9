//! Start and memory.

use std::time::Duration;

use anyhow::Result;

use super::Setup;
use super::load::{self, Until, quantile_ms};
use super::process::{cpu, memory_mib};
use super::report::Report;
use crate::node::Home;

/// Starts, of which the median counts.
const STARTS: usize = 7;
/// How long a node is left alone before its memory counts.
const REST: Duration = Duration::from_secs(3);
/// Contexts, to tell what one costs.
const CONTEXTS: usize = 50;
/// Keys, to tell what one costs.
const KEYS: u64 = 10_000;

pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<()> {
    let home = Home::init(&setup.mesto, setup.scratch(), "start")?;
    let mut times = Vec::new();
    for _ in 0..STARTS {
        setup.stop.check()?;
        let node = home.start()?;
        times.push(node.ready_in());
        node.stop()?;
    }
    times.sort();
    report.add("process start to ready, an empty home", quantile_ms(&times, 0.5), "ms", None);

    let node = home.start()?;
    std::thread::sleep(REST);
    report.add("memory of an empty node", memory_mib(node.pid())?, "MiB", None);
    let before = cpu(node.pid())?;
    std::thread::sleep(REST);
    let idle = (cpu(node.pid())? - before).as_secs_f64() / REST.as_secs_f64();
    report.add("CPU of an empty node, of one core", idle * 100.0, "%", None);

    let shared = crate::network::begin(&node, &setup.kv)?;
    std::thread::sleep(REST);
    let with_one = memory_mib(node.pid())?;
    report.add("memory with the app and one context", with_one, "MiB", None);
    for n in 0..CONTEXTS {
        setup.stop.check()?;
        node.cli(&["context", "create", &shared.group, "--name", &format!("idle-{n}")])?;
    }
    std::thread::sleep(REST);
    let with_many = memory_mib(node.pid())?;
    report.add("memory for each further context", (with_many - with_one) * 1024.0 / CONTEXTS as f64, "KiB", None);

    load::set(&node, &shared.context, "k", 32, Until::Calls(KEYS))?;
    std::thread::sleep(REST);
    report.add(format!("memory after {KEYS} keys"), memory_mib(node.pid())?, "MiB", None);
    let home = node.stop()?;
    let node = home.start()?;
    report.add(format!("process start to ready, {KEYS} keys"), node.ready_in().as_secs_f64() * 1000.0, "ms", None);
    std::thread::sleep(REST);
    report.add("  memory", memory_mib(node.pid())?, "MiB", None);
    Ok(())
}
