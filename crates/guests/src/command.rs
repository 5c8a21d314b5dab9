//! Running other programs, with errors that show the command.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// A program could not do its part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// It could not be started.
    #[error("cannot run `{command}`: {source}")]
    NotStarted {
        /// The command line.
        command: String,
        /// Why.
        source: std::io::Error,
    },
    /// It ended with a failure.
    #[error("`{command}` failed ({status}){output}")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it said, on lines of its own; empty if that went to the terminal already.
        output: String,
    },
}

/// Runs a command whose standard error goes to ours; its standard output.
pub(crate) fn run(command: &mut Command) -> Result<String, CommandError> {
    finish(command.stderr(Stdio::inherit()))
}

/// Runs a command silently; its standard output. What it said is in the error if it fails.
pub(crate) fn query(command: &mut Command) -> Result<String, CommandError> {
    finish(command.stderr(Stdio::piped()))
}

/// A `cargo` of ours must not inherit what a surrounding `cargo run` or `cargo test` meant for another build.
pub(crate) fn unconfigured(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in [
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_MAKEFLAGS",
        "CARGO_TARGET_DIR",
        "MAKEFLAGS",
        "RUSTC",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTFLAGS",
    ] {
        command.env_remove(name);
    }
    command
}

fn finish(command: &mut Command) -> Result<String, CommandError> {
    let shown = shown(command);
    let output = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .map_err(|source| CommandError::NotStarted { command: shown.clone(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    Err(CommandError::Failed {
        command: shown,
        status: output.status,
        output: if said.is_empty() { String::new() } else { format!(":\n{said}") },
    })
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
