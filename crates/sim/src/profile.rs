//! What a seed has in store: how many hosts, how bad the network, which faults.

use crate::executor::App;
use crate::random::Random;
use crate::world::Micros;

/// The conditions of one run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Profile {
    /// What they run.
    pub app: App,
    /// Hosts with a node.
    pub hosts: usize,
    /// How long the workload and the faults last.
    pub active: Micros,
    /// How often a host does something, in microseconds.
    pub pace: (Micros, Micros),
    /// What a frame takes.
    pub latency: (Micros, Micros),
    /// What a commit takes.
    pub commit: (Micros, Micros),
    /// How much gossip is lost, in thousandths.
    pub gossip_loss: u64,
    /// How much gossip comes twice to a node, in thousandths.
    pub gossip_again: u64,
    /// Whether ways are cut.
    pub cuts: bool,
    /// Whether links are closed for no reason.
    pub churn: bool,
    /// Whether hosts sometimes greet on a new link for one that was gone before they heard of it.
    pub late_greetings: bool,
    /// Whether hosts crash.
    pub crashes: bool,
    /// Whether disks fill up.
    pub full_disks: bool,
    /// How far clocks are off at first, in milliseconds.
    pub skew_ms: i64,
    /// Whether clocks jump.
    pub jumps: bool,
    /// Calls that trap or are refused, in thousandths.
    pub failing_calls: u64,
    /// Whether the last host breaks the rules.
    pub liar: bool,
    /// Whether somebody who is no member tries to get in.
    pub outsider: bool,
    /// Whether people use their rights: remove, add and demote each other, and lock contexts.
    pub politics: bool,
    /// Whether people begin groups below groups.
    pub subgroups: bool,
    /// Whether they live there: most of what they do and write is in groups below groups, and in those above.
    pub deep: bool,
}

impl Profile {
    /// The conditions that a seed stands for.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed).split("profile", 0);
        if random.chance(120) {
            return Self::calm(3);
        }
        let slow_disk = random.chance(200);
        let slow_network = random.chance(300);
        Self {
            app: if random.split("app", 0).chance(300) { App::Kv } else { App::Collections },
            hosts: random.index(4) + 2,
            active: random.between(5, 14) * 1_000_000,
            pace: (60_000, random.between(200, 700) * 1000),
            latency: if slow_network { (20_000, 200_000) } else { (300, 4_000) },
            commit: if slow_disk { (5_000, 80_000) } else { (200, 4_000) },
            gossip_loss: if random.chance(500) { random.between(20, 600) } else { 0 },
            gossip_again: if random.chance(300) { random.between(20, 400) } else { 0 },
            cuts: random.chance(450),
            churn: random.chance(350),
            late_greetings: random.split("late greetings", 0).chance(300),
            crashes: random.chance(450),
            full_disks: random.chance(120),
            skew_ms: if random.chance(400) { 90_000 } else { 0 },
            jumps: random.chance(200),
            failing_calls: if random.chance(500) { 120 } else { 0 },
            liar: random.chance(350),
            outsider: random.chance(300),
            politics: random.split("politics", 0).chance(500),
            subgroups: random.split("subgroups", 0).chance(400),
            deep: false,
        }
    }

    /// The same with more hosts, whose people all use their rights; one of them breaks the rules in every second run.
    #[must_use]
    pub fn wide(seed: u64, hosts: usize) -> Self {
        let liar = Random::new(seed).split("wide", 0).chance(500);
        Self { hosts, liar, politics: true, ..Self::of(seed) }
    }

    /// The same with people who live in groups below groups, are cut off from each other, and use their rights meanwhile.
    #[must_use]
    pub fn deep(seed: u64) -> Self {
        let mut random = Random::new(seed).split("deep", 0);
        let hosts = random.index(3) + 3;
        let liar = random.chance(300);
        Self { hosts, liar, politics: true, subgroups: true, cuts: true, deep: true, ..Self::of(seed) }
    }

    /// No faults at all.
    #[must_use]
    pub const fn calm(hosts: usize) -> Self {
        Self {
            app: App::Collections,
            hosts,
            active: 6_000_000,
            pace: (60_000, 300_000),
            latency: (300, 2_000),
            commit: (200, 2_000),
            gossip_loss: 0,
            gossip_again: 0,
            cuts: false,
            churn: false,
            late_greetings: false,
            crashes: false,
            full_disks: false,
            skew_ms: 0,
            jumps: false,
            failing_calls: 0,
            liar: false,
            outsider: false,
            politics: false,
            subgroups: false,
            deep: false,
        }
    }

    /// The same without faults: what remains is to come together.
    pub const fn heal(&mut self) {
        self.gossip_loss = 0;
        self.gossip_again = 0;
        self.cuts = false;
        self.churn = false;
        self.late_greetings = false;
        self.crashes = false;
        self.full_disks = false;
        self.jumps = false;
    }

    /// Whether anything goes wrong now and then.
    #[must_use]
    pub const fn has_faults(&self) -> bool {
        self.cuts || self.churn || self.crashes || self.full_disks || self.jumps
    }
}
