//! A key-value store that its members share.
//!
//! Members write at the same time and offline: of concurrent writes to one key the last by the clock is read, writes
//! to different keys never meet, and a write beats a removal that had not seen it.

use std::collections::BTreeMap;

use mesto_sdk::app;

/// What subscribers hear of.
#[app::event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A key has a new value.
    Set {
        /// The key.
        key: String,
        /// Its value.
        value: String,
    },
    /// A key is gone.
    Removed {
        /// The key.
        key: String,
    },
    /// All keys are gone.
    Cleared,
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, thiserror::Error)]
#[serde(tag = "kind", content = "data")]
pub enum Error {
    /// There is no such key.
    #[error("key not found: {0}")]
    NotFound(String),
}

/// The entries.
#[app::state(emits = Event)]
#[derive(Debug)]
pub struct Kv {
    items: app::Map<String, String>,
}

#[app::logic]
impl Kv {
    /// Sets the value of a key.
    pub fn set(&mut self, key: String, value: String) {
        self.items.insert(&key, &value);
        app::emit!(Event::Set { key, value });
    }

    /// The value of a key, or null.
    pub fn get(&self, key: String) -> Option<String> {
        self.items.get(&key)
    }

    /// The value of a key, which must be there.
    pub fn get_or_error(&self, key: String) -> Result<String, Error> {
        match self.items.get(&key) {
            Some(value) => Ok(value),
            None => app::bail!(Error::NotFound(key)),
        }
    }

    /// Removes a key; whether it was there.
    pub fn remove(&mut self, key: String) -> bool {
        let removed = self.items.remove(&key);
        if removed {
            app::emit!(Event::Removed { key });
        }
        removed
    }

    /// All entries in order of their keys.
    pub fn entries(&self) -> BTreeMap<String, String> {
        self.items.iter().collect()
    }

    /// How many keys there are.
    #[expect(clippy::len_without_is_empty, reason = "callers have `len`")]
    pub fn len(&self) -> u64 {
        self.items.len()
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        self.items.clear();
        app::emit!(Event::Cleared);
    }
}
