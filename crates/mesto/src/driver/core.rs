//! The thread that steps the node.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use mesto_node::store::{Batch, CommitError, Snapshot};
use mesto_node::{
    CommandError, Effect, Entropy, Input, MachineId, MethodKind, Node, Notice, Reply, Step, Ticket, Time,
};

use super::brief::Brief;
use super::execute::{Job, Jobs};
use super::handle::Shared;
use super::metrics::Metrics;
use super::outbound::{Outbound, Outgoing};
use crate::disk::{CommitObserver, Submitter};

/// Inputs that are taken before time is looked at again: bounds how late a timer can be.
const INPUTS_AT_ONCE: usize = 256;
/// Batches that are handed to the committer at once. Calls that come together share one commit, and with it one round
/// of waking threads here and at every member; more than this many gain little by it and would wait too long.
const BATCHES_AT_ONCE: usize = 64;
/// Longest sleep, so that a clock that was set is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// What reaches the core thread.
pub(super) enum Signal {
    /// An input of the node.
    Input(Input),
    /// A command, and who waits for its reply.
    Command(mesto_node::Command, tokio::sync::oneshot::Sender<Result<Reply, CommandError>>),
    /// Batches are durable, by token and number.
    Durable(Vec<(u64, u64)>, Arc<dyn Snapshot>),
    /// The store failed.
    Failed(CommitError),
    /// The node is to stop.
    Stop,
}

pub(super) type Signals = Sender<Signal>;

/// Tells the core what is durable.
pub(super) struct Durability {
    signals: Signals,
}

impl Durability {
    pub(super) fn new(signals: Signals) -> Self {
        Self { signals }
    }
}

impl CommitObserver for Durability {
    fn durable(&mut self, batches: Vec<(u64, u64)>, snapshot: Arc<dyn Snapshot>) {
        // The core is gone only when the node stops; then nobody waits for this.
        let _ = self.signals.send(Signal::Durable(batches, snapshot));
    }

    fn failed(&mut self, error: CommitError) {
        let _ = self.signals.send(Signal::Failed(error));
    }
}

pub(super) struct Core {
    pub(super) node: Node,
    pub(super) entropy: Entropy,
    pub(super) snapshot: Arc<dyn Snapshot>,
    pub(super) inbox: Receiver<Signal>,
    pub(super) submitter: Submitter,
    pub(super) executors: Jobs,
    pub(super) brief: Arc<Brief>,
    pub(super) outbound: Outbound,
    pub(super) shared: Arc<Shared>,
    pub(super) metrics: Arc<Metrics>,
}

/// What the core thread keeps beside the node.
#[derive(Default)]
struct Desk {
    waiting: BTreeMap<Ticket, tokio::sync::oneshot::Sender<Result<Reply, CommandError>>>,
    last_ticket: Ticket,
    machines: BTreeMap<MachineId, u64>,
    by_token: Vec<MachineId>,
    wake_at_ms: Option<u64>,
    /// The time at the end of the last burst.
    seen_ms: u64,
    /// Calls that were run in place, in the order in which they ended.
    ended: VecDeque<Input>,
    /// What subscribers are to be told at the end of the step.
    notices: Vec<Notice>,
    /// Batches that the committer was not handed yet.
    batches: Vec<(u64, u64, Batch)>,
}

impl Core {
    /// Steps the node until it is to stop or the store fails.
    pub(super) fn run(mut self, first: Step) {
        let mut desk = Desk::default();
        self.carry_out(&mut desk, first);
        loop {
            let patience = if desk.ended.is_empty() { sleep(desk.wake_at_ms) } else { Duration::ZERO };
            if !self.hand_over(&mut desk) {
                return;
            }
            let signal = match self.inbox.recv_timeout(patience) {
                Ok(signal) => Some(signal),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if !self.burst(&mut desk, signal) {
                // What was written so far is kept, although nobody is told any more; a store that is gone takes nothing.
                let _ = self.hand_over(&mut desk);
                return;
            }
            let now_ms = wall_ms();
            // When the clock was set back, the node has to think its alarms over.
            if desk.wake_at_ms.is_some_and(|at| at <= now_ms) || now_ms < desk.seen_ms {
                desk.wake_at_ms = None;
                self.step(&mut desk, Input::Tick);
            }
            desk.seen_ms = now_ms;
            self.shared.tick();
        }
    }

    /// Takes a signal and what came after it, as far as it is there. False when the node is to stop.
    fn burst(&mut self, desk: &mut Desk, signal: Option<Signal>) -> bool {
        let mut next = signal;
        for _ in 0..INPUTS_AT_ONCE {
            // By turns, so that neither calls nor what comes from outside waits for all of the other.
            let ended = desk.ended.pop_front();
            let is_idle = ended.is_none() && next.is_none();
            if let Some(input) = ended {
                self.step(desk, input);
            }
            if let Some(signal) = next
                && !self.take(desk, signal)
            {
                return false;
            }
            if is_idle || (desk.batches.len() >= BATCHES_AT_ONCE && !self.hand_over(desk)) {
                return is_idle;
            }
            next = self.inbox.try_recv().ok();
        }
        // One that was drawn when the count was reached is taken now, so that it is not lost.
        next.is_none_or(|signal| self.take(desk, signal))
    }

    /// False when the node is to stop.
    fn take(&mut self, desk: &mut Desk, signal: Signal) -> bool {
        match signal {
            Signal::Input(input) => self.step(desk, input),
            Signal::Command(command, reply) => {
                desk.last_ticket += 1;
                desk.waiting.insert(desk.last_ticket, reply);
                self.step(desk, Input::Command { ticket: desk.last_ticket, command });
            }
            Signal::Durable(batches, snapshot) => {
                self.snapshot = Arc::clone(&snapshot);
                self.shared.set_snapshot(snapshot);
                // Of one machine only the newest number counts: it stands for all before it.
                let mut newest: Vec<(MachineId, u64)> = Vec::new();
                for (token, seq) in batches {
                    let machine = usize::try_from(token).ok().and_then(|token| desk.by_token.get(token));
                    let Some(machine) = machine.copied() else { continue };
                    match newest.iter_mut().find(|(of, _)| *of == machine) {
                        Some((_, known)) => *known = seq,
                        None => newest.push((machine, seq)),
                    }
                }
                for (machine, seq) in newest {
                    self.step(desk, Input::Durable { machine, seq });
                }
            }
            Signal::Failed(error) => {
                halt(&format!("{error}; what was not acknowledged is not kept, everything else is"));
            }
            Signal::Stop => {
                for (_, waiting) in std::mem::take(&mut desk.waiting) {
                    // Who no longer waits needs no answer.
                    let _ = waiting.send(Err(CommandError::Stopping));
                }
                return false;
            }
        }
        true
    }

    fn step(&mut self, desk: &mut Desk, input: Input) {
        let time = Time { wall_ms: wall_ms() };
        let step = self.node.step(input, time, &mut self.entropy, &self.snapshot);
        self.carry_out(desk, step);
    }

    /// Acts, and keeps the batches for the committer.
    fn carry_out(&mut self, desk: &mut Desk, step: Step) {
        for (machine, seq, batch) in step.batches {
            let token = match desk.machines.get(&machine) {
                Some(token) => *token,
                None => {
                    let token = desk.by_token.len() as u64;
                    desk.by_token.push(machine);
                    desk.machines.insert(machine, token);
                    token
                }
            };
            desk.batches.push((token, seq, batch));
        }
        for effect in step.effects {
            self.act(desk, effect);
        }
        // Behind each other, so that those who listen are woken once and not for each.
        for notice in desk.notices.drain(..) {
            self.shared.emit(notice);
        }
    }

    /// Hands what was written to the committer. False if the store takes nothing more.
    fn hand_over(&mut self, desk: &mut Desk) -> bool {
        desk.batches.is_empty() || self.submitter.submit_all(std::mem::take(&mut desk.batches)).is_ok()
    }

    fn act(&mut self, desk: &mut Desk, effect: Effect) {
        match effect {
            Effect::Reply(ticket, result) => {
                if let Some(waiting) = desk.waiting.remove(&ticket) {
                    // Who no longer waits needs no answer.
                    let _ = waiting.send(*result);
                }
            }
            Effect::Execute { execution, call, state } => {
                // The first state is made once and may take its time.
                let is_brief = call.kind == MethodKind::Mutate;
                match is_brief.then(|| self.brief.run(&call, state.clone())).flatten() {
                    Some(result) => {
                        desk.ended.push_back(Input::Executed { context: call.context, execution, result });
                    }
                    None => self.executors.send(Job::Mutate { execution, call, state }),
                }
            }
            Effect::Keep(context, version) => self.shared.versions.keep(context, version),
            Effect::Settled(context, root) => self.shared.versions.settle(&context, &root),
            Effect::Cooled(context) => self.shared.versions.cool(&context),
            Effect::Send(peer, lane, message) => self.outbound.message(peer, lane, &message),
            Effect::Publish(topic, gossip) => self.outbound.send(Outgoing::Publish(topic, gossip.encode())),
            Effect::Subscribe(topic) => self.outbound.send(Outgoing::Subscribe(topic)),
            Effect::Judge(token, verdict) => self.outbound.send(Outgoing::Judge(token, verdict)),
            Effect::KeepConnected(peer, addresses) => {
                self.outbound.send(Outgoing::KeepConnected(peer, addresses));
            }
            Effect::ServeBlob { peer, blob, offset } => {
                self.outbound.send(Outgoing::ServeBlob { peer, blob, offset });
            }
            Effect::StoreChunk { blob, size, offset, bytes } => {
                self.outbound.send(Outgoing::StoreChunk { blob, size, offset, bytes });
            }
            Effect::Emit(notice) => desk.notices.push(notice),
            Effect::Wake { at_ms } => {
                desk.wake_at_ms = Some(desk.wake_at_ms.map_or(at_ms, |set| set.min(at_ms)));
            }
            Effect::Report(report) => self.metrics.report(report),
            Effect::Halt(reason) => halt(&reason),
        }
    }
}

/// Ends the process: going on would make a wrong decision. What was acknowledged is on disk.
fn halt(reason: &str) -> ! {
    tracing::error!("the node stops: {reason}");
    std::process::exit(70)
}

fn sleep(wake_at_ms: Option<u64>) -> Duration {
    let until = wake_at_ms.map(|at| Duration::from_millis(at.saturating_sub(wall_ms())));
    until.map_or(SLEEP_MAX, |until| until.min(SLEEP_MAX))
}

/// Milliseconds since 1970-01-01 UTC.
pub(super) fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
