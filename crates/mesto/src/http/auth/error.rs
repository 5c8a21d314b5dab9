//! Why somebody is not let in.

use super::password::PASSWORD_LEN_MIN;
use super::permission::PermissionError;
use super::{NAME_LEN_MAX, throttle};

/// Why a token was not enough.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("this needs a token")]
    Missing,
    #[error("the token is not one of this node")]
    Invalid,
    #[error("the token's time is over")]
    Expired,
    #[error("the token was revoked")]
    Revoked,
    #[error("the refresh token was used before; its login has been ended")]
    Reuse,
}

impl TokenError {
    /// The word in `X-Auth-Error`.
    pub(in crate::http) fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing_token",
            Self::Invalid => "invalid_token",
            Self::Expired => "token_expired",
            Self::Revoked => "token_revoked",
            Self::Reuse => "token_reuse",
        }
    }
}

/// Why a login or a change was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum AuthError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("the proof is wrong: password, signature or code")]
    Refused,
    #[error("too many failures: try again in {} s", throttle::PAUSE_S)]
    TooOften,
    #[error("a password has at least {PASSWORD_LEN_MIN} characters")]
    BadPassword,
    #[error("a name has 1 to {NAME_LEN_MAX} characters")]
    BadName,
    #[error("`{0}` can log in already")]
    NameTaken(String),
    #[error(transparent)]
    Permission(#[from] PermissionError),
    #[error("that allows more than who asks for it may")]
    Exceeds,
    #[error("there is no such login, token or key as `{0}`")]
    Unknown(String),
    #[error("`{0}` could be any of several")]
    Ambiguous(String, Vec<String>),
    #[error("there are {1} {0} already: revoke some")]
    TooMany(&'static str, usize),
    #[error("{0}")]
    Malformed(&'static str),
    #[error("it could not be made durable: {0}")]
    Storage(String),
}
