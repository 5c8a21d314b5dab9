//! The chores of the workspace. `cargo xtask` without a command lists them.

mod apps;
mod bench;
mod build;
mod demo;
mod e2e;
mod http;
mod javascript;
mod network;
mod node;
mod sim;
mod stop;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

use workspace::Workspace;

/// One chore: its name, what may follow it, what it does, and the function that does it.
struct Chore {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(&Workspace, &[String]) -> Result<()>,
}

/// The one list from which both the dispatch and the help are made.
const CHORES: [Chore; 8] = [
    Chore {
        name: "demo",
        arguments: "[--once]",
        about: "run three nodes on this machine and watch writes arrive everywhere; --once ends when they did",
        run: demo::run,
    },
    Chore {
        name: "test",
        arguments: "[ARGUMENTS OF cargo test]",
        about: "set up what is missing, check the house rules, and pass every test",
        run: test::run,
    },
    Chore {
        name: "build",
        arguments: "[--release]",
        about: "build the program: target/debug/mesto, or target/release/mesto",
        run: build::run,
    },
    Chore {
        name: "apps", arguments: "[NAME]…", about: "build the sample apps: target/apps/NAME.mpk", run: apps::run
    },
    Chore {
        name: "e2e",
        arguments: "[FILTER]",
        about: "run the end-to-end tests, which drive the real program",
        run: e2e::run,
    },
    Chore {
        name: "sim",
        arguments: "[--seeds N] [--seed S] [--hosts N | --deep] [--once] [--verbose]",
        about: "run the simulator over N seeds (200) from S (1) on",
        run: sim::run,
    },
    Chore {
        name: "bench",
        arguments: "[NAME]…",
        about: "measure the release build; results also go to target/bench/NAME.json",
        run: bench::run,
    },
    Chore {
        name: "tidy",
        arguments: "",
        about: "check the house rules: dependencies, purity, docs, links",
        run: tidy::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let Some((name, rest)) = arguments.split_first() else {
        print!("{}", help());
        return Ok(());
    };
    if ["help", "--help", "-h"].contains(&name.as_str()) {
        print!("{}", help());
        return Ok(());
    }
    let Some(chore) = CHORES.iter().find(|chore| chore.name == name) else {
        bail!("there is no chore `{name}`\n\n{}", help());
    };
    (chore.run)(&Workspace::find()?, rest)
}

fn help() -> String {
    let mut text = "cargo xtask CHORE\n\n".to_owned();
    for chore in &CHORES {
        text.push_str(&format!("  {:<32} {}\n", format!("{} {}", chore.name, chore.arguments), chore.about));
    }
    text.push_str("\nNew here? `cargo xtask demo`, then README.md.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_chore() {
        let text = help();
        for chore in &CHORES {
            assert!(text.contains(&format!("  {} ", chore.name)), "{} is missing", chore.name);
        }
    }

    #[test]
    fn an_unknown_chore_is_refused_with_the_list() {
        let error = dispatch(&["nothing".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("`nothing`") && error.contains("demo"), "{error}");
    }
}
