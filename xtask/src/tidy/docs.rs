//! What documents, and all files, must keep.

use std::path::Path;

use super::Finding;

/// Beginnings of paths that exist on one machine only; in two parts, so that this file is not found by its own rule.
const MACHINE_PATHS: [&str; 5] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/Use", "rs/"),
    concat!("../sha", "red/"),
    concat!("/tmp/tar", "get-"),
];

/// Finds paths of somebody's machine.
pub(crate) fn check_machine_paths(path: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(found) = MACHINE_PATHS.iter().find(|found| stands_alone(line, found)) {
            findings.push(Finding::new(path, index + 1, format!("`{found}` is a path of one machine")));
        }
    }
    findings
}

/// Finds links of a document that lead nowhere. Links to other sites are not followed.
pub(crate) fn check_links(path: &Path, text: &str, exists: impl Fn(&Path) -> bool) -> Vec<Finding> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut findings = Vec::new();
    let mut in_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        let targets = line.match_indices("](").filter_map(|(at, _)| Some(line.get(at + 2..)?.split_once(')')?.0));
        for target in targets.filter(|_| !in_code) {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !target.contains("://") && !exists(&folder.join(file)) {
                findings.push(Finding::new(path, index + 1, format!("the link to `{target}` leads nowhere")));
            }
        }
    }
    findings
}

/// Finds tests that a document names and that do not exist. A name of at least four words in back quotes is a test's.
pub(crate) fn check_test_names(path: &Path, text: &str, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let quoted = line.split('`').skip(1).step_by(2);
        let names = quoted.filter(|name| name.matches('_').count() >= 3 && name.bytes().all(is_of_a_name));
        for name in names.filter(|name| !exists(name)) {
            findings.push(Finding::new(path, index + 1, format!("there is no test `{name}`")));
        }
    }
    findings
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

/// Whether `found` begins a path in `line`, rather than being in the midst of one, as in a URL.
fn stands_alone(line: &str, found: &str) -> bool {
    let bytes = line.as_bytes();
    line.match_indices(found).any(|(at, _)| {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        !before.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"./-_~".contains(byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_one_machine_is_found() {
        for found in MACHINE_PATHS {
            assert_eq!(check_machine_paths(Path::new("a.md"), &format!("see {found}x")).len(), 1, "{found}");
        }
        assert_eq!(check_machine_paths(Path::new("a.md"), "see https://example.org/how/we/wo/rk/"), []);
    }

    #[test]
    fn a_test_that_does_not_exist_is_found() {
        let text = "| `there_is_a_test`, `there_is_no_test` | `too_short` `not::a_test_name_at_all`";
        let found = check_test_names(Path::new("a.md"), text, |name| name == "there_is_a_test");
        assert_eq!(found, [Finding::new("a.md", 1, "there is no test `there_is_no_test`")]);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let exists = |path: &Path| path == Path::new("docs/there.md");
        let check = |text: &str| check_links(Path::new("docs/a.md"), text, exists).len();
        assert_eq!(check("[a](there.md#part) [b](https://example.org) [c](#here)"), 0);
        assert_eq!(check("[a](gone.md)"), 1);
        assert_eq!(check("```\n[a](gone.md)\n```"), 0);
    }
}
