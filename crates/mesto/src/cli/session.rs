//! Which home and which node a command is about.

use std::path::{Path, PathBuf};

use mesto_api::{Client, ErrorCode};

use super::Global;
use super::failure::Failure;
use super::logins::Logins;
use crate::home::{ConfigError, Home, HomeError, InitError, LockError};

/// The flags that say which node is meant.
pub(crate) struct Session {
    global: Global,
}

impl Session {
    pub(crate) fn new(global: &Global) -> Self {
        Self { global: global.clone() }
    }

    /// The folder of the node, which need not be there.
    pub(crate) fn folder(&self) -> Result<PathBuf, Failure> {
        Home::locate(self.global.home.clone()).map_err(|error| Failure::usage(error.to_string()))
    }

    /// The node's home.
    pub(crate) fn home(&self) -> Result<Home, Failure> {
        Ok(Home::open(&self.folder()?)?)
    }

    /// A client of the node: flags over environment over what the home says.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let api = match &self.global.api {
            Some(api) => api.clone(),
            None => self.api_of_home()?,
        };
        let token = self.token(&api)?;
        Ok(Client::new(&api, token)?)
    }

    /// A client that shows no token.
    pub(crate) fn stranger(&self) -> Result<Client, Failure> {
        let api = match &self.global.api {
            Some(api) => api.clone(),
            None => self.api_of_home()?,
        };
        Ok(Client::new(&api, None)?)
    }

    fn api_of_home(&self) -> Result<String, Failure> {
        let folder = self.folder()?;
        let home = Home::open(&folder).map_err(|error| no_node(&folder, &error.to_string()))?;
        match home.live_node()? {
            Some(node) => Ok(node.api),
            None => Err(no_node(&folder, &format!("no node runs in {}", folder.display()))),
        }
    }

    /// A given token, else that of a login to a given node, else the home's. None if no home is here: a node elsewhere
    /// may still answer what is public.
    fn token(&self, api: &str) -> Result<Option<String>, Failure> {
        if let Some(token) = &self.global.token {
            return Ok(Some(token.trim().to_owned()));
        }
        if self.global.api.is_some()
            && let Some(token) = Logins::of(&self.folder()?)?.token(api)?
        {
            return Ok(Some(token));
        }
        match self.folder().map(|folder| Home::open(&folder)) {
            Ok(Ok(home)) => Ok(Some(home.token()?.as_str().to_owned())),
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }
}

fn no_node(folder: &Path, detail: &str) -> Failure {
    let home = folder.display();
    let hint = if folder.join("config.toml").exists() {
        format!("start it with `mesto --home {home} run`")
    } else {
        format!(
            "make it with `mesto --home {home} init` and start it with `mesto --home {home} run`, or name another with --api"
        )
    };
    Failure::new(ErrorCode::NotReachable, detail).hint(hint)
}

impl From<HomeError> for Failure {
    fn from(error: HomeError) -> Self {
        let detail = error.to_string();
        match error {
            HomeError::NotInitialised(_) => Self::new(ErrorCode::HomeMissing, detail),
            HomeError::Exposed(_) | HomeError::Damaged { .. } | HomeError::Io { .. } => {
                Self::new(ErrorCode::FileError, detail)
            }
        }
    }
}

impl From<InitError> for Failure {
    fn from(error: InitError) -> Self {
        let detail = error.to_string();
        match error {
            InitError::AlreadyInitialised(_) | InitError::HoldsForeignFiles { .. } => {
                Self::new(ErrorCode::HomeExists, detail)
            }
            InitError::Config(error) => error.into(),
            InitError::Io { .. } => Self::new(ErrorCode::FileError, detail),
            InitError::NoRandomness(_) => Self::new(ErrorCode::InternalError, detail),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let detail = error.to_string();
        match error {
            ConfigError::UnknownKey { .. } => Self::usage(detail),
            ConfigError::BadValue { origin: crate::home::Origin::Flag, .. } => Self::usage(detail),
            ConfigError::Io { .. } => Self::new(ErrorCode::FileError, detail),
            ConfigError::UnknownKeyInFile { .. }
            | ConfigError::BadValue { .. }
            | ConfigError::NotUnicode(_)
            | ConfigError::Syntax { .. }
            | ConfigError::NotSettings(_) => Self::new(ErrorCode::InvalidConfiguration, detail),
        }
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        let detail = error.to_string();
        match error {
            LockError::InUse { .. } => Self::new(ErrorCode::AlreadyRunning, detail),
            LockError::Io { .. } => Self::new(ErrorCode::FileError, detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(home: &Path, api: Option<&str>) -> Session {
        Session::new(&Global {
            home: Some(home.to_owned()),
            api: api.map(str::to_owned),
            token: None,
            json: false,
            quiet: false,
            verbose: false,
        })
    }

    #[test]
    fn without_a_node_a_command_ends_with_status_3_and_a_hint() {
        let folder = tempfile::tempdir().unwrap();
        let failure = session(folder.path(), None).client().unwrap_err();
        assert_eq!(failure.code().exit_status(), 3);
        assert!(failure.problem().hint.as_ref().unwrap().contains("init"));
        let home = folder.path().join("home");
        Home::init(&home, &Default::default()).unwrap();
        let failure = session(&home, None).client().unwrap_err();
        assert_eq!(failure.code().exit_status(), 3);
        assert!(failure.problem().hint.as_ref().unwrap().ends_with("run`"));
    }

    #[test]
    fn a_given_api_needs_no_home() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(session(folder.path(), Some("http://127.0.0.1:9/")).client().unwrap().base(), "http://127.0.0.1:9");
        assert_eq!(session(folder.path(), Some("ftp://x")).client().unwrap_err().code().exit_status(), 2);
    }
}
