//! The program.

use std::process::ExitCode;

/// A call makes and drops some hundred small values on one thread and drops many of them on another, which the
/// system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    mesto::cli::main(std::env::args_os().collect())
}
