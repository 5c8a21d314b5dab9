//! Nodes together: what only shows where several of them meet.

mod clocks;
mod keys;
mod tree;
mod world;
