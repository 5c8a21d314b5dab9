//! A blob on its way in: bytes in order, whose hash is known at the end.

use std::{
    fs,
    io::{self, Write as _},
    mem,
    sync::Arc,
};

use tempfile::NamedTempFile;

use super::{BlobError, CHUNK_BYTES, Folder, Stored, UNFINISHED_SUFFIX, id_of, in_background};
use crate::home::files;

/// A blob that comes in pieces. Dropped before [`finish`](Self::finish), it leaves nothing.
pub struct Incoming {
    /// Away while a thread writes to it; for ever, after an error.
    file: Option<Unfinished>,
    buffer: Vec<u8>,
}

impl Incoming {
    pub(super) fn begin(folder: &Arc<Folder>) -> Result<Self, BlobError> {
        Ok(Self { file: Some(Unfinished::begin(folder)?), buffer: Vec::new() })
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// [`BlobError::QuotaExceeded`], [`BlobError::Io`]. After an error, and if the future is dropped before its end,
    /// the blob cannot be finished.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<(), BlobError> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK_BYTES - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == CHUNK_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Makes the blob durable and gives it its name.
    ///
    /// # Errors
    /// [`BlobError::QuotaExceeded`], [`BlobError::Io`]; then nothing stays behind.
    pub async fn finish(mut self) -> Result<Stored, BlobError> {
        let buffer = mem::take(&mut self.buffer);
        let mut file = self.take_file()?;
        in_background(move || {
            file.write(&buffer)?;
            file.finish()
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), BlobError> {
        let mut buffer = mem::take(&mut self.buffer);
        let mut file = self.take_file()?;
        let (file, buffer) = in_background(move || {
            file.write(&buffer)?;
            buffer.clear();
            Ok((file, buffer))
        })
        .await?;
        self.file = Some(file);
        self.buffer = buffer;
        Ok(())
    }

    fn take_file(&mut self) -> Result<Unfinished, BlobError> {
        self.file.take().ok_or_else(|| BlobError::Source(io::Error::other("an earlier write failed")))
    }
}

pub(super) fn put_bytes(folder: &Arc<Folder>, bytes: &[u8]) -> Result<Stored, BlobError> {
    let mut file = Unfinished::begin(folder)?;
    file.write(bytes)?;
    file.finish()
}

/// A temporary file with the hash of what is in it.
struct Unfinished {
    file: TemporaryFile,
    hasher: blake3::Hasher,
    len: u64,
}

impl Unfinished {
    fn begin(folder: &Arc<Folder>) -> Result<Self, BlobError> {
        Ok(Self { file: TemporaryFile::new(folder)?, hasher: blake3::Hasher::new(), len: 0 })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.file.reserve(bytes.len() as u64)?;
        self.file.temporary.write_all(bytes).map_err(self.file.io())?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn finish(self) -> Result<Stored, BlobError> {
        let stored = Stored { id: id_of(&self.hasher), len: self.len };
        self.file.keep(stored)?;
        Ok(stored)
    }
}

/// A file without a name of its own, and the bytes reserved for it; both go away if it is not kept.
pub(super) struct TemporaryFile {
    pub(super) temporary: NamedTempFile,
    reserved: Reservation,
}

impl TemporaryFile {
    pub(super) fn new(folder: &Arc<Folder>) -> Result<Self, BlobError> {
        let temporary = tempfile::Builder::new().prefix(".new-").suffix(UNFINISHED_SUFFIX).tempfile_in(&folder.path);
        let temporary = temporary.map_err(|source| BlobError::Io { path: folder.path.clone(), source })?;
        Ok(Self { temporary, reserved: Reservation { folder: Arc::clone(folder), bytes: 0 } })
    }

    pub(super) fn reserve(&mut self, bytes: u64) -> Result<(), BlobError> {
        self.reserved.grow(bytes)
    }

    /// Makes an error of the file one of blobs.
    pub(super) fn io(&self) -> impl Fn(io::Error) -> BlobError + use<> {
        let path = self.temporary.path().to_owned();
        move |source| BlobError::Io { path: path.clone(), source }
    }

    /// Gives the file the name of its blob, durably. If that blob is here already, it is replaced: its bytes are
    /// these, unless they were damaged.
    pub(super) fn keep(self, stored: Stored) -> Result<(), BlobError> {
        let io = self.io();
        let Self { temporary, mut reserved } = self;
        temporary.as_file().sync_all().map_err(&io)?;
        let folder = Arc::clone(&reserved.folder);
        let path = folder.file(stored.id);
        // Under the lock, so that nobody removes or replaces the old one between its measuring and its end.
        let mut used_bytes = folder.used();
        let replaced_bytes = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        if let Err(error) = temporary.persist(&path) {
            // The reservation, which is given back next, needs the lock.
            drop(used_bytes);
            return Err(BlobError::Io { path, source: error.error });
        }
        *used_bytes = used_bytes.saturating_sub(replaced_bytes);
        reserved.bytes = 0;
        drop(used_bytes);
        files::sync_folder(&folder.path).map_err(|source| BlobError::Io { path: folder.path.clone(), source })
    }
}

/// Bytes of the quota, given back when it is dropped.
struct Reservation {
    folder: Arc<Folder>,
    bytes: u64,
}

impl Reservation {
    fn grow(&mut self, bytes: u64) -> Result<(), BlobError> {
        let mut used = self.folder.used();
        if used.saturating_add(bytes) > self.folder.quota_bytes {
            return Err(BlobError::QuotaExceeded { needed: bytes, used: *used, quota: self.folder.quota_bytes });
        }
        *used += bytes;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes > 0 {
            let mut used = self.folder.used();
            *used = used.saturating_sub(self.bytes);
        }
    }
}
