//! A schema as it is read: what an app's `describe` gives.

use serde::Deserialize;

/// The version of schemas that is understood.
const VERSION: u32 = 1;

/// What an app takes, gives and tells.
#[derive(Deserialize, Debug)]
pub(super) struct Schema {
    schema: u32,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) methods: Vec<Method>,
    #[serde(default)]
    pub(super) events: Vec<Variant>,
}

#[derive(Deserialize, Debug)]
pub(super) struct Method {
    pub(super) name: String,
    pub(super) kind: String,
    #[serde(default)]
    pub(super) doc: Option<String>,
    #[serde(default)]
    pub(super) args: Vec<Field>,
    #[serde(default)]
    pub(super) result: Type,
}

#[derive(Deserialize, Clone, PartialEq, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) content: Type,
    #[serde(default)]
    pub(super) optional: bool,
}

#[derive(Deserialize, Clone, PartialEq, Debug)]
pub(super) struct Variant {
    pub(super) name: String,
    #[serde(rename = "type", default)]
    pub(super) content: Option<Type>,
}

#[derive(Deserialize, Clone, PartialEq, Debug, Default)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(super) enum Type {
    #[default]
    Unit,
    Bool,
    Integer {
        format: String,
    },
    Number,
    String,
    Bytes,
    List {
        of: Box<Type>,
    },
    Tuple {
        of: Vec<Type>,
    },
    Option {
        of: Box<Type>,
    },
    Map {
        of: Box<Type>,
    },
    Struct {
        name: String,
        fields: Vec<Field>,
    },
    Enum {
        name: String,
        variants: Vec<Variant>,
    },
    Reference {
        name: String,
    },
    /// Whatever, and kinds of types that this version does not know.
    #[serde(other)]
    Any,
}

/// Why a text is no schema.
#[derive(Debug, thiserror::Error)]
pub(super) enum SchemaError {
    #[error("this is no schema: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("the schema is of version {0}, this is for version {VERSION}: update Mesto")]
    OtherVersion(u32),
}

impl Schema {
    pub(super) fn parse(text: &str) -> Result<Self, SchemaError> {
        let schema: Self = serde_json::from_str(text)?;
        if schema.schema == VERSION { Ok(schema) } else { Err(SchemaError::OtherVersion(schema.schema)) }
    }

    /// The app's name, for types of the client.
    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("App")
    }

    /// Methods that can be called: all but `init`.
    pub(super) fn callable(&self) -> impl Iterator<Item = &Method> {
        self.methods.iter().filter(|method| method.kind != "init")
    }

    /// Every type that is mentioned, those inside of others left to the caller.
    pub(super) fn types(&self) -> impl Iterator<Item = &Type> {
        let of_methods = self.callable().flat_map(|method| method.args.iter().map(|arg| &arg.content).chain([&method.result]));
        of_methods.chain(self.events.iter().filter_map(|event| event.content.as_ref()))
    }
}
