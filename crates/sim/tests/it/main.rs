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
