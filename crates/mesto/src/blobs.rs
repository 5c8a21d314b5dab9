//! Blobs on disk: files named by the BLAKE3 hash of their bytes.
//!
//! A blob is written to a temporary file beside its place, hashed on the way, synced, then renamed: what has a name is
//! whole and durable. Temporary files go away with what writes them, and those of a dead process when the store opens.
//! Nothing here holds more than [`CHUNK_BYTES`] of a blob in memory, [`read`](Blobs::read) aside.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    str::FromStr as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mesto_governance::BlobId;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncSeekExt as _};

use crate::home::files;

mod incoming;
mod partial;

pub use incoming::Incoming;
pub use partial::{GAPS_MAX, Partial, PartialError};

/// How many bytes of a blob are read, hashed or written at a time: enough to make the change of threads cheap.
pub const CHUNK_BYTES: usize = 1 << 20;

/// The largest bundle that a node fetches from a peer or reads into memory.
pub const BUNDLE_BYTES_MAX: u64 = 64 << 20;

/// What the name of every temporary file ends with.
const UNFINISHED_SUFFIX: &str = ".part";

/// Why an operation on blobs failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// There is no room within the quota.
    #[error(
        "no room for {needed} more bytes: blobs use {used} of {quota}. Remove some, or raise it by `mesto config set limits.blob_bytes`"
    )]
    QuotaExceeded {
        /// Bytes that did not fit.
        needed: u64,
        /// Bytes in use, by unfinished blobs too.
        used: u64,
        /// The most that may be used.
        quota: u64,
    },
    /// A file's bytes are not those of its name: the disk or somebody changed them.
    #[error("the stored bytes of blob {id} are damaged: remove it by `mesto blob rm {id}` and fetch it again")]
    Damaged {
        /// The blob.
        id: BlobId,
    },
    /// A blob is larger than the caller takes.
    #[error("blob {id} has {len} bytes, more than {max}")]
    TooLarge {
        /// The blob.
        id: BlobId,
        /// Its length.
        len: u64,
        /// The caller's limit.
        max: u64,
    },
    /// The source of a blob failed.
    #[error("the bytes could not be received: {0}")]
    Source(io::Error),
    /// The disk failed, or is full.
    #[error("cannot use {}: {source}", .path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A blob that is here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Stored {
    /// The hash of its bytes.
    pub id: BlobId,
    /// How many there are.
    pub len: u64,
}

/// Whether to read a blob as it is, or to hash it first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Check {
    /// As it is: for bytes that are verified where they are used.
    Nothing,
    /// Hashes all bytes before the first is given out.
    Hash,
}

/// The blobs in a folder. Cheap to clone. Open a folder once in a process.
#[derive(Clone)]
pub struct Blobs {
    folder: Arc<Folder>,
}

struct Folder {
    path: PathBuf,
    quota_bytes: u64,
    /// Of finished and unfinished blobs.
    used_bytes: Mutex<u64>,
}

impl Blobs {
    /// Opens a folder, or makes it, and removes what unfinished blobs left in it.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn open(folder: &Path, quota_bytes: u64) -> Result<Self, BlobError> {
        let io = |source| BlobError::Io { path: folder.to_owned(), source };
        files::make_private_folder(folder).map_err(io)?;
        for entry in fs::read_dir(folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            if entry.file_name().to_string_lossy().ends_with(UNFINISHED_SUFFIX) {
                fs::remove_file(entry.path()).map_err(|source| BlobError::Io { path: entry.path(), source })?;
            }
        }
        let folder = Folder { path: folder.to_owned(), quota_bytes, used_bytes: Mutex::default() };
        let blobs = Self { folder: Arc::new(folder) };
        let used_bytes = blobs.list()?.iter().map(|blob| blob.len).sum();
        *blobs.folder.used() = used_bytes;
        Ok(blobs)
    }

    /// Stores all bytes of `source`.
    ///
    /// # Errors
    /// [`BlobError::Source`], [`BlobError::QuotaExceeded`], [`BlobError::Io`]. On an error, and if the future is
    /// dropped, nothing stays behind.
    pub async fn put(&self, mut source: impl AsyncRead + Unpin) -> Result<Stored, BlobError> {
        let mut incoming = self.incoming()?;
        let mut buffer = vec![0; CHUNK_BYTES / 16];
        loop {
            let read = source.read(&mut buffer).await.map_err(BlobError::Source)?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
                return incoming.finish().await;
            };
            incoming.write(bytes).await?;
        }
    }

    /// Stores bytes that are in memory anyway.
    ///
    /// # Errors
    /// [`BlobError::QuotaExceeded`], [`BlobError::Io`].
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Stored, BlobError> {
        incoming::put_bytes(&self.folder, bytes)
    }

    /// Begins a blob that comes in pieces, in order.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn incoming(&self) -> Result<Incoming, BlobError> {
        Incoming::begin(&self.folder)
    }

    /// Begins a blob whose hash and length are said to be known, and whose pieces come in any order. The caller
    /// bounds `len`, since a peer claims it.
    ///
    /// # Errors
    /// [`BlobError::QuotaExceeded`] if it cannot fit, [`BlobError::Io`].
    pub fn partial(&self, id: BlobId, len: u64) -> Result<Partial, BlobError> {
        Partial::begin(&self.folder, id, len)
    }

    /// The length of a blob, if it is here.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn len(&self, id: BlobId) -> Result<Option<u64>, BlobError> {
        let path = self.folder.file(id);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(BlobError::Io { path, source }),
        }
    }

    /// Opens a blob for reading; `None` if it is not here.
    ///
    /// # Errors
    /// [`BlobError::Io`]; [`BlobError::Damaged`] under [`Check::Hash`].
    pub async fn get(&self, id: BlobId, check: Check) -> Result<Option<Reader>, BlobError> {
        let folder = Arc::clone(&self.folder);
        let file = in_background(move || {
            let Some((file, len)) = folder.open_file(id)? else { return Ok(None) };
            match check {
                Check::Nothing => (),
                Check::Hash => folder.check(id, &file)?,
            }
            Ok(Some((file, len)))
        })
        .await?;
        Ok(file.map(|(file, len)| Reader { file: tokio::fs::File::from_std(file), len, path: self.folder.file(id) }))
    }

    /// All bytes of a blob of at most `bytes_max`, verified; `None` if it is not here.
    ///
    /// # Errors
    /// [`BlobError::TooLarge`], [`BlobError::Damaged`], [`BlobError::Io`].
    pub fn read(&self, id: BlobId, bytes_max: u64) -> Result<Option<Vec<u8>>, BlobError> {
        let Some((file, len)) = self.folder.open_file(id)? else { return Ok(None) };
        if len > bytes_max {
            return Err(BlobError::TooLarge { id, len, max: bytes_max });
        }
        let mut bytes = Vec::new();
        file.take(bytes_max).read_to_end(&mut bytes).map_err(self.folder.io(id))?;
        if BlobId::of_bytes(&bytes) == id { Ok(Some(bytes)) } else { Err(BlobError::Damaged { id }) }
    }

    /// Up to `len` and [`CHUNK_BYTES`] bytes from `offset` on, unverified: what a peer asks for, which verifies the
    /// whole. Fewer at the end, none beyond; `None` if the blob is not here.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn read_chunk(&self, id: BlobId, offset: u64, len: usize) -> Result<Option<Vec<u8>>, BlobError> {
        let Some((mut file, _)) = self.folder.open_file(id)? else { return Ok(None) };
        let mut bytes = Vec::new();
        io::Seek::seek(&mut file, io::SeekFrom::Start(offset))
            .and_then(|_| file.take(len.min(CHUNK_BYTES) as u64).read_to_end(&mut bytes))
            .map_err(self.folder.io(id))?;
        Ok(Some(bytes))
    }

    /// All blobs, by id.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn list(&self) -> Result<Vec<Stored>, BlobError> {
        let io = |source| BlobError::Io { path: self.folder.path.clone(), source };
        let mut list = Vec::new();
        for entry in fs::read_dir(&self.folder.path).map_err(io)? {
            let entry = entry.map_err(io)?;
            let Some(id) = entry.file_name().to_str().and_then(|name| BlobId::from_str(name).ok()) else { continue };
            match entry.metadata() {
                Ok(metadata) => list.push(Stored { id, len: metadata.len() }),
                // Removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => (),
                Err(source) => return Err(BlobError::Io { path: entry.path(), source }),
            }
        }
        list.sort_unstable();
        Ok(list)
    }

    /// Removes a blob; tells whether it was here. Who reads it may go on.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn remove(&self, id: BlobId) -> Result<bool, BlobError> {
        // Under the lock, so that of two removals one frees the bytes.
        let mut used_bytes = self.folder.used();
        let Some(len) = self.len(id)? else { return Ok(false) };
        fs::remove_file(self.folder.file(id)).map_err(self.folder.io(id))?;
        *used_bytes = used_bytes.saturating_sub(len);
        Ok(true)
    }

    /// Bytes in use, by unfinished blobs too.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        *self.folder.used()
    }

    /// The most bytes that may be used.
    #[must_use]
    pub fn quota_bytes(&self) -> u64 {
        self.folder.quota_bytes
    }
}

/// An open blob. It stays readable if the blob is removed.
#[derive(Debug)]
pub struct Reader {
    file: tokio::fs::File,
    len: u64,
    path: PathBuf,
}

impl Reader {
    /// The length of the whole blob.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the blob has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All bytes.
    pub fn into_read(self) -> tokio::io::Take<tokio::fs::File> {
        self.file.take(self.len)
    }

    /// Up to `len` bytes from `offset` on; fewer at the end, none beyond.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub async fn into_range(mut self, offset: u64, len: u64) -> Result<tokio::io::Take<tokio::fs::File>, BlobError> {
        let sought = self.file.seek(io::SeekFrom::Start(offset)).await;
        sought.map_err(|source| BlobError::Io { path: self.path, source })?;
        Ok(self.file.take(len.min(self.len.saturating_sub(offset))))
    }
}

impl Folder {
    fn file(&self, id: BlobId) -> PathBuf {
        self.path.join(id.to_string())
    }

    fn io(&self, id: BlobId) -> impl Fn(io::Error) -> BlobError {
        let path = self.file(id);
        move |source| BlobError::Io { path: path.clone(), source }
    }

    /// A number is whole whoever panicked.
    fn used(&self) -> MutexGuard<'_, u64> {
        self.used_bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_file(&self, id: BlobId) -> Result<Option<(fs::File, u64)>, BlobError> {
        let opened = fs::File::open(self.file(id)).and_then(|file| {
            let len = file.metadata()?.len();
            Ok((file, len))
        });
        match opened {
            Ok(opened) => Ok(Some(opened)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(self.io(id)(source)),
        }
    }

    /// Hashes a file, which is left at its beginning.
    fn check(&self, id: BlobId, mut file: &fs::File) -> Result<(), BlobError> {
        let mut hasher = blake3::Hasher::new();
        let hashed = update_from(&mut hasher, &mut file).and_then(|()| io::Seek::rewind(&mut file));
        hashed.map_err(self.io(id))?;
        if id_of(&hasher) == id { Ok(()) } else { Err(BlobError::Damaged { id }) }
    }
}

fn id_of(hasher: &blake3::Hasher) -> BlobId {
    BlobId::from_bytes(*hasher.finalize().as_bytes())
}

/// Hashes all that a reader still gives.
fn update_from(hasher: &mut blake3::Hasher, reader: &mut impl io::Read) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES / 4];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => drop(hasher.update(&buffer[..read])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) => return Err(error),
        }
    }
}

/// Runs what blocks where it may. If the caller goes away, the work still ends, and its result is dropped.
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(BlobError::Source(io::Error::other(error))),
        },
    }
}

#[cfg(test)]
mod tests;
