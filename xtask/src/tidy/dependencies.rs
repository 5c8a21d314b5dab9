//! Who may depend on whom.

use std::collections::BTreeSet;

use super::{Finding, PURE};
use crate::workspace::Package;

/// The packages that each package of the workspace may depend on. Directions are those of ARCHITECTURE.md.
const EDGES: [(&str, &[&str]); 16] = [
    ("mesto-crdt", &[]),
    ("mesto-oplog", &[]),
    ("mesto-governance", &["mesto-oplog"]),
    ("mesto-sync", &["mesto-oplog", "mesto-crdt", "mesto-governance"]),
    ("mesto-node", &["mesto-oplog", "mesto-crdt", "mesto-governance", "mesto-sync"]),
    ("mesto-runtime", &["mesto-crdt", "mesto-node", "mesto-governance", "mesto-oplog"]),
    ("mesto-bundle", &[]),
    ("mesto-attest", &[]),
    ("mesto-api", &[]),
    ("mesto-guests", &[]),
    ("mesto-net", &[]),
    ("mesto-sdk", &["mesto-sdk-macros", "mesto-crdt"]),
    ("mesto-sdk-macros", &[]),
    (
        "mesto-sim",
        &["mesto-oplog", "mesto-crdt", "mesto-governance", "mesto-sync", "mesto-node", "mesto-sdk", "mesto-app-"],
    ),
    (
        "mesto",
        &[
            "mesto-oplog",
            "mesto-crdt",
            "mesto-governance",
            "mesto-sync",
            "mesto-node",
            "mesto-net",
            "mesto-runtime",
            "mesto-bundle",
            "mesto-attest",
            "mesto-api",
            "mesto-guests",
        ],
    ),
    ("xtask", &["mesto-guests", "mesto-bundle", "mesto-api"]),
];
/// Names of the sample apps begin so; they see the SDK only.
const APP_PREFIX: &str = "mesto-app-";
/// What the sample apps may depend on.
const APP_EDGES: &[&str] = &["mesto-sdk"];
/// External packages of the pure core: they compute, and touch neither clock nor file nor socket.
const PURE_EXTERNAL: [&str; 13] = [
    "blake3",
    "borsh",
    "chacha20poly1305",
    "data-encoding",
    "ed25519-dalek",
    "hpke",
    "imbl",
    "serde",
    "serde_json",
    "sha2",
    "subtle",
    "thiserror",
    "zeroize",
];

/// Checks the directions, the outside of the pure core, and that every external package is explained in `explained`.
pub(crate) fn check(packages: &[Package], explained: Option<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        findings.extend(check_edges(package));
        findings.extend(check_pure(package));
    }
    findings.extend(check_explained(packages, explained.unwrap_or_default()));
    findings
}

fn check_edges(package: &Package) -> Vec<Finding> {
    let name = package.name.as_str();
    let allowed = if name.starts_with(APP_PREFIX) {
        APP_EDGES
    } else {
        match EDGES.iter().find(|(found, _)| *found == name) {
            Some((_, allowed)) => allowed,
            None => {
                return vec![Finding::new(
                    &package.manifest,
                    0,
                    format!("{name} is in no rule: say on what it may depend"),
                )];
            }
        }
    };
    let may =
        |used: &str| allowed.iter().any(|one| used == *one || (*one == APP_PREFIX && used.starts_with(APP_PREFIX)));
    let wrong = inner(package).filter(|used| !may(used));
    wrong.map(|used| Finding::new(&package.manifest, 0, format!("{name} must not depend on {used}"))).collect()
}

fn check_pure(package: &Package) -> Vec<Finding> {
    let is_pure = package.name.strip_prefix("mesto-").is_some_and(|name| PURE.contains(&name));
    let wrong = external(package).filter(|used| is_pure && !PURE_EXTERNAL.contains(&used.as_str()));
    let text = |used: &String| format!("{} is of the pure core, which does not know {used}", package.name);
    wrong.map(|used| Finding::new(&package.manifest, 0, text(used))).collect()
}

/// Each external package is explained once, whoever depends on it.
fn check_explained(packages: &[Package], explained: &str) -> Vec<Finding> {
    let used: BTreeSet<&String> = packages.iter().flat_map(external).collect();
    let missing = used.into_iter().filter(|name| !explained.contains(&format!("`{name}`")));
    missing
        .map(|name| Finding::new("docs/dependencies.md", 0, format!("`{name}` has no line: why this one?")))
        .collect()
}

fn inner(package: &Package) -> impl Iterator<Item = &String> {
    package.dependencies.iter().filter(|name| is_ours(name))
}

fn external(package: &Package) -> impl Iterator<Item = &String> {
    package.dependencies.iter().filter(|name| !is_ours(name))
}

fn is_ours(name: &str) -> bool {
    name == "mesto" || name == "xtask" || name.starts_with("mesto-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, inner: &[&str], external: &[&str]) -> Package {
        let dependencies = inner.iter().chain(external).map(|name| (*name).to_owned()).collect();
        Package { name: name.to_owned(), manifest: "Cargo.toml".into(), dependencies, targets: Vec::new() }
    }

    fn texts(packages: &[Package], explained: &str) -> Vec<String> {
        check(packages, Some(explained)).into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn an_edge_against_the_direction_is_found() {
        assert_eq!(texts(&[package("mesto-node", &["mesto-oplog"], &[])], ""), [""; 0]);
        assert_eq!(
            texts(&[package("mesto-crdt", &["mesto-node"], &[])], ""),
            ["mesto-crdt must not depend on mesto-node"]
        );
        assert_eq!(
            texts(&[package("mesto-app-kv", &["mesto-crdt"], &[])], ""),
            ["mesto-app-kv must not depend on mesto-crdt"]
        );
        assert_eq!(texts(&[package("mesto-sim", &["mesto-app-kv"], &[])], ""), [""; 0]);
    }

    #[test]
    fn a_package_without_a_rule_is_found() {
        assert!(texts(&[package("mesto-new", &[], &[])], "")[0].contains("mesto-new is in no rule"));
    }

    #[test]
    fn io_in_the_pure_core_is_found() {
        assert!(texts(&[package("mesto-sync", &[], &["tokio"])], "`tokio`")[0].contains("does not know tokio"));
        assert_eq!(texts(&[package("mesto", &[], &["tokio"])], "`tokio`"), [""; 0]);
    }

    #[test]
    fn an_unexplained_dependency_is_found() {
        assert!(texts(&[package("mesto", &[], &["serde"])], "`serde_json`: JSON")[0].contains("`serde` has no line"));
    }
}
