//! The tests of the JavaScript client, by Node.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::workspace::{Workspace, run as run_command};

/// The oldest version of Node that the client is for.
const NODE_MIN: u32 = 20;

/// Runs them against the program and the sample app, which have been built. Where Node cannot be had they are skipped, and
/// that is said.
pub(crate) fn test(workspace: &Workspace, mesto: &Path) -> Result<()> {
    if let Err(why) = set_up() {
        eprintln!("xtask: SKIPPED: the tests of clients/js need Node {NODE_MIN} or later, and {why}");
        return Ok(());
    }
    let client = workspace.root().join("clients/js");
    let mut test = Command::new("node");
    test.arg("--test").args(["test/client.test.js", "test/messages.test.js"]).current_dir(&client);
    test.env("MESTO_PROGRAM", mesto).env("MESTO_KV", workspace.target().join("apps/kv.mpk"));
    run_command(&mut test)
}

/// Makes sure that Node is there; asks Debian's packages for it where that is possible.
fn set_up() -> Result<(), String> {
    let before = version();
    if before.is_some_and(|version| version >= NODE_MIN) {
        return Ok(());
    }
    let found = before.map_or_else(|| "none is here".to_owned(), |version| format!("version {version} is here"));
    if !may_install() {
        return Err(format!("{found}; install it, for instance with your system's packages"));
    }
    eprintln!("xtask: installing Node with apt-get");
    let mut install = Command::new("apt-get");
    install.args(["install", "--yes", "--no-install-recommends", "nodejs"]).env("DEBIAN_FRONTEND", "noninteractive");
    let installed = install.stdin(Stdio::null()).stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    match version() {
        Some(version) if version >= NODE_MIN => Ok(()),
        Some(version) => Err(format!("apt-get has version {version}")),
        None if installed => Err("it does not run after it was installed".to_owned()),
        None => Err(format!("{found}, and apt-get could not install it")),
    }
}

/// Only root changes what is installed, and only where apt does that.
fn may_install() -> bool {
    let said = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    said("id", "-u").as_deref() == Some("0") && said("apt-get", "--version").is_some()
}

/// The major version of Node, if it runs.
fn version() -> Option<u32> {
    let output = Command::new("node").arg("--version").stdin(Stdio::null()).output().ok()?;
    major(&String::from_utf8_lossy(&output.stdout))
}

fn major(text: &str) -> Option<u32> {
    text.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_as_node_writes_it() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        for other in ["", "20.1.0", "v", "vx.1"] {
            assert_eq!(major(other), None, "{other}");
        }
    }
}
