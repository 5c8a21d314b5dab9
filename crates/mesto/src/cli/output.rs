//! What commands print: data on standard output, everything else on standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::process;

use comfy_table::{ContentArrangement, Table, presets};
use mesto_api::ErrorCode;
use serde::Serialize;
use serde_json::Value;

use super::failure::Failure;

/// How many characters of an id tables show: enough to tell thousands of ids apart, and any prefix of at
/// least four is accepted wherever an id is.
const ID_SHOWN_LEN: usize = 12;

/// Where and how a command prints.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    verbose: bool,
}

impl Output {
    pub(crate) fn new(json: bool, quiet: bool, verbose: bool) -> Self {
        Self { json, quiet, verbose }
    }

    /// Whether data is printed as JSON.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Whether notes are left out.
    pub(crate) fn quiet(&self) -> bool {
        self.quiet
    }

    /// Whether more is said.
    pub(crate) fn verbose(&self) -> bool {
        self.verbose
    }

    /// Whether a person looks at standard output and wants text.
    pub(crate) fn for_a_person(&self) -> bool {
        !self.json && io::stdout().is_terminal()
    }

    /// Prints a result: as one JSON object, or as text that `text` makes.
    pub(crate) fn object<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        if self.json { self.json_line(value) } else { self.text(&text(value)) }
    }

    /// Prints a list: as one JSON array, or as a table with a row for each element.
    pub(crate) fn list<T: Serialize, const N: usize>(
        &self,
        values: &[T],
        header: [&str; N],
        row: impl Fn(&T) -> [String; N],
    ) -> Result<(), Failure> {
        if self.json {
            return self.json_line(&values);
        }
        if values.is_empty() {
            self.note("none");
            return Ok(());
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(header.map(str::to_uppercase));
        for value in values {
            table.add_row(row(value));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        self.text(&table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n"))
    }

    /// Prints one object of a stream.
    pub(crate) fn json_line(&self, value: &impl Serialize) -> Result<(), Failure> {
        let mut line =
            serde_json::to_string(value).map_err(|error| Failure::new(ErrorCode::InternalError, error.to_string()))?;
        line.push('\n');
        self.data(line.as_bytes())
    }

    /// Prints text and a line end.
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        let mut line = text.trim_end_matches('\n').to_owned();
        line.push('\n');
        self.data(line.as_bytes())
    }

    /// Writes bytes as they are.
    pub(crate) fn data(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            // Whoever reads has seen enough, as `head` does: that is no failure of ours.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => process::exit(0),
            Err(error) => Err(Failure::new(ErrorCode::FileError, format!("standard output: {error}"))),
        }
    }

    /// Tells a person something that is not data.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{text}"); // a note that nobody can read is no failure
        }
    }

    /// Shows why the command failed: one line of cause and one of what to do, or one JSON object.
    pub(crate) fn failure(&self, failure: &Failure) {
        let problem = failure.problem();
        let text = if self.json {
            let shown = Shown {
                error: ShownError {
                    code: problem.code,
                    detail: &problem.detail,
                    hint: problem.hint.as_deref(),
                    data: problem.data.as_ref(),
                },
            };
            serde_json::to_string(&shown).unwrap_or_default() // texts and JSON always encode
        } else {
            let mut text = format!("error: {}", problem.detail);
            if let Some(data) = &problem.data {
                text.push_str(&format!("\ndata: {data}"));
            }
            if let Some(hint) = &problem.hint {
                text.push_str(&format!("\nhint: {hint}"));
            }
            text
        };
        let _ = writeln!(io::stderr(), "{text}"); // there is nowhere else to say it
    }
}

/// A failure as JSON.
#[derive(Serialize)]
struct Shown<'a> {
    error: ShownError<'a>,
}

#[derive(Serialize)]
struct ShownError<'a> {
    code: ErrorCode,
    detail: &'a str,
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
}

/// An id as tables show it.
pub(crate) fn short(id: &str) -> String {
    id.get(..ID_SHOWN_LEN).unwrap_or(id).to_owned()
}

/// What is there, or a dash.
pub(crate) fn or_dash(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

/// Lines of a name and a value each, aligned.
pub(crate) fn fields<const N: usize>(rows: [(&str, String); N]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter().map(|(name, value)| format!("{name:width$}  {value}")).collect::<Vec<_>>().join("\n")
}

/// A number of bytes as people read it.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or("B");
    if unit == 0 { format!("{count} {name}") } else { format!("{value:.1} {name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(64 * 1024 * 1024), "64.0 MiB");
    }

    #[test]
    fn names_and_values_are_aligned() {
        assert_eq!(fields([("a", "1".to_owned()), ("long", "2".to_owned())]), "a     1\nlong  2");
    }

    #[test]
    fn ids_are_shortened_and_short_names_kept() {
        assert_eq!(short(&"a".repeat(52)), "a".repeat(12));
        assert_eq!(short("kv"), "kv");
    }
}
