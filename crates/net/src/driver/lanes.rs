//! The life of lanes: opened on the current connection, replaced when that changes, opened anew
//! after a reset.

use std::time::{Duration, Instant};

use libp2p::swarm::ConnectionId;
use libp2p::{PeerId, Stream};

use super::super::error::LaneResetReason;
use super::super::lane::{LaneSender, LaneTask};
use super::super::lanes::OpenFailure;
use super::super::{Lane, NetEvent};
use super::{Driver, Outgoing, Timer};

/// A connection on which no lane is open after this belongs to somebody who is not one of us.
const LANE_EXPECTED: Duration = Duration::from_secs(20);

/// Requests for a stream that may fail in a row before the connection is given up.
const OPEN_FAILURES_MAX: u32 = 3;

/// The delay before a stream is asked for again.
const OPEN_RETRY: Duration = Duration::from_millis(200);

impl Driver {
    /// A connection stands for a peer from now on: its lanes belong on it.
    pub(super) fn open_lanes(&mut self, peer: PeerId, connection: ConnectionId) {
        for lane in Lane::ALL {
            self.open_lane(peer, lane);
        }
        self.timers.insert((Instant::now() + LANE_EXPECTED, Timer::Expect(peer, connection)));
    }

    /// Asks for a stream, if it is ours to ask and none is there or under way.
    pub(super) fn open_lane(&mut self, peer: PeerId, lane: Lane) {
        let lanes = &mut self.swarm.behaviour_mut().lanes;
        let Some(known) = self.peers.get_mut(&peer).filter(|known| known.connected) else { return };
        if !lanes.opens(&peer) {
            return;
        }
        let slot = known.slot(lane);
        let alive = slot.running.as_ref().is_some_and(|sender| !sender.is_reset());
        if slot.opening || slot.next.is_some() || alive {
            return;
        }
        slot.opening = true;
        lanes.open(peer, lane);
    }

    /// A stream is there.
    pub(super) fn lane_stream(&mut self, peer: PeerId, lane: Lane, stream: Stream) {
        let Some(known) = self.peers.get_mut(&peer).filter(|known| known.connected) else { return };
        let slot = known.slot(lane);
        slot.opening = false;
        if let Some(running) = &slot.running {
            // The other side has given up the old stream, else it would not have opened another.
            running.reset(LaneResetReason::Reopened);
            slot.next = Some(stream);
        } else {
            self.begin_lane(peer, lane, stream);
        }
    }

    pub(super) fn lane_open_failed(&mut self, peer: PeerId, lane: Lane, failure: &OpenFailure) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let slot = known.slot(lane);
        slot.opening = false;
        slot.open_failures += 1;
        tracing::debug!(%peer, ?lane, ?failure, "a lane could not be opened");
        if *failure == OpenFailure::Unsupported || slot.open_failures >= OPEN_FAILURES_MAX {
            self.swarm.close_connection(known.connection);
        } else {
            self.timers.insert((Instant::now() + OPEN_RETRY, Timer::Open(peer, lane)));
        }
    }

    /// The lane's task has emitted its last event.
    pub(super) fn lane_ended(&mut self, peer: PeerId, lane: Lane, epoch: u64) {
        self.lanes.remove(peer, lane, epoch);
        let now = Instant::now();
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let slot = known.slot(lane);
        let delay = slot.end(now);
        if let Some(stream) = slot.next.take() {
            self.begin_lane(peer, lane, stream);
        } else if known.connected {
            self.timers.insert((now + delay, Timer::Open(peer, lane)));
        } else {
            self.finish_disconnect(peer);
        }
    }

    /// Nothing of the peer is left: the consumer may know.
    pub(super) fn finish_disconnect(&mut self, peer: PeerId) {
        if self.peers.get_mut(&peer).is_some_and(|known| !known.connected && known.is_quiet()) {
            self.peers.remove(&peer);
            self.emit(NetEvent::PeerDisconnected { peer });
        }
    }

    /// Closes a connection that has stood for a while without a lane.
    pub(super) fn check_lanes(&mut self, peer: PeerId, connection: ConnectionId) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        if known.connection == connection && known.connected && !known.has_open_lane() {
            tracing::debug!(%peer, "the peer opens no lanes: closing the connection");
            self.swarm.close_connection(connection);
        }
    }

    pub(super) fn spawn_lane(&mut self, task: LaneTask<Stream>, peer: PeerId, lane: Lane, sender: LaneSender) {
        self.lanes.insert(peer, lane, sender);
        self.lane_tasks.spawn(task.run());
    }

    fn begin_lane(&mut self, peer: PeerId, lane: Lane, stream: Stream) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        self.epoch += 1;
        let (events, counters) = (self.events.clone(), self.counters.clone());
        let (task, sender) = LaneTask::new(peer, lane, self.epoch, stream, events, counters);
        known.slot(lane).begin(sender.clone(), Instant::now());
        if self.backlog.is_empty() {
            self.spawn_lane(task, peer, lane, sender);
        } else {
            self.backlog.push_back(Outgoing::Lane(Box::new(task), peer, lane, sender));
        }
    }
}
