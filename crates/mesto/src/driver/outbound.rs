//! What leaves the node for the network and the blob folder, in order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use libp2p::PeerId;
use libp2p::identity::ed25519;
use mesto_governance::BlobId;
use mesto_node::{GossipToken, Input, Verdict};
use mesto_sync::message::BLOB_CHUNK_LEN_MAX;
use mesto_sync::{Message, Peer, fragments};
use tokio::sync::mpsc;

use super::apps::{Apps, Stored};
use super::core::{Signal, Signals};
use mesto_net::{self as net, MessageToken, Network};

/// Gossip messages that wait for a verdict: a burst of some seconds.
const TOKENS_MAX: usize = 16_384;

/// An errand.
pub(super) enum Outgoing {
    Publish(String, Vec<u8>),
    Subscribe(String),
    Judge(GossipToken, Verdict),
    KeepConnected(Peer, Vec<String>),
    ServeBlob { peer: Peer, blob: BlobId, offset: u64 },
    StoreChunk { blob: BlobId, size: u64, offset: u64, bytes: Vec<u8> },
}

/// Hands errands to the task that runs them. Cheap to clone.
#[derive(Clone)]
pub(super) struct Outbound {
    network: Network,
    errands: mpsc::UnboundedSender<Outgoing>,
    blobs: mpsc::UnboundedSender<Outgoing>,
    tokens: Arc<Mutex<Tokens>>,
}

/// Gossip that waits for a verdict, by the number that the node knows it by.
#[derive(Default)]
struct Tokens {
    last: GossipToken,
    waiting: HashMap<GossipToken, MessageToken>,
}

impl Outbound {
    /// Queues an errand. What is queued is bounded by what the node takes in.
    pub(super) fn send(&self, errand: Outgoing) {
        let queue = match &errand {
            Outgoing::ServeBlob { .. } | Outgoing::StoreChunk { .. } => &self.blobs,
            Outgoing::Publish(..) | Outgoing::Subscribe(_) | Outgoing::Judge(..) | Outgoing::KeepConnected(..) => {
                &self.errands
            }
        };
        // The task ends only with the node.
        let _ = queue.send(errand);
    }

    /// Sends a message on a lane. If the lane's queue is full the lane is reset, and the two nodes compare anew.
    pub(super) fn message(&self, peer: Peer, lane: mesto_node::Lane, message: &Message) {
        let Some(id) = peer_id(&peer) else { return };
        for frame in fragments(&message.encode()) {
            if let Err(error) = self.network.send(id, lane_of(lane), frame) {
                tracing::debug!(%peer, %error, "a message was not sent");
                return;
            }
        }
    }

    /// Remembers a gossip message until its verdict; `None` if too many wait.
    pub(super) fn remember(&self, token: MessageToken) -> Option<GossipToken> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.waiting.len() >= TOKENS_MAX {
            return None;
        }
        tokens.last += 1;
        let number = tokens.last;
        tokens.waiting.insert(number, token);
        Some(number)
    }

    fn recall(&self, number: GossipToken) -> Option<MessageToken> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).waiting.remove(&number)
    }
}

/// Starts the tasks.
pub(super) fn start(network: Network, apps: Arc<Apps>, signals: Signals) -> (Outbound, tokio::task::JoinHandle<()>) {
    let (errands, inbox) = mpsc::unbounded_channel();
    let (blobs, blob_inbox) = mpsc::unbounded_channel();
    let outbound = Outbound { network, errands, blobs, tokens: Arc::default() };
    let of_net = run(outbound.clone(), inbox);
    let of_blobs = run_blobs(outbound.network.clone(), blob_inbox, apps, signals);
    let task = tokio::spawn(async move {
        tokio::join!(of_net, of_blobs);
    });
    (outbound, task)
}

async fn run(outbound: Outbound, mut inbox: mpsc::UnboundedReceiver<Outgoing>) {
    let network = outbound.network.clone();
    while let Some(errand) = inbox.recv().await {
        match errand {
            Outgoing::Publish(topic, bytes) => {
                // Gossip is a hint: whoever misses it finds out by the next heartbeat or comparison.
                if let Err(error) = network.publish(topic, bytes).await {
                    tracing::trace!(%error, "gossip was not published");
                }
            }
            Outgoing::Subscribe(topic) => {
                if let Err(error) = network.subscribe(topic.clone()).await {
                    tracing::error!(%topic, %error, "cannot subscribe: changes will come by comparison only");
                }
            }
            Outgoing::Judge(number, verdict) => {
                if let Some(token) = outbound.recall(number)
                    && network.report(token, verdict_of(verdict)).await.is_err()
                {
                    return;
                }
            }
            Outgoing::KeepConnected(peer, addresses) => {
                let addresses = addresses.iter().filter_map(|address| address.parse().ok()).collect();
                if let Some(peer) = peer_id(&peer)
                    && network.keep_connected(peer, addresses).await.is_err()
                {
                    return;
                }
            }
            Outgoing::ServeBlob { .. } | Outgoing::StoreChunk { .. } => {}
        }
    }
}

/// Blobs have a task of their own: the disk and a slow reader hold up nobody else.
async fn run_blobs(network: Network, mut inbox: mpsc::UnboundedReceiver<Outgoing>, apps: Arc<Apps>, signals: Signals) {
    while let Some(errand) = inbox.recv().await {
        match errand {
            Outgoing::ServeBlob { peer, blob, offset } => serve(&network, &apps, peer, blob, offset).await,
            Outgoing::StoreChunk { blob, size, offset, bytes } => {
                let apps = Arc::clone(&apps);
                let stored = tokio::task::spawn_blocking(move || apps.store_chunk(blob, size, offset, &bytes)).await;
                let input = match stored {
                    Ok(Stored::Part(received)) => Input::BlobReceived { blob, received },
                    Ok(Stored::Installed(app)) => Input::Installed(app),
                    Ok(Stored::Refused(reason)) => Input::BlobRefused { blob, reason },
                    Err(error) => Input::BlobRefused { blob, reason: error.to_string() },
                };
                // The core is gone only when the node stops.
                let _ = signals.send(Signal::Input(input));
            }
            Outgoing::Publish(..) | Outgoing::Subscribe(_) | Outgoing::Judge(..) | Outgoing::KeepConnected(..) => {}
        }
    }
}

async fn serve(network: &Network, apps: &Arc<Apps>, peer: Peer, blob: BlobId, offset: u64) {
    let Some(id) = peer_id(&peer) else { return };
    let reader = Arc::clone(apps);
    let chunk = tokio::task::spawn_blocking(move || reader.read_chunk(blob, offset, BLOB_CHUNK_LEN_MAX)).await;
    let message = match chunk {
        Ok(Some((size, bytes))) => Message::BlobChunk { blob, size, offset, bytes },
        Ok(None) | Err(_) => Message::BlobAbsent { blob },
    };
    for frame in fragments(&message.encode()) {
        if let Err(error) = network.send_paced(id, net::Lane::Blob, frame).await {
            tracing::debug!(%peer, %error, "a chunk was not sent");
            return;
        }
    }
}

/// libp2p's form of a peer's key.
pub(super) fn peer_id(peer: &Peer) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(peer.as_bytes()).ok()?;
    Some(libp2p::identity::PublicKey::from(key).to_peer_id())
}

/// The key inside a libp2p peer id, if it is Ed25519 as all of ours are.
pub(super) fn peer_of(id: &PeerId) -> Option<Peer> {
    // An identity multihash: code 0, length, and the protobuf-encoded public key.
    let multihash = id.as_ref();
    if multihash.code() != 0 {
        return None;
    }
    let key = libp2p::identity::PublicKey::try_decode_protobuf(multihash.digest()).ok()?;
    Some(Peer::from_bytes(key.try_into_ed25519().ok()?.to_bytes()))
}

fn lane_of(lane: mesto_node::Lane) -> net::Lane {
    match lane {
        mesto_node::Lane::Sync => net::Lane::Sync,
        mesto_node::Lane::Blob => net::Lane::Blob,
    }
}

fn verdict_of(verdict: Verdict) -> net::Verdict {
    match verdict {
        Verdict::Accept => net::Verdict::Accept,
        Verdict::Reject => net::Verdict::Reject,
        Verdict::Ignore => net::Verdict::Ignore,
    }
}
