//! `mesto login`, `mesto logout`: to a node that is not this machine's own, or as somebody with fewer rights.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mesto_api::Client;
use mesto_api::auth::{Password, Revoke, Signed, TokenRequest};
use mesto_oplog::SigningKey;
use serde::Serialize;
use serde_json::json;

use super::failure::Failure;
use super::logins::Logins;
use super::output::{Output, fields};
use super::secret;
use super::session::Session;
use crate::home::Home;
use crate::http::CHALLENGE_DOMAIN;

/// What this program calls itself.
const CLIENT: &str = "mesto";

#[derive(clap::Args, Debug)]
pub(crate) struct Login {
    /// Log in with this name and a password
    #[arg(long, value_name = "NAME", required_unless_present = "key", conflicts_with = "key")]
    user: Option<String>,
    /// Read the password from standard input instead of the terminal
    #[arg(long, requires = "user")]
    password_stdin: bool,
    /// Log in with this Ed25519 key, as `mesto key generate` makes them
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// What the login shall allow, such as context:read[NOTES]; may be given several times [default: all that the user may]
    #[arg(long = "scope", value_name = "PERMISSION")]
    scopes: Vec<String>,
}

#[derive(Serialize)]
struct LoggedIn {
    api: String,
    subject: String,
    permissions: Vec<String>,
}

impl Login {
    pub(crate) fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        let client = session.stranger()?;
        let mut request = TokenRequest {
            client_name: CLIENT.to_owned(),
            permissions: (!self.scopes.is_empty()).then(|| self.scopes.clone()),
            ..TokenRequest::default()
        };
        match (&self.user, &self.key) {
            (Some(user), _) => {
                let password = secret::password(self.password_stdin, &format!("password of {user}"))?;
                request.auth_method = "user_password".to_owned();
                request.provider_data = json!(Password { username: user.clone(), password: password.to_string() });
            }
            (None, Some(file)) => {
                sign(&client, &Home::signing_key(file)?, &mut request)?;
            }
            (None, None) => return Err(Failure::usage("give --user or --key")),
        }
        let tokens = client.log_in(&request)?;
        let who = Client::new(client.base(), Some(tokens.access_token.clone()))?.validate()?;
        Logins::of(&session.folder()?)?.keep(client.base(), tokens)?;
        let logged_in = LoggedIn { api: client.base().to_owned(), subject: who.subject, permissions: who.permissions };
        output.note(&format!("commands with `--api {}` act as {} now", logged_in.api, logged_in.subject));
        output.object(&logged_in, |login| {
            fields([("node", login.api.clone()), ("as", login.subject.clone()), ("may", login.permissions.join(", "))])
        })
    }
}

fn sign(client: &Client, key: &SigningKey, request: &mut TokenRequest) -> Result<(), Failure> {
    let challenge = client.challenge()?.challenge;
    let host = client.base().split_once("://").map_or(client.base(), |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or(host).to_ascii_lowercase();
    let signature = key.sign(CHALLENGE_DOMAIN, format!("{host}\n{challenge}").as_bytes());
    request.auth_method = "ed25519".to_owned();
    request.public_key = key.public().to_string();
    request.provider_data = json!(Signed { challenge, signature: URL_SAFE_NO_PAD.encode(signature) });
    Ok(())
}

#[derive(Serialize)]
struct LoggedOut {
    api: String,
}

/// Ends the login at the node, too, if it answers.
pub(crate) fn logout(session: &Session, output: &Output) -> Result<(), Failure> {
    let client = session.stranger()?;
    let Some(tokens) = Logins::of(&session.folder()?)?.forget(client.base())? else {
        return Err(Failure::usage(format!("there is no login to {}", client.base())));
    };
    client.revoke(&Revoke { token: tokens.refresh_token })?;
    output.object(&LoggedOut { api: client.base().to_owned() }, |gone| fields([("node", gone.api.clone())]))
}
