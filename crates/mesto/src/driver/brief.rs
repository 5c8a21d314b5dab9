//! Calls that are over in a moment run where they arise, so that they cost no hand-over to another thread and back.
//!
//! A small call takes some ten microseconds of a guest's time, and waking a thread for it as much again. So each is
//! first tried in place, with a deadline of some milliseconds. One that meets the deadline leaves nothing behind and
//! is run anew on a thread of its own; its method is not tried again for a while. That is sound because a call is a
//! function of its arguments: see [`mesto_node::executor`].

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mesto_governance::BlobId;
use mesto_node::{Call, CallError, ContextState, Outcome};
use mesto_runtime::Runtime;

/// A call that takes longer is no moment's work: beyond this, what it holds up costs more than handing it over.
const MOMENT: Duration = Duration::from_millis(1);
/// Calls of a method in a row that took longer, after which it counts as slow. A busy machine takes the processor away
/// now and then, also from the quickest.
const STRIKES: u32 = 3;
/// How long a slow method is not tried in place.
const SLOW_FOR: Duration = Duration::from_secs(10);
/// Methods that are remembered; those of some hundred apps.
const METHODS_MAX: usize = 4096;

/// Runs calls in place, those whose methods are quick.
pub(super) struct Brief {
    runtime: Arc<Runtime>,
    /// Methods whose last call took longer than a moment.
    slow: Mutex<HashMap<(BlobId, String), Slow>>,
    /// Methods that took longer than a moment because they read a text or list that was not in memory: a deadline cannot
    /// end that. While nothing of a context is in memory, they are not tried in place.
    loading: Mutex<HashSet<(BlobId, String)>>,
}

#[derive(Clone, Copy)]
struct Slow {
    strikes: u32,
    since: Instant,
}

impl Brief {
    pub(super) fn new(runtime: Arc<Runtime>) -> Self {
        Self { runtime, slow: Mutex::default(), loading: Mutex::default() }
    }

    /// Runs a call, unless it would take longer than a moment.
    pub(super) fn run(&self, call: &Call, state: ContextState) -> Option<Result<Outcome, CallError>> {
        let method = (call.bundle, call.method.clone());
        let sequences = state.loaded().clone();
        let is_cold = sequences.is_empty();
        if is_cold && self.loading().contains(&method) {
            return None;
        }
        let begun = Instant::now();
        let before = self.lock().get(&method).copied();
        if before.is_some_and(|slow| slow.strikes >= STRIKES && begun.duration_since(slow.since) < SLOW_FOR) {
            return None;
        }
        let result = self.runtime.execute_briefly(call, Arc::new(state));
        let is_late = result.is_none() || begun.elapsed() > MOMENT;
        if is_late && is_cold && !sequences.is_empty() {
            self.note_loading(method);
        } else if is_late {
            self.strike(method);
        } else if before.is_some() {
            self.lock().remove(&method);
        }
        result
    }

    fn strike(&self, method: (BlobId, String)) {
        let mut slow = self.lock();
        if slow.len() >= METHODS_MAX && !slow.contains_key(&method) {
            slow.clear();
        }
        let known = slow.entry(method).or_insert(Slow { strikes: 0, since: Instant::now() });
        *known = Slow { strikes: known.strikes.saturating_add(1), since: Instant::now() };
    }

    fn note_loading(&self, method: (BlobId, String)) {
        let mut loading = self.loading();
        if loading.len() >= METHODS_MAX {
            loading.clear();
        }
        loading.insert(method);
    }

    fn loading(&self) -> std::sync::MutexGuard<'_, HashSet<(BlobId, String)>> {
        self.loading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(BlobId, String), Slow>> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
