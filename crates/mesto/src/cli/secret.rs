//! Asking for a password without showing it.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::{Command, Stdio};

use zeroize::Zeroizing;

use super::failure::Failure;

/// A password: the first line of standard input if asked to, else what somebody types.
pub(super) fn password(from_stdin: bool, prompt: &str) -> Result<Zeroizing<String>, Failure> {
    if !from_stdin && !io::stdin().is_terminal() {
        return Err(Failure::usage("there is no terminal to type a password on: give it with --password-stdin"));
    }
    let _quiet = (!from_stdin).then(|| {
        eprint!("{prompt}: ");
        let _ = io::stderr().flush(); // a prompt that cannot be shown changes nothing
        Quiet::begin()
    });
    let mut line = Zeroizing::new(String::new());
    let read = io::stdin().lock().read_line(&mut line);
    read.map_err(|error| Failure::usage(format!("no password could be read: {error}")))?;
    Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// A terminal that does not show what is typed, until this is dropped.
struct Quiet;

impl Quiet {
    fn begin() -> Self {
        stty("-echo");
        Self
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        stty("echo");
        eprintln!();
    }
}

/// Where there is no such program the password is seen as it is typed.
fn stty(setting: &str) {
    let _ = Command::new("stty").arg(setting).stdin(Stdio::inherit()).stderr(Stdio::null()).status();
}
