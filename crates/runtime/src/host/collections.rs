//! `mesto:app/state`: a guest's steps become steps of the call's draft.

use mesto_crdt::{DraftError, Handle, Kind, TextStep, Unit, Value};
use wasmtime::component::Resource;

use super::Host;
use crate::bindings::Collection;
use crate::bindings::mesto::app::state;

/// About how much a page of a scan may hold, in bytes: enough that small entries come by the hundred, little beside a
/// guest's memory.
const PAGE_BYTES: usize = 256 << 10;
/// How many entries are read from the store at once while a page is filled. With the largest values that is 80 MiB.
const CHUNK_ENTRIES: usize = 8;

impl state::Host for Host {}

impl state::HostCollection for Host {
    fn root(&mut self, field: String, kind: state::Kind) -> wasmtime::Result<Resource<Collection>> {
        self.open_root(&field, kind.into())
    }

    fn child(
        &mut self,
        map: Resource<Collection>,
        key: Vec<u8>,
        kind: state::Kind,
    ) -> wasmtime::Result<Resource<Collection>> {
        self.open_child(&map, &key, kind.into())
    }

    fn read(&mut self, register: Resource<Collection>) -> wasmtime::Result<Option<Vec<u8>>> {
        self.enter()?;
        let value = self.draft.register_get(handle(&register));
        self.step(value)
    }

    fn write(&mut self, register: Resource<Collection>, value: Vec<u8>) -> wasmtime::Result<()> {
        self.enter_to_write()?;
        let done = self.draft.register_set(handle(&register), value);
        self.step(done)
    }

    fn add(&mut self, counter: Resource<Collection>, amount: i64) -> wasmtime::Result<()> {
        self.enter_to_write()?;
        let done = self.draft.counter_add(handle(&counter), amount);
        self.step(done)
    }

    fn total(&mut self, counter: Resource<Collection>) -> wasmtime::Result<i64> {
        self.enter()?;
        let value = self.draft.counter_value(handle(&counter));
        self.step(value)
    }

    fn get(&mut self, map: Resource<Collection>, key: Vec<u8>) -> wasmtime::Result<Option<Vec<u8>>> {
        self.enter()?;
        let value = self.draft.map_get(handle(&map), &key);
        Ok(self.step(value)?.and_then(plain))
    }

    fn insert(&mut self, map: Resource<Collection>, key: Vec<u8>, value: Vec<u8>) -> wasmtime::Result<()> {
        self.enter_to_write()?;
        let done = self.draft.map_insert(handle(&map), &key, value);
        self.step(done)
    }

    fn add_member(&mut self, set: Resource<Collection>, key: Vec<u8>) -> wasmtime::Result<bool> {
        self.enter_to_write()?;
        let is_new = self.draft.set_insert(handle(&set), &key);
        self.step(is_new)
    }

    fn contains(&mut self, collection: Resource<Collection>, key: Vec<u8>) -> wasmtime::Result<bool> {
        self.enter()?;
        let handle = handle(&collection);
        let found = match self.shape(handle)? {
            Shape::Set => self.draft.set_contains(handle, &key),
            Shape::Register | Shape::Text | Shape::List | Shape::Other => self.draft.map_contains(handle, &key),
        };
        self.step(found)
    }

    fn remove(&mut self, collection: Resource<Collection>, key: Vec<u8>) -> wasmtime::Result<bool> {
        self.enter_to_write()?;
        let handle = handle(&collection);
        let removed = match self.shape(handle)? {
            Shape::Set => self.draft.set_remove(handle, &key),
            Shape::Register | Shape::Text | Shape::List | Shape::Other => self.draft.map_remove(handle, &key),
        };
        self.step(removed)
    }

    fn len(&mut self, collection: Resource<Collection>) -> wasmtime::Result<u64> {
        self.enter()?;
        let handle = handle(&collection);
        let count = match self.shape(handle)? {
            Shape::Set => self.draft.set_len(handle),
            Shape::Text => self.draft.text_len(handle, Unit::CodePoint),
            Shape::List => self.draft.list_len(handle),
            Shape::Register | Shape::Other => self.draft.map_len(handle),
        };
        self.step(count)
    }

    fn clear(&mut self, collection: Resource<Collection>) -> wasmtime::Result<()> {
        self.enter_to_write()?;
        let handle = handle(&collection);
        let done = match self.shape(handle)? {
            Shape::Set => self.draft.set_clear(handle),
            Shape::Register => self.draft.register_clear(handle).map(|_| ()),
            Shape::Text => self.draft.text_clear(handle),
            Shape::List => self.draft.list_clear(handle),
            Shape::Other => self.draft.map_clear(handle),
        };
        self.step(done)
    }

    fn scan(
        &mut self,
        collection: Resource<Collection>,
        after: Option<Vec<u8>>,
        limit: u32,
    ) -> wasmtime::Result<Vec<state::Entry>> {
        self.enter()?;
        let handle = handle(&collection);
        let page = match self.shape(handle)? {
            Shape::Set => page(after, limit, |after, limit| {
                let members = self.draft.set_scan(handle, after, limit)?;
                Ok(members.into_iter().map(|key| state::Entry { key, value: Vec::new() }).collect())
            }),
            Shape::Register | Shape::Text | Shape::List | Shape::Other => page(after, limit, |after, limit| {
                let entries = self.draft.map_scan(handle, after, limit)?;
                let entries = entries.into_iter();
                Ok(entries.map(|(key, value)| state::Entry { key, value: plain(value).unwrap_or_default() }).collect())
            }),
        };
        self.step(page)
    }

    fn text_root(&mut self, field: String) -> wasmtime::Result<Resource<Collection>> {
        self.open_root(&field, Kind::Text)
    }

    fn text_child(&mut self, map: Resource<Collection>, key: Vec<u8>) -> wasmtime::Result<Resource<Collection>> {
        self.open_child(&map, &key, Kind::Text)
    }

    fn list_root(&mut self, field: String) -> wasmtime::Result<Resource<Collection>> {
        self.open_root(&field, Kind::List)
    }

    fn list_child(&mut self, map: Resource<Collection>, key: Vec<u8>) -> wasmtime::Result<Resource<Collection>> {
        self.open_child(&map, &key, Kind::List)
    }

    fn text_len(&mut self, text: Resource<Collection>, unit: state::Unit) -> wasmtime::Result<u64> {
        self.enter()?;
        let len = self.draft.text_len(handle(&text), unit.into());
        self.step(len)
    }

    fn text_slice(
        &mut self,
        text: Resource<Collection>,
        unit: state::Unit,
        start: u64,
        end: u64,
    ) -> wasmtime::Result<String> {
        self.enter()?;
        let slice = self.draft.text_slice(handle(&text), unit.into(), start..end);
        self.step(slice)
    }

    fn text_splice(
        &mut self,
        text: Resource<Collection>,
        unit: state::Unit,
        at: u64,
        delete: u64,
        insert: String,
    ) -> wasmtime::Result<()> {
        self.enter_to_write()?;
        let done = self.draft.text_splice(handle(&text), unit.into(), at, delete, &insert);
        self.step(done)
    }

    fn text_convert(
        &mut self,
        text: Resource<Collection>,
        unit: state::Unit,
        at: u64,
        to: state::Unit,
    ) -> wasmtime::Result<u64> {
        self.enter()?;
        let place = self.draft.text_convert(handle(&text), unit.into(), at, to.into());
        self.step(place)
    }

    fn text_lines(&mut self, text: Resource<Collection>) -> wasmtime::Result<u64> {
        self.enter()?;
        let lines = self.draft.text_lines(handle(&text));
        self.step(lines)
    }

    fn text_line_of(&mut self, text: Resource<Collection>, unit: state::Unit, at: u64) -> wasmtime::Result<u64> {
        self.enter()?;
        let line = self.draft.text_line_of(handle(&text), unit.into(), at);
        self.step(line)
    }

    fn text_line_start(&mut self, text: Resource<Collection>, unit: state::Unit, line: u64) -> wasmtime::Result<u64> {
        self.enter()?;
        let at = self.draft.text_line_start(handle(&text), unit.into(), line);
        self.step(at)
    }

    fn text_version(&mut self, text: Resource<Collection>) -> wasmtime::Result<String> {
        self.enter()?;
        let version = self.draft.text_version(handle(&text));
        Ok(self.step(version)?.to_string())
    }

    fn text_steps(
        &mut self,
        text: Resource<Collection>,
        unit: state::Unit,
        since: String,
    ) -> wasmtime::Result<Option<Vec<state::TextStep>>> {
        self.enter()?;
        let Ok(since) = since.parse() else { return Ok(None) };
        let steps = self.draft.text_steps(handle(&text), unit.into(), since);
        Ok(self.step(steps)?.map(|steps| steps.into_iter().map(state::TextStep::from).collect()))
    }

    fn list_get(&mut self, list: Resource<Collection>, at: u64) -> wasmtime::Result<Option<Vec<u8>>> {
        self.enter()?;
        let item = self.draft.list_get(handle(&list), at);
        self.step(item)
    }

    fn list_scan(&mut self, list: Resource<Collection>, at: u64, limit: u32) -> wasmtime::Result<Vec<Vec<u8>>> {
        self.enter()?;
        let items = self.items(handle(&list), at, limit);
        self.step(items)
    }

    fn list_splice(
        &mut self,
        list: Resource<Collection>,
        at: u64,
        delete: u64,
        insert: Vec<Vec<u8>>,
    ) -> wasmtime::Result<()> {
        self.enter_to_write()?;
        let done = self.draft.list_splice(handle(&list), at, delete, insert);
        self.step(done)
    }

    fn list_move(&mut self, list: Resource<Collection>, start: u64, end: u64) -> wasmtime::Result<()> {
        self.enter_to_write()?;
        let done = self.draft.list_move(handle(&list), start, end);
        self.step(done)
    }

    fn drop(&mut self, _: Resource<Collection>) -> wasmtime::Result<()> {
        // A handle is a number of the draft's table, which lives as long as the call.
        Ok(())
    }
}

/// Which of the draft's functions a function that several kinds share means. The draft refuses kinds that have neither.
enum Shape {
    Set,
    Register,
    Text,
    List,
    Other,
}

impl Host {
    fn open_root(&mut self, field: &str, kind: Kind) -> wasmtime::Result<Resource<Collection>> {
        self.enter()?;
        let opened = self.draft.open_root(field, kind);
        self.step(opened).map(resource)
    }

    fn open_child(
        &mut self,
        map: &Resource<Collection>,
        key: &[u8],
        kind: Kind,
    ) -> wasmtime::Result<Resource<Collection>> {
        self.enter()?;
        let opened = self.draft.open_child(handle(map), key, kind);
        self.step(opened).map(resource)
    }

    /// Items from `at` on, at least one if there are any, at most `limit`, about [`PAGE_BYTES`].
    fn items(&self, list: Handle, at: u64, limit: u32) -> Result<Vec<Vec<u8>>, DraftError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let (mut items, mut bytes) = (Vec::new(), 0);
        while items.len() < limit && bytes < PAGE_BYTES {
            let wanted = CHUNK_ENTRIES.max(items.len()).min(limit - items.len());
            let chunk = self.draft.list_scan(list, at.saturating_add(items.len() as u64), wanted)?;
            let ended = chunk.len() < wanted;
            bytes += chunk.iter().map(Vec::len).sum::<usize>();
            items.extend(chunk);
            if ended {
                break;
            }
        }
        Ok(items)
    }

    fn shape(&mut self, handle: Handle) -> wasmtime::Result<Shape> {
        let kind = self.draft.kind(handle);
        let kind = self.step(kind)?;
        Ok(if kind == Kind::Set {
            Shape::Set
        } else if kind == Kind::Register {
            Shape::Register
        } else if kind == Kind::Text {
            Shape::Text
        } else if kind == Kind::List {
            Shape::List
        } else {
            Shape::Other
        })
    }
}

/// Entries after `after`, at least one if there are any, at most `limit`, about [`PAGE_BYTES`].
pub(super) fn page(
    mut after: Option<Vec<u8>>,
    limit: u32,
    mut read: impl FnMut(Option<&[u8]>, usize) -> Result<Vec<state::Entry>, DraftError>,
) -> Result<Vec<state::Entry>, DraftError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut page, mut bytes) = (Vec::new(), 0);
    while page.len() < limit && bytes < PAGE_BYTES {
        let wanted = CHUNK_ENTRIES.max(page.len()).min(limit - page.len());
        let chunk = read(after.as_deref(), wanted)?;
        let ended = chunk.len() < wanted;
        bytes += chunk.iter().map(|entry| entry.key.len() + entry.value.len()).sum::<usize>();
        after = chunk.last().map(|entry| entry.key.clone());
        page.extend(chunk);
        if ended {
            break;
        }
    }
    Ok(page)
}

/// A value that the guest wrote itself. That a collection is there is told by `contains`.
fn plain(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::Bytes(bytes) => Some(bytes),
        Value::Nested(_) | Value::Unit => None,
    }
}

/// wasmtime keeps the guest's handles and gives back our numbers, so a guest can name no other.
fn resource(handle: Handle) -> Resource<Collection> {
    Resource::new_own(handle.number())
}

fn handle(resource: &Resource<Collection>) -> Handle {
    Handle::from_number(resource.rep())
}

impl From<state::Kind> for Kind {
    fn from(kind: state::Kind) -> Self {
        match kind {
            state::Kind::Register => Self::Register,
            state::Kind::Counter => Self::Counter,
            state::Kind::Map => Self::Map,
            state::Kind::Set => Self::Set,
        }
    }
}

impl From<TextStep> for state::TextStep {
    fn from(TextStep { at, delete, insert }: TextStep) -> Self {
        Self { at, delete, insert }
    }
}

impl From<state::Unit> for Unit {
    fn from(unit: state::Unit) -> Self {
        match unit {
            state::Unit::CodePoint => Self::CodePoint,
            state::Unit::Utf16 => Self::Utf16,
        }
    }
}
