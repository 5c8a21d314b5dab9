//! The router: it owns the machines, takes each input to its machine, and carries what one machine tells to the
//! others.

mod acts;
mod addresses;
mod blobs;
mod cards;
mod commands;
mod creations;
mod explain;
mod farewells;
mod founding;
mod gossiping;
mod greetings;
mod heartbeats;
mod held;
mod infos;
mod joins;
mod leaving;
mod lookup;
mod messages;
mod places;
mod pulls;
mod restart;
mod returning;
mod spreading;
mod tree;
mod turn;

pub use blobs::BUNDLE_LEN_MAX;
pub use lookup::find;
pub(crate) use turn::Turn;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesto_governance::action::is_alias;
use mesto_governance::{BlobId, ContextId, GroupId};
use mesto_oplog::{LogId, PublicKey};
use mesto_sync::{Peer, gossip};

use crate::command::{AppVersion, CommandError};
use crate::context::Context;
use crate::entropy::Entropy;
use crate::flight::Flight;
use crate::group::Group;
use crate::layout::{self, LogNumber};
use crate::peers::{Fetch, Session};
use crate::record::{CardRecord, ContextRecord, GroupRecord, JoinRecord, PeerRecord};
use crate::step::{Effect, Input, Step, Ticket, Time};
use crate::store::{Keyspace, Snapshot};
use crate::timers::Timers;
use crate::view::View;

use restart::records;

/// A machine that a log belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum LogOwner {
    Group(GroupId),
    Context(ContextId),
}

/// What the node wants to be woken for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Timer {
    /// Tell the members how a log stands.
    Heartbeat(LogId),
    /// See whether something is missing that gossip should have brought.
    Pull(LogId),
    /// Entries whose stamps are ahead of our clock.
    Clock(LogId),
    /// Ask for keys.
    Keys(GroupId),
    /// Merge the heads of a group's log.
    Merge(GroupId),
    /// Go on with a join.
    Join(GroupId),
    /// Fetch a bundle.
    Blob(BlobId),
    /// Go on making a context's state follow the verdicts.
    Rebuild(ContextId),
}

/// A node: every group and context that it is part of.
#[derive(Debug)]
pub struct Node {
    peer: Peer,
    /// How we introduce ourselves to groups.
    name: Option<String>,
    listening: Vec<String>,
    flight: Flight,
    groups: BTreeMap<GroupId, Group>,
    /// Those that we are in, and those that we left and serve until somebody else has what is here.
    contexts: BTreeMap<ContextId, Context>,
    /// Contexts that we left for good since the start: their last batches may be on their way to the disk.
    resting: BTreeMap<ContextId, Context>,
    /// What waits for batches of several machines, in the order in which it was decided.
    held: Vec<held::Held>,
    logs: BTreeMap<LogId, LogOwner>,
    /// Of all logs that are or were ours.
    numbers: BTreeMap<LogId, LogNumber>,
    joins: BTreeMap<GroupId, JoinRecord>,
    cards: BTreeMap<PublicKey, CardRecord>,
    known_peers: BTreeMap<Peer, PeerRecord>,
    sessions: BTreeMap<Peer, Session>,
    fetches: BTreeMap<LogId, Fetch>,
    blobs: BTreeMap<BlobId, blobs::BlobFetch>,
    installed: BTreeMap<BlobId, AppVersion>,
    creations: BTreeMap<u64, creations::Creation>,
    last_creation: u64,
    /// How many subgroups of a group are not followed for want of room.
    unfollowed: BTreeMap<GroupId, u64>,
    /// Who named a subgroup in its parent, as far as that was asked.
    founders: BTreeMap<GroupId, PublicKey>,
    timers: Timers<Timer>,
    announced_wake: Option<u64>,
    /// The time of the last step.
    last_ms: u64,
}

impl Node {
    /// Reads the node back from its store. `installed` are the bundles that are here, ready to run.
    ///
    /// # Errors
    /// If the store holds what this build cannot read; the text names what.
    pub fn open(
        peer: Peer,
        installed: Vec<AppVersion>,
        time: Time,
        entropy: &mut Entropy,
        snapshot: &Arc<dyn Snapshot>,
    ) -> Result<(Self, Step), String> {
        let view = View::durable(Arc::clone(snapshot));
        let is_new = restart::check_version(&view)?;
        let mut node = Self {
            peer,
            name: None,
            listening: Vec::new(),
            flight: Flight::default(),
            groups: BTreeMap::new(),
            contexts: BTreeMap::new(),
            resting: BTreeMap::new(),
            held: Vec::new(),
            logs: BTreeMap::new(),
            numbers: restart::numbers(&view)?,
            joins: BTreeMap::new(),
            cards: BTreeMap::new(),
            known_peers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            fetches: BTreeMap::new(),
            blobs: BTreeMap::new(),
            installed: installed.into_iter().map(|app| (app.bundle, app)).collect(),
            creations: BTreeMap::new(),
            last_creation: 0,
            unfollowed: BTreeMap::new(),
            founders: BTreeMap::new(),
            timers: Timers::default(),
            announced_wake: None,
            last_ms: time.wall_ms,
        };
        node.open_groups(&view, records::<GroupRecord>(&view, layout::GROUPS)?)?;
        for (id, record) in records::<ContextRecord>(&view, layout::CONTEXTS)? {
            let id = ContextId::from_bytes(id);
            let number = node.number_of(&id.log());
            node.adopt_context(Context::open(&view, id, number, record)?);
        }
        for (id, record) in records::<ContextRecord>(&view, layout::LEFT)? {
            let id = ContextId::from_bytes(id);
            let number = node.number_of(&id.log());
            let mut context = Context::open(&view, id, number, record)?;
            context.is_left = true;
            node.adopt_context(context);
        }
        node.joins =
            records(&view, layout::JOINS)?.into_iter().map(|(id, join)| (GroupId::from_bytes(id), join)).collect();
        node.cards =
            records(&view, layout::CARDS)?.into_iter().map(|(id, card)| (PublicKey::from_bytes(id), card)).collect();
        node.known_peers =
            records(&view, layout::PEERS)?.into_iter().map(|(id, at)| (Peer::from_bytes(id), at)).collect();
        let mut turn = Turn::new(time, entropy, snapshot);
        if is_new {
            node.with_own(&mut turn, |work| {
                work.put(Keyspace::Meta, layout::VERSION_KEY.to_vec(), vec![layout::VERSION]);
            });
        }
        node.begin(&mut turn);
        node.finish(&mut turn);
        Ok((node, turn.step))
    }

    /// Takes one input.
    pub fn step(&mut self, input: Input, time: Time, entropy: &mut Entropy, snapshot: &Arc<dyn Snapshot>) -> Step {
        let mut turn = Turn::new(time, entropy, snapshot);
        self.notice_time(time);
        self.take_input(&mut turn, input);
        self.finish(&mut turn);
        turn.step
    }

    /// A clock that was set back must not hold up what waits for a while to pass: neither alarms nor deadlines.
    fn notice_time(&mut self, time: Time) {
        let back_ms = self.last_ms.saturating_sub(time.wall_ms);
        self.last_ms = time.wall_ms;
        if back_ms == 0 {
            return;
        }
        self.timers.set_back(back_ms, |timer| matches!(timer, Timer::Clock(_)));
        self.announced_wake = None;
        for group in self.groups.values_mut() {
            group.book.set_back(back_ms);
        }
        for fetch in self.fetches.values_mut() {
            fetch.set_back(back_ms);
        }
        for fetch in self.blobs.values_mut() {
            fetch.set_back(back_ms);
        }
    }

    fn take_input(&mut self, turn: &mut Turn<'_>, input: Input) {
        match input {
            Input::Command { ticket, command } => self.command(turn, ticket, command),
            Input::Executed { context, execution, result } => {
                if context == ContextId::default() {
                    self.creation_tried(turn, execution, result);
                } else {
                    self.with_context(turn, &context, |context, work| context.executed(work, execution, result));
                    self.touched(turn, context.log());
                }
            }
            Input::Durable { machine, seq } => self.durable(turn, machine, seq),
            Input::PeerUp(peer) => self.peer_up(turn, peer),
            Input::PeerDown(peer) => self.peer_down(turn, peer),
            Input::PeerAddresses(peer, addresses) => self.peer_addresses(turn, peer, addresses),
            Input::Listening(addresses) => self.listening = addresses,
            Input::Subscribed(peer, topic) => self.peer_subscribed(turn, peer, &topic),
            Input::Message(peer, message) => self.message(turn, peer, message),
            Input::Gossip { token, topic, from, gossip } => self.gossip(turn, token, &topic, from, gossip),
            Input::Installed(app) => self.app_installed(turn, app),
            Input::BlobReceived { blob, received } => self.blob_received(turn, blob, received),
            Input::BlobRefused { blob, reason } => self.blob_refused(turn, blob, reason),
            Input::Reading(context, version) => {
                self.with_context(turn, &context, |context, work| context.reading(work, version));
            }
            Input::Read(context) => {
                self.with_context(turn, &context, Context::read);
            }
            Input::Tick => {
                self.announced_wake = None;
                while let Some(timer) = self.timers.pop_due(turn.time.wall_ms) {
                    self.alarm(turn, timer);
                }
            }
        }
    }

    fn alarm(&mut self, turn: &mut Turn<'_>, timer: Timer) {
        match timer {
            Timer::Heartbeat(log) => self.heartbeat(turn, log),
            Timer::Pull(log) => self.pull_overdue(turn, log),
            Timer::Clock(log) => self.clock_reached(turn, log),
            Timer::Keys(group) => self.ask_for_keys(turn, group),
            Timer::Merge(group) => self.merge_heads(turn, group),
            Timer::Join(group) => self.continue_join(turn, group),
            Timer::Blob(blob) => self.fetch_blob(turn, blob),
            Timer::Rebuild(context) => self.rebuild(turn, context),
        }
    }

    /// Carries news around, and asks to be woken.
    fn finish(&mut self, turn: &mut Turn<'_>) {
        self.settle(turn);
        if let Some(next) = self.timers.next()
            && self.announced_wake.is_none_or(|announced| next < announced)
        {
            self.announced_wake = Some(next);
            turn.effect(Effect::Wake { at_ms: next });
        }
    }

    /// The number of a log on this node; the next one if it has none yet.
    pub(crate) fn number_of(&mut self, log: &LogId) -> LogNumber {
        if let Some(number) = self.numbers.get(log) {
            return *number;
        }
        let last = self.numbers.values().max().map_or(0, |number| number.0);
        let number = LogNumber(last.checked_add(1).expect("INVARIANT: a node has far fewer than 2^32 logs"));
        self.numbers.insert(*log, number);
        number
    }

    fn adopt_group(&mut self, group: Group) {
        self.logs.insert(group.id.log(), LogOwner::Group(group.id));
        self.groups.insert(group.id, group);
    }

    fn adopt_context(&mut self, mut context: Context) {
        context.governance = self.groups.get_mut(&context.group).and_then(Group::view);
        self.logs.insert(context.id.log(), LogOwner::Context(context.id));
        self.contexts.insert(context.id, context);
    }

    pub(crate) fn topic(&self, log: &LogId) -> String {
        match self.logs.get(log) {
            Some(LogOwner::Context(_)) => gossip::context_topic(log),
            Some(LogOwner::Group(_)) | None => gossip::group_topic(log),
        }
    }

    /// The log of a topic, if it is one of ours.
    pub(crate) fn log_of(&self, topic: &str) -> Option<LogId> {
        let log = topic.rsplit('/').next()?.parse().ok()?;
        (self.logs.contains_key(&log) && self.topic(&log) == topic).then_some(log)
    }

    /// The group whose members share a log.
    pub(crate) fn group_of(&self, log: &LogId) -> Option<GroupId> {
        match self.logs.get(log)? {
            LogOwner::Group(group) => Some(*group),
            LogOwner::Context(context) => self.contexts.get(context).map(|context| context.group),
        }
    }

    /// Connected peers that proved to be members of a group.
    pub(crate) fn members_online(&self, group: &GroupId) -> Vec<Peer> {
        let Some(of) = self.groups.get(group) else { return Vec::new() };
        let is_member = |session: &Session| session.claims.get(group).is_some_and(|member| of.is_member(member));
        self.sessions.iter().filter(|(_, session)| is_member(session)).map(|(peer, _)| *peer).collect()
    }

    pub(crate) fn refuse(turn: &mut Turn<'_>, ticket: Ticket, error: CommandError) {
        turn.effect(Effect::Reply(ticket, Box::new(Err(error))));
    }

    /// Gives the name under which we introduce ourselves: an alias of our own in each group that we begin or join from now
    /// on, unless somebody gave us one there. A name that cannot be one, see [`is_alias`], is none.
    #[must_use]
    pub fn named(mut self, name: Option<String>) -> Self {
        self.name = name.filter(|name| !name.is_empty() && is_alias(name));
        self
    }

    /// Whether what is durable of a context's state follows the newest verdicts, for tests of invariants: after large changes
    /// of them that takes some steps.
    #[must_use]
    pub fn shows_verdicts(&self, context: &ContextId) -> bool {
        let of = self.contexts.get(context);
        of.is_none_or(|context| {
            !context.is_rebuilding() && (context.flight.has_landed() || !context.verdicts.has_void())
        })
    }

    /// Log ids of all machines, for tests of invariants.
    #[must_use]
    pub fn logs(&self) -> BTreeSet<LogId> {
        self.logs.keys().copied().collect()
    }
}
