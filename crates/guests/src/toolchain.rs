//! Which compiler builds guests.

use std::path::{Path, PathBuf};

use crate::TARGET;
use crate::command::{CommandError, query, run, unconfigured};
use crate::sysroot::{self, SysrootError};

/// Debian's compilers that come with the sources of std, and the linker.
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld"];

/// A compiler that can build for the guests' target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestToolchain {
    /// The `cargo` to call.
    pub cargo: PathBuf,
    /// The `rustc` that it shall use.
    pub rustc: PathBuf,
    /// Where the target's std is, if not in the compiler's own sysroot.
    pub sysroot: Option<PathBuf>,
    /// The linker, if the compiler brings none.
    pub linker: Option<PathBuf>,
}

/// Why there is no compiler for guests.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolchainError {
    /// Nothing can build for the target, and nothing could be set up.
    #[error(
        "no Rust compiler here can build for {TARGET}. With rustup: `rustup target add {TARGET}`. \
         On Debian: `apt-get install {}`.{tried}",
        DEBIAN_PACKAGES.join(" ")
    )]
    NotFound {
        /// What was tried, on lines of its own.
        tried: String,
    },
    /// The compiler is here but nothing that links WebAssembly.
    #[error("no linker for WebAssembly: install `lld`, or a Rust toolchain through rustup, which brings `rust-lld`")]
    NoLinker,
    /// Compiling std for the target failed.
    #[error(transparent)]
    Sysroot(#[from] SysrootError),
}

/// A compiler for guests, set up if need be: installs the target through rustup, or Debian's packages (as root), or
/// compiles std, whichever comes first. Quick if it has nothing to do.
///
/// # Errors
/// See [`ToolchainError`]; the text says what to install.
pub fn ensure_toolchain() -> Result<GuestToolchain, ToolchainError> {
    if let Some(found) = find_toolchain() {
        return Ok(found);
    }
    let mut tried = String::new();
    let mut note = |error: CommandError| {
        tried.push_str("\n  tried: ");
        tried.push_str(&error.to_string());
    };
    if on_path("rustup") {
        eprintln!("guests: adding the target {TARGET} through rustup");
        match query(unconfigured("rustup").args(["target", "add", TARGET])) {
            Ok(_) => {
                if let Some(found) = find_toolchain() {
                    return Ok(found);
                }
            }
            Err(error) => note(error),
        }
    }
    if let Some(compiler) = compilers().find(|compiler| sysroot::has_sources(&compiler.rustc)) {
        return with_own_std(&compiler);
    }
    if on_path("apt-get") {
        eprintln!("guests: installing {} through apt-get", DEBIAN_PACKAGES.join(" "));
        // A fresh machine has no list of packages, or an old one that names versions which are gone.
        if let Err(error) = run(unconfigured("apt-get").args(["update", "--quiet=2"])) {
            note(error);
        }
        let installed =
            run(unconfigured("apt-get").args(["install", "--yes", "--no-install-recommends"]).args(DEBIAN_PACKAGES));
        if let Err(error) = installed {
            note(error);
        }
    }
    match compilers().find(|compiler| sysroot::has_sources(&compiler.rustc)) {
        Some(compiler) => with_own_std(&compiler),
        None => Err(ToolchainError::NotFound { tried }),
    }
}

/// A compiler for guests that is ready, without setting anything up.
#[must_use]
pub fn find_toolchain() -> Option<GuestToolchain> {
    compilers().find_map(|compiler| {
        let linker = linker().ok()?;
        if has_target(&compiler.rustc) {
            let Compiler { cargo, rustc } = compiler;
            return Some(GuestToolchain { cargo, rustc, sysroot: None, linker });
        }
        let sysroot = sysroot::built(&compiler.rustc)?;
        let Compiler { cargo, rustc } = compiler;
        Some(GuestToolchain { cargo, rustc, sysroot: Some(sysroot), linker })
    })
}

struct Compiler {
    cargo: PathBuf,
    rustc: PathBuf,
}

/// The compiler in use first, then the distribution's.
fn compilers() -> impl Iterator<Item = Compiler> {
    let used = Compiler { cargo: "cargo".into(), rustc: "rustc".into() };
    let distribution = Compiler { cargo: "/usr/bin/cargo".into(), rustc: "/usr/bin/rustc".into() };
    [used, distribution].into_iter().filter(|compiler| on_path(&compiler.rustc) && on_path(&compiler.cargo))
}

fn with_own_std(compiler: &Compiler) -> Result<GuestToolchain, ToolchainError> {
    let linker = linker()?;
    let sysroot = sysroot::build(&compiler.cargo, &compiler.rustc)?;
    let (cargo, rustc) = (compiler.cargo.clone(), compiler.rustc.clone());
    Ok(GuestToolchain { cargo, rustc, sysroot: Some(sysroot), linker })
}

fn has_target(rustc: &Path) -> bool {
    let directory = query(unconfigured(rustc).args(["--print", "target-libdir", "--target", TARGET]));
    let files = directory.ok().and_then(|directory| std::fs::read_dir(directory.trim()).ok());
    files.is_some_and(|mut files| {
        files.any(|file| file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with("libcore-")))
    })
}

/// The linker to name to the compiler: rustup's, which is as new as the compiler, else a distribution's.
fn linker() -> Result<Option<PathBuf>, ToolchainError> {
    let bundled = query(unconfigured("rustc").args(["--print", "sysroot"])).ok().and_then(|sysroot| {
        let hosts = std::fs::read_dir(Path::new(sysroot.trim()).join("lib/rustlib")).ok()?;
        hosts
            .filter_map(Result::ok)
            .map(|host| host.path().join("bin").join(format!("rust-lld{}", std::env::consts::EXE_SUFFIX)))
            .find(|lld| lld.is_file())
    });
    let found = bundled.or_else(|| ["rust-lld", "wasm-ld"].into_iter().find(|name| on_path(name)).map(PathBuf::from));
    found.map(Some).ok_or(ToolchainError::NoLinker)
}

/// Whether `program` is a file, or a name that the search path has.
fn on_path(program: impl AsRef<Path>) -> bool {
    let program = program.as_ref();
    if program.components().count() > 1 {
        return program.is_file();
    }
    let file = format!("{}{}", program.display(), std::env::consts::EXE_SUFFIX);
    let Some(path) = std::env::var_os("PATH") else { return false };
    std::env::split_paths(&path).any(|directory| directory.join(&file).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_compiler_is_reported_with_what_to_install() {
        let text = ToolchainError::NotFound { tried: String::new() }.to_string();
        assert!(text.contains("rustup target add wasm32-unknown-unknown"), "{text}");
        assert!(text.contains("rust-web-src"), "{text}");
    }

    #[test]
    fn a_ready_toolchain_is_found_again_without_setting_anything_up() {
        assert_eq!(find_toolchain(), find_toolchain());
    }
}
