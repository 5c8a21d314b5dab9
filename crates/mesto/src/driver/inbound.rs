//! What comes from the network: put together, verified on threads of its own, and handed to the core in the order
//! in which each peer sent it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use crossbeam_channel::Sender;
use mesto_node::Input;
use mesto_node::verify::{self, CheckError};
use mesto_oplog::Verified;
use mesto_sync::{Assembler, Peer};

use super::NetEvents;
use super::core::{Signal, Signals};
use super::metrics::Metrics;
use super::outbound::{Outbound, peer_of};
use mesto_net::{Credit, Lane, MessageToken, NetEvent, Network, Verdict, with_peer};

/// Messages that wait for one verification thread. Lanes stop being read, gossip is dropped and found again.
const UNVERIFIED_MAX: usize = 1024;
/// Verification threads: signatures are most of the work of taking something in.
const THREADS: usize = 2;

/// Entries that are worth a thread of their own: a millisecond's work, where making the thread takes a twentieth.
const SHARE_MIN: usize = 32;

/// Something to verify.
enum Unverified {
    Message {
        peer: Peer,
        bytes: Vec<u8>,
        credit: Credit,
    },
    Gossip {
        topic: String,
        from: Peer,
        token: MessageToken,
        bytes: Vec<u8>,
    },
    /// Passed on unchanged, so that it stays in order with the messages of its peer.
    Input(Input),
}

/// Starts the verification threads and the task that feeds them.
pub(super) fn start(
    network: Network,
    events: NetEvents,
    signals: Signals,
    outbound: Outbound,
    metrics: Arc<Metrics>,
) -> std::io::Result<tokio::task::JoinHandle<()>> {
    let mut queues = Vec::new();
    for n in 0..THREADS {
        let (queue, jobs) = crossbeam_channel::bounded(UNVERIFIED_MAX);
        let verifier = Verifier {
            network: network.clone(),
            runtime: tokio::runtime::Handle::current(),
            signals: signals.clone(),
            outbound: outbound.clone(),
            metrics: Arc::clone(&metrics),
        };
        std::thread::Builder::new()
            .name(format!("mesto-verify-{n}"))
            .spawn(move || jobs.iter().for_each(|job| verifier.verify(job)))?;
        queues.push(queue);
    }
    let inbound = Inbound { network, queues, lanes: HashMap::new(), addresses: HashMap::new(), signals, metrics };
    Ok(tokio::spawn(inbound.run(events)))
}

struct Inbound {
    network: Network,
    queues: Vec<Sender<Unverified>>,
    lanes: HashMap<(Peer, Lane), Assembler>,
    /// Where each connected peer says that it listens.
    addresses: HashMap<Peer, Vec<String>>,
    signals: Signals,
    metrics: Arc<Metrics>,
}

impl Inbound {
    async fn run(mut self, mut events: NetEvents) {
        while let Some(event) = events.recv().await {
            self.take(event).await;
        }
    }

    async fn take(&mut self, event: NetEvent) {
        match event {
            NetEvent::LaneOpened { peer, lane, .. } => {
                let Some(peer) = peer_of(&peer) else { return };
                self.lanes.insert((peer, lane), Assembler::default());
                if lane == Lane::Sync {
                    self.pass(&peer, Unverified::Input(Input::PeerUp(peer))).await;
                    // They often come before the lane is open, when the core does not know the peer yet.
                    if let Some(addresses) = self.addresses.get(&peer).cloned() {
                        self.pass(&peer, Unverified::Input(Input::PeerAddresses(peer, addresses))).await;
                    }
                }
            }
            NetEvent::LaneReset { peer, lane, reason, .. } => {
                let Some(peer) = peer_of(&peer) else { return };
                tracing::debug!(%peer, ?lane, ?reason, "a lane was reset");
                self.lanes.remove(&(peer, lane));
                if lane == Lane::Sync {
                    self.pass(&peer, Unverified::Input(Input::PeerDown(peer))).await;
                }
            }
            NetEvent::Frame { peer: id, lane, bytes, credit, .. } => {
                let Some(peer) = peer_of(&id) else { return };
                let Some(assembler) = self.lanes.get_mut(&(peer, lane)) else { return };
                match assembler.push(&bytes) {
                    Ok(Some(bytes)) => self.pass(&peer, Unverified::Message { peer, bytes, credit }).await,
                    Ok(None) => {}
                    Err(error) => {
                        self.metrics.misbehaved(&error.to_string());
                        self.network.reset_lane(id, lane);
                    }
                }
            }
            NetEvent::Gossip { topic, propagation_source, token, bytes, .. } => {
                let Some(from) = peer_of(&propagation_source) else { return };
                let job = Unverified::Gossip { topic, from, token: token.clone(), bytes };
                let refused = self.queue(&from).is_none_or(|queue| queue.try_send(job).is_err());
                if refused {
                    self.metrics.shed("gossip waiting for verification");
                    // The network is gone only when the node stops.
                    let _ = self.network.report(token, Verdict::Ignore).await;
                }
            }
            NetEvent::Subscribed { peer, topic } => {
                let Some(peer) = peer_of(&peer) else { return };
                self.pass(&peer, Unverified::Input(Input::Subscribed(peer, topic))).await;
            }
            NetEvent::PeerAddrs { peer: id, addresses } => {
                let Some(peer) = peer_of(&id) else { return };
                let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                self.addresses.insert(peer, addresses.clone());
                self.pass(&peer, Unverified::Input(Input::PeerAddresses(peer, addresses))).await;
            }
            NetEvent::ListenAddr { .. } | NetEvent::ListenAddrExpired { .. } | NetEvent::ExternalAddr { .. } => {
                let listening = self.network.listen_addrs().await.unwrap_or_default();
                let id = self.network.peer_id();
                let listening = listening.iter().map(|address| with_peer(address, id).to_string()).collect();
                // The core is gone only when the node stops.
                let _ = self.signals.send(Signal::Input(Input::Listening(listening)));
            }
            NetEvent::DialFailed { peer, address, failure } => {
                tracing::debug!(?peer, ?address, %failure, "a dial failed");
            }
            NetEvent::PeerConnected { peer } => tracing::debug!(%peer, "connected"),
            NetEvent::PeerDisconnected { peer: id } => {
                tracing::debug!(peer = %id, "disconnected");
                if let Some(peer) = peer_of(&id) {
                    self.addresses.remove(&peer);
                }
            }
            NetEvent::Unsubscribed { .. } => {}
        }
    }

    /// All of one peer goes to the same thread, so that it stays in order.
    fn queue(&self, peer: &Peer) -> Option<&Sender<Unverified>> {
        let mut hasher = DefaultHasher::new();
        peer.hash(&mut hasher);
        let at = usize::try_from(hasher.finish() % self.queues.len() as u64).ok()?;
        self.queues.get(at)
    }

    /// Hands a job over, and waits while the thread is behind: the lane is not read meanwhile.
    async fn pass(&self, peer: &Peer, job: Unverified) {
        let Some(queue) = self.queue(peer) else { return };
        if let Err(crossbeam_channel::TrySendError::Full(job)) = queue.try_send(job) {
            let queue = queue.clone();
            // The threads end only with the node.
            let _ = tokio::task::spawn_blocking(move || queue.send(job)).await;
        }
    }
}

/// Verifies the entries of a page, which is half a moment's work: in catch-up all come from one peer, and that peer's
/// thread alone would hold them up.
fn on_all_cores(page: &[Vec<u8>]) -> Result<Vec<Verified>, CheckError> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = page.len().div_ceil(cores).max(SHARE_MIN);
    let mut shares = page.chunks(share);
    let ours = shares.next().unwrap_or_default();
    std::thread::scope(|scope| {
        let others: Vec<_> = shares.map(|share| scope.spawn(|| verify::entries(share))).collect();
        let mut verified = verify::entries(ours)?;
        for other in others {
            verified.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(verified)
    })
}

struct Verifier {
    network: Network,
    runtime: tokio::runtime::Handle,
    signals: Signals,
    outbound: Outbound,
    metrics: Arc<Metrics>,
}

impl Verifier {
    fn verify(&self, job: Unverified) {
        let input = match job {
            Unverified::Input(input) => input,
            Unverified::Message { peer, bytes, credit } => {
                let checked = verify::message_by(&bytes, on_all_cores);
                drop(credit);
                match checked {
                    Ok(message) => Input::Message(peer, message),
                    Err(error) => return self.metrics.misbehaved(&error.to_string()),
                }
            }
            Unverified::Gossip { topic, from, token, bytes } => match verify::gossip(&bytes) {
                Ok(gossip) => {
                    let Some(token) = self.outbound.remember(token) else {
                        return self.metrics.shed("gossip waiting for a verdict");
                    };
                    Input::Gossip { token, topic, from, gossip }
                }
                Err(error) => {
                    self.metrics.misbehaved(&error.to_string());
                    let network = self.network.clone();
                    self.runtime.spawn(async move { network.report(token, Verdict::Reject).await });
                    return;
                }
            },
        };
        // The core is gone only when the node stops.
        let _ = self.signals.send(Signal::Input(input));
    }
}
