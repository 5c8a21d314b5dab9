//! A few nodes in one thread: what they send arrives at once and in order, what they write is on disk at once, and time
//! passes only while nothing is left to happen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mesto_crdt::{Author, Draft, DraftLimits, Kind, Read};
use mesto_governance::action::Action;
use mesto_governance::{ApplicationId, BlobId, ContextId, GroupId, Op, Role};
use mesto_node::command::{
    AppVersion, Command, CommandError, ContextInfo, GroupInfo, JoinInfo, Policy, Reply, Selector,
};
use mesto_node::record::{ContextRecord, GroupRecord};
use mesto_node::store::memory::MemoryStore;
use mesto_node::store::{Batch, Keyspace, Pair, Snapshot, Store as _};
use mesto_node::{Call, Effect, Entropy, Input, Node, Report, Step, Ticket, Time, layout, verify};
use mesto_oplog::entry::Draft as EntryDraft;
use mesto_oplog::{Header, Incarnation, SigningKey, Stamp};
use mesto_sync::{Gossip, Peer};

/// When a world begins: any time that is not 0.
const BEGIN_MS: u64 = 1_700_000_000_000;
/// Steps in one stretch of time that no test comes near: beyond it nodes keep each other busy without an end.
const STEPS_MAX: u64 = 200_000;

/// A moment of a disk that counts how many entries of logs are read.
struct Counted(Arc<dyn Snapshot>, Arc<AtomicU64>);

impl Snapshot for Counted {
    fn get(&self, keyspace: Keyspace, key: &[u8]) -> Option<Vec<u8>> {
        self.1.fetch_add(u64::from(keyspace == Keyspace::Entry), Ordering::Relaxed);
        self.0.get(keyspace, key)
    }

    fn scan(&self, keyspace: Keyspace, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Pair> {
        self.0.scan(keyspace, prefix, after, limit)
    }
}

/// One machine: a disk, and a node while it runs.
struct Host {
    peer: Peer,
    entries_read: Arc<AtomicU64>,
    /// In one step.
    entries_read_max: u64,
    store: MemoryStore,
    node: Option<Node>,
    topics: BTreeSet<String>,
    wake_ms: Option<u64>,
}

/// All machines, and the network between them.
pub(crate) struct World {
    hosts: Vec<Host>,
    pub(crate) now_ms: u64,
    links: BTreeSet<(usize, usize)>,
    queue: VecDeque<(usize, Input)>,
    steps: u64,
    last_ticket: Ticket,
    replies: BTreeMap<Ticket, Result<Reply, CommandError>>,
    /// What the nodes reported, by host.
    pub(crate) reports: Vec<(usize, Report)>,
}

impl World {
    /// Machines whose nodes run and are all connected.
    pub(crate) fn new(hosts: usize) -> Self {
        let host = |at: usize| Host {
            peer: Peer::from_bytes([u8::try_from(at).expect("few hosts") + 1; 32]),
            entries_read: Arc::default(),
            entries_read_max: 0,
            store: MemoryStore::new(),
            node: None,
            topics: BTreeSet::new(),
            wake_ms: None,
        };
        let mut world = Self {
            hosts: (0..hosts).map(host).collect(),
            now_ms: BEGIN_MS,
            links: BTreeSet::new(),
            queue: VecDeque::new(),
            steps: 0,
            last_ticket: 0,
            replies: BTreeMap::new(),
            reports: Vec::new(),
        };
        (0..hosts).for_each(|host| world.start(host));
        for a in 0..hosts {
            (0..a).for_each(|b| world.connect(a, b));
        }
        world
    }

    /// Starts the node of a machine from what is on its disk.
    pub(crate) fn start(&mut self, host: usize) {
        let (time, mut entropy) = self.moment();
        let of = &mut self.hosts[host];
        let opened = Node::open(of.peer, vec![app()], time, &mut entropy, &of.store.snapshot());
        let (node, step) = opened.expect("the store is ours");
        of.node = Some(node);
        self.carry_out(host, step);
    }

    /// Ends the node of a machine; what it wrote is there when it starts again.
    pub(crate) fn stop(&mut self, host: usize) {
        self.isolate(host);
        let of = &mut self.hosts[host];
        (of.node, of.wake_ms) = (None, None);
        of.topics.clear();
        self.queue.retain(|(to, _)| *to != host);
    }

    pub(crate) fn connect(&mut self, a: usize, b: usize) {
        if self.links.insert((a.min(b), a.max(b))) {
            let (of_a, of_b) = (self.hosts[a].peer, self.hosts[b].peer);
            self.queue.push_back((a, Input::PeerUp(of_b)));
            self.queue.push_back((b, Input::PeerUp(of_a)));
        }
    }

    /// Cuts all that connects a machine with others.
    pub(crate) fn isolate(&mut self, host: usize) {
        self.linked(host).into_iter().for_each(|other| self.cut(host, other));
    }

    /// Lets so much time pass, and all happen that happens in it.
    pub(crate) fn run(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        let before = self.steps;
        loop {
            while let Some((host, input)) = self.queue.pop_front() {
                assert!(self.steps - before < STEPS_MAX, "the nodes keep each other busy without an end");
                self.step(host, input);
            }
            let next = (0..self.hosts.len()).filter_map(|host| Some((self.hosts[host].wake_ms?, host))).min();
            match next.filter(|(at, _)| *at <= until) {
                Some((at, host)) => {
                    self.now_ms = self.now_ms.max(at);
                    self.hosts[host].wake_ms = None;
                    self.step(host, Input::Tick);
                }
                None => break,
            }
        }
        self.now_ms = until;
    }

    /// Lets things happen one by one until something is so; false if so much time passes before.
    pub(crate) fn run_until(&mut self, ms: u64, mut is_so: impl FnMut(&mut Self) -> bool) -> bool {
        let until = self.now_ms + ms;
        while !is_so(self) {
            if let Some((host, input)) = self.queue.pop_front() {
                self.step(host, input);
                continue;
            }
            let next = (0..self.hosts.len()).filter_map(|host| Some((self.hosts[host].wake_ms?, host))).min();
            let Some((at, host)) = next.filter(|(at, _)| *at <= until) else { return false };
            self.now_ms = self.now_ms.max(at);
            self.hosts[host].wake_ms = None;
            self.step(host, Input::Tick);
        }
        true
    }

    /// Sets the clocks of all machines back; the shells notice.
    pub(crate) fn set_back(&mut self, ms: u64) {
        self.now_ms -= ms;
        (0..self.hosts.len()).for_each(|host| self.queue.push_back((host, Input::Tick)));
    }

    /// The most entries of logs that a node has read in one step since this was last asked.
    pub(crate) fn entries_read_max(&mut self, host: usize) -> u64 {
        std::mem::take(&mut self.hosts[host].entries_read_max)
    }

    /// Cuts what connects two machines.
    pub(crate) fn cut(&mut self, a: usize, b: usize) {
        if self.links.remove(&(a.min(b), a.max(b))) {
            let (of_a, of_b) = (self.hosts[a].peer, self.hosts[b].peer);
            self.queue.push_back((a, Input::PeerDown(of_b)));
            self.queue.push_back((b, Input::PeerDown(of_a)));
        }
    }

    fn moment(&mut self) -> (Time, Entropy) {
        self.steps += 1;
        let seed = *blake3::hash(&self.steps.to_le_bytes()).as_bytes();
        (Time { wall_ms: self.now_ms }, Entropy::from_seed(&seed))
    }

    fn step(&mut self, host: usize, input: Input) {
        let (time, mut entropy) = self.moment();
        let of = &mut self.hosts[host];
        let Some(node) = &mut of.node else { return };
        let before = of.entries_read.load(Ordering::Relaxed);
        let snapshot: Arc<dyn Snapshot> = Arc::new(Counted(of.store.snapshot(), Arc::clone(&of.entries_read)));
        let step = node.step(input, time, &mut entropy, &snapshot);
        of.entries_read_max = of.entries_read_max.max(of.entries_read.load(Ordering::Relaxed) - before);
        self.carry_out(host, step);
    }

    fn carry_out(&mut self, host: usize, step: Step) {
        for (machine, seq, batch) in step.batches {
            self.hosts[host].store.commit(&[batch]).expect("memory");
            self.queue.push_back((host, Input::Durable { machine, seq }));
        }
        for effect in step.effects {
            self.effect(host, effect);
        }
    }

    fn effect(&mut self, host: usize, effect: Effect) {
        match effect {
            Effect::Reply(ticket, reply) => {
                self.replies.insert(ticket, *reply);
            }
            Effect::Execute { execution, call, state } => {
                let result = Ok(execute(&call, Arc::new(state)));
                self.queue.push_back((host, Input::Executed { context: call.context, execution, result }));
            }
            Effect::Send(peer, _, message) => {
                let to = self.hosts.iter().position(|of| of.peer == peer).expect("one of ours");
                if self.links.contains(&(host.min(to), host.max(to))) {
                    let checked = verify::message(&message.encode()).expect("what a node sends is well formed");
                    self.queue.push_back((to, Input::Message(self.hosts[host].peer, checked)));
                }
            }
            Effect::Publish(topic, gossip) => self.publish(host, &topic, &gossip),
            Effect::Subscribe(topic) => {
                self.hosts[host].topics.insert(topic.clone());
                for other in self.linked(host) {
                    self.queue.push_back((other, Input::Subscribed(self.hosts[host].peer, topic.clone())));
                }
            }
            Effect::Wake { at_ms } => {
                let wake = &mut self.hosts[host].wake_ms;
                *wake = Some(wake.map_or(at_ms, |set| set.min(at_ms)));
            }
            Effect::Report(report) => self.reports.push((host, report)),
            Effect::Halt(reason) => panic!("host {host} halted: {reason}"),
            Effect::ServeBlob { .. } | Effect::StoreChunk { .. } => panic!("everybody has the app"),
            Effect::Keep(..)
            | Effect::Settled(..)
            | Effect::Cooled(_)
            | Effect::Judge(..)
            | Effect::KeepConnected(..)
            | Effect::Emit(_) => {}
        }
    }

    fn linked(&self, host: usize) -> Vec<usize> {
        let other = |(a, b): &(usize, usize)| (*a == host).then_some(*b).or((*b == host).then_some(*a));
        self.links.iter().filter_map(other).collect()
    }

    /// Passes gossip to all who are connected and listen.
    fn publish(&mut self, host: usize, topic: &str, gossip: &Gossip) {
        for other in self.linked(host).into_iter().filter(|other| self.hosts[*other].topics.contains(topic)) {
            let gossip = verify::gossip(&gossip.encode()).expect("what a node says is well formed");
            let from = self.hosts[host].peer;
            self.queue.push_back((other, Input::Gossip { token: 0, topic: topic.to_owned(), from, gossip }));
        }
    }

    /// Asks a node whose machine fails when so many batches of the answer are on its disk.
    pub(crate) fn ask_and_crash(&mut self, host: usize, command: Command, batches: usize) {
        let (time, mut entropy) = self.moment();
        self.last_ticket += 1;
        let of = &mut self.hosts[host];
        let node = of.node.as_mut().expect("it runs");
        let input = Input::Command { ticket: self.last_ticket, command };
        let step = node.step(input, time, &mut entropy, &of.store.snapshot());
        assert!(step.batches.len() > batches, "{} batches in all", step.batches.len());
        for (_, _, batch) in step.batches.into_iter().take(batches) {
            of.store.commit(&[batch]).expect("memory");
        }
        self.stop(host);
    }

    /// Changes what is on the disk of a machine whose node does not run about its part in a context.
    pub(crate) fn rewrite(&mut self, host: usize, context: ContextId, change: impl FnOnce(&mut ContextRecord)) {
        let store = &self.hosts[host].store;
        let key = layout::context(&context);
        let record = store.snapshot().get(Keyspace::Meta, &key).expect("in the context");
        let mut record: ContextRecord = borsh::from_slice(&record).expect("ours");
        change(&mut record);
        let mut batch = Batch::default();
        batch.put(Keyspace::Meta, key, borsh::to_vec(&record).expect("ours"));
        store.commit(&[batch]).expect("memory");
    }

    /// Asks a node, and looks at nothing that follows.
    pub(crate) fn begin(&mut self, host: usize, command: Command) {
        self.last_ticket += 1;
        self.queue.push_back((host, Input::Command { ticket: self.last_ticket, command }));
    }

    /// Asks a node; the reply is waited for a moment.
    pub(crate) fn ask(&mut self, host: usize, command: Command) -> Result<Reply, CommandError> {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        self.step(host, Input::Command { ticket, command });
        if !self.replies.contains_key(&ticket) {
            self.run(0);
        }
        self.replies.remove(&ticket).expect("the node answers at once")
    }

    pub(crate) fn create_group(&mut self, host: usize, parent: Option<GroupId>) -> GroupId {
        let parent = parent.map(|parent| Selector(parent.to_string()));
        let application = Some(Selector(app().bundle.to_string()));
        let command = Command::GroupCreate { name: None, application, parent, policy: Policy::Automatic };
        match self.ask(host, command) {
            Ok(Reply::GroupCreated { group, .. }) => group,
            other => panic!("no group: {other:?}"),
        }
    }

    /// A ticket for one.
    pub(crate) fn invite(&mut self, by: usize, group: GroupId, role: Role) -> String {
        let group = Selector(group.to_string());
        let invite = Command::Invite { group, role, capabilities: None, expires_ms: 3_600_000, uses: 1 };
        match self.ask(by, invite) {
            Ok(Reply::Invited { ticket, .. }) => ticket,
            other => panic!("no ticket: {other:?}"),
        }
    }

    /// Makes a ticket of `by` for somebody, and has `host` take it.
    pub(crate) fn join(&mut self, by: usize, host: usize, group: GroupId, role: Role) -> JoinInfo {
        let ticket = self.invite(by, group, role);
        match self.ask(host, Command::Join { ticket, contexts_all: false }) {
            Ok(Reply::Joining(info)) => info,
            other => panic!("no join: {other:?}"),
        }
    }

    pub(crate) fn joining(&mut self, host: usize, group: GroupId) -> JoinInfo {
        match self.ask(host, Command::JoinStatus(group)) {
            Ok(Reply::Joining(info)) => info,
            other => panic!("no join: {other:?}"),
        }
    }

    pub(crate) fn group(&mut self, host: usize, group: GroupId) -> GroupInfo {
        match self.ask(host, Command::GroupShow(Selector(group.to_string()))) {
            Ok(Reply::Groups(mut infos)) => infos.pop().expect("one"),
            other => panic!("no group: {other:?}"),
        }
    }

    pub(crate) fn create_context(&mut self, host: usize, group: GroupId) -> ContextId {
        let group = Selector(group.to_string());
        let command =
            Command::ContextCreate { group, application: None, name: None, restricted: None, init: b"{}".to_vec() };
        match self.ask(host, command) {
            Ok(Reply::ContextCreated { context, .. }) => context,
            other => panic!("no context: {other:?}"),
        }
    }

    pub(crate) fn context(&mut self, host: usize, context: ContextId) -> ContextInfo {
        match self.ask(host, Command::ContextShow(Selector(context.to_string()))) {
            Ok(Reply::Contexts(mut infos)) => infos.pop().expect("one"),
            other => panic!("no context: {other:?}"),
        }
    }

    /// Whether a node serves the log of a context.
    pub(crate) fn serves(&self, host: usize, context: ContextId) -> bool {
        self.hosts[host].node.as_ref().is_some_and(|node| node.logs().contains(&context.log()))
    }

    /// Writes an entry of the map; the reply says that it is durable.
    pub(crate) fn write(&mut self, host: usize, context: ContextId, key: &str, value: &str) {
        let context = Selector(context.to_string());
        let args = serde_json::json!({ "key": key, "value": value }).to_string().into_bytes();
        match self.ask(host, Command::Call { context, method: "set".to_owned(), args, identity: None }) {
            Ok(Reply::Called(called)) => assert!(called.committed),
            other => panic!("not written: {other:?}"),
        }
    }

    /// An op that a node's member signs behind its node's back, on top of all that the node holds. It is heard by those
    /// who are named, from that node.
    pub(crate) fn forge(
        &mut self,
        by: usize,
        group: GroupId,
        to: &[usize],
        op: impl FnOnce(&GroupRecord) -> Vec<Action>,
    ) {
        let record = self.hosts[by].store.snapshot().get(Keyspace::Meta, &layout::group(&group)).expect("in the group");
        let record: GroupRecord = borsh::from_slice(&record).expect("ours");
        let member = SigningKey::from_seed(&record.member_seed);
        let header = Header {
            kind: mesto_oplog::entry::Kind::Governance,
            log: group.log(),
            author: member.public(),
            incarnation: Incarnation(self.steps),
            seq: 1,
            prev: None,
            parents: self.group(by, group).heads,
            stamp: Stamp::after(Stamp::default(), self.now_ms + 1_000).expect("a time"),
        };
        let body = Op::new(op(&record)).encode().expect("within bounds");
        let entry = EntryDraft { header, body }.sign(&member).expect("well formed");
        let topic = mesto_sync::gossip::group_topic(&group.log());
        let from = self.hosts[by].peer;
        for to in to {
            let gossip = verify::CheckedGossip::Entries(vec![entry.clone()]);
            self.queue.push_back((*to, Input::Gossip { token: 0, topic: topic.clone(), from, gossip }));
        }
    }
}

/// The app that everybody has.
pub(crate) fn app() -> AppVersion {
    AppVersion {
        application: ApplicationId::from_bytes([1; 32]),
        bundle: BlobId::from_bytes([2; 32]),
        size: 1,
        package: "map".to_owned(),
        version: "1.0.0".to_owned(),
    }
}

/// Its methods: `init`, and `set`, which puts a value under a key.
fn execute(call: &Call, state: Arc<dyn Read + Send + Sync>) -> mesto_node::Outcome {
    let args: serde_json::Value = serde_json::from_slice(&call.args).expect("JSON");
    let text = |name: &str| args.get(name).and_then(|value| value.as_str()).unwrap_or("begun").as_bytes().to_vec();
    let mut draft = Draft::new(state, Author(*call.caller.as_bytes()), DraftLimits::default());
    let items = draft.open_root("items", Kind::Map).expect("a root");
    draft.map_insert(items, &text("key"), text("value")).expect("within bounds");
    let ops = draft.finish().expect("within bounds");
    mesto_node::Outcome { output: b"null".to_vec(), ops, ..mesto_node::Outcome::default() }
}
