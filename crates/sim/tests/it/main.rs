//! Networks of nodes under faults.

mod wasm;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use mesto_sim::{App, Outcome, Profile, regressions, run, run_twice};

fn demand(outcome: &Outcome) {
    let violations: Vec<String> = outcome.violations.iter().map(ToString::to_string).collect();
    assert!(
        violations.is_empty(),
        "seed {} broke rules: {violations:#?}\nrepeat: cargo xtask sim --seeds 1 --seed {}",
        outcome.seed,
        outcome.seed
    );
}

/// Runs seeds on all cores, the first `twice` of them twice, and adds up what happened.
fn all(seeds: RangeInclusive<u64>, twice: u64, profile: impl Fn(u64) -> Profile + Sync) -> BTreeMap<&'static str, u64> {
    let (first, last) = (*seeds.start(), *seeds.end());
    let next = AtomicU64::new(first);
    let counts = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > last {
                return;
            }
            let profile = profile(seed);
            let outcome = if seed < first + twice { run_twice(seed, &profile) } else { run(seed, profile, false) };
            demand(&outcome);
            let mut counts = counts.lock().unwrap();
            for (what, count) in outcome.counts {
                *counts.entry(what).or_insert(0) += count;
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
    counts.into_inner().unwrap()
}

/// Seeds that show nothing show nothing: each of these must have happened.
fn demand_all(counts: &BTreeMap<&'static str, u64>, happened: &[(&str, u64)]) {
    for (what, least) in happened {
        assert!(counts.get(what).copied().unwrap_or_default() >= *least, "less than {least} {what}: {counts:?}");
    }
}

#[test]
fn members_come_together_whatever_goes_wrong() {
    let counts = all(1..=120, 120, Profile::of);
    demand_all(&counts, &[("crashes", 20), ("equivocations", 20)]);
}

#[test]
fn eight_members_rule_themselves_and_those_who_break_the_rules_gain_nothing() {
    let counts = all(1..=1000, 30, |seed| Profile::wide(seed, 8));
    let lies = ["backdated puppets", "forged epochs", "claimed keys", "ops after all knew", "withheld parents"];
    demand_all(&counts, &lies.map(|lie| (lie, 20)));
    demand_all(&counts, &[("acts", 2000), ("hosts with void deltas", 200)]);
}

#[test]
fn members_of_groups_below_groups_come_to_the_same_verdicts() {
    let counts = all(1..=150, 15, Profile::deep);
    demand_all(&counts, &[("contexts of subgroups judged", 100), ("void deltas in subgroups", 10)]);
}

#[test]
fn deep_seeds_that_once_failed_still_pass() {
    for (seed, found) in regressions::DEEP_SEEDS {
        let outcome = run(*seed, Profile::deep(*seed), false);
        assert!(outcome.violations.is_empty(), "seed {seed} ({found}): {:?}", outcome.violations);
    }
}

#[test]
fn wide_seeds_that_once_failed_still_pass() {
    for (seed, found) in regressions::WIDE_SEEDS {
        let outcome = run(*seed, Profile::wide(*seed, 8), false);
        assert!(outcome.violations.is_empty(), "seed {seed} ({found}): {:?}", outcome.violations);
    }
}

#[test]
fn seeds_that_once_failed_still_pass() {
    for (seed, found) in regressions::SEEDS {
        let outcome = run(*seed, Profile { app: App::Collections, ..Profile::of(*seed) }, false);
        assert!(outcome.violations.is_empty(), "seed {seed} ({found}): {:?}", outcome.violations);
    }
}

#[test]
fn a_calm_network_works_and_answers_calls() {
    for app in [App::Collections, App::Kv] {
        let outcome = run(7, Profile { app, ..Profile::calm(3) }, false);
        demand(&outcome);
        assert!(outcome.counts.get("calls").copied().unwrap_or_default() > 10, "{:?}", outcome.counts);
    }
}

#[test]
fn another_seed_takes_another_course() {
    let [one, other] = [1, 2].map(|seed| run(seed, Profile::calm(2), false));
    assert_ne!(one.trace, other.trace);
}
