//! `cargo xtask test`.

use anyhow::Result;

use crate::build::{self, Profile};
use crate::workspace::{Workspace, run as run_command};
use crate::{apps, javascript, tidy};

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    // What is quick to find wrong comes first.
    tidy::run(workspace, &[])?;
    apps::set_up()?;
    javascript::set_up_browser();
    let mesto = build::mesto(workspace, Profile::Dev)?;
    apps::build_all(workspace, &mesto)?;
    let mut cargo = vec!["test", "--workspace"];
    cargo.extend(arguments.iter().map(String::as_str));
    run_command(&mut workspace.cargo(&cargo))?;
    javascript::test(workspace, &mesto)?;
    eprintln!("xtask: all tests passed");
    Ok(())
}
