//! A blob that comes from peers: pieces at offsets, in any order, whose hash is verified when all are there.

use std::{
    collections::BTreeMap,
    io::{self, Seek as _, SeekFrom, Write as _},
    sync::Arc,
};

use mesto_governance::BlobId;

use super::{BlobError, Folder, Stored, id_of, incoming::TemporaryFile, update_from};

/// Pieces that may lie apart. A peer that sends in order makes none; one that sends every other byte is stopped.
pub const GAPS_MAX: usize = 256;

/// Why pieces did not become a blob.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PartialError {
    /// A piece ends beyond the blob.
    #[error("a piece at {offset} ends beyond the blob's {len} bytes")]
    BeyondEnd {
        /// Where the piece begins.
        offset: u64,
        /// The blob's length.
        len: u64,
    },
    /// More than [`GAPS_MAX`] pieces lie apart.
    #[error("the pieces leave more than {GAPS_MAX} gaps")]
    TooManyGaps,
    /// Something is still missing.
    #[error("the blob is not complete: bytes from {missing_from} on are missing")]
    Incomplete {
        /// The first byte that is missing.
        missing_from: u64,
    },
    /// All bytes are there, but they are not the blob: somebody sent wrong ones.
    #[error("the received bytes hash to {found}, not {expected}")]
    WrongHash {
        /// What was asked for.
        expected: BlobId,
        /// What came.
        found: BlobId,
    },
    /// The disk or the quota stood in the way.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// A blob that is being received. Dropped before [`finish`](Self::finish), it leaves nothing. Its methods block for
/// as long as the disk takes.
pub struct Partial {
    id: BlobId,
    len: u64,
    file: TemporaryFile,
    /// Bytes that are there, as ranges from key to value that do not touch.
    ranges: BTreeMap<u64, u64>,
    /// Of the bytes from the beginning to `hashed_to`, so that pieces in order need not be read again.
    hasher: blake3::Hasher,
    hashed_to: u64,
}

impl Partial {
    pub(super) fn begin(folder: &Arc<Folder>, id: BlobId, len: u64) -> Result<Self, BlobError> {
        let used = *folder.used();
        if used.saturating_add(len) > folder.quota_bytes {
            return Err(BlobError::QuotaExceeded { needed: len, used, quota: folder.quota_bytes });
        }
        Ok(Self {
            id,
            len,
            // Bytes are reserved as they come: a claimed length alone must not take the quota from others.
            file: TemporaryFile::new(folder)?,
            ranges: BTreeMap::new(),
            hasher: blake3::Hasher::new(),
            hashed_to: 0,
        })
    }

    /// The blob that this is to become.
    #[must_use]
    pub fn id(&self) -> BlobId {
        self.id
    }

    /// How many bytes it is to have.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it is to have none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many of its bytes are there.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        self.ranges.iter().map(|(from, until)| until - from).sum()
    }

    /// The first bytes that are missing, as a range from the first number to before the second; `None` if it is
    /// complete.
    #[must_use]
    pub fn missing(&self) -> Option<(u64, u64)> {
        let from = self.ranges.get(&0).copied().unwrap_or(0);
        let until = self.ranges.range(from..).find(|(next, _)| **next > 0).map_or(self.len, |(next, _)| *next);
        (from < self.len).then_some((from, until))
    }

    /// Adds bytes. Of bytes that are there already the first stay.
    ///
    /// # Errors
    /// See [`PartialError`]; the pieces so far remain, unless the disk failed.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), PartialError> {
        let until = offset.checked_add(bytes.len() as u64).filter(|until| *until <= self.len);
        let until = until.ok_or(PartialError::BeyondEnd { offset, len: self.len })?;
        for (from, until) in self.gaps(offset, until) {
            let in_bytes = |position: u64| usize::try_from(position - offset).unwrap_or(usize::MAX);
            let Some(piece) = bytes.get(in_bytes(from)..in_bytes(until)) else { continue };
            let touched = self.ranges.contains_key(&until) || self.ranges.values().any(|end| *end == from);
            if !touched && self.ranges.len() >= GAPS_MAX {
                return Err(PartialError::TooManyGaps);
            }
            self.file.reserve(piece.len() as u64)?;
            self.write_piece(from, piece)?;
            self.join(from, until);
        }
        Ok(())
    }

    /// Verifies the whole, makes it durable, and gives it its name.
    ///
    /// # Errors
    /// [`PartialError::Incomplete`], [`PartialError::WrongHash`], [`PartialError::Blob`]; then nothing stays behind.
    pub fn finish(mut self) -> Result<Stored, PartialError> {
        if let Some((missing_from, _)) = self.missing() {
            return Err(PartialError::Incomplete { missing_from });
        }
        let io = self.file.io();
        let rest = self.file.temporary.seek(SeekFrom::Start(self.hashed_to));
        rest.and_then(|_| update_from(&mut self.hasher, &mut self.file.temporary)).map_err(io)?;
        let found = id_of(&self.hasher);
        if found != self.id {
            return Err(PartialError::WrongHash { expected: self.id, found });
        }
        let stored = Stored { id: self.id, len: self.len };
        self.file.keep(stored)?;
        Ok(stored)
    }

    /// What is missing between two places.
    fn gaps(&self, from: u64, until: u64) -> Vec<(u64, u64)> {
        let mut gaps = Vec::new();
        let mut position = from;
        for (begin, end) in &self.ranges {
            if *begin >= until {
                break;
            }
            if *begin > position {
                gaps.push((position, *begin));
            }
            position = position.max(*end);
        }
        if position < until {
            gaps.push((position, until));
        }
        gaps
    }

    fn write_piece(&mut self, from: u64, piece: &[u8]) -> Result<(), BlobError> {
        let file = &mut self.file.temporary;
        let written: io::Result<()> = file.seek(SeekFrom::Start(from)).and_then(|_| file.write_all(piece));
        written.map_err(self.file.io())?;
        if from == self.hashed_to {
            self.hasher.update(piece);
            self.hashed_to += piece.len() as u64;
        }
        Ok(())
    }

    /// Adds a range to those that are there, and joins those that it touches.
    fn join(&mut self, mut from: u64, mut until: u64) {
        if let Some(end) = self.ranges.remove(&until) {
            until = end;
        }
        if let Some((begin, end)) = self.ranges.range(..from).next_back().map(|(begin, end)| (*begin, *end))
            && end == from
        {
            from = begin;
        }
        self.ranges.insert(from, until);
    }
}
