//! Whole networks over loopback, on ephemeral ports.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test waits for one event among many")]

mod frames;
mod gossiping;
mod linking;
mod strangers;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use libp2p::{Multiaddr, PeerId};
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use super::commands::Command;
use super::{Lane, NetConfig, NetEvent, Network, NetworkOwner, PublishError, Transport, with_peer};

/// Far above what anything here takes; a test that meets it has failed.
const PATIENCE: Duration = Duration::from_secs(30);

const TCP: &str = "/ip4/127.0.0.1/tcp/0";
const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

/// A network and what it reports.
struct Node {
    net: Network,
    events: mpsc::Receiver<NetEvent>,
    owner: NetworkOwner,
    seed: [u8; 32],
    addresses: Vec<Multiaddr>,
}

impl Node {
    async fn start(listen: &[&str]) -> Self {
        static SEED: AtomicU8 = AtomicU8::new(1);
        Self::start_as([SEED.fetch_add(1, Ordering::Relaxed); 32], listen).await
    }

    async fn start_as(seed: [u8; 32], listen: &[&str]) -> Self {
        let mut config = NetConfig::new(seed);
        config.listen = listen.iter().map(|text| address(text)).collect();
        Self::start_with(config).await
    }

    async fn start_with(config: NetConfig) -> Self {
        let seed = config.keypair_seed;
        let (net, events, owner) = Network::start(config).await.expect("starts");
        let addresses = net.listen_addrs().await.expect("runs");
        Self { net, events, owner, seed, addresses }
    }

    fn id(&self) -> PeerId {
        self.net.peer_id()
    }

    /// The first address, with our id.
    fn address(&self) -> Multiaddr {
        with_peer(self.addresses.first().expect("listens"), self.id())
    }

    /// The next event that `pick` makes something of; others pass.
    async fn until<T>(&mut self, what: &str, mut pick: impl FnMut(NetEvent) -> Option<T>) -> T {
        let search = async {
            loop {
                let event = self.events.recv().await.expect("the network runs");
                if let Some(picked) = pick(event) {
                    return picked;
                }
            }
        };
        patiently(what, search).await
    }

    async fn until_open(&mut self, peer: PeerId, wanted: Lane) -> u64 {
        self.until("a lane to open", |event| match event {
            NetEvent::LaneOpened { peer: with, lane, epoch } if with == peer && lane == wanted => Some(epoch),
            _ => None,
        })
        .await
    }

    async fn until_frame(&mut self, wanted: Lane) -> Vec<u8> {
        self.until("a frame", |event| match event {
            NetEvent::Frame { lane, bytes, .. } if lane == wanted => Some(bytes),
            _ => None,
        })
        .await
    }

    async fn until_subscribed(&mut self, peer: PeerId, wanted: &str) {
        self.until("a subscription", |event| match event {
            NetEvent::Subscribed { peer: who, topic } if who == peer && topic == wanted => Some(()),
            _ => None,
        })
        .await;
    }

    async fn until_disconnected(&mut self, peer: PeerId) {
        self.until("a peer to go", |event| match event {
            NetEvent::PeerDisconnected { peer: who } if who == peer => Some(()),
            _ => None,
        })
        .await;
    }

    /// The topics of a peer, once there are so many.
    async fn until_topics(&mut self, peer: PeerId, count: usize) {
        let mut topics = BTreeSet::new();
        self.until("all subscriptions", |event| {
            match event {
                NetEvent::Subscribed { peer: who, topic } if who == peer => drop(topics.insert(topic)),
                NetEvent::Unsubscribed { peer: who, topic } if who == peer => drop(topics.remove(&topic)),
                _ => {}
            }
            (topics.len() == count).then_some(())
        })
        .await;
    }

    /// Everything that comes within a while.
    async fn listen_for(&mut self, while_: Duration) -> Vec<NetEvent> {
        let mut heard = Vec::new();
        let deadline = tokio::time::Instant::now() + while_;
        while let Ok(Some(event)) = tokio::time::timeout_at(deadline, self.events.recv()).await {
            heard.push(event);
        }
        heard
    }

    async fn publish_unchecked(&self, topic: &str, bytes: Vec<u8>) -> Result<(), PublishError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::PublishUnchecked { topic: topic.to_owned(), bytes, reply };
        self.net.commands.send(command).await.expect("runs");
        answer.await.expect("an answer")
    }

    async fn shut_down(self) {
        self.net.shutdown().await;
        patiently("the network to end", self.owner.ended()).await;
    }
}

fn address(text: &str) -> Multiaddr {
    text.parse().expect("a valid address")
}

async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// Two nodes with both lanes open between them.
async fn pair(listen: &str) -> (Node, Node) {
    let mut left = Node::start(&[listen]).await;
    let mut right = Node::start(&[listen]).await;
    join(&mut left, &mut right).await;
    (left, right)
}

/// `left` dials `right` and both have opened both lanes.
async fn join(left: &mut Node, right: &mut Node) {
    left.net.dial(right.address()).await.expect("runs");
    let (left_id, right_id) = (left.id(), right.id());
    for (node, peer) in [(left, right_id), (right, left_id)] {
        let mut open = BTreeSet::new();
        node.until("both lanes", |event| {
            if let NetEvent::LaneOpened { peer: with, lane, .. } = event
                && with == peer
            {
                open.insert(lane);
            }
            (open.len() == Lane::ALL.len()).then_some(())
        })
        .await;
    }
}
