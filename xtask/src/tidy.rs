//! `cargo xtask tidy`: the rules of the house that no compiler checks.
//!
//! Each rule is a function from text to findings, and has a test with a sample that breaks it.

mod dependencies;
mod docs;
mod purity;
mod source;
mod tree;

use std::fmt;
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::workspace::Workspace;
use tree::Tree;

/// The crates that do no IO and know no clock. Everything in them is a function of its arguments.
pub(crate) const PURE: [&str; 5] = ["crdt", "oplog", "governance", "sync", "node"];

/// Something that breaks a rule.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Finding {
    /// In which file, relative to the root.
    path: PathBuf,
    /// On which line, from 1; 0 for the file as a whole.
    line: usize,
    /// What is wrong and what to do.
    text: String,
}

impl Finding {
    fn new(path: impl Into<PathBuf>, line: usize, text: impl Into<String>) -> Self {
        Self { path: path.into(), line, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path.display(), self.text),
            line => write!(f, "{}:{line}: {}", self.path.display(), self.text),
        }
    }
}

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        bail!("`cargo xtask tidy` takes no arguments");
    }
    let tree = Tree::read(workspace.root(), workspace.target())?;
    let packages = workspace.packages();
    let mut findings = dependencies::check(packages, tree.text("docs/dependencies.md"));
    findings.extend(tree.rust().flat_map(|file| source::check(&file.path, &file.text)));
    findings.extend(tree.rust().filter(|file| is_pure(file)).flat_map(|file| purity::check(&file.path, &file.text)));
    findings.extend(purity::check_settings(|name| tree.text(&format!("crates/{name}/clippy.toml"))));
    findings.extend(tree.files().flat_map(|file| docs::check_machine_paths(&file.path, &file.text)));
    findings.extend(tree.markdown().flat_map(|file| docs::check_links(&file.path, &file.text, |path| tree.has(path))));
    let has_test = |name: &str| tree.rust().any(|file| file.text.contains(&format!("fn {name}(")));
    findings.extend(tree.markdown().flat_map(|file| docs::check_test_names(&file.path, &file.text, has_test)));
    findings.sort();
    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => {
            eprintln!("xtask: tidy: {} files and {} packages keep the rules", tree.files().count(), packages.len());
            Ok(())
        }
        count => bail!(
            "tidy: {count} findings, listed above; mend them, or change the rule in xtask/src/tidy with its reason"
        ),
    }
}

/// Whether a file is code of the pure core, tests aside.
fn is_pure(file: &tree::File) -> bool {
    PURE.iter().any(|name| file.path.starts_with(format!("crates/{name}/src")))
}
