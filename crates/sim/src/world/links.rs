//! What passes between hosts.

use std::sync::Arc;

use mesto_node::verify::{CheckedGossip, CheckedMessage};
use mesto_node::{Input, Lane};
use mesto_sync::{Gossip, Message};

use super::{Event, World};
use crate::host::{Pending, Role, address};
use crate::invariants::Violation;
use crate::network::Frame;

/// How often hosts try to connect, in microseconds.
const REDIAL: u64 = 250_000;

impl World {
    /// Hosts that want to be connected try.
    pub(crate) fn redial(&mut self) {
        self.after(REDIAL, Event::Redial);
        for a in 0..self.hosts.len() {
            for b in 0..self.hosts.len() {
                if a != b && self.wants(a, b) && self.network.may_open(a, b, self.now) {
                    self.open_link(a, b);
                }
            }
        }
    }

    /// Whether `a` dials `b`. An outsider found out where everybody listens.
    fn wants(&self, a: usize, b: usize) -> bool {
        let (from, to) = (&self.hosts[a], &self.hosts[b]);
        if !from.is_up() || !to.is_up() {
            return false;
        }
        from.role == Role::Outsider || from.wanted.get(&to.peer).is_some_and(|known| known.contains(&address(b)))
    }

    fn open_link(&mut self, a: usize, b: usize) {
        let (low, high) = self.profile.latency;
        let at = [0, 1].map(|_| self.now + self.random.between(low, high));
        let (a, b) = crate::network::pair(a, b);
        let generation = self.network.open(a, b, at);
        self.at(at[0], Event::LinkUp { host: a, other: b, generation });
        self.at(at[1], Event::LinkUp { host: b, other: a, generation });
    }

    /// A host learns that a link is open.
    pub(crate) fn link_up(&mut self, index: usize, other: usize, generation: u64) {
        if !self.network.tell(index, other, generation) {
            return;
        }
        self.trace.note(self.now, index, "up", &[], || format!("to host {other}"));
        let peer = self.hosts[other].peer;
        if self.hosts[index].role == Role::Outsider {
            return self.outsider_meets(index, other);
        }
        if self.profile.late_greetings && self.random.split("late greeting", generation).chance(400) {
            // A link came and went before a busy host heard of it. What the host says to it, it says on the next one.
            self.step(index, Input::PeerUp(peer));
            self.step(index, Input::PeerDown(peer));
        }
        self.step(index, Input::PeerUp(peer));
        if self.hosts[other].role != Role::Outsider {
            self.step(index, Input::PeerAddresses(peer, vec![address(other)]));
        }
        for topic in self.hosts[other].topics.clone() {
            self.step(index, Input::Subscribed(peer, topic));
        }
    }

    /// Closes a link; each side that knew it learns of it after a while.
    pub(crate) fn close_link(&mut self, a: usize, b: usize) {
        let (a, b) = crate::network::pair(a, b);
        let delays = [0, 1].map(|_| self.random.between(100, 400_000));
        let rests_until = self.now + delays[0].max(delays[1]) + 1;
        let Some(told) = self.network.close(a, b, rests_until) else { return };
        for ((index, other), (was_told, delay)) in [(a, b), (b, a)].into_iter().zip(told.into_iter().zip(delays)) {
            // Now and then a host hears of the next link before it notices that the last one is gone.
            if was_told && !self.random.chance(150) {
                let life = self.hosts[index].life;
                let input = Box::new(Input::PeerDown(self.hosts[other].peer));
                self.after(delay, Event::Input { host: index, life, input });
            }
        }
    }

    /// A link over a way that is still cut is given up.
    pub(crate) fn give_up(&mut self, a: usize, b: usize, generation: u64) {
        let is_cut = self.network.is_cut(a, b) || self.network.is_cut(b, a);
        if is_cut && self.network.generation(a, b) == Some(generation) {
            self.close_link(a, b);
        }
    }

    /// Cuts a way for a while.
    pub(crate) fn cut(&mut self, from: usize, to: usize, lasts: u64) {
        self.network.cut(from, to);
        self.after(lasts, Event::Mend { from, to });
        if let Some(generation) = self.network.generation(from, to) {
            let patience = self.random.between(500_000, 4_000_000);
            self.after(patience, Event::GiveUp { a: from, b: to, generation });
        }
    }

    /// A way is open again: what was held up goes on.
    pub(crate) fn mend(&mut self, from: usize, to: usize) {
        let Some((generation, stalled)) = self.network.mend(from, to) else { return };
        for (lane, count) in [Lane::Sync, Lane::Blob].into_iter().zip(stalled) {
            for _ in 0..count {
                self.after(self.profile.latency.0, Event::Frame { from, to, lane, generation });
            }
        }
    }

    /// Puts a message on a lane.
    pub(crate) fn send_bytes(&mut self, from: usize, to: usize, lane: Lane, bytes: Vec<u8>) {
        let (low, high) = self.profile.latency;
        let delay = self.random.between(low, high);
        let Some((generation, not_before)) = self.network.send(from, to, lane, Arc::from(bytes)) else { return };
        self.at((self.now + delay).max(not_before), Event::Frame { from, to, lane, generation });
    }

    /// A frame is due.
    pub(crate) fn frame_due(&mut self, from: usize, to: usize, lane: Lane, generation: u64) {
        let Some(bytes) = self.network.arrive(from, to, lane, generation) else { return };
        self.trace.note(self.now, to, "frame", &bytes, || {
            let text = Message::decode(&bytes).map_or_else(|e| e.to_string(), |message| brief(&message));
            format!("from host {from}: {text}")
        });
        if self.hosts[to].role == Role::Outsider {
            return self.outsider_hears(to, from, &bytes);
        }
        let peer = self.hosts[from].peer;
        let checked = self.checked.message(&bytes);
        if self.hosts[to].role == Role::Liar
            && let Ok(CheckedMessage { message: Message::Proof(proof), .. }) = &checked
        {
            self.remember_proof(proof.clone());
        }
        match checked {
            Ok(checked) => self.step(to, Input::Message(peer, checked)),
            Err(error) if self.hosts[from].role == Role::Honest => {
                self.violated(Violation::Unreadable { host: from, reason: error.to_string() });
            }
            Err(_) => self.count("frames refused"),
        }
    }

    /// Publishes for a host.
    pub(crate) fn publish(&mut self, from: usize, topic: &str, gossip: &Gossip) {
        let bytes: Frame = Arc::from(gossip.encode());
        self.hosts[from].seen.insert(message_id(topic, &bytes));
        self.spread(from, None, topic, &bytes);
    }

    /// Passes gossip on to all connected subscribers but one.
    pub(crate) fn spread(&mut self, from: usize, except: Option<usize>, topic: &str, bytes: &Frame) {
        let (low, high) = self.profile.latency;
        for to in 0..self.hosts.len() {
            let listens = self.hosts[to].topics.contains(topic);
            if to == from || Some(to) == except || !listens || !self.network.is_linked(from, to) {
                continue;
            }
            if self.random.chance(self.profile.gossip_loss) {
                continue;
            }
            let copies = if self.random.chance(self.profile.gossip_again) { 2 } else { 1 };
            for copy in 0..copies {
                let delay = self.random.between(low, high * (1 + 4 * copy));
                let bytes = Arc::clone(bytes);
                self.after(delay, Event::Gossip { from, to, topic: topic.to_owned(), bytes });
            }
        }
    }

    /// Gossip is due.
    pub(crate) fn gossip_due(&mut self, from: usize, to: usize, topic: &str, bytes: Frame) {
        if !self.network.is_linked(from, to) || self.network.is_cut(from, to) || !self.hosts[to].is_up() {
            return;
        }
        let is_new = self.hosts[to].seen.insert(message_id(topic, &bytes));
        // The network drops what it has seen, as far as it remembers.
        if !is_new && !self.random.chance(self.profile.gossip_again) {
            return;
        }
        self.trace.note(self.now, to, "gossip", &bytes, || format!("from host {from} on {topic}: {}", bytes.len()));
        let Some(gossip) = self.checked.gossip(&bytes) else {
            if self.hosts[from].role == Role::Honest {
                let reason = "gossip that does not verify was published or passed on".to_owned();
                self.violated(Violation::Unreadable { host: from, reason });
            }
            return self.count("gossip refused");
        };
        let pending = Pending { topic: topic.to_owned(), bytes, from, is_new };
        self.give_gossip(to, pending, gossip);
    }

    fn give_gossip(&mut self, to: usize, pending: Pending, gossip: CheckedGossip) {
        let from = self.hosts[pending.from].peer;
        let topic = pending.topic.clone();
        let host = &mut self.hosts[to];
        host.last_token += 1;
        let token = host.last_token;
        host.pending.insert(token, pending);
        self.step(to, Input::Gossip { token, topic, from, gossip });
    }

    /// A host listens to a topic from now on.
    pub(crate) fn subscribe(&mut self, index: usize, topic: String) {
        if !self.hosts[index].topics.insert(topic.clone()) {
            return;
        }
        let peer = self.hosts[index].peer;
        let (low, high) = self.profile.latency;
        for other in 0..self.hosts.len() {
            if other == index || self.hosts[other].node.is_none() || !self.network.is_linked(index, other) {
                continue;
            }
            let delay = self.random.between(low, high);
            let life = self.hosts[other].life;
            let input = Box::new(Input::Subscribed(peer, topic.clone()));
            self.after(delay, Event::Input { host: other, life, input });
        }
    }
}

fn message_id(topic: &str, bytes: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(topic.as_bytes()).update(bytes);
    *hasher.finalize().as_bytes()
}

/// A message in a few words.
fn brief(message: &Message) -> String {
    match message {
        Message::Hello(hello) => format!("hello with {} tags", hello.tags.len()),
        Message::Proof(proof) => format!("proof of {:?}", proof.member),
        Message::Summaries(summaries) => summaries
            .iter()
            .map(|s| format!("summary of {:?}: {} entries, heads {:?}", s.log, s.count, s.heads))
            .collect::<Vec<_>>()
            .join("; "),
        Message::Pull { log, cursor, careful, .. } => format!("pull {log:?} from {cursor}, careful {careful}"),
        Message::Page { log, entries, next, summary } => {
            format!("page of {log:?}: {} entries, next {next:?}, {} there", entries.len(), summary.count)
        }
        Message::KeyPull { group, keys } => format!("key pull of {group:?}: {}", keys.len()),
        Message::KeyPage { group, keys } => format!("key page of {group:?}: {}", keys.len()),
        Message::Join { group, .. } => format!("join {group:?}"),
        Message::Joined { group, refused } => format!("joined {group:?}, refused {refused:?}"),
        Message::Addresses { group, peers } => format!("addresses of {group:?}: {}", peers.len()),
        Message::BlobPull { blob, offset } => format!("blob pull {blob:?} from {offset}"),
        Message::BlobChunk { blob, offset, bytes, .. } => format!("chunk of {blob:?} at {offset}: {}", bytes.len()),
        Message::BlobAbsent { blob } => format!("blob {blob:?} absent"),
        Message::Added { group, member } => format!("{member:?} was added to {group:?}"),
    }
}
