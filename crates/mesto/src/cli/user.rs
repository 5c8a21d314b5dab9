//! `mesto user`: who may log in to this node.

use clap::Subcommand;
use mesto_api::auth::{AddLoginKey, LoginKey};
use mesto_bundle::SignerId;

use super::failure::Failure;
use super::output::{Output, fields};
use super::secret;
use super::session::Session;

#[derive(Subcommand, Debug)]
pub(crate) enum User {
    /// Let somebody log in
    Add {
        /// Their name
        name: String,
        /// What they may do: admin, context:read[CONTEXT], context:execute[CONTEXT], blob:read, …; may be given several times
        #[arg(long = "scope", value_name = "PERMISSION", default_value = "admin")]
        scopes: Vec<String>,
        /// Their Ed25519 key, instead of a password: as `did:key:…` or base32
        #[arg(long, value_name = "KEY", conflicts_with = "password_stdin")]
        public_key: Option<String>,
        /// Read the password from standard input instead of the terminal
        #[arg(long)]
        password_stdin: bool,
    },
    /// Who may log in
    Ls,
    /// Let somebody log in no more, and end their logins
    Rm {
        /// Their name, or the id of their key
        name: String,
    },
}

impl User {
    pub(crate) fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        let client = session.client()?;
        match self {
            Self::Add { name, scopes, public_key, password_stdin } => {
                let public_key = public_key.map(as_text).transpose()?;
                let mut request = AddLoginKey { name, permissions: scopes, public_key, password: None };
                if request.public_key.is_none() {
                    let password = secret::password(password_stdin, &format!("new password of {}", request.name))?;
                    request.password = Some(password.to_string());
                }
                output.object(&client.add_login_key(&request)?, describe)
            }
            Self::Ls => {
                let header = ["user", "by", "key", "may", "since"];
                output.list(&client.login_keys()?, header, |key| {
                    [
                        key.name.clone(),
                        key.auth_method.clone(),
                        key.key_id.clone(),
                        key.permissions.join(" "),
                        key.created_at.clone(),
                    ]
                })
            }
            Self::Rm { name } => {
                output.object(&client.remove_login_key(&name)?, |gone| fields([("removed", gone.revoked.clone().unwrap_or_default())]))
            }
        }
    }
}

/// A key in the text form of ids.
fn as_text(key: String) -> Result<String, Failure> {
    if !key.starts_with("did:") {
        return Ok(key);
    }
    let signer: SignerId = key.parse().map_err(|error| Failure::usage(format!("`{key}`: {error}")))?;
    Ok(mesto_oplog::id::to_text(&signer.public_key()))
}

fn describe(key: &LoginKey) -> String {
    fields([("user", key.name.clone()), ("by", key.auth_method.clone()), ("may", key.permissions.join(", "))])
}
