//! A real node: a home in a folder, a process that runs on it, and the command line to talk to it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;

use crate::http::{Client, text_of};

/// How long a node may take to be ready: it takes well under a second, but not on a machine that also compiles.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long a node may take to end when asked; then it is killed.
const END_WITHIN: Duration = Duration::from_secs(10);
/// Lines of a node's log that are shown when it failed.
const LOG_LINES_SHOWN: usize = 20;

/// A home that may or may not run.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    program: PathBuf,
    folder: PathBuf,
    name: String,
}

impl Home {
    /// Makes a home below `parent`, for a node that listens on ports of loopback that the system chooses.
    pub(crate) fn init(program: &Path, parent: &Path, name: &str) -> Result<Self> {
        let home = Self { program: program.to_owned(), folder: parent.join(name), name: name.to_owned() };
        home.cli(&[
            "init",
            "--name",
            name,
            "--api-listen",
            "127.0.0.1:0",
            "--listen",
            "/ip4/127.0.0.1/udp/0/quic-v1",
            "--listen",
            "/ip4/127.0.0.1/tcp/0",
            "--no-mdns",
        ])?;
        Ok(home)
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs a command on this home with `--json`; what it printed.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.command().arg("--json").args(arguments).output().context("cannot run mesto")?;
        let shown = || format!("`mesto {}` on {}", arguments.join(" "), self.name);
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{} failed ({}): {}", shown(), output.status, said.trim());
        }
        serde_json::from_slice(&output.stdout).with_context(|| format!("{} printed no JSON", shown()))
    }

    /// Starts the node and waits until it is ready.
    pub(crate) fn start(&self) -> Result<Node> {
        let log = self.folder.with_extension("log");
        let log_file = File::options().create(true).append(true).open(&log);
        let log_file = log_file.with_context(|| format!("cannot write {}", log.display()))?;
        let started = Instant::now();
        let mut run = self.command();
        run.arg("run").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log_file);
        let mut process = run.spawn().context("cannot start mesto")?;
        let (sender, lines) = mpsc::channel();
        if let Some(stdout) = process.stdout.take() {
            // Reads on after the first line, so that the node never waits for somebody to read.
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(std::io::Result::ok) {
                    sender.send(line).ok();
                }
            });
        }
        let mut node = Node { home: self.clone(), process, api: ([127, 0, 0, 1], 0).into(), ready_in: Duration::ZERO };
        let line = lines.recv_timeout(READY_WITHIN).map_err(|_| {
            anyhow!("the node {} did not become ready. The end of {}:\n{}", self.name, log.display(), end_of(&log))
        })?;
        node.ready_in = started.elapsed();
        node.api =
            api_of(&line).with_context(|| format!("the ready line of {} is not understood: {line}", self.name))?;
        Ok(node)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--home").arg(&self.folder);
        // What the user's shell says about another node is not meant for this one.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MESTO_") && name != "MESTO_LOG" {
                command.env_remove(&name);
            }
        }
        command
    }
}

/// A node that runs. Dropping it ends the process.
pub(crate) struct Node {
    home: Home,
    process: Child,
    api: SocketAddr,
    ready_in: Duration,
}

impl Node {
    /// Makes a home and starts a node on it.
    pub(crate) fn init_and_start(program: &Path, parent: &Path, name: &str) -> Result<Self> {
        Home::init(program, parent, name)?.start()
    }

    /// What the node is called.
    pub(crate) fn name(&self) -> &str {
        &self.home.name
    }

    /// Its home.
    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Where its API listens.
    pub(crate) fn api(&self) -> SocketAddr {
        self.api
    }

    /// From the start of the process to its ready line.
    pub(crate) fn ready_in(&self) -> Duration {
        self.ready_in
    }

    /// Runs a command on this node with `--json`; what it printed.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Result<Value> {
        self.home.cli(arguments)
    }

    /// A new connection to the API.
    pub(crate) fn client(&self) -> Result<Client> {
        let path = self.home.folder.join("token");
        let token = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Client::connect(self.api, token.trim())
    }

    /// The root hash of a context on this node, and how many deltas it accepted.
    pub(crate) fn root(&self, client: &mut Client, context: &str) -> Result<(String, u64)> {
        let shown = client.get(&format!("/admin-api/contexts/{context}"))?;
        let entries = shown.get("entries").and_then(Value::as_u64).unwrap_or_default();
        Ok((text_of(&shown, "rootHash"), entries))
    }

    /// Ends the node; its home stays.
    pub(crate) fn stop(mut self) -> Result<Home> {
        self.end();
        Ok(self.home.clone())
    }

    fn end(&mut self) {
        if matches!(self.process.try_wait(), Ok(Some(_))) {
            return;
        }
        let asked = Command::new("kill").arg("-TERM").arg(self.pid().to_string()).status();
        let until = Instant::now() + END_WITHIN;
        while asked.as_ref().is_ok_and(|status| status.success()) && Instant::now() < until {
            if matches!(self.process.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        eprintln!("xtask: the node {} did not end when asked, so it is killed", self.name());
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end();
    }
}

/// How long something is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// In all.
    pub(crate) within: Duration,
    /// Between two looks.
    pub(crate) pause: Duration,
}

/// Asks again and again until there is an answer; fails when the time is over, with what was missing last.
pub(crate) fn wait_for<T>(what: &str, patience: Patience, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let Patience { within, pause } = patience;
    let until = Instant::now() + within;
    loop {
        let answer = ask();
        if let Ok(Some(answer)) = answer {
            return Ok(answer);
        }
        if Instant::now() > until {
            return match answer {
                Err(error) => Err(error.context(format!("waited {within:?} for {what}"))),
                Ok(_) => bail!("waited {within:?} for {what}, in vain"),
            };
        }
        std::thread::sleep(pause);
    }
}

/// The API's address in a ready line.
fn api_of(line: &str) -> Result<SocketAddr> {
    let ready: Value = serde_json::from_str(line)?;
    let api = text_of(&ready, "api");
    let address = api.trim_start_matches("http://").trim_end_matches('/');
    address.parse().with_context(|| format!("`{api}` is no address"))
}

fn end_of(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(LOG_LINES_SHOWN)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_tells_the_address_of_the_api() {
        let line = r#"{"event":"ready","api":"http://127.0.0.1:2480","peerId":"p","listen":[]}"#;
        assert_eq!(api_of(line).unwrap(), "127.0.0.1:2480".parse().unwrap());
        assert!(api_of("ready").is_err());
    }

    #[test]
    fn waiting_ends_with_what_was_missing() {
        let error = wait_for::<()>("rain", Patience { within: Duration::ZERO, pause: Duration::ZERO }, || Ok(None))
            .unwrap_err()
            .to_string();
        assert!(error.contains("rain"), "{error}");
    }
}
