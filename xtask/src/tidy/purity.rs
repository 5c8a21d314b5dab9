//! What code of the pure core must not mention, and must explain.

use std::path::Path;

use super::source::{code_of, has_word, without_tests};
use super::{Finding, PURE};

/// Names whose appearance in code means IO, a clock, a thread, or an order that differs between runs.
const BANNED: [(&str, &str); 16] = [
    ("std::fs", "files are the shells' business"),
    ("std::net", "sockets are the shells' business"),
    ("std::thread", "running side by side is the shells' business"),
    ("std::process", "processes are the shells' business"),
    ("std::env", "the environment is the shells' business"),
    ("Instant", "time comes in as an argument"),
    ("SystemTime", "time comes in as an argument"),
    ("HashMap", "its order differs between runs: take BTreeMap or imbl::OrdMap"),
    ("HashSet", "its order differs between runs: take BTreeSet or imbl::OrdSet"),
    ("tokio", "tasks are the shells' business"),
    ("rand", "randomness comes in as an argument"),
    ("getrandom", "randomness comes in as an argument"),
    ("thread_local", "machines have no globals"),
    ("static mut", "machines have no globals"),
    ("println", "machines do not print"),
    ("eprintln", "machines do not print"),
];

/// Checks one source of the pure core.
pub(crate) fn check(path: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines: Vec<&str> = without_tests(text).collect();
    for (index, line) in lines.iter().enumerate() {
        let code = code_of(line);
        for (name, why) in BANNED {
            if has_word(code, name) {
                findings.push(Finding::new(path, index + 1, format!("`{name}` in the pure core: {why}")));
            }
        }
        if is_public_item(code) && !is_documented(lines.get(..index).unwrap_or_default()) {
            findings.push(Finding::new(path, index + 1, "a public item of the pure core has no doc comment"));
        }
    }
    findings
}

/// Checks that the pure crates have clippy settings, and the same ones.
pub(crate) fn check_settings<'a>(settings: impl Fn(&str) -> Option<&'a str>) -> Vec<Finding> {
    let first = PURE.iter().find_map(|name| settings(name));
    let differs = PURE.iter().filter(|name| settings(name).is_none() || settings(name) != first);
    let text = "is missing or differs from those of the other pure crates";
    differs.map(|name| Finding::new(format!("crates/{name}/clippy.toml"), 0, text)).collect()
}

/// Whether a line begins an item or field that other crates can see. Modules explain themselves in their own file,
/// and re-exported items where they are defined.
fn is_public_item(code: &str) -> bool {
    match code.trim_start().strip_prefix("pub ") {
        Some(rest) => !rest.starts_with("mod ") && !rest.starts_with("use "),
        None => false,
    }
}

/// Whether a doc comment ends the lines before an item, with attributes in between.
fn is_documented(before: &[&str]) -> bool {
    let mut in_attribute = false;
    for line in before.iter().rev().map(|line| line.trim()) {
        // In a macro, the one who calls it brings the comment.
        if line.starts_with("///") || line.starts_with("$(#[$") {
            return true;
        }
        if line.starts_with("#[") {
            in_attribute = false;
        } else if line.ends_with(")]") {
            in_attribute = true;
        } else if !in_attribute {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<String> {
        check(Path::new("a.rs"), source).into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn clocks_files_and_unordered_maps_are_found() {
        for source in ["use std::fs;", "let m: HashMap<u8, u8>;", "let now = Instant::now();", "tokio::spawn(x);"] {
            assert_eq!(texts(source).len(), 1, "{source}");
        }
    }

    #[test]
    fn comments_tests_and_longer_words_are_not() {
        let source =
            "// no HashMap here\nlet operand = 1;\nlet instantly = 2;\n#[cfg(test)]\nmod tests { use std::fs; }\n";
        assert_eq!(texts(source), [""; 0]);
    }

    #[test]
    fn a_public_item_without_a_doc_comment_is_found() {
        assert_eq!(texts("pub struct A;").len(), 1);
        assert_eq!(texts("/// A.\n#[derive(\n    Clone,\n)]\n#[must_use]\npub struct A;"), [""; 0]);
        assert_eq!(texts("$(#[$doc])*\npub struct $name;"), [""; 0]);
        assert_eq!(texts("pub mod a;\npub use a::A;\npub(crate) fn f() {}"), [""; 0]);
    }

    #[test]
    fn differing_settings_are_found() {
        let findings = check_settings(|name| Some(if name == "sync" { "other" } else { "same" }));
        assert_eq!(findings.len(), 1);
        assert_eq!(check_settings(|_| None).len(), PURE.len());
    }
}
