//! The named types of a schema, each once, under a name of its own.

use super::schema::{Schema, Type};

/// The structs and enums of a schema in the order in which they are met.
#[derive(Default)]
pub(super) struct Names {
    /// The type, and what it is called.
    found: Vec<(Type, String)>,
}

impl Names {
    /// Those of `schema`. `taken` are names that the client uses itself.
    pub(super) fn of(schema: &Schema, taken: &[String]) -> Self {
        let mut names = Self::default();
        for kind in schema.types() {
            names.visit(kind, taken);
        }
        names
    }

    /// In order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Type, &str)> {
        self.found.iter().map(|(kind, name)| (kind, name.as_str()))
    }

    /// What a struct or enum is called here; a reference to one further out by its first bearer.
    pub(super) fn get(&self, kind: &Type) -> &str {
        let found = match kind {
            Type::Reference { name } => self.found.iter().find(|(other, _)| declared(other) == Some(name)),
            other => self.found.iter().find(|(known, _)| known == other),
        };
        found.map_or("unknown", |(_, name)| name)
    }

    fn visit(&mut self, kind: &Type, taken: &[String]) {
        if let Some(name) = declared(kind) {
            if self.found.iter().any(|(known, _)| known == kind) {
                return;
            }
            let free = |name: &String| !taken.contains(name) && !self.found.iter().any(|(_, known)| known == name);
            let mut chosen = name.to_owned();
            for n in 2.. {
                if free(&chosen) {
                    break;
                }
                chosen = format!("{name}{n}");
            }
            self.found.push((kind.clone(), chosen));
        }
        match kind {
            Type::List { of } | Type::Option { of } | Type::Map { of } => self.visit(of, taken),
            Type::Tuple { of } => of.iter().for_each(|of| self.visit(of, taken)),
            Type::Struct { fields, .. } => fields.iter().for_each(|field| self.visit(&field.content, taken)),
            Type::Enum { variants, .. } => variants.iter().filter_map(|v| v.content.as_ref()).for_each(|of| self.visit(of, taken)),
            Type::Unit | Type::Bool | Type::Integer { .. } | Type::Number | Type::String | Type::Bytes => {}
            Type::Reference { .. } | Type::Any => {}
        }
    }
}

fn declared(kind: &Type) -> Option<&str> {
    match kind {
        Type::Struct { name, .. } | Type::Enum { name, .. } => Some(name),
        Type::Unit | Type::Bool | Type::Integer { .. } | Type::Number | Type::String | Type::Bytes => None,
        Type::List { .. } | Type::Tuple { .. } | Type::Option { .. } | Type::Map { .. } | Type::Reference { .. } | Type::Any => None,
    }
}

/// Whether an integer may be beyond 2^53, so that JSON has it as a string.
pub(super) fn is_wide(format: &str) -> bool {
    matches!(format, "u64" | "i64" | "u128" | "i128" | "usize" | "isize")
}

/// A text as one line of a comment that it cannot end.
pub(super) fn comment(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ").replace("*/", "* /")
}

/// `some_name` or `someName` as `SomeName`; what no name can have is left out.
pub(super) fn pascal(name: &str) -> String {
    let mut made = String::new();
    let mut up = true;
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            made.push(if up { c.to_ascii_uppercase() } else { c });
        }
        up = !c.is_ascii_alphanumeric();
    }
    if made.is_empty() || made.starts_with(|c: char| c.is_ascii_digit()) { format!("App{made}") } else { made }
}
