//! What happened, as streams tell it.

use std::sync::{Arc, OnceLock};

use mesto_api::event::{Emitted, Envelope, EventLine, Happened, Mutation};
use mesto_governance::{ContextId, GroupId};
use mesto_node::Event;
use mesto_oplog::id::to_text;
use serde_json::{Value, json};

use crate::driver::{ContextEvent, ContextEventKind};

/// Bytes that a message has beside what the app emitted, about.
const OVERHEAD: usize = 400;

/// Something to tell, written when somebody first wants it.
pub(super) struct Told {
    event: Arc<ContextEvent>,
    text: OnceLock<Box<str>>,
}

impl Told {
    pub(super) fn new(event: Arc<ContextEvent>) -> Self {
        Self { event, text: OnceLock::new() }
    }

    pub(super) fn context(&self) -> Option<ContextId> {
        self.event.context
    }

    /// Whether it is told only to those who listen when it happens.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self.event.kind, ContextEventKind::Ephemeral { .. })
    }

    pub(super) fn group(&self) -> GroupId {
        self.event.group
    }

    /// About how much memory it takes.
    pub(super) fn len(&self) -> usize {
        let payloads = match &self.event.kind {
            ContextEventKind::StateMutation { events, .. } => events.iter().map(|event| event.payload.len()).sum(),
            ContextEventKind::Ephemeral { saying, .. } => saying.payload.len(),
            ContextEventKind::SyncStatus { .. }
            | ContextEventKind::MemberAdded { .. }
            | ContextEventKind::MemberRemoved { .. }
            | ContextEventKind::ContextAdded => 0,
        };
        // Once as the app wrote it, once in the text.
        OVERHEAD + 2 * payloads
    }

    /// `{"result":{…}}`.
    pub(super) fn text(&self) -> &str {
        self.text.get_or_init(|| {
            let envelope = Envelope { result: self.happened() };
            serde_json::to_string(&envelope).unwrap_or_default().into_boxed_str() // JSON values always encode
        })
    }

    /// The lines that it is in a list.
    pub(super) fn lines(&self) -> Vec<EventLine> {
        self.happened().lines()
    }

    fn happened(&self) -> Happened {
        let (kind, data) = kind_and_data(&self.event.kind);
        Happened {
            context_id: self.event.context.map(|context| context.to_string()),
            group_id: Some(self.event.group.to_string()),
            seq: self.event.seq,
            kind: kind.to_owned(),
            data,
        }
    }
}

fn kind_and_data(kind: &ContextEventKind) -> (&'static str, Value) {
    match kind {
        ContextEventKind::StateMutation { new_root, events, delta, author } => {
            let emitted = |event: &Event| Emitted {
                kind: event.kind.clone(),
                data: serde_json::from_slice(&event.payload).unwrap_or(Value::Null),
                handler: event.handler.clone(),
            };
            let mutation = Mutation {
                new_root: to_text(new_root),
                events: events.iter().map(emitted).collect(),
                delta_id: Some(delta.to_string()),
                author: Some(author.to_string()),
            };
            ("StateMutation", serde_json::to_value(mutation).unwrap_or_default()) // texts and JSON always encode
        }
        ContextEventKind::Ephemeral { author, sent_ms, saying } => {
            let payload: Value = serde_json::from_slice(&saying.payload).unwrap_or(Value::Null);
            let said =
                json!({ "kind": saying.kind, "payload": payload, "author": author.to_string(), "sentMs": sent_ms });
            ("Ephemeral", said)
        }
        ContextEventKind::SyncStatus { root } => ("SyncStatus", json!({ "rootHash": to_text(root) })),
        ContextEventKind::MemberAdded { member } => ("MemberAdded", json!({ "memberId": member.to_string() })),
        ContextEventKind::MemberRemoved { member } => ("MemberRemoved", json!({ "memberId": member.to_string() })),
        ContextEventKind::ContextAdded => ("ContextAdded", json!({})),
    }
}
