//! Keeps one connection to a peer: a libp2p behaviour that lets connections in or turns them away,
//! before any other behaviour has seen them.
//!
//! Duplicates arise when two nodes dial each other at once, and when a peer comes back while its old
//! connection lingers. Both sides apply the same rule:
//!
//! - a peer dials only when it has no connection, so a new connection beside one that is older than
//!   [`SIMULTANEOUS_WINDOW`] means that the peer has lost the old one: the new one takes over;
//! - within the window, they dialled at once: the one that the smaller peer dialled stays, among
//!   those the one over QUIC, among those the one that is there.
//!
//! If the two sides disagree nevertheless, both connections die and the dialler's next attempt, after
//! a delay with jitter, decides.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

use super::address::{self, Transport};
use super::lanes::is_smaller;

/// Within this time of each other, two connections count as dialled at once: a slow handshake takes
/// about a second.
pub(super) const SIMULTANEOUS_WINDOW: Duration = Duration::from_secs(2);

/// The connection was turned away because another one to the same peer stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is a connection to this peer already")]
pub(super) struct Duplicate;

/// Which of two connections that were dialled at once stays: the greater rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    dialled_by_smaller: bool,
    quic: bool,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    connection: ConnectionId,
    since: Instant,
    rank: Rank,
}

/// The behaviour. It has to stand before all others that keep state for a connection.
#[derive(Debug)]
pub(super) struct Behaviour {
    local: PeerId,
    links: BTreeMap<PeerId, Link>,
    superseded: VecDeque<(PeerId, ConnectionId)>,
    waker: Option<Waker>,
}

impl Behaviour {
    pub(super) fn new(local: PeerId) -> Self {
        Self { local, links: BTreeMap::new(), superseded: VecDeque::new(), waker: None }
    }

    /// Whether this is the connection that stands for the peer.
    pub(super) fn is_current(&self, peer: &PeerId, connection: ConnectionId) -> bool {
        self.links.get(peer).is_some_and(|link| link.connection == connection)
    }

    fn admit(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        remote: &Multiaddr,
        dialler: Endpoint,
        now: Instant,
    ) -> Result<dummy::ConnectionHandler, ConnectionDenied> {
        let we_are_smaller = is_smaller(&self.local, &peer);
        let rank = Rank {
            dialled_by_smaller: dialler.is_dialer() == we_are_smaller,
            quic: address::transport(remote) == Some(Transport::Quic),
        };
        if let Some(old) = self.links.get(&peer) {
            let at_once = now.saturating_duration_since(old.since) < SIMULTANEOUS_WINDOW;
            if at_once && rank <= old.rank {
                return Err(ConnectionDenied::new(Duplicate));
            }
            self.superseded.push_back((peer, old.connection));
            if let Some(waker) = self.waker.take() {
                waker.wake();
            }
        }
        self.links.insert(peer, Link { connection, since: now, rank });
        Ok(dummy::ConnectionHandler)
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(peer, connection, remote, Endpoint::Listener, Instant::now())
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        remote: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(peer, connection, remote, Endpoint::Dialer, Instant::now())
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ConnectionClosed(closed) = event
            && self.is_current(&closed.peer_id, closed.connection_id)
        {
            self.links.remove(&closed.peer_id);
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        if let Some((peer_id, connection)) = self.superseded.pop_front() {
            return Poll::Ready(ToSwarm::CloseConnection { peer_id, connection: CloseConnection::One(connection) });
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "/ip4/127.0.0.1/tcp/1";
    const QUIC: &str = "/ip4/127.0.0.1/udp/1/quic-v1";

    fn pair() -> (PeerId, PeerId) {
        let (one, other) = (PeerId::random(), PeerId::random());
        if is_smaller(&one, &other) { (one, other) } else { (other, one) }
    }

    fn connection(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    fn remote(text: &str) -> Multiaddr {
        text.parse().expect("a valid address")
    }

    #[test]
    fn of_two_simultaneous_dials_both_sides_keep_the_same_connection() {
        let (small, large) = pair();
        let now = Instant::now();
        // Connection 1 is dialled by the smaller peer, connection 2 by the larger; each side sees its
        // own first.
        let mut at_small = Behaviour::new(small);
        at_small.admit(large, connection(1), &remote(TCP), Endpoint::Dialer, now).expect("first");
        assert!(at_small.admit(large, connection(2), &remote(TCP), Endpoint::Listener, now).is_err());
        let mut at_large = Behaviour::new(large);
        at_large.admit(small, connection(2), &remote(TCP), Endpoint::Dialer, now).expect("first");
        at_large.admit(small, connection(1), &remote(TCP), Endpoint::Listener, now).expect("preferred");
        assert!(at_small.is_current(&large, connection(1)));
        assert!(at_large.is_current(&small, connection(1)));
        assert_eq!(Vec::from(at_large.superseded), vec![(small, connection(2))]);
    }

    #[test]
    fn of_two_transports_both_sides_keep_quic_in_either_order() {
        let (small, large) = pair();
        let now = Instant::now();
        for order in [[1, 2], [2, 1]] {
            let mut links = Behaviour::new(small);
            for number in order {
                let address = remote(if number == 1 { TCP } else { QUIC });
                let _ = links.admit(large, connection(number), &address, Endpoint::Dialer, now);
            }
            assert!(links.is_current(&large, connection(2)));
        }
    }

    #[test]
    fn a_newcomer_takes_over_from_a_connection_that_has_stood_for_a_while() {
        let (small, large) = pair();
        let then = Instant::now();
        let mut links = Behaviour::new(small);
        links.admit(large, connection(1), &remote(QUIC), Endpoint::Dialer, then).expect("first");
        let later = then + SIMULTANEOUS_WINDOW;
        links.admit(large, connection(2), &remote(TCP), Endpoint::Listener, later).expect("takes over");
        assert!(links.is_current(&large, connection(2)));
    }
}
