//! `mesto blob`.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use mesto_api::blob::Blob as Stored;
use mesto_api::client::BlobBody;
use mesto_api::{Client, ErrorCode};

use super::failure::Failure;
use super::output::{Output, bytes, fields};
use super::progress::{Counted, Progress};
use super::session::Session;

/// How much is read at once: large enough that a gigabyte costs few calls.
const PIECE_LEN: usize = 256 * 1024;

#[derive(Subcommand, Debug)]
pub(crate) enum Blob {
    /// Store a file
    Put {
        /// The file, or - for standard input
        file: PathBuf,
    },
    /// Fetch a blob
    Get {
        /// Id or prefix
        id: String,
        /// The file to write, or - for standard output [default: standard output]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// The stored blobs
    Ls,
    /// Remove a blob from this node
    Rm {
        /// Id or prefix
        id: String,
    },
}

impl Blob {
    pub(crate) fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        let client = session.client()?;
        match self {
            Self::Put { file } => put(&client, &file, output),
            Self::Get { id, output: path } => get(&client, &id, path, output),
            Self::Rm { id } => output.object(&client.delete_blob(&id)?, |blob| {
                fields([("removed", blob.blob_id.clone()), ("size", bytes(blob.size))])
            }),
            Self::Ls => {
                output.list(&client.blobs()?, ["blob", "size"], |blob| [blob.blob_id.clone(), bytes(blob.size)])
            }
        }
    }
}

fn put(client: &Client, path: &Path, output: &Output) -> Result<(), Failure> {
    let (reader, len): (Box<dyn Read>, Option<u64>) = if path == Path::new("-") {
        (Box::new(io::stdin().lock()), None)
    } else {
        let of_file = |error: io::Error| Failure::file(path, &error);
        let file = File::open(path).map_err(of_file)?;
        let metadata = file.metadata().map_err(of_file)?;
        if metadata.is_dir() {
            return Err(Failure::usage(format!("{} is a folder", path.display())));
        }
        (Box::new(file), metadata.is_file().then_some(metadata.len()))
    };
    let mut reader = Counted::new(reader, Progress::bytes(output, "storing", len));
    let stored = client.put_blob(&mut reader, len)?;
    drop(reader);
    let stored = Stored { blob_id: stored.blob_id, size: stored.size };
    output.object(&stored, |stored| fields([("blob", stored.blob_id.clone()), ("size", bytes(stored.size))]))
}

fn get(client: &Client, id: &str, path: Option<PathBuf>, output: &Output) -> Result<(), Failure> {
    let path = path.filter(|path| path != Path::new("-"));
    if path.is_none() && output.json() {
        return Err(Failure::usage("with --json the blob needs a file").hint("name one with -o FILE"));
    }
    if path.is_none() && io::stdout().is_terminal() {
        return Err(Failure::usage("a blob is bytes that a terminal cannot show").hint("name a file with -o FILE"));
    }
    let body = client.get_blob(id)?;
    let progress = Progress::bytes(output, "fetching", body.size);
    let Some(path) = path else {
        return receive(body, progress, &mut io::stdout().lock(), Path::new("standard output")).map(drop);
    };
    let of_file = |error: io::Error| Failure::file(&path, &error);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Beside its place, so that it arrives there whole or not at all.
    let mut file = tempfile::Builder::new().prefix(".mesto-").tempfile_in(folder).map_err(of_file)?;
    let stored = receive(body, progress, file.as_file_mut(), &path)?;
    set_ordinary_mode(file.as_file()).map_err(of_file)?;
    file.persist(&path).map_err(|error| Failure::file(&path, &error.error))?;
    output.object(&stored, |stored| fields([("blob", stored.blob_id.clone()), ("size", bytes(stored.size))]))
}

/// Copies the body and checks that it is the blob that it should be.
fn receive(body: BlobBody, mut progress: Progress, to: &mut dyn Write, name: &Path) -> Result<Stored, Failure> {
    let BlobBody { blob_id, size: expected, mut reader } = body;
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE_LEN];
    let mut size = 0;
    loop {
        let count = match reader.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) => {
                return Err(Failure::new(ErrorCode::NotReachable, format!("the node stopped sending: {error}")));
            }
        };
        let bytes = piece.get(..count).unwrap_or_default();
        hasher.update(bytes);
        to.write_all(bytes).map_err(|error| Failure::file(name, &error))?;
        size += count as u64;
        progress.add(count as u64);
    }
    to.flush().map_err(|error| Failure::file(name, &error))?;
    let found = mesto_bundle::id_text(hasher.finalize().as_bytes());
    if blob_id.is_some_and(|wanted| wanted != found) || expected.is_some_and(|expected| expected != size) {
        return Err(Failure::new(ErrorCode::InternalError, "what the node sent is not the blob").hint("try again"));
    }
    Ok(Stored { blob_id: found, size })
}

/// A temporary file is private; a fetched one is as readable as any that the user makes by redirection, short of
/// knowing the process's mask.
fn set_ordinary_mode(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}
