//! Events, as streams and lists show them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One event on one line: what an app emitted, or what happened to a context or its group.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventLine {
    /// Counts what this node told since it started. Several events of one delta share it.
    pub seq: u64,
    /// The context; none for what concerns the group alone.
    pub context_id: Option<String>,
    /// The event's name: the app's own for what it emitted, else the type of the [`Envelope`].
    pub kind: String,
    /// What it carries.
    pub payload: Value,
    /// The delta that brought it.
    pub delta_id: Option<String>,
    /// Who wrote that delta.
    pub author: Option<String>,
}

/// A message of a stream.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Envelope {
    /// What happened.
    pub result: Happened,
}

/// What happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Happened {
    /// The context; none for what concerns the group alone.
    #[serde(default)]
    pub context_id: Option<String>,
    /// The group.
    #[serde(default)]
    pub group_id: Option<String>,
    /// Counts what this node told since it started.
    #[serde(default)]
    pub seq: u64,
    /// `StateMutation`, `SyncStatus`, `MemberAdded`, `MemberRemoved`, `ContextUpgraded` or `Ephemeral`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it carries; of a `StateMutation` a [`Mutation`].
    #[serde(default)]
    pub data: Value,
}

/// `data` of a `StateMutation`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mutation {
    /// The root hash after it.
    pub new_root: String,
    /// What the app emitted.
    #[serde(default)]
    pub events: Vec<Emitted>,
    /// The delta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta_id: Option<String>,
    /// Who wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
}

/// Something that an app emitted.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Emitted {
    /// The event's name in the app's schema.
    pub kind: String,
    /// What it carries.
    pub data: Value,
    /// The method that receivers run once, if any.
    #[serde(default)]
    pub handler: Option<String>,
}

impl Happened {
    /// The lines that this is: one for each event that the app emitted, else one for what happened.
    #[must_use]
    pub fn lines(self) -> Vec<EventLine> {
        let Self { context_id, group_id, seq, kind, data } = self;
        let line = |kind: String, payload: Value, mutation: Option<&Mutation>| EventLine {
            seq,
            context_id: context_id.clone(),
            kind,
            payload,
            delta_id: mutation.and_then(|m| m.delta_id.clone()),
            author: mutation.and_then(|m| m.author.clone()),
        };
        if kind == "StateMutation"
            && let Ok(mutation) = serde_json::from_value::<Mutation>(data.clone())
        {
            if mutation.events.is_empty() {
                return vec![line(kind, serde_json::json!({ "newRoot": mutation.new_root }), Some(&mutation))];
            }
            return mutation.events.iter().map(|e| line(e.kind.clone(), e.data.clone(), Some(&mutation))).collect();
        }
        let mut payload = data;
        if let (Value::Object(fields), Some(group_id)) = (&mut payload, group_id) {
            fields.entry("groupId").or_insert(Value::String(group_id));
        }
        vec![line(kind, payload, None)]
    }
}

/// The first message of a stream.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Opened {
    /// `connect`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Names the stream in subscriptions.
    pub session_id: String,
    /// Whether a stream that broke goes on without a gap; absent if the stream is a new one by request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<bool>,
}

/// Asks a stream to carry, or to stop carrying, what happens in contexts and groups.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Subscription {
    /// The stream.
    pub id: String,
    /// `subscribe` or `unsubscribe`.
    pub method: String,
    /// Of what.
    #[serde(default)]
    pub params: Topics,
}

/// What a stream carries.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Topics {
    /// Contexts: ids, prefixes or names.
    #[serde(default)]
    pub context_ids: Vec<String>,
    /// Groups, with all of their contexts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group_ids: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn mutation(events: Value) -> Happened {
        let json = json!({"contextId": "c", "groupId": "g", "seq": 3, "type": "StateMutation",
            "data": {"newRoot": "r", "deltaId": "d", "author": "a", "events": events}});
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn each_emitted_event_is_a_line() {
        let lines =
            mutation(json!([{"kind": "Set", "data": {"key": "k"}, "handler": null}, {"kind": "Len", "data": 2}]))
                .lines();
        assert_eq!(lines.len(), 2);
        assert_eq!(
            serde_json::to_value(&lines[0]).unwrap(),
            json!({"seq": 3, "contextId": "c", "kind": "Set", "payload": {"key": "k"}, "deltaId": "d", "author": "a"})
        );
        assert_eq!(lines[1].payload, json!(2));
    }

    #[test]
    fn a_silent_mutation_is_one_line() {
        let lines = mutation(json!([])).lines();
        assert_eq!(lines.len(), 1);
        assert_eq!((lines[0].kind.as_str(), &lines[0].payload), ("StateMutation", &json!({"newRoot": "r"})));
    }

    #[test]
    fn what_concerns_a_group_names_it() {
        let happened: Happened =
            serde_json::from_value(json!({"groupId": "g", "seq": 1, "type": "MemberAdded", "data": {"memberId": "m"}}))
                .unwrap();
        let lines = happened.lines();
        assert_eq!(lines[0].payload, json!({"memberId": "m", "groupId": "g"}));
        assert_eq!(lines[0].context_id, None);
    }
}
