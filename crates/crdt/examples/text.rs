//! What texts cost: `cargo run --release -p mesto-crdt --example text [TRACE.json[.gz] ...]`.
//!
//! Prints one line of JSON for each trace. Sequential ones, one delta an edit: edits a second typed locally and taken in
//! one by one, characters a second loaded from the leaves, bytes of memory for each character that the text ends with,
//! and microseconds of a keystroke in the middle of it through a draft and a commit, beside those of setting a key. Concurrent ones: edits a second
//! taken in by somebody who listens. Each figure is the best of several runs, in processor time.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "measures time, which the crate itself must not"
)]

#[path = "replay/trace.rs"]
mod trace;

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use mesto_crdt::sequence::{Deleted, Sequence, SequenceError};
use mesto_crdt::{
    Author, CollectionId, Delta, Draft, DraftError, DraftLimits, Hlc, Kind, MemoryState, Op, Sequences, Transaction,
    TreeCache, Unit, WithSequences,
};
use serde_json::{Value, json};
use trace::{Patch, Step, Trace, draft, mint};

const RUNS: usize = 7;
/// Texts side by side of which the memory is measured, so that pages of the allocator do not count.
const COPIES: usize = 8;
const CALLS: usize = 2_000;
const VALUE_BYTES: usize = 64;
const AUTHOR: Author = Author([1; 32]);
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");
const TRACES: [&str; 3] = ["automerge-paper", "sveltecomponent", "friendsforever"];

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How this program asks itself for the memory of one trace: in a process of its own, where nothing was freed before.
const MEMORY: &str = "--memory";

fn main() -> Result<()> {
    if let Some(path) = std::env::args_os().nth(2).filter(|_| std::env::args_os().nth(1).is_some_and(|it| it == MEMORY))
    {
        println!("{}", resident_per_text(&Trace::read(Path::new(&path))?)?);
        return Ok(());
    }
    let mut paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if paths.is_empty() {
        paths.extend(TRACES.map(|name| Path::new(DATA).join(format!("{name}.json.gz"))));
    }
    for path in paths {
        let trace = Trace::read(&path)?;
        let figures = if trace.is_concurrent() { concurrent(&trace)? } else { sequential(&trace, &path)? };
        println!("{}", json!({ "trace": path.file_name().map(|name| name.to_string_lossy()), "figures": figures }));
    }
    Ok(())
}

fn sequential(trace: &Trace, path: &Path) -> Result<Value> {
    let edits = trace.edits() as f64;
    let text = trace.type_through()?;
    if text.text() != trace.end_content {
        return Err("the trace does not end in its endContent".into());
    }
    let chars = text.len(Unit::CodePoint) as f64;
    let local = best(|| trace.type_through().map(drop))?;
    let steps = steps_of(trace)?;
    let remote = best(|| apply(&steps).map(drop))?;
    let context = Context::of(&steps);
    let collection = context.collection;
    let load = best(|| Sequence::load(&context.state.read, collection).map(drop))?;
    let elements = f64::from(text.elements());
    let (keystroke, set) = calls(context)?;
    Ok(json!({
        "chars": chars,
        "elements": elements,
        "edits": edits,
        "localEditsPerSecond": (edits / local).round(),
        "remoteEditsPerSecond": (edits / remote).round(),
        "loadCharsPerSecond": (elements / load).round(),
        "loadMs": load * 1e3,
        "bytesPerChar": memory_of(path)? / chars,
        "accountedBytesPerChar": text.memory_bytes() as f64 / chars,
        "keystrokeUs": keystroke,
        "mapSetUs": set,
    }))
}

/// The deltas of a sequential trace, one for each edit, the first with what the text begins with.
fn steps_of(trace: &Trace) -> Result<Vec<Step>> {
    let mut text = Sequence::new(Kind::Text);
    let start = Patch(0, 0, trace.start_content.clone());
    let patches = trace.txns.iter().flat_map(|txn| &txn.patches);
    let mut steps = Vec::new();
    for (number, patch) in std::iter::once(&start).chain(patches).enumerate() {
        let step = draft(&text, mint(number), std::slice::from_ref(patch))?;
        step.apply(&mut text)?;
        steps.push(step);
    }
    Ok(steps)
}

fn concurrent(trace: &Trace) -> Result<Value> {
    let (steps, text) = trace.merge()?;
    if text.text() != trace.end_content {
        return Err("the trace does not end in its endContent".into());
    }
    let listened = apply(&steps)?;
    if listened.text() != trace.end_content {
        return Err("who listens does not end in endContent".into());
    }
    let edits = trace.edits() as f64;
    let listen = best(|| apply(&steps).map(drop))?;
    let live = best(|| trace.merge().map(drop))?;
    Ok(json!({
        "chars": text.len(Unit::CodePoint),
        "edits": edits,
        "listenerEditsPerSecond": (edits / listen).round(),
        "livedEditsPerSecond": (edits / live).round(),
    }))
}

/// Takes deltas in, in order.
fn apply(steps: &[Step]) -> std::result::Result<Sequence, SequenceError> {
    let mut text = Sequence::new(Kind::Text);
    steps.iter().try_for_each(|step| step.apply(&mut text))?;
    Ok(text)
}

/// Seconds of processor time of this process, which other programs' load does not stretch.
fn cpu_seconds() -> Result<f64> {
    // The kernel brings the figure up to date when the processor is given up.
    std::thread::yield_now();
    let stat = fs::read_to_string("/proc/self/schedstat")?;
    let ns: f64 = stat.split_whitespace().next().ok_or("no time in /proc/self/schedstat")?.parse()?;
    Ok(ns / 1e9)
}

/// The least seconds of processor time that something takes.
fn best<E>(run: impl Fn() -> std::result::Result<(), E>) -> Result<f64>
where
    Box<dyn Error>: From<E>,
{
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let start = cpu_seconds()?;
        black_box(run()?);
        best = best.min(cpu_seconds()? - start);
    }
    Ok(best)
}

fn memory_of(path: &Path) -> Result<f64> {
    let output = Command::new(std::env::current_exe()?).arg(MEMORY).arg(path).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// By how much the process grows for one text.
fn resident_per_text(trace: &Trace) -> Result<f64> {
    let some = || (0..COPIES).map(|_| trace.type_through()).collect::<std::result::Result<Vec<_>, _>>();
    // The first ones fill what was freed before.
    let first = some()?;
    let before = resident()?;
    let texts = some()?;
    let after = resident()?;
    black_box((&first, &texts));
    Ok(after.saturating_sub(before) as f64 / COPIES as f64)
}

fn resident() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS in /proc/self/status")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}

/// A context that holds one text.
struct Context {
    state: WithSequences<MemoryState>,
    cache: TreeCache,
    collection: CollectionId,
    last: Hlc,
}

impl Context {
    fn of(steps: &[Step]) -> Self {
        let collection = CollectionId::ROOT.child(Kind::Text, b"text");
        let state = WithSequences { read: MemoryState::new(), sequences: Sequences::new() };
        let mut context = Self { state, cache: TreeCache::new(), collection, last: Hlc::ZERO };
        for steps in steps.chunks(4096) {
            let mut transaction = Transaction::new(&context.state, &mut context.cache);
            for step in steps {
                let (inserted, deleted) = (step.inserted.clone(), step.deleted.clone());
                if inserted.is_empty() && matches!(&deleted, Deleted::Some(of) if of.is_empty()) {
                    continue;
                }
                let ops = [Op::Splice { collection, inserted, deleted }];
                let delta = Delta { id: step.mint.delta, author: AUTHOR, stamp: step.mint.stamp, ops: &ops };
                transaction.apply(&delta, &|_| true).expect("applies");
                context.last = step.mint.stamp;
            }
            let commit = transaction.finish().expect("sound");
            context.state.read.apply_writes(&commit.writes);
        }
        context
    }

    /// One call that types one character.
    fn type_one(&mut self, number: usize, at: u64) -> Result<()> {
        self.call(number, |draft| {
            let text = draft.open_root("text", Kind::Text)?;
            draft.text_insert(text, Unit::CodePoint, at, "x")
        })
    }

    /// One call that sets a key, to compare.
    fn set_one(&mut self, number: usize) -> Result<()> {
        self.call(number, |draft| {
            let map = draft.open_root("map", Kind::Map)?;
            draft.map_insert(map, &number.to_be_bytes(), vec![7; VALUE_BYTES])
        })
    }

    fn call(
        &mut self,
        number: usize,
        run: impl FnOnce(&mut Draft<&WithSequences<MemoryState>>) -> std::result::Result<(), DraftError>,
    ) -> Result<()> {
        let mut draft = Draft::new(&self.state, AUTHOR, DraftLimits::default());
        run(&mut draft)?;
        let ops = draft.finish()?;
        let mint = mint(number);
        let delta = Delta { id: mint.delta, author: AUTHOR, stamp: mint.stamp, ops: &ops };
        let mut transaction = Transaction::new(&self.state, &mut self.cache);
        transaction.apply(&delta, &|_| true)?;
        let commit = transaction.finish()?;
        self.state.read.apply_writes(&commit.writes);
        self.state.sequences = commit.sequences;
        Ok(())
    }
}

/// The medians of microseconds that a keystroke takes, and that setting a key takes in the same state.
fn calls(mut context: Context) -> Result<(f64, f64)> {
    let first = (context.last.ms() / 1_000) as usize + 1;
    let middle = Sequence::load(&context.state.read, context.collection)?.len(Unit::CodePoint) / 2;
    let (mut strokes, mut sets) = (Vec::new(), Vec::new());
    for call in 0..CALLS {
        let start = Instant::now();
        context.type_one(first + 2 * call, middle + call as u64)?;
        strokes.push(start.elapsed().as_secs_f64() * 1e6);
        let start = Instant::now();
        context.set_one(first + 2 * call + 1)?;
        sets.push(start.elapsed().as_secs_f64() * 1e6);
    }
    strokes.sort_unstable_by(f64::total_cmp);
    sets.sort_unstable_by(f64::total_cmp);
    Ok((strokes[CALLS / 2], sets[CALLS / 2]))
}
