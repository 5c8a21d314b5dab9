//! What the runtime reads in an app's schema: which methods there are and what they may do.

use std::collections::BTreeMap;

use mesto_node::executor::MethodKind;
use serde::Deserialize;

/// Longest schema, in bytes. A page of text for each of a thousand methods.
pub(crate) const SCHEMA_BYTES_MAX: usize = 4 << 20;
/// Most methods.
const METHODS_MAX: usize = 4_096;
/// The version of the format that we read.
const VERSION: u32 = 1;

/// Why an app's schema cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// It is too long.
    #[error("a schema of {bytes} bytes; at most {max} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// It is not JSON of the form that `sdk/wit` and the SDK describe.
    #[error("the schema cannot be read: {0}")]
    Malformed(String),
    /// It is of a version that this node does not know.
    #[error("the schema has version {0}, this node reads version {VERSION}")]
    UnknownVersion(u32),
    /// Two methods have one name, or two are to make the first state.
    #[error("the schema has `{0}` twice")]
    Duplicate(String),
    /// There are too many methods.
    #[error("{count} methods; at most {METHODS_MAX} are allowed")]
    TooManyMethods {
        /// How many.
        count: usize,
    },
}

/// The methods of an app.
#[derive(Debug)]
pub(crate) struct Methods {
    by_name: BTreeMap<String, Entry>,
    init: Option<String>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    kind: MethodKind,
    private: bool,
}

impl Methods {
    /// Reads a schema.
    pub(crate) fn read(schema: &str) -> Result<Self, SchemaError> {
        let (bytes, max) = (schema.len(), SCHEMA_BYTES_MAX);
        if bytes > max {
            return Err(SchemaError::TooLong { bytes, max });
        }
        let malformed = |error: serde_json::Error| SchemaError::Malformed(error.to_string());
        let Version { schema: version } = serde_json::from_str(schema).map_err(malformed)?;
        if version != VERSION {
            return Err(SchemaError::UnknownVersion(version));
        }
        let Schema { methods } = serde_json::from_str(schema).map_err(malformed)?;
        if methods.len() > METHODS_MAX {
            return Err(SchemaError::TooManyMethods { count: methods.len() });
        }
        let mut by_name = BTreeMap::new();
        let mut init = None;
        for Method { name, kind, private } in methods {
            let kind = kind.into();
            if kind == MethodKind::Init && init.replace(name.clone()).is_some() {
                return Err(SchemaError::Duplicate("init".to_owned()));
            }
            if by_name.insert(name.clone(), Entry { kind, private }).is_some() {
                return Err(SchemaError::Duplicate(name));
            }
        }
        Ok(Self { by_name, init })
    }

    /// What a method may do; `None` if it cannot be called from outside.
    pub(crate) fn kind(&self, method: &str) -> Option<MethodKind> {
        self.by_name.get(method).filter(|entry| !entry.private).map(|entry| entry.kind)
    }

    /// The method that makes the first state.
    pub(crate) fn init(&self) -> Option<&str> {
        self.init.as_deref()
    }
}

#[derive(Deserialize)]
struct Version {
    schema: u32,
}

#[derive(Deserialize)]
struct Schema {
    methods: Vec<Method>,
}

#[derive(Deserialize)]
struct Method {
    name: String,
    kind: Kind,
    #[serde(default)]
    private: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    View,
    Mutate,
    Init,
}

impl From<Kind> for MethodKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::View => Self::View,
            Kind::Mutate => Self::Mutate,
            Kind::Init => Self::Init,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_methods_cannot_be_called_from_outside() {
        let methods = Methods::read(
            r#"{"schema":1,"methods":[
                {"name":"a","kind":"view","args":[]},
                {"name":"b","kind":"mutate","private":true},
                {"name":"start","kind":"init"}]}"#,
        )
        .expect("well-formed");
        assert_eq!(methods.kind("a"), Some(MethodKind::View));
        assert_eq!(methods.kind("b"), None);
        assert_eq!(methods.init(), Some("start"));
    }

    #[test]
    fn a_schema_that_cannot_be_used_is_refused_by_its_fault() {
        let refused = |schema: &str| Methods::read(schema).expect_err("refused");
        assert!(matches!(refused("{}"), SchemaError::Malformed(_)));
        assert_eq!(refused(r#"{"schema":2}"#), SchemaError::UnknownVersion(2));
        let twice = r#"{"schema":1,"methods":[{"name":"a","kind":"view"},{"name":"a","kind":"view"}]}"#;
        assert_eq!(refused(twice), SchemaError::Duplicate("a".to_owned()));
        let inits = r#"{"schema":1,"methods":[{"name":"a","kind":"init"},{"name":"b","kind":"init"}]}"#;
        assert_eq!(refused(inits), SchemaError::Duplicate("init".to_owned()));
        let long = " ".repeat(SCHEMA_BYTES_MAX + 1);
        assert!(matches!(refused(&long), SchemaError::TooLong { .. }));
    }
}
