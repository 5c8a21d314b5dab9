//! Mesto: the node and the tool to talk to it, in one program.
//!
//! `cli` reads the command line; `run` there puts a node together from `home` (its folder), `driver` (the pure
//! node with threads around it, on `disk`, `net` and `blobs`) and `http` (its interface).

mod blobs;
mod cli;
mod disk;
mod driver;
mod home;
mod http;
mod net;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main(std::env::args_os().collect())
}
