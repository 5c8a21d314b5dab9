//! Who may log in, and who is logged in: one file of the home, replaced as a whole by every change.
//!
//! A change counts once it is on the disk; if it cannot be written, nothing has changed. Changes are rare: a login, a
//! refresh, a revocation.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use mesto_oplog::PublicKey;
use serde::{Deserialize, Serialize};

use super::password::Verifier;
use super::permission::Permissions;
use super::{AuthError, GrantId};
use crate::home::files;

/// The version of the file's format.
const VERSION: u32 = 1;

/// Longest file: every grant and key with the most permissions stays below.
const FILE_BYTES_MAX: usize = 16 << 20;

/// Logins at once. A browser tab is one; a program that logs in at every start leaves one behind each time, until it expires.
const GRANTS_MAX: usize = 1024;

/// Keys and passwords that can log in.
const KEYS_MAX: usize = 256;

/// What is kept.
#[derive(Clone, Default)]
pub(super) struct Contents {
    pub(super) keys: BTreeMap<GrantId, LoginKey>,
    pub(super) grants: BTreeMap<GrantId, Grant>,
}

/// Somebody who may log in.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LoginKey {
    pub(crate) name: String,
    pub(crate) proof: Proof,
    #[serde(with = "as_texts")]
    pub(crate) permissions: Permissions,
    pub(crate) created_s: u64,
}

/// How they prove it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum Proof {
    /// By a password.
    Password(Verifier),
    /// By a signature under this key.
    #[serde(with = "as_text")]
    Ed25519(PublicKey),
}

/// A login, or a token that was made for a program.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Grant {
    /// Who has it.
    pub(crate) subject: String,
    /// What its holder calls itself.
    pub(crate) client: String,
    pub(crate) kind: Kind,
    #[serde(with = "as_texts")]
    pub(crate) permissions: Permissions,
    pub(crate) created_s: u64,
    /// When it ends, unless it is refreshed.
    pub(crate) expires_s: u64,
    /// By which [`LoginKey`] it was made; it ends with that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<GrantId>,
}

/// How a grant goes on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum Kind {
    /// One access token until the end.
    Token,
    /// Short access tokens, and one refresh token at a time: the one of this generation.
    Login { generation: u64 },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    keys: BTreeMap<GrantId, LoginKey>,
    grants: BTreeMap<GrantId, Grant>,
}

/// The file and what is in it.
pub(super) struct Book {
    path: PathBuf,
    contents: Mutex<Arc<Contents>>,
    /// Held while a change is written, so that reading never waits for the disk.
    turn: Mutex<()>,
}

impl Book {
    /// Reads the file; none is an empty book.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let contents = match files::read_bounded(&path, FILE_BYTES_MAX) {
            Ok(bytes) => parse(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Contents::default(),
            Err(error) => return Err(error),
        };
        Ok(Self { path, contents: Mutex::new(Arc::new(contents)), turn: Mutex::new(()) })
    }

    /// What is in it now.
    pub(super) fn contents(&self) -> Arc<Contents> {
        Arc::clone(&self.contents.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes it, durably. What has expired goes. Waits for the disk.
    pub(super) fn change<T>(&self, now_s: u64, change: impl FnOnce(&mut Contents) -> Result<T, AuthError>) -> Result<T, AuthError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut contents = Contents::clone(&self.contents());
        contents.grants.retain(|_, grant| grant.expires_s > now_s);
        let outcome = change(&mut contents);
        // A refused change may still have changed something that must stay: a reused token ends its login.
        let written = if contents.grants.len() > GRANTS_MAX {
            Err(AuthError::TooMany("logins", GRANTS_MAX))
        } else if contents.keys.len() > KEYS_MAX {
            Err(AuthError::TooMany("keys", KEYS_MAX))
        } else {
            files::replace(&self.path, &text(&contents)).map_err(|error| AuthError::Storage(error.to_string()))
        };
        written?;
        *self.contents.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(contents);
        outcome
    }
}

fn parse(bytes: &[u8]) -> io::Result<Contents> {
    let damaged = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let file: File = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
    if file.version != VERSION {
        return Err(damaged(format!("its version is {}, this is version {VERSION}", file.version)));
    }
    Ok(Contents { keys: file.keys, grants: file.grants })
}

fn text(contents: &Contents) -> Vec<u8> {
    let file = File { version: VERSION, keys: contents.keys.clone(), grants: contents.grants.clone() };
    serde_json::to_vec_pretty(&file).expect("INVARIANT: texts and numbers always encode")
}

/// Permissions as a list of texts.
mod as_texts {
    use super::Permissions;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(permissions: &Permissions, serializer: S) -> Result<S::Ok, S::Error> {
        permissions.texts().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Permissions, D::Error> {
        Permissions::parse(&Vec::<String>::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// A key as its text.
mod as_text {
    use super::PublicKey;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(key: &PublicKey, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(key)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PublicKey, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(expires_s: u64) -> Grant {
        Grant {
            subject: "anna".into(),
            client: "test".into(),
            kind: Kind::Login { generation: 3 },
            permissions: Permissions::admin(),
            created_s: 1,
            expires_s,
            key: Some(GrantId::from_bytes([9; 10])),
        }
    }

    fn id(n: u16) -> GrantId {
        let mut bytes = [0; 10];
        bytes[..2].copy_from_slice(&n.to_be_bytes());
        GrantId::from_bytes(bytes)
    }

    fn sample() -> Contents {
        let signed = LoginKey {
            name: "ci".into(),
            proof: Proof::Ed25519(PublicKey::from_bytes([1; 32])),
            permissions: Permissions::parse(&["blob:read"]).unwrap(),
            created_s: 5,
        };
        Contents { keys: [(id(1), signed)].into(), grants: [(id(2), grant(100))].into() }
    }

    #[test]
    fn the_file_reads_as_it_always_did() {
        let golden = include_str!("book/golden.json");
        assert_eq!(String::from_utf8(text(&sample())).unwrap(), golden.trim_end());
        let read = parse(golden.as_bytes()).unwrap();
        assert_eq!((read.keys, read.grants), (sample().keys, sample().grants));
    }

    #[test]
    fn what_is_changed_is_there_after_a_restart_and_for_the_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("auth.json");
        let book = Book::open(path.clone()).unwrap();
        book.change(0, |contents| Ok(contents.grants.insert(id(2), grant(100)))).unwrap();
        assert_eq!(Book::open(path.clone()).unwrap().contents().grants[&id(2)], grant(100));
        assert!(files::check_private(&path).is_ok());
        book.change(100, |_| Ok(())).unwrap();
        assert!(Book::open(path).unwrap().contents().grants.is_empty(), "what has expired is forgotten");
    }

    #[test]
    fn a_change_that_cannot_be_written_has_not_happened() {
        let folder = tempfile::tempdir().unwrap();
        let book = Book::open(folder.path().join("gone").join("auth.json")).unwrap();
        let changed = book.change(0, |contents| Ok(contents.grants.insert(id(1), grant(100))));
        assert!(matches!(changed, Err(AuthError::Storage(_))));
        assert!(book.contents().grants.is_empty());
    }

    #[test]
    fn logins_are_bounded_and_a_damaged_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("auth.json");
        let book = Book::open(path.clone()).unwrap();
        let fill = |contents: &mut Contents, count: u16| contents.grants.extend((0..count).map(|n| (id(n), grant(100))));
        let bound = u16::try_from(GRANTS_MAX).unwrap();
        book.change(0, |contents| Ok(fill(contents, bound))).unwrap();
        assert!(matches!(book.change(0, |contents| Ok(fill(contents, bound + 1))), Err(AuthError::TooMany(..))));
        for damage in ["", "{}", r#"{"version":2,"keys":{},"grants":{}}"#, r#"{"version":1,"keys":{},"grants":{"x":{}}}"#] {
            files::replace(&path, damage.as_bytes()).unwrap();
            assert!(Book::open(path.clone()).is_err(), "{damage}");
        }
    }
}
