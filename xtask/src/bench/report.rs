//! Figures, as a table for people and as JSON for programs.

use serde_json::json;

/// A figure that another is compared with.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Reference {
    /// What it is.
    pub(crate) what: String,
    /// In the unit of the figure beside it.
    pub(crate) value: f64,
}

#[derive(Clone, PartialEq, Debug)]
struct Figure {
    what: String,
    value: f64,
    unit: &'static str,
    reference: Option<Reference>,
}

/// What one benchmark found.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Report {
    figures: Vec<Figure>,
}

impl Report {
    /// Adds a figure.
    pub(crate) fn add(
        &mut self,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
        reference: Option<Reference>,
    ) {
        self.figures.push(Figure { what: what.into(), value, unit, reference });
    }

    /// The figures as lines of a table, which Markdown understands too.
    pub(crate) fn table(&self) -> String {
        let mut rows = vec![["what", "figure", "beside it", "ratio"].map(str::to_owned)];
        for figure in &self.figures {
            let beside = figure.reference.as_ref();
            rows.push([
                figure.what.clone(),
                format!("{} {}", rounded(figure.value), figure.unit),
                beside.map_or_else(String::new, |r| format!("{} {} ({})", rounded(r.value), figure.unit, r.what)),
                beside.map_or_else(String::new, |r| format!("{:.2}", figure.value / r.value)),
            ]);
        }
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths = [width(0), width(1), width(2), width(3)];
        let mut text = String::new();
        for (index, row) in rows.iter().enumerate() {
            let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
            if index == 0 {
                let lines: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                text.push_str(&format!("| {} |\n", lines.join(" | ")));
            }
        }
        text
    }

    /// The figures as JSON.
    pub(crate) fn json(&self, name: &str) -> String {
        let figures: Vec<_> = self
            .figures
            .iter()
            .map(|figure| {
                let beside = figure.reference.as_ref().map(|r| json!({ "what": r.what, "value": r.value }));
                json!({ "what": figure.what, "value": figure.value, "unit": figure.unit, "beside": beside })
            })
            .collect();
        format!("{:#}\n", json!({ "bench": name, "figures": figures }))
    }
}

/// Three digits that mean something.
fn rounded(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::default();
        report.add("kv.set", 1234.56, "/s", Some(Reference { what: "store".to_owned(), value: 2469.12 }));
        report.add("memory", 2.71, "MiB", None);
        report
    }

    #[test]
    fn figures_stand_beside_their_references() {
        let table = report().table();
        assert!(table.contains("| kv.set | 1235 /s  | 2469 /s (store) | 0.50  |"), "{table}");
        assert!(table.contains("| memory | 2.71 MiB |                 |       |"), "{table}");
    }

    #[test]
    fn programs_get_every_figure_in_full() {
        let json: serde_json::Value = serde_json::from_str(&report().json("calls")).unwrap();
        assert_eq!(json["figures"][0]["value"], 1234.56);
        assert_eq!(json["figures"][1]["beside"], serde_json::Value::Null);
    }
}
