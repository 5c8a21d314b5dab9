//! Types as the schema shows them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value as Json;

/// A type of an argument, a result, a value in a collection, or an event's payload, as its JSON looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
#[non_exhaustive]
pub enum Type {
    /// `null`.
    Unit,
    /// `true` or `false`.
    Bool,
    /// An integer; as a string if its size exceeds 2^53.
    Integer {
        /// The Rust name: `u8` to `i64`.
        format: &'static str,
    },
    /// A number that need not be an integer.
    Number,
    /// Text.
    String,
    /// Bytes, as base64.
    Bytes,
    /// Whatever: a type whose JSON this description cannot tell.
    Any,
    /// A list.
    List {
        /// Of what.
        of: Box<Type>,
    },
    /// A list of fixed length, each element of its own type.
    Tuple {
        /// The elements.
        of: Vec<Type>,
    },
    /// The value or `null`.
    Option {
        /// The value.
        of: Box<Type>,
    },
    /// An object with arbitrary keys.
    Map {
        /// What the keys are; in JSON they are strings.
        key: Box<Type>,
        /// What the values are.
        of: Box<Type>,
    },
    /// An object with known fields.
    Struct {
        /// The type's name.
        name: &'static str,
        /// Its fields.
        fields: Vec<Field>,
    },
    /// One of several: a variant without content is its name, another is an object of one field, its name.
    Enum {
        /// The type's name.
        name: &'static str,
        /// The variants.
        variants: Vec<Variant>,
    },
    /// A struct or enum that contains itself: the one of this name further out.
    Reference {
        /// The type's name.
        name: &'static str,
    },
}

/// A field of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its name in JSON.
    pub name: &'static str,
    /// Its type.
    #[serde(rename = "type")]
    pub content: Type,
    /// Whether it may be missing though its type is not an option.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// One of the alternatives of an enum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Variant {
    /// Its name in JSON.
    pub name: &'static str,
    /// What it contains, if anything.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub content: Option<Type>,
}

/// A type that the schema can show: `#[derive(app::Describe)]`.
///
/// The derive follows serde's attributes `rename`, `rename_all`, `default`, `skip` and `transparent`; a type that
/// uses others (`tag`, `flatten`, `with`, …) is described as [`Type::Any`].
pub trait Describe {
    /// The type. `within` has the types that are being described, further out.
    fn describe(within: &mut Within) -> Type;
}

/// The types that are being described, from the outside in.
#[derive(Debug, Default)]
pub struct Within(Vec<&'static str>);

impl Within {
    /// Describes a named type, or refers to it if it contains itself. `identity` tells apart types of the same name.
    pub fn named(
        &mut self,
        identity: &'static str,
        name: &'static str,
        describe: impl FnOnce(&mut Self) -> Type,
    ) -> Type {
        if self.0.contains(&identity) {
            return Type::Reference { name };
        }
        self.0.push(identity);
        let described = describe(self);
        self.0.pop();
        described
    }
}

impl Type {
    /// The description of `T`.
    #[must_use]
    pub fn of<T: Describe + ?Sized>() -> Self {
        T::describe(&mut Within::default())
    }

    /// Turns what the border allows beside the plain JSON of the type into that: integers as strings.
    pub(crate) fn admit(&self, value: &mut Json) {
        match self {
            Type::Integer { .. } => {
                if let Json::String(digits) = value
                    && let Some(number) = integer(digits)
                {
                    *value = number;
                }
            }
            Type::List { of } => {
                for element in value.as_array_mut().into_iter().flatten() {
                    of.admit(element);
                }
            }
            Type::Tuple { of } => {
                for (element, of) in value.as_array_mut().into_iter().flatten().zip(of) {
                    of.admit(element);
                }
            }
            Type::Option { of } => of.admit(value),
            Type::Map { of, .. } => {
                for (_, element) in value.as_object_mut().into_iter().flatten() {
                    of.admit(element);
                }
            }
            Type::Struct { fields, .. } => {
                for field in fields {
                    if let Some(value) = value.get_mut(field.name) {
                        field.content.admit(value);
                    }
                }
            }
            Type::Enum { variants, .. } => {
                for Variant { name, content } in variants {
                    if let (Some(content), Some(value)) = (content, value.get_mut(*name)) {
                        content.admit(value);
                    }
                }
            }
            Type::Unit
            | Type::Bool
            | Type::Number
            | Type::String
            | Type::Bytes
            | Type::Any
            | Type::Reference { .. } => {}
        }
    }
}

fn integer(digits: &str) -> Option<Json> {
    let unsigned = digits.parse::<u64>().ok().map(Json::from);
    unsigned.or_else(|| digits.parse::<i64>().ok().map(Json::from))
}

macro_rules! plain {
    ($($of:expr => $($name:ty),*;)*) => {$($(
        impl Describe for $name {
            fn describe(_: &mut Within) -> Type {
                $of
            }
        }
    )*)*};
}

plain! {
    Type::Unit => ();
    Type::Bool => bool;
    Type::Number => f32, f64;
    Type::String => str, String, char;
    Type::Any => Json;
}

macro_rules! integers {
    ($($name:ident)*) => {$(
        impl Describe for $name {
            fn describe(_: &mut Within) -> Type {
                Type::Integer { format: stringify!($name) }
            }
        }
    )*};
}

integers!(u8 u16 u32 u64 i8 i16 i32 i64);

macro_rules! through {
    ($($name:ty),*) => {$(
        impl<T: Describe + ?Sized> Describe for $name {
            fn describe(within: &mut Within) -> Type {
                T::describe(within)
            }
        }
    )*};
}

through!(&T, Box<T>);

macro_rules! lists {
    ($($name:ty),*) => {$(
        impl<T: Describe> Describe for $name {
            fn describe(within: &mut Within) -> Type {
                Type::List { of: Box::new(T::describe(within)) }
            }
        }
    )*};
}

lists!(Vec<T>, [T], BTreeSet<T>);

impl<T: Describe> Describe for Option<T> {
    fn describe(within: &mut Within) -> Type {
        Type::Option { of: Box::new(T::describe(within)) }
    }
}

impl<K: Describe, T: Describe> Describe for BTreeMap<K, T> {
    fn describe(within: &mut Within) -> Type {
        Type::Map { key: Box::new(K::describe(within)), of: Box::new(T::describe(within)) }
    }
}

macro_rules! tuples {
    ($(($($name:ident)*))*) => {$(
        impl<$($name: Describe),*> Describe for ($($name,)*) {
            fn describe(within: &mut Within) -> Type {
                Type::Tuple { of: vec![$($name::describe(within)),*] }
            }
        }
    )*};
}

tuples! {
    (A)
    (A B)
    (A B C)
    (A B C D)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_json_with_a_type_in_each_object() {
        let described = serde_json::to_value(Type::of::<BTreeMap<String, Option<Vec<u32>>>>()).expect("encodes");
        let expected = serde_json::json!({
            "type": "map",
            "key": {"type": "string"},
            "of": {"type": "option", "of": {"type": "list", "of": {"type": "integer", "format": "u32"}}},
        });
        assert_eq!(described, expected);
    }

    #[test]
    fn integers_may_come_as_strings_wherever_the_type_has_integers() {
        let admitted = |described: Type, mut value: Json| {
            described.admit(&mut value);
            value
        };
        assert_eq!(admitted(Type::of::<u64>(), "18446744073709551615".into()), Json::from(u64::MAX));
        assert_eq!(admitted(Type::of::<Option<i64>>(), "-5".into()), Json::from(-5));
        assert_eq!(
            admitted(Type::of::<BTreeMap<String, (u8, String)>>(), serde_json::json!({"a": ["1", "2"]})),
            serde_json::json!({"a": [1, "2"]})
        );
        assert_eq!(admitted(Type::of::<u64>(), "five".into()), Json::from("five"));
    }
}
