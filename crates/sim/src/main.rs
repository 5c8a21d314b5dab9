//! `mesto-sim --seeds N --seed S [--verbose]`: runs seeds, and tells which broke a rule.

use std::collections::BTreeMap;
use std::process::ExitCode;

use mesto_sim::{Outcome, Profile, run, run_twice};

/// A line of progress comes after so many seeds.
const LINE_EVERY: u64 = 50;
/// Events shown before a violation.
const LINES_MAX: usize = 1_000_000;

const USAGE: &str = "usage: mesto-sim [--seeds N] [--seed S] [--hosts N] [--deep] [--once] [--verbose]
  --seeds N   how many seeds to run (default 200)
  --seed S    the first (default 1)
  --hosts N   so many hosts whose people all use their rights, instead of what the seed says
  --deep      people who live in groups below groups, instead of what the seed says
  --once      run each seed once: do not look whether a second run takes the same course
  --verbose   show what happened";

struct Options {
    seeds: u64,
    first: u64,
    hosts: Option<usize>,
    is_deep: bool,
    is_once: bool,
    is_verbose: bool,
}

fn main() -> ExitCode {
    let Some(options) = options(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let mut totals = BTreeMap::new();
    let mut failed = 0;
    for (done, seed) in (1..).zip(options.first..options.first.saturating_add(options.seeds)) {
        let profile = match options.hosts {
            _ if options.is_deep => Profile::deep(seed),
            Some(hosts) => Profile::wide(seed, hosts),
            None => Profile::of(seed),
        };
        let outcome = if options.is_verbose || options.is_once {
            run(seed, profile, options.is_verbose)
        } else {
            run_twice(seed, &profile)
        };
        for (what, count) in &outcome.counts {
            *totals.entry(*what).or_insert(0) += count;
        }
        *totals.entry("events").or_insert(0) += outcome.events;
        if options.is_verbose {
            show(&outcome);
        }
        if !outcome.violations.is_empty() {
            failed += 1;
            tell(&outcome, &options);
        }
        if done % LINE_EVERY == 0 {
            println!("{done} of {} seeds, {failed} failed", options.seeds);
        }
    }
    let totals: Vec<String> = totals.iter().map(|(what, count)| format!("{count} {what}")).collect();
    println!("{} seeds, {failed} failed; {}", options.seeds, totals.join(", "));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options { seeds: 200, first: 1, hosts: None, is_deep: false, is_once: false, is_verbose: false };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seeds" => options.seeds = arguments.next()?.parse().ok()?,
            "--seed" => options.first = arguments.next()?.parse().ok()?,
            "--hosts" => options.hosts = Some(arguments.next()?.parse().ok()?),
            "--deep" => options.is_deep = true,
            "--once" => options.is_once = true,
            "--verbose" => options.is_verbose = true,
            _ => return None,
        }
    }
    Some(options)
}

fn tell(outcome: &Outcome, options: &Options) {
    println!("seed {}: {:?}", outcome.seed, outcome.profile);
    for violation in &outcome.violations {
        println!("  {violation}");
    }
    let hosts = options.hosts.map(|hosts| format!(" --hosts {hosts}")).unwrap_or_default();
    let deep = if options.is_deep { " --deep" } else { "" };
    println!("  repeat: cargo xtask sim --seeds 1 --seed {}{hosts}{deep}", outcome.seed);
}

fn show(outcome: &Outcome) {
    let from = outcome.lines.len().saturating_sub(LINES_MAX);
    for line in outcome.lines.get(from..).unwrap_or_default() {
        println!("{line}");
    }
    println!("seed {}: {} events, ended at {} ms", outcome.seed, outcome.events, outcome.ended / 1000);
}
