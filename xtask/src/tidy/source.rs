//! What no Rust source of the project may hold.

use std::path::Path;

use super::Finding;

/// Longest source file, in lines: above that a noun is hiding in it.
const LINES_MAX: usize = 700;
/// File names that say nothing.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "common", "helpers", "misc", "manager", "mod"];
/// The files with code that the compiler cannot check, each with its reason at its top: machine code that this node
/// compiled earlier is loaded, and what `wit-bindgen` generates is let in.
const UNCHECKED: [&str; 3] = ["crates/runtime/src/compiled.rs", "sdk/src/host/bindings.rs", "sdk/macros/src/logic.rs"];
/// The words for such code; in two parts, so that this file is not found by its own rule.
const UNCHECKED_WORDS: [&str; 2] = [concat!("un", "safe"), concat!("un", "safe_code")];
/// Words that mark what is not finished.
const UNFINISHED: [&str; 5] = [
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("db", "g!"),
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
];

/// Checks one source.
pub(crate) fn check(path: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let count = text.lines().count();
    if count > LINES_MAX {
        findings.push(Finding::new(
            path,
            0,
            format!("{count} lines, the limit is {LINES_MAX}: which noun is hiding in it?"),
        ));
    }
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if EMPTY_NAMES.contains(&stem) {
        findings.push(Finding::new(path, 0, format!("`{stem}` says nothing: name the file after what is in it")));
    }
    for (index, line) in text.lines().enumerate() {
        if let Some(word) = UNFINISHED.iter().find(|word| has_word(line, word)) {
            findings.push(Finding::new(path, index + 1, format!("`{word}`: finish it")));
        }
        let code = without_names(code_of(line));
        let word = UNCHECKED_WORDS.iter().find(|word| has_word(&code, word));
        if let Some(word) = word.filter(|_| !UNCHECKED.iter().any(|allowed| path == Path::new(allowed))) {
            findings.push(Finding::new(path, index + 1, format!("`{word}` outside the files named for it")));
        }
    }
    findings
}

/// A line without its comment. A `//` in a string counts as one too, which only makes the rules blind there.
pub(crate) fn code_of(line: &str) -> &str {
    line.split_once("//").map_or(line, |(code, _)| code)
}

/// A line without the names that such words have elsewhere, as in a page's policy. In code neither a hyphen nor a quote
/// can follow them.
fn without_names(code: &str) -> String {
    let word = UNCHECKED_WORDS[0];
    code.replace(&format!("{word}-"), "").replace(&format!("{word}\""), "\"")
}

/// The lines before the tests at the end of a file.
pub(crate) fn without_tests(text: &str) -> impl Iterator<Item = &str> {
    text.lines().take_while(|line| *line != "#[cfg(test)]")
}

/// Whether `word` is in `text`, and not as a part of a longer word.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    let is_part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let bytes = text.as_bytes();
    text.match_indices(word).any(|(at, found)| {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        !is_part(before) && !is_part(bytes.get(at + found.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(path: &str, source: &str) -> Vec<String> {
        check(Path::new(path), source).into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn a_long_file_is_found() {
        assert_eq!(texts("a.rs", &"\n".repeat(LINES_MAX)), [""; 0]);
        assert!(texts("a.rs", &"\n".repeat(LINES_MAX + 1))[0].contains("701 lines"));
    }

    #[test]
    fn a_name_that_says_nothing_is_found() {
        assert_eq!(texts("src/utils.rs", "").len(), 1);
        assert_eq!(texts("src/a/mod.rs", "").len(), 1);
    }

    #[test]
    fn unfinished_work_is_found() {
        for word in UNFINISHED {
            assert_eq!(texts("a.rs", &format!("    {word}(1) // later")).len(), 1, "{word}");
        }
    }

    #[test]
    fn unchecked_code_is_found_outside_its_files() {
        for word in UNCHECKED_WORDS {
            let source = format!("allow({word}) {{ }}");
            assert_eq!(texts("crates/mesto/src/a.rs", &source).len(), 1);
            assert_eq!(texts(UNCHECKED[0], &source), [""; 0]);
            assert_eq!(texts("crates/mesto/src/a.rs", &format!("// {source}")), [""; 0]);
        }
        let names = format!("\"script-src 'wasm-{0}-eval'\", \"{0}\"", UNCHECKED_WORDS[0]);
        assert_eq!(texts("crates/mesto/src/a.rs", &names), [""; 0]);
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("a rand::b", "rand") && has_word("rand", "rand"));
        assert!(!has_word("operand random", "rand") && !has_word("rand_core", "rand"));
    }
}
