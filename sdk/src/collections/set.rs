use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;

use super::{Collection, Entries, Place, decode_key};
use crate::describe::{Describe, Within};
use crate::host::{Handle, Kind};
use crate::key::{Key, OwnedKey};
use crate::schema::Shape;

/// Members in order. An addition beats a concurrent removal.
pub struct Set<T>(Place<T>);

impl<T: OwnedKey> Set<T> {
    /// Adds a member; whether it is new.
    pub fn insert<Q: Key + ?Sized>(&mut self, member: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.0.handle().add_member(&member.key_bytes())
    }

    /// Removes a member; whether it was there.
    pub fn remove<Q: Key + ?Sized>(&mut self, member: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.0.handle().remove(&member.key_bytes())
    }

    /// Removes all members.
    pub fn clear(&mut self) {
        self.0.handle().clear();
    }

    /// Whether it is a member.
    #[must_use]
    pub fn contains<Q: Key + ?Sized>(&self, member: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.0.handle().contains(&member.key_bytes())
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.handle().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The members in order.
    pub fn iter(&self) -> Members<'_, T> {
        Members { entries: Entries::new(self.0.handle(), None), of: PhantomData }
    }
}

/// The members of a set in order.
pub struct Members<'s, T> {
    entries: Entries<'s>,
    of: PhantomData<fn() -> T>,
}

impl<T: OwnedKey> Iterator for Members<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.entries.next().map(|entry| decode_key(&entry.key))
    }
}

impl<'s, T: OwnedKey> IntoIterator for &'s Set<T> {
    type Item = T;
    type IntoIter = Members<'s, T>;

    fn into_iter(self) -> Members<'s, T> {
        self.iter()
    }
}

impl<T: OwnedKey + Describe> Collection for Set<T> {
    fn field(name: &'static str) -> Self {
        Self(Place::field(name, Kind::Set))
    }

    fn child(map: &Handle, key: &[u8]) -> Self {
        Self(Place::child(map, key, Kind::Set))
    }

    fn shape(within: &mut Within) -> Shape {
        Shape::Set { of: T::describe(within) }
    }
}

impl<T: OwnedKey + fmt::Debug> fmt::Debug for Set<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self).finish()
    }
}
