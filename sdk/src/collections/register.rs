use std::borrow::Borrow;
use std::fmt;

use serde::Serialize;

use super::{Collection, Place, Value, decode, encode};
use crate::describe::Within;
use crate::host::{Handle, Kind};
use crate::schema::Shape;

/// One value. Of concurrent writes the last by the clock is read.
pub struct Register<T>(Place<T>);

impl<T: Value> Register<T> {
    /// The value, if it was ever set.
    #[must_use]
    pub fn get(&self) -> Option<T> {
        self.0.handle().read().map(|bytes| decode(&bytes))
    }

    /// Sets the value.
    pub fn set<W: Serialize + ?Sized>(&mut self, value: &W)
    where
        T: Borrow<W>,
    {
        self.0.handle().write(&encode(value));
    }

    /// Takes the value away.
    pub fn clear(&mut self) {
        self.0.handle().clear();
    }
}

impl<T: Value> Collection for Register<T> {
    fn field(name: &'static str) -> Self {
        Self(Place::field(name, Kind::Register))
    }

    fn child(map: &Handle, key: &[u8]) -> Self {
        Self(Place::child(map, key, Kind::Register))
    }

    fn shape(within: &mut Within) -> Shape {
        Shape::Register { of: T::describe(within) }
    }
}

impl<T: Value + fmt::Debug> fmt::Debug for Register<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Register").field(&self.get()).finish()
    }
}
