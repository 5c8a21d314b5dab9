//! The collections: handles to what the node keeps and merges.
//!
//! Methods that write take `&mut self`, so a view (`&self`) cannot; the node checks the same again.

mod counter;
mod list;
mod map;
mod private;
mod register;
mod set;
mod text;

use std::cell::OnceCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::describe::{Describe, Type, Within};
use crate::host::{self, Entry, Handle, Kind};
use crate::method::Event;
use crate::schema::{Shape, StateField};

pub use counter::Counter;
pub use list::{Items, List};
pub use map::{Iter, Keys, Map};
pub use private::{Private, PrivateIter, PrivateMap};
pub use register::Register;
pub use set::{Members, Set};
pub use text::{Text, TextStep};

/// How many entries an iteration asks for at once: a host call costs about as much as three small entries, and
/// most loops over a map look at few.
const PAGE_ENTRIES: u32 = 64;

/// A plain value in a collection: any serde type that the schema can show. It is stored as JSON.
pub trait Value: Serialize + DeserializeOwned + Describe {}
impl<T: Serialize + DeserializeOwned + Describe> Value for T {}

/// A collection, which can be a field of the state or stand under a key of a map.
pub trait Collection: Sized {
    /// The field `name` of the state.
    #[doc(hidden)]
    fn field(name: &'static str) -> Self;

    /// What the map `map` holds, or will hold once it is written to, under `key`.
    #[doc(hidden)]
    fn child(map: &Handle, key: &[u8]) -> Self;

    /// What the schema shows.
    fn shape(within: &mut Within) -> Shape;
}

/// What a field of the state can be: a collection, or what a node keeps for itself.
pub trait Part: Sized {
    /// The field `name` of the state.
    #[doc(hidden)]
    fn field(name: &'static str) -> Self;

    /// What the schema shows.
    fn shape(within: &mut Within) -> Shape;
}

impl<C: Collection> Part for C {
    fn field(name: &'static str) -> Self {
        <C as Collection>::field(name)
    }

    fn shape(within: &mut Within) -> Shape {
        <C as Collection>::shape(within)
    }
}

/// The state of an app: `#[app::state]`.
#[doc(hidden)]
pub trait State: Sized {
    /// The events that the app emits.
    type Event: Event;
    /// The name of the type.
    const NAME: &'static str;

    /// The state of the current call.
    fn open() -> Self;

    /// The fields, for the schema.
    fn fields() -> Vec<StateField>;
}

/// What a map may hold: values, or collections.
pub trait Held: Sized {
    /// What a look at an entry gives: a value itself, a collection read-only.
    type Seen;

    /// The entry under `key`.
    #[doc(hidden)]
    fn look(map: &Handle, key: &[u8]) -> Option<Self::Seen>;

    /// The entry that an iteration found.
    #[doc(hidden)]
    fn found(map: &Handle, entry: Entry) -> Self::Seen;

    /// What the schema shows.
    #[doc(hidden)]
    fn held_shape(within: &mut Within) -> Shape;
}

impl<T: Value> Held for T {
    type Seen = T;

    fn look(map: &Handle, key: &[u8]) -> Option<T> {
        map.get(key).map(|bytes| decode(&bytes))
    }

    fn found(_: &Handle, entry: Entry) -> T {
        decode(&entry.value)
    }

    fn held_shape(within: &mut Within) -> Shape {
        Shape::Value { content: T::describe(within) }
    }
}

macro_rules! held_collection {
    ($(($($parameters:tt)*) $name:ty;)*) => {$(
        impl<$($parameters)*> Held for $name {
            type Seen = Seen<Self>;

            fn look(map: &Handle, key: &[u8]) -> Option<Seen<Self>> {
                map.contains(key).then(|| Seen(Self::child(map, key)))
            }

            fn found(map: &Handle, entry: Entry) -> Seen<Self> {
                Seen(Self::child(map, &entry.key))
            }

            fn held_shape(within: &mut Within) -> Shape {
                <Self as Collection>::shape(within)
            }
        }
    )*};
}

held_collection! {
    () Counter;
    (T: Value) Register<T>;
    (K: crate::OwnedKey + Describe, V: Held) Map<K, V>;
    (T: crate::OwnedKey + Describe) Set<T>;
    (T: Value) List<T>;
    () Text;
}

/// A collection in a map, to read. To write, take it by [`Map::entry`].
pub struct Seen<C>(C);

impl<C> Deref for Seen<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0
    }
}

impl<C: fmt::Debug> fmt::Debug for Seen<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A handle, opened when it is first needed: most calls touch few of the state's fields.
struct Place<T: ?Sized> {
    field: &'static str,
    kind: Kind,
    handle: OnceCell<Handle>,
    of: PhantomData<fn() -> Box<T>>,
}

impl<T: ?Sized> Place<T> {
    fn field(name: &'static str, kind: Kind) -> Self {
        Self { field: name, kind, handle: OnceCell::new(), of: PhantomData }
    }

    fn child(map: &Handle, key: &[u8], kind: Kind) -> Self {
        Self { field: "", kind, handle: OnceCell::from(host::child(map, key, kind)), of: PhantomData }
    }

    fn handle(&self) -> &Handle {
        self.handle.get_or_init(|| host::root(self.field, self.kind))
    }
}

/// Pages of a map's or set's entries, one after the other.
struct Entries<'c> {
    handle: &'c Handle,
    page: std::vec::IntoIter<Entry>,
    after: Option<Vec<u8>>,
    ended: bool,
}

impl<'c> Entries<'c> {
    fn new(handle: &'c Handle, after: Option<Vec<u8>>) -> Self {
        Self { handle, page: Vec::new().into_iter(), after, ended: false }
    }
}

impl Iterator for Entries<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        if self.page.as_slice().is_empty() && !self.ended {
            let page = self.handle.scan(self.after.as_deref(), PAGE_ENTRIES);
            match page.last() {
                Some(last) => self.after = Some(last.key.clone()),
                None => self.ended = true,
            }
            self.page = page.into_iter();
        }
        self.page.next()
    }
}

fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_else(|error| panic!("a value does not fit JSON: {error}"))
}

/// A stored value that is not one of its type was written by another version of the app.
fn decode<T: Value>(bytes: &[u8]) -> T {
    serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("a stored value is not {:?}: {error}", Type::of::<T>()))
}

fn decode_key<K: crate::OwnedKey>(bytes: &[u8]) -> K {
    K::from_key_bytes(bytes)
        .unwrap_or_else(|| panic!("a stored key is not a {}: {bytes:?}", std::any::type_name::<K>()))
}
