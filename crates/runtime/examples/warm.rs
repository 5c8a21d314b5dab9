//! What a warm call costs: `cargo run -p mesto-runtime --example warm` (dependencies are optimised in the dev profile).

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use mesto_crdt::{Author, Draft, DraftLimits, Hlc, Kind, MemoryState, Read};
use mesto_governance::{BlobId, ContextId};
use mesto_node::executor::{Call, Executor as _, MethodKind};
use mesto_oplog::PublicKey;
use mesto_runtime::{Runtime, RuntimeConfig, componentize};

const CALLS: u32 = 1_000;
const ROUNDS: u32 = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let toolchain = mesto_guests::ensure_toolchain()?;
    let app = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../apps/kv");
    let wasm = componentize(&mesto_guests::build(&toolchain, &app)?)?;
    let cache = tempfile::tempdir()?;
    let config = || RuntimeConfig { cache_dir: Some(cache.path().to_owned()), ..RuntimeConfig::default() };
    let bundle = BlobId::from_bytes([1; 32]);
    let mut last = None;
    for what in ["compile", "load compiled"] {
        let runtime = Runtime::new(config())?;
        let begin = Instant::now();
        runtime.load(bundle, &wasm)?;
        println!("{what}: {:.2} ms ({} KiB)", begin.elapsed().as_secs_f64() * 1e3, wasm.len() >> 10);
        last = Some(runtime);
    }
    let runtime = last.ok_or("a runtime")?;
    let call = |method: &str, args: &str, kind| Call {
        context: ContextId::from_bytes([2; 32]),
        bundle,
        method: method.to_owned(),
        args: args.as_bytes().to_vec(),
        kind,
        caller: PublicKey::from_bytes([3; 32]),
        stamp: Hlc::ZERO,
        seed: [4; 32],
    };
    let state = Arc::new(MemoryState::new());
    let calls = [
        ("len (empty call)", call("len", "{}", MethodKind::View)),
        ("get", call("get", r#"{"key":"some key"}"#, MethodKind::View)),
        (
            "set",
            call(
                "set",
                r#"{"key":"some key","value":"sixty-four bytes of a value, as the benchmarks of others have it"}"#,
                MethodKind::Mutate,
            ),
        ),
    ];
    for (name, call) in calls {
        let used = cost(|| runtime.execute(&call, Arc::<MemoryState>::clone(&state)).map(drop))?;
        println!("{name}: {used}");
    }
    let draft = cost(|| {
        let read: Arc<dyn Read + Send + Sync> = Arc::<MemoryState>::clone(&state);
        let mut draft = Draft::new(read, Author([3; 32]), DraftLimits::default());
        let items = draft.open_root("items", Kind::Map)?;
        draft.map_insert(items, b"some key", vec![0; 66])?;
        draft.finish().map(drop)
    })?;
    println!("beside it, the draft of set alone: {draft}");
    Ok(())
}

/// The least cost of a step over some rounds.
fn cost<E>(mut step: impl FnMut() -> Result<(), E>) -> Result<String, E> {
    let (mut wall, mut cpu) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        let (begin, cpu_begin) = (Instant::now(), cpu_ns());
        for _ in 0..CALLS {
            step()?;
        }
        wall = wall.min(begin.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS));
        let used = cpu_ns().saturating_sub(cpu_begin);
        cpu = cpu.min(used as f64 / 1e3 / f64::from(CALLS));
    }
    Ok(format!("{wall:.1} us, of them {cpu:.1} us of CPU"))
}

/// What this thread has used of a processor, in nanoseconds; 0 where the system does not say. On a busy machine it
/// tells more than the clock.
fn cpu_ns() -> u64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    statistics.split(' ').next().and_then(|used| used.parse().ok()).unwrap_or_default()
}
