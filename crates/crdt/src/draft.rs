//! One call's changes: an overlay on the state that reads see at once, and that ends as a delta's operations.
//!
//! A draft holds one operation for each element, whatever the call did to it on the way, and knows the size
//! of its delta at every step. It opens collections by [`Handle`]; to open one and only read creates
//! nothing.

mod list;
mod overlay;
mod sequences;
mod text;

use std::collections::BTreeMap;

use crate::id::{Author, CollectionId, Kind};
use crate::leaf::{CorruptLeaf, leaf_key};
use crate::op::{KEY_BYTES_MAX, OPS_BYTES_MAX, Op, VALUE_BYTES_MAX, Value};
use crate::read::Read;
use crate::sequence::{LoadError, SequenceError};

use overlay::Overlay;

/// Deepest nesting that a draft opens. Each level costs a presence operation in every change below it; data
/// structures of real apps stay under five.
pub const NESTING_DEPTH_MAX: u32 = 32;
/// Most collections that one draft opens. A handle costs the host up to 1.2 KiB (its key), so 64 Ki of them
/// cost as much as a call's own memory limit.
pub const HANDLES_MAX: usize = 1 << 16;

/// The bounds of a draft. None exceeds what [`Op::check`](crate::Op::check) and
/// [`decode_ops`](crate::decode_ops) allow: greater ones are cut to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DraftLimits {
    /// Longest key, in bytes.
    pub key_bytes_max: usize,
    /// Longest value, in bytes.
    pub value_bytes_max: usize,
    /// Longest encoding of all operations, in bytes.
    pub ops_bytes_max: usize,
}

impl Default for DraftLimits {
    fn default() -> Self {
        Self { key_bytes_max: KEY_BYTES_MAX, value_bytes_max: VALUE_BYTES_MAX, ops_bytes_max: OPS_BYTES_MAX }
    }
}

/// An opened collection: its place in the draft's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(u32);

impl Handle {
    /// The handle with this number, as a guest hands it back. Checked at each use.
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// Its number: from 0, in order of opening.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// Why a draft refuses a step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DraftError {
    /// A key or field name is too long.
    #[error("a key of {bytes} bytes; at most {max} are allowed")]
    KeyTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A value is too long.
    #[error("a value of {bytes} bytes; at most {max} are allowed")]
    ValueTooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The call's operations together are too long. The draft cannot be finished.
    #[error("the call changes too much: its operations exceed {max} bytes")]
    DeltaTooLarge {
        /// The limit.
        max: usize,
    },
    /// The collection is of another kind than the step needs.
    #[error("a collection of kind {found:?} where {expected:?} is needed")]
    KindMismatch {
        /// The kind that the step needs.
        expected: Kind,
        /// The kind that is there.
        found: Kind,
    },
    /// The map entry holds a plain value, not a collection.
    #[error("the entry holds a value, not a collection of kind {expected:?}")]
    NotACollection {
        /// The kind that was to be opened, or changed.
        expected: Kind,
    },
    /// This version has no such collections.
    #[error("collections of kind {kind:?} are not available in this version")]
    KindNotAvailable {
        /// The kind.
        kind: Kind,
    },
    /// No collection was opened under this handle.
    #[error("handle {0} names no open collection", handle.number())]
    UnknownHandle {
        /// The handle.
        handle: Handle,
    },
    /// More than [`HANDLES_MAX`] collections were opened.
    #[error("more than {max} collections are open")]
    TooManyHandles {
        /// The limit.
        max: usize,
    },
    /// More than [`NESTING_DEPTH_MAX`] levels.
    #[error("collections nest at most {max} deep")]
    TooDeep {
        /// The limit.
        max: u32,
    },
    /// What a call adds to a counter does not fit 64 bits.
    #[error("the call's additions to a counter exceed 64 bits")]
    AmountOutOfRange,
    /// A place in a text or list that does not exist, or a sequence that is too long.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// The store's leaves of a text or list do not fit together.
    #[error(transparent)]
    SequenceNotLoaded(LoadError),
    /// The store's leaf is not ours.
    #[error(transparent)]
    CorruptLeaf(#[from] CorruptLeaf),
    /// The store's leaf count of a collection is not ours.
    #[error("the leaf count of collection {collection} is corrupt")]
    CorruptCount {
        /// The collection.
        collection: CollectionId,
    },
}

/// One call's changes on top of the state that `R` shows (a reference, or an owned view).
pub struct Draft<R> {
    author: Author,
    limits: DraftLimits,
    opened: Vec<Opened>,
    handles: BTreeMap<CollectionId, Handle>,
    overlay: Overlay<R>,
}

struct Opened {
    collection: CollectionId,
    kind: Kind,
    depth: u32,
    /// The map and key that hold it; `None` for a field of the app's state.
    parent: Option<(Handle, Vec<u8>)>,
}

impl<R: Read> Draft<R> {
    /// An empty draft of a call by `author`.
    pub fn new(read: R, author: Author, limits: DraftLimits) -> Self {
        let limits = DraftLimits {
            key_bytes_max: limits.key_bytes_max.min(KEY_BYTES_MAX),
            value_bytes_max: limits.value_bytes_max.min(VALUE_BYTES_MAX),
            ops_bytes_max: limits.ops_bytes_max.min(OPS_BYTES_MAX),
        };
        let overlay = Overlay::new(read, limits.ops_bytes_max);
        Self { author, limits, opened: Vec::new(), handles: BTreeMap::new(), overlay }
    }

    /// Whose call it is.
    pub fn author(&self) -> Author {
        self.author
    }

    /// Length of the encoded operations so far; of what is done to texts and lists, the most that it can become.
    pub fn ops_bytes(&self) -> usize {
        self.overlay.ops_bytes()
    }

    /// The operations, in order of their elements: the same for the same steps on the same state, and
    /// accepted by [`decode_ops`](crate::decode_ops). Empty if the call changed nothing.
    ///
    /// # Errors
    /// [`DraftError::DeltaTooLarge`] if a step failed with it; a corrupt store.
    pub fn finish(self) -> Result<Vec<Op>, DraftError> {
        self.overlay.finish()
    }

    /// Opens the field `field` of the app's state.
    ///
    /// # Errors
    /// [`DraftError::KindNotAvailable`], [`DraftError::KeyTooLong`], [`DraftError::TooManyHandles`].
    pub fn open_root(&mut self, field: &str, kind: Kind) -> Result<Handle, DraftError> {
        self.check_key(field.as_bytes())?;
        let collection = CollectionId::ROOT.child(kind, field.as_bytes());
        self.open(Opened { collection, kind, depth: 1, parent: None })
    }

    /// Opens the collection that the map `parent` holds under `key`, or will hold once it is written to.
    ///
    /// # Errors
    /// [`DraftError::KindMismatch`] or [`DraftError::NotACollection`] if the entry holds something else, and
    /// those of [`Draft::open_root`].
    pub fn open_child(&mut self, parent: Handle, key: &[u8], kind: Kind) -> Result<Handle, DraftError> {
        let map = self.collection(parent, Kind::Map)?;
        self.check_key(key)?;
        let depth = self.opened(parent)?.depth + 1;
        if depth > NESTING_DEPTH_MAX {
            return Err(DraftError::TooDeep { max: NESTING_DEPTH_MAX });
        }
        self.check_holds(map, key, kind)?;
        let parent = Some((parent, key.to_vec()));
        self.open(Opened { collection: map.child(kind, key), kind, depth, parent })
    }

    /// The kind that `handle` was opened as.
    ///
    /// # Errors
    /// [`DraftError::UnknownHandle`].
    pub fn kind(&self, handle: Handle) -> Result<Kind, DraftError> {
        Ok(self.opened(handle)?.kind)
    }

    /// The register's value.
    ///
    /// # Errors
    /// A handle that is not a register's; a corrupt store.
    pub fn register_get(&self, register: Handle) -> Result<Option<Vec<u8>>, DraftError> {
        let collection = self.collection(register, Kind::Register)?;
        Ok(match self.overlay.value(&leaf_key(collection, &[]))? {
            Some(Value::Bytes(bytes)) => Some(bytes),
            Some(Value::Nested(_) | Value::Unit) | None => None,
        })
    }

    /// Sets the register.
    ///
    /// # Errors
    /// A handle that is not a register's, an exceeded limit, an entry on its path that holds something else.
    pub fn register_set(&mut self, register: Handle, value: Vec<u8>) -> Result<(), DraftError> {
        let collection = self.collection(register, Kind::Register)?;
        self.check_value(&value)?;
        self.refresh_path(register)?;
        self.overlay.set(leaf_key(collection, &[]), Some(Value::Bytes(value)))
    }

    /// Empties the register; whether there was a value.
    ///
    /// # Errors
    /// As for [`Draft::register_set`].
    pub fn register_clear(&mut self, register: Handle) -> Result<bool, DraftError> {
        let collection = self.collection(register, Kind::Register)?;
        self.remove(register, leaf_key(collection, &[]))
    }

    /// Adds to the counter.
    ///
    /// # Errors
    /// [`DraftError::AmountOutOfRange`] if the call's additions to it exceed 64 bits, and as for
    /// [`Draft::register_set`].
    pub fn counter_add(&mut self, counter: Handle, amount: i64) -> Result<(), DraftError> {
        let collection = self.collection(counter, Kind::Counter)?;
        if amount == 0 {
            return Ok(());
        }
        self.refresh_path(counter)?;
        self.overlay.add(collection, amount)
    }

    /// The counter's value; sums beyond 64 bits read as the nearest end of the range.
    ///
    /// # Errors
    /// A handle that is not a counter's; a corrupt store.
    pub fn counter_value(&self, counter: Handle) -> Result<i64, DraftError> {
        let sum = self.overlay.sum(self.collection(counter, Kind::Counter)?)?;
        Ok(sum.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }

    /// What the map holds under `key`.
    ///
    /// # Errors
    /// A handle that is not a map's, a key that is too long, a corrupt store.
    pub fn map_get(&self, map: Handle, key: &[u8]) -> Result<Option<Value>, DraftError> {
        self.element(map, Kind::Map, key)
    }

    /// Whether the map holds anything under `key`.
    ///
    /// # Errors
    /// As for [`Draft::map_get`].
    pub fn map_contains(&self, map: Handle, key: &[u8]) -> Result<bool, DraftError> {
        Ok(self.map_get(map, key)?.is_some())
    }

    /// Puts a value under `key`. A collection that was there is removed with all that is in it.
    ///
    /// # Errors
    /// A handle that is not a map's, an exceeded limit, an entry on its path that holds something else.
    pub fn map_insert(&mut self, map: Handle, key: &[u8], value: Vec<u8>) -> Result<(), DraftError> {
        let collection = self.collection(map, Kind::Map)?;
        self.check_key(key)?;
        self.check_value(&value)?;
        self.refresh_path(map)?;
        self.overlay.replace(leaf_key(collection, key), Some(Value::Bytes(value)))
    }

    /// Removes what is under `key`, a collection with all that is in it; whether there was anything.
    ///
    /// # Errors
    /// As for [`Draft::map_insert`].
    pub fn map_remove(&mut self, map: Handle, key: &[u8]) -> Result<bool, DraftError> {
        let collection = self.collection(map, Kind::Map)?;
        self.check_key(key)?;
        self.remove(map, leaf_key(collection, key))
    }

    /// How many keys the map has.
    ///
    /// # Errors
    /// As for [`Draft::map_get`].
    pub fn map_len(&self, map: Handle) -> Result<u64, DraftError> {
        self.overlay.len(self.collection(map, Kind::Map)?)
    }

    /// Up to `limit` entries in order of their keys, those strictly after `after` if given. Fewer than
    /// `limit` means that there are no more.
    ///
    /// # Errors
    /// As for [`Draft::map_get`].
    pub fn map_scan(
        &self,
        map: Handle,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Value)>, DraftError> {
        self.overlay.scan(self.collection(map, Kind::Map)?, after, limit)
    }

    /// Removes every entry.
    ///
    /// # Errors
    /// As for [`Draft::map_insert`].
    pub fn map_clear(&mut self, map: Handle) -> Result<(), DraftError> {
        self.clear(map, Kind::Map)
    }

    /// Adds a member; whether it is new. A member that was there is added again, so that it survives a
    /// concurrent removal.
    ///
    /// # Errors
    /// A handle that is not a set's, an exceeded limit, an entry on its path that holds something else.
    pub fn set_insert(&mut self, set: Handle, member: &[u8]) -> Result<bool, DraftError> {
        let new = !self.set_contains(set, member)?;
        let collection = self.collection(set, Kind::Set)?;
        self.refresh_path(set)?;
        self.overlay.set(leaf_key(collection, member), Some(Value::Unit))?;
        Ok(new)
    }

    /// Removes a member; whether it was there.
    ///
    /// # Errors
    /// As for [`Draft::set_insert`].
    pub fn set_remove(&mut self, set: Handle, member: &[u8]) -> Result<bool, DraftError> {
        let collection = self.collection(set, Kind::Set)?;
        self.check_key(member)?;
        self.remove(set, leaf_key(collection, member))
    }

    /// Whether it is a member.
    ///
    /// # Errors
    /// A handle that is not a set's, a member that is too long, a corrupt store.
    pub fn set_contains(&self, set: Handle, member: &[u8]) -> Result<bool, DraftError> {
        Ok(self.element(set, Kind::Set, member)?.is_some())
    }

    /// How many members the set has.
    ///
    /// # Errors
    /// As for [`Draft::set_contains`].
    pub fn set_len(&self, set: Handle) -> Result<u64, DraftError> {
        self.overlay.len(self.collection(set, Kind::Set)?)
    }

    /// Up to `limit` members in order of their bytes, those strictly after `after` if given. Fewer than
    /// `limit` means that there are no more.
    ///
    /// # Errors
    /// As for [`Draft::set_contains`].
    pub fn set_scan(&self, set: Handle, after: Option<&[u8]>, limit: usize) -> Result<Vec<Vec<u8>>, DraftError> {
        let members = self.overlay.scan(self.collection(set, Kind::Set)?, after, limit)?;
        Ok(members.into_iter().map(|(member, _)| member).collect())
    }

    /// Removes every member.
    ///
    /// # Errors
    /// As for [`Draft::set_insert`].
    pub fn set_clear(&mut self, set: Handle) -> Result<(), DraftError> {
        self.clear(set, Kind::Set)
    }

    fn open(&mut self, opened: Opened) -> Result<Handle, DraftError> {
        if !opened.kind.is_available() {
            return Err(DraftError::KindNotAvailable { kind: opened.kind });
        }
        if let Some(handle) = self.handles.get(&opened.collection) {
            return Ok(*handle);
        }
        let full = || DraftError::TooManyHandles { max: HANDLES_MAX };
        if self.opened.len() >= HANDLES_MAX {
            return Err(full());
        }
        let handle = Handle(u32::try_from(self.opened.len()).map_err(|_| full())?);
        self.handles.insert(opened.collection, handle);
        self.opened.push(opened);
        Ok(handle)
    }

    fn opened(&self, handle: Handle) -> Result<&Opened, DraftError> {
        let index = usize::try_from(handle.0).ok();
        index.and_then(|index| self.opened.get(index)).ok_or(DraftError::UnknownHandle { handle })
    }

    fn collection(&self, handle: Handle, expected: Kind) -> Result<CollectionId, DraftError> {
        let Opened { collection, kind, .. } = self.opened(handle)?;
        if *kind != expected {
            return Err(DraftError::KindMismatch { expected, found: *kind });
        }
        Ok(*collection)
    }

    fn element(&self, handle: Handle, kind: Kind, key: &[u8]) -> Result<Option<Value>, DraftError> {
        let collection = self.collection(handle, kind)?;
        self.check_key(key)?;
        self.overlay.value(&leaf_key(collection, key))
    }

    fn remove(&mut self, handle: Handle, leaf: Vec<u8>) -> Result<bool, DraftError> {
        if self.overlay.value(&leaf)?.is_none() {
            return Ok(false);
        }
        self.refresh_path(handle)?;
        self.overlay.replace(leaf, None)?;
        Ok(true)
    }

    fn clear(&mut self, handle: Handle, kind: Kind) -> Result<(), DraftError> {
        let collection = self.collection(handle, kind)?;
        if self.overlay.len(collection)? > 0 {
            self.refresh_path(handle)?;
            self.overlay.clear(vec![collection])?;
        }
        Ok(())
    }

    /// Assigns the presence of every map entry above a collection that is about to change, once a call.
    fn refresh_path(&mut self, handle: Handle) -> Result<(), DraftError> {
        let mut path = Vec::new();
        let mut here = self.opened(handle)?;
        while let Some((parent, key)) = &here.parent {
            let above = self.opened(*parent)?;
            self.check_holds(above.collection, key, here.kind)?;
            path.push((leaf_key(above.collection, key), here.kind));
            here = above;
        }
        for (leaf, kind) in path {
            self.overlay.set(leaf, Some(Value::Nested(kind)))?;
        }
        Ok(())
    }

    /// A map entry may come to hold a collection if it holds nothing, or one of the same kind.
    fn check_holds(&self, map: CollectionId, key: &[u8], expected: Kind) -> Result<(), DraftError> {
        match self.overlay.value(&leaf_key(map, key))? {
            None => Ok(()),
            Some(Value::Nested(found)) if found == expected => Ok(()),
            Some(Value::Nested(found)) => Err(DraftError::KindMismatch { expected, found }),
            Some(Value::Bytes(_) | Value::Unit) => Err(DraftError::NotACollection { expected }),
        }
    }

    fn check_key(&self, key: &[u8]) -> Result<(), DraftError> {
        let (bytes, max) = (key.len(), self.limits.key_bytes_max);
        if bytes > max { Err(DraftError::KeyTooLong { bytes, max }) } else { Ok(()) }
    }

    fn check_value(&self, value: &[u8]) -> Result<(), DraftError> {
        let (bytes, max) = (value.len(), self.limits.value_bytes_max);
        if bytes > max { Err(DraftError::ValueTooLarge { bytes, max }) } else { Ok(()) }
    }
}
