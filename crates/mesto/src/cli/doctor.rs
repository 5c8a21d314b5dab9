//! `mesto doctor`: what could keep a node from working, and what to do about it.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mesto_api::{Client, ErrorCode};
use serde::Serialize;

use super::failure::Failure;
use super::output::{Output, bytes};
use super::session::Session;
use crate::home::{Home, LockError, NodeInfo, Overrides};

/// Below this a node still runs, but not for long.
const DISK_LOW: u64 = 1 << 30;

/// Below this the store cannot even be compacted.
const DISK_OUT: u64 = 64 << 20;

/// 2026-01-01: a clock before it was never set, and this program did not exist then.
const CLOCK_MIN: Duration = Duration::from_secs(1_767_225_600);

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    checks: Vec<Check>,
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, detail: detail.into(), hint: None }
    }

    fn warn(name: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Warn, detail: detail.into(), hint: Some(hint.into()) }
    }

    fn fail(name: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Fail, detail: detail.into(), hint: Some(hint.into()) }
    }
}

/// Checks everything and shows it. A check that fails makes the command fail, with status 1.
pub(crate) fn run(session: &Session, output: &Output) -> Result<(), Failure> {
    let folder = session.folder()?;
    let mut checks = Vec::new();
    match Home::open(&folder) {
        Ok(home) => {
            checks.push(Check::ok("home", folder.display().to_string()));
            of_home(&home, session, &mut checks);
        }
        Err(error) => checks.push(Check::fail("home", error.to_string(), "run `mesto init`")),
    }
    checks.push(clock());
    checks.push(disk_space(&folder));
    checks.push(toolchain());
    let report = Report { ok: checks.iter().all(|check| check.verdict != Verdict::Fail), checks };
    output.object(&report, |report| report.checks.iter().map(line).collect::<Vec<_>>().join("\n"))?;
    match report.checks.iter().filter(|check| check.verdict == Verdict::Fail).count() {
        0 => Ok(()),
        failed => {
            Err(Failure::new(ErrorCode::CheckFailed, format!("{failed} of {} checks failed", report.checks.len())))
        }
    }
}

fn line(check: &Check) -> String {
    let verdict = match check.verdict {
        Verdict::Ok => "ok  ",
        Verdict::Warn => "warn",
        Verdict::Fail => "FAIL",
    };
    let hint = check.hint.as_ref().map_or_else(String::new, |hint| format!("\n      -> {hint}"));
    format!("{verdict}  {}: {}{hint}", check.name, check.detail)
}

fn of_home(home: &Home, session: &Session, checks: &mut Vec<Check>) {
    let exposed = home.exposed();
    checks.push(match exposed.first() {
        None => Check::ok("permissions", "secrets are readable by their owner only"),
        Some(first) => Check::fail("permissions", first.to_string(), format!("chmod go= {}", first.path.display())),
    });
    checks.push(match home.token() {
        Ok(_) => Check::ok("token", "is there"),
        Err(error) => Check::fail("token", error.to_string(), "restore it from a backup"),
    });
    checks.push(match home.peer_key().map(drop).and_then(|()| home.member_root().map(drop)) {
        Ok(()) => Check::ok("keys", "are there"),
        Err(error) => Check::fail("keys", error.to_string(), "restore the folder `keys` from a backup"),
    });
    checks.push(match home.config(&Overrides::default()) {
        Ok(_) => Check::ok("config", home.config_file().display().to_string()),
        Err(error) => Check::fail("config", error.to_string(), format!("edit {}", home.config_file().display())),
    });
    match home.live_node() {
        Ok(Some(node)) => {
            checks.push(Check::ok("node", format!("process {} runs", node.pid)));
            checks.push(api(&node, session));
        }
        Ok(None) => {
            checks.push(Check::warn("node", "does not run", "start it with `mesto run`"));
            checks.push(lock(home));
        }
        Err(error) => checks.push(Check::fail("node", error.to_string(), "stop the node and start it again")),
    }
}

fn api(node: &NodeInfo, session: &Session) -> Check {
    let answer = Client::new(&node.api, None).and_then(|client| client.health());
    if let Err(error) = answer {
        return Check::fail("api", error.to_string(), "look into the node's log");
    }
    match session.client().and_then(|client| Ok(client.status()?)) {
        Ok(status) if status.version == env!("CARGO_PKG_VERSION") => {
            Check::ok("api", format!("answers at {}", node.api))
        }
        Ok(status) => Check::warn(
            "api",
            format!("the node is of version {}, this command of {}", status.version, env!("CARGO_PKG_VERSION")),
            "restart the node with the newer one",
        ),
        Err(failure) => Check::fail("api", failure.problem().detail.clone(), "give the right --token or --home"),
    }
}

/// Whether a node could start: nobody else holds the home.
fn lock(home: &Home) -> Check {
    match home.lock() {
        Ok(_) => Check::ok("store", "is free"),
        Err(LockError::InUse { .. }) => {
            Check::warn("store", "a node is just starting or stopping", "look again in a moment")
        }
        Err(error @ LockError::Io { .. }) => Check::fail("store", error.to_string(), "check who owns the folder"),
    }
}

fn clock() -> Check {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(now) if now >= CLOCK_MIN => {
            Check::ok("clock", mesto_api::time::rfc3339(u64::try_from(now.as_millis()).unwrap_or(u64::MAX)))
        }
        Ok(_) | Err(_) => Check::fail("clock", "the clock was never set", "set it; NTP does it by itself"),
    }
}

/// Of the nearest folder that exists.
fn disk_space(folder: &Path) -> Check {
    let Some(there) = folder.ancestors().find(|folder| folder.exists()) else {
        return Check::warn("disk", format!("{} is nowhere", folder.display()), "name another folder with --home");
    };
    let hint = "free some, or move the home";
    match fs4::available_space(there) {
        Ok(left) if left < DISK_OUT => Check::fail("disk", format!("{} left", bytes(left)), hint),
        Ok(left) if left < DISK_LOW => Check::warn("disk", format!("{} left", bytes(left)), hint),
        Ok(left) => Check::ok("disk", format!("{} left", bytes(left))),
        Err(error) => Check::warn("disk", format!("{}: {error}", there.display()), hint),
    }
}

fn toolchain() -> Check {
    match mesto_guests::find_toolchain() {
        Some(toolchain) => Check::ok("toolchain", format!("{} builds apps", toolchain.rustc.display())),
        None => Check::warn(
            "toolchain",
            "nothing here compiles apps to WebAssembly",
            "only needed to build apps: `mesto app build` sets it up by itself",
        ),
    }
}
