//! Write Mesto apps in Rust.
//!
//! An app is a struct of collections and an `impl` of methods. The node keeps the collections, merges
//! what members write concurrently, and calls the methods.
//!
//! ```
//! use mesto_sdk::app;
//!
//! #[app::event]
//! pub enum Event {
//!     Voted { choice: String },
//! }
//!
//! #[app::state(emits = Event)]
//! pub struct Poll {
//!     votes: app::Map<String, app::Counter>,
//! }
//!
//! #[app::logic]
//! impl Poll {
//!     /// `&mut self`: a mutating call. What it changes travels to all members, or nothing does.
//!     pub fn vote(&mut self, choice: String) -> app::Result<()> {
//!         if choice.is_empty() {
//!             app::bail!("choose something");
//!         }
//!         self.votes.entry(&choice).add(1);
//!         app::emit!(Event::Voted { choice });
//!         Ok(())
//!     }
//!
//!     /// `&self`: a view, answered at once.
//!     pub fn votes(&self, choice: String) -> i64 {
//!         self.votes.get(&choice).map_or(0, |votes| votes.value())
//!     }
//! }
//!
//! // Several replicas in one test, no node needed.
//! let mut group = mesto_sdk::testing::Replicas::<Poll>::new(2);
//! group.attempt(0, |poll| poll.vote("tea".into())).unwrap();
//! group.attempt(1, |poll| poll.vote("tea".into())).unwrap();
//! group.deliver_all();
//! group.assert_equal();
//! assert_eq!(group.view(0, |poll| poll.votes("tea".into())), 2);
//! ```
//!
//! # What crosses the border
//!
//! Arguments come as one JSON object, by name; all must be known, and only an `Option` may be missing. Results and errors leave
//! as JSON: `()` is null, [`app::Bytes`] base64, integers beyond 2^53 are strings (which are accepted
//! in arguments too). A method that returns `Result<T, E>` may have any error that is `Serialize` and
//! `Display`: callers get it as JSON.
//!
//! Keys of maps and members of sets are bytes in an order-preserving form ([`Key`]), values are JSON.

pub mod app;
mod collections;
mod describe;
mod host;
mod json;
mod key;
mod method;
mod schema;

#[cfg(not(target_arch = "wasm32"))]
pub mod native;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use collections::{
    Collection, Counter, Held, Items, Iter, Keys, List, Map, Members, Part, Private, PrivateIter, PrivateMap, Register,
    Seen, Set, Text, TextStep, Value,
};
pub use describe::{Describe, Field, Type, Variant, Within};
pub use key::{Key, OwnedKey};
pub use method::{AppError, Refusal};
pub use schema::{Argument, EventKind, Method, MethodKind, SCHEMA_VERSION, Schema, Shape, StateField};

/// What `#[app::state]` and `#[app::logic]` together make of a struct.
pub trait App: collections::State + 'static {
    /// The schema: what the node and typed clients know of the app.
    fn schema() -> Schema;

    /// Runs a method within the current call.
    ///
    /// # Errors
    /// An unknown method, arguments that do not fit, or the app's own error.
    fn invoke(method: &str, args: &str) -> Result<String, Refusal>;
}

/// For the code that the macros write.
#[doc(hidden)]
pub mod __private {
    pub use crate::collections::State;
    #[cfg(target_arch = "wasm32")]
    pub use crate::host::bindings;
    pub use crate::json::Object;
    pub use crate::method::{Arguments, Event, Fallible, NoEvents, answer, emit, payload, say};
    pub use serde;
}
