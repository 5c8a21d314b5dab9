//! Everything that exists in one run, and the queue of what happens next.

mod checked;
mod effects;
mod links;
mod power;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use mesto_governance::{BlobId, ContextId, Governance, GroupId, KeyId};
use mesto_node::command::{AppVersion, Command, CommandError, Reply};
use mesto_node::{Entropy, Executor, Input, Lane, Ticket, Time};
use mesto_oplog::{EntryId, LogId, PublicKey, SigningKey};
use mesto_sync::Peer;

use self::checked::Checked;
use crate::byzantine::Mischief;
use crate::clock::Clock;
use crate::host::{Host, Role};
use crate::invariants::{Acknowledged, Violation};
use crate::network::{Frame, Network};
use crate::profile::Profile;
use crate::random::Random;
use crate::trace::Trace;

/// True time since the run began, in microseconds.
pub type Micros = u64;

/// Steps of nodes in one true second that no sound node comes near; beyond it one spins.
const STEPS_PER_SECOND_MAX: u64 = 60_000;
/// Something that will happen.
#[derive(Debug)]
pub(crate) enum Event {
    /// A node's shell has something for it, unless the host has crashed since.
    Input { host: usize, life: u64, input: Box<Input> },
    /// A frame is due.
    Frame { from: usize, to: usize, lane: Lane, generation: u64 },
    /// Gossip is due.
    Gossip { from: usize, to: usize, topic: String, bytes: Frame },
    /// One side of a link learns that it is open.
    LinkUp { host: usize, other: usize, generation: u64 },
    /// The commit under way has ended.
    Landed { host: usize, life: u64 },
    /// A clock shows what a node waits for, unless it jumped.
    Wake { host: usize, life: u64 },
    /// Hosts that want to be connected try.
    Redial,
    /// A link over a cut way is given up.
    GiveUp { a: usize, b: usize, generation: u64 },
    /// A way is mended.
    Mend { from: usize, to: usize },
    /// A host starts.
    Start { host: usize },
    /// The next fault.
    Fault,
    /// A host's people do something.
    Agent { host: usize },
    /// A liar does something.
    Mischief { host: usize },
}

/// What runs the apps of all hosts.
pub(crate) struct Apps(pub(crate) Arc<dyn Executor>);

impl std::fmt::Debug for Apps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Apps(..)")
    }
}

/// One run.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Micros,
    queue: BTreeMap<(Micros, u64), Event>,
    last_event: u64,
    pub(crate) hosts: Vec<Host>,
    pub(crate) network: Network,
    pub(crate) profile: Profile,
    pub(crate) random: Random,
    pub(crate) trace: Trace,
    pub(crate) executor: Apps,
    pub(crate) bundles: BTreeMap<BlobId, (AppVersion, Vec<u8>)>,
    pub(crate) violations: Vec<Violation>,
    /// Replies that the workload has not looked at yet.
    pub(crate) answers: VecDeque<(usize, Ticket, Result<Reply, CommandError>)>,
    /// Batches handed to the disk of a host when a command was given.
    pub(crate) asked_at: BTreeMap<Ticket, u64>,
    pub(crate) last_ticket: Ticket,
    /// The question of whoever only looks.
    pub(crate) looking: Option<Ticket>,
    /// Public keys of seeds.
    pub(crate) publics: RefCell<BTreeMap<[u8; 32], PublicKey>>,
    pub(crate) checked: Checked,
    steps: (u64, u64),
    pub(crate) mischief: Mischief,
    /// Things that happened, counted for the summary.
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// What hosts acknowledged.
    pub(crate) acknowledged: BTreeSet<(usize, Acknowledged)>,
    /// Contexts that hosts left before they had heard that they are in them.
    pub(crate) left_early: BTreeSet<(usize, ContextId)>,
    /// Which context a call was for.
    pub(crate) called: BTreeMap<Ticket, ContextId>,
    /// What was acknowledged after all had come together.
    pub(crate) closing: BTreeSet<(usize, Acknowledged)>,
    /// Whether all had come together.
    pub(crate) is_closing: bool,
    /// The group of each log that was looked up.
    pub(crate) groups_of: BTreeMap<LogId, GroupId>,
    /// Keys that a liar gave to hosts: who has one may give it to anybody.
    pub(crate) given_by_liar: BTreeSet<(usize, KeyId)>,
    /// Which hosts were found to be members, as another knew it, and so may hear of a log.
    pub(crate) heard_before: BTreeSet<(usize, usize, LogId)>,
    /// Folds that were made to check others, by the ops.
    pub(crate) folds: BTreeMap<Vec<EntryId>, Governance>,
}

impl World {
    /// A world in which nothing has happened.
    pub(crate) fn new(seed: u64, profile: Profile, executor: Arc<dyn Executor>, is_verbose: bool) -> Self {
        let root = Random::new(seed);
        let mut clocks = root.split("clocks", 0);
        let mut hosts = Vec::new();
        let skew = profile.skew_ms.unsigned_abs();
        for index in 0..profile.hosts {
            let ahead = i64::try_from(clocks.below(2 * skew + 1)).unwrap_or(0) - profile.skew_ms;
            let drift = i64::try_from(clocks.below(401)).unwrap_or(200) - 200;
            let is_liar = profile.liar && index + 1 == profile.hosts;
            let role = if is_liar { Role::Liar } else { Role::Honest };
            hosts.push(Host::new(index, role, root.split("host", index as u64), Clock::new(ahead, drift)));
        }
        if profile.outsider {
            let index = profile.hosts;
            hosts.push(Host::new(index, Role::Outsider, root.split("host", index as u64), Clock::default()));
        }
        Self {
            now: 0,
            queue: BTreeMap::new(),
            last_event: 0,
            hosts,
            network: Network::default(),
            profile,
            random: root.split("world", 0),
            trace: Trace::new(is_verbose),
            executor: Apps(executor),
            bundles: BTreeMap::new(),
            violations: Vec::new(),
            answers: VecDeque::new(),
            asked_at: BTreeMap::new(),
            last_ticket: 0,
            looking: None,
            publics: RefCell::new(BTreeMap::new()),
            checked: Checked::default(),
            steps: (0, 0),
            mischief: Mischief::new(root.split("mischief", 0)),
            counts: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            left_early: BTreeSet::new(),
            called: BTreeMap::new(),
            closing: BTreeSet::new(),
            is_closing: false,
            groups_of: BTreeMap::new(),
            given_by_liar: BTreeSet::new(),
            heard_before: BTreeSet::new(),
            folds: BTreeMap::new(),
        }
    }

    /// Puts an event in the queue.
    pub(crate) fn after(&mut self, delay: Micros, event: Event) {
        self.at(self.now + delay, event);
    }

    /// The same, for a moment; the past is now.
    pub(crate) fn at(&mut self, moment: Micros, event: Event) {
        self.last_event += 1;
        self.queue.insert((moment.max(self.now), self.last_event), event);
    }

    /// The next event up to a moment, at which the time then is.
    pub(crate) fn next(&mut self, until: Micros) -> Option<Event> {
        let (&(at, _), _) = self.queue.first_key_value().filter(|((at, _), _)| *at <= until)?;
        self.now = at;
        self.queue.pop_first().map(|(_, event)| event)
    }

    /// Carries out an event of the machinery. Those of the workload and of the faults come back.
    pub(crate) fn happen(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::Input { host, life, input } => {
                if self.hosts[host].life == life {
                    self.step(host, *input);
                }
            }
            Event::Frame { from, to, lane, generation } => self.frame_due(from, to, lane, generation),
            Event::Gossip { from, to, topic, bytes } => self.gossip_due(from, to, &topic, bytes),
            Event::LinkUp { host, other, generation } => self.link_up(host, other, generation),
            Event::Landed { host, life } => self.landed(host, life),
            Event::Wake { host, life } => self.wake(host, life),
            Event::Redial => self.redial(),
            Event::GiveUp { a, b, generation } => self.give_up(a, b, generation),
            Event::Mend { from, to } => self.mend(from, to),
            Event::Start { host } => self.start(host),
            Event::Fault | Event::Agent { .. } | Event::Mischief { .. } => return Some(event),
        }
        None
    }

    /// One step of a host's node.
    pub(crate) fn step(&mut self, index: usize, input: Input) {
        self.count_step(index);
        let now = self.now;
        let host = &mut self.hosts[index];
        let Some(node) = &mut host.node else { return };
        let time = Time { wall_ms: host.clock.wall_ms(now) };
        let mut entropy = Entropy::from_seed(&host.random.seed());
        let snapshot = host.disk.snapshot();
        let step = node.step(input, time, &mut entropy, &snapshot);
        self.carry_out(index, step);
    }

    /// Asks a host's node; the reply comes to [`World::answers`]. Returns the ticket.
    pub(crate) fn ask(&mut self, host: usize, command: Command) -> Ticket {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        self.trace.note(self.now, host, "ask", &ticket.to_le_bytes(), || format!("{ticket}: {command:?}"));
        // What the reply rests on is counted when the step is over; until then nothing may be answered that writes.
        self.asked_at.insert(ticket, u64::MAX);
        self.step(host, Input::Command { ticket, command });
        let submitted = self.hosts[host].disk.submitted();
        if let Some(asked) = self.asked_at.get_mut(&ticket) {
            *asked = submitted;
        }
        ticket
    }

    /// Asks for something that the node answers at once, without a trace.
    pub(crate) fn look(&mut self, host: usize, command: Command) -> Option<Reply> {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        self.looking = Some(ticket);
        self.step(host, Input::Command { ticket, command });
        self.looking = None;
        let at = self.answers.iter().position(|(_, answered, _)| *answered == ticket)?;
        self.answers.remove(at).and_then(|(_, _, reply)| reply.ok())
    }

    /// The public key of a seed, derived once: records hold seeds, and are looked at again and again.
    pub(crate) fn public_of(&self, seed: &[u8; 32]) -> PublicKey {
        *self.publics.borrow_mut().entry(*seed).or_insert_with(|| SigningKey::from_seed(seed).public())
    }

    /// The host with a peer id.
    pub(crate) fn host_of(&self, peer: &Peer) -> Option<usize> {
        self.hosts.iter().position(|host| host.peer == *peer)
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub(crate) fn violated(&mut self, violation: Violation) {
        self.trace.note(self.now, 0, "VIOLATED", &[], || violation.to_string());
        self.violations.push(violation);
    }

    fn count_step(&mut self, host: usize) {
        let second = self.now / 1_000_000;
        if self.steps.0 != second {
            self.steps = (second, 0);
        }
        self.steps.1 += 1;
        if self.steps.1 == STEPS_PER_SECOND_MAX {
            self.violated(Violation::Spinning { host, steps: STEPS_PER_SECOND_MAX });
        }
    }
}
