use std::fmt;

use super::{Collection, Place};
use crate::describe::Within;
use crate::host::{Handle, Kind};
use crate::schema::Shape;

/// A sum of signed additions. Concurrent additions all count.
pub struct Counter(Place<i64>);

impl Counter {
    /// Adds `amount`, which may be negative.
    pub fn add(&mut self, amount: i64) {
        self.0.handle().add(amount);
    }

    /// The sum; beyond 64 bits the nearest end of the range.
    #[must_use]
    pub fn value(&self) -> i64 {
        self.0.handle().total()
    }
}

impl Collection for Counter {
    fn field(name: &'static str) -> Self {
        Self(Place::field(name, Kind::Counter))
    }

    fn child(map: &Handle, key: &[u8]) -> Self {
        Self(Place::child(map, key, Kind::Counter))
    }

    fn shape(_: &mut Within) -> Shape {
        Shape::Counter
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counter").field(&self.value()).finish()
    }
}
