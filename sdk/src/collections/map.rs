use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;

use super::{Collection, Entries, Held, Place, Value, decode_key, encode};
use crate::describe::{Describe, Within};
use crate::host::{Handle, Kind};
use crate::key::{Key, OwnedKey};
use crate::schema::Shape;

/// Values or collections by key, in order of the keys. Of concurrent writes to a value the last by the clock is
/// read, collections merge; a change beats a concurrent removal.
pub struct Map<K, V>(Place<(K, V)>);

impl<K: OwnedKey, V: Held> Map<K, V> {
    /// What is under `key`: a value, or a collection to read.
    #[must_use]
    pub fn get<Q: Key + ?Sized>(&self, key: &Q) -> Option<V::Seen>
    where
        K: Borrow<Q>,
    {
        V::look(self.0.handle(), &key.key_bytes())
    }

    /// Whether there is anything under `key`.
    #[must_use]
    pub fn contains<Q: Key + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.handle().contains(&key.key_bytes())
    }

    /// Removes what is under `key`, a collection with all that is in it; whether there was anything.
    pub fn remove<Q: Key + ?Sized>(&mut self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.handle().remove(&key.key_bytes())
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.0.handle().clear();
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.handle().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries in order of their keys.
    pub fn iter(&self) -> Iter<'_, K, V> {
        self.entries_after(None)
    }

    /// The entries whose keys come after `key`, which need not be there: for paging.
    pub fn iter_after<Q: Key + ?Sized>(&self, key: &Q) -> Iter<'_, K, V>
    where
        K: Borrow<Q>,
    {
        self.entries_after(Some(key.key_bytes().into_owned()))
    }

    /// The keys in order.
    pub fn keys(&self) -> Keys<'_, K> {
        Keys { entries: Entries::new(self.0.handle(), None), of: PhantomData }
    }

    fn entries_after(&self, after: Option<Vec<u8>>) -> Iter<'_, K, V> {
        Iter { entries: Entries::new(self.0.handle(), after), of: PhantomData }
    }
}

impl<K: OwnedKey, V: Value> Map<K, V> {
    /// Puts `value` under `key`.
    pub fn insert<Q, W>(&mut self, key: &Q, value: &W)
    where
        K: Borrow<Q>,
        V: Borrow<W>,
        Q: Key + ?Sized,
        W: Serialize + ?Sized,
    {
        self.0.handle().insert(&key.key_bytes(), &encode(value));
    }
}

impl<K: OwnedKey, V: Collection> Map<K, V> {
    /// The collection under `key`, to write. The first write makes the entry.
    pub fn entry<Q: Key + ?Sized>(&mut self, key: &Q) -> V
    where
        K: Borrow<Q>,
    {
        V::child(self.0.handle(), &key.key_bytes())
    }
}

/// The entries of a map in order of their keys.
pub struct Iter<'m, K, V> {
    entries: Entries<'m>,
    of: PhantomData<fn() -> (K, V)>,
}

impl<K: OwnedKey, V: Held> Iterator for Iter<'_, K, V> {
    type Item = (K, V::Seen);

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.entries.next()?;
        Some((decode_key(&entry.key), V::found(self.entries.handle, entry)))
    }
}

/// The keys of a map in order.
pub struct Keys<'m, K> {
    entries: Entries<'m>,
    of: PhantomData<fn() -> K>,
}

impl<K: OwnedKey> Iterator for Keys<'_, K> {
    type Item = K;

    fn next(&mut self) -> Option<K> {
        self.entries.next().map(|entry| decode_key(&entry.key))
    }
}

impl<'m, K: OwnedKey, V: Held> IntoIterator for &'m Map<K, V> {
    type Item = (K, V::Seen);
    type IntoIter = Iter<'m, K, V>;

    fn into_iter(self) -> Iter<'m, K, V> {
        self.iter()
    }
}

impl<K: OwnedKey + Describe, V: Held> Collection for Map<K, V> {
    fn field(name: &'static str) -> Self {
        Self(Place::field(name, Kind::Map))
    }

    fn child(map: &Handle, key: &[u8]) -> Self {
        Self(Place::child(map, key, Kind::Map))
    }

    fn shape(within: &mut Within) -> Shape {
        Shape::Map { key: K::describe(within), of: Box::new(V::held_shape(within)) }
    }
}

impl<K, V> fmt::Debug for Map<K, V>
where
    K: OwnedKey + fmt::Debug,
    V: Held<Seen: fmt::Debug>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}
