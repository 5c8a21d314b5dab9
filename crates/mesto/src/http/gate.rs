//! The layer before every route: who asks, and whether they may.
//!
//! Each route names what it [`Need`]s where it is registered, and there is no other way to register one.
//! A token is shown as a bearer, or, where browsers cannot set headers (`/ws` and `/sse`), as `?token=`.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use mesto_api::ErrorCode;
use mesto_governance::ContextId;

use super::auth::permission::Right;
use super::auth::{Auth, Caller, TokenError, now_s};
use super::refusal::Refusal;

/// Paths that browsers open without headers of their own.
const TOKEN_IN_QUERY: [&str; 2] = ["/ws", "/sse"];

/// Why a token was not enough, for programs.
pub(super) const AUTH_ERROR: HeaderName = HeaderName::from_static("x-auth-error");

/// The part of a path that names a context.
const CONTEXT: &str = "context";

/// What a route asks of its caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Need {
    /// Nothing: anybody may.
    Nothing,
    /// Any token; the route itself looks closer.
    Login,
    /// A right everywhere.
    Right(Right),
    /// A right in the context that the path names. Who has it there alone names the context by its whole id.
    Context(Right),
}

/// A [`Need`] and who judges it.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) auth: Arc<Auth>,
    pub(super) need: Need,
}

/// Lets a request through that may pass, and tells the route who asks.
pub(super) async fn pass(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match admit(&gate, &mut parts).await {
        Ok(caller) => {
            if let Some(caller) = caller {
                parts.extensions.insert(Arc::new(caller));
            }
            request = Request::from_parts(parts, body);
            next.run(request).await
        }
        Err(response) => *response,
    }
}

async fn admit(gate: &Gate, parts: &mut Parts) -> Result<Option<Caller>, Box<Response>> {
    if gate.need == Need::Nothing {
        return Ok(None);
    }
    let caller = identify(&gate.auth, &parts.uri, &parts.headers).map_err(unauthorised)?;
    let allowed = match gate.need {
        Need::Nothing | Need::Login => Ok(()),
        Need::Right(right) => caller.may(right, None),
        Need::Context(right) => {
            let params = RawPathParams::from_request_parts(parts, &()).await.ok();
            let named = params.iter().flatten().find(|(name, _)| *name == CONTEXT).map(|(_, value)| value);
            caller.may_in(right, named.unwrap_or_default())
        }
    };
    allowed.map_err(|refusal| forbidden(*refusal))?;
    Ok(Some(caller))
}

/// Who shows the token of a request.
pub(super) fn identify(auth: &Auth, uri: &Uri, headers: &HeaderMap) -> Result<Caller, TokenError> {
    let shown = match headers.get(header::AUTHORIZATION) {
        Some(header) => Some(bearer(header)),
        None if TOKEN_IN_QUERY.contains(&uri.path()) => query_token(uri).map(Some),
        None => None,
    };
    match shown {
        Some(Some(token)) => auth.caller(token, now_s()),
        Some(None) => Err(TokenError::Invalid),
        None => Err(TokenError::Missing),
    }
}

fn bearer(header: &HeaderValue) -> Option<&str> {
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Tokens are base32 or base64url with dots, so nothing in them needs unescaping.
fn query_token(uri: &Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("token="))
}

/// 401 with the reason where programs look for it.
pub(super) fn unauthorised(error: TokenError) -> Box<Response> {
    let hint = "send `Authorization: Bearer TOKEN`: the token in the file `token` of the node's home, or one of `mesto login`";
    let mut response = Refusal::new(ErrorCode::Unauthorized, error.to_string()).hint(hint).into_response();
    let challenge = match error {
        TokenError::Missing => HeaderValue::from_static("Bearer realm=\"mesto\""),
        TokenError::Invalid | TokenError::Expired | TokenError::Revoked | TokenError::Reuse => {
            HeaderValue::from_static("Bearer realm=\"mesto\", error=\"invalid_token\"")
        }
    };
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response.headers_mut().insert(AUTH_ERROR, HeaderValue::from_static(error.word()));
    Box::new(response)
}

fn forbidden(refusal: Refusal) -> Box<Response> {
    let mut response = refusal.into_response();
    let challenge = HeaderValue::from_static("Bearer realm=\"mesto\", error=\"insufficient_scope\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    Box::new(response)
}

impl Caller {
    /// Refuses who lacks a right, in a context or everywhere.
    pub(super) fn may(&self, right: Right, context: Option<ContextId>) -> Result<(), Box<Refusal>> {
        if self.permissions.allow(right, context) {
            return Ok(());
        }
        let detail = format!("this token does not allow {}", right.name());
        Err(Box::new(Refusal::new(ErrorCode::Forbidden, detail).hint("`mesto token create --scope …` makes one that does")))
    }

    /// The same for a context as a request names it. Names and prefixes are for those who have the right everywhere:
    /// looking them up would tell the others what there is.
    pub(super) fn may_in(&self, right: Right, context: &str) -> Result<(), Box<Refusal>> {
        match context.parse() {
            Ok(id) if !self.permissions.allow(right, None) => self.may(right, Some(id)),
            Ok(_) | Err(_) => self.may(right, None),
        }
    }
}

/// Who asks, for routes that look closer.
pub(super) struct Asked(pub(super) Arc<Caller>);

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let caller = parts.extensions.get::<Arc<Caller>>().cloned();
        caller.map(Self).ok_or_else(|| Refusal::new(ErrorCode::InternalError, "the route asks who calls, but lets anybody in"))
    }
}

#[cfg(test)]
mod tests;
