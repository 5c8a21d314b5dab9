//! Gossip.

use std::time::Duration;

use super::*;
use crate::{GOSSIP_PAYLOAD_BYTES_MAX, MessageToken, SubscribeError, TOPIC_BYTES_MAX, TOPICS_MAX, Verdict};

const TOPIC: &str = "/mesto/group/test";

/// A message as the consumer sees it.
struct Heard {
    source: Option<PeerId>,
    through: PeerId,
    token: MessageToken,
    bytes: Vec<u8>,
}

async fn next_message(node: &mut Node) -> Heard {
    node.until("a gossip message", |event| match event {
        NetEvent::Gossip { source, propagation_source, token, bytes, .. } => {
            Some(Heard { source, through: propagation_source, token, bytes })
        }
        _ => None,
    })
    .await
}

/// Two nodes that know of each other's subscription.
async fn gossiping_pair() -> (Node, Node) {
    let (mut left, mut right) = pair(TCP).await;
    for node in [&left, &right] {
        node.net.subscribe(TOPIC).await.expect("subscribes");
    }
    let (left_id, right_id) = (left.id(), right.id());
    left.until_subscribed(right_id, TOPIC).await;
    right.until_subscribed(left_id, TOPIC).await;
    (left, right)
}

#[tokio::test]
async fn a_message_passes_a_line_of_three_only_with_the_verdict_of_the_middle() {
    let mut middle = Node::start(&[TCP]).await;
    let mut first = Node::start(&[TCP]).await;
    let mut last = Node::start(&[TCP]).await;
    for node in [&first, &middle, &last] {
        node.net.subscribe(TOPIC).await.expect("subscribes");
    }
    for node in [&mut first, &mut last] {
        let middle_id = middle.id();
        node.net.dial(middle.address()).await.expect("runs");
        node.until_subscribed(middle_id, TOPIC).await;
        middle.until_subscribed(node.net.peer_id(), TOPIC).await;
    }
    // The mesh between the middle and the last is there after a heartbeat or two.
    tokio::time::sleep(Duration::from_millis(1_600)).await;

    for (verdict, bytes) in [(Verdict::Reject, b"bad"), (Verdict::Ignore, b"odd"), (Verdict::Accept, b"fit")] {
        first.net.publish(TOPIC, bytes.to_vec()).await.expect("publishes");
        let heard = next_message(&mut middle).await;
        assert_eq!((heard.bytes.as_slice(), heard.source), (bytes.as_slice(), Some(first.id())));
        middle.net.report(heard.token, verdict).await.expect("runs");
    }
    // Had one of the others been forwarded, it would have come first.
    let heard = next_message(&mut last).await;
    assert_eq!(heard.bytes, b"fit");
    assert_eq!((heard.source, heard.through), (Some(first.id()), middle.id()));
    let rest = last.listen_for(Duration::from_millis(800)).await;
    assert!(!rest.iter().any(|event| matches!(event, NetEvent::Gossip { .. })), "{rest:?}");
}

#[tokio::test]
async fn the_same_content_may_be_published_again() {
    let (left, mut right) = gossiping_pair().await;
    for _ in 0..2 {
        left.net.publish(TOPIC, b"heartbeat".to_vec()).await.expect("publishes");
        assert_eq!(next_message(&mut right).await.bytes, b"heartbeat");
    }
}

#[tokio::test]
async fn payloads_up_to_the_limit_pass_and_larger_ones_are_refused_at_both_ends() {
    let (left, mut right) = gossiping_pair().await;
    let largest = vec![5; GOSSIP_PAYLOAD_BYTES_MAX];
    left.net.publish(TOPIC, largest.clone()).await.expect("publishes");
    assert_eq!(next_message(&mut right).await.bytes, largest);

    let bytes = GOSSIP_PAYLOAD_BYTES_MAX + 1;
    assert_eq!(left.net.publish(TOPIC, vec![5; bytes]).await, Err(PublishError::TooLarge { bytes }));
    left.publish_unchecked(TOPIC, vec![6; bytes]).await.expect("a misbehaving node sends it");
    left.net.publish(TOPIC, b"after".to_vec()).await.expect("publishes");
    assert_eq!(next_message(&mut right).await.bytes, b"after");
    assert_eq!(right.net.counters().gossip_refused, 1);
    let score = right.net.peers().await.expect("runs").remove(0).score;
    assert!(score.is_some_and(|score| score < 0.0), "{score:?}");
}

#[tokio::test]
async fn nobody_hears_what_nobody_subscribed_to() {
    let (left, _right) = pair(TCP).await;
    assert_eq!(left.net.publish("/mesto/group/none", vec![1]).await, Err(PublishError::NoPeers));
}

#[tokio::test]
async fn a_left_topic_is_known_to_be_left_and_can_be_joined_again() {
    let (left, mut right) = gossiping_pair().await;
    left.net.unsubscribe(TOPIC).await.expect("runs");
    let left_id = left.id();
    right
        .until("the end of the subscription", |event| match event {
            NetEvent::Unsubscribed { peer, topic } if peer == left_id && topic == TOPIC => Some(()),
            _ => None,
        })
        .await;
    left.net.subscribe(TOPIC).await.expect("subscribes");
    right.until_subscribed(left_id, TOPIC).await;
}

#[tokio::test]
async fn names_of_topics_are_bounded() {
    let node = Node::start(&[]).await;
    for bytes in [0, TOPIC_BYTES_MAX + 1] {
        let refused = node.net.subscribe("x".repeat(bytes)).await;
        assert_eq!(refused, Err(SubscribeError::TopicName { bytes }));
    }
    node.net.subscribe("x".repeat(TOPIC_BYTES_MAX)).await.expect("subscribes");
    node.net.subscribe("x".repeat(TOPIC_BYTES_MAX)).await.expect("subscribing again is harmless");
}

#[tokio::test]
async fn as_many_and_as_long_topics_as_there_may_be_fit_one_greeting() {
    let left = Node::start(&[TCP]).await;
    let mut right = Node::start(&[TCP]).await;
    for number in 0..TOPICS_MAX {
        left.net.subscribe(format!("{number:0TOPIC_BYTES_MAX$}")).await.expect("subscribes");
    }
    assert_eq!(left.net.subscribe("one more").await, Err(SubscribeError::TooManyTopics));
    left.net.dial(right.address()).await.expect("runs");
    right.until_topics(left.id(), TOPICS_MAX).await;
}

#[tokio::test]
async fn a_thousand_topics_are_known_on_connect_on_reconnect_and_after_a_restart() {
    const TOPICS: usize = 1_000;
    let topics: Vec<String> = (0..TOPICS).map(|number| format!("/mesto/context/{number:052}")).collect();
    let mut left = Node::start(&[TCP]).await;
    let mut right = Node::start(&[TCP]).await;
    let (left_id, right_id) = (left.id(), right.id());
    for topic in &topics {
        left.net.subscribe(topic.as_str()).await.expect("subscribes");
        right.net.subscribe(topic.as_str()).await.expect("subscribes");
    }
    left.net.keep_connected(right_id, vec![right.address()]).await.expect("runs");
    tokio::join!(left.until_topics(right_id, TOPICS), right.until_topics(left_id, TOPICS));

    right.net.disconnect(left_id).await.expect("runs");
    tokio::join!(left.until_disconnected(right_id), right.until_disconnected(left_id));
    tokio::join!(left.until_topics(right_id, TOPICS), right.until_topics(left_id, TOPICS));

    let (seed, listen) = (right.seed, right.addresses.first().expect("listens").to_string());
    right.shut_down().await;
    left.until_disconnected(right_id).await;
    let mut right = Node::start_as(seed, &[&listen]).await;
    for topic in &topics {
        right.net.subscribe(topic.as_str()).await.expect("subscribes");
    }
    tokio::join!(left.until_topics(right_id, TOPICS), right.until_topics(left_id, TOPICS));
    let last = topics.last().expect("there are topics");
    left.net.publish(last.as_str(), b"hello".to_vec()).await.expect("publishes");
    assert_eq!(next_message(&mut right).await.bytes, b"hello");
}
