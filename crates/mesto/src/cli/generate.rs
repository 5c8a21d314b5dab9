//! `mesto gen`: typed clients of an app, made from its schema.

mod names;
mod rust;
mod schema;
mod typescript;

use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use mesto_api::{ClientError, ErrorCode};
use mesto_bundle::Bundle;
use serde::Serialize;

use super::failure::Failure;
use super::output::Output;
use super::session::Session;
use schema::Schema;

/// Longest schema that is read: thousands of methods.
const SCHEMA_LEN_MAX: u64 = 8 << 20;

#[derive(clap::Args, Debug)]
pub(crate) struct Generate {
    /// In which language
    language: Language,
    /// A schema (JSON) or bundle (.mpk) as a file, or an application or context of the node
    #[arg(value_name = "SCHEMA, APP or CONTEXT")]
    source: String,
    /// The file to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum Language {
    /// TypeScript, on @mesto/client
    Ts,
    /// Rust, on mesto-api
    Rust,
}

#[derive(Serialize)]
struct Written {
    path: String,
}

impl Generate {
    pub(crate) fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        let text = find(&self.source, session)?;
        let schema = Schema::parse(&text).map_err(|error| Failure::usage(format!("{}: {error}", self.source)))?;
        let code = match self.language {
            Language::Ts => typescript::client(&schema),
            Language::Rust => rust::client(&schema),
        };
        match self.output {
            None => output.text(code.trim_end()),
            Some(path) => {
                fs::write(&path, code).map_err(|error| Failure::file(&path, &error))?;
                output.object(&Written { path: path.display().to_string() }, |written| written.path.clone())
            }
        }
    }
}

/// The schema's text: of a file, else of an application, else of a context.
fn find(source: &str, session: &Session) -> Result<String, Failure> {
    let path = Path::new(source);
    if path.is_file() {
        return of_file(path);
    }
    let client = session.client()?;
    match client.application_schema(source) {
        Ok(schema) => Ok(schema.get().to_owned()),
        Err(ClientError::Refused(problem)) if problem.code == ErrorCode::ApplicationNotFound => {
            Ok(client.context_schema(source)?.get().to_owned())
        }
        Err(error) => Err(error.into()),
    }
}

fn of_file(path: &Path) -> Result<String, Failure> {
    let of_path = |error: std::io::Error| Failure::file(path, &error);
    if path.extension().is_some_and(|extension| extension == "mpk") {
        let bundle = Bundle::open(&fs::read(path).map_err(of_path)?);
        let bundle = bundle.map_err(|error| Failure::new(ErrorCode::InvalidBundle, error.to_string()))?;
        let schema = bundle.abi().ok_or_else(|| Failure::new(ErrorCode::InvalidBundle, "the bundle brings no schema"))?;
        return Ok(String::from_utf8_lossy(schema).into_owned());
    }
    if fs::metadata(path).map_err(of_path)?.len() > SCHEMA_LEN_MAX {
        return Err(Failure::usage(format!("{} is too long to be a schema", path.display())));
    }
    fs::read_to_string(path).map_err(of_path)
}

#[cfg(test)]
mod tests;
