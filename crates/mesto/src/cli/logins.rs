//! The logins of this user to nodes: tokens by the node's URL, in a file that only its owner may open.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mesto_api::auth::{Refresh, TokenPair};
use mesto_api::{Client, ErrorCode};
use serde::Deserialize;

use super::failure::Failure;
use crate::home::{LOGINS, files};

/// A file of a thousand logins is shorter.
const FILE_BYTES_MAX: usize = 4 << 20;

/// A token that ends within so many seconds is renewed before it is used.
const RENEW_S: u64 = 60;

/// The file and what is in it.
pub(super) struct Logins {
    path: PathBuf,
    by_api: BTreeMap<String, TokenPair>,
}

impl Logins {
    /// The logins that lie in a folder, which need not be there.
    pub(super) fn of(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(LOGINS);
        let failed = |error: io::Error| Failure::file(&path, &error);
        files::check_private(&path).map_err(|exposed| Failure::new(ErrorCode::FileError, exposed.to_string()))?;
        let by_api = match files::read_bounded(&path, FILE_BYTES_MAX) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(failed(error)),
        };
        Ok(Self { path, by_api })
    }

    /// The access token for a node, renewed if it ends soon.
    pub(super) fn token(mut self, api: &str) -> Result<Option<String>, Failure> {
        let api = api.trim_end_matches('/');
        let Some(pair) = self.by_api.get(api).cloned() else { return Ok(None) };
        if end_s(&pair.access_token).is_none_or(|end| end > now_s() + RENEW_S) {
            return Ok(Some(pair.access_token));
        }
        let refresh = Refresh { access_token: pair.access_token, refresh_token: pair.refresh_token };
        let renewed = Client::new(api, None)?.refresh(&refresh)?;
        let token = renewed.access_token.clone();
        self.keep(api, renewed)?;
        Ok(Some(token))
    }

    /// Remembers a login.
    pub(super) fn keep(&mut self, api: &str, tokens: TokenPair) -> Result<(), Failure> {
        self.by_api.insert(api.trim_end_matches('/').to_owned(), tokens);
        self.write()
    }

    /// Forgets a login, and gives it.
    pub(super) fn forget(&mut self, api: &str) -> Result<Option<TokenPair>, Failure> {
        let forgotten = self.by_api.remove(api.trim_end_matches('/'));
        self.write()?;
        Ok(forgotten)
    }

    fn write(&self) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::file(&self.path, &error);
        if let Some(folder) = self.path.parent().filter(|folder| !folder.exists()) {
            files::make_private_folder(folder).map_err(failed)?;
        }
        let text = serde_json::to_vec_pretty(&self.by_api).unwrap_or_default(); // texts always encode
        files::replace(&self.path, &text).map_err(failed)
    }
}

#[derive(Deserialize)]
struct End {
    exp: u64,
}

/// When a token ends, as it says itself.
fn end_s(token: &str) -> Option<u64> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<End>(&payload).ok().map(|end| end.exp)
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(exp: u64) -> TokenPair {
        let payload = URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{exp}}}"#));
        TokenPair { access_token: format!("h.{payload}.s"), refresh_token: "r".into() }
    }

    #[test]
    fn a_login_is_kept_for_its_node_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("not there yet");
        let tokens = pair(now_s() + 3600);
        Logins::of(&folder).unwrap().keep("http://a:1/", tokens.clone()).unwrap();
        assert!(files::check_private(&folder.join(LOGINS)).is_ok());
        assert_eq!(Logins::of(&folder).unwrap().token("http://a:1").unwrap(), Some(tokens.access_token.clone()));
        assert_eq!(Logins::of(&folder).unwrap().token("http://b:1").unwrap(), None);
        assert_eq!(Logins::of(&folder).unwrap().forget("http://a:1").unwrap(), Some(tokens));
        assert_eq!(Logins::of(&folder).unwrap().token("http://a:1").unwrap(), None);
    }

    #[test]
    fn a_token_tells_when_it_ends() {
        assert_eq!(end_s(&pair(7).access_token), Some(7));
        for none in ["", "x", "a.b.c"] {
            assert_eq!(end_s(none), None);
        }
    }
}
