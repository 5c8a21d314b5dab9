//! What goes wrong, and when.

use crate::host::Role;
use crate::world::{Event, World};

impl World {
    /// One fault of those that the profile allows, and the next in a while.
    pub(crate) fn fault(&mut self) {
        if !self.profile.has_faults() {
            return;
        }
        let wait = self.random.between(200_000, 2_500_000);
        self.after(wait, Event::Fault);
        match self.random.below(8) {
            0 | 1 if self.profile.cuts => self.partition(),
            2 if self.profile.cuts => self.cut_one_way(),
            3 | 4 if self.profile.churn => self.close_any(),
            5 | 6 if self.profile.crashes => {
                let host = self.any_host();
                self.crash(host);
                let wait = self.random.between(50_000, 3_000_000);
                self.after(wait, Event::Start { host });
            }
            7 if self.profile.full_disks => {
                let host = self.any_host();
                self.hosts[host].disk.fill();
            }
            _ if self.profile.jumps => {
                let host = self.any_host();
                // Corrections that a time daemon makes at once: seconds back, or minutes forward after a sleep.
                let is_back = self.random.chance(400);
                let by = if is_back { self.random.between(1, 3_000) } else { self.random.between(1, 120_000) };
                let by = i64::try_from(by).unwrap_or_default();
                self.jump(host, if is_back { -by } else { by });
            }
            _ => {}
        }
    }

    /// Two parts of the hosts do not hear each other for a while.
    fn partition(&mut self) {
        self.count("partitions");
        let lasts = self.random.between(300_000, 6_000_000);
        let sides: Vec<bool> = self.hosts.iter().map(|_| self.random.chance(500)).collect();
        for a in 0..self.hosts.len() {
            for b in 0..self.hosts.len() {
                if sides.get(a) != sides.get(b) {
                    self.cut(a, b, lasts);
                }
            }
        }
    }

    fn cut_one_way(&mut self) {
        let (a, b) = (self.any_host(), self.any_host());
        if a != b {
            self.count("one-way cuts");
            let lasts = self.random.between(300_000, 5_000_000);
            self.cut(a, b, lasts);
        }
    }

    fn close_any(&mut self) {
        let links = self.network.open_links();
        if let Some(&(a, b)) = self.random.pick(&links) {
            self.count("closed links");
            self.close_link(a, b);
        }
    }

    pub(crate) fn any_host(&mut self) -> usize {
        let nodes = self.hosts.iter().filter(|host| host.role != Role::Outsider).count();
        self.random.index(nodes)
    }

    /// All faults end: ways are mended, hosts start.
    pub(crate) fn heal(&mut self) {
        self.profile.heal();
        self.reveal();
        for (from, to) in self.network.cuts() {
            self.mend(from, to);
        }
        // What a liar withheld of its greetings it says now.
        for (a, b) in self.network.open_links() {
            if [a, b].iter().any(|host| self.hosts[*host].role == Role::Liar) {
                self.close_link(a, b);
            }
        }
        for host in 0..self.hosts.len() {
            if !self.hosts[host].is_up() {
                self.after(1_000, Event::Start { host });
            }
        }
    }
}
