use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;

use super::{Collection, PAGE_ENTRIES, Place, Value, decode, encode};
use crate::describe::Within;
use crate::host::{Handle, Kind};
use crate::schema::Shape;

/// Values in an order that members change at the same time. An item keeps its place between its neighbours; of
/// concurrent moves of one item the latest counts, and a deletion beats them all.
///
/// A place that does not exist stops the call: ask for the length before.
pub struct List<T>(Place<T>);

impl<T: Value> List<T> {
    /// How many items it has.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.handle().len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The item at a place; `None` beyond the end.
    #[must_use]
    pub fn get(&self, at: u64) -> Option<T> {
        self.0.handle().list_get(at).map(|bytes| decode(&bytes))
    }

    /// The items in order.
    pub fn iter(&self) -> Items<'_, T> {
        self.iter_from(0)
    }

    /// The items from a place on, in order.
    pub fn iter_from(&self, at: u64) -> Items<'_, T> {
        Items { handle: self.0.handle(), page: Vec::new().into_iter(), next: at, ended: false, of: PhantomData }
    }

    /// Inserts an item before the place `at`.
    pub fn insert<W: Serialize + ?Sized>(&mut self, at: u64, value: &W)
    where
        T: Borrow<W>,
    {
        self.0.handle().list_splice(at, 0, &[encode(value)]);
    }

    /// Inserts an item at the end.
    pub fn push<W: Serialize + ?Sized>(&mut self, value: &W)
    where
        T: Borrow<W>,
    {
        self.insert(self.len(), value);
    }

    /// Removes the item at a place; what it was.
    pub fn remove(&mut self, at: u64) -> Option<T> {
        let item = self.get(at)?;
        self.0.handle().list_splice(at, 1, &[]);
        Some(item)
    }

    /// Removes `len` items from the place `at` on, and inserts others there.
    pub fn splice<'v, W>(&mut self, at: u64, len: u64, values: impl IntoIterator<Item = &'v W>)
    where
        T: Borrow<W>,
        W: Serialize + ?Sized + 'v,
    {
        let values: Vec<Vec<u8>> = values.into_iter().map(encode).collect();
        self.0.handle().list_splice(at, len, &values);
    }

    /// Moves the item at `from`, so that it is at `to` then. It stays the same item: what others do to it meanwhile is
    /// done to it.
    pub fn move_to(&mut self, from: u64, to: u64) {
        self.0.handle().list_move(from, to);
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.0.handle().clear();
    }
}

/// The items of a list in order.
pub struct Items<'l, T> {
    handle: &'l Handle,
    page: std::vec::IntoIter<Vec<u8>>,
    next: u64,
    ended: bool,
    of: PhantomData<fn() -> T>,
}

impl<T: Value> Iterator for Items<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if self.page.as_slice().is_empty() && !self.ended {
            let page = self.handle.list_scan(self.next, PAGE_ENTRIES);
            self.ended = page.is_empty();
            self.next += page.len() as u64;
            self.page = page.into_iter();
        }
        self.page.next().map(|bytes| decode(&bytes))
    }
}

impl<'l, T: Value> IntoIterator for &'l List<T> {
    type Item = T;
    type IntoIter = Items<'l, T>;

    fn into_iter(self) -> Items<'l, T> {
        self.iter()
    }
}

impl<T: Value> Collection for List<T> {
    fn field(name: &'static str) -> Self {
        Self(Place::field(name, Kind::List))
    }

    fn child(map: &Handle, key: &[u8]) -> Self {
        Self(Place::child(map, key, Kind::List))
    }

    fn shape(within: &mut Within) -> Shape {
        Shape::List { of: T::describe(within) }
    }
}

impl<T: Value + fmt::Debug> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}
