//! Tests of the fold through its public face.
#![allow(clippy::unwrap_used, missing_docs)]

mod contexts;
mod forest;
mod golden;
mod histories;
mod invitations;
mod levels;
mod reference;
mod subgroups;
mod trees;
mod verdicts;
mod world;
