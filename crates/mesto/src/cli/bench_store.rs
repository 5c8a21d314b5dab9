//! `mesto bench-store`: what the disk gives without a node, the figure beside which benchmarks put a node's calls.

use std::path::PathBuf;

use mesto_api::ErrorCode;
use serde::Serialize;

use super::failure::Failure;
use super::output::{Output, fields};
use crate::disk::{BatchShape, bench_commits};

#[derive(clap::Args, Debug)]
pub(crate) struct BenchStore {
    /// A new folder for the store
    folder: PathBuf,
    /// How long to commit
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// How many commit at the same time, each waiting for its own to be durable
    #[arg(long, default_value_t = 32)]
    submitters: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Figure {
    commits_per_second: f64,
}

impl BenchStore {
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::new(ErrorCode::InternalError, error.to_string());
        std::fs::create_dir_all(&self.folder).map_err(|error| Failure::file(&self.folder, &error))?;
        let shape = BatchShape { submitters: self.submitters, ..BatchShape::default() };
        let rate = bench_commits(&self.folder, self.seconds, &shape).map_err(|error| failed(&error))?;
        output.object(&Figure { commits_per_second: rate }, |figure| {
            fields([("commits a second", format!("{:.0}", figure.commits_per_second))])
        })
    }
}
