//! Several replicas of an app in one process: what nodes do with it, without nodes.
//!
//! Replicas write on their own, see each other's changes when a test delivers them, in any order that respects
//! causality, and can be partitioned. Time, ids and random numbers are the same in every run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::marker::PhantomData;
use std::sync::Arc;

use mesto_crdt::{
    Author, Delta, DeltaId, Hlc, MemoryState, Op, RootHash, Sequences, Space, Transaction, TreeCache, WithSequences,
    next, root,
};
use serde_json::Value as Json;

use crate::App;
use crate::app::PublicKey;
use crate::native::{Call, CallError, Emitted, NativeApp, Outcome, State, run_body};
use crate::schema::MethodKind;

/// Where the clock of the replicas begins: 2026-01-01, in milliseconds since the Unix epoch.
const START_MS: u64 = 1_767_225_600_000;
/// The context that the replicas are of.
const CONTEXT: [u8; 32] = [0xc0; 32];

/// Replicas of the app `A` that form one group. They are numbered from 0.
pub struct Replicas<A> {
    app: NativeApp,
    replicas: Vec<Replica>,
    deltas: Vec<Sent>,
    /// The replica that made a delta, and its number there, from 1.
    by_id: BTreeMap<DeltaId, (usize, u64)>,
    /// Which side of a partition each replica is on.
    sides: Vec<usize>,
    now_ms: u64,
    calls: u64,
    of: PhantomData<fn() -> A>,
}

struct Replica {
    state: Arc<WithSequences<MemoryState>>,
    cache: TreeCache,
    /// How many deltas of each replica are in the state.
    holds: Vec<u64>,
    latest: Hlc,
    events: Vec<Emitted>,
    sayings: Vec<Emitted>,
    logs: Vec<String>,
}

struct Sent {
    id: DeltaId,
    by: usize,
    number: u64,
    stamp: Hlc,
    ops: Vec<Op>,
    /// How many deltas of each replica its author held, itself not counted.
    past: Vec<u64>,
}

impl<A: App> Replicas<A> {
    /// `count` replicas of an empty state, connected.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let replica = || Replica {
            state: Arc::new(WithSequences { read: MemoryState::new(), sequences: Sequences::new() }),
            cache: TreeCache::default(),
            holds: vec![0; count],
            latest: Hlc::ZERO,
            events: Vec::new(),
            sayings: Vec::new(),
            logs: Vec::new(),
        };
        Self {
            app: NativeApp::new::<A>(),
            replicas: std::iter::repeat_with(replica).take(count).collect(),
            deltas: Vec::new(),
            by_id: BTreeMap::new(),
            sides: vec![0; count],
            now_ms: START_MS,
            calls: 0,
            of: PhantomData,
        }
    }

    /// The identity under which a replica calls.
    #[must_use]
    pub fn identity(&self, replica: usize) -> PublicKey {
        PublicKey(digest("identity", replica as u64))
    }

    /// Lets time pass. Each call takes a millisecond by itself.
    pub fn advance(&mut self, ms: u64) {
        self.now_ms += ms;
    }

    /// Calls a method by name, as a client does: arguments are a JSON object, the result is JSON.
    ///
    /// # Errors
    /// As a node answers. Nothing of a failed call is kept.
    pub fn call(&mut self, replica: usize, method: &str, args: &Json) -> Result<Json, CallError> {
        let kind = self.app.method_kind(method).ok_or_else(|| CallError::MethodNotFound(method.to_owned()))?;
        let args = args.to_string();
        let (caller, seed) = (self.identity(replica).0, self.seed());
        let stamp = self.stamp(replica);
        let call = Call { method, args: args.as_bytes(), kind, caller, context: CONTEXT, stamp, seed };
        let outcome = self.app.invoke(&call, self.state(replica))?;
        let output = serde_json::from_slice(&outcome.output).expect("INVARIANT: results are JSON");
        self.keep(replica, stamp, outcome);
        Ok(output)
    }

    /// Runs `body` on the state as one mutating call.
    ///
    /// # Panics
    /// If the body panics, or does what a node refuses.
    pub fn write<R>(&mut self, replica: usize, body: impl FnOnce(&mut A) -> R) -> R {
        let (result, stamp, outcome) = self.run(replica, MethodKind::Mutate, |app| body(app));
        self.keep(replica, stamp, outcome);
        result
    }

    /// Runs `body` on the state as one mutating call that may refuse: then nothing of it is kept.
    ///
    /// # Errors
    /// The body's.
    ///
    /// # Panics
    /// As [`Replicas::write`].
    pub fn attempt<T, E>(&mut self, replica: usize, body: impl FnOnce(&mut A) -> Result<T, E>) -> Result<T, E> {
        let (result, stamp, outcome) = self.run(replica, MethodKind::Mutate, |app| body(app));
        let value = result?;
        self.keep(replica, stamp, outcome);
        Ok(value)
    }

    /// Runs `body` on the state as a view.
    ///
    /// # Panics
    /// If the body panics, or writes.
    pub fn view<R>(&mut self, replica: usize, body: impl FnOnce(&A) -> R) -> R {
        let (result, _, outcome) = self.run(replica, MethodKind::View, |app| body(app));
        self.replicas[replica].logs.extend(outcome.logs);
        result
    }

    /// What a replica's own calls emitted since it was last asked.
    pub fn take_events(&mut self, replica: usize) -> Vec<Emitted> {
        std::mem::take(&mut self.replicas[replica].events)
    }

    /// What a replica's own calls told without leaving a trace since it was last asked.
    pub fn take_sayings(&mut self, replica: usize) -> Vec<Emitted> {
        std::mem::take(&mut self.replicas[replica].sayings)
    }

    /// What a replica's calls logged since it was last asked.
    pub fn take_logs(&mut self, replica: usize) -> Vec<String> {
        std::mem::take(&mut self.replicas[replica].logs)
    }

    /// Splits the group: only replicas of one side exchange deltas. Those that are not named form another side.
    pub fn partition(&mut self, sides: &[&[usize]]) {
        self.sides.fill(0);
        for (side, members) in sides.iter().enumerate() {
            for member in *members {
                self.sides[*member] = side + 1;
            }
        }
    }

    /// Joins all sides again.
    pub fn heal(&mut self) {
        self.sides.fill(0);
    }

    /// Delivers everything that can be, the oldest first.
    pub fn deliver_all(&mut self) {
        self.deliver(|_| 0);
    }

    /// Delivers everything that can be, in an order that `seed` decides. Any order that respects causality can come.
    pub fn deliver_shuffled(&mut self, seed: u64) {
        let mut step = 0;
        self.deliver(|choices| {
            step += 1;
            let [a, b, c, d, e, f, g, h, ..] = digest("order", seed.rotate_left(32) ^ step);
            let drawn = u64::from_le_bytes([a, b, c, d, e, f, g, h]) % choices as u64;
            usize::try_from(drawn).unwrap_or_default()
        });
    }

    /// The root hash of a replica's state.
    #[must_use]
    pub fn root(&self, replica: usize) -> RootHash {
        root(&*self.replicas[replica].state).expect("INVARIANT: the tree is our own")
    }

    /// Whether all replicas hold the same state.
    #[must_use]
    pub fn converged(&self) -> bool {
        (1..self.replicas.len()).all(|replica| self.root(replica) == self.root(0))
    }

    /// Demands that all replicas hold the same state.
    ///
    /// # Panics
    /// If they do not, with the first leaves that differ.
    pub fn assert_equal(&self) {
        for replica in 1..self.replicas.len() {
            if self.root(replica) != self.root(0) {
                panic!("replica {replica} differs from replica 0:{}", self.difference(0, replica));
            }
        }
    }

    fn run<R>(&mut self, replica: usize, kind: MethodKind, body: impl FnOnce(&mut A) -> R) -> (R, Hlc, Outcome) {
        let (caller, seed) = (self.identity(replica).0, self.seed());
        let stamp = self.stamp(replica);
        let call = Call { method: "test", args: b"{}", kind, caller, context: CONTEXT, stamp, seed };
        match run_body(&call, self.state(replica), || body(&mut A::open())) {
            Ok((result, outcome)) => (result, stamp, outcome),
            Err(error) => panic!("{error}"),
        }
    }

    fn state(&self, replica: usize) -> State {
        Arc::<WithSequences<MemoryState>>::clone(&self.replicas[replica].state)
    }

    fn seed(&mut self) -> [u8; 32] {
        self.calls += 1;
        digest("seed", self.calls)
    }

    fn stamp(&mut self, replica: usize) -> Hlc {
        self.now_ms += 1;
        next(self.now_ms, self.replicas[replica].latest).expect("INVARIANT: tests end before the clock does")
    }

    /// Makes a successful call's delta and applies it where it was made.
    fn keep(&mut self, replica: usize, stamp: Hlc, outcome: Outcome) {
        let here = &mut self.replicas[replica];
        here.events.extend(outcome.events);
        here.sayings.extend(outcome.sayings);
        Arc::make_mut(&mut here.state).read.apply_writes(&outcome.private);
        here.logs.extend(outcome.logs);
        if outcome.ops.is_empty() {
            return;
        }
        let number = here.holds[replica] + 1;
        let id = DeltaId(digest("delta", (replica as u64) << 32 | number));
        let past = here.holds.clone();
        self.by_id.insert(id, (replica, number));
        self.deltas.push(Sent { id, by: replica, number, stamp, ops: outcome.ops, past });
        self.apply(replica, self.deltas.len() - 1);
    }

    /// Delivers while there is something to deliver; `choose` picks one of so many choices.
    fn deliver(&mut self, mut choose: impl FnMut(usize) -> usize) {
        loop {
            let choices: Vec<(usize, usize)> = (0..self.deltas.len())
                .flat_map(|delta| (0..self.replicas.len()).map(move |replica| (delta, replica)))
                .filter(|(delta, replica)| self.is_deliverable(*delta, *replica))
                .collect();
            if choices.is_empty() {
                return;
            }
            let (delta, replica) = choices[choose(choices.len())];
            self.apply(replica, delta);
        }
    }

    fn is_deliverable(&self, delta: usize, replica: usize) -> bool {
        let Sent { by, number, past, .. } = &self.deltas[delta];
        let holds = &self.replicas[replica].holds;
        let is_next = holds[*by] + 1 == *number;
        let is_ready = past.iter().zip(holds).all(|(needed, held)| needed <= held);
        let is_reachable = self
            .replicas
            .iter()
            .zip(&self.sides)
            .any(|(other, side)| *side == self.sides[replica] && other.holds[*by] >= *number);
        is_next && is_ready && is_reachable
    }

    fn apply(&mut self, replica: usize, delta: usize) {
        let identity = self.identity(self.deltas[delta].by);
        let Sent { id, by, stamp, ops, past, .. } = &self.deltas[delta];
        let here = &mut self.replicas[replica];
        let in_past = |id: &DeltaId| self.by_id.get(id).is_some_and(|(by, number)| past[*by] >= *number);
        let delta = Delta { id: *id, author: Author(identity.0), stamp: *stamp, ops };
        let mut transaction = Transaction::new(&*here.state, &mut here.cache);
        transaction.apply(&delta, &in_past).expect("INVARIANT: a draft makes deltas that apply");
        let commit = transaction.finish().expect("INVARIANT: the state is our own");
        let state = Arc::make_mut(&mut here.state);
        state.read.apply_writes(&commit.writes);
        state.sequences = commit.sequences;
        here.holds[*by] += 1;
        here.latest = here.latest.max(*stamp);
    }

    fn difference(&self, a: usize, b: usize) -> String {
        let leaves = |replica: usize| -> BTreeMap<&[u8], &[u8]> {
            self.replicas[replica].state.read.pairs(Space::Leaf).collect()
        };
        let (ours, theirs) = (leaves(a), leaves(b));
        let mut text = String::new();
        let keys = ours.keys().chain(theirs.keys()).collect::<std::collections::BTreeSet<_>>();
        for key in keys.into_iter().filter(|key| ours.get(*key) != theirs.get(*key)).take(10) {
            let element = String::from_utf8_lossy(key.get(32..).unwrap_or_default());
            let side = |leaf: Option<&&[u8]>| leaf.map_or("nothing".to_owned(), |leaf| format!("{} bytes", leaf.len()));
            let _ = write!(text, "\n  `{element}`: {} there, {} here", side(ours.get(key)), side(theirs.get(key)));
        }
        text
    }
}

fn digest(what: &str, number: u64) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("mesto 2026 sdk testing v1");
    hasher.update(what.as_bytes());
    hasher.update(&number.to_le_bytes());
    *hasher.finalize().as_bytes()
}
