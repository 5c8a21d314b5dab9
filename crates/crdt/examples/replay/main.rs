//! Replays a recorded trace: `cargo run -p mesto-crdt --example replay -- TRACE.json[.gz]`.
//!
//! Prints one line of JSON: whether the text ended as the trace says, how long it is, and how many edits were made a
//! second. A sequential trace is typed, one delta an edit; a concurrent one is lived through along its graph, each
//! transaction drafted on the merge of its parents and taken in by the others.

mod trace;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use mesto_crdt::Unit;
use trace::Trace;

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: replay TRACE.json[.gz]");
        return ExitCode::from(2);
    };
    match replay(&path) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("replay: {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

fn replay(path: &std::path::Path) -> Result<bool, Box<dyn std::error::Error>> {
    let trace = Trace::read(path)?;
    let start = Instant::now();
    let text = if trace.is_concurrent() { trace.merge()?.1 } else { trace.type_through()? };
    let seconds = start.elapsed().as_secs_f64();
    let ok = text.text() == trace.end_content;
    let per_second = (trace.edits() as f64 / seconds).round();
    let chars = text.len(Unit::CodePoint);
    println!("{}", serde_json::json!({ "ok": ok, "chars": chars, "editsPerSecond": per_second }));
    Ok(ok)
}
