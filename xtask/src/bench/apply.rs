//! Applying what others wrote: while it is written, and after having been away.

use std::time::Instant;

use anyhow::Result;

use super::load::{self, Until};
use super::process::cpu;
use super::report::{Reference, Report};
use super::{Setup, reference};
use crate::network::wait_until_equal;

/// Deltas of each part.
const DELTAS: u64 = 10_000;
const CLIENTS: usize = 32;

pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<()> {
    let (writer, reader, shared) = setup.pair(["writer", "reader"])?;
    let context = shared.context.as_str();

    let (writer_cpu, reader_cpu, begun) = (cpu(writer.pid())?, cpu(reader.pid())?, Instant::now());
    load::set(&writer, context, "live", CLIENTS, Until::Calls(DELTAS))?;
    // `init` is a delta, too.
    wait_until_equal(&[&writer, &reader], context, DELTAS + 1)?;
    let rate = DELTAS as f64 / begun.elapsed().as_secs_f64();
    let each_us = |used: std::time::Duration| used.as_secs_f64() * 1e6 / DELTAS as f64;
    let writing_us = each_us(cpu(writer.pid())? - writer_cpu);
    let beside = || Some(Reference { what: "writing one".to_owned(), value: writing_us });
    report.add("written and applied, side by side", rate, "/s", None);
    report.add("  CPU of the reader, each", each_us(cpu(reader.pid())? - reader_cpu), "us", beside());

    setup.stop.check()?;
    let home = reader.stop()?;
    load::set(&writer, context, "away", CLIENTS, Until::Calls(DELTAS))?;
    let reader = home.start()?;
    let begun = Instant::now();
    let started_cpu = cpu(reader.pid())?;
    wait_until_equal(&[&writer, &reader], context, 2 * DELTAS + 1)?;
    let elapsed = begun.elapsed().as_secs_f64();
    let applying_us = each_us(cpu(reader.pid())? - started_cpu);
    report.add(format!("back after {DELTAS} deltas, in step after"), elapsed, "s", None);
    let floor = reference::signatures(&setup.mesto)?;
    let verifying = || {
        floor.as_ref().map(|floor| Reference { what: "verifying alone".to_owned(), value: floor.verified_per_second })
    };
    report.add("  applied", DELTAS as f64 / elapsed, "/s", verifying());
    report.add("  CPU of the reader, each", applying_us, "us", beside());

    setup.stop.check()?;
    let newcomer = setup.node("newcomer")?;
    let begun = Instant::now();
    crate::network::join(&writer, &newcomer, &shared)?;
    let elapsed = begun.elapsed().as_secs_f64();
    report.add(format!("joined a context of {} deltas in", 2 * DELTAS), elapsed, "s", None);
    report.add("  applied", 2.0 * DELTAS as f64 / elapsed, "/s", verifying());
    Ok(())
}
