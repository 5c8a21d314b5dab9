//! The folder of compiled code: what was compiled once need not be again, and what is broken is.

use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{Hash as _, Hasher};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::compiled::{self, Verified};

/// Most files in the folder. An app's code is about three times its component, so this is some hundred megabytes.
const FILES_MAX: usize = 128;
/// What the names of finished files end in.
const SUFFIX: &str = "cwasm";

/// A folder of compiled components, named by component, wasmtime's version and the engine's settings.
pub(crate) struct Cache {
    directory: PathBuf,
    /// Of version and settings.
    engine_hash: String,
    /// Tells apart temporary files of one process.
    written: AtomicU64,
}

impl Cache {
    /// Opens the folder, which is made if need be, for its owner alone.
    pub(crate) fn open(directory: &Path, engine: &Engine) -> io::Result<Self> {
        private_directory(directory)?;
        let mut hasher = Blake3(blake3::Hasher::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let engine_hash = format!("{:016x}", hasher.finish());
        Ok(Self { directory: directory.to_owned(), engine_hash, written: AtomicU64::new(0) })
    }

    /// The component `wasm`, if its code is here and intact.
    pub(crate) fn get(&self, engine: &Engine, wasm: &[u8]) -> Option<Component> {
        let path = self.path(wasm);
        let file = fs::read(&path).ok()?;
        let Some(code) = Verified::open(file) else {
            tracing::warn!(path = %path.display(), "cached machine code is damaged; compiling again");
            return None;
        };
        compiled::deserialize(engine, &code)
    }

    /// Keeps the code of the component `wasm`. Without success the next start compiles again, so a failure is
    /// only logged.
    pub(crate) fn put(&self, wasm: &[u8], component: &Component) {
        let path = self.path(wasm);
        if let Err(error) = self.try_put(&path, component) {
            tracing::warn!(%error, path = %path.display(), "compiled code is not kept");
        }
    }

    fn try_put(&self, path: &Path, component: &Component) -> Result<(), wasmtime::Error> {
        let sealed = Verified::seal(&component.serialize()?);
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let temporary = path.with_extension(format!("{}-{number}.tmp", std::process::id()));
        let written = private_file(&temporary).and_then(|mut file| file.write_all(&sealed));
        // Renamed when complete: a reader sees the whole file or none.
        if let Err(error) = written.and_then(|()| fs::rename(&temporary, path)) {
            let _ = fs::remove_file(&temporary);
            return Err(error.into());
        }
        self.bound();
        Ok(())
    }

    /// Removes what was longest unchanged beyond [`FILES_MAX`], unfinished files of dead processes among it.
    fn bound(&self) {
        let Ok(files) = fs::read_dir(&self.directory) else { return };
        let mut files: Vec<_> = files
            .filter_map(Result::ok)
            .filter_map(|file| Some((file.metadata().ok()?.modified().ok()?, file.path())))
            .collect();
        files.sort();
        let excess = files.len().saturating_sub(FILES_MAX);
        for (_, path) in files.into_iter().take(excess) {
            let _ = fs::remove_file(path);
        }
    }

    fn path(&self, wasm: &[u8]) -> PathBuf {
        let component = blake3::hash(wasm).to_hex();
        self.directory.join(format!("{component}-{}.{SUFFIX}", self.engine_hash))
    }
}

/// The standard library's hashing over a hash that does not change between versions.
struct Blake3(blake3::Hasher);

impl Hasher for Blake3 {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = *self.0.finalize().as_bytes();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

#[cfg(unix)]
fn private_directory(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn private_directory(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(directory)
}

#[cfg(unix)]
fn private_file(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private_file(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}
