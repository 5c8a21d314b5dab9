//! `mesto app`.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use mesto_api::client::{self, Reach};

use super::build::Build;
use super::failure::Failure;
use super::output::{Output, bytes, fields, or_dash, short};
use super::progress::{Counted, Progress};
use super::session::Session;

#[derive(Subcommand, Debug)]
pub(crate) enum App {
    /// Compile an app, sign it and pack it into a bundle
    Build(Build),
    /// Install a bundle on the node
    Install {
        /// A .mpk file, or the http:// or https:// URL of one
        #[arg(value_name = "FILE or URL")]
        source: String,
    },
    /// The installed apps
    Ls,
    /// One installed app
    Show {
        /// Id, prefix or package name
        app: String,
    },
}

impl App {
    pub(crate) fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Build(build) => build.run(session, output),
            Self::Install { source } => install(session, &source, output),
            Self::Ls => {
                let header = ["app", "package", "version", "blob", "size", "signer"];
                output.list(&session.client()?.applications()?, header, |app| {
                    [
                        short(&app.application_id),
                        app.package.clone(),
                        app.version.clone(),
                        short(&app.blob_id),
                        bytes(app.size),
                        or_dash(app.signer_id.as_deref()),
                    ]
                })
            }
            Self::Show { app } => output.object(&session.client()?.application(&app)?, describe),
        }
    }
}

fn install(session: &Session, source: &str, output: &Output) -> Result<(), Failure> {
    let client = session.client()?;
    let (reader, len): (Box<dyn Read>, u64) = if source.contains("://") {
        let packed = client::download(source, mesto_bundle::Limits::DEFAULT.packed_bytes_max, Reach::Anywhere)?;
        let len = packed.len() as u64;
        (Box::new(Cursor::new(packed)), len)
    } else {
        let path = Path::new(source);
        let of_file = |error| Failure::file(path, &error);
        let file = File::open(path).map_err(of_file)?;
        let len = file.metadata().map_err(of_file)?.len();
        (Box::new(file), len)
    };
    let mut reader = Counted::new(reader, Progress::bytes(output, "installing", Some(len)));
    let installed = client.install(&mut reader, len)?;
    drop(reader);
    output.object(&installed, describe)
}

fn describe(app: &mesto_api::application::Application) -> String {
    fields([
        ("app", app.application_id.clone()),
        ("package", app.package.clone()),
        ("version", app.version.clone()),
        ("blob", app.blob_id.clone()),
        ("signer", or_dash(app.signer_id.as_deref())),
        ("size", bytes(app.size)),
    ])
}

/// Where a built bundle goes if nobody says.
pub(super) fn default_bundle_path(package: &str, version: &str) -> PathBuf {
    PathBuf::from(format!("{package}-{version}.mpk"))
}
