//! Calls over HTTP, beside the store's own loop.

use std::time::Duration;

use anyhow::Result;

use super::load::{self, Until};
use super::process::cpu;
use super::report::{Reference, Report};
use super::{Setup, reference};

/// How long each load lasts: long enough to even out, short enough to run often.
const LOAD: Duration = Duration::from_secs(5);
const CLIENTS: [usize; 3] = [1, 8, 32];

pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<()> {
    let (node, shared) = setup.node_with_context("calls")?;
    load::set(&node, &shared.context, "warm", 8, Until::Calls(500))?;
    let disk = reference::disk(setup.scratch())?;
    report.add("fsync of a page", disk.syncs_per_second, "/s", None);
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
        report.add("  CPU of the node, each", each_us, "us", None);
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
    Ok(())
}
