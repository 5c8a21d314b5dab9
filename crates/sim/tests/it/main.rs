//! Networks of nodes under faults.

mod wasm;

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

#[test]
fn members_come_together_whatever_goes_wrong() {
    let mut crashes = 0;
    let mut lies = 0;
    for seed in 1..=120 {
        let outcome = run_twice(seed, &Profile::of(seed));
        demand(&outcome);
        crashes += outcome.counts.get("crashes").copied().unwrap_or_default();
        lies += outcome.counts.get("equivocations").copied().unwrap_or_default();
    }
    assert!(crashes > 20 && lies > 20, "the seeds are not all calm: {crashes} crashes, {lies} equivocations");
}

#[test]
fn eight_members_rule_themselves_and_those_who_break_the_rules_gain_nothing() {
    let mut counts = std::collections::BTreeMap::new();
    for seed in 1..=30 {
        let outcome = run_twice(seed, &Profile::wide(seed, 8));
        demand(&outcome);
        for (what, count) in outcome.counts {
            *counts.entry(what).or_insert(0) += count;
        }
    }
    for what in ["acts", "backdated puppets", "forged epochs", "claimed keys", "ops after all knew"] {
        assert!(counts.get(what).copied().unwrap_or_default() > 0, "no {what}: {counts:?}");
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
