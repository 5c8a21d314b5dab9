//! Refusals: problem documents over HTTP, errors of JSON-RPC.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mesto_api::call::RpcError;
use mesto_api::problem::MEDIA_TYPE;
use mesto_api::{ErrorCode, Problem};
use mesto_node::command::{CommandError, Noun};
use mesto_node::executor::CallError;
use serde_json::{Value, json};

/// Why a request was refused.
#[derive(Debug)]
pub(super) struct Refusal(Box<Problem>);

impl Refusal {
    pub(super) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self(Box::new(Problem::new(code, detail)))
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    pub(super) fn data(mut self, data: Value) -> Self {
        self.0.data = Some(data);
        self
    }

    /// What it is.
    pub(super) fn problem(&self) -> &Problem {
        &self.0
    }

    /// An answer of the node that does not fit the question: a fault of ours.
    pub(super) fn mismatch(asked: &str) -> Self {
        tracing::error!(asked, "the node gave an answer of another kind");
        Self::new(ErrorCode::InternalError, format!("the node gave another answer than one to {asked}"))
    }

    /// The same as an error of JSON-RPC.
    pub(super) fn rpc(self) -> RpcError {
        let problem = *self.0;
        RpcError {
            code: problem.code.rpc_code(),
            message: problem.detail,
            kind: problem.code.rpc_type().to_owned(),
            data: problem.data.unwrap_or(Value::Null),
            hint: problem.hint,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = *self.0;
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(code = %problem.code, detail = %problem.detail, "a request failed");
        }
        let text = serde_json::to_vec(&problem).unwrap_or_default(); // a document of texts always encodes
        let mut response = (status, text).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        response
    }
}

impl From<CommandError> for Refusal {
    fn from(error: CommandError) -> Self {
        let detail = error.to_string();
        match error {
            CommandError::Unknown { noun, selector } => unknown(noun, &selector),
            CommandError::Ambiguous { noun, selector, candidates } => {
                let detail = format!("`{selector}` could be any of {} {}", candidates.len(), plural(noun));
                let problem = Problem::new(ErrorCode::Ambiguous, detail)
                    .hint(format!("give more characters; it fits {}", candidates.join(", ")))
                    .data(json!({ "candidates": candidates }));
                Self(Box::new(problem))
            }
            CommandError::Denied(_) => Self::new(ErrorCode::Forbidden, detail),
            CommandError::Invalid(_) | CommandError::NoChange(_) => Self::new(ErrorCode::InvalidArgument, detail),
            CommandError::BadTicket(_) => {
                Self::new(ErrorCode::InvalidTicket, detail).hint("copy the whole ticket, or ask for a new one")
            }
            CommandError::BadCard(_) => Self::new(ErrorCode::InvalidCard, detail)
                .hint("`mesto whoami --new` on the other machine makes one; copy all of it"),
            CommandError::TicketExpired(at_ms) => {
                let at = mesto_api::time::rfc3339(at_ms);
                Self::new(ErrorCode::TicketExpired, format!("the ticket expired at {at}")).hint("ask for a new one")
            }
            CommandError::NotJoined(context) => {
                Self::new(ErrorCode::NotJoined, detail).hint(format!("join it with `mesto context join {context}`"))
            }
            CommandError::NotReady(_) => {
                Self::new(ErrorCode::Uninitialized, detail).hint("it arrives by itself; try again soon")
            }
            CommandError::NotInstalled(_) => {
                Self::new(ErrorCode::ApplicationNotInstalled, detail).hint("install it with `mesto app install FILE`")
            }
            CommandError::ApplicationAwaited(_) => Self::new(ErrorCode::ApplicationNotInstalled, detail)
                .hint("it arrives from any member that is online; try again soon, or `mesto app install FILE`"),
            CommandError::NoApplication => Self::new(ErrorCode::NoApplication, detail).hint("name one with --app"),
            CommandError::KeyMissing(_) => Self::new(ErrorCode::KeyMissing, detail)
                .hint("it arrives from any member that is online; try again soon"),
            CommandError::Busy { .. } | CommandError::TooFast { .. } => Self::new(ErrorCode::LimitExceeded, detail),
            CommandError::Call(error) => error.into(),
            CommandError::Stopping => Self::new(ErrorCode::Stopping, detail),
            _ => Self::new(ErrorCode::InternalError, detail),
        }
    }
}

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        let detail = error.to_string();
        match error {
            CallError::MethodNotFound(_) => Self::new(ErrorCode::MethodNotFound, detail),
            CallError::App { message, data } => {
                let data = serde_json::from_slice(&data).unwrap_or(Value::Null);
                Self(Box::new(Problem::new(ErrorCode::FunctionCallError, message).data(data)))
            }
            CallError::BadArguments(_) | CallError::Trap(_) | CallError::ViewWrites(_) => {
                Self::new(ErrorCode::FunctionCallError, detail)
            }
            CallError::Limit { .. } => Self::new(ErrorCode::LimitExceeded, detail),
            CallError::NotLoaded(_) => Self::new(ErrorCode::ApplicationNotInstalled, detail),
            _ => Self::new(ErrorCode::InternalError, detail),
        }
    }
}

/// Nothing is named so.
pub(super) fn unknown(noun: Noun, selector: &str) -> Refusal {
    let (code, name, hint) = match noun {
        Noun::Group => (ErrorCode::GroupNotFound, "group", "`mesto group ls` lists them"),
        Noun::Context => (ErrorCode::ContextNotFound, "context", "`mesto context ls` lists them"),
        Noun::Application => (ErrorCode::ApplicationNotFound, "application", "`mesto app ls` lists them"),
        Noun::Identity => {
            (ErrorCode::IdentityNotFound, "identity of this node", "`mesto context show CONTEXT` shows it")
        }
        Noun::Member => (
            ErrorCode::MemberNotFound,
            "member",
            "`mesto member ls GROUP` lists them; somebody new is added by the card that `mesto whoami --new` makes",
        ),
        Noun::Invitation => (ErrorCode::InvitationNotFound, "invitation", "`mesto invite ls GROUP` lists them"),
        Noun::Peer => (ErrorCode::PeerNotFound, "peer", "`mesto peers` lists them"),
    };
    Refusal::new(code, format!("there is no {name} `{selector}` here")).hint(hint)
}

fn plural(noun: Noun) -> &'static str {
    match noun {
        Noun::Group => "groups",
        Noun::Context => "contexts",
        Noun::Application => "applications",
        Noun::Identity => "identities",
        Noun::Peer => "peers",
        Noun::Member => "members",
        Noun::Invitation => "invitations",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(error: CommandError) -> ErrorCode {
        Refusal::from(error).0.code
    }

    #[test]
    fn an_unknown_thing_ends_with_status_5_and_an_ambiguous_prefix_with_2() {
        for noun in
            [Noun::Group, Noun::Context, Noun::Application, Noun::Identity, Noun::Peer, Noun::Member, Noun::Invitation]
        {
            let unknown = code(CommandError::Unknown { noun, selector: "x".into() });
            assert_eq!((unknown.exit_status(), unknown.http_status()), (5, 404));
            let candidates = vec!["abcd".to_owned(), "abce".to_owned()];
            let ambiguous = Refusal::from(CommandError::Ambiguous { noun, selector: "abc".into(), candidates });
            assert_eq!(ambiguous.0.code.exit_status(), 2);
            assert_eq!(ambiguous.0.data, Some(json!({"candidates": ["abcd", "abce"]})));
        }
    }

    #[test]
    fn an_apps_own_error_is_carried_as_json() {
        let error = CallError::App { message: "no such key".into(), data: br#"{"NotFound":"k"}"#.to_vec() };
        let rpc = Refusal::from(CommandError::Call(error)).rpc();
        assert_eq!((rpc.kind.as_str(), rpc.message.as_str()), ("FunctionCallError", "no such key"));
        assert_eq!(rpc.data, json!({"NotFound": "k"}));
    }

    #[test]
    fn waiting_calls_beyond_the_bound_are_told_so_with_429() {
        assert_eq!(code(CommandError::Busy { waiting: 1024 }).http_status(), 429);
        assert_eq!(code(CommandError::Denied(String::new())).exit_status(), 4);
        assert_eq!(code(CommandError::TicketExpired(0)), ErrorCode::TicketExpired);
    }

    #[test]
    fn a_refusal_is_a_problem_document() {
        let response = Refusal::new(ErrorCode::NotFound, "no").into_response();
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()[header::CONTENT_TYPE], MEDIA_TYPE);
    }
}
