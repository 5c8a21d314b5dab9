//! What one call sees of the node, and what it has done so far.

mod collections;
mod private;
mod surroundings;

use std::sync::Arc;

use mesto_crdt::{Author, Draft, DraftError, DraftLimits, Private, Read};
use mesto_node::executor::{Call, CallError, Event, Outcome, Saying};
use wasmtime::ResourceLimiter;

use crate::config::Limits;

/// The state that a call works on.
pub(crate) type State = Arc<dyn Read + Send + Sync>;

/// Longest text of a panic that is passed on, in bytes: some screens.
const PANIC_BYTES_MAX: usize = 4 << 10;
/// The context string under which a call's seed becomes its random numbers.
const RANDOM_CONTEXT: &str = "mesto 2026 call randomness v1";

/// The store's data of one call.
pub(crate) struct Host {
    limits: Arc<Limits>,
    draft: Draft<State>,
    draft_limits: DraftLimits,
    state: State,
    private: Private,
    surroundings: Surroundings,
    /// The method, if it cannot write.
    view: Option<String>,
    host_calls: u64,
    events: Vec<Event>,
    sayings: Vec<Saying>,
    logs: Vec<String>,
    /// Why we stopped the guest.
    stopped: Option<CallError>,
    /// What the guest said before it stopped itself.
    panicked: Option<String>,
}

struct Surroundings {
    caller: [u8; 32],
    context: [u8; 32],
    now: u64,
    random: blake3::OutputReader,
    random_drawn: usize,
}

impl Host {
    /// The host of a call. `view` if it cannot write, whatever the call says.
    pub(crate) fn new(limits: Arc<Limits>, call: &Call, view: bool, state: State) -> Self {
        let draft_limits = DraftLimits {
            key_bytes_max: limits.key_bytes,
            value_bytes_max: limits.value_bytes,
            ops_bytes_max: limits.delta_bytes,
        };
        let mut seed = blake3::Hasher::new_derive_key(RANDOM_CONTEXT);
        seed.update(&call.seed);
        Self {
            limits,
            draft: Draft::new(State::clone(&state), Author(*call.caller.as_bytes()), draft_limits),
            draft_limits,
            state,
            private: Private::new(),
            surroundings: Surroundings {
                caller: *call.caller.as_bytes(),
                context: *call.context.as_bytes(),
                now: call.stamp.bits(),
                random: seed.finalize_xof(),
                random_drawn: 0,
            },
            view: view.then(|| call.method.clone()),
            host_calls: 0,
            events: Vec::new(),
            sayings: Vec::new(),
            logs: Vec::new(),
            stopped: None,
            panicked: None,
        }
    }

    /// What the call did, if its result is `output`.
    pub(crate) fn finish(self, output: String) -> Result<Outcome, CallError> {
        let max = self.limits.delta_bytes;
        let ops = self.draft.finish().map_err(|error| refusal(&error, max))?;
        Ok(Outcome {
            output: output.into_bytes(),
            ops,
            events: self.events,
            sayings: self.sayings,
            private: self.private.finish(),
            logs: self.logs,
        })
    }

    /// Why the guest did not come back, if that was us.
    pub(crate) fn take_stopped(&mut self) -> Option<CallError> {
        self.stopped.take()
    }

    /// What the guest said before it stopped itself.
    pub(crate) fn take_panic(&mut self) -> Option<String> {
        self.panicked.take()
    }

    /// What it logged.
    pub(crate) fn logs(&self) -> &[String] {
        &self.logs
    }

    /// Counts a call of the host.
    fn enter(&mut self) -> wasmtime::Result<()> {
        self.host_calls += 1;
        if self.host_calls > self.limits.host_calls {
            let max = self.limits.host_calls;
            return Err(self.limit("host_calls", max, "calls"));
        }
        Ok(())
    }

    /// Counts a call of the host that only a mutating method may make.
    fn enter_to_write(&mut self) -> wasmtime::Result<()> {
        self.enter()?;
        match &self.view {
            None => Ok(()),
            Some(method) => {
                let error = CallError::ViewWrites(method.clone());
                Err(self.stop(error))
            }
        }
    }

    /// Demands `used <= max`.
    fn within(&mut self, limit: &str, used: usize, max: usize, unit: &str) -> wasmtime::Result<()> {
        if used > max { Err(self.limit(limit, max, unit)) } else { Ok(()) }
    }

    fn limit(&mut self, limit: &str, max: impl std::fmt::Display, unit: &str) -> wasmtime::Error {
        self.stop(limit_error(limit, max, unit))
    }

    /// The trap that ends the guest. The first reason counts.
    fn stop(&mut self, error: CallError) -> wasmtime::Error {
        self.stopped.get_or_insert(error);
        wasmtime::Error::msg("stopped by the node")
    }

    /// Passes a step of the draft on, or ends the guest.
    fn step<T>(&mut self, result: Result<T, DraftError>) -> wasmtime::Result<T> {
        result.map_err(|error| {
            let error = refusal(&error, self.limits.delta_bytes);
            self.stop(error)
        })
    }
}

impl ResourceLimiter for Host {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.within("memory_bytes", desired, self.limits.memory_bytes, "bytes").map(|()| true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.within("table_elements", desired, self.limits.table_elements, "elements").map(|()| true)
    }
}

pub(crate) fn limit_error(limit: &str, max: impl std::fmt::Display, unit: &str) -> CallError {
    CallError::Limit { limit: limit.to_owned(), max: format!("{max} {unit}") }
}

/// `text`, cut to `max` bytes at a character.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or(text)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "whatever is no limit is a trap, with the draft's own words")]
fn refusal(error: &DraftError, delta_bytes: usize) -> CallError {
    match error {
        DraftError::KeyTooLong { max, .. } => limit_error("key_bytes", max, "bytes"),
        DraftError::ValueTooLarge { max, .. } => limit_error("value_bytes", max, "bytes"),
        DraftError::DeltaTooLarge { max } => limit_error("delta_bytes", delta_bytes.min(*max), "bytes"),
        DraftError::TooManyHandles { max } => limit_error("collections", max, "collections"),
        DraftError::TooDeep { max } => limit_error("nesting", max, "levels"),
        // The guest used a collection as what it is not, or the store is damaged: both end the call with the text.
        other => CallError::Trap(other.to_string()),
    }
}
