//! What figures are compared with, measured in the same minute.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::load::quantile_ms;

/// Bytes that are made durable at once: a page of the file system.
const PAGE_LEN: usize = 4096;

/// What the disk can do.
pub(crate) struct Disk {
    /// Pages made durable one after the other, a second.
    pub(crate) syncs_per_second: f64,
    /// The median time for one, in milliseconds.
    pub(crate) sync_ms: f64,
}

/// Appends pages to a file in `folder` for a second, each made durable before the next.
pub(crate) fn disk(folder: &Path) -> Result<Disk> {
    let path = folder.join("fsync");
    let mut file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut times = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        let one = Instant::now();
        file.write_all(&[0; PAGE_LEN])?;
        file.sync_data()?;
        times.push(one.elapsed());
    }
    let syncs_per_second = times.len() as f64 / begun.elapsed().as_secs_f64();
    times.sort();
    std::fs::remove_file(&path)?;
    Ok(Disk { syncs_per_second, sync_ms: quantile_ms(&times, 0.5) })
}

/// Durable commits a second of the program's store alone, with batches like those of a small call. `None`, with a note,
/// where the program gives no such figure.
pub(crate) fn store(mesto: &Path, folder: &Path, submitters: usize) -> Result<Option<f64>> {
    let home = folder.join(format!("store-{submitters}"));
    let folder = home.display().to_string();
    let answer = alone(mesto, &["bench-store", &folder, "--seconds", "3", "--submitters", &submitters.to_string()])?;
    Ok(answer.and_then(|answer| answer.get("commitsPerSecond")?.as_f64()))
}

/// What one core signs and verifies in a second, in entries of a small call.
pub(crate) struct Signatures {
    pub(crate) signed_per_second: f64,
    pub(crate) verified_per_second: f64,
}

/// The floor beneath calls and their spreading. `None`, with a note, where the program gives no such figure.
pub(crate) fn signatures(mesto: &Path) -> Result<Option<Signatures>> {
    let answer = alone(mesto, &["bench-signatures"])?;
    let of = |key: &str| answer.as_ref().and_then(|answer| answer.get(key)).and_then(Value::as_f64);
    Ok(of("signedPerSecond")
        .zip(of("verifiedPerSecond"))
        .map(|(signed_per_second, verified_per_second)| Signatures { signed_per_second, verified_per_second }))
}

/// What a part of the program tells of itself.
fn alone(mesto: &Path, arguments: &[&str]) -> Result<Option<Value>> {
    let output = Command::new(mesto).arg("--json").args(arguments).output().context("cannot run mesto")?;
    let answer: Option<Value> = serde_json::from_slice(&output.stdout).ok();
    if answer.is_none() {
        let said = String::from_utf8_lossy(&output.stderr);
        eprintln!("xtask: no figure of {}: {}", arguments.join(" "), said.lines().next().unwrap_or("no output"));
    }
    Ok(answer)
}
