//! std for the guests' target, compiled once from the compiler's own sources.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::TARGET;
use crate::command::{CommandError, query, run, unconfigured};

/// Why std could not be compiled for the target.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SysrootError {
    /// There is no home directory for the result.
    #[error("no place for the compiled std: set HOME or XDG_CACHE_HOME")]
    NoCacheDirectory,
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The compiler failed.
    #[error("compiling std for {TARGET} failed: {0}")]
    Compiler(#[from] CommandError),
    /// The compiler produced no library.
    #[error("compiling std for {TARGET} left no libraries in {0}")]
    Empty(PathBuf),
}

/// Whether the compiler comes with the sources of std.
pub(crate) fn has_sources(rustc: &Path) -> bool {
    let sysroot = query(unconfigured(rustc).args(["--print", "sysroot"]));
    sysroot.is_ok_and(|sysroot| Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file())
}

/// The sysroot made earlier for exactly this compiler.
pub(crate) fn built(rustc: &Path) -> Option<PathBuf> {
    let sysroot = place(rustc).ok()?;
    libraries(&sysroot).is_dir().then_some(sysroot)
}

/// The sysroot for exactly this compiler, made if it is not there. Two processes that ask at once make it once.
pub(crate) fn build(cargo: &Path, rustc: &Path) -> Result<PathBuf, SysrootError> {
    let sysroot = place(rustc)?;
    let parent = sysroot.parent().ok_or(SysrootError::NoCacheDirectory)?;
    fs::create_dir_all(parent).map_err(at(parent))?;
    let lock = sysroot.with_extension("lock");
    let locked = File::create(&lock).map_err(at(&lock))?;
    locked.lock().map_err(at(&lock))?;
    if !libraries(&sysroot).is_dir() {
        eprintln!("guests: compiling std for {TARGET}, once, into {} (a minute or two)", sysroot.display());
        compile(cargo, rustc, &sysroot)?;
    }
    Ok(sysroot)
}

/// A crate without content whose dependencies are std: the only way to have std compiled is to need it.
fn compile(cargo: &Path, rustc: &Path, sysroot: &Path) -> Result<(), SysrootError> {
    let work = sysroot.with_extension("build");
    clear(&work)?;
    let source = work.join("src");
    fs::create_dir_all(&source).map_err(at(&source))?;
    write(&source.join("lib.rs"), "#![no_std]\n")?;
    write(&work.join("Cargo.toml"), MANIFEST)?;
    let target = work.join("target");
    run(unconfigured(cargo)
        .current_dir(&work)
        .args(["build", "--release", "--target", TARGET, "-Zbuild-std=std,panic_abort"])
        // The flag of nightly compilers on a stable one: what is compiled is the compiler's own std.
        .env("RUSTC_BOOTSTRAP", "1")
        // Guests link with LTO, which needs the bitcode.
        .env("RUSTFLAGS", "-Cembed-bitcode=yes")
        .env("RUSTC", rustc)
        .env("CARGO_TARGET_DIR", &target))?;

    let ready = work.join("ready");
    let into = libraries(&ready);
    fs::create_dir_all(&into).map_err(at(&into))?;
    let from = target.join(TARGET).join("release/deps");
    let mut copied = 0;
    for file in fs::read_dir(&from).map_err(at(&from))? {
        let file = file.map_err(at(&from))?;
        let name = file.file_name().to_string_lossy().into_owned();
        if name.ends_with(".rlib") && !name.starts_with("libsysroot_stub-") {
            fs::copy(file.path(), into.join(&name)).map_err(at(&file.path()))?;
            copied += 1;
        }
    }
    if copied == 0 {
        return Err(SysrootError::Empty(from));
    }
    // Renamed into place when complete, so that an interrupted run is not taken for a finished one.
    clear(sysroot)?;
    fs::rename(&ready, sysroot).map_err(at(sysroot))?;
    clear(&work)
}

const MANIFEST: &str = r#"[package]
name = "sysroot-stub"
version = "0.0.0"
edition = "2021"

[profile.release]
panic = "abort"
debug = false

[workspace]
"#;

/// The libraries match one exact compiler only, so its full description names their place.
fn place(rustc: &Path) -> Result<PathBuf, SysrootError> {
    let version = query(unconfigured(rustc).arg("-vV"))?;
    Ok(cache_directory()?.join("mesto/wasm-sysroot").join(fnv1a(version.as_bytes())))
}

fn cache_directory() -> Result<PathBuf, SysrootError> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("XDG_CACHE_HOME")
        .or_else(|| named("HOME").map(|home| home.join(".cache")))
        .or_else(|| named("LOCALAPPDATA"))
        .ok_or(SysrootError::NoCacheDirectory)
}

fn libraries(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib").join(TARGET).join("lib")
}

fn clear(directory: &Path) -> Result<(), SysrootError> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(directory)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn write(path: &Path, text: &str) -> Result<(), SysrootError> {
    fs::write(path, text).map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> SysrootError {
    let path = path.to_owned();
    move |source| SysrootError::File { path, source }
}

/// The FNV-1a hash, 64 bits, in hex: it only tells compilers apart, so it need not resist anybody.
fn fnv1a(bytes: &[u8]) -> String {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_compilers_have_different_places() {
        assert_eq!(fnv1a(b""), "cbf29ce484222325");
        assert_eq!(fnv1a(b"a"), "af63dc4c8601ec8c");
        assert_ne!(fnv1a(b"rustc 1.95.0"), fnv1a(b"rustc 1.96.0"));
    }
}
