//! `POST /sse/subscription` and `GET /admin-api/events`: what subscribers want.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use mesto_api::ErrorCode;
use mesto_api::event::{self, Subscription};
use mesto_node::command::CommandError;
use serde_json::json;

use super::body::{self, Json};
use super::auth::Caller;
use super::auth::permission::Right;
use super::gate::Asked;
use super::refusal::Refusal;
use super::session::{Session, Topics};
use super::{Shared, Serving, contexts, groups};

/// Names every group, now and later.
const EVERYTHING: &str = "*";

/// Contexts and groups in one request.
const NAMED_MAX: usize = 1024;

pub(super) async fn subscription(State(shared): Serving, Asked(caller): Asked, Json(request): Json<Subscription>) -> Result<Response, Refusal> {
    let Some(session) = shared.hub.session(&request.id, caller.grant) else {
        return Err(Refusal::new(ErrorCode::InvalidArgument, format!("there is no stream `{}`", request.id))
            .hint("open one with GET /sse; its first message names it"));
    };
    let on = match request.method.as_str() {
        "subscribe" => true,
        "unsubscribe" => false,
        other => {
            return Err(Refusal::new(ErrorCode::InvalidArgument, format!("`{other}` is neither subscribe nor unsubscribe")));
        }
    };
    let now = change(&shared, &caller, &session, &request.params, on).await?;
    let text = json!({ "id": request.id, "result": now }).to_string();
    Ok(body::raw_json(text.into_bytes()))
}

/// Subscribes, or takes it back; gives the full ids of what was named.
pub(super) async fn change(
    shared: &Shared,
    caller: &Caller,
    session: &Session,
    named: &event::Topics,
    on: bool,
) -> Result<event::Topics, Refusal> {
    let topics = resolve(shared, caller, named).await?;
    let resolved = event::Topics {
        context_ids: topics.contexts.iter().map(ToString::to_string).collect(),
        group_ids: topics.groups.iter().map(ToString::to_string).chain(topics.everything.then(|| EVERYTHING.to_owned())).collect(),
    };
    if session.subscribe(topics, on) {
        Ok(resolved)
    } else {
        Err(Refusal::new(ErrorCode::LimitExceeded, "a stream cannot carry so many contexts").hint("subscribe to groups, or to `*`"))
    }
}

async fn resolve(shared: &Shared, caller: &Caller, named: &event::Topics) -> Result<Topics, Refusal> {
    if named.context_ids.len() + named.group_ids.len() > NAMED_MAX {
        return Err(Refusal::new(ErrorCode::LimitExceeded, format!("name at most {NAMED_MAX} at once")));
    }
    let mut topics = Topics::default();
    for context in &named.context_ids {
        caller.may_in(Right::ContextRead, context).map_err(|refusal| *refusal)?;
        topics.contexts.insert(contexts::find(shared, context.clone()).await?.context);
    }
    if !named.group_ids.is_empty() {
        caller.may(Right::NodeRead, None).map_err(|refusal| *refusal)?;
    }
    for group in &named.group_ids {
        if group == EVERYTHING {
            topics.everything = true;
        } else {
            topics.groups.insert(groups::find(shared, group.clone()).await?.group);
        }
    }
    Ok(topics)
}

/// What happened lately, in the contexts that `?context=` names (it may be there several times), or in all.
pub(super) async fn recent(State(shared): Serving, Asked(caller): Asked, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    let query = query.unwrap_or_default();
    let mut named = event::Topics::default();
    for pair in query.split('&') {
        if let Some(context) = pair.strip_prefix("context=") {
            named.context_ids.push(unescape(context)?);
        }
    }
    if named.context_ids.is_empty() {
        caller.may(Right::NodeRead, None).map_err(|refusal| *refusal)?;
    }
    let topics = resolve(&shared, &caller, &named).await?;
    let wanted = |context: Option<_>| topics.contexts.is_empty() || context.is_some_and(|context| topics.contexts.contains(&context));
    let recent = shared.hub.recent();
    body::list(recent.iter().filter(|told| wanted(told.context())).flat_map(|told| told.lines()).collect())
}

/// A value of a query without its escapes.
fn unescape(text: &str) -> Result<String, Refusal> {
    let bad = || Refusal::from(CommandError::Invalid(format!("`{text}` is not a well-formed value of a query")));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'%' => {
                let (digits, after) = rest.split_at_checked(2).ok_or_else(bad)?;
                bytes.extend(hex::decode(digits).map_err(|_| bad())?);
                rest = after;
            }
            b'+' => bytes.push(b' '),
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_unescaped_and_malformed_ones_refused() {
        assert_eq!(unescape("a%20b+c%C5%BE").unwrap(), "a b cž");
        for bad in ["%", "%2", "%zz", "%ff"] {
            assert!(unescape(bad).is_err(), "{bad}");
        }
    }
}
