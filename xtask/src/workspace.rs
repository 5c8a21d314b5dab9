//! Where things are, what the workspace holds, and how to run `cargo` on it.
//!
//! What `cargo metadata` says is read as plain JSON: a crate for it would turn on features of shared dependencies, and
//! then `cargo test --package X` and `cargo test --workspace` would each compile them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;

/// The workspace as `cargo metadata` describes it.
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
    packages: Vec<Package>,
}

/// A package of the workspace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its Cargo.toml, relative to the root.
    pub(crate) manifest: PathBuf,
    /// Names of the packages that it depends on, tests aside.
    pub(crate) dependencies: Vec<String>,
    /// Kind and name of what it builds: (`bin`, `mesto`).
    pub(crate) targets: Vec<(String, String)>,
}

impl Workspace {
    /// Finds the workspace that this program belongs to. `CARGO_TARGET_DIR` and cargo's configuration are honoured.
    pub(crate) fn find() -> Result<Self> {
        // Cargo tells where it runs us from. What was true when this was compiled may be another checkout, if several
        // share a target folder.
        let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let manifest = Path::new(&here).join("Cargo.toml");
        let mut query = Command::new(cargo());
        query.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]).arg(&manifest);
        let output = query.output().context("cannot run `cargo metadata`")?;
        if !output.status.success() {
            bail!("`cargo metadata` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let metadata: Value = serde_json::from_slice(&output.stdout).context("`cargo metadata` gave no JSON")?;
        Self::of(&metadata).ok_or_else(|| anyhow!("`cargo metadata` gave JSON of another shape"))
    }

    fn of(metadata: &Value) -> Option<Self> {
        let root = PathBuf::from(metadata.get("workspace_root")?.as_str()?);
        let target = PathBuf::from(metadata.get("target_directory")?.as_str()?);
        let packages = metadata.get("packages")?.as_array()?;
        let packages = packages.iter().map(|package| Package::of(package, &root)).collect::<Option<_>>()?;
        Some(Self { root, target, packages })
    }

    /// The folder of the root Cargo.toml.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo puts what it builds.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The packages.
    pub(crate) fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// Whether `package` builds a target of this kind and name.
    pub(crate) fn has_target(&self, package: &str, kind: &str, name: &str) -> bool {
        let mut packages = self.packages.iter().filter(|found| found.name == package);
        packages.any(|package| package.targets.iter().any(|target| target.0 == kind && target.1 == name))
    }

    /// `cargo` with these arguments, to be run in the root. Package settings that `cargo run` gave this program
    /// would make cargo rebuild what depends on them, so they are taken away.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(cargo());
        command.current_dir(self.root()).args(arguments);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") || text == "CARGO_PRIMARY_PACKAGE"
            {
                command.env_remove(&name);
            }
        }
        command
    }
}

impl Package {
    fn of(package: &Value, root: &Path) -> Option<Self> {
        let text = |value: &Value, key: &str| Some(value.get(key)?.as_str()?.to_owned());
        let manifest = PathBuf::from(text(package, "manifest_path")?);
        let used = package.get("dependencies")?.as_array()?.iter();
        let used = used.filter(|used| used.get("kind").and_then(Value::as_str) != Some("dev"));
        let targets = package.get("targets")?.as_array()?.iter();
        Some(Self {
            name: text(package, "name")?,
            manifest: manifest.strip_prefix(root).unwrap_or(&manifest).to_owned(),
            dependencies: used.map(|used| text(used, "name")).collect::<Option<_>>()?,
            targets: targets
                .map(|target| Some((target.get("kind")?.get(0)?.as_str()?.to_owned(), text(target, "name")?)))
                .collect::<Option<_>>()?,
        })
    }
}

/// The cargo that runs this program, if one does.
fn cargo() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Runs a command whose output goes to the terminal; says it first.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    eprintln!("xtask: {shown}");
    let status = command.status().with_context(|| format!("cannot run `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status}); what it said is above");
    }
    Ok(())
}

/// A path as the terminal shows it best: relative to the current folder if it is below it.
pub(crate) fn short(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).to_owned()
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_is_understood() {
        let workspace = Workspace::find().unwrap();
        assert!(workspace.root().join("Cargo.toml").is_file());
        assert!(workspace.has_target("xtask", "bin", "xtask"));
        let ours = workspace.packages().iter().find(|package| package.name == "xtask").unwrap();
        assert_eq!(ours.manifest, Path::new("xtask/Cargo.toml"));
        assert!(ours.dependencies.contains(&"mesto-guests".to_owned()));
    }
}
