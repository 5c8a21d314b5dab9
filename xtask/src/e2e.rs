//! `cargo xtask e2e`: the tests that drive the real program from outside.

use anyhow::{Result, bail};

use crate::build::{self, Profile};
use crate::workspace::{Workspace, run as run_command};
use crate::{apps, javascript};

/// The integration tests of the program are one binary of this name.
const TESTS: &str = "it";

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    if !workspace.has_target("mesto", "test", TESTS) {
        bail!("the package mesto has no tests/{TESTS}.rs");
    }
    apps::set_up()?;
    javascript::set_up_browser();
    let mesto = build::mesto(workspace, Profile::Dev)?;
    apps::build_all(workspace, &mesto)?;
    let mut cargo = vec!["test", "--package", "mesto", "--test", TESTS, "--"];
    cargo.extend(arguments.iter().map(String::as_str));
    run_command(&mut workspace.cargo(&cargo))
}
