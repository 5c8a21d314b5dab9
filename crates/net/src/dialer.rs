//! Decides whom to dial and when: a pure schedule, driven by the clock and the events of the swarm.
//!
//! Nothing gets in here that was not told: bootstrap addresses, peers to keep connected, peers found
//! on the local network. What a kept peer says about its own addresses is added to them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use libp2p::{Multiaddr, PeerId};

use super::address;

/// The first delay before a peer is dialled again.
const BACKOFF_MIN: Duration = Duration::from_millis(100);

/// The longest delay to a peer on the local network, where a dial costs nothing.
const BACKOFF_LOCAL_MAX: Duration = Duration::from_secs(2);

/// The longest delay to any other peer.
const BACKOFF_FAR_MAX: Duration = Duration::from_secs(30);

/// A connection that lived as long as this was a good one: delays begin from [`BACKOFF_MIN`] again.
const STABLE: Duration = Duration::from_secs(2);

/// Two bootstrap addresses may be the same peer; dialling them one after the other avoids two
/// connections at once.
const STAGGER: Duration = Duration::from_millis(60);

/// Peers and addresses to keep connected. A node has members in hundreds, not in thousands.
pub(super) const TARGETS_MAX: usize = 1024;

/// Addresses that are remembered of one peer, the oldest forgotten first.
pub(super) const ADDRESSES_PER_PEER_MAX: usize = 16;

/// Peers whose addresses are remembered without being kept connected.
const BOOK_PEERS_MAX: usize = 4096;

/// What is to be kept connected.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    /// A peer, wherever it is.
    Peer(PeerId),
    /// Whoever answers at an address.
    Address(Multiaddr),
}

/// A dial to be made now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) target: Target,
    /// The peer that has to answer, if it is known.
    pub(super) peer: Option<PeerId>,
    pub(super) addresses: Vec<Multiaddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Dial at this time.
    Due(Instant),
    Dialling,
    Connected {
        since: Instant,
    },
}

#[derive(Clone, Debug)]
struct Entry {
    state: State,
    /// The peer, once known.
    peer: Option<PeerId>,
    /// Told by the consumer or the configuration, not only seen on the local network.
    told: bool,
    /// Seen on the local network.
    seen: bool,
    failures: u32,
    /// Which group of addresses the next dial tries.
    turn: usize,
}

/// The schedule.
#[derive(Debug, Default)]
pub(super) struct Dialer {
    entries: BTreeMap<Target, Entry>,
    book: BTreeMap<PeerId, Vec<Multiaddr>>,
}

/// No room for another target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Dialer {
    /// Remembers addresses of a peer, without dialling it.
    pub(super) fn learn(&mut self, peer: PeerId, addresses: impl IntoIterator<Item = Multiaddr>) {
        if !self.book.contains_key(&peer) && self.book.len() >= BOOK_PEERS_MAX {
            return;
        }
        let known = self.book.entry(peer).or_default();
        for address in addresses {
            let (bare, named) = address::split_peer(&address);
            let usable = address::is_dialable(&bare) && named.is_none_or(|named| named == peer);
            if usable && !known.contains(&bare) {
                if known.len() >= ADDRESSES_PER_PEER_MAX {
                    known.remove(0);
                }
                known.push(bare);
            }
        }
    }

    /// Whether what a peer says about its addresses is of use to us.
    pub(super) fn is_kept(&self, peer: &PeerId) -> bool {
        self.entries.contains_key(&Target::Peer(*peer))
    }

    /// Keeps a peer connected from now on.
    pub(super) fn keep(
        &mut self,
        peer: PeerId,
        addresses: Vec<Multiaddr>,
        connected: bool,
        now: Instant,
    ) -> Result<(), Full> {
        self.learn(peer, addresses);
        let entry = self.entry(Target::Peer(peer), Some(peer), connected, now)?;
        entry.told = true;
        if let State::Due(at) = entry.state {
            // Being told again means that there is reason to hope.
            entry.state = State::Due(at.min(now));
        }
        Ok(())
    }

    /// Keeps a peer connected for as long as it is seen on the local network.
    pub(super) fn saw(&mut self, peer: PeerId, address: Multiaddr, connected: bool, now: Instant) -> Result<(), Full> {
        self.learn(peer, [address]);
        let entry = self.entry(Target::Peer(peer), Some(peer), connected, now)?;
        entry.seen = true;
        Ok(())
    }

    /// A peer is no longer seen on the local network.
    pub(super) fn lost(&mut self, peer: PeerId) {
        if let Some(entry) = self.entries.get_mut(&Target::Peer(peer)) {
            entry.seen = false;
            if !entry.told {
                self.entries.remove(&Target::Peer(peer));
            }
        }
    }

    /// Keeps whoever answers at an address connected from now on.
    pub(super) fn keep_address(&mut self, address: &Multiaddr, now: Instant) -> Result<(), Full> {
        let (bare, peer) = address::split_peer(address);
        match peer {
            Some(peer) => self.keep(peer, vec![bare], false, now),
            None => {
                let delay = STAGGER * u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
                let entry = self.entry(Target::Address(bare), None, false, now + delay)?;
                entry.told = true;
                Ok(())
            }
        }
    }

    /// Dials the peer no more.
    pub(super) fn forget(&mut self, peer: PeerId) {
        self.entries.remove(&Target::Peer(peer));
        self.book.remove(&peer);
    }

    /// Dials the target no more.
    pub(super) fn give_up(&mut self, target: &Target) {
        self.entries.remove(target);
    }

    /// The time of the next dial.
    pub(super) fn next(&self) -> Option<Instant> {
        let due = |entry: &Entry| match entry.state {
            State::Due(at) => Some(at),
            State::Dialling | State::Connected { .. } => None,
        };
        self.entries.values().filter_map(due).min()
    }

    /// The dials that are due. Each is under way until [`Self::connected`] or [`Self::failed`].
    pub(super) fn due(&mut self, now: Instant) -> Vec<Plan> {
        let mut plans = Vec::new();
        for (target, entry) in &mut self.entries {
            if !matches!(entry.state, State::Due(at) if at <= now) {
                continue;
            }
            let groups = match target {
                Target::Peer(peer) => address::dial_groups(self.book.get(peer).map_or(&[], Vec::as_slice)),
                Target::Address(address) => vec![vec![address.clone()]],
            };
            let addresses = groups.get(entry.turn % groups.len().max(1)).cloned().unwrap_or_default();
            entry.state = State::Dialling;
            plans.push(Plan { target: target.clone(), peer: entry.peer, addresses });
        }
        plans
    }

    /// A peer is connected, `through` a dial of ours or by itself.
    pub(super) fn connected(&mut self, peer: PeerId, through: Option<&Target>, now: Instant) {
        if let Some(entry) = through.and_then(|target| self.entries.get_mut(target)) {
            entry.peer = Some(peer);
        }
        for entry in self.entries.values_mut().filter(|entry| entry.peer == Some(peer)) {
            entry.state = State::Connected { since: now };
        }
    }

    /// A peer's last connection is gone. `jitter` is uniform in 0..=1.
    pub(super) fn disconnected(&mut self, peer: PeerId, now: Instant, jitter: f64) {
        for (target, entry) in &mut self.entries {
            if entry.peer != Some(peer) {
                continue;
            }
            if let State::Connected { since } = entry.state {
                if now.saturating_duration_since(since) >= STABLE {
                    entry.failures = 0;
                    entry.turn = 0;
                } else {
                    entry.failures = entry.failures.saturating_add(1);
                }
                let local = is_local(target, &self.book);
                entry.state = State::Due(now + backoff(entry.failures, local, jitter));
            }
        }
    }

    /// A dial failed. The next group of addresses is tried at once, then all of them after a delay.
    pub(super) fn failed(&mut self, target: &Target, now: Instant, jitter: f64) {
        let groups = match target {
            Target::Peer(peer) => address::dial_groups(self.book.get(peer).map_or(&[], Vec::as_slice)).len(),
            Target::Address(_) => 1,
        };
        let local = is_local(target, &self.book);
        let Some(entry) = self.entries.get_mut(target) else { return };
        if entry.state != State::Dialling {
            return;
        }
        entry.turn += 1;
        entry.state = if entry.turn % groups.max(1) == 0 {
            entry.failures = entry.failures.saturating_add(1);
            State::Due(now + backoff(entry.failures, local, jitter))
        } else {
            State::Due(now)
        };
        if matches!(target, Target::Address(_)) {
            // Somebody else may have moved in at the address.
            entry.peer = None;
        }
    }

    fn entry(
        &mut self,
        target: Target,
        peer: Option<PeerId>,
        connected: bool,
        now: Instant,
    ) -> Result<&mut Entry, Full> {
        if !self.entries.contains_key(&target) && self.entries.len() >= TARGETS_MAX {
            return Err(Full);
        }
        let state = if connected { State::Connected { since: now } } else { State::Due(now) };
        Ok(self.entries.entry(target).or_insert(Entry { state, peer, told: false, seen: false, failures: 0, turn: 0 }))
    }
}

fn is_local(target: &Target, book: &BTreeMap<PeerId, Vec<Multiaddr>>) -> bool {
    match target {
        Target::Peer(peer) => {
            book.get(peer).is_some_and(|addresses| !addresses.is_empty() && addresses.iter().all(address::is_local))
        }
        Target::Address(address) => address::is_local(address),
    }
}

/// Doubles from [`BACKOFF_MIN`] to the longest delay; between half of it and all of it by `jitter`.
fn backoff(failures: u32, local: bool, jitter: f64) -> Duration {
    let longest = if local { BACKOFF_LOCAL_MAX } else { BACKOFF_FAR_MAX };
    let doubled = BACKOFF_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(longest).mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().expect("a valid address")
    }

    fn due_at(dialer: &Dialer) -> Instant {
        dialer.next().expect("something is due")
    }

    #[test]
    fn a_local_peer_is_dialled_again_after_at_most_two_seconds() {
        let (peer, start) = (PeerId::random(), Instant::now());
        let mut dialer = Dialer::default();
        dialer.keep(peer, vec![address("/ip4/127.0.0.1/tcp/1")], false, start).expect("room");
        let mut now = start;
        let mut delays = Vec::new();
        for _ in 0..12 {
            assert_eq!(dialer.due(now).len(), 1);
            assert_eq!(dialer.next(), None);
            dialer.failed(&Target::Peer(peer), now, 1.0);
            delays.push(due_at(&dialer) - now);
            now = due_at(&dialer);
        }
        assert_eq!(delays.first(), Some(&BACKOFF_MIN));
        assert!(delays.is_sorted());
        assert_eq!(delays.last(), Some(&BACKOFF_LOCAL_MAX));
    }

    #[test]
    fn the_other_transport_is_tried_before_any_delay() {
        let (peer, now) = (PeerId::random(), Instant::now());
        let (tcp, quic) = (address("/ip4/127.0.0.1/tcp/1"), address("/ip4/127.0.0.1/udp/1/quic-v1"));
        let mut dialer = Dialer::default();
        dialer.keep(peer, vec![quic.clone(), tcp.clone()], false, now).expect("room");
        assert_eq!(dialer.due(now)[0].addresses, vec![tcp]);
        dialer.failed(&Target::Peer(peer), now, 1.0);
        assert_eq!(dialer.due(now)[0].addresses, vec![quic]);
        dialer.failed(&Target::Peer(peer), now, 1.0);
        assert_eq!(due_at(&dialer) - now, BACKOFF_MIN);
    }

    #[test]
    fn a_connection_that_dies_at_once_does_not_reset_the_delay() {
        let (peer, start) = (PeerId::random(), Instant::now());
        let mut dialer = Dialer::default();
        dialer.keep(peer, vec![address("/ip4/127.0.0.1/tcp/1")], false, start).expect("room");
        let mut now = start;
        for _ in 0..8 {
            dialer.due(now);
            dialer.connected(peer, Some(&Target::Peer(peer)), now);
            dialer.disconnected(peer, now, 1.0);
            now = due_at(&dialer);
        }
        dialer.due(now);
        dialer.connected(peer, None, now);
        dialer.disconnected(peer, now, 1.0);
        assert_eq!(due_at(&dialer) - now, BACKOFF_LOCAL_MAX);
        now = due_at(&dialer);
        dialer.connected(peer, None, now);
        let later = now + STABLE;
        dialer.disconnected(peer, later, 1.0);
        assert_eq!(due_at(&dialer) - later, BACKOFF_MIN);
    }

    #[test]
    fn an_address_learns_its_peer_and_waits_while_that_is_connected() {
        let (peer, now) = (PeerId::random(), Instant::now());
        let bootstrap = address("/ip4/127.0.0.1/tcp/1");
        let target = Target::Address(bootstrap.clone());
        let mut dialer = Dialer::default();
        dialer.keep_address(&bootstrap, now).expect("room");
        assert_eq!(
            dialer.due(now),
            vec![Plan { target: target.clone(), peer: None, addresses: vec![bootstrap.clone()] }]
        );
        dialer.connected(peer, Some(&target), now);
        assert_eq!(dialer.next(), None);
        dialer.disconnected(peer, now + STABLE, 0.0);
        assert_eq!(dialer.due(now + STABLE * 2)[0].peer, Some(peer));
        dialer.failed(&target, now + STABLE * 2, 0.0);
        assert_eq!(dialer.due(now + STABLE * 4)[0].peer, None);
    }

    #[test]
    fn a_forgotten_peer_is_not_dialled() {
        let (peer, now) = (PeerId::random(), Instant::now());
        let mut dialer = Dialer::default();
        dialer.keep(peer, vec![], false, now).expect("room");
        dialer.forget(peer);
        assert_eq!(dialer.next(), None);
        dialer.disconnected(peer, now, 0.0);
        dialer.failed(&Target::Peer(peer), now, 0.0);
        assert_eq!(dialer.next(), None);
    }

    #[test]
    fn a_peer_seen_on_the_local_network_is_kept_while_it_is_seen() {
        let (peer, now) = (PeerId::random(), Instant::now());
        let lan = address("/ip4/192.168.0.9/tcp/1");
        let mut dialer = Dialer::default();
        dialer.saw(peer, lan.clone(), false, now).expect("room");
        assert!(dialer.is_kept(&peer));
        dialer.lost(peer);
        assert!(!dialer.is_kept(&peer));
        dialer.saw(peer, lan, false, now).expect("room");
        dialer.keep(peer, vec![], false, now).expect("room");
        dialer.lost(peer);
        assert!(dialer.is_kept(&peer));
    }

    #[test]
    fn what_is_remembered_and_kept_is_bounded() {
        let (peer, now) = (PeerId::random(), Instant::now());
        let mut dialer = Dialer::default();
        dialer.learn(peer, (1..100).map(|port| address(&format!("/ip4/10.0.0.1/tcp/{port}"))));
        assert_eq!(dialer.book[&peer].len(), ADDRESSES_PER_PEER_MAX);
        for _ in 0..TARGETS_MAX {
            dialer.keep(PeerId::random(), vec![], false, now).expect("room");
        }
        assert_eq!(dialer.keep(PeerId::random(), vec![], false, now), Err(Full));
    }
}
