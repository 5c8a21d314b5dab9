//! What the swarm reports, and what follows from it.

use std::time::Instant;

use libp2p::core::ConnectedPoint;
use libp2p::gossipsub::{self, MessageAcceptance};
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, identify, mdns, ping};

use super::super::dialer::{ADDRESSES_PER_PEER_MAX, Target};
use super::super::error::{DialFailure, LaneResetReason};
use super::super::lanes::LanesEvent;
use super::super::links::Duplicate;
use super::super::start::StackEvent;
use super::super::{GOSSIP_PAYLOAD_BYTES_MAX, MessageToken, NetEvent, address};
use super::{Driver, Purpose, jitter};

/// Addresses under which others see us that are reported once each.
const EXTERNAL_ADDRESSES_MAX: usize = 16;

/// The longest name of a peer's program that is kept.
const AGENT_CHARS_MAX: usize = 64;

impl Driver {
    #[expect(clippy::wildcard_enum_match_arm, reason = "libp2p's list grows; the rest needs no answer")]
    pub(super) fn happened(&mut self, event: SwarmEvent<StackEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.reported(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.connected(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                if let Some(cause) = cause {
                    tracing::debug!(peer = %peer_id, %cause, "connection closed");
                }
                self.disconnected(peer_id, connection_id);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error } => {
                self.dial_ended(connection_id, peer_id, error);
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                tracing::debug!(from = %send_back_addr, %error, "an incoming connection failed");
            }
            SwarmEvent::NewListenAddr { address, .. } if !self.listening.contains(&address) => {
                self.listening.push(address.clone());
                self.emit(NetEvent::ListenAddr { address });
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => self.listen_expired(address),
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                tracing::warn!(?addresses, ?reason, "a listener closed");
                for address in addresses {
                    self.listen_expired(address);
                }
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "a listener reports an error"),
            SwarmEvent::NewExternalAddrCandidate { address } => {
                let room = self.external.len() < EXTERNAL_ADDRESSES_MAX;
                if room && self.external.insert(address.clone()) {
                    self.emit(NetEvent::ExternalAddr { address });
                }
            }
            _ => {}
        }
    }

    fn reported(&mut self, event: StackEvent) {
        match event {
            StackEvent::Gossip(event) => self.gossiped(event),
            StackEvent::Lanes(LanesEvent::Stream { peer, lane, stream }) => self.lane_stream(peer, lane, stream),
            StackEvent::Lanes(LanesEvent::OpenFailed { peer, lane, failure }) => {
                self.lane_open_failed(peer, lane, &failure);
            }
            StackEvent::Identify(identify::Event::Received { peer_id, info, .. }) => self.identified(peer_id, info),
            StackEvent::Identify(_) => {}
            StackEvent::Ping(event) => self.pinged(event),
            StackEvent::Mdns(event) => self.seen_on_lan(event),
            StackEvent::Limits(never) => match never {},
            StackEvent::Links(never) => match never {},
        }
    }

    fn connected(&mut self, peer: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        let now = Instant::now();
        let through = match self.dials.remove(&connection) {
            Some(Purpose::Kept(target)) => Some(target),
            Some(Purpose::Once { .. }) | None => None,
        };
        self.dialer.connected(peer, through.as_ref(), now);
        if !self.swarm.behaviour().links.is_current(&peer, connection) {
            return;
        }
        tracing::debug!(%peer, address = %endpoint.get_remote_address(), "connected");
        if self.peers.connected(peer, connection, endpoint, now) {
            self.emit(NetEvent::PeerConnected { peer });
        }
        self.open_lanes(peer, connection);
    }

    fn disconnected(&mut self, peer: PeerId, connection: ConnectionId) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        if known.connection != connection {
            return;
        }
        known.connected = false;
        known.reset_lanes(&LaneResetReason::ConnectionClosed);
        self.dialer.disconnected(peer, Instant::now(), jitter());
        self.finish_disconnect(peer);
    }

    /// A dial ended without a connection.
    pub(super) fn dial_ended(&mut self, connection: ConnectionId, peer: Option<PeerId>, error: DialError) {
        let Some(purpose) = self.dials.remove(&connection) else { return };
        let connected = peer.filter(|peer| self.peers.is_connected(peer));
        let failure = match error {
            DialError::DialPeerConditionFalse(_) => {
                self.dial_needless(connected, &purpose);
                return;
            }
            DialError::Denied { cause } => {
                if cause.downcast_ref::<Duplicate>().is_some() {
                    self.dial_needless(connected, &purpose);
                    return;
                }
                DialFailure::Denied(cause.to_string())
            }
            DialError::LocalPeerId { .. } => DialFailure::OwnAddress,
            DialError::NoAddresses => DialFailure::NoAddress,
            DialError::WrongPeerId { obtained, .. } => DialFailure::WrongPeer { obtained },
            DialError::Aborted => DialFailure::Unreachable("nobody answered in time".to_owned()),
            DialError::Transport(errors) => DialFailure::Unreachable(describe(&errors)),
        };
        self.dial_failed(peer, purpose, failure);
    }

    pub(super) fn dial_failed(&mut self, peer: Option<PeerId>, purpose: Purpose, failure: DialFailure) {
        self.counters.dial_failure();
        let (peer, address) = match purpose {
            Purpose::Once { peer: wanted, address } => (wanted.or(peer), Some(address)),
            Purpose::Kept(target) => {
                if failure == DialFailure::OwnAddress {
                    // Lists of bootstrap addresses are shared, and name their reader too.
                    self.dialer.give_up(&target);
                } else {
                    self.dialer.failed(&target, Instant::now(), jitter());
                }
                match target {
                    Target::Peer(peer) => (Some(peer), None),
                    Target::Address(address) => (peer, Some(address)),
                }
            }
        };
        tracing::debug!(?peer, ?address, %failure, "a dial failed");
        self.emit(NetEvent::DialFailed { peer, address, failure });
    }

    /// A dial was not made, or its connection not taken, because there is another.
    fn dial_needless(&mut self, connected: Option<PeerId>, purpose: &Purpose) {
        if let Purpose::Kept(target) = purpose {
            match connected {
                Some(peer) => self.dialer.connected(peer, Some(target), Instant::now()),
                // Another dial to the peer is under way: look again when it has ended.
                None => self.dialer.failed(target, Instant::now(), jitter()),
            }
        }
    }

    fn gossiped(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                if message.data.len() > GOSSIP_PAYLOAD_BYTES_MAX {
                    self.counters.gossip_refused();
                    let gossip = &mut self.swarm.behaviour_mut().gossip;
                    gossip.report(&message_id, &propagation_source, MessageAcceptance::Reject);
                    return;
                }
                self.counters.gossip_in();
                self.emit(NetEvent::Gossip {
                    topic: message.topic.into_string(),
                    source: message.source,
                    propagation_source,
                    token: MessageToken { id: message_id, from: propagation_source },
                    bytes: message.data,
                });
            }
            gossipsub::Event::Subscribed { peer_id, topic } => {
                self.emit(NetEvent::Subscribed { peer: peer_id, topic: topic.into_string() });
            }
            gossipsub::Event::Unsubscribed { peer_id, topic } => {
                self.emit(NetEvent::Unsubscribed { peer: peer_id, topic: topic.into_string() });
            }
            gossipsub::Event::SlowPeer { peer_id, .. } => {
                tracing::debug!(peer = %peer_id, "a slow peer: gossip to it was dropped");
            }
            gossipsub::Event::GossipsubNotSupported { peer_id } => {
                tracing::debug!(peer = %peer_id, "the peer does not speak our gossip");
            }
        }
    }

    fn identified(&mut self, peer: PeerId, info: identify::Info) {
        let mut addresses: Vec<Multiaddr> = Vec::new();
        for address in info.listen_addrs {
            let (bare, named) = address::split_peer(&address);
            let fits = named.is_none_or(|named| named == peer) && address::is_dialable(&bare);
            if fits && addresses.len() < ADDRESSES_PER_PEER_MAX && !addresses.contains(&bare) {
                addresses.push(bare);
            }
        }
        let Some(known) = self.peers.get_mut(&peer) else { return };
        known.agent = Some(info.agent_version.chars().filter(|c| !c.is_control()).take(AGENT_CHARS_MAX).collect());
        known.addresses.clone_from(&addresses);
        if self.dialer.is_kept(&peer) {
            self.dialer.learn(peer, addresses.iter().cloned());
        }
        if !addresses.is_empty() {
            self.emit(NetEvent::PeerAddrs { peer, addresses });
        }
    }

    fn pinged(&mut self, event: ping::Event) {
        let Some(known) = self.peers.get_mut(&event.peer) else { return };
        if known.connection != event.connection {
            return;
        }
        match event.result {
            Ok(rtt) => known.rtt = Some(rtt),
            Err(ping::Failure::Unsupported) => {}
            Err(error) => {
                tracing::debug!(peer = %event.peer, %error, "the peer does not answer: closing the connection");
                self.swarm.close_connection(event.connection);
            }
        }
    }

    fn seen_on_lan(&mut self, event: mdns::Event) {
        let now = Instant::now();
        match event {
            mdns::Event::Discovered(found) => {
                for (peer, address) in found {
                    let connected = self.peers.is_connected(&peer);
                    if self.dialer.saw(peer, address, connected, now).is_err() {
                        tracing::debug!(%peer, "too many peers on the local network: ignored");
                    }
                }
            }
            mdns::Event::Expired(gone) => {
                for (peer, _) in gone {
                    let mdns = self.swarm.behaviour().mdns.as_ref();
                    // Another of its addresses may still be announced.
                    if mdns.is_none_or(|mdns| mdns.discovered_nodes().all(|other| *other != peer)) {
                        self.dialer.lost(peer);
                    }
                }
            }
        }
    }

    fn listen_expired(&mut self, address: Multiaddr) {
        if let Some(index) = self.listening.iter().position(|known| *known == address) {
            self.listening.remove(index);
            self.emit(NetEvent::ListenAddrExpired { address });
        }
    }
}

/// One line for all addresses of a dial.
fn describe(errors: &[(Multiaddr, libp2p::TransportError<std::io::Error>)]) -> String {
    let one = |(address, error): &(Multiaddr, libp2p::TransportError<std::io::Error>)| format!("{address}: {error}");
    errors.iter().map(one).collect::<Vec<_>>().join("; ")
}
