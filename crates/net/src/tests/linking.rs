//! Connections: made, lost, taken over, refused.

use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::links::SIMULTANEOUS_WINDOW;
use crate::{DialFailure, LaneResetReason, NetError, PublishError, SendError};

const TOPIC: &str = "/mesto/group/test";

/// The address without its id.
fn bare(node: &Node) -> Multiaddr {
    node.addresses.first().expect("listens").clone()
}

#[tokio::test]
async fn a_peer_that_goes_is_reported_gone_after_its_lanes() {
    for listen in [TCP, QUIC] {
        let (mut left, right) = pair(listen).await;
        let right_id = right.id();
        right.shut_down().await;
        let mut resets = 0;
        left.until("the end", |event| match event {
            NetEvent::LaneReset { .. } => {
                resets += 1;
                None
            }
            NetEvent::PeerDisconnected { peer } => (peer == right_id).then_some(()),
            _ => None,
        })
        .await;
        assert_eq!(resets, Lane::ALL.len());
        assert_eq!(left.net.peers().await.expect("runs"), Vec::new());
        assert_eq!(left.net.send(right_id, Lane::Sync, vec![1]), Err(SendError::NotOpen));
    }
}

#[tokio::test]
async fn a_kept_peer_that_comes_back_on_its_port_is_found_again() {
    for (listen, rounds) in [(TCP, 2), (QUIC, 1)] {
        let mut left = Node::start(&[listen]).await;
        let mut right = Node::start(&[listen]).await;
        let (right_id, seed, home) = (right.id(), right.seed, bare(&right).to_string());
        left.net.keep_connected(right_id, vec![right.address()]).await.expect("runs");
        left.until_open(right_id, Lane::Sync).await;
        for _ in 0..rounds {
            right.shut_down().await;
            left.until_disconnected(right_id).await;
            let failed = left
                .until("a dial that fails meanwhile", |event| match event {
                    NetEvent::DialFailed { peer, failure, .. } => Some((peer, failure)),
                    _ => None,
                })
                .await;
            assert_eq!(failed.0, Some(right_id));
            assert!(matches!(failed.1, DialFailure::Unreachable(_)), "{failed:?}");
            right = Node::start_as(seed, &[&home]).await;
            left.until_open(right_id, Lane::Sync).await;
        }
    }
}

#[tokio::test]
async fn nodes_that_dial_each_other_at_once_end_up_with_one_connection() {
    for _ in 0..5 {
        let mut left = Node::start(&[TCP, QUIC]).await;
        let mut right = Node::start(&[TCP, QUIC]).await;
        let (left_id, right_id) = (left.id(), right.id());
        for node in [&left, &right] {
            node.net.subscribe(TOPIC).await.expect("subscribes");
        }
        let kept = tokio::join!(
            left.net.keep_connected(right_id, right.addresses.clone()),
            right.net.keep_connected(left_id, left.addresses.clone()),
        );
        assert_eq!(kept, (Ok(()), Ok(())));
        // Whatever happened meanwhile, in the end both sides have settled and gossip flows.
        let settled = async {
            loop {
                let heard = right.listen_for(Duration::from_millis(100)).await;
                left.listen_for(Duration::from_millis(10)).await;
                if heard.iter().any(|event| matches!(event, NetEvent::Gossip { .. })) {
                    break;
                }
                match left.net.publish(TOPIC, b"hello".to_vec()).await {
                    Ok(()) | Err(PublishError::NoPeers) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        };
        patiently("the two to settle", settled).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let at_left = left.net.peers().await.expect("runs");
        let at_right = right.net.peers().await.expect("runs");
        assert_eq!((at_left.len(), at_right.len()), (1, 1));
        assert_ne!(at_left[0].outbound, at_right[0].outbound, "they keep different connections");
        assert_eq!(at_left[0].transport, at_right[0].transport);
    }
}

#[tokio::test]
async fn a_peer_that_restarts_while_its_old_connection_lingers_takes_over_with_its_topics() {
    let mut stays = Node::start(&[TCP]).await;
    let mut comes = Node::start(&[TCP]).await;
    let (stays_id, comes_id, seed) = (stays.id(), comes.id(), comes.seed);
    stays.net.subscribe(TOPIC).await.expect("subscribes");
    comes.net.subscribe("/mesto/group/old").await.expect("subscribes");
    let (way, freezing) = freezing_way(&bare(&comes)).await;
    stays.net.dial(with_peer(&way, comes_id)).await.expect("runs");
    let old = stays.until_open(comes_id, Lane::Sync).await;
    stays.until_subscribed(comes_id, "/mesto/group/old").await;
    comes.until_subscribed(stays_id, TOPIC).await;
    tokio::time::sleep(SIMULTANEOUS_WINDOW).await;

    // The way goes dead: `stays` is told nothing.
    freezing.freeze();
    comes.shut_down().await;
    let quiet = stays.listen_for(Duration::from_millis(200)).await;
    assert!(!quiet.iter().any(|event| matches!(event, NetEvent::PeerDisconnected { .. })), "{quiet:?}");

    let mut comes = Node::start_as(seed, &[TCP]).await;
    comes.net.subscribe(TOPIC).await.expect("subscribes");
    comes.net.keep_connected(stays_id, vec![bare(&stays)]).await.expect("runs");
    // The newcomer learns our topics, and we its own, and that it left the old one.
    comes.until_subscribed(stays_id, TOPIC).await;
    let (mut reset, mut opened, mut left_old, mut joined) = (None, false, false, false);
    stays
        .until("the takeover", |event| {
            match event {
                NetEvent::PeerDisconnected { .. } => panic!("the peer did not go"),
                NetEvent::LaneReset { lane: Lane::Sync, epoch, reason, .. } => reset = Some((epoch, reason)),
                NetEvent::LaneOpened { lane: Lane::Sync, epoch, .. } => opened = epoch > old,
                NetEvent::Unsubscribed { topic, .. } => left_old |= topic == "/mesto/group/old",
                NetEvent::Subscribed { topic, .. } => joined |= topic == TOPIC,
                _ => {}
            }
            (opened && left_old && joined).then_some(())
        })
        .await;
    assert_eq!(reset, Some((old, LaneResetReason::Superseded)));
    stays.net.publish(TOPIC, b"welcome".to_vec()).await.expect("the newcomer is subscribed");
    comes
        .until("the message", |event| match event {
            NetEvent::Gossip { bytes, .. } => (bytes == b"welcome").then_some(()),
            _ => None,
        })
        .await;
}

/// The switch of a way to a node that can go dead without either end being told.
struct Freezing {
    switch: tokio::sync::watch::Sender<bool>,
}

impl Freezing {
    fn freeze(&self) {
        self.switch.send_replace(true);
    }
}

async fn freezing_way(to: &Multiaddr) -> (Multiaddr, Freezing) {
    let (switch, mut frozen) = tokio::sync::watch::channel(false);
    let (ip, port) = crate::address::socket(to).expect("an address of a socket");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let here = address(&format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().expect("bound").port()));
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.expect("a connection");
        let mut far = TcpStream::connect((ip, port)).await.expect("the node listens");
        tokio::select! {
            biased;
            _ = frozen.wait_for(|frozen| *frozen) => {}
            _ = copy_bidirectional(&mut near, &mut far) => {}
        }
        // Both sockets stay open, and nothing passes any more.
        std::future::pending::<()>().await;
        drop((near, far));
    });
    (here, Freezing { switch })
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    for listen in [TCP, QUIC] {
        let node = Node::start(&[listen]).await;
        let taken = bare(&node);
        let mut config = NetConfig::new([200; 32]);
        config.listen = vec![taken.clone()];
        let refused = Network::start(config).await.map(drop);
        assert!(matches!(&refused, Err(NetError::AddressInUse { address }) if *address == taken), "{refused:?}");
        assert!(refused.is_err_and(|error| error.to_string().contains(&taken.to_string())));
    }
}

#[tokio::test]
async fn an_address_of_an_unknown_kind_is_refused() {
    let mut config = NetConfig::new([201; 32]);
    config.listen = vec![address("/ip4/127.0.0.1/udp/0")];
    let refused = Network::start(config).await.map(drop);
    assert!(matches!(refused, Err(NetError::AddressUnsupported { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_dial_that_fails_says_why() {
    let mut node = Node::start(&[TCP]).await;
    let other = Node::start(&[TCP]).await;
    let nobody = address("/ip4/127.0.0.1/tcp/1");
    let wrong = PeerId::random();
    node.net.dial(nobody.clone()).await.expect("runs");
    node.net.dial(with_peer(&bare(&other), wrong)).await.expect("runs");
    let mut failures = Vec::new();
    node.until("both failures", |event| {
        if let NetEvent::DialFailed { peer, address, failure } = event {
            failures.push((peer, address, failure));
        }
        (failures.len() == 2).then_some(())
    })
    .await;
    let obtained = other.id();
    assert!(failures.contains(&(Some(wrong), Some(bare(&other)), DialFailure::WrongPeer { obtained })), "{failures:?}");
    assert!(
        failures.iter().any(|(_, at, why)| *at == Some(nobody.clone()) && matches!(why, DialFailure::Unreachable(_)))
    );
}

#[tokio::test]
async fn bootstraps_are_kept_connected_whether_or_not_they_name_a_peer_or_ourselves() {
    let hub = Node::start(&[TCP, QUIC]).await;
    let mut config = NetConfig::new([210; 32]);
    config.listen = vec![address(TCP)];
    config.bootstrap = hub.addresses.clone();
    let mut node = Node::start_with(config).await;
    node.until_open(hub.id(), Lane::Sync).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(node.net.peers().await.expect("runs").len(), 1);

    let (hub_id, seed, homes) = (hub.id(), hub.seed, hub.addresses.clone());
    hub.shut_down().await;
    node.until_disconnected(hub_id).await;
    let homes: Vec<String> = homes.iter().map(ToString::to_string).collect();
    let homes: Vec<&str> = homes.iter().map(String::as_str).collect();
    let _hub = Node::start_as(seed, &homes).await;
    node.until_open(hub_id, Lane::Sync).await;
}

#[tokio::test]
async fn what_a_peer_listens_on_is_reported_and_nobody_is_dialled_for_it() {
    let mut left = Node::start(&[TCP]).await;
    let mut right = Node::start(&[TCP]).await;
    let (left_id, home) = (left.id(), bare(&left));
    left.net.dial(right.address()).await.expect("runs");
    let addresses = right
        .until("the addresses", |event| match event {
            NetEvent::PeerAddrs { peer, addresses } if peer == left_id => Some(addresses),
            _ => None,
        })
        .await;
    assert_eq!(addresses, vec![home]);
    left.until_open(right.id(), Lane::Blob).await;
    // `right` was dialled; when the connection ends, nothing makes it dial back.
    left.net.disconnect(right.id()).await.expect("runs");
    left.until_disconnected(right.id()).await;
    right.until_disconnected(left_id).await;
    let after = right.listen_for(Duration::from_millis(500)).await;
    assert!(after.is_empty(), "{after:?}");
}

#[tokio::test]
async fn dropping_the_owner_ends_everything() {
    let (mut left, right) = pair(TCP).await;
    let right_id = right.id();
    let Node { net, events, owner, .. } = right;
    drop((events, owner));
    left.until_disconnected(right_id).await;
    let ended = async {
        while net.peers().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    patiently("the handle to notice", ended).await;
}

#[tokio::test]
async fn a_dial_to_somebody_who_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let here = address(&format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().expect("bound").port()));
    let mut node = Node::start(&[]).await;
    node.net.dial(with_peer(&here, PeerId::random())).await.expect("runs");
    let failure = node
        .until("the dial to be given up", |event| match event {
            NetEvent::DialFailed { failure, .. } => Some(failure),
            _ => None,
        })
        .await;
    assert!(matches!(failure, DialFailure::Unreachable(_)), "{failure:?}");
}
