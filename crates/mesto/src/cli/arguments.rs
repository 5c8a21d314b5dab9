//! Arguments of methods, as people type them: a JSON object, `@FILE`, `-`, or KEY=VALUE pairs.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use mesto_api::ErrorCode;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::failure::Failure;

/// Longest arguments that are read from a file or standard input: more than a call may carry.
const ARGUMENTS_LEN_MAX: u64 = 16 * 1024 * 1024;

/// The arguments that these words are. `is_string` tells whether the app wants text under a name; it is asked
/// only for KEY=VALUE pairs.
pub(super) fn read(
    words: &[String],
    is_string: impl FnOnce() -> Result<Box<dyn Fn(&str) -> bool>, Failure>,
) -> Result<Box<RawValue>, Failure> {
    match words {
        [] => object("{}"),
        [one] if is_whole(one) => object(one),
        pairs => {
            if let Some(whole) = pairs.iter().find(|word| is_whole(word)) {
                return Err(Failure::usage(format!("`{whole}` cannot stand beside other arguments")).hint(FORMS));
            }
            self::pairs(pairs, &*is_string()?)
        }
    }
}

const FORMS: &str = "give one JSON object, @FILE, - for standard input, or KEY=VALUE pairs";

/// Whether a word is all of the arguments.
fn is_whole(word: &str) -> bool {
    word == "-" || word.starts_with(['@', '{'])
}

/// One JSON object, given as text, `@FILE` or `-`.
pub(super) fn object(word: &str) -> Result<Box<RawValue>, Failure> {
    let text = match word.strip_prefix('@') {
        Some(path) => read_file(Path::new(path))?,
        None if word == "-" => read_all("standard input", io::stdin().lock())?,
        None => word.to_owned(),
    };
    let text = text.trim();
    let raw: Box<RawValue> = serde_json::from_str(text)
        .map_err(|error| Failure::usage(format!("the arguments are not JSON: {error}")).hint(FORMS))?;
    if !raw.get().starts_with('{') {
        return Err(Failure::usage("the arguments are not a JSON object").hint(FORMS));
    }
    Ok(raw)
}

fn read_file(path: &Path) -> Result<String, Failure> {
    let file = fs::File::open(path).map_err(|error| Failure::file(path, &error))?;
    read_all(&path.display().to_string(), file)
}

fn read_all(name: &str, reader: impl io::Read) -> Result<String, Failure> {
    let mut text = String::new();
    let read = reader.take(ARGUMENTS_LEN_MAX + 1).read_to_string(&mut text);
    match read {
        Err(error) => Err(Failure::new(ErrorCode::FileError, format!("{name}: {error}"))),
        Ok(len) if len as u64 > ARGUMENTS_LEN_MAX => {
            Err(Failure::new(ErrorCode::PayloadTooLarge, format!("{name} is longer than {ARGUMENTS_LEN_MAX} bytes")))
        }
        Ok(_) => Ok(text),
    }
}

fn pairs(words: &[String], is_string: &dyn Fn(&str) -> bool) -> Result<Box<RawValue>, Failure> {
    let mut arguments = Map::new();
    for word in words {
        let Some((key, text)) = word.split_once('=') else {
            return Err(Failure::usage(format!("`{word}` is neither JSON nor KEY=VALUE")).hint(FORMS));
        };
        let value = if is_string(key) {
            Value::String(text.to_owned())
        } else {
            serde_json::from_str(text).map_err(|_| {
                Failure::usage(format!("`{text}` is not JSON, and the app does not say that `{key}` is text"))
                    .hint(format!("for text write {key}='\"…\"'"))
            })?
        };
        if arguments.insert(key.to_owned(), value).is_some() {
            return Err(Failure::usage(format!("`{key}` is given twice")));
        }
    }
    serde_json::value::to_raw_value(&arguments)
        .map_err(|error| Failure::new(ErrorCode::InternalError, error.to_string()))
}

/// Whether `method` takes text under `key`, by the app's schema.
pub(super) fn takes_text(schema: &Value, method: &str, key: &str) -> bool {
    named(&schema["methods"], method)
        .and_then(|method| named(&method["args"], key))
        .is_some_and(|argument| is_text(&argument["type"]))
}

fn named<'a>(list: &'a Value, name: &str) -> Option<&'a Value> {
    list.as_array()?.iter().find(|element| element["name"] == name)
}

/// Whether a type is a string in JSON: text, bytes (as base64), or either that may be absent.
fn is_text(kind: &Value) -> bool {
    match kind["type"].as_str() {
        Some("string" | "bytes") => true,
        Some("option") => is_text(&kind["of"]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn given(words: &[&str]) -> Result<Value, Failure> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let raw = read(&words, || Ok(Box::new(|key: &str| key == "name")))?;
        Ok(serde_json::from_str(raw.get()).unwrap())
    }

    #[test]
    fn nothing_means_no_arguments() {
        assert_eq!(given(&[]).unwrap(), json!({}));
    }

    #[test]
    fn a_json_object_is_taken_as_it_is() {
        assert_eq!(given(&[r#" {"a":[1,"b=c"]}"#.trim()]).unwrap(), json!({"a": [1, "b=c"]}));
    }

    #[test]
    fn a_value_is_text_where_the_app_says_so_and_json_elsewhere() {
        assert_eq!(given(&["name=12", "count=12"]).unwrap(), json!({"name": "12", "count": 12}));
        assert_eq!(given(&["name=a=b", "flag=true"]).unwrap(), json!({"name": "a=b", "flag": true}));
        assert_eq!(given(&["name=", r#"list=["x"]"#]).unwrap(), json!({"name": "", "list": ["x"]}));
    }

    #[test]
    fn a_file_holds_the_arguments() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "{\"from\": \"file\"}\n").unwrap();
        assert_eq!(given(&[&format!("@{}", file.path().display())]).unwrap(), json!({"from": "file"}));
    }

    #[test]
    fn the_schema_says_what_is_text() {
        let schema = json!({"methods": [{"name": "set", "args": [
            {"name": "key", "type": {"type": "string"}},
            {"name": "note", "type": {"type": "option", "of": {"type": "string"}}},
            {"name": "count", "type": {"type": "integer", "format": "u32"}},
            {"name": "list", "type": {"type": "list", "of": {"type": "string"}}}]}]});
        let text = |key| takes_text(&schema, "set", key);
        assert!(text("key") && text("note"));
        assert!(!text("count") && !text("list") && !text("other"));
        assert!(!takes_text(&schema, "get", "key"));
        assert!(!takes_text(&Value::Null, "set", "key"));
    }

    #[test]
    fn what_is_none_of_these_is_a_usage_error() {
        for words in [&["nothing"][..], &["count=abc"], &["[1]"], &["{"], &["{}", "a=1"], &["a=1", "a=2"]] {
            let failure = given(words).unwrap_err();
            assert_eq!(failure.code().exit_status(), 2, "{words:?}");
        }
        assert_eq!(given(&["@/nowhere/at/all"]).unwrap_err().code().exit_status(), 5);
    }
}
