//! One call in this process: the same answers as the node gives to a component.

use std::cell::RefCell;

use mesto_crdt::{Author, Draft, DraftError, DraftLimits, Handle, Kind, Private, TextStep, Unit, Value};

use super::{
    Call, CallError, EVENTS_MAX, Emitted, LINE_BYTES_MAX, LOGS_MAX, Outcome, RANDOM_BYTES_MAX, RANDOM_CONTEXT,
    SAYING_BYTES_MAX, SAYINGS_MAX, State,
};
use crate::host::{Entry, Session};

/// What a refused step unwinds with.
pub(super) struct Stop(pub(super) CallError);

/// The answers to one call.
pub(super) struct Local {
    draft: RefCell<Draft<State>>,
    state: State,
    private: RefCell<Private>,
    outcome: RefCell<Outcome>,
    random: RefCell<(blake3::OutputReader, usize)>,
    /// The method, if it cannot write.
    view: Option<String>,
    caller: [u8; 32],
    context: [u8; 32],
    now: u64,
}

impl Local {
    pub(super) fn new(call: &Call<'_>, view: bool, state: State) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(RANDOM_CONTEXT);
        hasher.update(&call.seed);
        Self {
            draft: RefCell::new(Draft::new(State::clone(&state), Author(call.caller), DraftLimits::default())),
            state,
            private: RefCell::default(),
            outcome: RefCell::default(),
            random: RefCell::new((hasher.finalize_xof(), 0)),
            view: view.then(|| call.method.to_owned()),
            caller: call.caller,
            context: call.context,
            now: call.stamp.bits(),
        }
    }

    /// What the call did, but for its result.
    pub(super) fn finish(self) -> Result<Outcome, CallError> {
        let ops = self.draft.into_inner().finish().map_err(refused)?;
        Ok(Outcome { ops, private: self.private.into_inner().finish(), ..self.outcome.into_inner() })
    }

    fn reading<R>(&self, step: impl FnOnce(&mut Draft<State>) -> Result<R, DraftError>) -> R {
        step(&mut self.draft.borrow_mut()).unwrap_or_else(|error| stop(refused(error)))
    }

    fn writing<R>(&self, step: impl FnOnce(&mut Draft<State>) -> Result<R, DraftError>) -> R {
        self.only_if_it_may_write();
        self.reading(step)
    }

    fn only_if_it_may_write(&self) {
        if let Some(method) = &self.view {
            stop(CallError::ViewWrites(method.clone()));
        }
    }

    fn kind(&self, collection: Handle) -> Kind {
        self.reading(|draft| draft.kind(collection))
    }
}

impl Session for Local {
    fn root(&self, field: &str, kind: Kind) -> Handle {
        self.reading(|draft| draft.open_root(field, kind))
    }

    fn child(&self, map: Handle, key: &[u8], kind: Kind) -> Handle {
        self.reading(|draft| draft.open_child(map, key, kind))
    }

    fn read(&self, register: Handle) -> Option<Vec<u8>> {
        self.reading(|draft| draft.register_get(register))
    }

    fn write(&self, register: Handle, value: &[u8]) {
        self.writing(|draft| draft.register_set(register, value.to_vec()));
    }

    fn add(&self, counter: Handle, amount: i64) {
        self.writing(|draft| draft.counter_add(counter, amount));
    }

    fn total(&self, counter: Handle) -> i64 {
        self.reading(|draft| draft.counter_value(counter))
    }

    fn get(&self, map: Handle, key: &[u8]) -> Option<Vec<u8>> {
        match self.reading(|draft| draft.map_get(map, key)) {
            Some(Value::Bytes(bytes)) => Some(bytes),
            Some(Value::Nested(_) | Value::Unit) | None => None,
        }
    }

    fn insert(&self, map: Handle, key: &[u8], value: &[u8]) {
        self.writing(|draft| draft.map_insert(map, key, value.to_vec()));
    }

    fn add_member(&self, set: Handle, key: &[u8]) -> bool {
        self.writing(|draft| draft.set_insert(set, key))
    }

    fn contains(&self, collection: Handle, key: &[u8]) -> bool {
        if self.kind(collection) == Kind::Set {
            return self.reading(|draft| draft.set_contains(collection, key));
        }
        self.reading(|draft| draft.map_contains(collection, key))
    }

    fn remove(&self, collection: Handle, key: &[u8]) -> bool {
        if self.kind(collection) == Kind::Set {
            return self.writing(|draft| draft.set_remove(collection, key));
        }
        self.writing(|draft| draft.map_remove(collection, key))
    }

    fn len(&self, collection: Handle) -> u64 {
        let kind = self.kind(collection);
        self.reading(|draft| {
            if kind == Kind::Set {
                draft.set_len(collection)
            } else if kind == Kind::Text {
                draft.text_len(collection, Unit::CodePoint)
            } else if kind == Kind::List {
                draft.list_len(collection)
            } else {
                draft.map_len(collection)
            }
        })
    }

    fn clear(&self, collection: Handle) {
        let kind = self.kind(collection);
        self.writing(|draft| {
            if kind == Kind::Set {
                draft.set_clear(collection)
            } else if kind == Kind::Register {
                draft.register_clear(collection).map(|_| ())
            } else if kind == Kind::Text {
                draft.text_clear(collection)
            } else if kind == Kind::List {
                draft.list_clear(collection)
            } else {
                draft.map_clear(collection)
            }
        });
    }

    fn scan(&self, collection: Handle, after: Option<&[u8]>, limit: u32) -> Vec<Entry> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if self.kind(collection) == Kind::Set {
            let members = self.reading(|draft| draft.set_scan(collection, after, limit));
            return members.into_iter().map(|key| Entry { key, value: Vec::new() }).collect();
        }
        let entries = self.reading(|draft| draft.map_scan(collection, after, limit));
        let entries = entries.into_iter().map(|(key, value)| match value {
            Value::Bytes(value) => Entry { key, value },
            Value::Nested(_) | Value::Unit => Entry { key, value: Vec::new() },
        });
        entries.collect()
    }

    fn text_len(&self, text: Handle, unit: Unit) -> u64 {
        self.reading(|draft| draft.text_len(text, unit))
    }

    fn text_slice(&self, text: Handle, unit: Unit, start: u64, end: u64) -> String {
        self.reading(|draft| draft.text_slice(text, unit, start..end))
    }

    fn text_splice(&self, text: Handle, unit: Unit, at: u64, delete: u64, insert: &str) {
        self.writing(|draft| draft.text_splice(text, unit, at, delete, insert));
    }

    fn text_convert(&self, text: Handle, unit: Unit, at: u64, to: Unit) -> u64 {
        self.reading(|draft| draft.text_convert(text, unit, at, to))
    }

    fn text_lines(&self, text: Handle) -> u64 {
        self.reading(|draft| draft.text_lines(text))
    }

    fn text_line_of(&self, text: Handle, unit: Unit, at: u64) -> u64 {
        self.reading(|draft| draft.text_line_of(text, unit, at))
    }

    fn text_line_start(&self, text: Handle, unit: Unit, line: u64) -> u64 {
        self.reading(|draft| draft.text_line_start(text, unit, line))
    }

    fn text_version(&self, text: Handle) -> String {
        self.reading(|draft| draft.text_version(text)).to_string()
    }

    fn text_steps(&self, text: Handle, unit: Unit, since: &str) -> Option<Vec<TextStep>> {
        let since = since.parse().ok()?;
        self.reading(|draft| draft.text_steps(text, unit, since))
    }

    fn list_get(&self, list: Handle, at: u64) -> Option<Vec<u8>> {
        self.reading(|draft| draft.list_get(list, at))
    }

    fn list_scan(&self, list: Handle, at: u64, limit: u32) -> Vec<Vec<u8>> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.reading(|draft| draft.list_scan(list, at, limit))
    }

    fn list_splice(&self, list: Handle, at: u64, delete: u64, insert: &[Vec<u8>]) {
        self.writing(|draft| draft.list_splice(list, at, delete, insert.to_vec()));
    }

    fn list_move(&self, list: Handle, start: u64, end: u64) {
        self.writing(|draft| draft.list_move(list, start, end));
    }

    fn private_get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.private.borrow().get(&self.state, key)
    }

    fn private_set(&self, key: &[u8], value: Option<&[u8]>) {
        self.only_if_it_may_write();
        let value = value.map(<[u8]>::to_vec);
        let done = self.private.borrow_mut().set(key.to_vec(), value, &DraftLimits::default());
        done.unwrap_or_else(|error| stop(refused(error)));
    }

    fn private_scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: u32) -> Vec<Entry> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let pairs = self.private.borrow().scan(&self.state, prefix, after, limit);
        pairs.into_iter().map(|(key, value)| Entry { key, value }).collect()
    }

    fn caller(&self) -> [u8; 32] {
        self.caller
    }

    fn context_id(&self) -> [u8; 32] {
        self.context
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn random(&self, length: u32) -> Vec<u8> {
        let (reader, drawn) = &mut *self.random.borrow_mut();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        *drawn = drawn.saturating_add(length);
        within("random_bytes", *drawn, RANDOM_BYTES_MAX, "bytes");
        let mut bytes = vec![0; length];
        reader.fill(&mut bytes);
        bytes
    }

    fn log(&self, message: &str) {
        let logs = &mut self.outcome.borrow_mut().logs;
        within("log_bytes", message.len(), LINE_BYTES_MAX, "bytes");
        within("logs", logs.len() + 1, LOGS_MAX, "lines");
        logs.push(message.to_owned());
    }

    fn emit(&self, kind: &str, payload: &str, handler: Option<&str>) {
        self.only_if_it_may_write();
        let events = &mut self.outcome.borrow_mut().events;
        within("event_bytes", kind.len() + payload.len() + handler.map_or(0, str::len), LINE_BYTES_MAX, "bytes");
        within("events", events.len() + 1, EVENTS_MAX, "events");
        events.push(Emitted {
            kind: kind.to_owned(),
            payload: payload.as_bytes().to_vec(),
            handler: handler.map(str::to_owned),
        });
    }

    fn say(&self, kind: &str, payload: &str) {
        self.only_if_it_may_write();
        let sayings = &mut self.outcome.borrow_mut().sayings;
        within("saying_bytes", payload.len(), SAYING_BYTES_MAX, "bytes");
        within("sayings", sayings.len() + 1, SAYINGS_MAX, "messages");
        sayings.push(Emitted { kind: kind.to_owned(), payload: payload.as_bytes().to_vec(), handler: None });
    }
}

fn within(limit: &'static str, used: usize, max: usize, unit: &str) {
    if used > max {
        stop(CallError::Limit { limit, max: format!("{max} {unit}") });
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "whatever is no limit is a trap, with the draft's own words")]
fn refused(error: DraftError) -> CallError {
    let limit = |limit, max: usize, unit: &str| CallError::Limit { limit, max: format!("{max} {unit}") };
    match error {
        DraftError::KeyTooLong { max, .. } => limit("key_bytes", max, "bytes"),
        DraftError::ValueTooLarge { max, .. } => limit("value_bytes", max, "bytes"),
        DraftError::DeltaTooLarge { max } => limit("delta_bytes", max, "bytes"),
        DraftError::TooManyHandles { max } => limit("collections", max, "collections"),
        DraftError::TooDeep { max } => CallError::Limit { limit: "nesting", max: format!("{max} levels") },
        other => CallError::Trap(other.to_string()),
    }
}

/// Unwinds without the message that a panic prints: a refused step is an answer, not a fault of this program.
fn stop(error: CallError) -> ! {
    std::panic::resume_unwind(Box::new(Stop(error)))
}
