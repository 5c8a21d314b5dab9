//! `cargo xtask build`.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::workspace::{Workspace, run as run_command, short};

/// How the program is built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Profile {
    /// For work, tests and the demo.
    Dev,
    /// For use and measurements.
    Release,
}

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let profile = match arguments {
        [] => Profile::Dev,
        [one] if one == "--release" => Profile::Release,
        _ => bail!("`cargo xtask build` takes --release or nothing"),
    };
    let program = mesto(workspace, profile)?;
    println!("{}", short(&program).display());
    Ok(())
}

/// Builds the program and tells where it is.
pub(crate) fn mesto(workspace: &Workspace, profile: Profile) -> Result<PathBuf> {
    let (folder, flags): (_, &[&str]) = match profile {
        Profile::Dev => ("debug", &[]),
        Profile::Release => ("release", &["--release"]),
    };
    // The whole workspace is selected, though one program is built, so that the features of the dependencies are
    // those that `cargo test --workspace` takes, and nothing is compiled twice.
    let mut arguments = vec!["build", "--workspace", "--bin", "mesto"];
    arguments.extend(flags);
    run_command(&mut workspace.cargo(&arguments))?;
    Ok(workspace.target().join(folder).join(format!("mesto{}", std::env::consts::EXE_SUFFIX)))
}
