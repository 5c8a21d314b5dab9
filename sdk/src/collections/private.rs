use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;

use super::{PAGE_ENTRIES, Value, decode, decode_key, encode};
use crate::describe::{Describe, Within};
use crate::host::{Entry, private};
use crate::key::{Key, OwnedKey};
use crate::schema::Shape;

/// What stands between the name of a field, which has no such byte, and a key under it.
const SEPARATOR: u8 = 0;

/// One value that this node keeps for itself: it is never sent, merges with nothing and is no part of the state that
/// members compare. It is written together with the change of the call that sets it, or not at all.
///
/// The same app on another node, and a restored one, finds none. So it is fit for what only concerns this node: drafts,
/// marks of what was read here, or what its pages have done already.
pub struct Private<T> {
    key: Vec<u8>,
    of: PhantomData<fn() -> T>,
}

impl<T: Value> Private<T> {
    /// The value, if there is one.
    #[must_use]
    pub fn get(&self) -> Option<T> {
        private::get(&self.key).map(|bytes| decode(&bytes))
    }

    /// Keeps a value.
    pub fn set<W: Serialize + ?Sized>(&mut self, value: &W)
    where
        T: Borrow<W>,
    {
        private::set(&self.key, &encode(value));
    }

    /// Keeps nothing any more.
    pub fn clear(&mut self) {
        private::remove(&self.key);
    }
}

impl<T: Value> super::Part for Private<T> {
    fn field(name: &'static str) -> Self {
        Self { key: name.as_bytes().to_vec(), of: PhantomData }
    }

    fn shape(within: &mut Within) -> Shape {
        Shape::Private { key: None, of: T::describe(within) }
    }
}

impl<T: Value + fmt::Debug> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Private").field(&self.get()).finish()
    }
}

/// Values by key that this node keeps for itself, in order of the keys: see [`Private`].
pub struct PrivateMap<K, V> {
    prefix: Vec<u8>,
    of: PhantomData<fn() -> (K, V)>,
}

impl<K: OwnedKey, V: Value> PrivateMap<K, V> {
    /// What is kept under `key`.
    #[must_use]
    pub fn get<Q: Key + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        private::get(&self.key(key)).map(|bytes| decode(&bytes))
    }

    /// Keeps `value` under `key`.
    pub fn insert<Q, W>(&mut self, key: &Q, value: &W)
    where
        K: Borrow<Q>,
        V: Borrow<W>,
        Q: Key + ?Sized,
        W: Serialize + ?Sized,
    {
        private::set(&self.key(key), &encode(value));
    }

    /// Keeps nothing under `key` any more.
    pub fn remove<Q: Key + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        private::remove(&self.key(key));
    }

    /// The entries in order of their keys.
    pub fn iter(&self) -> PrivateIter<'_, K, V> {
        PrivateIter { map: self, page: Vec::new().into_iter(), after: None, ended: false }
    }

    fn key<Q: Key + ?Sized>(&self, key: &Q) -> Vec<u8> {
        [&self.prefix, &*key.key_bytes()].concat()
    }
}

impl<K: OwnedKey + Describe, V: Value> super::Part for PrivateMap<K, V> {
    fn field(name: &'static str) -> Self {
        let mut prefix = name.as_bytes().to_vec();
        prefix.push(SEPARATOR);
        Self { prefix, of: PhantomData }
    }

    fn shape(within: &mut Within) -> Shape {
        Shape::Private { key: Some(K::describe(within)), of: V::describe(within) }
    }
}

impl<K, V> fmt::Debug for PrivateMap<K, V>
where
    K: OwnedKey + fmt::Debug,
    V: Value + fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The entries of a [`PrivateMap`] in order of their keys.
pub struct PrivateIter<'m, K, V> {
    map: &'m PrivateMap<K, V>,
    page: std::vec::IntoIter<Entry>,
    after: Option<Vec<u8>>,
    ended: bool,
}

impl<K: OwnedKey, V: Value> Iterator for PrivateIter<'_, K, V> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        if self.page.as_slice().is_empty() && !self.ended {
            let page = private::scan(&self.map.prefix, self.after.as_deref(), PAGE_ENTRIES);
            match page.last() {
                Some(last) => self.after = Some(last.key.clone()),
                None => self.ended = true,
            }
            self.page = page.into_iter();
        }
        let Entry { key, value } = self.page.next()?;
        let key = key.get(self.map.prefix.len()..).unwrap_or_default();
        Some((decode_key(key), decode(&value)))
    }
}
