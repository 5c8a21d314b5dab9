//! Frames over lanes.

use std::time::{Duration, Instant};

use super::*;
use crate::lane::{INBOUND_BYTES_MAX, QUEUE_BYTES_MAX};
use crate::{FRAME_BYTES_MAX, LaneResetReason, SendError};

const SMALL_FRAMES: u32 = 10_000;

/// Sends numbered frames of growing size; the receiver checks number and size.
async fn send_numbered(net: Network, peer: PeerId) {
    for number in 0..SMALL_FRAMES {
        let mut frame = number.to_be_bytes().to_vec();
        frame.resize(4 + (number % 300) as usize, 7);
        net.send_paced(peer, Lane::Sync, frame).await.expect("the lane is open");
    }
}

async fn receive_numbered(node: &mut Node) {
    let mut expected = 0_u32;
    node.until("all frames", |event| {
        if let NetEvent::Frame { bytes, .. } = event {
            assert_eq!(bytes[..4], expected.to_be_bytes());
            assert_eq!(bytes.len(), 4 + (expected % 300) as usize);
            expected += 1;
        }
        (expected == SMALL_FRAMES).then_some(())
    })
    .await;
}

async fn frames_flow_both_ways_in_order(listen: &str, expected: Transport) {
    let (mut left, mut right) = pair(listen).await;
    let sending = [
        tokio::spawn(send_numbered(left.net.clone(), right.id())),
        tokio::spawn(send_numbered(right.net.clone(), left.id())),
    ];
    tokio::join!(receive_numbered(&mut left), receive_numbered(&mut right));
    for task in sending {
        task.await.expect("sends");
    }
    let status = left.net.peers().await.expect("runs").remove(0);
    assert_eq!((status.peer, status.transport, status.direct), (right.id(), Some(expected), true));
    assert_eq!(status.lanes, Lane::ALL);
}

#[tokio::test]
async fn ten_thousand_frames_arrive_in_order_both_ways_over_tcp() {
    frames_flow_both_ways_in_order(TCP, Transport::Tcp).await;
}

#[tokio::test]
async fn ten_thousand_frames_arrive_in_order_both_ways_over_quic() {
    frames_flow_both_ways_in_order(QUIC, Transport::Quic).await;
}

#[tokio::test]
async fn the_largest_frame_passes_on_each_lane_and_a_larger_one_is_refused() {
    for listen in [TCP, QUIC] {
        let (left, mut right) = pair(listen).await;
        for lane in Lane::ALL {
            let frame: Vec<u8> = (0..FRAME_BYTES_MAX).map(|index| (index % 251) as u8).collect();
            left.net.send(right.id(), lane, frame.clone()).expect("room");
            left.net.send(right.id(), lane, Vec::new()).expect("room");
            assert_eq!(right.until_frame(lane).await, frame);
            assert_eq!(right.until_frame(lane).await, Vec::<u8>::new());
        }
        let bytes = FRAME_BYTES_MAX + 1;
        let refused = left.net.send(right.id(), Lane::Sync, vec![0; bytes]);
        assert_eq!(refused, Err(SendError::FrameTooLarge { bytes }));
    }
}

#[tokio::test]
async fn a_slow_consumer_slows_the_sender_and_loses_nothing() {
    let (left, mut right) = pair(TCP).await;
    let (peer, net) = (right.id(), left.net.clone());
    const FRAMES: u32 = 64;
    let sending = tokio::spawn(async move {
        for number in 0..FRAMES {
            let mut frame = number.to_be_bytes().to_vec();
            frame.resize(1024 * 1024, 0);
            net.send_paced(peer, Lane::Blob, frame).await.expect("the lane is open");
        }
    });
    // Nothing is consumed: the credit of one lane, a frame in hand and both queues fill, no more.
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(!sending.is_finished());
    let received = right.net.counters().frame_bytes_in as usize;
    assert!(received <= INBOUND_BYTES_MAX + FRAME_BYTES_MAX, "{received} bytes were read ahead");
    // The other lane of the same connection is not held up. Credits are kept to keep the blob lane full.
    left.net.send(peer, Lane::Sync, b"urgent".to_vec()).expect("room");
    let mut held = Vec::new();
    let urgent = right
        .until("the frame on the other lane", |event| match event {
            NetEvent::Frame { lane: Lane::Sync, bytes, .. } => Some(bytes),
            NetEvent::Frame { bytes, credit, .. } => {
                held.push((bytes, credit));
                None
            }
            _ => None,
        })
        .await;
    assert_eq!(urgent, b"urgent");
    let mut numbers: Vec<Vec<u8>> = held.drain(..).map(|(bytes, _)| bytes[..4].to_vec()).collect();
    while numbers.len() < FRAMES as usize {
        numbers.push(right.until_frame(Lane::Blob).await[..4].to_vec());
    }
    assert!(numbers.iter().zip(0_u32..).all(|(number, expected)| *number == expected.to_be_bytes()));
    sending.await.expect("sends");
}

#[tokio::test]
async fn an_overflow_resets_the_lane_and_it_opens_anew() {
    let (mut left, mut right) = pair(TCP).await;
    let (peer, frame) = (right.id(), vec![0_u8; 1024 * 1024]);
    let mut queued = 0;
    let refused = loop {
        match left.net.send(peer, Lane::Blob, frame.clone()) {
            Ok(()) => queued += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, SendError::Overflow);
    assert!(queued * frame.len() <= QUEUE_BYTES_MAX + INBOUND_BYTES_MAX + 4 * FRAME_BYTES_MAX);
    let reason = left
        .until("the reset", |event| match event {
            NetEvent::LaneReset { lane: Lane::Blob, reason, .. } => Some(reason),
            _ => None,
        })
        .await;
    assert_eq!(reason, LaneResetReason::Overflow);
    let epoch = left.until_open(peer, Lane::Blob).await;
    right
        .until("the reset at the other side", |event| match event {
            NetEvent::LaneReset { lane: Lane::Blob, .. } => Some(()),
            _ => None,
        })
        .await;
    right.until_open(left.id(), Lane::Blob).await;
    assert_eq!(left.net.send_in(peer, Lane::Blob, epoch - 1, Vec::new()), Err(SendError::NotOpen));
    left.net.send_in(peer, Lane::Blob, epoch, b"again".to_vec()).expect("open");
    assert_eq!(right.until_frame(Lane::Blob).await, b"again");
}

#[tokio::test]
async fn both_sides_may_reset_lanes_as_often_as_they_like() {
    let (mut left, mut right) = pair(TCP).await;
    for round in 0..6_u8 {
        if round % 3 != 1 {
            left.net.reset_lane(right.id(), Lane::Sync);
        }
        if round % 3 != 0 {
            right.net.reset_lane(left.id(), Lane::Sync);
        }
        let (left_id, right_id) = (left.id(), right.id());
        tokio::join!(left.until_open(right_id, Lane::Sync), right.until_open(left_id, Lane::Sync));
    }
    // After the last reset both sides settle on one stream.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let sent = left.net.send(right.id(), Lane::Sync, b"settled".to_vec());
        let heard = right.listen_for(Duration::from_millis(100)).await;
        let arrived = heard.iter().any(|event| matches!(event, NetEvent::Frame { bytes, .. } if bytes == b"settled"));
        if sent.is_ok() && arrived {
            break;
        }
        assert!(Instant::now() < deadline, "the lane does not settle");
    }
}

#[tokio::test]
async fn nothing_can_be_sent_to_a_stranger() {
    let node = Node::start(&[]).await;
    let stranger = PeerId::random();
    assert_eq!(node.net.send(stranger, Lane::Sync, Vec::new()), Err(SendError::NotOpen));
    assert_eq!(node.net.send_paced(stranger, Lane::Sync, Vec::new()).await, Err(SendError::NotOpen));
}
