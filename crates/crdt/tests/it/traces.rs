//! Recorded traces end as they ended when they were recorded.

#[path = "../../examples/replay/trace.rs"]
mod trace;

use std::path::Path;

use mesto_crdt::sequence::Sequence;
use mesto_crdt::{Kind, Unit};
use trace::Trace;

fn read(name: &str) -> Trace {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    Trace::read(&path).expect("the trace is in the repository")
}

#[test]
fn sequential_traces_end_in_their_content() {
    for name in ["automerge-paper.json.gz", "sveltecomponent.json.gz"] {
        let trace = read(name);
        assert!(!trace.is_concurrent() && trace.edits() > 10_000);
        let text = trace.type_through().expect("in range");
        text.check();
        assert!(text.text() == trace.end_content, "{name}");
        assert_eq!(text.len(Unit::Utf16), trace.end_content.encode_utf16().count() as u64);
    }
}

#[test]
fn a_concurrent_trace_ends_in_its_content_however_it_is_merged() {
    let trace = read("friendsforever.json.gz");
    assert!(trace.is_concurrent());
    let (steps, text) = trace.merge().expect("causal");
    text.check();
    assert!(text.text() == trace.end_content);
    let mut listener = Sequence::new(Kind::Text);
    steps.iter().for_each(|step| step.apply(&mut listener).expect("causal"));
    listener.check();
    assert!(listener.text() == trace.end_content);
}

#[test]
fn traces_may_be_graphs_with_branches_that_are_never_merged() {
    let json = r#"{"kind": "concurrent", "startContent": "ab", "endContent": "aXYbZ", "txns": [
        {"parents": [], "agent": 0, "patches": [[1, 0, "X"]]},
        {"parents": [0], "agent": 0, "patches": [[2, 0, "Y", "2023-11-22T04:51:00+00:00"]]},
        {"parents": [], "agent": 1, "patches": [[2, 0, "Z"], [0, 0, "_"], [0, 1, ""]]}
    ]}"#;
    let trace: Trace = serde_json::from_str(json).expect("a trace");
    assert_eq!(trace.merge().expect("causal").1.text(), trace.end_content);
}
