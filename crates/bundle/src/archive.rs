//! The `.mpk` container: a gzip tar, written deterministically and read under bounds, in memory.
//!
//! Reading trusts nothing. Links, devices and sparse files are refused, names must be plain relative
//! paths, every size is bounded before it is believed, and the two old ways of giving a long name (GNU
//! `L` members, PAX `path` records) are understood but never where they contradict each other.
//!
//! Byte layout: gzip (RFC 1952) without name and time; inside, a POSIX ustar archive, `manifest.json`
//! first, then all files by path; mode 0644, owner 0, time 0; names that ustar cannot split are given by
//! a PAX header; two zero blocks end it.

mod reader;
mod writer;

use crate::manifest::{FILES_MAX, MANIFEST_BYTES_MAX};
use crate::path::{PATH_BYTES_MAX, PathError};
use std::collections::BTreeMap;
use std::io::{self, Read};
use thiserror::Error;

pub use writer::pack;

/// Where the manifest is in an archive.
pub const MANIFEST_PATH: &str = "manifest.json";

/// What an archive may cost its reader. Unpacking needs memory of about `unpacked_bytes_max` at worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the `.mpk`.
    pub packed_bytes_max: u64,
    /// Bytes of the tar inside, headers included.
    pub unpacked_bytes_max: u64,
    /// How many times larger the tar may be than the `.mpk`.
    pub ratio_max: u64,
    /// Below this many unpacked bytes the ratio does not matter.
    pub ratio_floor_bytes: u64,
    /// Files and folders, the manifest included.
    pub files_max: usize,
    /// Bytes of one path; [`crate::PATH_BYTES_MAX`] holds besides.
    pub path_bytes_max: usize,
    /// Bytes of `manifest.json`.
    pub manifest_bytes_max: u64,
}

impl Limits {
    /// What every node accepts. An app of a few MiB of code and pages uses a tenth of it. Gzip reaches
    /// a ratio of 1032 on zeros, code and text reach 3 to 10: 100 tells a bomb from a bundle.
    pub const DEFAULT: Limits = Limits {
        packed_bytes_max: 64 * 1024 * 1024,
        unpacked_bytes_max: 256 * 1024 * 1024,
        ratio_max: 100,
        ratio_floor_bytes: 1024 * 1024,
        files_max: FILES_MAX,
        path_bytes_max: PATH_BYTES_MAX,
        manifest_bytes_max: MANIFEST_BYTES_MAX as u64,
    };

    /// The most bytes that a `.mpk` of this length may unpack to.
    fn unpacked_bytes_for(&self, packed_bytes: u64) -> u64 {
        let by_ratio = packed_bytes.saturating_mul(self.ratio_max).max(self.ratio_floor_bytes);
        by_ratio.min(self.unpacked_bytes_max)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits::DEFAULT
    }
}

/// Why bytes are not an archive that we accept, or files cannot become one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The `.mpk` is larger than its limit.
    #[error("the bundle is larger than {max} bytes")]
    PackedTooLarge {
        /// The limit in bytes.
        max: u64,
    },
    /// The content is larger than its limit.
    #[error("the bundle's content is larger than {max} bytes")]
    UnpackedTooLarge {
        /// The limit in bytes.
        max: u64,
    },
    /// The content is so much larger than the `.mpk` that it looks like a decompression bomb.
    #[error(
        "the bundle unpacks to more than {max} times its size; such files are refused, store large blank data elsewhere"
    )]
    RatioTooHigh {
        /// The limit.
        max: u64,
    },
    /// There are more files and folders than the limit.
    #[error("the bundle has more than {max} files")]
    TooManyFiles {
        /// The limit.
        max: usize,
    },
    /// `manifest.json` is larger than its limit.
    #[error("manifest.json is larger than {max} bytes")]
    ManifestTooLarge {
        /// The limit in bytes.
        max: u64,
    },
    /// There is no `manifest.json` at the top.
    #[error("there is no manifest.json at the top of the bundle; pack it with `mesto bundle pack`")]
    ManifestMissing,
    /// A name breaks the rules for paths.
    #[error("the name {name:?} {rule}")]
    BadPath {
        /// The name, as far as it is text, cut to a readable length.
        name: String,
        /// The rule that is broken.
        rule: PathError,
    },
    /// A path is longer than the reader's limit.
    #[error("the name {name:?} is longer than {max} bytes")]
    PathTooLong {
        /// The name.
        name: String,
        /// The limit in bytes.
        max: usize,
    },
    /// A member is a symbolic or hard link.
    #[error("{name:?} is a link; bundles hold plain files only")]
    Link {
        /// The member's name.
        name: String,
    },
    /// A member is neither a file nor a folder nor a link: a device, a pipe, a sparse file, …
    #[error("{name:?} is not a plain file (tar type {kind:?}); bundles hold plain files only")]
    SpecialFile {
        /// The member's name.
        name: String,
        /// The type byte of the tar header.
        kind: char,
    },
    /// Two files have the same path.
    #[error("{path:?} is in the bundle twice")]
    Duplicate {
        /// The path.
        path: String,
    },
    /// A path is a file, and also the folder of another.
    #[error("{path:?} is a file and a folder at once")]
    FileAndFolder {
        /// The path.
        path: String,
    },
    /// A member gives a meaning to others that we do not support: PAX records beyond names and times,
    /// global PAX headers, long link names.
    #[error("the bundle uses a tar extension that is not accepted here ({what}); pack it with `mesto bundle pack`")]
    UnsupportedExtension {
        /// Which extension.
        what: String,
    },
    /// A member has two long names, or a long name has no member.
    #[error("a long name in the bundle belongs to no file, or a file has two")]
    AmbiguousName,
    /// The gzip or tar structure is broken or cut short.
    #[error("the bundle is damaged or not a gzip tar ({0}); get it again")]
    Damaged(#[source] io::Error),
    /// Something other than zeros follows the end of the tar, or anything the end of the gzip.
    #[error("there are bytes after the end of the bundle")]
    TrailingBytes,
    /// The source of the bytes failed.
    #[error("the bundle cannot be read: {0}")]
    Read(#[source] io::Error),
}

/// Unpacks an archive into memory: the content of every file, by path. Folders leave no trace.
///
/// # Errors
///
/// [`ArchiveError`], by the first rule that is broken.
pub fn unpack(bytes: &[u8], limits: &Limits) -> Result<BTreeMap<String, Vec<u8>>, ArchiveError> {
    reader::unpack(bytes, limits)
}

/// Reads the bytes of a `.mpk` from a stream, up to the limit and not a buffer more.
///
/// # Errors
///
/// [`ArchiveError::PackedTooLarge`], [`ArchiveError::Read`].
pub fn read_packed(stream: impl Read, limits: &Limits) -> Result<Vec<u8>, ArchiveError> {
    let mut bytes = Vec::new();
    stream.take(limits.packed_bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(ArchiveError::Read)?;
    if bytes.len() as u64 > limits.packed_bytes_max {
        return Err(ArchiveError::PackedTooLarge { max: limits.packed_bytes_max });
    }
    Ok(bytes)
}
