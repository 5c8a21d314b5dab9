//! Brings the network up: keys, transports, behaviours, listeners, and the driver's task.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::identity::Keypair;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, Swarm, TransportError, identify, mdns, ping, swarm};
use tokio::sync::mpsc;
use zeroize::Zeroize;

use super::commands::Lanes;
use super::counters::Counters;
use super::dialer::Dialer;
use super::driver::Driver;
use super::error::NetError;
use super::{
    COMMANDS_MAX, EVENTS_MAX, NetConfig, NetEvent, NetLimits, Network, NetworkOwner, address, gossip, lanes, links,
    transport,
};

/// What nodes say that they speak; informative only.
const PROTOCOL_VERSION: &str = "/mesto/1";

/// Pings tell round trips and find dead connections: a peer that is silent for both together is gone. TCP sends again
/// what a cut swallowed after 6 and then after 13 s: with a longer deadline a link that is mended in between would stay
/// mute for most of that, where a new connection takes at most two.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const PING_DEADLINE: Duration = Duration::from_secs(5);

/// From asking to listen to the first address.
const LISTEN_DEADLINE: Duration = Duration::from_secs(5);

/// A connection that no lane wants is closed after this; lanes come up within moments.
const IDLE_DEADLINE: Duration = Duration::from_secs(20);

/// Streams of one connection that are negotiating at once.
const NEGOTIATING_STREAMS_MAX: usize = 32;

/// All behaviours. The order matters: the first two turn connections away, and do so before any
/// other has made state for them.
#[derive(NetworkBehaviour)]
pub(super) struct Stack {
    pub(super) limits: connection_limits::Behaviour,
    pub(super) links: links::Behaviour,
    pub(super) gossip: gossip::Behaviour,
    pub(super) lanes: lanes::Behaviour,
    pub(super) identify: identify::Behaviour,
    pub(super) ping: ping::Behaviour,
    pub(super) mdns: Toggle<mdns::tokio::Behaviour>,
}

/// Starts a network and waits until it listens.
pub(super) async fn start(
    mut config: NetConfig,
) -> Result<(Network, mpsc::Receiver<NetEvent>, NetworkOwner), NetError> {
    transport::check_free(&config.listen)?;
    let swarm = build_swarm(&config);
    config.keypair_seed.zeroize();
    let mut swarm = swarm?;
    let (listening, early) = listen(&mut swarm, &config.listen).await?;

    let now = Instant::now();
    let mut dialer = Dialer::default();
    for (peer, addresses) in config.peer_book {
        dialer.learn(peer, addresses);
    }
    for address in &config.bootstrap {
        if dialer.keep_address(address, now).is_err() {
            tracing::warn!(%address, "too many bootstrap addresses: ignored");
        }
    }

    let local = *swarm.local_peer_id();
    let (commands, requests) = mpsc::channel(COMMANDS_MAX);
    let (events, received) = mpsc::channel(EVENTS_MAX);
    let lanes = Lanes::default();
    let counters = Arc::new(Counters::default());
    let driver = Driver::new(swarm, requests, events, lanes.clone(), Arc::clone(&counters), dialer, listening);
    let owner = NetworkOwner { driver: tokio::spawn(driver.run(early)) };
    Ok((Network { local, commands, lanes, counters }, received, owner))
}

fn build_swarm(config: &NetConfig) -> Result<Swarm<Stack>, NetError> {
    let keypair =
        Keypair::ed25519_from_bytes(config.keypair_seed).map_err(|error| NetError::Identity(error.to_string()))?;
    let local = keypair.public().to_peer_id();
    let identify = identify::Config::new(PROTOCOL_VERSION.to_owned(), keypair.public())
        .with_agent_version(config.agent.clone())
        .with_push_listen_addr_updates(true)
        // The address book is ours: nothing is dialled at addresses that it does not know.
        .with_cache_size(0);
    let mdns = if config.mdns {
        Some(mdns::tokio::Behaviour::new(mdns::Config::default(), local).map_err(NetError::Mdns)?)
    } else {
        None
    };
    let stack = Stack {
        limits: connection_limits::Behaviour::new(connection_limits(config.limits)),
        links: links::Behaviour::new(local),
        gossip: gossip::Behaviour::new(&keypair)?,
        lanes: lanes::Behaviour::new(local),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_DEADLINE)),
        mdns: Toggle::from(mdns),
    };
    let settings = swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(IDLE_DEADLINE)
        .with_max_negotiating_inbound_streams(NEGOTIATING_STREAMS_MAX);
    Ok(Swarm::new(transport::build(&keypair)?, stack, local, settings))
}

fn connection_limits(limits: NetLimits) -> ConnectionLimits {
    ConnectionLimits::default()
        .with_max_established(Some(limits.connections_max))
        .with_max_established_incoming(Some(limits.inbound_max))
        .with_max_established_per_peer(Some(limits.per_peer_max))
        .with_max_pending_incoming(Some(limits.pending_max))
        .with_max_pending_outgoing(Some(limits.pending_max))
}

/// What else happened while we waited, for the driver.
pub(super) type Early = Vec<SwarmEvent<StackEvent>>;

/// Listens on all addresses and returns the resolved ones.
#[expect(clippy::wildcard_enum_match_arm, reason = "whatever it is, the driver gets it")]
async fn listen(swarm: &mut Swarm<Stack>, wanted: &[Multiaddr]) -> Result<(Vec<Multiaddr>, Early), NetError> {
    let mut waiting = Vec::new();
    for wanted in wanted {
        if address::transport(wanted).is_none() {
            return Err(NetError::AddressUnsupported { address: wanted.clone() });
        }
        let listener = swarm.listen_on(wanted.clone()).map_err(|error| match error {
            TransportError::MultiaddrNotSupported(address) => NetError::AddressUnsupported { address },
            TransportError::Other(source) => transport::listen_error(wanted, source),
        })?;
        waiting.push((listener, wanted));
    }
    let (mut resolved, mut early) = (Vec::new(), Early::new());
    let deadline = tokio::time::sleep(LISTEN_DEADLINE);
    tokio::pin!(deadline);
    while let Some((_, first)) = waiting.first() {
        let event = tokio::select! {
            event = swarm.select_next_some() => event,
            () = &mut deadline => return Err(NetError::ListenTimeout { address: (*first).clone() }),
        };
        match event {
            SwarmEvent::NewListenAddr { listener_id, address } => {
                waiting.retain(|(listener, _)| *listener != listener_id);
                resolved.push(address);
            }
            SwarmEvent::ListenerClosed { listener_id, reason: Err(source), .. } => {
                if let Some((_, wanted)) = waiting.iter().find(|(listener, _)| *listener == listener_id) {
                    return Err(transport::listen_error(wanted, source));
                }
            }
            // A peer may be quicker than our second listener.
            other => early.push(other),
        }
    }
    Ok((resolved, early))
}
