//! One seed, from the first start to the last comparison.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesto_node::Executor;

use crate::host::Role;
use crate::invariants::{self, Violation};
use crate::profile::Profile;
use crate::trace::Trace;
use crate::workload::Workload;
use crate::world::{Event, Micros, World};

/// How often equal sets are looked for while the run goes on.
const COMPARE_EVERY: Micros = 1_500_000;
/// How often it is asked whether all have come together.
const SETTLE_EVERY: Micros = 500_000;
/// How long members may take to come together once nothing goes wrong any more: some heartbeats.
const SETTLE_MAX: Micros = 90_000_000;
/// How much longer if clocks jumped or stamps were forged: as far as an entry can be ahead of a clock.
const STAMPS_MAX: Micros = 600_000_000;

/// What came of a seed.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The conditions that it stands for.
    pub profile: Profile,
    /// Rules that were broken.
    pub violations: Vec<Violation>,
    /// The hash over all events.
    pub trace: [u8; 32],
    /// How many events there were.
    pub events: u64,
    /// When all had come together, in true time since the start.
    pub ended: Micros,
    /// What happened how often.
    pub counts: BTreeMap<&'static str, u64>,
    /// The events as text, if asked for.
    pub lines: Vec<String>,
}

/// Runs a seed twice; a difference is a violation too.
#[must_use]
pub fn run_twice(seed: u64, profile: &Profile) -> Outcome {
    let mut first = run(seed, profile.clone(), false);
    let second = run(seed, profile.clone(), false);
    if first.trace != second.trace {
        let text = format!("{} and {} events", first.events, second.events);
        first.violations.push(Violation::NotRepeatable(text));
    }
    first
}

/// Runs a seed under given conditions.
#[must_use]
pub fn run(seed: u64, profile: Profile, is_verbose: bool) -> Outcome {
    let executor = profile.app.native();
    run_with(seed, profile, executor, is_verbose)
}

/// The same with another executor of the app: whatever runs it must come to the same.
#[must_use]
pub fn run_with(seed: u64, profile: Profile, executor: Arc<dyn Executor>, is_verbose: bool) -> Outcome {
    let mut world = World::new(seed, profile.clone(), executor, is_verbose);
    let mut workload = Workload::new(&mut world, seed);
    world.after(0, Event::Redial);
    world.after(1_000_000, Event::Fault);
    for host in 0..world.hosts.len() {
        if world.hosts[host].role == Role::Liar {
            world.after(2_000_000, Event::Mischief { host });
        }
    }
    let mut run = Run { world: &mut world, workload: &mut workload, is_active: true, has_jumps: profile.jumps };
    let active = profile.active;
    while run.world.now < active && run.world.violations.is_empty() {
        run.until((run.world.now + COMPARE_EVERY).min(active));
        invariants::compare(run.world);
    }
    run.is_active = false;
    run.world.heal();
    run.settle();
    if run.world.violations.is_empty() {
        run.world.is_closing = true;
        run.workload.closing_calls(run.world);
        run.settle();
    }
    if run.world.violations.is_empty() {
        invariants::finally(run.world);
    }
    let trace = std::mem::replace(&mut world.trace, Trace::new(false));
    Outcome {
        seed,
        profile,
        violations: world.violations,
        trace: trace.hash(),
        events: trace.count(),
        ended: world.now,
        counts: world.counts,
        lines: trace.lines().to_vec(),
    }
}

struct Run<'a> {
    world: &'a mut World,
    workload: &'a mut Workload,
    is_active: bool,
    has_jumps: bool,
}

impl Run<'_> {
    /// Lets everything happen up to a moment.
    fn until(&mut self, moment: Micros) {
        while let Some(event) = self.world.next(moment) {
            match self.world.happen(event) {
                Some(Event::Agent { host }) if self.is_active => self.workload.act(self.world, host),
                Some(Event::Fault) if self.is_active => self.world.fault(),
                Some(Event::Mischief { host }) if self.is_active => self.world.mischief(host),
                Some(_) | None => {}
            }
            for complaint in self.workload.hear(self.world) {
                self.world.violated(Violation::Apart(complaint));
            }
            if !self.world.violations.is_empty() {
                return;
            }
        }
        self.world.now = moment;
    }

    /// Waits until all have come together.
    fn settle(&mut self) {
        let has_odd_stamps = self.world.hosts.iter().any(|host| host.role == Role::Liar) || self.has_jumps;
        let deadline = self.world.now + SETTLE_MAX + if has_odd_stamps { STAMPS_MAX } else { 0 };
        loop {
            self.until(self.world.now + SETTLE_EVERY);
            if !self.world.violations.is_empty() {
                return;
            }
            let is_busy = self.world.hosts.iter().any(|host| host.disk.is_busy());
            let settled = if is_busy { Err("a disk is busy".to_owned()) } else { invariants::settled(self.world) };
            match settled {
                Ok(()) => return,
                Err(reason) if self.world.now >= deadline => return self.world.violated(Violation::Apart(reason)),
                Err(_) => {}
            }
        }
    }
}
