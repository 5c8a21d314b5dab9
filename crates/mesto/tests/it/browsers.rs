//! The editor's page: its own tests, and people who write in real browsers on real nodes.
//!
//! They need node 20 or newer with npm, and for browsers Chromium. Where these are missing the tests say so and pass.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::apps::{self, path_text};

/// The first major version of node that has all that the page's tests use.
const NODE_VERSION_MIN: u32 = 20;

#[test]
fn f23_two_people_write_one_text_in_two_browsers() {
    let Some(page) = page() else { return };
    let shots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../browser");
    let mut play = Command::new("node");
    play.args(["--test", "browser/nodes.test.mjs"]).current_dir(&page);
    play.env("MESTO_PROGRAM", env!("CARGO_BIN_EXE_mesto"))
        .env("MESTO_BUNDLE", apps::editor())
        .env("MESTO_ARTEFACTS", shots);
    succeeds(&mut play);
}

#[test]
fn the_editors_page_keeps_its_laws_and_is_what_its_sources_give() {
    let Some(page) = page() else { return };
    succeeds(Command::new("node").args(["--test", "test/"]).current_dir(&page));
    succeeds(Command::new("node").args(["build.mjs", "--check"]).current_dir(&page));
}

/// The sources of the page, with what they need; `None` if that cannot be had here. Looked for once, as an install takes
/// away what an earlier one brought.
fn page() -> Option<PathBuf> {
    static PAGE: OnceLock<Option<PathBuf>> = OnceLock::new();
    PAGE.get_or_init(find_page).clone()
}

fn find_page() -> Option<PathBuf> {
    let page = apps::source("editor").join("page");
    let version = Command::new("node").arg("--version").output().ok()?.stdout;
    let major = String::from_utf8_lossy(&version).trim_start_matches('v').split('.').next()?.parse::<u32>().ok()?;
    if major < NODE_VERSION_MIN {
        eprintln!("skipped: node {NODE_VERSION_MIN} or newer is needed, this is {major}");
        return None;
    }
    if !page.join("node_modules/playwright-core").is_dir() {
        let mut install = Command::new("npm");
        install.args(["ci", "--no-audit", "--no-fund", "--prefix", path_text(&page)]);
        if !install.status().is_ok_and(|status| status.success()) {
            eprintln!("skipped: npm cannot install what the page's tests need");
            return None;
        }
    }
    Some(page)
}

fn succeeds(command: &mut Command) {
    let ran = command.output().expect("it can be run");
    assert!(ran.status.success(), "{}\n{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
}
