//! `mesto token`: tokens of this node.

use std::time::Duration;

use clap::Subcommand;
use mesto_api::auth::CreateToken;
use mesto_api::duration;

use super::failure::Failure;
use super::output::{Output, fields};
use super::session::Session;

/// What a token is called if nobody says.
const UNNAMED: &str = "token";

#[derive(Subcommand, Debug)]
pub(crate) enum Token {
    /// Make a token for a program. It is shown once
    Create {
        /// What it is for
        #[arg(long, value_name = "NAME", default_value = UNNAMED)]
        name: String,
        /// What it shall allow: admin, context:read[CONTEXT], context:execute[CONTEXT], blob:read, …; may be given several times
        #[arg(long = "scope", value_name = "PERMISSION", default_value = "admin")]
        scopes: Vec<String>,
        /// How long it lives [default: 30 days]
        #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
        expires: Option<Duration>,
    },
    /// The tokens and logins
    Ls,
    /// End a token or login
    Revoke {
        /// Its id or a prefix
        id: String,
    },
}

impl Token {
    pub(crate) fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        let client = session.client()?;
        match self {
            Self::Create { name, scopes, expires } => {
                let expires_ms = expires.map(|life| u64::try_from(life.as_millis()).unwrap_or(u64::MAX));
                let made = client.create_token(&CreateToken { name, permissions: scopes, expires_ms })?;
                output.note(&format!("may {} until {}; it is not shown again", made.permissions.join(", "), made.expires_at));
                output.object(&made, |made| made.token.clone())
            }
            Self::Ls => {
                let header = ["token", "kind", "who", "name", "may", "until"];
                output.list(&client.tokens()?, header, |token| {
                    [
                        token.token_id.clone(),
                        token.kind.clone(),
                        token.subject.clone(),
                        token.name.clone(),
                        token.permissions.join(" "),
                        token.expires_at.clone(),
                    ]
                })
            }
            Self::Revoke { id } => {
                output.object(&client.revoke_token(&id)?, |gone| fields([("revoked", gone.revoked.clone().unwrap_or_default())]))
            }
        }
    }
}
