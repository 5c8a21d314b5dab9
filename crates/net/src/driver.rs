//! The task that drives the swarm: takes commands, turns what happens into events, and keeps lanes
//! and connections as they should be.

mod happenings;
mod lanes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use libp2p::gossipsub::MessageAcceptance;
use libp2p::swarm::ConnectionId;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId, Stream, Swarm};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::commands::{Command, Lanes};
use super::counters::Counters;
use super::dialer::{Dialer, Plan, Target};
use super::error::{DialFailure, LaneResetReason};
use super::lane::{LaneSender, LaneTask};
use super::peers::Peers;
use super::start::{Early, Stack};
use super::{Lane, NetEvent, Verdict, address, transport};

/// Events that wait for room in the consumer's channel before the swarm is left alone.
const BACKLOG_MAX: usize = 64;

/// How long a shutdown waits for connections to say goodbye.
const GOODBYE: Duration = Duration::from_millis(500);

/// How often a shutdown looks whether its sockets are free.
const SOCKET_POLL: Duration = Duration::from_millis(5);

/// How long a dial to a peer on the local network may take. Nobody answers a QUIC packet to a port
/// that is closed, and while it waits the peer may have come back on another transport.
const LOCAL_DIAL_DEADLINE: Duration = Duration::from_secs(3);

/// What waits for room in the consumer's channel, in order.
enum Outgoing {
    Event(NetEvent),
    /// A lane whose first event has to come after those before it.
    Lane(Box<LaneTask<Stream>>, PeerId, Lane, LaneSender),
}

/// What a dial was made for.
enum Purpose {
    Kept(Target),
    Once { peer: Option<PeerId>, address: Multiaddr },
}

/// What is to be done at a certain time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// Ask for a stream of a lane.
    Open(PeerId, Lane),
    /// Close the connection if no lane has come up: the peer is not one of us.
    Expect(PeerId, ConnectionId),
    /// Give up a dial that is still under way.
    Abandon(PeerId, ConnectionId),
}

/// The driver's state.
pub(super) struct Driver {
    swarm: Swarm<Stack>,
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<NetEvent>,
    backlog: VecDeque<Outgoing>,
    peers: Peers,
    dialer: Dialer,
    dials: BTreeMap<ConnectionId, Purpose>,
    timers: BTreeSet<(Instant, Timer)>,
    lanes: Lanes,
    lane_tasks: JoinSet<(PeerId, Lane, u64)>,
    epoch: u64,
    listening: Vec<Multiaddr>,
    external: BTreeSet<Multiaddr>,
    counters: Arc<Counters>,
}

impl Driver {
    pub(super) fn new(
        swarm: Swarm<Stack>,
        commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<NetEvent>,
        lanes: Lanes,
        counters: Arc<Counters>,
        dialer: Dialer,
        listening: Vec<Multiaddr>,
    ) -> Self {
        Self {
            swarm,
            commands,
            events,
            backlog: VecDeque::new(),
            peers: Peers::default(),
            dialer,
            dials: BTreeMap::new(),
            timers: BTreeSet::new(),
            lanes,
            lane_tasks: JoinSet::new(),
            epoch: 0,
            listening,
            external: BTreeSet::new(),
            counters,
        }
    }

    /// Runs until it is told to shut down, or nobody listens or commands any more.
    pub(super) async fn run(mut self, early: Early) {
        for address in self.listening.clone() {
            self.emit(NetEvent::ListenAddr { address });
        }
        for event in early {
            self.happened(event);
        }
        let events = self.events.clone();
        loop {
            let wake = self.next_deadline();
            tokio::select! {
                permit = events.reserve(), if !self.backlog.is_empty() => match permit {
                    Ok(permit) => self.deliver(permit),
                    Err(_) => break,
                },
                command = self.commands.recv() => match command {
                    Some(Command::Shutdown) | None => break,
                    Some(command) => self.obey(command),
                },
                event = self.swarm.select_next_some(), if self.backlog.len() < BACKLOG_MAX => self.happened(event),
                Some(ended) = self.lane_tasks.join_next() => {
                    if let Ok((peer, lane, epoch)) = ended {
                        self.lane_ended(peer, lane, epoch);
                    }
                }
                () = sleep_until(wake) => {}
            }
            self.keep_time();
        }
        self.say_goodbye().await;
    }

    /// Closes what is open and returns when our addresses are free to be listened on again.
    async fn say_goodbye(mut self) {
        self.peers.reset_all(&LaneResetReason::Shutdown);
        for peer in self.peers.ids() {
            // Err: it is gone already.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let deadline = tokio::time::sleep(GOODBYE);
        tokio::pin!(deadline);
        while self.swarm.connected_peers().next().is_some() {
            tokio::select! {
                _ = self.swarm.select_next_some() => {}
                () = &mut deadline => break,
            }
        }
        let Self { swarm, listening, .. } = self;
        drop(swarm);
        // Tasks of the QUIC library hold the socket for some moments after that.
        while !deadline.is_elapsed() && transport::check_free(&listening).is_err() {
            tokio::time::sleep(SOCKET_POLL).await;
        }
    }

    fn obey(&mut self, command: Command) {
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        // A reply fails when the caller has gone away, which is its own business.
        match command {
            Command::Subscribe { topic, reply } => drop(reply.send(gossip.subscribe(&topic))),
            Command::Unsubscribe(topic) => gossip.unsubscribe(&topic),
            Command::Publish { topic, bytes, reply } => {
                let result = gossip.publish(&topic, bytes);
                if result.is_ok() {
                    self.counters.gossip_out();
                }
                drop(reply.send(result));
            }
            #[cfg(test)]
            Command::PublishUnchecked { topic, bytes, reply } => {
                drop(reply.send(gossip.publish_unchecked(&topic, bytes)));
            }
            Command::Report { token, verdict } => {
                let acceptance = match verdict {
                    Verdict::Accept => MessageAcceptance::Accept,
                    Verdict::Reject => {
                        self.counters.gossip_refused();
                        MessageAcceptance::Reject
                    }
                    Verdict::Ignore => MessageAcceptance::Ignore,
                };
                gossip.report(&token.id, &token.from, acceptance);
            }
            Command::Dial(address) => self.dial_once(&address),
            Command::KeepConnected { peer, addresses } => {
                let connected = self.peers.is_connected(&peer);
                if self.dialer.keep(peer, addresses, connected, Instant::now()).is_err() {
                    tracing::warn!(%peer, "too many peers to keep connected: ignored");
                }
            }
            Command::Forget(peer) => self.dialer.forget(peer),
            Command::Disconnect(peer) => drop(self.swarm.disconnect_peer_id(peer)),
            Command::Peers(reply) => {
                let mut statuses = self.peers.statuses();
                for status in &mut statuses {
                    status.score = gossip.score(&status.peer);
                }
                drop(reply.send(statuses));
            }
            Command::ListenAddrs(reply) => drop(reply.send(self.listening.clone())),
            // The loop has taken it.
            Command::Shutdown => {}
        }
    }

    /// Hands an event to the consumer, after those that wait.
    fn emit(&mut self, event: NetEvent) {
        if !self.backlog.is_empty() {
            self.backlog.push_back(Outgoing::Event(event));
            return;
        }
        match self.events.try_send(event) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(event)) => self.backlog.push_back(Outgoing::Event(event)),
            // The loop ends as soon as it notices that the consumer is gone.
            Err(mpsc::error::TrySendError::Closed(event)) => self.backlog.push_back(Outgoing::Event(event)),
        }
    }

    /// There is room: the first that waits goes.
    fn deliver(&mut self, permit: mpsc::Permit<'_, NetEvent>) {
        match self.backlog.pop_front() {
            Some(Outgoing::Event(event)) => permit.send(event),
            Some(Outgoing::Lane(task, peer, lane, sender)) => self.spawn_lane(*task, peer, lane, sender),
            None => {}
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let timer = self.timers.first().map(|(at, _)| *at);
        timer.into_iter().chain(self.dialer.next()).min()
    }

    /// Does what is due.
    fn keep_time(&mut self) {
        let now = Instant::now();
        while let Some((at, timer)) = self.timers.first().copied() {
            if at > now {
                break;
            }
            self.timers.pop_first();
            match timer {
                Timer::Open(peer, lane) => self.open_lane(peer, lane),
                Timer::Expect(peer, connection) => self.check_lanes(peer, connection),
                Timer::Abandon(peer, connection) => self.abandon_dial(peer, connection),
            }
        }
        if self.dialer.next().is_some_and(|at| at <= now) {
            for plan in self.dialer.due(now) {
                self.dial_kept(plan);
            }
        }
    }

    fn dial_once(&mut self, address: &Multiaddr) {
        let (bare, peer) = address::split_peer(address);
        self.dial(peer, vec![bare.clone()], Purpose::Once { peer, address: bare });
    }

    fn dial_kept(&mut self, plan: Plan) {
        if let Some(peer) = plan.peer.filter(|peer| self.peers.is_connected(peer)) {
            self.dialer.connected(peer, Some(&plan.target), Instant::now());
            return;
        }
        self.dial(plan.peer, plan.addresses, Purpose::Kept(plan.target));
    }

    fn dial(&mut self, peer: Option<PeerId>, addresses: Vec<Multiaddr>, purpose: Purpose) {
        // A port of its own for each dial: our listening port is of use for hole punching only, and
        // a second dial from it to the same address fails while the first one's end is remembered.
        let local = addresses.iter().all(address::is_local);
        let options = match (peer, addresses.first()) {
            (Some(peer), _) => DialOpts::peer_id(peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(addresses)
                .allocate_new_port()
                .build(),
            (None, Some(address)) => DialOpts::unknown_peer_id().address(address.clone()).allocate_new_port().build(),
            (None, None) => return self.dial_failed(peer, purpose, DialFailure::NoAddress),
        };
        let connection = options.connection_id();
        self.dials.insert(connection, purpose);
        if let Err(error) = self.swarm.dial(options) {
            self.dial_ended(connection, peer, error);
        } else if let Some(peer) = peer.filter(|_| local) {
            self.timers.insert((Instant::now() + LOCAL_DIAL_DEADLINE, Timer::Abandon(peer, connection)));
        }
    }

    fn abandon_dial(&mut self, peer: PeerId, connection: ConnectionId) {
        if self.dials.contains_key(&connection) && !self.peers.is_connected(&peer) {
            // Ends dials as well as connections; the outcome is reported as that of any dial.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Uniform in 0..=1, so that nodes that were cut off together do not come back together.
fn jitter() -> f64 {
    // Without randomness everybody waits equally long, which is bearable.
    getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX))
}
