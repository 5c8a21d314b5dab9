//! What the driver knows of each peer: its connection and the state of its lanes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use libp2p::core::ConnectedPoint;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId, Stream};

use super::error::LaneResetReason;
use super::lane::LaneSender;
use super::{Lane, PeerStatus, address};

/// The delay before a lane is opened anew, doubled for each life that was short.
const REOPEN_MIN: Duration = Duration::from_millis(20);

/// The longest such delay.
const REOPEN_MAX: Duration = Duration::from_secs(2);

/// A lane that lived as long as this did not fail at once.
const LIVED: Duration = Duration::from_secs(5);

/// One lane of a peer.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// The lane's task is there, perhaps on its way out.
    pub(super) running: Option<LaneSender>,
    /// A stream that takes over when that task has ended.
    pub(super) next: Option<Stream>,
    /// We asked for a stream.
    pub(super) opening: bool,
    /// Requests for a stream that failed in a row.
    pub(super) open_failures: u32,
    short_lives: u32,
    begun: Option<Instant>,
}

impl Slot {
    pub(super) fn begin(&mut self, sender: LaneSender, now: Instant) {
        self.running = Some(sender);
        self.begun = Some(now);
        self.open_failures = 0;
    }

    /// The lane's task has ended; the delay before it is opened anew.
    pub(super) fn end(&mut self, now: Instant) -> Duration {
        self.running = None;
        let lived = self.begun.take().is_some_and(|begun| now.saturating_duration_since(begun) >= LIVED);
        self.short_lives = if lived { 0 } else { self.short_lives.saturating_add(1) };
        REOPEN_MIN.saturating_mul(1 << self.short_lives.saturating_sub(1).min(16)).min(REOPEN_MAX)
    }
}

/// A peer that is connected, or whose lanes are still ending.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) connection: ConnectionId,
    pub(super) connected: bool,
    pub(super) rtt: Option<Duration>,
    pub(super) addresses: Vec<Multiaddr>,
    pub(super) agent: Option<String>,
    remote: Multiaddr,
    outbound: bool,
    since: Instant,
    sync: Slot,
    blob: Slot,
}

impl Peer {
    pub(super) fn slot(&mut self, lane: Lane) -> &mut Slot {
        match lane {
            Lane::Sync => &mut self.sync,
            Lane::Blob => &mut self.blob,
        }
    }

    /// Ends all lanes.
    pub(super) fn reset_lanes(&mut self, reason: &LaneResetReason) {
        for slot in [&mut self.sync, &mut self.blob] {
            slot.next = None;
            slot.opening = false;
            if let Some(sender) = &slot.running {
                sender.reset(reason.clone());
            }
        }
    }

    /// Whether no lane has a task any more.
    pub(super) fn is_quiet(&self) -> bool {
        self.sync.running.is_none() && self.blob.running.is_none()
    }

    pub(super) fn has_open_lane(&self) -> bool {
        !self.is_quiet()
    }

    fn status(&self, peer: PeerId) -> PeerStatus {
        let open = |(lane, slot): (Lane, &Slot)| slot.running.as_ref().map(|_| lane);
        PeerStatus {
            peer,
            address: self.remote.clone(),
            addresses: self.addresses.clone(),
            direct: !address::is_relayed(&self.remote),
            outbound: self.outbound,
            transport: address::transport(&self.remote),
            rtt: self.rtt,
            since: self.since,
            agent: self.agent.clone(),
            score: None,
            lanes: [(Lane::Sync, &self.sync), (Lane::Blob, &self.blob)].into_iter().filter_map(open).collect(),
        }
    }
}

/// All peers, in the order of their ids.
#[derive(Debug, Default)]
pub(super) struct Peers {
    map: BTreeMap<PeerId, Peer>,
}

impl Peers {
    pub(super) fn get_mut(&mut self, peer: &PeerId) -> Option<&mut Peer> {
        self.map.get_mut(peer)
    }

    pub(super) fn is_connected(&self, peer: &PeerId) -> bool {
        self.map.get(peer).is_some_and(|peer| peer.connected)
    }

    /// Notes the connection that stands for a peer from now on. `true` if the peer is new.
    pub(super) fn connected(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        endpoint: &ConnectedPoint,
        now: Instant,
    ) -> bool {
        let (remote, _) = address::split_peer(endpoint.get_remote_address());
        let outbound = endpoint.is_dialer();
        if let Some(known) = self.map.get_mut(&peer) {
            known.reset_lanes(&LaneResetReason::Superseded);
            known.connection = connection;
            known.connected = true;
            known.remote = remote;
            known.outbound = outbound;
            known.since = now;
            known.rtt = None;
            return false;
        }
        let fresh = Peer {
            connection,
            connected: true,
            rtt: None,
            addresses: Vec::new(),
            agent: None,
            remote,
            outbound,
            since: now,
            sync: Slot::default(),
            blob: Slot::default(),
        };
        self.map.insert(peer, fresh);
        true
    }

    pub(super) fn remove(&mut self, peer: &PeerId) {
        self.map.remove(peer);
    }

    pub(super) fn ids(&self) -> Vec<PeerId> {
        self.map.keys().copied().collect()
    }

    pub(super) fn reset_all(&mut self, reason: &LaneResetReason) {
        for peer in self.map.values_mut() {
            peer.reset_lanes(reason);
        }
    }

    pub(super) fn statuses(&self) -> Vec<PeerStatus> {
        self.map.iter().filter(|(_, peer)| peer.connected).map(|(id, peer)| peer.status(*id)).collect()
    }
}
