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
mod tree;

pub use blobs::BUNDLE_LEN_MAX;
pub use lookup::find;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use mesto_governance::action::is_alias;
use mesto_governance::{BlobId, Change, ContextId, GroupId};
use mesto_oplog::{LogId, PublicKey};
use mesto_sync::{Message, Peer, gossip};

use crate::command::{AppVersion, CommandError};
use crate::context::Context;
use crate::entropy::Entropy;
use crate::flight::{Departure, Flight, Work};
use crate::group::keys::{Domain, domain_of};
use crate::group::{Group, News};
use crate::layout::{self, LogNumber};
use crate::log::Need;
use crate::peers::{Fetch, Session};
use crate::record::{CardRecord, ContextRecord, GroupRecord, JoinRecord, PeerRecord};
use crate::step::{Effect, Input, MachineId, Report, Step, Ticket, Time};
use crate::store::{Keyspace, Snapshot};
use crate::timers::Timers;
use crate::view::View;

use restart::records;

/// When a context goes on with work that is too long for one step, in milliseconds: what came meanwhile has its turn first.
const NEXT_PIECE_MS: u64 = 1;

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

/// One step: what came with it, and what leaves it.
pub(crate) struct Turn<'a> {
    pub(crate) time: Time,
    pub(crate) entropy: &'a mut Entropy,
    pub(crate) snapshot: &'a Arc<dyn Snapshot>,
    pub(crate) step: Step,
    news: VecDeque<(GroupId, News)>,
    /// Groups whose members may have become others: what peers are told of them comes after all groups have followed.
    changed: BTreeSet<GroupId>,
    /// Domains in which a call waits for a key to write under.
    wanted: VecDeque<(GroupId, Domain)>,
    /// Groups in which somebody has just lost the right to read, by what was decided above them.
    stale: VecDeque<GroupId>,
}

impl<'a> Turn<'a> {
    fn new(time: Time, entropy: &'a mut Entropy, snapshot: &'a Arc<dyn Snapshot>) -> Self {
        Self {
            time,
            entropy,
            snapshot,
            step: Step::default(),
            news: VecDeque::new(),
            changed: BTreeSet::new(),
            wanted: VecDeque::new(),
            stale: VecDeque::new(),
        }
    }
}

impl Turn<'_> {
    fn take(&mut self, machine: MachineId, departure: Departure) {
        if let Some((seq, batch)) = departure.batch {
            self.step.batches.push((machine, seq, batch));
        }
        self.step.effects.extend(departure.effects);
    }

    pub(crate) fn effect(&mut self, effect: Effect) {
        self.step.effects.push(effect);
    }

    pub(crate) fn send(&mut self, peer: Peer, message: Message) {
        self.effect(Effect::Send(peer, crate::step::Lane::Sync, message));
    }

    pub(crate) fn report(&mut self, report: Report) {
        self.effect(Effect::Report(report));
    }
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

    /// Makes a context's state follow the verdicts, a piece in each step.
    fn rebuild(&mut self, turn: &mut Turn<'_>, id: ContextId) {
        if self.with_context(turn, &id, Context::go_on_rebuilding) == Some(true) {
            self.touched(turn, id.log());
        }
    }

    /// What a start or restart sets in motion.
    fn begin(&mut self, turn: &mut Turn<'_>) {
        self.forget_unregistered(turn);
        self.forget_unnamed(turn);
        for log in self.logs.keys().copied().collect::<Vec<_>>() {
            turn.effect(Effect::Subscribe(self.topic(&log)));
            self.judge_at_start(turn, log);
            self.readmit_waiting(turn, log);
            self.look_for_missing(turn, log, self.peer);
            self.schedule_heartbeat(turn, log, true);
        }
        for (peer, record) in self.known_peers.clone() {
            turn.effect(Effect::KeepConnected(peer, record.addresses));
        }
        for group in self.joins.keys().copied().collect::<Vec<_>>() {
            // A crash can have come between what undid it and the record of that.
            self.join_again(turn, group);
            self.continue_join(turn, group);
        }
        for group in self.groups.keys().copied().collect::<Vec<_>>() {
            self.timers.set(Timer::Keys(group), turn.time.wall_ms);
            self.expect_merge(turn, group);
            self.follow_children(turn, group);
            // A crash can have come between the op that shut us out and what it means for the contexts.
            self.renew_places(turn, group);
        }
        self.want_bundles(turn);
        self.rejoin_contexts(turn);
        self.resume_inits(turn);
    }

    /// Carries news around until there are none. Until then a group below may not have followed yet, and take somebody
    /// for a member who is none any more.
    pub(crate) fn settle(&mut self, turn: &mut Turn<'_>) {
        loop {
            if let Some((group, news)) = turn.news.pop_front() {
                self.spread(turn, group, news);
            } else if let Some(group) = turn.changed.pop_first() {
                self.welcome_new_members(turn, group);
            } else if let Some((group, domain)) = turn.wanted.pop_front() {
                self.want_epoch(turn, group, domain);
            } else if let Some(group) = turn.stale.pop_front() {
                self.renew_keys(turn, group);
            } else {
                break;
            }
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

    /// Tells the subgroups and the contexts of a group what has changed in it.
    fn spread(&mut self, turn: &mut Turn<'_>, group: GroupId, news: News) {
        if news.is_subgroup {
            self.follow_parent(turn, group);
        }
        self.carry_down(turn, group, &news);
        let Some(view) = self.groups.get_mut(&group).and_then(Group::view) else { return };
        let ops = news.ops.iter().chain(&news.ops_above).copied().map(Need::Op);
        let arrived: Vec<Need> = ops.chain(news.keys.iter().copied().map(Need::Key)).collect();
        let contexts: Vec<ContextId> =
            self.contexts.values().filter(|context| context.group == group).map(|context| context.id).collect();
        for id in contexts {
            let view = view.clone();
            let taken = self.with_context(turn, &id, |context, work| {
                context.governance = Some(view);
                if news.rejudge {
                    context.rejudge(work);
                }
                let released = arrived.iter().flat_map(|need| context.log.arrived(work, *need)).collect::<Vec<_>>();
                let taken = if released.is_empty() { 0 } else { context.ingest(work, released) };
                context.pump(work);
                taken
            });
            if taken.is_some_and(|taken| taken > 0) {
                self.touched(turn, id.log());
            }
        }
        if !news.ops.is_empty() {
            self.touched(turn, group.log());
            self.expect_merge(turn, group);
        }
        let is_changed = !news.ops.is_empty() || !news.changes.is_empty() || news.is_adopted;
        if is_changed {
            self.retire_card(turn, &group);
            self.adopt_from_above(turn, group);
            self.join_again(turn, group);
            // Who became a member here may have the governance of all groups above.
            turn.changed.extend(self.lineage(&group));
        }
        if !news.keys.is_empty() {
            self.check_caught_up(turn, group.log());
        }
        if !news.changes.is_empty() || news.is_adopted {
            self.want_bundles(turn);
            // Before our identities are bound again: then it shows best who knows already that we are in.
            self.renew_places(turn, group);
            self.rejoin_contexts(turn);
            self.check_contexts_caught_up(turn, group);
        }
        if news.changes.iter().any(|change| matches!(change, Change::GroupDeleted | Change::SubgroupRemoved { .. })) {
            self.follow_more(turn, &group);
        }
        if is_changed && !self.keys_lacking(&group).is_empty() {
            self.timers.set(Timer::Keys(group), turn.time.wall_ms);
        }
    }

    /// A call waits for a key to write under.
    fn want_epoch(&mut self, turn: &mut Turn<'_>, id: GroupId, domain: Domain) {
        let wanted = self.with_group(turn, &id, |group, work| group.want_epoch(work, domain));
        if let Some(Err(error)) = wanted {
            self.refuse_calls(turn, id, domain, &error);
        }
        if !self.keys_lacking(&id).is_empty() {
            self.ask_for_keys(turn, id);
        }
    }

    /// Who goes on by other keys in a group can have an identity in a context by the old ones, and no right to start an
    /// epoch there: its calls would wait for ever.
    fn refuse_calls(&mut self, turn: &mut Turn<'_>, id: GroupId, domain: Domain, error: &CommandError) {
        let Some(state) = self.groups.get(&id).and_then(Group::state) else { return };
        let of_group = self.contexts.values().filter(|context| context.group == id);
        let in_domain = of_group.map(|context| context.id).filter(|context| domain_of(state, context) == domain);
        for context in in_domain.collect::<Vec<_>>() {
            self.with_context(turn, &context, |context, work| context.refuse_calls(work, error));
        }
    }

    pub(crate) fn with_group<R>(
        &mut self,
        turn: &mut Turn<'_>,
        id: &GroupId,
        act: impl FnOnce(&mut Group, &mut Work<'_>) -> R,
    ) -> Option<R> {
        let group = self.groups.get_mut(id)?;
        let mut work = group.flight.begin(turn.snapshot, turn.time, turn.entropy);
        let result = act(group, &mut work);
        let departure = group.flight.depart(work);
        let news = std::mem::take(&mut group.news);
        turn.take(MachineId::Group(*id), departure);
        if !news.is_empty() {
            turn.news.push_back((*id, news));
        }
        Some(result)
    }

    pub(crate) fn with_context<R>(
        &mut self,
        turn: &mut Turn<'_>,
        id: &ContextId,
        act: impl FnOnce(&mut Context, &mut Work<'_>) -> R,
    ) -> Option<R> {
        let context = self.contexts.get_mut(id)?;
        let mut work = context.flight.begin(turn.snapshot, turn.time, turn.entropy);
        let result = act(context, &mut work);
        let departure = context.flight.depart(work);
        turn.take(MachineId::Context(*id), departure);
        if context.is_rebuilding() {
            self.timers.set(Timer::Rebuild(*id), turn.time.wall_ms + NEXT_PIECE_MS);
        }
        if std::mem::take(&mut context.wants_epoch)
            && let Some(view) = &context.governance
        {
            turn.wanted.push_back((context.group, domain_of(view.governance.state(), id)));
        }
        Some(result)
    }

    /// A step of the node's own machine: joins and peers.
    pub(crate) fn with_own(&mut self, turn: &mut Turn<'_>, act: impl FnOnce(&mut Work<'_>)) {
        let mut work = self.flight.begin(turn.snapshot, turn.time, turn.entropy);
        act(&mut work);
        let departure = self.flight.depart(work);
        turn.take(MachineId::Node, departure);
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
