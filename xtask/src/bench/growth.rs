//! The cost of a call as the state grows.

use anyhow::Result;

use super::Setup;
use super::load::{self, Until};
use super::process::cpu;
use super::report::{Reference, Report};

/// Keys in the state when a sample is taken.
const SIZES: [u64; 4] = [0, 1_000, 10_000, 100_000];
/// Calls of one sample: the system counts CPU time in hundredths of a second, so a sample needs many of them.
const SAMPLE: u64 = 2_000;
/// Clients that fill the state between samples.
const FILLERS: usize = 32;
/// Clients of a sample.
const SAMPLERS: usize = 8;

pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<()> {
    let (node, shared) = setup.node_with_context("growth")?;
    // One that is not counted: the first calls also pay for the loading of code.
    load::set(&node, &shared.context, "warm", SAMPLERS, Until::Calls(500))?;
    let mut keys = 0;
    let mut first = None;
    for size in SIZES {
        setup.stop.check()?;
        let missing = size.saturating_sub(keys);
        load::set(&node, &shared.context, &format!("fill{size}"), FILLERS, Until::Calls(missing))?;
        keys += missing;
        let before = cpu(node.pid())?;
        let seen = load::set(&node, &shared.context, &format!("at{size}"), SAMPLERS, Until::Calls(SAMPLE))?;
        let each_us = (cpu(node.pid())? - before).as_secs_f64() * 1e6 / seen.calls() as f64;
        keys += seen.calls();
        let beside = first.map(|value| Reference { what: "empty".to_owned(), value });
        report.add(format!("CPU of kv.set at {size} keys"), each_us, "us", beside);
        report.add("  p50", seen.latency_ms(0.5), "ms", None);
        first = first.or(Some(each_us));
    }
    Ok(())
}
