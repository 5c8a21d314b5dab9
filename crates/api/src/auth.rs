//! Logging in: tokens, and who may have them. The first of these shapes are those that existing clients of such nodes
//! send and expect.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Asks for tokens.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct TokenRequest {
    /// `user_password`, `ed25519` or `code`.
    pub auth_method: String,
    /// The key that signed, for `ed25519`; otherwise not looked at.
    #[serde(default)]
    pub public_key: String,
    /// What the client calls itself.
    #[serde(default)]
    pub client_name: String,
    /// What the tokens shall allow; all that whoever logs in may, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Vec<String>>,
    /// Not looked at: challenges and codes carry their own time.
    #[serde(default)]
    pub timestamp: u64,
    /// For `user_password` a [`Password`], for `ed25519` a [`Signed`], for `code` a [`ByCode`].
    #[serde(default)]
    pub provider_data: Value,
}

/// `provider_data` of `user_password`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Password {
    /// Who.
    pub username: String,
    /// Their password.
    pub password: String,
}

/// `provider_data` of `ed25519`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Signed {
    /// What `GET /auth/challenge` gave.
    pub challenge: String,
    /// The signature, base64url without padding, over `mesto login 1`, a zero byte, the `Host` of this request in lower case, a
    /// line feed, and the challenge.
    pub signature: String,
}

/// `provider_data` of `code`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ByCode {
    /// What `POST /auth/codes` gave.
    pub code: String,
}

/// Tokens.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TokenPair {
    /// To be shown with requests: a JWT.
    pub access_token: String,
    /// To be exchanged for new tokens, once.
    pub refresh_token: String,
}

/// The answer to [`TokenRequest`] and [`Refresh`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TokenAnswer {
    /// The tokens.
    pub data: TokenPair,
    /// Always null: failures are problem documents.
    pub error: Option<String>,
}

/// Asks for new tokens.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Refresh {
    /// Not looked at: the refresh token says it all.
    #[serde(default)]
    pub access_token: String,
    /// The newest refresh token.
    #[serde(alias = "refreshToken")]
    pub refresh_token: String,
}

/// Ends a login.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Revoke {
    /// An access or refresh token of it.
    pub token: String,
}

/// The ways to log in.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Providers {
    /// One for each.
    pub providers: Vec<Provider>,
    /// How many.
    pub count: u64,
}

/// A way to log in.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Provider {
    /// `auth_method` of a [`TokenRequest`].
    pub name: String,
    /// The same.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is, for people.
    pub description: String,
    /// Whether anybody can log in so.
    pub configured: bool,
    /// What clients need to know.
    pub config: Value,
}

/// Something to sign.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Challenge {
    /// The text.
    pub challenge: String,
    /// When it ends, RFC 3339.
    pub expires_at: String,
}

/// Whose token it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Validated {
    /// Always true: otherwise the answer is a problem document.
    pub valid: bool,
    /// Who has it.
    pub subject: String,
    /// What it allows.
    pub permissions: Vec<String>,
}

/// Asks for a token of a program.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateToken {
    /// What it is for.
    pub name: String,
    /// What it shall allow. Contexts may be given as prefixes or names.
    pub permissions: Vec<String>,
    /// How long it lives, in milliseconds; 30 days if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
}

/// The answer to [`CreateToken`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenCreated {
    /// Names it in lists.
    pub token_id: String,
    /// The token. It is not shown again.
    pub token: String,
    /// What it allows.
    pub permissions: Vec<String>,
    /// When it ends, RFC 3339.
    pub expires_at: String,
}

/// A login, or a token of a program.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// Names it.
    pub token_id: String,
    /// `login` or `token`.
    pub kind: String,
    /// Who has it.
    pub subject: String,
    /// What its holder calls itself, or what it is for.
    pub name: String,
    /// What it allows.
    pub permissions: Vec<String>,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// When it ends unless it is refreshed, RFC 3339.
    pub expires_at: String,
}

/// What was ended or taken away.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revoked {
    /// Its id; none if a token itself was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
}

/// Lets somebody log in: by a password or by a key, one of which is given.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddLoginKey {
    /// Who: the user's name.
    pub name: String,
    /// Their password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Their Ed25519 key, as base32 text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// What they may do. Contexts may be given as prefixes or names.
    pub permissions: Vec<String>,
}

/// Somebody who may log in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoginKey {
    /// Names the key.
    pub key_id: String,
    /// Who.
    pub name: String,
    /// `user_password` or `ed25519`.
    pub auth_method: String,
    /// The key of `ed25519`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// What they may do.
    pub permissions: Vec<String>,
    /// Since when, RFC 3339.
    pub created_at: String,
}

/// Asks for a one-time code with which the page of a context's app logs in.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MakeCode {
    /// The context: id, prefix or name.
    pub context_id: String,
}

/// The answer to [`MakeCode`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Code {
    /// The context.
    pub context_id: String,
    /// The code. It works once.
    pub code: String,
    /// Where the page is, with the code.
    pub url: String,
    /// When the code ends, RFC 3339.
    pub expires_at: String,
}
