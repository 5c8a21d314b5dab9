//! `cargo xtask bench`: the release build, measured from outside, each figure beside a reference of the same minute.

mod apply;
mod calls;
mod governance;
mod growth;
mod keystroke;
mod load;
mod process;
mod reference;
mod report;
mod start;
mod text;
mod visible;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::apps;
use crate::build::{self, Profile};
use crate::network::{self, Shared};
use crate::node::Node;
use crate::stop::Stop;
use crate::workspace::{Workspace, short};
use report::Report;

/// One measurement: its name, what it shows, and the function that takes it.
struct Bench {
    name: &'static str,
    about: &'static str,
    measure: fn(&Setup, &mut Report) -> Result<()>,
}

const BENCHES: [Bench; 8] = [
    Bench { name: "calls", about: "calls over HTTP, beside the store's own loop", measure: calls::measure },
    Bench { name: "growth", about: "the cost of a call as the state grows", measure: growth::measure },
    Bench { name: "apply", about: "applying what others wrote", measure: apply::measure },
    Bench { name: "visible", about: "from a write on one node to its sight on another", measure: visible::measure },
    Bench { name: "governance", about: "joining, ops, removals, the fold", measure: governance::measure },
    Bench { name: "text", about: "texts, on recorded traces", measure: text::measure },
    Bench { name: "keystroke", about: "a keystroke over HTTP, beside `kv.set`", measure: keystroke::measure },
    Bench { name: "start", about: "start, memory", measure: start::measure },
];

/// What measurements start from.
struct Setup<'w> {
    workspace: &'w Workspace,
    mesto: PathBuf,
    kv: PathBuf,
    editor: PathBuf,
    folder: tempfile::TempDir,
    stop: Stop,
}

impl Setup<'_> {
    /// A new node on an empty home.
    fn node(&self, name: &str) -> Result<Node> {
        self.stop.check()?;
        Node::init_and_start(&self.mesto, self.folder.path(), name)
    }

    /// A new node with a group and a context of `kv`.
    fn node_with_context(&self, name: &str) -> Result<(Node, Shared)> {
        let node = self.node(name)?;
        let shared = network::begin(&node, &self.kv)?;
        Ok((node, shared))
    }

    /// Two new nodes in one context.
    fn pair(&self, names: [&str; 2]) -> Result<(Node, Node, Shared)> {
        let (first, shared) = self.node_with_context(names[0])?;
        let second = self.node(names[1])?;
        network::join(&first, &second, &shared)?;
        Ok((first, second, shared))
    }

    /// A folder on the same disk as the nodes' homes.
    fn scratch(&self) -> &Path {
        self.folder.path()
    }
}

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    // A program that is there already: to take figures of two versions in turn, or of one that was built elsewhere.
    let (program, names) = match arguments {
        [flag, program, names @ ..] if flag == "--program" => (Some(PathBuf::from(program)), names),
        names => (None, names),
    };
    let chosen = match names {
        [] => BENCHES.iter().collect(),
        names => names.iter().map(|name| named(name)).collect::<Result<Vec<_>>>()?,
    };
    apps::set_up()?;
    let mesto = match program {
        Some(program) => fs::canonicalize(&program).with_context(|| format!("no program at {}", program.display()))?,
        None => build::mesto(workspace, Profile::Release)?,
    };
    let kv = apps::build(workspace, &mesto, "kv")?;
    let editor = apps::build(workspace, &mesto, "editor")?;
    // Homes lie where builds do: the folder for temporary files may be in memory, where an fsync costs nothing.
    let parent = workspace.target().join("bench");
    fs::create_dir_all(&parent).with_context(|| format!("cannot make {}", parent.display()))?;
    let stop = Stop::on_signal()?;
    for bench in chosen {
        let folder = tempfile::Builder::new().prefix("homes-").tempdir_in(&parent)?;
        let (mesto, kv, editor) = (mesto.clone(), kv.clone(), editor.clone());
        let setup = Setup { workspace, mesto, kv, editor, folder, stop: stop.clone() };
        eprintln!("xtask: measuring {}: {}", bench.name, bench.about);
        let mut report = Report::default();
        (bench.measure)(&setup, &mut report).with_context(|| format!("measuring {}", bench.name))?;
        let path = parent.join(format!("{}.json", bench.name));
        fs::write(&path, report.json(bench.name)).with_context(|| format!("cannot write {}", path.display()))?;
        println!("\n{}: {}\n\n{}", bench.name, bench.about, report.table());
        eprintln!("xtask: also in {}", short(&path).display());
    }
    Ok(())
}

fn named(name: &str) -> Result<&'static Bench> {
    match BENCHES.iter().find(|bench| bench.name == name) {
        Some(bench) => Ok(bench),
        None => bail!("there is no benchmark `{name}`; there are: {}", BENCHES.map(|bench| bench.name).join(", ")),
    }
}
