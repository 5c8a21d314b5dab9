//! Writing an archive: the same files always give the same bytes.

use super::{ArchiveError, Limits, MANIFEST_PATH};
use crate::path::check_path;
use flate2::{Compression, GzBuilder};
use std::collections::BTreeMap;
use std::io::{self, Write};
use tar::{EntryType, Header};

const BLOCK_BYTES: usize = 512;

/// The "operating system" byte of gzip that says unknown, so that all systems write the same.
const GZIP_OS_UNKNOWN: u8 = 255;

/// The header name of a PAX description; readers look at its records only.
const PAX_NAME: &str = "pax-header";

/// Packs files, of which one must be `manifest.json`, into a `.mpk`. Deterministic for one version of
/// the compressor; the signature covers contents, so it holds however they are compressed.
///
/// # Errors
///
/// [`ArchiveError`] if the files break a rule or bound that readers enforce, so that nobody makes what
/// nobody can open; the ratio is the reader's to judge.
pub fn pack(files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>, ArchiveError> {
    let limits = Limits::DEFAULT;
    let manifest = files.get(MANIFEST_PATH).ok_or(ArchiveError::ManifestMissing)?;
    if manifest.len() as u64 > limits.manifest_bytes_max {
        return Err(ArchiveError::ManifestTooLarge { max: limits.manifest_bytes_max });
    }
    if files.len() > limits.files_max {
        return Err(ArchiveError::TooManyFiles { max: limits.files_max });
    }
    let content: u64 = files.values().map(|file| file.len() as u64).sum();
    if content > limits.unpacked_bytes_max {
        return Err(ArchiveError::UnpackedTooLarge { max: limits.unpacked_bytes_max });
    }
    let mut gzip = GzBuilder::new().mtime(0).operating_system(GZIP_OS_UNKNOWN).write(Vec::new(), Compression::best());
    // The manifest first, so that a reader of a stream meets it before anything large.
    write_file(&mut gzip, MANIFEST_PATH, manifest)?;
    for (path, file) in files.iter().filter(|(path, _)| *path != MANIFEST_PATH) {
        write_file(&mut gzip, path, file)?;
    }
    gzip.write_all(&[0; 2 * BLOCK_BYTES]).map_err(ArchiveError::Damaged)?;
    let packed = gzip.finish().map_err(ArchiveError::Damaged)?;
    if packed.len() as u64 > limits.packed_bytes_max {
        return Err(ArchiveError::PackedTooLarge { max: limits.packed_bytes_max });
    }
    Ok(packed)
}

fn write_file(tar: &mut impl Write, path: &str, content: &[u8]) -> Result<(), ArchiveError> {
    check_path(path.as_bytes()).map_err(|rule| ArchiveError::BadPath { name: path.to_owned(), rule })?;
    let mut header = header(EntryType::Regular, content.len());
    if header.set_path(path).is_err() {
        // ustar splits a name at a `/` into 155 + 100 bytes; where no split fits, PAX gives the name.
        let record = pax_record("path", path);
        let mut pax = self::header(EntryType::XHeader, record.len());
        pax.set_path(PAX_NAME).map_err(ArchiveError::Damaged)?;
        write_member(tar, &mut pax, record.as_bytes()).map_err(ArchiveError::Damaged)?;
        header = self::header(EntryType::Regular, content.len());
        header.set_path(PAX_NAME).map_err(ArchiveError::Damaged)?;
    }
    write_member(tar, &mut header, content).map_err(ArchiveError::Damaged)
}

/// A header whose every field is fixed but for type, size and (set by the caller) name.
fn header(kind: EntryType, size: usize) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(size as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn write_member(tar: &mut impl Write, header: &mut Header, content: &[u8]) -> io::Result<()> {
    header.set_cksum();
    tar.write_all(header.as_bytes())?;
    tar.write_all(content)?;
    let padding = content.len().next_multiple_of(BLOCK_BYTES) - content.len();
    tar.write_all(&vec![0; padding])
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself (POSIX pax, "extended header").
fn pax_record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    // Adding the digits can add a digit; two rounds settle it for any length that fits in memory.
    for _ in 0..2 {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_pax_record_counts_itself() {
        for n in 0..2000 {
            let record = pax_record("path", &"a".repeat(n));
            let length: usize = record.split(' ').next().and_then(|s| s.parse().ok()).expect("it begins with a number");
            assert_eq!(length, record.len());
        }
    }
}
