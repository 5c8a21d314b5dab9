//! What an operator may set.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use mesto_governance::BlobId;

/// The bounds of a call. A call that exceeds one is answered with
/// [`CallError::Limit`](mesto_node::executor::CallError::Limit), which names the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory, in bytes. What desktop apps of this kind hold in a document, and small enough that some
    /// hundred concurrent calls fit an ordinary machine.
    pub memory_bytes: usize,
    /// Elements of a table: functions that can be called indirectly. JavaScript engines have some ten thousand.
    pub table_elements: usize,
    /// Wall time, in milliseconds. Long for a machine, short for a person who waits.
    pub wall_ms: u64,
    /// Fuel, about one unit an instruction. If given, it bounds calls *instead of* wall time: then even reaching the bound
    /// is deterministic. It slows guests down by a sixth.
    pub fuel: Option<u64>,
    /// The stack of a guest, in bytes. It is part of the calling thread's stack, of which Rust gives 2 MiB.
    pub stack_bytes: usize,
    /// How often it may call the host.
    pub host_calls: u64,
    /// A key, in bytes.
    pub key_bytes: usize,
    /// A value, in bytes.
    pub value_bytes: usize,
    /// All changes of a call together, in bytes: the longest delta.
    pub delta_bytes: usize,
    /// Events.
    pub events: usize,
    /// An event's name, payload and handler together, in bytes.
    pub event_bytes: usize,
    /// Messages that leave no trace. Few, as members listen to an author no faster than some dozen a second.
    pub sayings: usize,
    /// Lines to the log.
    pub logs: usize,
    /// A line to the log, in bytes.
    pub log_bytes: usize,
    /// Random bytes.
    pub random_bytes: usize,
    /// The arguments, in bytes.
    pub args_bytes: usize,
    /// The result, or the app's own error, in bytes.
    pub result_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            table_elements: 100_000,
            wall_ms: 5_000,
            fuel: None,
            stack_bytes: 512 << 10,
            host_calls: 1_000_000,
            key_bytes: 1 << 10,
            value_bytes: 10 << 20,
            delta_bytes: 16 << 20,
            events: 100,
            event_bytes: 16 << 10,
            sayings: 16,
            logs: 1_024,
            log_bytes: 16 << 10,
            random_bytes: 1 << 20,
            args_bytes: 16 << 20,
            result_bytes: 10 << 20,
        }
    }
}

/// Where the runtime gets the component of a bundle that it does not hold, or holds no more.
pub trait WasmSource: Send + Sync {
    /// The component of `bundle`; `None` if it is not here.
    fn wasm(&self, bundle: &BlobId) -> Option<Vec<u8>>;
}

/// How a [`Runtime`](crate::Runtime) works.
#[derive(Clone)]
pub struct RuntimeConfig {
    /// The bounds of a call.
    pub limits: Limits,
    /// Where compiled code is kept, if anywhere. The folder is made for its owner alone: code in it is run.
    pub cache_dir: Option<PathBuf>,
    /// How many apps are held in memory; beyond, the one that was longest unused goes. Each costs half a megabyte.
    pub loaded_apps: usize,
    /// How many calls run at once; further ones wait. Each reserves address space (4 GiB), and memory as it uses it.
    pub concurrent_calls: u32,
    /// Where components come from that were not loaded, or have gone. Without it such calls are
    /// [`NotLoaded`](mesto_node::executor::CallError::NotLoaded).
    pub source: Option<Arc<dyn WasmSource>>,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self { limits: Limits::default(), cache_dir: None, loaded_apps: 64, concurrent_calls: 32, source: None }
    }
}

impl fmt::Debug for RuntimeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeConfig")
            .field("limits", &self.limits)
            .field("cache_dir", &self.cache_dir)
            .field("loaded_apps", &self.loaded_apps)
            .field("concurrent_calls", &self.concurrent_calls)
            .finish_non_exhaustive()
    }
}
