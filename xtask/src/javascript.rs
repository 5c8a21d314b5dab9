//! What JavaScript needs to be tested: the client by Node, pages in a browser.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::workspace::{Workspace, run as run_command};

/// The oldest version of Node that the client is for.
const NODE_MIN: u32 = 20;

/// Where a Chromium is; the browser tests look in the same places.
const BROWSERS: [&str; 3] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

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

/// Makes sure that there is a browser for the tests that need one; asks Debian's packages for it where that is possible.
/// Where it is not, those tests say that they are skipped.
pub(crate) fn set_up_browser() {
    if BROWSERS.iter().any(|path| Path::new(path).exists()) || std::env::var_os("MESTO_BROWSER").is_some() {
        return;
    }
    if !may_install() {
        eprintln!(
            "xtask: there is no Chromium here: tests in browsers will be skipped. Install it, or set MESTO_BROWSER"
        );
        return;
    }
    eprintln!("xtask: installing Chromium with apt-get");
    let mut install = Command::new("apt-get");
    install.args(["install", "--yes", "--no-install-recommends", "chromium", "fonts-dejavu-core"]);
    install.env("DEBIAN_FRONTEND", "noninteractive");
    if !install.stdin(Stdio::null()).stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        eprintln!("xtask: apt-get could not install Chromium: tests in browsers will be skipped");
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
