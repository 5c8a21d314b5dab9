//! `cargo xtask apps`: the sample apps as signed bundles.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::build::{self, Profile};
use crate::workspace::{Workspace, run as run_command, short};

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let apps = apps(workspace)?;
    let chosen: Vec<&PathBuf> = match arguments {
        [] => apps.iter().collect(),
        names => names.iter().map(|name| named(&apps, name)).collect::<Result<_>>()?,
    };
    let mesto = build::mesto(workspace, Profile::Dev)?;
    for app in chosen {
        println!("{}", short(&bundle(workspace, &mesto, app)?).display());
    }
    Ok(())
}

/// Builds one sample app by its name and tells where the bundle is.
pub(crate) fn build(workspace: &Workspace, mesto: &Path, name: &str) -> Result<PathBuf> {
    bundle(workspace, mesto, named(&apps(workspace)?, name)?)
}

/// Builds all sample apps.
pub(crate) fn build_all(workspace: &Workspace, mesto: &Path) -> Result<()> {
    for app in apps(workspace)? {
        bundle(workspace, mesto, &app)?;
    }
    Ok(())
}

/// Makes sure that apps can be compiled to WebAssembly on this machine.
pub(crate) fn set_up() -> Result<()> {
    let toolchain = mesto_guests::ensure_toolchain().context("apps cannot be compiled on this machine")?;
    eprintln!("xtask: apps are compiled by {}", toolchain.rustc.display());
    Ok(())
}

fn bundle(workspace: &Workspace, mesto: &Path, app: &Path) -> Result<PathBuf> {
    let name = app.file_name().unwrap_or_default().to_string_lossy();
    let folder = workspace.target().join("apps");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let key = signer(mesto, &folder)?;
    let path = folder.join(format!("{name}.mpk"));
    let mut build = Command::new(mesto);
    build.args(["--quiet", "app", "build"]).arg(app).arg("-o").arg(&path).arg("--key").arg(&key);
    run_command(build.stdout(Stdio::null()))?;
    Ok(path)
}

/// The key that signs the sample apps: made once for each machine, so that rebuilt apps keep their id.
fn signer(mesto: &Path, folder: &Path) -> Result<PathBuf> {
    let key = folder.join("dev-signer.pem");
    if !key.exists() {
        let mut generate = Command::new(mesto);
        generate.args(["--quiet", "key", "generate", "-o"]).arg(&key);
        run_command(generate.stdout(Stdio::null()))?;
    }
    Ok(key)
}

/// The folders of the sample apps, in order of their names.
fn apps(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let folder = workspace.root().join("apps");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut apps: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.join("Cargo.toml").is_file()).collect();
    apps.sort();
    Ok(apps)
}

fn named<'a>(apps: &'a [PathBuf], name: &str) -> Result<&'a PathBuf> {
    let names = || apps.iter().filter_map(|app| app.file_name()?.to_str()).collect::<Vec<_>>().join(", ");
    match apps.iter().find(|app| app.file_name().is_some_and(|file| file == name)) {
        Some(app) => Ok(app),
        None => bail!("there is no sample app `{name}`; there are: {}", names()),
    }
}
