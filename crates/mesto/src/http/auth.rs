//! Who asks, and what they may do.
//!
//! | what is shown | how it comes about | ends |
//! | --- | --- | --- |
//! | the home's token | `init`; whoever can read the owner's files | never; allows everything |
//! | an access token of a login | password, signed challenge, one-time code, or a refresh | after an hour, or with its login |
//! | an access token of a program | `mesto token create` | when it says, or when it is revoked |
//!
//! Access tokens are JWTs ([`jwt`]), but a token alone is not enough: the login that it names must still be in the
//! [`book`], which also decides what it allows. Revoking a login thereby ends all of its tokens at once.
//!
//! A refresh token works once. Its text is derived from the login and a generation that counts up with each refresh,
//! so an old one is recognised without being stored: whoever shows one has copied it, or was copied from, and the
//! login ends.

mod book;
mod challenge;
mod codes;
mod error;
mod id;
mod jwt;
mod password;
pub(super) mod permission;
mod throttle;

use std::io;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use mesto_oplog::PublicKey;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use book::{Book, Contents, Grant, Kind, LoginKey, Proof};
use challenge::Challenges;
use codes::Codes;
use jwt::{AUDIENCE, Claims, Signer};
use password::Verifier;
use permission::Permissions;
use throttle::Throttle;

pub(super) use book::{Grant as GrantRow, Kind as GrantKind, LoginKey as KeyRow, Proof as KeyProof};
pub(crate) use challenge::DOMAIN as CHALLENGE_DOMAIN;
pub(crate) use error::{AuthError, TokenError};
pub(crate) use id::GrantId;
pub(super) use password::PASSWORD_LEN_MIN;

/// How long an access token of a login works. Clients of existing nodes look every 20 minutes whether theirs ends within 5.
const ACCESS_S: u64 = 60 * 60;

/// How long a login lives that is not refreshed.
const LOGIN_S: u64 = 30 * 24 * 60 * 60;

/// Longest life of a program's token.
pub(super) const TOKEN_S_MAX: u64 = 10 * 365 * 24 * 60 * 60;

/// Longest name of a client or user.
const NAME_LEN_MAX: usize = 128;

/// Separates refresh tokens and access tokens from what else the secret is used for.
const REFRESH_CONTEXT: &str = "mesto 2026 refresh token v1";
const ACCESS_CONTEXT: &str = "mesto 2026 access token v1";

/// Whom failures count for that name no user.
const NOBODY: &str = "";

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// Their name.
    pub(super) subject: String,
    /// Their login; none for the home's token.
    pub(super) grant: Option<GrantId>,
    /// What they may do.
    pub(super) permissions: Permissions,
}

/// What a login gives.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) access: String,
    pub(super) refresh: String,
}

/// Who logs in, and for what.
pub(super) struct Wish<'a> {
    /// What the client calls itself.
    pub(super) client: &'a str,
    /// What it wants to do; none for all that it may.
    pub(super) permissions: Option<Permissions>,
}

/// Where the secrets come from and where logins are kept.
pub(crate) struct Settings {
    /// The home's token.
    pub(crate) token: Zeroizing<String>,
    /// From which all other secrets derive.
    pub(crate) secret: Zeroizing<[u8; 32]>,
    /// The file of logins.
    pub(crate) book: PathBuf,
    /// The node, in its tokens.
    pub(crate) issuer: String,
}

/// Everything about logins.
pub(super) struct Auth {
    token: Zeroizing<String>,
    refresh_key: Zeroizing<[u8; 32]>,
    signer: Signer,
    book: Book,
    challenges: Challenges,
    codes: Codes,
    throttle: Throttle,
    /// One password is checked at a time: each takes much memory, and failures are counted exactly.
    hashing: Semaphore,
}

impl Auth {
    pub(super) fn open(settings: Settings) -> io::Result<Self> {
        let Settings { token, secret, book, issuer } = settings;
        let derive = |context| Zeroizing::new(blake3::derive_key(context, &*secret));
        Ok(Self {
            token,
            refresh_key: derive(REFRESH_CONTEXT),
            signer: Signer::new(derive(ACCESS_CONTEXT), issuer),
            book: Book::open(book)?,
            challenges: Challenges::new(&secret),
            codes: Codes::default(),
            throttle: Throttle::default(),
            hashing: Semaphore::new(1),
        })
    }

    /// Who shows this token.
    pub(super) fn caller(&self, token: &str, now_s: u64) -> Result<Caller, TokenError> {
        if bool::from(token.as_bytes().ct_eq(self.token.as_bytes())) {
            return Ok(Caller { subject: "owner".to_owned(), grant: None, permissions: Permissions::admin() });
        }
        let claims = self.signer.verify(token, now_s)?;
        let id = claims.jti.split_once('.').and_then(|(id, _)| GrantId::parse(id)).ok_or(TokenError::Invalid)?;
        let contents = self.book.contents();
        let grant = contents.grants.get(&id).filter(|grant| grant.expires_s > now_s).ok_or(TokenError::Revoked)?;
        Ok(Caller { subject: grant.subject.clone(), grant: Some(id), permissions: grant.permissions.clone() })
    }

    /// Whether a login goes on. The home's token always does.
    pub(super) fn is_live(&self, grant: Option<GrantId>, now_s: u64) -> bool {
        grant.is_none_or(|id| self.book.contents().grants.get(&id).is_some_and(|grant| grant.expires_s > now_s))
    }

    /// Logs a user in by password.
    pub(super) async fn by_password(&self, user: &str, password: &str, wish: Wish<'_>, now_s: u64) -> Result<Tokens, AuthError> {
        let _turn = self.hashing.acquire().await.map_err(|_| AuthError::TooOften)?; // it is never closed
        let found = self.book.contents().keys.iter().find_map(|(id, key)| match &key.proof {
            Proof::Password(verifier) if key.name == user => Some((*id, verifier.clone())),
            Proof::Password(_) | Proof::Ed25519(_) => None,
        });
        let counted = if found.is_some() { user } else { NOBODY };
        if !self.throttle.permits(counted, now_s) {
            return Err(AuthError::TooOften);
        }
        let password = Zeroizing::new(password.to_owned());
        let checked = tokio::task::spawn_blocking(move || match found {
            Some((id, verifier)) => verifier.fits(&password).then_some(id),
            None => {
                Verifier::waste(&password);
                None
            }
        });
        let Some(id) = checked.await.map_err(|error| AuthError::Storage(error.to_string()))? else {
            self.throttle.failed(counted, now_s);
            return Err(AuthError::Refused);
        };
        self.throttle.succeeded(counted);
        self.log_in_by(id, wish, now_s)
    }

    /// Something to sign.
    pub(super) fn challenge(&self, now_s: u64) -> Result<(String, u64), AuthError> {
        self.challenges.give(now_s)
    }

    /// Logs in whoever signed the challenge, for the host at which they did.
    pub(super) fn by_signature(
        &self,
        (challenge, host): (&str, &str),
        key: &PublicKey,
        signature: &[u8; 64],
        wish: Wish<'_>,
        now_s: u64,
    ) -> Result<Tokens, AuthError> {
        let contents = self.book.contents();
        let known = contents.keys.iter().find(|(_, known)| known.proof == Proof::Ed25519(*key)).map(|(id, _)| *id);
        let id = known.ok_or(AuthError::Refused)?;
        self.challenges.take(challenge, host, key, signature, now_s)?;
        self.log_in_by(id, wish, now_s)
    }

    fn log_in_by(&self, id: GrantId, wish: Wish<'_>, now_s: u64) -> Result<Tokens, AuthError> {
        let client = name(wish.client)?;
        self.book.change(now_s, |contents| {
            let key = contents.keys.get(&id).ok_or(AuthError::Refused)?;
            let permissions = wish.permissions.unwrap_or_else(|| key.permissions.clone());
            if !key.permissions.include(&permissions) {
                return Err(AuthError::Exceeds);
            }
            let login = new_login(key.name.clone(), client, permissions, Some(id), now_s);
            self.add(contents, login, now_s)
        })
    }

    /// A code that is exchanged for a login later, once.
    pub(super) fn code(&self, caller: &Caller, subject: String, permissions: Permissions, now_s: u64) -> Result<(String, u64), AuthError> {
        if !caller.permissions.include(&permissions) {
            return Err(AuthError::Exceeds);
        }
        self.codes.make(subject, permissions, now_s)
    }

    /// Exchanges a code.
    pub(super) fn by_code(&self, code: &str, wish: Wish<'_>, now_s: u64) -> Result<Tokens, AuthError> {
        let client = name(wish.client)?;
        let coded = self.codes.take(code, now_s)?;
        let permissions = wish.permissions.unwrap_or_else(|| coded.permissions.clone());
        if !coded.permissions.include(&permissions) {
            return Err(AuthError::Exceeds);
        }
        let login = new_login(coded.subject, client, permissions, None, now_s);
        self.book.change(now_s, |contents| self.add(contents, login, now_s))
    }

    fn add(&self, contents: &mut Contents, grant: Grant, now_s: u64) -> Result<Tokens, AuthError> {
        let id = GrantId::new()?;
        let tokens = Tokens { access: self.access(id, &grant, now_s), refresh: self.refresh_token(id, 0) };
        contents.grants.insert(id, grant);
        Ok(tokens)
    }

    /// Exchanges a refresh token for new tokens.
    pub(super) fn refresh(&self, refresh: &str, now_s: u64) -> Result<Tokens, AuthError> {
        let (id, shown) = self.read_refresh(refresh).ok_or(TokenError::Invalid)?;
        self.book.change(now_s, |contents| {
            let grant = contents.grants.get_mut(&id).ok_or(TokenError::Revoked)?;
            let current = match &mut grant.kind {
                Kind::Login { generation } if *generation == shown => generation,
                Kind::Login { .. } | Kind::Token => {
                    contents.grants.remove(&id);
                    return Err(TokenError::Reuse.into());
                }
            };
            *current += 1;
            let next = *current;
            grant.expires_s = now_s + LOGIN_S;
            Ok(Tokens { access: self.access(id, grant, now_s), refresh: self.refresh_token(id, next) })
        })
    }

    /// A token for a program.
    pub(super) fn create(&self, caller: &Caller, client: &str, permissions: Permissions, life_s: u64, now_s: u64) -> Result<(GrantId, Grant, String), AuthError> {
        if !caller.permissions.include(&permissions) {
            return Err(AuthError::Exceeds);
        }
        let grant = Grant {
            subject: caller.subject.clone(),
            client: name(client)?,
            kind: Kind::Token,
            permissions,
            created_s: now_s,
            expires_s: now_s + life_s.min(TOKEN_S_MAX),
            // It ends with the key that its maker logged in by.
            key: caller.grant.and_then(|id| self.book.contents().grants.get(&id).and_then(|grant| grant.key)),
        };
        let id = GrantId::new()?;
        let token = self.access(id, &grant, now_s);
        self.book.change(now_s, |contents| {
            contents.grants.insert(id, grant.clone());
            Ok(())
        })?;
        Ok((id, grant, token))
    }

    /// The logins and tokens that `caller` may see: all, or its own.
    pub(super) fn grants(&self, caller: &Caller, now_s: u64) -> Vec<(GrantId, Grant)> {
        let contents = self.book.contents();
        let seen = |(id, grant): &(&GrantId, &Grant)| {
            grant.expires_s > now_s && (caller.permissions.is_admin() || caller.grant == Some(**id))
        };
        contents.grants.iter().filter(seen).map(|(id, grant)| (*id, grant.clone())).collect()
    }

    /// Ends the login that an access or refresh token belongs to: to have it is right enough.
    pub(super) fn revoke_by(&self, token: &str, now_s: u64) -> Result<(), AuthError> {
        let id = match self.read_refresh(token) {
            Some((id, _)) => id,
            None => self.caller(token, now_s)?.grant.ok_or(TokenError::Invalid)?,
        };
        self.end(id, now_s)
    }

    /// Ends a login or token by its id or the beginning of it.
    pub(super) fn revoke(&self, caller: &Caller, selector: &str, now_s: u64) -> Result<GrantId, AuthError> {
        let id = pick(selector, self.grants(caller, now_s).into_iter().map(|(id, _)| id))?;
        self.end(id, now_s)?;
        Ok(id)
    }

    fn end(&self, id: GrantId, now_s: u64) -> Result<(), AuthError> {
        self.book.change(now_s, |contents| contents.grants.remove(&id).map(|_| ()).ok_or(TokenError::Revoked.into()))
    }

    /// Who may log in.
    pub(super) fn keys(&self) -> Vec<(GrantId, LoginKey)> {
        self.book.contents().keys.iter().map(|(id, key)| (*id, key.clone())).collect()
    }

    /// Lets a user log in by a password.
    pub(super) async fn add_password(&self, user: &str, password: &str, permissions: Permissions, now_s: u64) -> Result<(GrantId, LoginKey), AuthError> {
        let password = Zeroizing::new(password.to_owned());
        let made = tokio::task::spawn_blocking(move || Verifier::of(&password)).await;
        let verifier = made.map_err(|error| AuthError::Storage(error.to_string()))??;
        self.add_key(user, Proof::Password(verifier), permissions, now_s)
    }

    /// Lets somebody log in by a signature.
    pub(super) fn add_public_key(&self, user: &str, key: PublicKey, permissions: Permissions, now_s: u64) -> Result<(GrantId, LoginKey), AuthError> {
        self.add_key(user, Proof::Ed25519(key), permissions, now_s)
    }

    fn add_key(&self, user: &str, proof: Proof, permissions: Permissions, now_s: u64) -> Result<(GrantId, LoginKey), AuthError> {
        let key = LoginKey { name: name(user)?, proof, permissions, created_s: now_s };
        let id = GrantId::new()?;
        self.book.change(now_s, |contents| {
            if contents.keys.values().any(|known| known.name == key.name || known.proof == key.proof) {
                return Err(AuthError::NameTaken(key.name.clone()));
            }
            contents.keys.insert(id, key.clone());
            Ok(())
        })?;
        Ok((id, key))
    }

    /// Takes the way in from somebody, by name or id, and ends every login that was made by it.
    pub(super) fn remove_key(&self, selector: &str, now_s: u64) -> Result<GrantId, AuthError> {
        let keys = self.keys();
        let id = match keys.iter().find(|(_, key)| key.name == selector) {
            Some((id, _)) => *id,
            None => pick(selector, keys.iter().map(|(id, _)| *id))?,
        };
        self.book.change(now_s, |contents| {
            contents.keys.remove(&id);
            contents.grants.retain(|_, grant| grant.key != Some(id));
            Ok(id)
        })
    }

    fn access(&self, id: GrantId, grant: &Grant, now_s: u64) -> String {
        let (number, end) = match grant.kind {
            Kind::Login { generation } => (generation, now_s + ACCESS_S),
            Kind::Token => (0, grant.expires_s),
        };
        self.signer.sign(&Claims {
            sub: grant.subject.clone(),
            iss: self.signer.issuer().to_owned(),
            aud: AUDIENCE.to_owned(),
            exp: end,
            iat: now_s,
            jti: format!("{id}.{number}"),
            permissions: grant.permissions.texts(),
        })
    }

    fn refresh_token(&self, id: GrantId, generation: u64) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.refresh_key);
        hasher.update(&id.0).update(&generation.to_be_bytes());
        format!("{id}.{generation}.{}", mesto_oplog::id::to_text(hasher.finalize().as_bytes()))
    }

    /// Login and generation of a refresh token that this node gave.
    fn read_refresh(&self, token: &str) -> Option<(GrantId, u64)> {
        let (id, rest) = token.split_once('.')?;
        let (id, generation) = (GrantId::parse(id)?, rest.split_once('.')?.0.parse().ok()?);
        bool::from(self.refresh_token(id, generation).as_bytes().ct_eq(token.as_bytes())).then_some((id, generation))
    }
}

fn new_login(subject: String, client: String, permissions: Permissions, key: Option<GrantId>, now_s: u64) -> Grant {
    Grant { subject, client, kind: Kind::Login { generation: 0 }, permissions, created_s: now_s, expires_s: now_s + LOGIN_S, key }
}

fn name(text: &str) -> Result<String, AuthError> {
    let good = (1..=NAME_LEN_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if good { Ok(text.to_owned()) } else { Err(AuthError::BadName) }
}

/// The one id that begins so; at least 4 characters, as everywhere.
fn pick(selector: &str, ids: impl Iterator<Item = GrantId>) -> Result<GrantId, AuthError> {
    let long_enough = selector.len() >= mesto_oplog::id::ID_PREFIX_LEN_MIN;
    let found: Vec<GrantId> = ids.filter(|id| long_enough && id.to_string().starts_with(selector)).collect();
    match found.as_slice() {
        [] => Err(AuthError::Unknown(selector.to_owned())),
        [one] => Ok(*one),
        many => Err(AuthError::Ambiguous(selector.to_owned(), many.iter().map(ToString::to_string).collect())),
    }
}

/// Seconds since 1970.
pub(super) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
