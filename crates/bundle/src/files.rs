//! The one place of this crate that touches a disk: key files, folders of apps, `.mpk` files.

use crate::archive::{self, ArchiveError, Limits, MANIFEST_PATH};
use crate::bundle::{Bundle, BundleError, pack_signed};
use crate::inspect::{Inspection, inspect};
use crate::key::{KeyError, PEM_BYTES_MAX, SignerKey};
use crate::manifest::{MANIFEST_BYTES_MAX, Manifest, ManifestError, SignError, Template};
use crate::path::{PathError, check_path};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroizing;

/// The folder of an app's pages; all of it goes into the bundle.
const WEB_FOLDER: &str = "web";

/// Why a command on files of bundles failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FilesError {
    /// The system refused to read or write.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key would be written over a file.
    #[error("{} exists already, and a key that is overwritten is lost for good; choose another name", path.display())]
    KeyExists {
        /// The file.
        path: PathBuf,
    },
    /// The key file does not hold a key that can sign.
    #[error("{}: {source}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: KeyError,
    },
    /// A file to be packed is a link, a device, or below a link, so that its content could come from anywhere.
    #[error("{} is not a plain file in a plain folder; bundles hold plain files only", path.display())]
    NotPlain {
        /// The file.
        path: PathBuf,
    },
    /// A file to be packed has a name that cannot be in a bundle.
    #[error("{}: the name {rule}", path.display())]
    BadName {
        /// The file.
        path: PathBuf,
        /// The rule that is broken.
        rule: PathError,
    },
    /// The manifest is not well-formed.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The manifest cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The archive breaks a rule or a bound.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The bundle is not valid.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

/// Writes a new key file that only its owner can read (mode 0600), and never over an existing file.
///
/// # Errors
///
/// [`FilesError::KeyExists`], [`FilesError::Key`], [`FilesError::Io`]; after an error no half-written file stays.
pub fn write_key(path: &Path, key: &SignerKey) -> Result<(), FilesError> {
    let pem = key.to_pem().map_err(|source| FilesError::Key { path: path.to_owned(), source })?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|source| {
        if source.kind() == io::ErrorKind::AlreadyExists {
            FilesError::KeyExists { path: path.to_owned() }
        } else {
            at(path)(source)
        }
    })?;
    file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()).map_err(|source| {
        // It is our own file of a moment ago; if even removing it fails, the first error tells more.
        let _ = fs::remove_file(path);
        FilesError::Io { path: path.to_owned(), source }
    })
}

/// Reads a key file.
///
/// # Errors
///
/// [`FilesError::Key`], [`FilesError::Io`].
pub fn read_key(path: &Path) -> Result<SignerKey, FilesError> {
    // Of full size at once: a string that grows leaves copies of the secret behind.
    let mut pem = Zeroizing::new(String::with_capacity(PEM_BYTES_MAX + 1));
    let file = File::open(path).map_err(at(path))?;
    file.take(PEM_BYTES_MAX as u64 + 1).read_to_string(&mut pem).map_err(at(path))?;
    SignerKey::from_pem(&pem).map_err(|source| FilesError::Key { path: path.to_owned(), source })
}

/// Reads and verifies a `.mpk`.
///
/// # Errors
///
/// [`FilesError::Io`], [`FilesError::Archive`], [`FilesError::Bundle`].
pub fn open_bundle(path: &Path) -> Result<Bundle, FilesError> {
    Ok(Bundle::open(&read_mpk(path)?)?)
}

/// Reads a `.mpk` and reports on it; that it is not valid is a report, not an error.
///
/// # Errors
///
/// [`FilesError::Io`] or [`FilesError::Archive`] if it cannot be read or is over the limit.
pub fn inspect_bundle(path: &Path) -> Result<Inspection, FilesError> {
    Ok(inspect(&read_mpk(path)?))
}

/// Signs a `manifest.json` in place. The component, the schema, everything below `web/` and every file
/// that the manifest lists are read from the manifest's folder, and their sizes and hashes brought up to
/// date first; nothing else in the folder is looked at, so that a key that lies there is never packed.
///
/// A manifest that is alone (its component is not there) is signed as it stands, if it is complete.
///
/// # Errors
///
/// [`FilesError`].
pub fn sign_manifest(path: &Path, key: &SignerKey) -> Result<Manifest, FilesError> {
    let mut template = Template::parse(&read_bounded(path, MANIFEST_BYTES_MAX as u64)?)?;
    let folder = folder_of(path);
    if let Some(files) = app_files(folder, &template)? {
        template.describe_files(&files)?;
    }
    let manifest = template.sign(key)?;
    let mut json = serde_json::to_vec_pretty(manifest.as_json()).map_err(ManifestError::NotJson)?;
    json.push(b'\n');
    replace_file(path, &json)?;
    Ok(manifest)
}

/// Packs a folder that holds a signed `manifest.json`: the files that it names, and everything below
/// `web/`. The result is verified as if it came from a stranger.
///
/// # Errors
///
/// [`FilesError`]; a file under `web/` that the manifest does not name is refused, not left out.
pub fn pack_folder(folder: &Path) -> Result<Vec<u8>, FilesError> {
    let json = read_bounded(&folder.join(MANIFEST_PATH), MANIFEST_BYTES_MAX as u64)?;
    let manifest = Manifest::parse(&json)?;
    manifest.verify().map_err(BundleError::from)?;
    let mut reading = Reading::new(folder);
    reading.tree(WEB_FOLDER)?;
    for entry in manifest.all_files() {
        reading.file(&entry.path)?;
    }
    Ok(pack_signed(&manifest, &reading.files)?)
}

/// Reads every file below `folder/prefix`, under the path that it has in a bundle (`prefix/…`). A folder
/// that does not exist is empty.
///
/// # Errors
///
/// [`FilesError::NotPlain`], [`FilesError::BadName`], [`FilesError::Io`], [`FilesError::Archive`] (too much).
pub fn read_tree(folder: &Path, prefix: &str) -> Result<BTreeMap<String, Vec<u8>>, FilesError> {
    let mut reading = Reading::new(folder);
    reading.tree(prefix)?;
    Ok(reading.files)
}

/// Writes a file whole or not at all, over whatever had the name.
///
/// # Errors
///
/// [`FilesError::Io`].
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), FilesError> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    // The process id keeps two commands on one file from writing into each other's half.
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let write = || {
        let mut file = File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().map_err(|source| {
        let _ = fs::remove_file(&part);
        FilesError::Io { path: path.to_owned(), source }
    })
}

/// The files that the bundle of this manifest will hold, or nothing if the component is not there.
fn app_files(folder: &Path, template: &Template) -> Result<Option<BTreeMap<String, Vec<u8>>>, FilesError> {
    let wasm = template.wasm_path()?;
    check_path(wasm.as_bytes()).map_err(|rule| ManifestError::BadPath { field: "wasm.path".to_owned(), rule })?;
    if fs::symlink_metadata(folder.join(wasm)).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(None);
    }
    let mut reading = Reading::new(folder);
    reading.tree(WEB_FOLDER)?;
    for path in template.named_paths()? {
        // A page that is gone is dropped from the list; anything else that is gone is a mistake.
        if !path.starts_with("web/") {
            reading.file(&path)?;
        }
    }
    Ok(Some(reading.files))
}

/// Files that were read from one folder, under the limits of a bundle.
struct Reading<'a> {
    root: &'a Path,
    files: BTreeMap<String, Vec<u8>>,
    bytes_left: u64,
}

impl<'a> Reading<'a> {
    fn new(root: &'a Path) -> Self {
        Reading { root, files: BTreeMap::new(), bytes_left: Limits::DEFAULT.unpacked_bytes_max }
    }

    /// Reads everything below a folder.
    fn tree(&mut self, path: &str) -> Result<(), FilesError> {
        let full = self.root.join(path);
        let metadata = match fs::symlink_metadata(&full) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(at(&full)(error)),
        };
        if !metadata.is_dir() {
            return Err(FilesError::NotPlain { path: full });
        }
        // A list of folders to visit instead of recursion: its depth is bounded by the longest path.
        let mut folders = vec![path.to_owned()];
        while let Some(folder) = folders.pop() {
            let full = self.root.join(&folder);
            for entry in fs::read_dir(&full).map_err(at(&full))? {
                let entry = entry.map_err(at(&full))?;
                let name = entry.file_name();
                let name = name
                    .to_str()
                    .ok_or_else(|| FilesError::BadName { path: entry.path(), rule: PathError::NotUtf8 })?;
                let path = format!("{folder}/{name}");
                check_path(path.as_bytes()).map_err(|rule| FilesError::BadName { path: entry.path(), rule })?;
                if entry.file_type().map_err(at(&entry.path()))?.is_dir() {
                    folders.push(path);
                } else {
                    self.file(&path)?;
                }
            }
        }
        Ok(())
    }

    /// Reads one file, unless it was read before.
    fn file(&mut self, path: &str) -> Result<(), FilesError> {
        if self.files.contains_key(path) {
            return Ok(());
        }
        let full = self.root.join(path);
        check_path(path.as_bytes()).map_err(|rule| FilesError::BadName { path: full.clone(), rule })?;
        self.no_link_on_the_way(path)?;
        if self.files.len() >= Limits::DEFAULT.files_max {
            return Err(ArchiveError::TooManyFiles { max: Limits::DEFAULT.files_max }.into());
        }
        let content = read_bounded(&full, self.bytes_left)?;
        self.bytes_left = self.bytes_left.saturating_sub(content.len() as u64);
        self.files.insert(path.to_owned(), content);
        Ok(())
    }

    /// A manifest may come from somebody else; a link must not let it pick up a file from outside.
    fn no_link_on_the_way(&self, path: &str) -> Result<(), FilesError> {
        let mut full = self.root.to_owned();
        let mut segments = path.split('/').peekable();
        while let Some(segment) = segments.next() {
            full.push(segment);
            let kind = fs::symlink_metadata(&full).map_err(at(&full))?.file_type();
            let plain = if segments.peek().is_some() { kind.is_dir() } else { kind.is_file() };
            if !plain {
                return Err(FilesError::NotPlain { path: full });
            }
        }
        Ok(())
    }
}

fn read_mpk(path: &Path) -> Result<Vec<u8>, FilesError> {
    let file = File::open(path).map_err(at(path))?;
    archive::read_packed(file, &Limits::DEFAULT).map_err(|error| {
        if let ArchiveError::Read(source) = error { at(path)(source) } else { FilesError::Archive(error) }
    })
}

fn read_bounded(path: &Path, max: u64) -> Result<Vec<u8>, FilesError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(at(path))?;
    file.take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(at(path))?;
    if bytes.len() as u64 > max {
        return Err(ArchiveError::UnpackedTooLarge { max }.into());
    }
    Ok(bytes)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> FilesError + '_ {
    move |source| FilesError::Io { path: path.to_owned(), source }
}
