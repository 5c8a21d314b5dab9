//! Replicas that draft, lie and exchange deltas; the log below is the one that a real node would keep.

use std::collections::{BTreeMap, BTreeSet};

use mesto_crdt::sequence::{Anchor, Content, Deleted, DeletedOf, Item, Mint, Run, Sequence, Spans, Stretch};
use mesto_crdt::{
    Author, CollectionId, Commit, Delta, DeltaId, DotRef, Draft, DraftError, DraftLimits, Handle, Hlc, Kind, Mark,
    MemoryState, Op, Sequences, SlotMark, Space, Transaction, TreeCache, Unit, Value, WithSequences, leaf, next,
};
use proptest::prelude::*;

pub(crate) const REPLICAS: usize = 4;
/// Fewer than replicas: the last replica writes under the first one's key, as equivocators do.
const AUTHORS: usize = 3;
const FIELDS: u8 = 2;
const KEYS: u8 = 3;
const KINDS: [Kind; 6] = [Kind::Register, Kind::Counter, Kind::Map, Kind::Set, Kind::List, Kind::Text];

/// A state, and the texts and lists of it that are in memory.
pub(crate) type State = WithSequences<MemoryState>;

pub(crate) fn empty() -> State {
    WithSequences { read: MemoryState::new(), sequences: Sequences::new() }
}

pub(crate) struct Entry {
    pub(crate) id: DeltaId,
    pub(crate) author: Author,
    pub(crate) stamp: Hlc,
    pub(crate) ops: Vec<Op>,
    pub(crate) past: BTreeSet<usize>,
}

#[derive(Default)]
pub(crate) struct History {
    pub(crate) entries: Vec<Entry>,
    pub(crate) index: BTreeMap<DeltaId, usize>,
    /// Entries that take no part in the state.
    pub(crate) void: BTreeSet<usize>,
}

impl History {
    pub(crate) fn add(&mut self, author: Author, past: BTreeSet<usize>, ops: Vec<Op>) -> usize {
        let newest = past.iter().map(|i| self.entries[*i].stamp).max().unwrap_or(Hlc::ZERO);
        let stamp = next(0, newest).expect("in range");
        let number = self.entries.len();
        let id = DeltaId(*blake3::hash(&number.to_le_bytes()).as_bytes());
        self.index.insert(id, number);
        self.entries.push(Entry { id, author, stamp, ops, past });
        number
    }

    pub(crate) fn delta(&self, number: usize) -> Delta<'_> {
        let Entry { id, author, stamp, ref ops, .. } = self.entries[number];
        Delta { id, author, stamp, ops }
    }

    pub(crate) fn in_past(&self, number: usize) -> impl Fn(&DeltaId) -> bool + '_ {
        move |id| self.index.get(id).is_some_and(|i| self.entries[number].past.contains(i))
    }

    pub(crate) fn apply(&self, state: &mut State, cache: &mut TreeCache, batch: &[usize]) -> Commit {
        let mut transaction = Transaction::new(&*state, cache);
        for number in batch {
            let (delta, in_past) = (self.delta(*number), self.in_past(*number));
            let applied = match self.void.contains(number) {
                true => transaction.apply_void(&delta, &in_past),
                false => transaction.apply(&delta, &in_past),
            };
            applied.expect("the operations are well-formed");
        }
        let commit = transaction.finish().expect("the store is sound");
        state.read.apply_writes(&commit.writes);
        state.sequences = commit.sequences.clone();
        commit
    }

    /// The state after all entries in the order that `random` picks among the causal ones, in batches that it picks.
    pub(crate) fn replay(&self, random: &mut Random) -> MemoryState {
        let (mut state, mut cache) = (empty(), TreeCache::new());
        let mut done = BTreeSet::new();
        while done.len() < self.entries.len() {
            let mut batch = Vec::new();
            for _ in 0..=random.below(5) {
                let ready: Vec<usize> = (0..self.entries.len())
                    .filter(|i| !done.contains(i) && self.entries[*i].past.is_subset(&done))
                    .collect();
                if let Some(pick) = ready.get(random.below(ready.len().max(1))) {
                    batch.push(*pick);
                    done.insert(*pick);
                }
            }
            self.apply(&mut state, &mut cache, &batch);
            if random.below(2) == 0 {
                read_everything(&state);
            }
        }
        check_loaded(&state);
        state.read
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) field: u8,
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Put { place: Place, key: u8, value: u8 },
    Take { place: Place, key: u8 },
    Clear { place: Place },
}

/// An operation that nobody drafted.
#[derive(Clone, Debug)]
pub(crate) struct Forgery {
    place: Place,
    tag: u8,
    key: u8,
    value: u8,
    /// Entries that it claims to have seen, as numbers modulo those that exist.
    names: Vec<(u8, u8)>,
    sum: i128,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Draft { replica: usize, edits: Vec<Edit> },
    Forge { replica: usize, forgeries: Vec<Forgery> },
    Sync { from: usize, to: usize },
}

fn places() -> impl Strategy<Value = Place> {
    let path = prop::collection::vec(0..KEYS, 0..3);
    (0..FIELDS, path, prop::sample::select(&KINDS[..])).prop_map(|(field, path, kind)| Place { field, path, kind })
}

fn edits() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => (places(), 0..KEYS, any::<u8>())
            .prop_map(|(place, key, value)| Edit::Put { place, key, value }),
        3 => (places(), 0..KEYS).prop_map(|(place, key)| Edit::Take { place, key }),
        1 => places().prop_map(|place| Edit::Clear { place }),
    ]
}

fn forgeries() -> impl Strategy<Value = Forgery> {
    let names = prop::collection::vec((any::<u8>(), 0u8..3), 0..6);
    let sum = prop_oneof![Just(i128::MIN), Just(i128::MAX), -9i128..9];
    (places(), 0u8..4, 0..KEYS, any::<u8>(), names, sum).prop_map(|(place, tag, key, value, names, sum)| Forgery {
        place,
        tag,
        key,
        value,
        names,
        sum,
    })
}

pub(crate) fn actions(len: usize) -> impl Strategy<Value = Vec<Action>> {
    let one = prop_oneof![
        4 => (0..REPLICAS, prop::collection::vec(edits(), 1..6))
            .prop_map(|(replica, edits)| Action::Draft { replica, edits }),
        1 => (0..REPLICAS, prop::collection::vec(forgeries(), 1..4))
            .prop_map(|(replica, forgeries)| Action::Forge { replica, forgeries }),
        2 => (0..REPLICAS, 0..REPLICAS).prop_map(|(from, to)| Action::Sync { from, to }),
    ];
    prop::collection::vec(one, 1..len)
}

pub(crate) struct Replica {
    pub(crate) held: BTreeSet<usize>,
    pub(crate) state: State,
    pub(crate) cache: TreeCache,
}

impl Default for Replica {
    fn default() -> Self {
        Self { held: BTreeSet::new(), state: empty(), cache: TreeCache::new() }
    }
}

/// Loads all texts and lists, as readers do.
pub(crate) fn read_everything(state: &State) {
    look(&mut draft(state, 0));
}

/// What is in memory is what the leaves say.
pub(crate) fn check_loaded(state: &State) {
    for collection in sequences_of(&state.read) {
        let Some(kept) = state.sequences.get(collection) else { continue };
        let loaded = Sequence::load(&state.read, collection).expect("sound");
        kept.check();
        loaded.check();
        assert_eq!(kept.text(), loaded.text());
        assert_eq!(kept.items(0, usize::MAX), loaded.items(0, usize::MAX));
        assert_eq!(kept.elements(), loaded.elements());
    }
}

fn sequences_of(state: &MemoryState) -> BTreeSet<CollectionId> {
    let collections = state.pairs(Space::Leaf).filter_map(|(key, _)| leaf::collection_of(key));
    collections.filter(|c| matches!(c.kind(), Some(Kind::Text | Kind::List))).collect()
}

impl Place {
    fn field_name(&self) -> String {
        format!("field{}", self.field)
    }

    fn kind_at(&self, level: usize) -> Kind {
        if level == self.path.len() { self.kind } else { Kind::Map }
    }

    fn collection(&self) -> CollectionId {
        let field = self.field_name();
        let root = CollectionId::ROOT.child(self.kind_at(0), field.as_bytes());
        let levels = self.path.iter().zip(1..);
        levels.fold(root, |map, (key, level)| map.child(self.kind_at(level), &[*key]))
    }

    pub(crate) fn open(&self, draft: &mut Draft<&State>) -> Result<Handle, DraftError> {
        let mut handle = draft.open_root(&self.field_name(), self.kind_at(0))?;
        for (key, level) in self.path.iter().zip(1..) {
            handle = draft.open_child(handle, &[*key], self.kind_at(level))?;
        }
        Ok(handle)
    }
}

impl Edit {
    pub(crate) fn kind(&self) -> Kind {
        let (Edit::Put { place, .. } | Edit::Take { place, .. } | Edit::Clear { place }) = self;
        place.kind
    }

    pub(crate) fn run(&self, draft: &mut Draft<&State>) -> Result<(), DraftError> {
        let (Edit::Put { place, .. } | Edit::Take { place, .. } | Edit::Clear { place }) = self;
        let handle = place.open(draft)?;
        match (self, place.kind) {
            (Edit::Put { value, .. }, Kind::Register) => draft.register_set(handle, vec![*value]),
            (Edit::Put { value, .. }, Kind::Counter) => draft.counter_add(handle, i64::from(*value) - 100),
            (Edit::Put { key, value, .. }, Kind::Map) => draft.map_insert(handle, &[*key], vec![*value]),
            (Edit::Put { key, .. }, Kind::Set) => draft.set_insert(handle, &[*key]).map(drop),
            (Edit::Take { .. } | Edit::Clear { .. }, Kind::Register) => draft.register_clear(handle).map(drop),
            (Edit::Take { key, .. }, Kind::Map) => draft.map_remove(handle, &[*key]).map(drop),
            (Edit::Take { key, .. }, Kind::Set) => draft.set_remove(handle, &[*key]).map(drop),
            (Edit::Clear { .. }, Kind::Map) => draft.map_clear(handle),
            (Edit::Clear { .. }, Kind::Set) => draft.set_clear(handle),
            (Edit::Put { key, value, .. }, Kind::Text) => {
                let len = draft.text_len(handle, Unit::CodePoint)?;
                let insert = ["a", "bc", "d\u{1f600}e", "\u{e9}\n"][usize::from(*key % 4)];
                draft.text_insert(handle, Unit::CodePoint, u64::from(*value) % (len + 1), insert)
            }
            (Edit::Take { key, .. }, Kind::Text) => {
                let len = draft.text_len(handle, Unit::CodePoint)?;
                let at = (u64::from(*key) * 5).min(len);
                draft.text_delete(handle, Unit::CodePoint, at, (len - at).min(3))
            }
            (Edit::Clear { .. }, Kind::Text) => draft.text_clear(handle),
            (Edit::Put { key, value, .. }, Kind::List) => {
                let len = draft.list_len(handle)?;
                let (from, to) = (u64::from(*value) % (len + 1), u64::from(*value / 16) % (len + 1));
                if *key > 0 && from < len && to < len {
                    draft.list_move(handle, from, to)
                } else {
                    draft.list_insert(handle, from, vec![*value])
                }
            }
            (Edit::Take { key, .. }, Kind::List) => {
                let len = draft.list_len(handle)?;
                let at = u64::from(*key).min(len);
                draft.list_delete(handle, at, (len - at).min(2))
            }
            (Edit::Clear { .. }, Kind::List) => draft.list_clear(handle),
            _ => Ok(()),
        }
    }
}

impl Forgery {
    fn op(&self, history: &History) -> Option<Op> {
        let mut names: Vec<DotRef> = Vec::new();
        for (entry, index) in &self.names {
            let count = history.entries.len().max(1);
            let entry = history.entries.get(usize::from(*entry) % count)?;
            names.push(DotRef { delta: entry.id, index: u32::from(*index) });
        }
        names.sort();
        names.dedup();
        let collection = self.place.collection();
        let key = if self.place.kind == Kind::Register { vec![] } else { vec![self.key] };
        if matches!(self.place.kind, Kind::Text | Kind::List) {
            return self.splice(history);
        }
        let value = match (self.place.kind, self.value % 2) {
            (Kind::Set, _) => Value::Unit,
            (Kind::Map, 0) => Value::Nested(KINDS[usize::from(self.value / 2) % KINDS.len()]),
            _ => Value::Bytes(vec![self.value]),
        };
        let op = match (self.place.kind, self.tag) {
            (Kind::Counter, 0 | 1) => Op::CounterAdd { collection, amount: i64::MIN },
            (Kind::Counter, _) => {
                let mark = Mark { stamp: Hlc::from_bits(u64::from(self.value)).ok()?, delta: names.first()?.delta };
                let slot = |author| SlotMark { author, mark, sum: self.sum, overwrites: names.clone() };
                let observed = (0..=self.key).map(|n| slot(Author([n; 32]))).collect();
                Op::CounterReset { collection, observed }
            }
            (_, 0 | 1) => Op::Assign { collection, key, value, overwrites: names },
            _ => Op::Remove { collection, key, observed: names },
        };
        op.check().is_ok().then_some(op)
    }

    /// A splice between any elements of those that it names, in any order.
    fn splice(&self, history: &History) -> Option<Op> {
        let (collection, count) = (self.place.collection(), history.entries.len().max(1));
        let named = self.names.iter().filter_map(|(entry, offset)| {
            let entry = history.entries.get(usize::from(*entry) % count)?;
            Some((Mint { stamp: entry.stamp, delta: entry.id }, u32::from(*offset)))
        });
        let named: Vec<(Mint, u32)> = named.collect();
        let is_list = self.place.kind == Kind::List;
        let in_table = named.iter().take(if is_list { 3 } else { 2 });
        let mints: BTreeSet<Mint> = in_table.map(|(mint, _)| *mint).collect();
        let mints: Vec<Mint> = mints.into_iter().collect();
        let anchor = |place: usize| {
            let (mint, offset) = *named.get(place)?;
            Some(Anchor { mint: mints.binary_search(&mint).ok()? as u32, offset })
        };
        let content = if is_list {
            let value = Item::Value(vec![self.value]);
            Content::Items(anchor(2).map(Item::Moved).into_iter().chain([value]).collect())
        } else {
            Content::Text(["x", "yz"][usize::from(self.value % 2)].into())
        };
        let run = Run { left: anchor(0), right: anchor(1), content };
        let deleted = match (self.tag, named.get(3)) {
            (3, _) => Deleted::All,
            (2, Some((mint, start))) => {
                let stretches = vec![Stretch { start: *start, len: 1 }];
                Deleted::Some(vec![DeletedOf { mint: *mint, stretches }])
            }
            _ => Deleted::Some(vec![]),
        };
        let op = Op::Splice { collection, inserted: Spans { mints, runs: vec![run] }, deleted };
        op.check().is_ok().then_some(op)
    }
}

pub(crate) fn author(replica: usize) -> Author {
    Author([(replica % AUTHORS) as u8; 32])
}

pub(crate) fn draft(state: &State, replica: usize) -> Draft<&State> {
    Draft::new(state, author(replica), DraftLimits::default())
}

/// Runs the actions. Each replica applies its own deltas at once, as a node does.
pub(crate) fn run(actions: &[Action]) -> (History, Vec<Replica>) {
    let mut history = History::default();
    let mut replicas: Vec<Replica> = (0..REPLICAS).map(|_| Replica::default()).collect();
    for action in actions {
        let (replica, ops) = match action {
            Action::Sync { from, to } => {
                let missing = replicas[*from].held.difference(&replicas[*to].held);
                let missing: Vec<usize> = missing.copied().collect();
                let Replica { held, state, cache } = &mut replicas[*to];
                history.apply(state, cache, &missing);
                held.extend(missing);
                continue;
            }
            Action::Draft { replica, edits } => {
                let mut draft = draft(&replicas[*replica].state, *replica);
                for edit in edits {
                    // A refused step (an entry holds another kind) leaves the rest of the call alone.
                    let _ = edit.run(&mut draft);
                }
                (*replica, draft.finish().expect("within the limits"))
            }
            Action::Forge { replica, forgeries } => {
                let ops = forgeries.iter().filter_map(|f| f.op(&history)).collect();
                let Replica { held, state, .. } = &replicas[*replica];
                (*replica, in_past_only(&history, state, held, ops))
            }
        };
        let Replica { held, state, cache } = &mut replicas[replica];
        let number = history.add(author(replica), held.clone(), ops);
        history.apply(state, cache, &[number]);
        held.insert(number);
    }
    (history, replicas)
}

/// Those operations of a delta that is not there yet that name nothing outside of its past: the others are refused.
fn in_past_only(history: &History, state: &State, held: &BTreeSet<usize>, ops: Vec<Op>) -> Vec<Op> {
    let mut cache = TreeCache::new();
    let mut accepted: Vec<Op> = Vec::new();
    for op in ops {
        let is_second = accepted.iter().any(|other| other.collection() == op.collection());
        if is_second && matches!(op, Op::Splice { .. }) {
            continue;
        }
        let delta = Delta { id: DeltaId([9; 32]), author: author(0), stamp: Hlc::MAX, ops: std::slice::from_ref(&op) };
        let in_past = |id: &DeltaId| history.index.get(id).is_some_and(|i| held.contains(i));
        if Transaction::new(state, &mut cache).apply(&delta, &in_past).is_ok() {
            accepted.push(op);
        }
    }
    accepted
}

/// All that an app can read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Register(Option<Vec<u8>>),
    Counter(i64),
    Set(Vec<Vec<u8>>),
    Map(Vec<(Vec<u8>, Seen)>),
    Text(String),
    List(Vec<Vec<u8>>),
}

pub(crate) fn look(draft: &mut Draft<&State>) -> Vec<Seen> {
    let mut seen = Vec::new();
    for field in 0..FIELDS {
        for kind in KINDS {
            let handle = draft.open_root(&format!("field{field}"), kind).expect("opens");
            seen.push(look_at(draft, handle));
        }
    }
    seen
}

pub(crate) fn look_at(draft: &mut Draft<&State>, handle: Handle) -> Seen {
    match draft.kind(handle).expect("open") {
        Kind::Register => Seen::Register(draft.register_get(handle).expect("reads")),
        Kind::Counter => Seen::Counter(draft.counter_value(handle).expect("reads")),
        Kind::Set => {
            let members = draft.set_scan(handle, None, usize::MAX).expect("reads");
            assert_eq!(draft.set_len(handle), Ok(members.len() as u64));
            Seen::Set(members)
        }
        Kind::Map => {
            let mut entries = Vec::new();
            let mut after: Option<Vec<u8>> = None;
            while let Some((key, value)) = draft.map_scan(handle, after.as_deref(), 1).expect("reads").pop() {
                let value = match value {
                    Value::Nested(kind) => {
                        let child = draft.open_child(handle, &key, kind).expect("opens");
                        look_at(draft, child)
                    }
                    Value::Bytes(bytes) => Seen::Register(Some(bytes)),
                    Value::Unit => unreachable!("not a set"),
                };
                after = Some(key.clone());
                entries.push((key, value));
            }
            assert_eq!(draft.map_len(handle), Ok(entries.len() as u64));
            Seen::Map(entries)
        }
        Kind::Text => {
            let text = draft.text_read(handle).expect("reads");
            let units = [(Unit::CodePoint, text.chars().count()), (Unit::Utf16, text.encode_utf16().count())];
            for (unit, len) in units {
                assert_eq!(draft.text_len(handle, unit), Ok(len as u64));
            }
            Seen::Text(text)
        }
        Kind::List => {
            let items = draft.list_scan(handle, 0, usize::MAX).expect("reads");
            assert_eq!(draft.list_len(handle), Ok(items.len() as u64));
            Seen::List(items)
        }
        kind @ (Kind::UserMap | Kind::Frozen | Kind::Shared) => {
            unreachable!("{kind:?} is not available")
        }
    }
}
