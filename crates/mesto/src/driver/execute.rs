//! The threads on which guests run.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use mesto_node::{Call, CallError, ContextState, Executor, Input, Outcome};

use super::core::{Signal, Signals};

/// Jobs that wait for a thread: views beyond this are refused, calls are bounded by the node itself.
pub(super) const VIEWS_WAITING_MAX: usize = 4096;

/// Something to run.
pub(super) enum Job {
    /// A call that may change the state; its end is an input of the node.
    Mutate {
        /// Names it.
        execution: u64,
        /// What.
        call: Call,
        /// Over what.
        state: ContextState,
    },
    /// A view of what is durable.
    View {
        /// What.
        call: Call,
        /// Over what.
        state: ContextState,
        /// Who waits.
        reply: tokio::sync::oneshot::Sender<Result<Outcome, CallError>>,
    },
}

/// Hands jobs to the threads.
#[derive(Clone)]
pub(super) struct Jobs {
    mutations: Sender<Job>,
    views: Sender<Job>,
}

impl Jobs {
    pub(super) fn send(&self, job: Job) {
        // The threads end only with the node; then nobody waits for the outcome.
        let _ = self.mutations.send(job);
    }

    /// Queues a view; false if too many wait.
    pub(super) fn view(&self, job: Job) -> bool {
        self.views.try_send(job).is_ok()
    }
}

/// Starts the threads; they end when the last [`Jobs`] is dropped.
pub(super) fn start(executor: Arc<dyn Executor>, signals: Signals) -> std::io::Result<Jobs> {
    let (mutations, mutation_jobs) = crossbeam_channel::unbounded();
    let (views, view_jobs) = crossbeam_channel::bounded(VIEWS_WAITING_MAX);
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).max(2);
    for n in 0..threads {
        // Slow views must not starve calls, nor slow calls views: each has threads of its own.
        for (name, jobs) in [("call", &mutation_jobs), ("view", &view_jobs)] {
            let (executor, jobs, signals) = (Arc::clone(&executor), Receiver::clone(jobs), signals.clone());
            std::thread::Builder::new()
                .name(format!("mesto-{name}-{n}"))
                .spawn(move || jobs.iter().for_each(|job| run(&*executor, job, &signals)))?;
        }
    }
    Ok(Jobs { mutations, views })
}

fn run(executor: &dyn Executor, job: Job, signals: &Signals) {
    match job {
        Job::Mutate { execution, call, state } => {
            let result = executor.execute(&call, Arc::new(state));
            let input = Input::Executed { context: call.context, execution, result };
            // The core is gone only when the node stops.
            let _ = signals.send(Signal::Input(input));
        }
        Job::View { call, state, reply } => {
            // Who no longer waits needs no answer.
            let _ = reply.send(executor.execute(&call, Arc::new(state)));
        }
    }
}
