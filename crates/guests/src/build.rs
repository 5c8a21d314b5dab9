//! Compiling one app's crate to a core WebAssembly module.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::TARGET;
use crate::command::{CommandError, query, run, unconfigured};
use crate::toolchain::GuestToolchain;

/// Why an app could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no crate.
    #[error("{0} has no Cargo.toml: name the folder of an app's crate")]
    NoCrate(PathBuf),
    /// cargo or rustc failed; what they said went to standard error.
    #[error(transparent)]
    Cargo(#[from] CommandError),
    /// cargo's description of the crate is not what we know.
    #[error("cannot read what cargo says about {0}")]
    Metadata(PathBuf),
    /// The crate is not a guest.
    #[error("{0} makes no WebAssembly module: its Cargo.toml needs `[lib] crate-type = [\"cdylib\", \"rlib\"]`")]
    NoModule(PathBuf),
    /// The module cannot be read.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Compiles the crate in `app` to a core module and returns its bytes. It goes to `guests/` in the target folder of
/// the app's workspace, apart from other builds, so that the two never invalidate each other.
///
/// # Errors
/// See [`BuildError`].
pub fn build(toolchain: &GuestToolchain, app: &Path) -> Result<Vec<u8>, BuildError> {
    let manifest = app.join("Cargo.toml");
    if !manifest.is_file() {
        return Err(BuildError::NoCrate(app.to_owned()));
    }
    let manifest = manifest.canonicalize().map_err(|source| BuildError::File { path: manifest, source })?;
    let folders = folders(toolchain, &manifest)?;
    let messages = run(cargo(toolchain)
        .args(["build", "--release", "--lib", "--quiet", "--target", TARGET])
        .args(["--message-format", "json-render-diagnostics"])
        .arg("--manifest-path")
        .arg(&manifest)
        .env("CARGO_ENCODED_RUSTFLAGS", rustc_flags(toolchain, &folders).join("\u{1f}"))
        .env("CARGO_TARGET_DIR", folders.target.join("guests"))
        .envs(PROFILE))?;
    let path = module_in(&messages, &manifest).ok_or_else(|| BuildError::NoModule(app.to_owned()))?;
    fs::read(&path).map_err(|source| BuildError::File { path, source })
}

/// The release profile of guests, whatever the workspace's own is: one small module, in which a panic is a trap.
const PROFILE: [(&str, &str); 7] = [
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
    ("CARGO_PROFILE_RELEASE_INCREMENTAL", "false"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_STRIP", "true"),
];

struct Folders {
    workspace: PathBuf,
    target: PathBuf,
}

fn folders(toolchain: &GuestToolchain, manifest: &Path) -> Result<Folders, BuildError> {
    let said = query(
        cargo(toolchain).args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]).arg(manifest),
    )?;
    let said: Option<Value> = serde_json::from_str(&said).ok();
    let folder = |name| Some(PathBuf::from(said.as_ref()?.get(name)?.as_str()?));
    match (folder("workspace_root"), folder("target_directory")) {
        (Some(workspace), Some(target)) => Ok(Folders { workspace, target }),
        _ => Err(BuildError::Metadata(manifest.to_owned())),
    }
}

fn rustc_flags(toolchain: &GuestToolchain, folders: &Folders) -> Vec<String> {
    let mut flags = Vec::new();
    if let Some(sysroot) = &toolchain.sysroot {
        flags.push("--sysroot".to_owned());
        flags.push(sysroot.display().to_string());
    }
    // Panic messages name source files. Without the folders of this machine, the same sources give the same
    // module everywhere, and the module tells nothing about who built it.
    for (folder, name) in [(registry(), "/cargo"), (Some(folders.workspace.clone()), "/app")] {
        if let Some(folder) = folder {
            flags.push(format!("--remap-path-prefix={}={name}", folder.display()));
        }
    }
    flags
}

fn registry() -> Option<PathBuf> {
    let home = |name| std::env::var_os(name).map(PathBuf::from);
    home("CARGO_HOME").or_else(|| home("HOME").map(|home| home.join(".cargo")))
}

fn cargo(toolchain: &GuestToolchain) -> std::process::Command {
    let mut cargo = unconfigured(&toolchain.cargo);
    cargo.env("RUSTC", &toolchain.rustc);
    if let Some(linker) = &toolchain.linker {
        cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
    }
    cargo
}

/// The module among the artifacts that cargo lists, one JSON object a line.
fn module_in(messages: &str, manifest: &Path) -> Option<PathBuf> {
    messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|message| {
        if message.get("reason")?.as_str()? != "compiler-artifact"
            || Path::new(message.get("manifest_path")?.as_str()?) != manifest
        {
            return None;
        }
        let files = message.get("filenames")?.as_array()?;
        files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm")).map(PathBuf::from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_that_of_the_asked_crate() {
        let line = |manifest: &str, file: &str| {
            format!(r#"{{"reason":"compiler-artifact","manifest_path":"{manifest}","filenames":["{file}"]}}"#)
        };
        let messages = [line("/b/Cargo.toml", "/t/b.wasm"), line("/a/Cargo.toml", "/t/a.wasm")].join("\n");
        assert_eq!(module_in(&messages, Path::new("/a/Cargo.toml")), Some("/t/a.wasm".into()));
        assert_eq!(module_in(&messages, Path::new("/c/Cargo.toml")), None);
        assert_eq!(module_in(&line("/a/Cargo.toml", "/t/liba.rlib"), Path::new("/a/Cargo.toml")), None);
    }

    #[test]
    fn a_folder_without_a_crate_is_refused_by_name() {
        let toolchain = GuestToolchain { cargo: "cargo".into(), rustc: "rustc".into(), sysroot: None, linker: None };
        let error = build(&toolchain, Path::new("/nonexistent")).expect_err("no crate there");
        assert!(error.to_string().contains("/nonexistent"), "{error}");
    }
}
