//! Mesto's texts beside those of other libraries, on recorded traces.
//!
//! `cargo run --release [-- [--first EDITS] [TRACE.json[.gz] ...]]` in this folder. For each trace and library: edits a second typed locally,
//! edits a second taken in by somebody else (in the unit in which the library sends them, one for each edit where it can),
//! bytes of memory for each character that the text ends with, and milliseconds to load the text from what the library
//! stores. A table for people, then one line of JSON. All figures are processor time, the best of several runs (of one
//! for what is taken in edit by edit, which takes some libraries long), in one process one after the other; memory is measured in processes of their own.
//! `--first` takes only so many edits of each trace, for a comparison with the libraries that the whole of one takes minutes.

mod peers;
#[path = "../../../crates/crdt/examples/replay/trace.rs"]
#[allow(dead_code, reason = "the replay uses more of it")]
mod trace;

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;

use peers::{ALL, Peer};
use serde_json::{Map, Value, json};
use trace::{Patch, Trace};

const RUNS: usize = 3;
/// Texts side by side of which the memory is measured.
const COPIES: usize = 4;
/// Nothing is run again that has taken so long.
const SECONDS_MAX: f64 = 3.0;
const MEMORY: &str = "--memory";
const FIRST: &str = "--first";
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/crdt/tests/data");
const TRACES: [&str; 2] = ["automerge-paper", "sveltecomponent"];

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The edits of a sequential trace, places in code points.
pub struct Edits {
    start: String,
    patches: Vec<(usize, usize, String)>,
    end: String,
    /// Whether a place is the same in bytes and UTF-16 units, which some libraries count in.
    is_ascii: bool,
}

fn main() -> Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let first = match arguments.first() {
        Some(flag) if flag == FIRST => {
            let first = arguments.get(1).ok_or("--first wants a number of edits")?.parse()?;
            arguments.drain(..2);
            first
        }
        Some(_) | None => usize::MAX,
    };
    if let [flag, peer, path] = arguments.as_slice()
        && flag == MEMORY
    {
        let peer = ALL.iter().find(|known| known.name() == peer).ok_or("no such library")?;
        println!("{}", resident_per_text(*peer, &read(Path::new(path), first)?)?);
        return Ok(());
    }
    let mut paths: Vec<PathBuf> = arguments.iter().map(PathBuf::from).collect();
    if paths.is_empty() {
        paths.extend(TRACES.map(|name| Path::new(DATA).join(format!("{name}.json.gz"))));
    }
    let mut all = Map::new();
    for path in paths {
        let edits = read(&path, first)?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        println!("{name}: {} edits, {} characters at the end", edits.patches.len(), edits.end.chars().count());
        println!("{:<16}{:>14}{:>14}{:>14}{:>12}", "", "local/s", "remote/s", "bytes/char", "load ms");
        let mut rows = Map::new();
        for peer in ALL {
            let row = measure(peer, &edits, &path, first)?;
            let figure = |key: &str| row[key].as_f64().map_or("-".to_owned(), |figure| format!("{figure:.1}"));
            println!(
                "{:<16}{:>14}{:>14}{:>14}{:>12}",
                peer.name(),
                figure("localEditsPerSecond"),
                figure("remoteEditsPerSecond"),
                figure("bytesPerChar"),
                figure("loadMs")
            );
            rows.insert(peer.name().to_owned(), row);
        }
        println!();
        all.insert(name, Value::Object(rows));
    }
    println!("{}", Value::Object(all));
    Ok(())
}

/// The first edits of a trace.
fn read(path: &Path, first: usize) -> Result<Edits> {
    // Kept for good: what is freed would be used again by the texts whose memory is measured.
    let trace: &'static Trace = Box::leak(Box::new(Trace::read(path)?));
    if trace.is_concurrent() {
        return Err("only sequential traces: the libraries order concurrent ones by their own rules".into());
    }
    let patches = trace.txns.iter().flat_map(|txn| &txn.patches);
    let patch = |Patch(at, delete, insert): &Patch| (*at as usize, *delete as usize, insert.clone());
    let patches: Vec<_> = patches.take(first).map(patch).collect();
    let is_ascii = trace.start_content.is_ascii() && patches.iter().all(|(_, _, insert)| insert.is_ascii());
    let all = trace.txns.iter().map(|txn| txn.patches.len()).sum::<usize>();
    let end = if first < all { typed(&trace.start_content, &patches) } else { trace.end_content.clone() };
    Ok(Edits { start: trace.start_content.clone(), patches, end, is_ascii })
}

/// What the edits make of a text, without any library.
fn typed(start: &str, patches: &[(usize, usize, String)]) -> String {
    let mut text: Vec<char> = start.chars().collect();
    for (at, delete, insert) in patches {
        text.splice(*at..*at + *delete, insert.chars());
    }
    text.into_iter().collect()
}

fn measure(peer: &dyn Peer, edits: &Edits, path: &Path, first: usize) -> Result<Value> {
    if !peer.counts_code_points() && !edits.is_ascii {
        return Ok(json!({ "skipped": "the library counts in other units than the trace" }));
    }
    let count = edits.patches.len() as f64;
    if peer.type_through(edits).text() != edits.end {
        return Err(format!("{} does not end in endContent", peer.name()).into());
    }
    let local = best(|| drop(black_box(peer.type_through(edits))))?;
    let remote = match peer.updates(edits) {
        Some(updates) => Some(best_of(1, || updates.apply())?),
        None => None,
    };
    let load = match peer.stored(edits) {
        Some(stored) => Some(best(|| stored.apply())?),
        None => None,
    };
    let output = Command::new(std::env::current_exe()?).args([FIRST, &first.to_string(), MEMORY, peer.name()]).arg(path).output()?;
    let bytes: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
    Ok(json!({
        "localEditsPerSecond": (count / local).round(),
        "remoteEditsPerSecond": remote.map(|seconds| (count / seconds).round()),
        "bytesPerChar": bytes / edits.end.chars().count() as f64,
        "loadMs": load.map(|seconds| seconds * 1e3),
    }))
}

/// The least seconds of processor time that something takes.
fn best(run: impl Fn()) -> Result<f64> {
    best_of(RUNS, run)
}

fn best_of(runs: usize, run: impl Fn()) -> Result<f64> {
    let (mut best, mut used) = (f64::INFINITY, 0.0);
    for _ in 0..runs {
        let start = cpu_seconds()?;
        run();
        let seconds = cpu_seconds()? - start;
        best = best.min(seconds);
        used += seconds;
        if used > SECONDS_MAX {
            break;
        }
    }
    Ok(best)
}

fn cpu_seconds() -> Result<f64> {
    // The kernel brings the figure up to date when the processor is given up.
    std::thread::yield_now();
    let stat = fs::read_to_string("/proc/self/schedstat")?;
    let ns: f64 = stat.split_whitespace().next().ok_or("no time in /proc/self/schedstat")?.parse()?;
    Ok(ns / 1e9)
}

/// By how much the process grows for one text.
fn resident_per_text(peer: &dyn Peer, edits: &Edits) -> Result<f64> {
    // The first ones fill what was freed before.
    let start = cpu_seconds()?;
    let mut first = vec![peer.type_through(edits)];
    let copies = if cpu_seconds()? - start > SECONDS_MAX { 1 } else { COPIES };
    first.extend((1..copies).map(|_| peer.type_through(edits)));
    let before = resident()?;
    let texts: Vec<_> = (0..copies).map(|_| peer.type_through(edits)).collect();
    let after = resident()?;
    black_box((&first, &texts));
    Ok(after.saturating_sub(before) as f64 / copies as f64)
}

fn resident() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS in /proc/self/status")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}
