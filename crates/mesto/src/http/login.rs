//! `/auth`: logging in, refreshing, revoking, and who may log in.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mesto_api::ErrorCode;
use mesto_api::auth::{
    AddLoginKey, ByCode, Challenge, Code, CreateToken, LoginKey, MakeCode, Password, Provider, Providers, Refresh,
    Revoke, Revoked, Signed, Token, TokenAnswer, TokenCreated, TokenPair, TokenRequest, Validated,
};
use mesto_api::time::rfc3339;
use mesto_governance::ContextId;
use mesto_oplog::PublicKey;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::auth::permission::{Permission, Permissions, Right};
use super::auth::{AuthError, Caller, GrantId, GrantKind, GrantRow, KeyProof, KeyRow, TokenError, Tokens, Wish, now_s};
use super::body::{self, Json};
use super::gate::{Asked, unauthorised};
use super::refusal::Refusal;
use super::{Serving, Shared, contexts, guard};

/// How long a program's token lives if nobody says, in milliseconds: a month.
const TOKEN_MS_DEFAULT: u64 = 30 * 24 * 60 * 60 * 1000;

/// What a client is called that gives no name.
const UNNAMED: &str = "unnamed";

const USER: HeaderName = HeaderName::from_static("x-auth-user");
const PERMISSIONS: HeaderName = HeaderName::from_static("x-auth-permissions");

/// The ways to log in.
pub(super) async fn providers(State(shared): Serving) -> Result<Response, Refusal> {
    let keys = shared.auth.keys();
    let any = |wanted: fn(&KeyProof) -> bool| keys.iter().any(|(_, key)| wanted(&key.proof));
    let provider = |name: &str, description: &str, configured: bool, config: Value| Provider {
        name: name.to_owned(),
        kind: name.to_owned(),
        description: description.to_owned(),
        configured,
        config,
    };
    let by_password = any(|proof| matches!(proof, KeyProof::Password(_)));
    let by_key = any(|proof| matches!(proof, KeyProof::Ed25519(_)));
    let providers = vec![
        provider("user_password", "A name and a password", by_password, json!({ "passwordLengthMin": super::auth::PASSWORD_LEN_MIN })),
        provider("ed25519", "A challenge that is signed by an Ed25519 key", by_key, json!({ "challenge": "/auth/challenge" })),
        provider("code", "A one-time code, from `mesto open`", true, json!({})),
    ];
    body::data(Providers { count: providers.len() as u64, providers })
}

/// Something to sign.
pub(super) async fn challenge(State(shared): Serving) -> Result<Response, Refusal> {
    let (challenge, end_s) = shared.auth.challenge(now_s()).map_err(refused)?;
    body::data(Challenge { challenge, expires_at: time(end_s) })
}

/// Gives tokens for a proof.
pub(super) async fn token(State(shared): Serving, uri: Uri, headers: HeaderMap, Json(request): Json<TokenRequest>) -> Result<Response, Response> {
    let host = guard::host_of(&uri, &headers);
    answer(log_in(&shared, host, &request).await)
}

async fn log_in(shared: &Shared, host: &str, request: &TokenRequest) -> Result<Tokens, AuthError> {
    let wanted = request.permissions.as_deref().filter(|wanted| !wanted.is_empty());
    let permissions = wanted.map(Permissions::parse).transpose()?;
    let client = if request.client_name.is_empty() { UNNAMED } else { &request.client_name };
    let wish = Wish { client, permissions };
    match request.auth_method.as_str() {
        "user_password" => {
            let Password { username, password } = proof(&request.provider_data)?;
            shared.auth.by_password(&username, &password, wish, now_s()).await
        }
        "ed25519" => {
            let Signed { challenge, signature } = proof(&request.provider_data)?;
            let key: PublicKey = request.public_key.parse().map_err(|_| AuthError::Malformed("`public_key` is no key"))?;
            let signature = URL_SAFE_NO_PAD.decode(signature).ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
            let signature = signature.ok_or(AuthError::Malformed("`signature` is not 64 bytes of base64url"))?;
            shared.auth.by_signature((&challenge, host), &key, &signature, wish, now_s())
        }
        "code" => {
            let ByCode { code } = proof(&request.provider_data)?;
            shared.auth.by_code(&code, wish, now_s())
        }
        _ => Err(AuthError::Malformed("`auth_method` is none of user_password, ed25519, code")),
    }
}

fn proof<T: DeserializeOwned>(given: &Value) -> Result<T, AuthError> {
    T::deserialize(given).map_err(|_| AuthError::Malformed("`provider_data` does not fit `auth_method`"))
}

/// Exchanges a refresh token.
pub(super) async fn refresh(State(shared): Serving, Json(request): Json<Refresh>) -> Result<Response, Response> {
    answer(blocking(&shared, move |shared| shared.auth.refresh(&request.refresh_token, now_s())).await)
}

fn answer(tokens: Result<Tokens, AuthError>) -> Result<Response, Response> {
    let Tokens { access, refresh } = tokens.map_err(refused_response)?;
    let answer = TokenAnswer { data: TokenPair { access_token: access, refresh_token: refresh }, error: None };
    let mut response = body::json(&answer).map_err(|refusal| refusal.into_response())?;
    response.headers_mut().insert(axum::http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Ends the login that a token belongs to.
pub(super) async fn revoke(State(shared): Serving, Json(Revoke { token }): Json<Revoke>) -> Result<Response, Response> {
    let ended = blocking(&shared, move |shared| shared.auth.revoke_by(&token, now_s())).await;
    ended.map_err(refused_response)?;
    body::data(Revoked { revoked: None }).map_err(|refusal| refusal.into_response())
}

/// Whose token it is, for proxies that ask before they let a request through.
pub(super) async fn validate(Asked(caller): Asked) -> Result<Response, Refusal> {
    let permissions = caller.permissions.texts();
    let header = |text: &str| HeaderValue::from_str(text).ok();
    // A name that no header can carry is still in the body.
    let (user, listed) = (header(&caller.subject), header(&permissions.join(",")));
    let mut response = body::data(Validated { valid: true, subject: caller.subject.clone(), permissions })?;
    response.headers_mut().extend(user.map(|user| (USER, user)));
    response.headers_mut().extend(listed.map(|listed| (PERMISSIONS, listed)));
    Ok(response)
}

pub(super) async fn tokens(State(shared): Serving, Asked(caller): Asked) -> Result<Response, Refusal> {
    body::list(shared.auth.grants(&caller, now_s()).iter().map(|(id, grant)| show_grant(*id, grant)).collect())
}

pub(super) async fn create_token(State(shared): Serving, Asked(caller): Asked, Json(request): Json<CreateToken>) -> Result<Response, Refusal> {
    let permissions = resolve(&shared, &request.permissions).await?;
    let life_s = request.expires_ms.unwrap_or(TOKEN_MS_DEFAULT) / 1000;
    let made = blocking(&shared, move |shared| shared.auth.create(&caller, &request.name, permissions, life_s, now_s())).await;
    let (id, grant, token) = made.map_err(refused)?;
    body::data(TokenCreated {
        token_id: id.to_string(),
        token,
        permissions: grant.permissions.texts(),
        expires_at: time(grant.expires_s),
    })
}

pub(super) async fn revoke_token(State(shared): Serving, Asked(caller): Asked, Path(token): Path<String>) -> Result<Response, Refusal> {
    let ended = blocking(&shared, move |shared| shared.auth.revoke(&caller, &token, now_s())).await;
    body::data(Revoked { revoked: Some(ended.map_err(refused)?.to_string()) })
}

pub(super) async fn keys(State(shared): Serving, Asked(caller): Asked) -> Result<Response, Refusal> {
    only_admins(&caller)?;
    body::list(shared.auth.keys().iter().map(|(id, key)| show_key(*id, key)).collect())
}

pub(super) async fn add_key(State(shared): Serving, Asked(caller): Asked, Json(request): Json<AddLoginKey>) -> Result<Response, Refusal> {
    only_admins(&caller)?;
    let permissions = resolve(&shared, &request.permissions).await?;
    let added = match (&request.password, &request.public_key) {
        (Some(password), None) => shared.auth.add_password(&request.name, password, permissions, now_s()).await,
        (None, Some(key)) => match key.parse() {
            Ok(key) => shared.auth.add_public_key(&request.name, key, permissions, now_s()),
            Err(_) => Err(AuthError::Malformed("`publicKey` is no key")),
        },
        (Some(_), Some(_)) | (None, None) => Err(AuthError::Malformed("give either `password` or `publicKey`")),
    };
    let (id, key) = added.map_err(refused)?;
    body::data(show_key(id, &key))
}

pub(super) async fn remove_key(State(shared): Serving, Asked(caller): Asked, Path(key): Path<String>) -> Result<Response, Refusal> {
    only_admins(&caller)?;
    let removed = blocking(&shared, move |shared| shared.auth.remove_key(&key, now_s())).await;
    body::data(Revoked { revoked: Some(removed.map_err(refused)?.to_string()) })
}

/// A one-time code for a context's page, and where the page is.
pub(super) async fn code(State(shared): Serving, Asked(caller): Asked, uri: Uri, headers: HeaderMap, Json(request): Json<MakeCode>) -> Result<Response, Refusal> {
    caller.may_in(Right::ContextExecute, &request.context_id).map_err(|refusal| *refusal)?;
    let context = contexts::find(&shared, request.context_id).await?.context;
    let wanted = [
        Permission::Right(Right::ContextExecute, Some(context)),
        Permission::Right(Right::BlobRead, None),
        Permission::Right(Right::BlobWrite, None),
    ];
    // A caller that may not touch blobs opens a page that may not either.
    let allowed = wanted.into_iter().filter(|wanted| Permissions::of([*wanted]).is_ok_and(|one| caller.permissions.include(&one)));
    let permissions = Permissions::of(allowed).map_err(|error| refused(error.into()))?;
    let (code, end_s) = shared.auth.code(&caller, caller.subject.clone(), permissions, now_s()).map_err(refused)?;
    let host = shared.rules.host_of_context(&context, guard::host_of(&uri, &headers));
    let proxied = headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
    let scheme = if proxied { "https" } else { "http" };
    let url = format!("{scheme}://{host}/apps/{context}/#code={code}");
    body::data(Code { context_id: context.to_string(), code, url, expires_at: time(end_s) })
}

/// Who changes who may log in could let themselves do anything.
fn only_admins(caller: &Caller) -> Result<(), Refusal> {
    if caller.permissions.is_admin() {
        Ok(())
    } else {
        Err(Refusal::new(ErrorCode::Forbidden, "this token does not allow admin"))
    }
}

/// Permissions whose contexts may be named by prefix or name.
async fn resolve(shared: &Shared, texts: &[String]) -> Result<Permissions, Refusal> {
    let mut whole = Vec::with_capacity(texts.len());
    for text in texts.iter().take(super::auth::permission::PERMISSIONS_MAX + 1) {
        let named = text.split_once('[').and_then(|(right, rest)| Some((right, rest.strip_suffix(']')?)));
        match named {
            Some((right, context)) if context.parse::<ContextId>().is_err() => {
                let context = contexts::find(shared, context.to_owned()).await?.context;
                whole.push(format!("{right}[{context}]"));
            }
            Some(_) | None => whole.push(text.clone()),
        }
    }
    Permissions::parse(&whole).map_err(|error| refused(error.into()))
}

/// Runs what waits for the disk where waiting harms nobody.
async fn blocking<T: Send + 'static>(
    shared: &std::sync::Arc<Shared>,
    work: impl FnOnce(&Shared) -> Result<T, AuthError> + Send + 'static,
) -> Result<T, AuthError> {
    let shared = std::sync::Arc::clone(shared);
    let done = tokio::task::spawn_blocking(move || work(&shared)).await;
    done.unwrap_or_else(|error| Err(AuthError::Storage(error.to_string())))
}

fn show_grant(id: GrantId, grant: &GrantRow) -> Token {
    let kind = match grant.kind {
        GrantKind::Login { .. } => "login",
        GrantKind::Token => "token",
    };
    Token {
        token_id: id.to_string(),
        kind: kind.to_owned(),
        subject: grant.subject.clone(),
        name: grant.client.clone(),
        permissions: grant.permissions.texts(),
        created_at: time(grant.created_s),
        expires_at: time(grant.expires_s),
    }
}

fn show_key(id: GrantId, key: &KeyRow) -> LoginKey {
    let (method, public_key) = match &key.proof {
        KeyProof::Password(_) => ("user_password", None),
        KeyProof::Ed25519(key) => ("ed25519", Some(key.to_string())),
    };
    LoginKey {
        key_id: id.to_string(),
        name: key.name.clone(),
        auth_method: method.to_owned(),
        public_key,
        permissions: key.permissions.texts(),
        created_at: time(key.created_s),
    }
}

fn time(seconds: u64) -> String {
    rfc3339(seconds.saturating_mul(1000))
}

fn refused_response(error: AuthError) -> Response {
    match error {
        AuthError::Token(error) => *unauthorised(error),
        other => refused(other).into_response(),
    }
}

fn refused(error: AuthError) -> Refusal {
    let detail = error.to_string();
    match error {
        AuthError::Token(TokenError::Missing | TokenError::Invalid | TokenError::Expired | TokenError::Revoked | TokenError::Reuse)
        | AuthError::Refused => Refusal::new(ErrorCode::Unauthorized, detail),
        AuthError::TooOften => Refusal::new(ErrorCode::LimitExceeded, detail),
        AuthError::TooMany(..) => Refusal::new(ErrorCode::LimitExceeded, detail).hint("`mesto token ls` lists them"),
        AuthError::BadPassword | AuthError::BadName | AuthError::Permission(_) | AuthError::Malformed(_) => {
            Refusal::new(ErrorCode::InvalidArgument, detail)
        }
        AuthError::NameTaken(_) => Refusal::new(ErrorCode::InvalidArgument, detail).hint("remove that first, or choose another name"),
        AuthError::Exceeds => Refusal::new(ErrorCode::Forbidden, detail),
        AuthError::Unknown(_) => Refusal::new(ErrorCode::TokenNotFound, detail).hint("`mesto token ls` and `mesto user ls` list them"),
        AuthError::Ambiguous(_, candidates) => Refusal::new(ErrorCode::Ambiguous, detail).data(json!({ "candidates": candidates })),
        AuthError::Storage(_) => Refusal::new(ErrorCode::InternalError, detail),
    }
}
