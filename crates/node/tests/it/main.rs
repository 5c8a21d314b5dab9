//! Nodes together: what only shows where several of them meet.

mod clocks;
mod judging;
mod keys;
mod leaving;
mod returning;
mod tree;
mod world;
