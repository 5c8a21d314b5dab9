//! Gossipsub, set up for small private meshes with many topics, and shielded from duplicate
//! connections.
//!
//! Gossipsub greets a peer with our topics once, on its first connection, and forgets the peer's on
//! the close of its last. When a peer restarts while its old connection lingers, the greeting never
//! reaches it; when a duplicate closes, a greeting that was queued for it is lost. So [`Behaviour`]
//! shows gossipsub one connection per peer: a newcomer first closes the old one, from its point of
//! view, and everything on the new one starts afresh.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::transport::PortUse;
use libp2p::core::{ConnectedPoint, Endpoint};
use libp2p::gossipsub::{
    self, AllowAllSubscriptionFilter, IdentTopic, MaxCountSubscriptionFilter, MessageAuthenticity, MessageId,
    PeerScoreParams, PeerScoreThresholds, TopicHash, TopicScoreParams,
};
use libp2p::identity::Keypair;
use libp2p::swarm::behaviour::ConnectionEstablished;
use libp2p::swarm::{
    ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

use super::error::{NetError, PublishError, SubscribeError};
use super::{GOSSIP_PAYLOAD_BYTES_MAX, TOPIC_BYTES_MAX, TOPICS_MAX};

/// The largest message on the wire. A greeting names all topics at once: [`TOPICS_MAX`] of them, with
/// their framing, fit with room to spare; payloads are held far below, because what comes near this
/// limit is dropped by the receiver without a word to the sender.
const TRANSMIT_BYTES_MAX: usize = 1024 * 1024;

/// How often the mesh is tended. A node that missed a message learns of it from the next round.
const HEARTBEAT: Duration = Duration::from_millis(700);

/// Heartbeats for which a message is kept to be validated, forwarded and handed out: 8.4 seconds.
const HISTORY_HEARTBEATS: usize = 12;

/// Time for which an id is remembered as seen. Longer than any detour of a message.
const DUPLICATE_MEMORY: Duration = Duration::from_secs(120);

/// Messages that wait for one peer. What does not fit is dropped; peers find it by comparing logs.
const PEER_QUEUE_MESSAGES_MAX: usize = 1024;

/// Time after which a topic that was left may be joined again. The default of ten seconds would keep
/// a member that was removed and added again out of the mesh.
const REJOIN_BACKOFF: Duration = Duration::from_secs(1);

/// Peers from one address before it counts against them; an office behind one router is normal.
const SAME_ADDRESS_PEERS_MAX: f64 = 32.0;

type Inner = gossipsub::Behaviour<gossipsub::IdentityTransform, Filter>;
type Filter = MaxCountSubscriptionFilter<AllowAllSubscriptionFilter>;

/// The connection of a peer that gossipsub knows of.
#[derive(Debug)]
struct Shown {
    connection: ConnectionId,
    /// Known from the moment that the swarm confirms the connection.
    endpoint: Option<ConnectedPoint>,
}

/// Gossipsub with one connection per peer.
pub(super) struct Behaviour {
    inner: Inner,
    shown: BTreeMap<PeerId, Shown>,
    /// Subscriptions that ended with a connection that was taken over.
    ended: VecDeque<(PeerId, TopicHash)>,
    topics: usize,
}

impl Behaviour {
    pub(super) fn new(keypair: &Keypair) -> Result<Self, NetError> {
        let config = config()?;
        let filter = MaxCountSubscriptionFilter {
            filter: AllowAllSubscriptionFilter {},
            max_subscribed_topics: TOPICS_MAX,
            // A greeting and its withdrawal at most.
            max_subscriptions_per_request: 2 * TOPICS_MAX,
        };
        let authenticity = MessageAuthenticity::Signed(keypair.clone());
        let mut inner = Inner::new_with_subscription_filter(authenticity, config, filter)
            .map_err(|error| NetError::Gossip(error.to_owned()))?;
        inner.with_peer_score(score_params(), PeerScoreThresholds::default()).map_err(NetError::Gossip)?;
        Ok(Self { inner, shown: BTreeMap::new(), ended: VecDeque::new(), topics: 0 })
    }

    /// Subscribes; harmless if we are.
    pub(super) fn subscribe(&mut self, topic: &str) -> Result<(), SubscribeError> {
        if topic.is_empty() || topic.len() > TOPIC_BYTES_MAX {
            return Err(SubscribeError::TopicName { bytes: topic.len() });
        }
        if self.topics >= TOPICS_MAX {
            return Err(SubscribeError::TooManyTopics);
        }
        let topic = IdentTopic::new(topic);
        let fresh = self.inner.subscribe(&topic).map_err(|error| SubscribeError::Refused(error.to_string()))?;
        if fresh {
            self.topics += 1;
            // Only topics with parameters of their own count towards a peer's score.
            self.inner
                .set_topic_params(topic, topic_score_params())
                .map_err(|error| SubscribeError::Refused(error.to_owned()))?;
        }
        Ok(())
    }

    /// Unsubscribes; harmless if we are not subscribed.
    pub(super) fn unsubscribe(&mut self, topic: &str) {
        if self.inner.unsubscribe(&IdentTopic::new(topic)) {
            self.topics = self.topics.saturating_sub(1);
        }
    }

    /// Publishes to all connected peers that are subscribed.
    pub(super) fn publish(&mut self, topic: &str, bytes: Vec<u8>) -> Result<(), PublishError> {
        if bytes.len() > GOSSIP_PAYLOAD_BYTES_MAX {
            return Err(PublishError::TooLarge { bytes: bytes.len() });
        }
        self.publish_unchecked(topic, bytes)
    }

    /// Publishes whatever the size. Only a misbehaving node does.
    pub(super) fn publish_unchecked(&mut self, topic: &str, bytes: Vec<u8>) -> Result<(), PublishError> {
        let size = bytes.len();
        let topic = IdentTopic::new(topic).hash();
        // Or else the message would be signed before it turns out that nobody wants it.
        if !self.is_heard(&topic) {
            return Err(PublishError::NoPeers);
        }
        match self.inner.publish(topic, bytes) {
            Ok(_) => Ok(()),
            Err(gossipsub::PublishError::NoPeersSubscribedToTopic) => Err(PublishError::NoPeers),
            Err(gossipsub::PublishError::AllQueuesFull(peers)) => Err(PublishError::QueuesFull { peers }),
            Err(gossipsub::PublishError::MessageTooLarge) => Err(PublishError::TooLarge { bytes: size }),
            Err(error) => Err(PublishError::Failed(error.to_string())),
        }
    }

    /// Whether a connected peer is subscribed.
    fn is_heard(&self, topic: &TopicHash) -> bool {
        self.inner.mesh_peers(topic).next().is_some()
            || self.inner.all_peers().any(|(_, topics)| topics.contains(&topic))
    }

    /// Ends the wait for validation of a message.
    pub(super) fn report(&mut self, id: &MessageId, from: &PeerId, acceptance: gossipsub::MessageAcceptance) {
        // `false`: the message has left the history, so that there is nothing to forward any more.
        if !self.inner.report_message_validation_result(id, from, acceptance) {
            tracing::debug!(%id, "a verdict came too late to forward the message");
        }
    }

    /// What gossipsub makes of a peer.
    pub(super) fn score(&self, peer: &PeerId) -> Option<f64> {
        self.inner.peer_score(peer)
    }

    /// Lets gossipsub forget the peer's old connection, if it knows one.
    fn make_way(&mut self, peer: PeerId) {
        let Some(Shown { connection, endpoint: Some(endpoint) }) = self.shown.remove(&peer) else { return };
        let topics = self.inner.all_peers().find(|(other, _)| **other == peer).map(|(_, topics)| topics);
        self.ended.extend(topics.into_iter().flatten().map(|topic| (peer, topic.clone())));
        self.inner.on_swarm_event(FromSwarm::ConnectionClosed(ConnectionClosed {
            peer_id: peer,
            connection_id: connection,
            endpoint: &endpoint,
            cause: None,
            remaining_established: 0,
        }));
    }

    fn is_shown(&self, peer: &PeerId, connection: ConnectionId) -> bool {
        self.shown.get(peer).is_some_and(|shown| shown.connection == connection)
    }
}

fn config() -> Result<gossipsub::Config, NetError> {
    gossipsub::ConfigBuilder::default()
        // A name of our own: public gossip networks and ours do not mix.
        .protocol_id_prefix("/mesto/gossip")
        .validation_mode(gossipsub::ValidationMode::Strict)
        .validate_messages()
        .message_id_fn(message_id)
        .max_transmit_size(TRANSMIT_BYTES_MAX)
        // The three limits belong together: a greeting that exceeds any one is dropped silently.
        .max_control_message_size(TRANSMIT_BYTES_MAX)
        .heartbeat_initial_delay(Duration::from_millis(100))
        .heartbeat_interval(HEARTBEAT)
        .history_length(HISTORY_HEARTBEATS)
        .history_gossip(HISTORY_HEARTBEATS / 2)
        .duplicate_cache_time(DUPLICATE_MEMORY)
        .flood_publish(true)
        .mesh_n_low(4)
        .mesh_n(6)
        .mesh_n_high(12)
        .mesh_outbound_min(2)
        .unsubscribe_backoff(REJOIN_BACKOFF)
        .connection_handler_queue_len(PEER_QUEUE_MESSAGES_MAX)
        .build()
        .map_err(|error| NetError::Gossip(error.to_string()))
}

/// An id that names one publication: a message that is published again is another one, so that a
/// retry after full queues is not taken for a duplicate.
fn message_id(message: &gossipsub::Message) -> MessageId {
    let mut hasher = blake3::Hasher::new_derive_key("mesto 2026 gossip message id v1");
    let source = message.source.map(PeerId::to_bytes).unwrap_or_default();
    for part in [source.as_slice(), message.topic.as_str().as_bytes()] {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.update(&message.sequence_number.unwrap_or_default().to_be_bytes());
    hasher.update(&message.data);
    MessageId::new(hasher.finalize().as_bytes())
}

/// A peer's score falls by invalid messages and by breaking the mesh's rules, nothing else: in meshes
/// of two or three, rates of delivery say nothing about a peer.
fn score_params() -> PeerScoreParams {
    PeerScoreParams {
        app_specific_weight: 0.0,
        ip_colocation_factor_weight: -1.0,
        ip_colocation_factor_threshold: SAME_ADDRESS_PEERS_MAX,
        ip_colocation_factor_whitelist: HashSet::from([
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ]),
        behaviour_penalty_weight: -1.0,
        // A busy machine breaks a few promises without malice.
        behaviour_penalty_threshold: 6.0,
        behaviour_penalty_decay: 0.9,
        retain_score: Duration::from_secs(600),
        // A burst that overflows a queue is our doing as much as the peer's.
        slow_peer_weight: 0.0,
        ..PeerScoreParams::default()
    }
}

/// Ten invalid messages within some seconds silence a peer (-100 is below every threshold), and half
/// a minute of peace restores it.
fn topic_score_params() -> TopicScoreParams {
    TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.0,
        first_message_deliveries_weight: 0.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -1.0,
        invalid_message_deliveries_decay: 0.9,
        ..TopicScoreParams::default()
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = THandler<Inner>;
    type ToSwarm = gossipsub::Event;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.make_way(peer);
        self.shown.insert(peer, Shown { connection, endpoint: None });
        self.inner.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        remote: &Multiaddr,
        role: Endpoint,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.make_way(peer);
        self.shown.insert(peer, Shown { connection, endpoint: None });
        self.inner.handle_established_outbound_connection(connection, peer, remote, role, port_use)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "libp2p's list grows; all else passes through")]
    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(established) => {
                if let Some(shown) = self.shown.get_mut(&established.peer_id) {
                    shown.endpoint = Some(established.endpoint.clone());
                }
                let alone = ConnectionEstablished { other_established: 0, ..established };
                self.inner.on_swarm_event(FromSwarm::ConnectionEstablished(alone));
            }
            FromSwarm::ConnectionClosed(closed) => {
                if self.is_shown(&closed.peer_id, closed.connection_id) {
                    self.shown.remove(&closed.peer_id);
                    let last = ConnectionClosed { remaining_established: 0, ..closed };
                    self.inner.on_swarm_event(FromSwarm::ConnectionClosed(last));
                }
            }
            FromSwarm::AddressChange(change) => {
                if self.is_shown(&change.peer_id, change.connection_id) {
                    if let Some(shown) = self.shown.get_mut(&change.peer_id) {
                        shown.endpoint = Some(change.new.clone());
                    }
                    self.inner.on_swarm_event(event);
                }
            }
            other => self.inner.on_swarm_event(other),
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        if self.is_shown(&peer, connection) {
            self.inner.on_connection_handler_event(peer, connection, event);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        if let Some((peer_id, topic)) = self.ended.pop_front() {
            return Poll::Ready(ToSwarm::GenerateEvent(gossipsub::Event::Unsubscribed { peer_id, topic }));
        }
        self.inner.poll(cx)
    }
}
