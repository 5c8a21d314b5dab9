//! Nodes as child processes, and the command line to talk to them.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::http::Connection;

/// How long anything may take that takes well under a second on a machine with nothing else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How long what one node wrote may take to be on the others. It takes milliseconds.
pub(crate) const ARRIVES_WITHIN: Duration = Duration::from_secs(10);

/// Nodes that run at once in all tests together: enough to keep two cores busy, few enough that none starves.
const NODES_MAX: usize = 9;

/// Lines of a node's log that are shown if its test fails.
const LOG_LINES_SHOWN: usize = 25;

/// Where the ports begin that tests choose from: below those that systems give out by themselves.
const PORTS_FROM: u16 = 11_000;

/// How many there are.
const PORTS: u16 = 20_000;

static NODES: Mutex<usize> = Mutex::new(0);
static NODES_ENDED: Condvar = Condvar::new();
static PORTS_USED: AtomicU16 = AtomicU16::new(0);

/// The folder of a test and the places of its nodes among those that may run at once.
pub(crate) struct Stage {
    folder: TempDir,
    nodes: usize,
}

impl Stage {
    /// Waits until there is room for so many nodes.
    pub(crate) fn of(nodes: usize) -> Self {
        let mut running = NODES.lock().unwrap_or_else(PoisonError::into_inner);
        while *running + nodes > NODES_MAX {
            running = NODES_ENDED.wait(running).unwrap_or_else(PoisonError::into_inner);
        }
        *running += nodes;
        drop(running);
        Self { folder: tempfile::tempdir().expect("a temporary folder"), nodes }
    }

    /// A path below the test's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A folder that is no home yet.
    pub(crate) fn bare(&self, name: &str) -> Home {
        Home { folder: self.path(name) }
    }

    /// A home whose node listens to peers on a port of its own, and keeps it when it starts again.
    pub(crate) fn home(&self, name: &str) -> Home {
        let home = self.bare(name);
        let port = free_port();
        home.cli(&[
            "init",
            "--name",
            name,
            "--api-listen",
            "127.0.0.1:0",
            "--listen",
            &format!("/ip4/127.0.0.1/udp/{port}/quic-v1"),
            "--listen",
            &format!("/ip4/127.0.0.1/tcp/{port}"),
            "--no-mdns",
        ])
        .ok();
        home
    }

    /// A node that runs on a new home.
    pub(crate) fn start(&self, name: &str) -> Node {
        self.home(name).start()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        *NODES.lock().unwrap_or_else(PoisonError::into_inner) -= self.nodes;
        NODES_ENDED.notify_all();
    }
}

/// A port that nobody listens on, over neither TCP nor UDP. Parallel runs of these tests begin at different ones.
pub(crate) fn free_port() -> u16 {
    let begin = std::process::id().wrapping_mul(97) % u32::from(PORTS);
    for _ in 0..PORTS {
        let offset = begin + u32::from(PORTS_USED.fetch_add(1, Ordering::Relaxed));
        let port = PORTS_FROM + u16::try_from(offset % u32::from(PORTS)).expect("below PORTS");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

/// A folder that is a node's home, or may become one.
#[derive(Clone)]
pub(crate) struct Home {
    folder: PathBuf,
}

impl Home {
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The secret for the API.
    pub(crate) fn token(&self) -> String {
        fs::read_to_string(self.folder.join("token")).expect("a token").trim().to_owned()
    }

    /// The program on this home, whatever the shell around says about another.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesto"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MESTO_") {
                command.env_remove(&name);
            }
        }
        command.arg("--home").arg(&self.folder).stdin(Stdio::null());
        command
    }

    /// Runs a command with `--json`.
    pub(crate) fn cli(&self, args: &[&str]) -> Ran {
        run(self.command().arg("--json").args(args), b"")
    }

    /// The same with something to read.
    pub(crate) fn cli_reading(&self, args: &[&str], input: &[u8]) -> Ran {
        run(self.command().arg("--json").args(args).stdin(Stdio::piped()), input)
    }

    /// Starts the node and waits until it is ready.
    pub(crate) fn start(&self) -> Node {
        let log = self.log();
        let file = File::options().create(true).append(true).open(&log).expect("a log");
        let mut child =
            self.command().arg("run").stdout(Stdio::piped()).stderr(file).spawn().expect("the program starts");
        let lines = lines_of(child.stdout.take().expect("piped"));
        let mut node =
            Node { home: self.clone(), child, api: String::new(), peer_id: String::new(), listen: Vec::new() };
        let line = match lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(error) => panic!("the node did not become ready ({error}): {:?}", node.child.try_wait()),
        };
        let ready: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in the ready line: {line}"));
        assert_eq!(ready["event"], "ready", "{line}");
        node.api = text(&ready, "api");
        node.peer_id = text(&ready, "peerId");
        node.listen = ready["listen"]
            .as_array()
            .expect("addresses")
            .iter()
            .map(|a| a.as_str().expect("text").to_owned())
            .collect();
        node
    }

    fn log(&self) -> PathBuf {
        self.folder.with_extension("log")
    }
}

/// A node that runs. It is killed when the test is done with it, in whatever way.
pub(crate) struct Node {
    home: Home,
    child: Child,
    api: String,
    peer_id: String,
    listen: Vec<String>,
}

impl Node {
    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `http://ADDRESS:PORT`.
    pub(crate) fn api(&self) -> &str {
        &self.api
    }

    /// `ADDRESS:PORT`.
    pub(crate) fn api_address(&self) -> &str {
        self.api.strip_prefix("http://").expect("plain HTTP")
    }

    pub(crate) fn peer_id(&self) -> &str {
        &self.peer_id
    }

    /// Where peers connect.
    pub(crate) fn listen(&self) -> &[String] {
        &self.listen
    }

    /// Runs a command on this node with `--json`.
    pub(crate) fn cli(&self, args: &[&str]) -> Ran {
        self.home.cli(args)
    }

    /// A new connection to the API, with the token.
    pub(crate) fn http(&self) -> Connection {
        Connection::open(self.api_address(), Some(&self.home.token()))
    }

    /// Tells the node to stop and waits until it has.
    pub(crate) fn stop(self) -> (Home, ExitStatus) {
        self.stop_by("-TERM")
    }

    /// The same by another signal.
    pub(crate) fn stop_by(mut self, name: &str) -> (Home, ExitStatus) {
        signal(name, self.pid());
        (self.home.clone(), wait_for_end(&mut self.child))
    }

    /// Ends the process without a chance to do anything more.
    pub(crate) fn kill(mut self) -> Home {
        self.end();
        self.home.clone()
    }

    /// The same while somebody still holds the node.
    pub(crate) fn end(&mut self) {
        // What has ended by itself cannot be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end();
        if thread::panicking() {
            let log = fs::read_to_string(self.home.log()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let end = lines.get(lines.len().saturating_sub(LOG_LINES_SHOWN)..).unwrap_or_default();
            eprintln!("--- the log of {}:\n{}", self.home.folder.display(), end.join("\n"));
        }
    }
}

/// A command that goes on until it is dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) lines: Receiver<String>,
}

impl Running {
    pub(crate) fn start(home: &Home, args: &[&str]) -> Self {
        let mut command = home.command();
        let mut child = command.arg("--json").args(args).stdout(Stdio::piped()).spawn().expect("the program starts");
        let lines = lines_of(child.stdout.take().expect("piped"));
        Self { child, lines }
    }

    /// The next line of JSON.
    pub(crate) fn next(&self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("a line in time");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command did.
pub(crate) struct Ran {
    pub(crate) what: String,
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// What a command printed that must have succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, Some(0), "{}\n{}{}", self.what, self.stdout, self.stderr);
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{}: {error}: {}", self.what, self.stdout))
    }

    /// The error of a command that must have failed so.
    #[track_caller]
    pub(crate) fn fails(self, status: i32, code: &str) -> Value {
        let Self { what, status: ended, stdout, stderr } = self;
        assert_eq!(ended, Some(status), "{what}\n{stdout}{stderr}");
        // What the log of a node says comes before it.
        let last = stderr.lines().last().unwrap_or_default();
        let said: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{what}: {error}: {stderr}"));
        let error = said["error"].clone();
        assert_eq!(error["code"], code, "{what}: {stderr}");
        assert!(error["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{what}: {stderr}");
        error
    }
}

fn run(command: &mut Command, input: &[u8]) -> Ran {
    let what = command.get_args().skip(3).map(|arg| arg.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input).expect("the program reads");
    }
    let output = child.wait_with_output().expect("the program ends");
    Ran {
        what,
        status: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Lines as they come. They are read on even if nobody listens, so that the writer never waits.
fn lines_of(stdout: ChildStdout) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    lines
}

/// Sends a signal to one process of ours.
pub(crate) fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").arg(name).arg(pid.to_string()).status().expect("kill is there");
    assert!(sent.success(), "{name} {pid}");
}

/// Waits until a process has ended.
pub(crate) fn wait_for_end(child: &mut Child) -> ExitStatus {
    eventually("the process ends", PATIENCE, || child.try_wait().expect("our child"))
}

/// Asks until there is an answer.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, within: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < within, "not so within {within:?}: {what}");
        thread::sleep(Duration::from_millis(15));
    }
}

/// Text under a key.
#[track_caller]
pub(crate) fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("no text `{key}` in {value}")).to_owned()
}

/// A number under a key.
#[track_caller]
pub(crate) fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("no number `{key}` in {value}"))
}
