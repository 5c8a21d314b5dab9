//! Reading an archive of unknown origin.

use super::{ArchiveError, Limits, MANIFEST_PATH};
use crate::path::{check_path, folders_of};
use flate2::bufread::GzDecoder;
use std::collections::BTreeMap;
use std::io::{self, Read};
use tar::{Archive, Entry, PaxExtensions};

/// Largest member that only describes the next one. A name has at most 255 bytes; the rest is room for
/// the times and comments that other tools add.
const EXTENSION_BYTES_MAX: u64 = 16 * 1024;

/// How much of a hostile name an error repeats, in characters.
const SHOWN_CHARS_MAX: usize = 80;

/// PAX records that say nothing about where or what a file is.
const HARMLESS_RECORDS: [&str; 8] = ["atime", "ctime", "mtime", "uid", "gid", "uname", "gname", "comment"];

pub(super) fn unpack(bytes: &[u8], limits: &Limits) -> Result<BTreeMap<String, Vec<u8>>, ArchiveError> {
    let packed_bytes = bytes.len() as u64;
    if packed_bytes > limits.packed_bytes_max {
        return Err(ArchiveError::PackedTooLarge { max: limits.packed_bytes_max });
    }
    let allowed = limits.unpacked_bytes_for(packed_bytes);
    let mut plain = GzDecoder::new(bytes).take(allowed.saturating_add(1));
    let result = Walk { limits, allowed, files: BTreeMap::new(), members: 0 }
        .run(&mut plain)
        .and_then(|files| only_zeros_follow(&mut plain).map(|()| files));
    // The cap looks like a premature end to the tar reader, so it explains any error before it.
    if plain.limit() == 0 {
        return Err(too_large(limits, allowed));
    }
    let files = result?;
    let after_gzip = plain.into_inner().into_inner();
    if !after_gzip.is_empty() {
        return Err(ArchiveError::TrailingBytes);
    }
    no_file_is_a_folder(&files)?;
    if !files.contains_key(MANIFEST_PATH) {
        return Err(ArchiveError::ManifestMissing);
    }
    Ok(files)
}

fn too_large(limits: &Limits, allowed: u64) -> ArchiveError {
    if allowed < limits.unpacked_bytes_max {
        ArchiveError::RatioTooHigh { max: limits.ratio_max }
    } else {
        ArchiveError::UnpackedTooLarge { max: limits.unpacked_bytes_max }
    }
}

/// One pass over the members of a tar.
struct Walk<'a> {
    limits: &'a Limits,
    /// The most bytes that the whole tar may have.
    allowed: u64,
    files: BTreeMap<String, Vec<u8>>,
    members: usize,
}

/// The name that extension members gave to the member that follows them.
#[derive(Default)]
struct Pending {
    long_name: Option<Vec<u8>>,
    pax: Option<PaxName>,
}

/// A PAX header; it may come without a `path`.
struct PaxName(Option<Vec<u8>>);

impl Walk<'_> {
    fn run(mut self, plain: &mut impl Read) -> Result<BTreeMap<String, Vec<u8>>, ArchiveError> {
        let mut archive = Archive::new(plain);
        let mut pending = Pending::default();
        // Raw, because the tar crate's own handling of long names reads them without a bound.
        for entry in archive.entries().map_err(ArchiveError::Damaged)?.raw(true) {
            let entry = entry.map_err(ArchiveError::Damaged)?;
            let kind = entry.header().entry_type();
            if kind.is_gnu_longname() {
                pending.set_long_name(extension(entry)?)?;
            } else if kind.is_pax_local_extensions() {
                pending.set_pax(&extension(entry)?)?;
            } else {
                self.member(entry, std::mem::take(&mut pending))?;
            }
        }
        if pending.long_name.is_some() || pending.pax.is_some() {
            return Err(ArchiveError::AmbiguousName);
        }
        Ok(self.files)
    }

    fn member<R: Read>(&mut self, entry: Entry<'_, R>, pending: Pending) -> Result<(), ArchiveError> {
        let kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() || kind.is_gnu_longlink() {
            return Err(ArchiveError::UnsupportedExtension { what: format!("tar type {:?}", kind.as_byte() as char) });
        }
        self.members += 1;
        if self.members > self.limits.files_max {
            return Err(ArchiveError::TooManyFiles { max: self.limits.files_max });
        }
        let name = pending.name()?.unwrap_or_else(|| entry.header().path_bytes().into_owned());
        if kind.is_symlink() || kind.is_hard_link() {
            return Err(ArchiveError::Link { name: shown(&name) });
        }
        if kind.is_dir() {
            return self.folder(&entry, &name);
        }
        if !kind.is_file() {
            return Err(ArchiveError::SpecialFile { name: shown(&name), kind: kind.as_byte() as char });
        }
        let path = self.path(&name)?;
        if self.files.contains_key(&path) {
            return Err(ArchiveError::Duplicate { path });
        }
        let content = self.content(entry, &path)?;
        self.files.insert(path, content);
        Ok(())
    }

    /// Folders follow from the paths of files; one that is listed must be a harmless name without content.
    fn folder<R: Read>(&self, entry: &Entry<'_, R>, name: &[u8]) -> Result<(), ArchiveError> {
        let path = self.path(name.strip_suffix(b"/").unwrap_or(name))?;
        if entry.size() != 0 {
            return Err(ArchiveError::FileAndFolder { path });
        }
        if self.files.contains_key(&path) {
            return Err(ArchiveError::FileAndFolder { path });
        }
        Ok(())
    }

    fn path(&self, name: &[u8]) -> Result<String, ArchiveError> {
        if name.len() > self.limits.path_bytes_max {
            return Err(ArchiveError::PathTooLong { name: shown(name), max: self.limits.path_bytes_max });
        }
        match check_path(name) {
            Ok(path) => Ok(path.to_owned()),
            Err(rule) => Err(ArchiveError::BadPath { name: shown(name), rule }),
        }
    }

    fn content<R: Read>(&self, mut entry: Entry<'_, R>, path: &str) -> Result<Vec<u8>, ArchiveError> {
        let size = entry.size();
        if path == MANIFEST_PATH && size > self.limits.manifest_bytes_max {
            return Err(ArchiveError::ManifestTooLarge { max: self.limits.manifest_bytes_max });
        }
        if size > self.allowed {
            return Err(too_large(self.limits, self.allowed));
        }
        // The claimed size is not reserved: a vector that grows with the bytes that came costs a
        // copy, a reservation on a stranger's word costs memory.
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(ArchiveError::Damaged)?;
        if content.len() as u64 == size { Ok(content) } else { Err(cut_short()) }
    }
}

impl Pending {
    fn set_long_name(&mut self, mut name: Vec<u8>) -> Result<(), ArchiveError> {
        // GNU tar ends the name with one zero byte; a zero inside would hide a tail from C programs,
        // and the path check refuses it.
        if name.last() == Some(&0) {
            name.pop();
        }
        match self.long_name.replace(name) {
            None => Ok(()),
            Some(_) => Err(ArchiveError::AmbiguousName),
        }
    }

    fn set_pax(&mut self, records: &[u8]) -> Result<(), ArchiveError> {
        let mut path = None;
        for record in PaxExtensions::new(records) {
            let record = record.map_err(ArchiveError::Damaged)?;
            let key = record.key_bytes();
            if key == b"path" {
                if path.replace(record.value_bytes().to_vec()).is_some() {
                    return Err(ArchiveError::AmbiguousName);
                }
            } else if !HARMLESS_RECORDS.iter().any(|harmless| harmless.as_bytes() == key) {
                return Err(ArchiveError::UnsupportedExtension { what: format!("PAX record {:?}", shown(key)) });
            }
        }
        match self.pax.replace(PaxName(path)) {
            None => Ok(()),
            Some(_) => Err(ArchiveError::AmbiguousName),
        }
    }

    /// The name that overrides the one in the header, if there is one.
    fn name(self) -> Result<Option<Vec<u8>>, ArchiveError> {
        match (self.long_name, self.pax.and_then(|pax| pax.0)) {
            (Some(_), Some(_)) => Err(ArchiveError::AmbiguousName),
            (long_name, pax) => Ok(long_name.or(pax)),
        }
    }
}

/// The content of a member that describes the next one.
fn extension<R: Read>(mut entry: Entry<'_, R>) -> Result<Vec<u8>, ArchiveError> {
    let size = entry.size();
    if size > EXTENSION_BYTES_MAX {
        return Err(ArchiveError::UnsupportedExtension { what: format!("{size} bytes of description of one file") });
    }
    let mut content = Vec::new();
    entry.read_to_end(&mut content).map_err(ArchiveError::Damaged)?;
    if content.len() as u64 == size { Ok(content) } else { Err(cut_short()) }
}

/// Reads to the end, which also makes gzip check its own length and CRC.
fn only_zeros_follow(plain: &mut impl Read) -> Result<(), ArchiveError> {
    let mut buffer = [0; 8192];
    loop {
        let count = match plain.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ArchiveError::Damaged(error)),
        };
        if buffer.iter().take(count).any(|byte| *byte != 0) {
            return Err(ArchiveError::TrailingBytes);
        }
    }
}

fn no_file_is_a_folder(files: &BTreeMap<String, Vec<u8>>) -> Result<(), ArchiveError> {
    for path in files.keys() {
        if let Some(folder) = folders_of(path).find(|folder| files.contains_key(*folder)) {
            return Err(ArchiveError::FileAndFolder { path: folder.to_owned() });
        }
    }
    Ok(())
}

fn cut_short() -> ArchiveError {
    ArchiveError::Damaged(io::Error::new(io::ErrorKind::UnexpectedEof, "a file is cut short"))
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().take(SHOWN_CHARS_MAX).collect()
}
