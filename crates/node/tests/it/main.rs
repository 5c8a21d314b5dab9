//! Nodes together: what only shows where several of them meet.

mod clocks;
mod keys;
mod leaving;
mod tree;
mod world;
