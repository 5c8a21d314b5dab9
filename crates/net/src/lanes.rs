//! Negotiates the streams of lanes: a libp2p behaviour and its connection handler.
//!
//! The peer with the smaller id opens one duplex stream per lane, the other one accepts; so a lane has
//! exactly one side that re-opens it, and two resets at once cannot chase each other. Streams leave
//! this module as soon as they are negotiated: frames never pass through the swarm.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::swarm::handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
    NotifyHandler, StreamUpgradeError, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, Stream};

use super::Lane;

/// From asking for a stream to its being negotiated: one round trip of a very bad path.
const OPEN_DEADLINE: Duration = Duration::from_secs(10);

/// What the behaviour tells the driver.
#[derive(Debug)]
pub(super) enum LanesEvent {
    /// A stream for a lane, on the peer's current connection.
    Stream { peer: PeerId, lane: Lane, stream: Stream },
    /// We asked for a stream and did not get one.
    OpenFailed { peer: PeerId, lane: Lane, failure: OpenFailure },
}

/// Why a stream was not negotiated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OpenFailure {
    /// The peer does not speak the protocol: it is not one of us.
    Unsupported,
    /// It took longer than [`OPEN_DEADLINE`].
    Deadline,
    /// The stream failed.
    Io(String),
}

/// The behaviour. A peer's current connection is the newest one that was let in.
#[derive(Debug)]
pub(super) struct Behaviour {
    local: PeerId,
    current: BTreeMap<PeerId, ConnectionId>,
    events: VecDeque<ToSwarm<LanesEvent, Lane>>,
    waker: Option<Waker>,
}

impl Behaviour {
    pub(super) fn new(local: PeerId) -> Self {
        Self { local, current: BTreeMap::new(), events: VecDeque::new(), waker: None }
    }

    /// Whether this side opens the lanes to a peer.
    pub(super) fn opens(&self, peer: &PeerId) -> bool {
        is_smaller(&self.local, peer)
    }

    /// Asks for a stream on the peer's current connection; the answer is an event.
    pub(super) fn open(&mut self, peer: PeerId, lane: Lane) {
        if let Some(connection) = self.current.get(&peer) {
            let handler = NotifyHandler::One(*connection);
            self.events.push_back(ToSwarm::NotifyHandler { peer_id: peer, handler, event: lane });
            if let Some(waker) = self.waker.take() {
                waker.wake();
            }
        }
    }

    fn admit(&mut self, peer: PeerId, connection: ConnectionId) -> Handler {
        self.current.insert(peer, connection);
        Handler { opener: self.opens(&peer), wanted: VecDeque::new(), reports: VecDeque::new() }
    }
}

/// The order of peers that decides who opens: that of their encoded ids.
pub(super) fn is_smaller(one: &PeerId, other: &PeerId) -> bool {
    one.to_bytes() < other.to_bytes()
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = LanesEvent;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.admit(peer, connection))
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.admit(peer, connection))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ConnectionClosed(closed) = event
            && self.current.get(&closed.peer_id) == Some(&closed.connection_id)
        {
            self.current.remove(&closed.peer_id);
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        // A stream of a connection that has been superseded dies with it.
        if self.current.get(&peer) == Some(&connection) {
            let (lane, outcome) = event;
            let event = match outcome {
                Ok(stream) => LanesEvent::Stream { peer, lane, stream },
                Err(failure) => LanesEvent::OpenFailed { peer, lane, failure },
            };
            self.events.push_back(ToSwarm::GenerateEvent(event));
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(event);
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// The handler of one connection.
#[derive(Debug)]
pub(super) struct Handler {
    opener: bool,
    /// Lanes to ask a stream for; at most one request per lane is under way.
    wanted: VecDeque<Lane>,
    reports: VecDeque<(Lane, Result<Stream, OpenFailure>)>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Lane;
    type ToBehaviour = (Lane, Result<Stream, OpenFailure>);
    type InboundProtocol = Protocols;
    type OutboundProtocol = Protocols;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Lane;

    fn listen_protocol(&self) -> SubstreamProtocol<Protocols> {
        SubstreamProtocol::new(Protocols(&Lane::ALL), ()).with_timeout(OPEN_DEADLINE)
    }

    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn on_behaviour_event(&mut self, lane: Lane) {
        self.wanted.push_back(lane);
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "libp2p's list grows; nothing else concerns streams")]
    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Protocols, Protocols, (), Lane>) {
        match event {
            // A stream that the rule gives us to open is dropped, which resets it.
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol: (lane, stream), .. })
                if !self.opener =>
            {
                self.report(lane, Ok(stream));
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol: (lane, stream), .. }) => {
                self.report(lane, Ok(stream));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info: lane, error }) => {
                let failure = match error {
                    StreamUpgradeError::NegotiationFailed => OpenFailure::Unsupported,
                    StreamUpgradeError::Timeout => OpenFailure::Deadline,
                    StreamUpgradeError::Io(error) => OpenFailure::Io(error.to_string()),
                    StreamUpgradeError::Apply(never) => match never {},
                };
                self.report(lane, Err(failure));
            }
            _ => {}
        }
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Protocols, Lane, Self::ToBehaviour>> {
        // Both queues are filled from calls after which the swarm polls the handler anyway.
        if let Some(report) = self.reports.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(report));
        }
        if let Some(lane) = self.wanted.pop_front() {
            let protocol = SubstreamProtocol::new(Protocols(lane.as_slice()), lane).with_timeout(OPEN_DEADLINE);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        Poll::Pending
    }
}

impl Handler {
    /// Keeps the newest outcome per lane: a peer that opens streams in a loop holds one at a time.
    fn report(&mut self, lane: Lane, outcome: Result<Stream, OpenFailure>) {
        self.reports.retain(|(other, _)| *other != lane);
        self.reports.push_back((lane, outcome));
    }
}

/// The protocols to offer or accept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Protocols(&'static [Lane]);

impl UpgradeInfo for Protocols {
    type Info = Lane;
    type InfoIter = std::iter::Copied<std::slice::Iter<'static, Lane>>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.iter().copied()
    }
}

impl InboundUpgrade<Stream> for Protocols {
    type Output = (Lane, Stream);
    type Error = Infallible;
    type Future = Ready<Result<(Lane, Stream), Infallible>>;

    fn upgrade_inbound(self, stream: Stream, lane: Lane) -> Self::Future {
        ready(Ok((lane, stream)))
    }
}

impl OutboundUpgrade<Stream> for Protocols {
    type Output = (Lane, Stream);
    type Error = Infallible;
    type Future = Ready<Result<(Lane, Stream), Infallible>>;

    fn upgrade_outbound(self, stream: Stream, lane: Lane) -> Self::Future {
        ready(Ok((lane, stream)))
    }
}
