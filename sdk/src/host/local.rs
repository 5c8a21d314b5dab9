//! The same functions as the WIT world's imports, over a call in this process.

use std::cell::RefCell;
use std::rc::Rc;

use mesto_crdt::Handle as Number;

pub(crate) use mesto_crdt::{Kind, TextStep, Unit};

/// An entry of a map, or a member of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key's bytes.
    pub key: Vec<u8>,
    /// The value's bytes.
    pub value: Vec<u8>,
}

/// What answers the functions during a call.
pub(crate) trait Session {
    fn root(&self, field: &str, kind: Kind) -> Number;
    fn child(&self, map: Number, key: &[u8], kind: Kind) -> Number;
    fn read(&self, register: Number) -> Option<Vec<u8>>;
    fn write(&self, register: Number, value: &[u8]);
    fn add(&self, counter: Number, amount: i64);
    fn total(&self, counter: Number) -> i64;
    fn get(&self, map: Number, key: &[u8]) -> Option<Vec<u8>>;
    fn insert(&self, map: Number, key: &[u8], value: &[u8]);
    fn add_member(&self, set: Number, key: &[u8]) -> bool;
    fn contains(&self, collection: Number, key: &[u8]) -> bool;
    fn remove(&self, collection: Number, key: &[u8]) -> bool;
    fn len(&self, collection: Number) -> u64;
    fn clear(&self, collection: Number);
    fn scan(&self, collection: Number, after: Option<&[u8]>, limit: u32) -> Vec<Entry>;
    fn text_len(&self, text: Number, unit: Unit) -> u64;
    fn text_slice(&self, text: Number, unit: Unit, start: u64, end: u64) -> String;
    fn text_splice(&self, text: Number, unit: Unit, at: u64, delete: u64, insert: &str);
    fn text_convert(&self, text: Number, unit: Unit, at: u64, to: Unit) -> u64;
    fn text_lines(&self, text: Number) -> u64;
    fn text_line_of(&self, text: Number, unit: Unit, at: u64) -> u64;
    fn text_line_start(&self, text: Number, unit: Unit, line: u64) -> u64;
    fn text_version(&self, text: Number) -> String;
    fn text_steps(&self, text: Number, unit: Unit, since: &str) -> Option<Vec<TextStep>>;
    fn list_get(&self, list: Number, at: u64) -> Option<Vec<u8>>;
    fn list_scan(&self, list: Number, at: u64, limit: u32) -> Vec<Vec<u8>>;
    fn list_splice(&self, list: Number, at: u64, delete: u64, insert: &[Vec<u8>]);
    fn list_move(&self, list: Number, start: u64, end: u64);
    fn private_get(&self, key: &[u8]) -> Option<Vec<u8>>;
    fn private_set(&self, key: &[u8], value: Option<&[u8]>);
    fn private_scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: u32) -> Vec<Entry>;
    fn caller(&self) -> [u8; 32];
    fn context_id(&self) -> [u8; 32];
    fn now(&self) -> u64;
    fn random(&self, length: u32) -> Vec<u8>;
    fn log(&self, message: &str);
    fn emit(&self, kind: &str, payload: &str, handler: Option<&str>);
    fn say(&self, kind: &str, payload: &str);
}

thread_local! {
    /// The call that runs on this thread. Apps are compiled for a node where the node is all around them; here this
    /// stands for it.
    static CALL: RefCell<Option<Rc<dyn Session>>> = const { RefCell::new(None) };
}

/// Runs `body` as a call that `session` answers.
pub(crate) fn within<R>(session: Rc<dyn Session>, body: impl FnOnce() -> R) -> R {
    let _outer = Outer(CALL.replace(Some(session)));
    body()
}

/// What was there before a call; comes back when the call ends, by a panic too.
struct Outer(Option<Rc<dyn Session>>);

impl Drop for Outer {
    fn drop(&mut self) {
        CALL.set(self.0.take());
    }
}

fn call<R>(body: impl FnOnce(&dyn Session) -> R) -> R {
    let session = CALL.with_borrow(Clone::clone);
    let session = session.expect("an app's state can be used within a call only: see mesto_sdk::testing");
    body(&*session)
}

/// A handle to a collection.
#[derive(Debug)]
pub struct Handle(Number);

/// A field of the state.
pub(crate) fn root(field: &str, kind: Kind) -> Handle {
    Handle(call(|session| session.root(field, kind)))
}

/// What a map holds under a key.
pub(crate) fn child(map: &Handle, key: &[u8], kind: Kind) -> Handle {
    Handle(call(|session| session.child(map.0, key, kind)))
}

impl Handle {
    pub(crate) fn read(&self) -> Option<Vec<u8>> {
        call(|session| session.read(self.0))
    }

    pub(crate) fn write(&self, value: &[u8]) {
        call(|session| session.write(self.0, value));
    }

    pub(crate) fn add(&self, amount: i64) {
        call(|session| session.add(self.0, amount));
    }

    pub(crate) fn total(&self) -> i64 {
        call(|session| session.total(self.0))
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        call(|session| session.get(self.0, key))
    }

    pub(crate) fn insert(&self, key: &[u8], value: &[u8]) {
        call(|session| session.insert(self.0, key, value));
    }

    pub(crate) fn add_member(&self, key: &[u8]) -> bool {
        call(|session| session.add_member(self.0, key))
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        call(|session| session.contains(self.0, key))
    }

    pub(crate) fn remove(&self, key: &[u8]) -> bool {
        call(|session| session.remove(self.0, key))
    }

    pub(crate) fn len(&self) -> u64 {
        call(|session| session.len(self.0))
    }

    pub(crate) fn clear(&self) {
        call(|session| session.clear(self.0));
    }

    pub(crate) fn scan(&self, after: Option<&[u8]>, limit: u32) -> Vec<Entry> {
        call(|session| session.scan(self.0, after, limit))
    }

    pub(crate) fn text_len(&self, unit: Unit) -> u64 {
        call(|session| session.text_len(self.0, unit))
    }

    pub(crate) fn text_slice(&self, unit: Unit, start: u64, end: u64) -> String {
        call(|session| session.text_slice(self.0, unit, start, end))
    }

    pub(crate) fn text_splice(&self, unit: Unit, at: u64, delete: u64, insert: &str) {
        call(|session| session.text_splice(self.0, unit, at, delete, insert));
    }

    pub(crate) fn text_convert(&self, unit: Unit, at: u64, to: Unit) -> u64 {
        call(|session| session.text_convert(self.0, unit, at, to))
    }

    pub(crate) fn text_lines(&self) -> u64 {
        call(|session| session.text_lines(self.0))
    }

    pub(crate) fn text_line_of(&self, unit: Unit, at: u64) -> u64 {
        call(|session| session.text_line_of(self.0, unit, at))
    }

    pub(crate) fn text_line_start(&self, unit: Unit, line: u64) -> u64 {
        call(|session| session.text_line_start(self.0, unit, line))
    }

    pub(crate) fn text_version(&self) -> String {
        call(|session| session.text_version(self.0))
    }

    pub(crate) fn text_steps(&self, unit: Unit, since: &str) -> Option<Vec<TextStep>> {
        call(|session| session.text_steps(self.0, unit, since))
    }

    pub(crate) fn list_get(&self, at: u64) -> Option<Vec<u8>> {
        call(|session| session.list_get(self.0, at))
    }

    pub(crate) fn list_scan(&self, at: u64, limit: u32) -> Vec<Vec<u8>> {
        call(|session| session.list_scan(self.0, at, limit))
    }

    pub(crate) fn list_splice(&self, at: u64, delete: u64, insert: &[Vec<u8>]) {
        call(|session| session.list_splice(self.0, at, delete, insert));
    }

    pub(crate) fn list_move(&self, start: u64, end: u64) {
        call(|session| session.list_move(self.0, start, end));
    }
}

pub(crate) mod private {
    use super::Entry;

    pub(crate) fn get(key: &[u8]) -> Option<Vec<u8>> {
        super::call(|session| session.private_get(key))
    }

    pub(crate) fn set(key: &[u8], value: &[u8]) {
        super::call(|session| session.private_set(key, Some(value)));
    }

    pub(crate) fn remove(key: &[u8]) {
        super::call(|session| session.private_set(key, None));
    }

    pub(crate) fn scan(prefix: &[u8], after: Option<&[u8]>, limit: u32) -> Vec<Entry> {
        super::call(|session| session.private_scan(prefix, after, limit))
    }
}

pub(crate) mod env {
    pub(crate) fn caller() -> Vec<u8> {
        super::call(|session| session.caller().to_vec())
    }

    pub(crate) fn context_id() -> Vec<u8> {
        super::call(|session| session.context_id().to_vec())
    }

    pub(crate) fn now() -> u64 {
        super::call(|session| session.now())
    }

    pub(crate) fn random(length: u32) -> Vec<u8> {
        super::call(|session| session.random(length))
    }
}

pub(crate) mod output {
    pub(crate) fn log(message: &str) {
        super::call(|session| session.log(message));
    }

    pub(crate) fn emit(kind: &str, payload: &str, handler: Option<&str>) {
        super::call(|session| session.emit(kind, payload, handler));
    }

    pub(crate) fn say(kind: &str, payload: &str) {
        super::call(|session| session.say(kind, payload));
    }
}
