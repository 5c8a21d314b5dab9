//! The node: one machine per group and per context, and the router that owns them.
//!
//! Pure. [`Node::step`] takes an [`Input`], the time, randomness and a snapshot of the store, and returns a
//! [`Step`]: batches to commit and effects to carry out. There is no clock, socket, file or thread in here, so
//! the simulator drives the very machines that ship.
//!
//! What others can see (replies, messages, events) is held back inside the node until the batch that it rests on
//! is durable ([`Input::Durable`]). Machines share nothing: a context learns of its group through immutable views
//! that the router hands over, and batches never span machines; what a crash between two batches leaves half done
//! is reconciled at start.

pub mod command;
mod context;
pub mod delta;
mod entropy;
pub mod executor;
mod flight;
pub mod flow;
mod group;
pub mod layout;
mod log;
mod node;
mod peers;
pub mod record;
mod state;
mod step;
pub mod store;
mod timers;
pub mod verify;
mod view;

pub use command::{Command, CommandError, Reply, Selector};
pub use context::CALLS_WAITING_MAX;
pub use entropy::Entropy;
pub use executor::{Call, CallError, Event, Executor, MethodKind, Outcome, Saying};
pub use flow::{About, Arrow, Flow};
pub use node::{BUNDLE_LEN_MAX, Node, find};
pub use state::{ContextState, Version};
pub use step::{Effect, GossipToken, Input, Lane, MachineId, Notice, Report, Step, Ticket, Time, Verdict};
pub use view::View;
