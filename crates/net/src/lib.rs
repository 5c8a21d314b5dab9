//! The network: libp2p behind a small face.
//!
//! [`Network::start`] gives a cheap handle, one bounded receiver of [`NetEvent`]s and an owner whose
//! drop ends every task. A connected peer has two **lanes**, ordered duplex channels of frames
//! ([`Lane::Sync`] and [`Lane::Blob`]), and shares **topics** of signed gossip with us. Gossip is a
//! hint that may be lost; a lane is reliable from [`NetEvent::LaneOpened`] to
//! [`NetEvent::LaneReset`].
//!
//! Rules of concurrency: one task drives the swarm and never waits for the consumer: while the
//! consumer is behind it does not poll the swarm, so that peers are slowed down and nothing piles up.
//! Each lane has a task of its own that reads only while its frames' credit lasts. Nothing is dialled
//! that was not asked for: bootstrap addresses, [`Network::dial`], [`Network::keep_connected`] and, if
//! enabled, peers on the local network.

mod address;
mod commands;
mod counters;
mod dialer;
mod driver;
mod error;
mod gossip;
mod lane;
mod lanes;
mod links;
mod mux;
mod peers;
mod start;
#[cfg(test)]
mod tests;
mod transport;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libp2p::{Multiaddr, PeerId};
use tokio::sync::{mpsc, oneshot};

pub use address::{Transport, split_peer, with_peer};
use commands::{Command, Lanes};
pub use counters::NetCounters;
pub use error::{Closed, DialFailure, LaneResetReason, NetError, PublishError, SendError, SubscribeError};
pub use lane::Credit;

/// The largest frame of a lane: a MiB of content and 64 KiB of framing around it.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024 + 64 * 1024;

/// The largest gossip payload. What is larger is announced by id and fetched over a lane.
pub const GOSSIP_PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// Topics that a node may be subscribed to: two per context, and they have to fit one greeting of
/// less than a MiB.
pub const TOPICS_MAX: usize = 8192;

/// The longest topic name; `/mesto/context/` and an id take 67 bytes.
pub const TOPIC_BYTES_MAX: usize = 96;

/// Events that wait for the consumer. Frames in it are bounded by their lanes' credit besides.
const EVENTS_MAX: usize = 1024;

/// Commands that wait for the driver; a caller waits for room.
const COMMANDS_MAX: usize = 256;

/// How many connections a node holds and negotiates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetLimits {
    /// Established connections, both ways.
    pub connections_max: u32,
    /// Established connections that others dialled. Lower than the total, so that strangers cannot
    /// take all places.
    pub inbound_max: u32,
    /// Connections to one peer. More than one exists only while a newcomer takes over.
    pub per_peer_max: u32,
    /// Connections in their handshake, for each direction.
    pub pending_max: u32,
}

impl Default for NetLimits {
    fn default() -> Self {
        Self { connections_max: 256, inbound_max: 192, per_peer_max: 4, pending_max: 64 }
    }
}

/// What a network is started with.
#[derive(Clone)]
pub struct NetConfig {
    /// The seed of the Ed25519 peer key.
    pub keypair_seed: [u8; 32],
    /// Where to listen: `/ip4/…/tcp/…` and `/ip4/…/udp/…/quic-v1`, and the same for `/ip6`. Port 0 takes
    /// any free port.
    pub listen: Vec<Multiaddr>,
    /// Addresses that are kept connected, with or without `/p2p/…`.
    pub bootstrap: Vec<Multiaddr>,
    /// Whether to announce this node on the local network, and to connect to those found there.
    pub mdns: bool,
    /// Addresses known from before. They are used for peers that [`Network::keep_connected`] names.
    pub peer_book: Vec<(PeerId, Vec<Multiaddr>)>,
    /// Limits on connections.
    pub limits: NetLimits,
    /// Name and version of the program, as peers see it.
    pub agent: String,
}

impl NetConfig {
    /// A configuration that listens nowhere and knows nobody.
    #[must_use]
    pub fn new(keypair_seed: [u8; 32]) -> Self {
        Self {
            keypair_seed,
            listen: Vec::new(),
            bootstrap: Vec::new(),
            mdns: false,
            peer_book: Vec::new(),
            limits: NetLimits::default(),
            agent: concat!("mesto/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl fmt::Debug for NetConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The seed stays out of logs.
        f.debug_struct("NetConfig")
            .field("listen", &self.listen)
            .field("bootstrap", &self.bootstrap)
            .field("mdns", &self.mdns)
            .field("peer_book", &self.peer_book.len())
            .field("limits", &self.limits)
            .field("agent", &self.agent)
            .finish_non_exhaustive()
    }
}

/// One of the two frame channels to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Protocol messages: handshakes, entries, pages.
    Sync,
    /// Content of blobs, which must not hold up the former.
    Blob,
}

impl Lane {
    /// All lanes.
    pub const ALL: [Self; 2] = [Self::Sync, Self::Blob];

    fn as_slice(self) -> &'static [Self] {
        match self {
            Self::Sync => &[Self::Sync],
            Self::Blob => &[Self::Blob],
        }
    }
}

impl AsRef<str> for Lane {
    /// The name of the protocol, as it is negotiated.
    fn as_ref(&self) -> &str {
        match self {
            Self::Sync => "/mesto/sync/1",
            Self::Blob => "/mesto/blob/1",
        }
    }
}

/// What to do with a gossip message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is valid: forward it.
    Accept,
    /// It is not, and who sent it to us should have known: drop it and lower their score.
    Reject,
    /// We cannot tell, or do not care: drop it.
    Ignore,
}

/// Names a gossip message until its verdict is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageToken {
    id: libp2p::gossipsub::MessageId,
    from: PeerId,
}

/// What happened. Events of one peer come in the order PeerConnected, then per lane any number of
/// LaneOpened, Frame…, LaneReset, then PeerDisconnected.
#[derive(Debug)]
pub enum NetEvent {
    /// A peer is connected.
    PeerConnected {
        /// Who.
        peer: PeerId,
    },
    /// A peer's last connection is gone, with its lanes and subscriptions.
    PeerDisconnected {
        /// Who.
        peer: PeerId,
    },
    /// Frames can be sent from now on. A lane that opens anew has forgotten everything: begin with a
    /// handshake.
    LaneOpened {
        /// With whom.
        peer: PeerId,
        /// Which lane.
        lane: Lane,
        /// Greater than that of any lane opened before by this node.
        epoch: u64,
    },
    /// A frame arrived.
    Frame {
        /// From whom.
        peer: PeerId,
        /// On which lane.
        lane: Lane,
        /// The lane's epoch.
        epoch: u64,
        /// Its content.
        bytes: Vec<u8>,
        /// Drop it when the frame has been dealt with: reading pauses while too many are held.
        credit: Credit,
    },
    /// The lane ended; what was queued on it may or may not have arrived. It is opened anew while the
    /// peer is connected.
    LaneReset {
        /// With whom.
        peer: PeerId,
        /// Which lane.
        lane: Lane,
        /// The epoch that ended.
        epoch: u64,
        /// Why.
        reason: LaneResetReason,
    },
    /// A signed gossip message, at most [`GOSSIP_PAYLOAD_BYTES_MAX`] bytes. It is forwarded only
    /// after [`Network::report`] accepted it, within some seconds.
    Gossip {
        /// The topic's name.
        topic: String,
        /// Who signed it.
        source: Option<PeerId>,
        /// Who sent it to us.
        propagation_source: PeerId,
        /// To be handed to [`Network::report`].
        token: MessageToken,
        /// Its content.
        bytes: Vec<u8>,
    },
    /// A connected peer is subscribed to a topic. Repeated when it takes over a connection.
    Subscribed {
        /// Who.
        peer: PeerId,
        /// The topic's name.
        topic: String,
    },
    /// A connected peer is no longer subscribed to a topic.
    Unsubscribed {
        /// Who.
        peer: PeerId,
        /// The topic's name.
        topic: String,
    },
    /// We listen on an address.
    ListenAddr {
        /// The address, without `/p2p/…`.
        address: Multiaddr,
    },
    /// We no longer listen on an address.
    ListenAddrExpired {
        /// The address, without `/p2p/…`.
        address: Multiaddr,
    },
    /// A peer sees us at this address, which may be reachable from outside.
    ExternalAddr {
        /// The address, without `/p2p/…`.
        address: Multiaddr,
    },
    /// A connected peer says that it listens on these addresses: for the address book and tickets.
    PeerAddrs {
        /// Who.
        peer: PeerId,
        /// Usable addresses, at most sixteen, without `/p2p/…`.
        addresses: Vec<Multiaddr>,
    },
    /// A dial failed. Peers and addresses that are kept connected are tried again.
    DialFailed {
        /// Whom we meant to reach, if that is known.
        peer: Option<PeerId>,
        /// Where, if there was one address.
        address: Option<Multiaddr>,
        /// Why.
        failure: DialFailure,
    },
}

/// A connected peer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PeerStatus {
    /// Who.
    pub peer: PeerId,
    /// The remote address of the connection.
    pub address: Multiaddr,
    /// Where the peer says that it listens.
    pub addresses: Vec<Multiaddr>,
    /// Without a relay between.
    pub direct: bool,
    /// Whether we dialled.
    pub outbound: bool,
    /// What carries the connection.
    pub transport: Option<Transport>,
    /// The latest round trip.
    pub rtt: Option<Duration>,
    /// Since when.
    pub since: Instant,
    /// Name and version of its program, as it says.
    pub agent: Option<String>,
    /// Its gossip score; negative for one that misbehaved.
    pub score: Option<f64>,
    /// The lanes that are open.
    pub lanes: Vec<Lane>,
}

/// A handle on a running network.
#[derive(Clone, Debug)]
pub struct Network {
    local: PeerId,
    commands: mpsc::Sender<Command>,
    lanes: Lanes,
    counters: Arc<counters::Counters>,
}

/// Ends the network when it is dropped.
#[derive(Debug)]
pub struct NetworkOwner {
    driver: tokio::task::JoinHandle<()>,
}

impl NetworkOwner {
    /// Waits until all of the network has ended, after [`Network::shutdown`].
    pub async fn ended(mut self) {
        // A driver that panicked has ended too.
        let _ = (&mut self.driver).await;
    }
}

impl Drop for NetworkOwner {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Network {
    /// Starts the network. On return it listens on all addresses.
    ///
    /// # Errors
    ///
    /// [`NetError::AddressInUse`] and the other reasons why an address cannot be listened on; a
    /// failure of multicast DNS if that was asked for.
    pub async fn start(config: NetConfig) -> Result<(Self, mpsc::Receiver<NetEvent>, NetworkOwner), NetError> {
        start::start(config).await
    }

    /// Our own id.
    #[must_use]
    pub fn peer_id(&self) -> PeerId {
        self.local
    }

    /// What passed so far.
    #[must_use]
    pub fn counters(&self) -> NetCounters {
        self.counters.read()
    }

    /// The addresses that we listen on, wildcards resolved, without `/p2p/…` ([`with_peer`] adds it).
    ///
    /// # Errors
    ///
    /// After the shutdown.
    pub async fn listen_addrs(&self) -> Result<Vec<Multiaddr>, Closed> {
        self.ask(Command::ListenAddrs).await
    }

    /// The connected peers, in the order of their ids.
    ///
    /// # Errors
    ///
    /// After the shutdown.
    pub async fn peers(&self) -> Result<Vec<PeerStatus>, Closed> {
        self.ask(Command::Peers).await
    }

    /// Dials an address once, with or without `/p2p/…`. The outcome is an event: PeerConnected or
    /// DialFailed; neither if that peer is connected.
    ///
    /// # Errors
    ///
    /// After the shutdown.
    pub async fn dial(&self, address: Multiaddr) -> Result<(), Closed> {
        self.tell(Command::Dial(address)).await
    }

    /// Dials a peer now and whenever it is not connected, at these addresses and those known
    /// otherwise. Calling it again adds addresses.
    ///
    /// # Errors
    ///
    /// After the shutdown.
    pub async fn keep_connected(&self, peer: PeerId, addresses: Vec<Multiaddr>) -> Result<(), Closed> {
        self.tell(Command::KeepConnected { peer, addresses }).await
    }

    /// Ends [`Self::keep_connected`]. A connection that exists stays.
    ///
    /// # Errors
    ///
    /// After the shutdown.
    pub async fn forget(&self, peer: PeerId) -> Result<(), Closed> {
        self.tell(Command::Forget(peer)).await
    }

    /// Closes the connection to a peer. If it is kept connected, it is dialled again.
    ///
    /// # Errors
    ///
    /// After the shutdown.
    pub async fn disconnect(&self, peer: PeerId) -> Result<(), Closed> {
        self.tell(Command::Disconnect(peer)).await
    }

    /// Subscribes to a topic. Cheap, and harmless if we are subscribed.
    ///
    /// # Errors
    ///
    /// Too many topics, a bad name, or after the shutdown.
    pub async fn subscribe(&self, topic: impl Into<String>) -> Result<(), SubscribeError> {
        let topic = topic.into();
        self.ask(|reply| Command::Subscribe { topic, reply }).await?
    }

    /// Ends a subscription.
    ///
    /// # Errors
    ///
    /// After the shutdown.
    pub async fn unsubscribe(&self, topic: impl Into<String>) -> Result<(), Closed> {
        self.tell(Command::Unsubscribe(topic.into())).await
    }

    /// Publishes to the connected peers that are subscribed to the topic, whether or not we are.
    ///
    /// # Errors
    ///
    /// [`PublishError::TooLarge`], and the reasons for which nobody got it.
    pub async fn publish(&self, topic: impl Into<String>, bytes: Vec<u8>) -> Result<(), PublishError> {
        if bytes.len() > GOSSIP_PAYLOAD_BYTES_MAX {
            return Err(PublishError::TooLarge { bytes: bytes.len() });
        }
        let topic = topic.into();
        self.ask(|reply| Command::Publish { topic, bytes, reply }).await?
    }

    /// Says what is to become of a gossip message.
    ///
    /// # Errors
    ///
    /// After the shutdown.
    pub async fn report(&self, token: MessageToken, verdict: Verdict) -> Result<(), Closed> {
        self.tell(Command::Report { token, verdict }).await
    }

    /// Queues a frame without waiting. When the queue is full, the lane is reset: use
    /// [`Self::send_paced`] for streams of frames.
    ///
    /// # Errors
    ///
    /// The lane is not open, the frame is too large, or the queue was full.
    pub fn send(&self, peer: PeerId, lane: Lane, frame: Vec<u8>) -> Result<(), SendError> {
        self.lanes.get(peer, lane).ok_or(SendError::NotOpen)?.send(frame)
    }

    /// As [`Self::send`], but only while the lane is in this epoch, so that a reply to what came over
    /// a lane that has been reset does not stray into the next.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    pub fn send_in(&self, peer: PeerId, lane: Lane, epoch: u64, frame: Vec<u8>) -> Result<(), SendError> {
        let sender = self.lanes.get(peer, lane).filter(|sender| sender.epoch() == epoch);
        sender.ok_or(SendError::NotOpen)?.send(frame)
    }

    /// Queues a frame as soon as there is room for it.
    ///
    /// # Errors
    ///
    /// The lane is not open or ended meanwhile, or the frame is too large.
    pub async fn send_paced(&self, peer: PeerId, lane: Lane, frame: Vec<u8>) -> Result<(), SendError> {
        let sender = self.lanes.get(peer, lane).ok_or(SendError::NotOpen)?;
        sender.send_paced(frame).await
    }

    /// Resets a lane, for example after a frame that does not parse. It is opened anew.
    pub fn reset_lane(&self, peer: PeerId, lane: Lane) {
        if let Some(sender) = self.lanes.get(peer, lane) {
            sender.reset(LaneResetReason::Requested);
        }
    }

    /// Closes all connections and ends all tasks. [`NetworkOwner::ended`] waits for it.
    pub async fn shutdown(&self) {
        // If it has ended already, so much the better.
        let _ = self.tell(Command::Shutdown).await;
    }

    async fn tell(&self, command: Command) -> Result<(), Closed> {
        self.commands.send(command).await.map_err(|_| Closed)
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Closed> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await?;
        answer.await.map_err(|_| Closed)
    }
}
