//! `cargo xtask sim`: whole networks in one process, decided by a seed.

use anyhow::{Result, bail};

use crate::workspace::{Workspace, run as run_command};

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    if !workspace.has_target("mesto-sim", "bin", "mesto-sim") {
        bail!("the package mesto-sim has no program: `cargo test --package mesto-sim` runs its seeds");
    }
    let mut cargo = vec!["run", "--package", "mesto-sim", "--"];
    cargo.extend(arguments.iter().map(String::as_str));
    run_command(&mut workspace.cargo(&cargo))
}
