//! The errors of the network, one enum for each operation.

use std::io;

use libp2p::{Multiaddr, PeerId};

/// Why the network could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// The peer key is not usable.
    #[error("the peer key cannot be used: {0}")]
    Identity(String),
    /// Another program, or another node, listens there.
    #[error("{address} is in use by another program")]
    AddressInUse {
        /// The address that was asked for.
        address: Multiaddr,
    },
    /// The address is neither `/tcp/` nor `/udp/…/quic-v1`.
    #[error("{address} is not an address that this node can listen on; use /ip4/…/tcp/… or /ip4/…/udp/…/quic-v1")]
    AddressUnsupported {
        /// The address that was asked for.
        address: Multiaddr,
    },
    /// The operating system refused to listen.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address that was asked for.
        address: Multiaddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// No interface came up for the address in time.
    #[error("no network interface came up for {address}")]
    ListenTimeout {
        /// The address that was asked for.
        address: Multiaddr,
    },
    /// Multicast DNS could not start.
    #[error("cannot look for peers on the local network: {0}")]
    Mdns(io::Error),
    /// The settings of gossip contradict each other.
    #[error("the gossip settings are not consistent: {0}")]
    Gossip(String),
}

/// The network has shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the network has shut down")]
pub struct Closed;

/// Why a frame was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The peer is not connected, or the lane is not open (yet, or any more).
    #[error("the lane to this peer is not open")]
    NotOpen,
    /// The frame is larger than a frame may be.
    #[error("a frame of {bytes} bytes is larger than {} bytes", super::FRAME_BYTES_MAX)]
    FrameTooLarge {
        /// Its size in bytes.
        bytes: usize,
    },
    /// The peer does not keep up: its queue was full, so that the lane has been reset.
    #[error("the queue to this peer was full; the lane was reset")]
    Overflow,
}

/// Why a gossip message was not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Larger than a gossip payload may be. Announce it by id and let peers fetch it.
    #[error("a message of {bytes} bytes is larger than {} bytes", super::GOSSIP_PAYLOAD_BYTES_MAX)]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
    },
    /// No connected peer is subscribed to the topic. Nothing is lost: peers compare logs on connect.
    #[error("no connected peer is subscribed to the topic")]
    NoPeers,
    /// The queues to all subscribed peers are full.
    #[error("the queues to all {peers} subscribed peers are full")]
    QueuesFull {
        /// How many peers.
        peers: usize,
    },
    /// Signing or encoding failed.
    #[error("the message could not be made: {0}")]
    Failed(String),
    /// The network has shut down.
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// Why a topic was not subscribed to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// All topics have to fit one greeting.
    #[error("this node is subscribed to {} topics already, the most that it may be", super::TOPICS_MAX)]
    TooManyTopics,
    /// The name is empty or too long.
    #[error("a topic name of {bytes} bytes is not between 1 and {}", super::TOPIC_BYTES_MAX)]
    TopicName {
        /// Its size in bytes.
        bytes: usize,
    },
    /// Gossip refused it.
    #[error("gossip refused the topic: {0}")]
    Refused(String),
    /// The network has shut down.
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// Why a dial did not lead to a connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialFailure {
    /// The address is our own.
    #[error("this is our own address")]
    OwnAddress,
    /// There is no address to try that we can dial.
    #[error("no address is known that this node can dial")]
    NoAddress,
    /// Somebody else answered.
    #[error("peer {obtained} answered in its place")]
    WrongPeer {
        /// Who it was.
        obtained: PeerId,
    },
    /// A limit of this node forbids another connection.
    #[error("refused by this node: {0}")]
    Denied(String),
    /// The address could not be reached or the handshake failed.
    #[error("{0}")]
    Unreachable(String),
}

/// Why a lane was reset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaneResetReason {
    /// The connection is gone.
    #[error("the connection closed")]
    ConnectionClosed,
    /// A newer connection to the same peer took over.
    #[error("a newer connection took over")]
    Superseded,
    /// The peer closed or reset the stream.
    #[error("the peer closed the stream")]
    ClosedByPeer,
    /// The peer opened a new stream for the lane.
    #[error("the peer opened the lane anew")]
    Reopened,
    /// Our queue to the peer was full.
    #[error("the outbound queue was full")]
    Overflow,
    /// The peer announced a frame above the limit.
    #[error("the peer announced a frame of {bytes} bytes")]
    FrameTooLarge {
        /// The announced size in bytes.
        bytes: u32,
    },
    /// A frame that had begun did not arrive in time.
    #[error("a frame did not arrive in time")]
    FrameDeadline,
    /// The stream ended within a frame.
    #[error("the stream ended within a frame")]
    Truncated,
    /// The stream failed otherwise.
    #[error("the stream failed: {0}")]
    Io(String),
    /// We asked for it.
    #[error("reset on request")]
    Requested,
    /// The network is shutting down.
    #[error("the network is shutting down")]
    Shutdown,
}
