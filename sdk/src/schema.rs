//! What an app tells about itself: `describe` of the WIT world, as JSON.
//!
//! ```json
//! {"schema": 1, "name": "Kv",
//!  "methods": [{"name": "set", "kind": "mutate", "args": [{"name": "key", "type": {"type": "string"}}],
//!               "result": {"type": "unit"}}],
//!  "events": [{"name": "Set", "type": {"type": "struct", "name": "Set", "fields": []}}],
//!  "state": [{"name": "items", "kind": "map", "key": {"type": "string"},
//!             "of": {"kind": "value", "type": {"type": "string"}}}]}
//! ```
//!
//! Readers ignore fields that they do not know; `schema` grows when that is not enough.

use serde::Serialize;

use crate::describe::Type;

/// The version of the schema's format.
pub const SCHEMA_VERSION: u32 = 1;

/// An app as callers see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Schema {
    /// The version of this format.
    pub schema: u32,
    /// The name of the state's type.
    pub name: &'static str,
    /// The methods, in order of the source.
    pub methods: Vec<Method>,
    /// The events that it may emit.
    pub events: Vec<EventKind>,
    /// The fields of the state.
    pub state: Vec<StateField>,
}

/// What a method may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MethodKind {
    /// Reads.
    View,
    /// Reads and writes.
    Mutate,
    /// Makes the first state, once.
    Init,
}

/// A method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Method {
    /// Its name.
    pub name: &'static str,
    /// What it may do.
    pub kind: MethodKind,
    /// Its documentation; empty if it has none.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub doc: &'static str,
    /// Its arguments, in order of the source; they are given by name.
    pub args: Vec<Argument>,
    /// What it returns.
    pub result: Type,
    /// Whether it may refuse with an error of the app's own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fallible: bool,
    /// Whether it cannot be called from outside.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub private: bool,
}

/// An argument of a method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// Its type. An option may be left out.
    #[serde(rename = "type")]
    pub content: Type,
}

/// A kind of event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventKind {
    /// Its name.
    pub name: &'static str,
    /// Its payload.
    #[serde(rename = "type")]
    pub content: Type,
}

/// A field of the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StateField {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    #[serde(flatten)]
    pub shape: Shape,
}

/// What a field of the state or an entry of a map is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
#[non_exhaustive]
pub enum Shape {
    /// A plain value in a map.
    Value {
        /// Its type.
        #[serde(rename = "type")]
        content: Type,
    },
    /// A register.
    Register {
        /// What it holds.
        of: Type,
    },
    /// A counter.
    Counter,
    /// A map.
    Map {
        /// What the keys are.
        key: Type,
        /// What it holds.
        of: Box<Shape>,
    },
    /// A set.
    Set {
        /// What the members are.
        of: Type,
    },
    /// A text.
    Text,
    /// A list.
    List {
        /// What the items are.
        of: Type,
    },
    /// What each node keeps for itself.
    Private {
        /// What the keys are, if there are several values.
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<Type>,
        /// What is kept.
        of: Type,
    },
}
