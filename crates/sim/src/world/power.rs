//! Starting and crashing hosts, their clocks, and the ends of their commits.

use mesto_node::command::AppVersion;
use mesto_node::{Entropy, Input, Node, Time};

use super::{Event, Micros, World};
use crate::host::{Role, address};
use crate::invariants::{self, Violation};

impl World {
    /// A host starts: its node is read back from what its disk holds.
    pub(crate) fn start(&mut self, index: usize) {
        let now = self.now;
        let host = &mut self.hosts[index];
        if host.is_up() {
            return;
        }
        host.disk.restarted();
        let installed: Vec<AppVersion> =
            host.blobs.keys().filter_map(|blob| Some(self.bundles.get(blob)?.0.clone())).collect();
        let time = Time { wall_ms: host.clock.wall_ms(now) };
        let mut entropy = Entropy::from_seed(&host.random.seed());
        let snapshot = host.disk.snapshot();
        match Node::open(host.peer, installed, time, &mut entropy, &snapshot) {
            Ok((node, step)) => {
                host.node = Some(node);
                self.trace.note(now, index, "start", &[], String::new);
                self.carry_out(index, step);
                self.hosts[index].disk.mended();
                self.step(index, Input::Listening(vec![address(index)]));
                invariants::restarted(self, index);
            }
            Err(reason) => self.violated(Violation::DoesNotStart { host: index, reason }),
        }
    }

    /// The power of a host goes.
    pub(crate) fn crash(&mut self, index: usize) {
        if self.hosts[index].role == Role::Outsider || self.hosts[index].node.is_none() {
            return;
        }
        self.count("crashes");
        self.trace.note(self.now, index, "crash", &[], String::new);
        let host = &mut self.hosts[index];
        host.forget();
        let mut random = host.random.split("crash", host.life);
        host.disk.crash(&mut random);
        for (a, b) in self.network.open_links() {
            if a == index || b == index {
                self.close_link(a, b);
            }
        }
    }

    /// A commit has ended.
    pub(crate) fn landed(&mut self, index: usize, life: u64) {
        if self.hosts[index].life != life {
            return;
        }
        let Ok(landed) = self.hosts[index].disk.land() else {
            // A shell whose store fails ends at once.
            self.count("full disks");
            self.crash(index);
            let delay = self.random.between(200_000, 2_000_000);
            return self.after(delay, Event::Start { host: index });
        };
        self.begin_commit(index);
        // Told a moment later, so that steps in between see a snapshot that is ahead of what they were told.
        let delay = self.random.between(0, 300);
        for (machine, seq) in landed {
            let input = Box::new(Input::Durable { machine, seq });
            self.after(delay, Event::Input { host: index, life, input });
        }
    }

    /// Begins to commit what waits, if anything does.
    pub(crate) fn begin_commit(&mut self, index: usize) {
        let (low, high) = self.profile.commit;
        let host = &mut self.hosts[index];
        if host.disk.begin() {
            let life = host.life;
            let delay = self.random.between(low, high);
            self.after(delay, Event::Landed { host: index, life });
        }
    }

    /// A host's clock may show what its node waits for.
    pub(crate) fn wake(&mut self, index: usize, life: u64) {
        let now = self.now;
        let host = &mut self.hosts[index];
        let Some(alarm) = host.alarm.filter(|_| host.life == life) else { return };
        let wait = host.clock.until(alarm, now);
        if wait > 0 {
            return self.after(wait, Event::Wake { host: index, life });
        }
        host.alarm = None;
        self.step(index, Input::Tick);
    }

    /// The node wants to be woken.
    pub(crate) fn set_alarm(&mut self, index: usize, at_ms: u64) {
        let host = &mut self.hosts[index];
        host.alarm = Some(host.alarm.map_or(at_ms, |set| set.min(at_ms)));
        let wait = host.clock.until(at_ms, self.now);
        let life = host.life;
        self.after(wait, Event::Wake { host: index, life });
    }

    /// A clock jumps.
    pub(crate) fn jump(&mut self, index: usize, by_ms: i64) {
        self.count("clock jumps");
        let detail = by_ms.to_le_bytes();
        self.trace.note(self.now, index, "clock jumps", &detail, || format!("by {by_ms} ms"));
        let host = &mut self.hosts[index];
        host.clock.jump(by_ms);
        let life = host.life;
        self.after(0, Event::Wake { host: index, life });
    }

    /// True time that a call takes.
    pub(crate) fn execution_time(&mut self) -> Micros {
        if self.random.chance(30) { self.random.between(20_000, 300_000) } else { self.random.between(100, 3_000) }
    }
}
