//! Tar archives byte by byte, such as no well-meaning tool writes.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// A tar under construction.
#[derive(Default)]
pub(crate) struct Tar(Vec<u8>);

impl Tar {
    /// Adds a member with a name of at most 100 bytes, as it stands.
    pub(crate) fn member(mut self, kind: u8, name: &[u8], content: &[u8]) -> Tar {
        self.0.extend_from_slice(&header(kind, name, content.len() as u64));
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn file(self, name: &str, content: &[u8]) -> Tar {
        self.member(b'0', name.as_bytes(), content)
    }

    pub(crate) fn manifest(self) -> Tar {
        self.file("manifest.json", b"{}")
    }

    /// Adds a header that promises `size` bytes, and nothing after it.
    pub(crate) fn promise(mut self, name: &str, size: u64) -> Tar {
        self.0.extend_from_slice(&header(b'0', name.as_bytes(), size));
        self
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Tar {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn end(self) -> Tar {
        self.raw(&[0; 1024])
    }

    pub(crate) fn gzip(self) -> Vec<u8> {
        gzip(&self.0)
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

pub(crate) fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = String::new();
    for (key, value) in records {
        let rest = format!(" {key}={value}\n");
        let mut length = rest.len();
        for _ in 0..2 {
            length = rest.len() + length.to_string().len();
        }
        bytes += &format!("{length}{rest}");
    }
    bytes.into_bytes()
}

fn header(kind: u8, name: &[u8], size: u64) -> [u8; 512] {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name);
    block[100..108].copy_from_slice(b"0000644\0");
    if size < 1 << 33 {
        block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    } else {
        // GNU base-256.
        block[124] = 0x80;
        block[128..136].copy_from_slice(&size.to_be_bytes());
    }
    block[156] = kind;
    block[157..163].copy_from_slice(b"target");
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}
