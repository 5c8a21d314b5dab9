//! What the HTTP interface of a node says: error codes, problem documents, requests and answers, and a
//! typed, blocking [`Client`].
//!
//! Everything is camelCase JSON. A success is a [`Data`] (or a [`List`]), a failure a [`Problem`]. Ids are
//! their text forms: 52 characters of base32, except peer ids, which keep libp2p's form.

pub mod application;
pub mod auth;
pub mod blob;
pub mod call;
pub mod client;
pub mod code;
pub mod context;
pub mod duration;
pub mod envelope;
pub mod event;
pub mod group;
pub mod node;
pub mod problem;
pub mod time;
pub mod trace;

pub use client::{Client, ClientError};
pub use code::ErrorCode;
pub use envelope::{Data, List};
pub use problem::Problem;
