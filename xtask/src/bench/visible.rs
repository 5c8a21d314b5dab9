//! From a write on one node to its sight on another.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::load::quantile_ms;
use super::report::{Reference, Report};
use super::{Setup, reference};
use crate::node::{Patience, wait_for};

/// Writes, one at a time.
const WRITES: u64 = 300;
/// Writes before, that are not counted.
const WARM: u64 = 30;
/// How long one write may take to be seen.
const SEEN: Patience = Patience { within: Duration::from_secs(30), pause: Duration::from_micros(100) };
/// Pause between writes, so that each is alone.
const PAUSE: Duration = Duration::from_millis(5);

pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<()> {
    let (writer, reader, shared) = setup.pair(["writer", "reader"])?;
    let (mut write, mut read) = (writer.client()?, reader.client()?);
    let mut times = Vec::new();
    for n in 0..WARM + WRITES {
        setup.stop.check()?;
        let value = Value::String(n.to_string());
        let begun = Instant::now();
        write.call(&shared.context, "set", &json!({ "key": "seen", "value": value }))?;
        wait_for("the write to be seen", SEEN, || {
            let seen = read.call(&shared.context, "get", &json!({ "key": "seen" }))?;
            Ok((seen.get("output") == Some(&value)).then_some(()))
        })?;
        if n >= WARM {
            times.push(begun.elapsed());
        }
        std::thread::sleep(PAUSE);
    }
    times.sort();
    let disk = reference::disk(setup.scratch())?;
    let beside = || Some(Reference { what: "fsync".to_owned(), value: disk.sync_ms });
    for (what, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
        report.add(format!("from asking A until B shows it, {what}"), quantile_ms(&times, share), "ms", beside());
    }
    Ok(())
}
