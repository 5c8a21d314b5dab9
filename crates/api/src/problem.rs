//! Problem documents (RFC 9457).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::code::ErrorCode;

/// The media type of a [`Problem`].
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was refused, as a document.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// A URI that names the kind of problem: `urn:mesto:error:` and the code.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The kind of problem in a few words.
    #[serde(default)]
    pub title: String,
    /// The HTTP status.
    #[serde(default)]
    pub status: u16,
    /// What to switch on.
    #[schemars(with = "String")]
    pub code: ErrorCode,
    /// What happened, to what.
    #[serde(default)]
    pub detail: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// More for programs: an app's own error, the candidates of an ambiguous prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Value>,
}

impl Problem {
    /// A problem without hint or data.
    #[must_use]
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:mesto:error:{code}"),
            title: code.meaning().to_owned(),
            status: code.http_status(),
            code,
            detail: detail.into(),
            hint: None,
            data: None,
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with data.
    #[must_use]
    pub fn data(mut self, data: serde_json::Value) -> Self {
        self.data = Some(data);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_the_members_of_rfc_9457_and_ours() {
        let problem = Problem::new(ErrorCode::ContextNotFound, "there is no context `x`").hint("list them");
        assert_eq!(
            serde_json::to_value(&problem).unwrap(),
            serde_json::json!({
                "type": "urn:mesto:error:ContextNotFound",
                "title": "No context has this id, prefix or name.",
                "status": 404,
                "code": "ContextNotFound",
                "detail": "there is no context `x`",
                "hint": "list them",
            })
        );
    }
}
