//! Peers that are not one of us, or do not behave like one.

use futures::StreamExt;
use libp2p::gossipsub::{self, IdentTopic, MessageAuthenticity};
use libp2p::identity::Keypair;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Swarm, ping, swarm};

use super::*;
use crate::lanes::is_smaller;
use crate::{lanes, transport};

const TOPIC: &str = "/mesto/group/test";

/// Speaks nothing of ours.
fn mute(keypair: &Keypair) -> Swarm<ping::Behaviour> {
    let transport = transport::build(keypair).expect("a transport");
    let local = keypair.public().to_peer_id();
    Swarm::new(transport, ping::Behaviour::default(), local, swarm::Config::with_tokio_executor())
}

#[tokio::test]
async fn a_peer_that_speaks_no_lanes_is_let_go() {
    let mut node = Node::start(&[TCP]).await;
    let stranger = loop {
        let keypair = Keypair::generate_ed25519();
        // The smaller side opens the lanes, and so learns at once that there are none.
        if is_smaller(&node.id(), &keypair.public().to_peer_id()) {
            break keypair;
        }
    };
    let id = stranger.public().to_peer_id();
    let mut swarm = mute(&stranger);
    swarm.dial(node.address()).expect("dials");
    let running = tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    node.until_disconnected(id).await;
    running.abort();
}

/// Speaks lanes and gossip, without signing.
#[derive(NetworkBehaviour)]
struct Unsigned {
    lanes: lanes::Behaviour,
    gossip: gossipsub::Behaviour,
}

fn unsigned(keypair: &Keypair) -> Swarm<Unsigned> {
    let local = keypair.public().to_peer_id();
    let config = gossipsub::ConfigBuilder::default()
        .protocol_id_prefix("/mesto/gossip")
        .validation_mode(gossipsub::ValidationMode::None)
        .build()
        .expect("a configuration");
    let gossip = gossipsub::Behaviour::new(MessageAuthenticity::Author(local), config).expect("gossip");
    let stack = Unsigned { lanes: lanes::Behaviour::new(local), gossip };
    let transport = transport::build(keypair).expect("a transport");
    Swarm::new(transport, stack, local, swarm::Config::with_tokio_executor())
}

#[tokio::test]
async fn an_unsigned_message_is_not_delivered_and_counts_against_its_sender() {
    let mut node = Node::start(&[TCP]).await;
    node.net.subscribe(TOPIC).await.expect("subscribes");
    let stranger = Keypair::generate_ed25519();
    let mut swarm = unsigned(&stranger);
    swarm.dial(node.address()).expect("dials");
    let running = tokio::spawn(async move {
        let mut streams = Vec::new();
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::Behaviour(UnsignedEvent::Gossip(gossipsub::Event::Subscribed { .. })) => {
                    let topic = IdentTopic::new(TOPIC);
                    swarm.behaviour_mut().gossip.publish(topic, b"trust me".to_vec()).expect("publishes");
                }
                SwarmEvent::Behaviour(UnsignedEvent::Lanes(event)) => streams.push(event),
                _ => {}
            }
        }
    });
    let punished = async {
        loop {
            let peers = node.net.peers().await.expect("runs");
            if peers.first().and_then(|peer| peer.score).is_some_and(|score| score < 0.0) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    patiently("the score to fall", punished).await;
    let heard = node.listen_for(Duration::from_millis(50)).await;
    assert!(!heard.iter().any(|event| matches!(event, NetEvent::Gossip { .. })), "{heard:?}");
    running.abort();
}
