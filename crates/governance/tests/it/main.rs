//! Tests of the fold through its public face.
#![allow(clippy::unwrap_used, missing_docs)]

mod above;
mod attacks;
mod contexts;
mod cuts;
mod endings;
mod epochs;
mod forest;
mod golden;
mod histories;
mod invitations;
mod levels;
mod ownership;
mod places;
mod reference;
mod rules;
mod subgroup_epochs;
mod subgroups;
mod tree_levels;
mod tree_reference;
mod trees;
mod verdicts;
mod world;
