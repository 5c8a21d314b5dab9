//! What answers are wrapped in.

use serde::{Deserialize, Serialize};

/// A success.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Data<T> {
    /// The answer.
    pub data: T,
}

/// A success that is a list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    /// The elements.
    pub data: Vec<T>,
    /// Where the next page begins; none if this one ends the list.
    pub next_cursor: Option<String>,
}

impl<T> List<T> {
    /// A list that is complete.
    #[must_use]
    pub fn whole(data: Vec<T>) -> Self {
        Self { data, next_cursor: None }
    }
}
