//! Attributes that the macros read: documentation and serde's.

use syn::{Attribute, Expr, ExprLit, Lit, LitStr, Meta};

/// The text of the doc comment.
pub(crate) fn documentation(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) => Some(line.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// What serde's attributes of a type, variant or field say, as far as the schema can follow.
#[derive(Default)]
pub(crate) struct Serde {
    pub(crate) rename: Option<String>,
    pub(crate) rename_all: Option<String>,
    pub(crate) rename_all_fields: Option<String>,
    pub(crate) skip: bool,
    pub(crate) optional: bool,
    pub(crate) transparent: bool,
    /// Something that changes the JSON in a way that the schema does not follow.
    pub(crate) opaque: bool,
}

impl Serde {
    pub(crate) fn of(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut serde = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            attribute.parse_nested_meta(|meta| {
                let name = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
                let text = match meta.value() {
                    Ok(value) => value.parse::<LitStr>().ok().map(|text| text.value()),
                    Err(_) => {
                        // `rename(serialize = …)` and the like have a list instead of a value.
                        if meta.input.peek(syn::token::Paren) {
                            let list;
                            syn::parenthesized!(list in meta.input);
                            list.parse::<proc_macro2::TokenStream>()?;
                            serde.opaque |= name != "bound";
                            return Ok(());
                        }
                        None
                    }
                };
                match name.as_str() {
                    "rename" => serde.rename = text,
                    "rename_all" => serde.rename_all = text,
                    "rename_all_fields" => serde.rename_all_fields = text,
                    "skip" => serde.skip = true,
                    "default" | "skip_serializing_if" => serde.optional = true,
                    "transparent" => serde.transparent = true,
                    "crate" | "bound" | "deny_unknown_fields" | "alias" | "expecting" | "borrow" => {}
                    _ => serde.opaque = true,
                }
                Ok(())
            })?;
        }
        Ok(serde)
    }
}

/// serde's `rename_all` for the name of a field.
pub(crate) fn rename_field(name: &str, rule: Option<&str>) -> Option<String> {
    let words: Vec<&str> = name.split('_').filter(|word| !word.is_empty()).collect();
    Some(match rule {
        None | Some("snake_case" | "lowercase") => name.to_owned(),
        Some("UPPERCASE" | "SCREAMING_SNAKE_CASE") => name.to_uppercase(),
        Some("PascalCase") => words.iter().map(|word| capital(word)).collect(),
        Some("camelCase") => lower_first(&words.iter().map(|word| capital(word)).collect::<String>()),
        Some("kebab-case") => name.replace('_', "-"),
        Some("SCREAMING-KEBAB-CASE") => name.to_uppercase().replace('_', "-"),
        Some(_) => return None,
    })
}

/// serde's `rename_all` for the name of a variant.
pub(crate) fn rename_variant(name: &str, rule: Option<&str>) -> Option<String> {
    let mut snake = String::new();
    for (index, letter) in name.char_indices() {
        if index > 0 && letter.is_uppercase() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    Some(match rule {
        None | Some("PascalCase") => name.to_owned(),
        Some("lowercase") => name.to_lowercase(),
        Some("UPPERCASE") => name.to_uppercase(),
        Some("camelCase") => lower_first(name),
        Some(rule) => return rename_field(&snake, Some(rule)),
    })
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn lower_first(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_serdes_rules() {
        for (rule, field, variant) in [
            (None, "due_date", "DueDate"),
            (Some("snake_case"), "due_date", "due_date"),
            (Some("camelCase"), "dueDate", "dueDate"),
            (Some("PascalCase"), "DueDate", "DueDate"),
            (Some("lowercase"), "due_date", "duedate"),
            (Some("UPPERCASE"), "DUE_DATE", "DUEDATE"),
            (Some("SCREAMING_SNAKE_CASE"), "DUE_DATE", "DUE_DATE"),
            (Some("kebab-case"), "due-date", "due-date"),
            (Some("SCREAMING-KEBAB-CASE"), "DUE-DATE", "DUE-DATE"),
        ] {
            assert_eq!(rename_field("due_date", rule).as_deref(), Some(field), "{rule:?}");
            assert_eq!(rename_variant("DueDate", rule).as_deref(), Some(variant), "{rule:?}");
        }
        assert_eq!(rename_field("a", Some("Reverse")), None);
    }
}
