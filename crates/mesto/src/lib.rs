//! Mesto: the node and the tool to talk to it, in one program.
//!
//! [`cli`] reads the command line; `run` there puts a node together from [`home`] (its folder), [`driver`] (the
//! pure node with threads around it, on [`disk`], [`mesto_net`] and [`blobs`]) and [`http`] (its interface).

pub mod blobs;
pub mod cli;
pub mod disk;
pub mod driver;
pub mod home;
pub mod http;
