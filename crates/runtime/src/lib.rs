//! Runs apps: WebAssembly components of the world `mesto:app/app` (`sdk/wit`), over the collections of `mesto-crdt`.
//!
//! # Rules
//!
//! 1. **A call is a function of its arguments.** An app has no clock, no randomness, no files and no network but
//!    what the call carries, floating point has one NaN, and nothing outlives the call: every call has a fresh
//!    instance. So the same call over the same state gives the same outcome everywhere. (Wall time is the
//!    exception: reaching it ends in an error and leaves no trace.)
//! 2. **A limit cannot be swallowed.** What exceeds one stops the instance at that point and the call is
//!    answered with the limit's name ([`Limits`]).
//! 3. **A view cannot write**, whatever its code does.
//! 4. **Nothing of a failed call is kept.**
//! 5. **Compiled once.** Machine code is cached on disk, loaded apps in memory, instances are pooled and their
//!    memory is copy-on-write, so a warm call costs microseconds.

mod bindings;
mod cache;
mod call;
mod compiled;
mod component;
mod config;
mod engine;
mod host;
mod loaded;
mod runtime;
mod schema;
mod slots;
mod ticker;

pub use component::{ComponentizeError, componentize};
pub use config::{Limits, RuntimeConfig, WasmSource};
pub use runtime::{LoadError, NewError, Runtime};
pub use schema::SchemaError;
