//! The program.

use std::process::ExitCode;

fn main() -> ExitCode {
    mesto::cli::main(std::env::args_os().collect())
}
