//! A node's folder: configuration, keys, token, store, blobs, and what tells that a node runs.
//!
//! | name | what | mode |
//! | --- | --- | --- |
//! | `config.toml` | settings; its presence makes the folder a home | 0600 |
//! | `token` | the secret that local programs show to the API | 0600 |
//! | `keys/peer.key` | the node's Ed25519 peer key, PKCS#8 PEM | 0600 in 0700 |
//! | `keys/api.secret` | 32 random bytes, from which the secrets of the API's logins derive | 0600 in 0700 |
//! | `logins.json` | tokens of other nodes, by `mesto login` | 0600 |
//! | `auth.json` | who may log in to the API, and who is logged in | 0600 |
//! | `keys/member.secret` | 32 random bytes, from which member keys derive | 0600 in 0700 |
//! | `store/`, `blobs/`, `cache/wasm/` | data | 0700 |
//! | `run/lock`, `run/node.json` | held, and there, while a node runs | 0600 in 0700 |

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use mesto_oplog::SigningKey;
use zeroize::Zeroizing;

pub mod config;
pub(crate) mod files;
mod running;
mod secrets;

pub use config::{Config, ConfigError, Key, Loaded, Origin, Overrides};
pub use running::{LockError, NodeInfo, RunLock};

/// The environment variable that names the folder.
pub const FOLDER_VARIABLE: &str = "MESTO_HOME";

/// The folder's name in the user's home.
const FOLDER_NAME: &str = ".mesto";

/// The file of the tokens that this user has of other nodes. It may lie in a folder that is no home of a node.
pub(crate) const LOGINS: &str = "logins.json";

/// What a home may hold at its top.
const NAMES: [&str; 9] = ["config.toml", "token", "auth.json", LOGINS, "keys", "store", "blobs", "cache", "run"];

/// Neither flag nor environment names a folder, and the user has no home.
#[derive(Debug, thiserror::Error)]
#[error("there is no home folder: give one by --home or {FOLDER_VARIABLE}")]
pub struct NoFolder;

/// Why a home was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// It was made before.
    #[error("{} is a home already: use another --home, or change it by `mesto config set`", .0.display())]
    AlreadyInitialised(PathBuf),
    /// The folder holds something else.
    #[error("{} holds `{name}`, which is not Mesto's: choose an empty folder", .folder.display())]
    HoldsForeignFiles {
        /// The folder.
        folder: PathBuf,
        /// One such file.
        name: String,
    },
    /// A setting is not acceptable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file or folder could not be made.
    #[error("cannot write {}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes: {0}")]
    NoRandomness(getrandom::Error),
}

/// Why something of a home could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HomeError {
    /// There is no home in the folder.
    #[error("{} is not a home: run `mesto init`, or name the right folder by --home", .0.display())]
    NotInitialised(PathBuf),
    /// Others than the owner may read a secret.
    #[error(transparent)]
    Exposed(#[from] Exposed),
    /// A secret is not what it should be.
    #[error("{} is damaged: it is not {expected}. Restore it from a backup", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        expected: &'static str,
    },
    /// A file could not be read, or a folder not be made.
    #[error("cannot use {}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A file or folder that others than its owner may open.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("others may open {} (mode {mode:o}): run `chmod go= {}`", .path.display(), .path.display())]
pub struct Exposed {
    /// Which.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
}

/// A folder that was initialised.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Home {
    folder: PathBuf,
}

impl Home {
    /// Which folder to use: `flag`, else `MESTO_HOME`, else `~/.mesto`.
    ///
    /// # Errors
    /// [`NoFolder`].
    pub fn locate(flag: Option<PathBuf>) -> Result<PathBuf, NoFolder> {
        let variable = std::env::var_os(FOLDER_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        flag.or(variable).or_else(|| Some(std::env::home_dir()?.join(FOLDER_NAME))).ok_or(NoFolder)
    }

    /// Makes a home in `folder`, with new keys and token and the given settings in its `config.toml`. What an
    /// interrupted `init` left is completed, not replaced.
    ///
    /// # Errors
    /// See [`InitError`].
    pub fn init(folder: &Path, settings: &Overrides) -> Result<Self, InitError> {
        let home = Self { folder: folder.to_owned() };
        if home.config_file().exists() {
            return Err(InitError::AlreadyInitialised(home.folder));
        }
        let config = config::new_file(settings)?;
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| InitError::Io { path, source }
        };
        files::make_private_folder(folder).map_err(io(folder))?;
        home.refuse_foreign_files()?;
        for folder in home.folders() {
            files::make_private_folder(&folder).map_err(io(&folder))?;
        }
        let new_secret = || secrets::new_secret().map_err(InitError::NoRandomness);
        for (path, text) in [
            (home.peer_key_file(), secrets::peer_key_text(&*new_secret()?)),
            (home.member_root_file(), secrets::secret_text(&*new_secret()?)),
            (home.token_file(), secrets::secret_text(&*new_secret()?)),
        ] {
            files::create_unless_there(&path, text.as_bytes()).map_err(io(&path))?;
        }
        let path = home.config_file();
        match files::create(&path, config.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(InitError::AlreadyInitialised(home.folder))
            }
            result => result.map(|()| home).map_err(io(&path)),
        }
    }

    /// Opens the home in `folder`. Folders that hold no secrets are made anew if they are gone.
    ///
    /// # Errors
    /// [`HomeError::NotInitialised`], [`HomeError::Io`].
    pub fn open(folder: &Path) -> Result<Self, HomeError> {
        let home = Self { folder: folder.to_owned() };
        if !home.config_file().exists() {
            return Err(HomeError::NotInitialised(home.folder));
        }
        for folder in home.folders() {
            if !folder.exists() {
                files::make_private_folder(&folder).map_err(|source| HomeError::Io { path: folder, source })?;
            }
        }
        Ok(home)
    }

    /// The folder itself.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `config.toml`.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.folder.join("config.toml")
    }

    /// `token`.
    #[must_use]
    pub fn token_file(&self) -> PathBuf {
        self.folder.join("token")
    }

    /// `store/`.
    #[must_use]
    pub fn store_folder(&self) -> PathBuf {
        self.folder.join("store")
    }

    /// `blobs/`.
    #[must_use]
    pub fn blobs_folder(&self) -> PathBuf {
        self.folder.join("blobs")
    }

    /// `cache/wasm/`, whose compiled code is trusted: only the owner may write it.
    #[must_use]
    pub fn wasm_cache_folder(&self) -> PathBuf {
        self.folder.join("cache").join("wasm")
    }

    /// The settings: flag over environment over file over default.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn config(&self, flags: &Overrides) -> Result<Loaded, ConfigError> {
        config::load(&self.config_file(), |variable| std::env::var_os(variable), flags)
    }

    /// Writes one setting to `config.toml`, whose comments stay. It counts from the next start on.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn set_config(&self, key: &str, value: &str) -> Result<(), ConfigError> {
        config::set(&self.config_file(), key, value)
    }

    /// The secret that local programs show to the API.
    ///
    /// # Errors
    /// See [`HomeError`].
    pub fn token(&self) -> Result<Zeroizing<String>, HomeError> {
        let path = self.token_file();
        let bytes = secrets::read_secret(&path)?;
        Ok(secrets::secret_line(&bytes))
    }

    /// 32 random bytes from which the secrets of the API's logins derive. Made when it is first asked for: homes of
    /// earlier versions have none.
    ///
    /// # Errors
    /// See [`HomeError`].
    pub fn api_secret(&self) -> Result<Zeroizing<[u8; 32]>, HomeError> {
        let path = self.api_secret_file();
        let failed = |source| HomeError::Io { path: path.clone(), source };
        if !path.exists() {
            let secret = secrets::new_secret().map_err(|error| failed(io::Error::other(error)))?;
            files::create_unless_there(&path, secrets::secret_text(&secret).as_bytes()).map_err(failed)?;
        }
        secrets::read_secret(&path)
    }

    /// `auth.json`: who may log in to the API, and who is logged in.
    #[must_use]
    pub fn auth_file(&self) -> PathBuf {
        self.folder.join("auth.json")
    }

    /// The key that the node's connections are made with.
    ///
    /// # Errors
    /// See [`HomeError`].
    pub fn peer_key(&self) -> Result<SigningKey, HomeError> {
        secrets::read_peer_key(&self.peer_key_file())
    }

    /// An Ed25519 key in a file of its own, as `mesto key generate` makes them.
    ///
    /// # Errors
    /// See [`HomeError`].
    pub(crate) fn signing_key(file: &Path) -> Result<SigningKey, HomeError> {
        secrets::read_peer_key(file)
    }

    /// 32 random bytes that no other home has, from which the keys derive under which this node is a member.
    ///
    /// # Errors
    /// See [`HomeError`].
    pub fn member_root(&self) -> Result<Zeroizing<[u8; 32]>, HomeError> {
        secrets::read_secret(&self.member_root_file())
    }

    /// What others than the owner may open, though it is secret.
    #[must_use]
    pub fn exposed(&self) -> Vec<Exposed> {
        let secrets = [self.peer_key_file(), self.member_root_file(), self.api_secret_file(), self.auth_file()];
        [self.token_file(), self.keys_folder(), self.wasm_cache_folder()]
            .into_iter()
            .chain(secrets)
            .filter_map(|path| files::check_private(&path).err())
            .collect()
    }

    /// Claims the home for this process, for as long as the lock lives.
    ///
    /// # Errors
    /// See [`LockError`].
    pub fn lock(&self) -> Result<RunLock, LockError> {
        RunLock::take(self)
    }

    /// The node that runs in this home, once it is ready. What a dead one left behind does not count.
    ///
    /// # Errors
    /// [`HomeError::Io`], [`HomeError::Damaged`].
    pub fn live_node(&self) -> Result<Option<NodeInfo>, HomeError> {
        running::live_node(self)
    }

    fn keys_folder(&self) -> PathBuf {
        self.folder.join("keys")
    }

    fn peer_key_file(&self) -> PathBuf {
        self.keys_folder().join("peer.key")
    }

    fn member_root_file(&self) -> PathBuf {
        self.keys_folder().join("member.secret")
    }

    fn api_secret_file(&self) -> PathBuf {
        self.keys_folder().join("api.secret")
    }

    fn run_folder(&self) -> PathBuf {
        self.folder.join("run")
    }

    fn folders(&self) -> [PathBuf; 6] {
        [
            self.keys_folder(),
            self.store_folder(),
            self.blobs_folder(),
            self.folder.join("cache"),
            self.wasm_cache_folder(),
            self.run_folder(),
        ]
    }

    /// Hidden files and a mount's `lost+found` harm nobody.
    fn refuse_foreign_files(&self) -> Result<(), InitError> {
        let io = |source| InitError::Io { path: self.folder.clone(), source };
        for entry in fs::read_dir(&self.folder).map_err(io)? {
            let name = entry.map_err(io)?.file_name().to_string_lossy().into_owned();
            if !NAMES.contains(&name.as_str()) && !name.starts_with('.') && name != "lost+found" {
                return Err(InitError::HoldsForeignFiles { folder: self.folder.clone(), name });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn new_home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::init(&folder.path().join("home"), &Overrides::default()).unwrap();
        (folder, home)
    }

    #[test]
    fn a_new_home_has_everything_and_opens() {
        let (_folder, home) = new_home();
        assert_eq!(Home::open(home.folder()).unwrap(), home);
        for folder in home.folders() {
            assert!(folder.is_dir(), "{}", folder.display());
        }
        assert_eq!(home.token().unwrap().len(), 52);
        assert_eq!(home.token().unwrap(), home.token().unwrap());
        assert_eq!(home.api_secret().unwrap(), home.api_secret().unwrap());
        assert_ne!(home.member_root().unwrap(), home.peer_key().unwrap().seed());
        assert_eq!(home.config(&Overrides::default()).unwrap().config, Config::default());
        let (_other_folder, other) = new_home();
        assert_ne!(home.token().unwrap(), other.token().unwrap());
        assert_ne!(home.member_root().unwrap(), other.member_root().unwrap());
        assert_ne!(home.peer_key().unwrap().public(), other.peer_key().unwrap().public());
    }

    #[test]
    fn a_second_init_is_refused_and_names_the_folder() {
        let (_folder, home) = new_home();
        let token = home.token().unwrap();
        let error = Home::init(home.folder(), &Overrides::default()).unwrap_err();
        assert!(matches!(error, InitError::AlreadyInitialised(_)));
        assert!(error.to_string().contains(home.folder().to_str().unwrap()));
        assert_eq!(home.token().unwrap(), token);
    }

    #[test]
    fn an_interrupted_init_is_completed_with_the_keys_it_made() {
        let (_folder, home) = new_home();
        let root = home.member_root().unwrap();
        fs::remove_file(home.config_file()).unwrap();
        fs::remove_file(home.token_file()).unwrap();
        assert!(matches!(Home::open(home.folder()), Err(HomeError::NotInitialised(_))));
        Home::init(home.folder(), &Overrides::default()).unwrap();
        assert_eq!(home.member_root().unwrap(), root);
        home.token().unwrap();
    }

    #[test]
    fn a_folder_with_other_files_does_not_become_a_home() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.txt"), b"").unwrap();
        let error = Home::init(folder.path(), &Overrides::default()).unwrap_err();
        assert!(matches!(error, InitError::HoldsForeignFiles { name, .. } if name == "thesis.txt"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn settings_of_init_are_written_and_bad_ones_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home");
        let mut bad = Overrides::default();
        bad.text(Key::ApiListen, "nowhere");
        assert!(matches!(Home::init(&path, &bad), Err(InitError::Config(_))));
        assert!(!path.exists());
        let mut good = Overrides::default();
        good.text(Key::Name, "anna").flag(Key::Mdns, false).list(Key::Listen, ["/ip4/127.0.0.1/tcp/0"]);
        let config = Home::init(&path, &good).unwrap().config(&Overrides::default()).unwrap().config;
        assert_eq!(config.name.as_deref(), Some("anna"));
        assert!(!config.mdns);
        assert_eq!(config.listen, ["/ip4/127.0.0.1/tcp/0".parse().unwrap()]);
    }

    #[cfg(unix)]
    #[test]
    fn secrets_are_for_the_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        let (_folder, home) = new_home();
        for folder in home.folders().iter().map(PathBuf::as_path).chain([home.folder()]) {
            assert_eq!(mode(folder), 0o700, "{}", folder.display());
        }
        for file in [home.config_file(), home.token_file(), home.peer_key_file(), home.member_root_file()] {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
        assert_eq!(home.exposed(), []);
        fs::set_permissions(home.token_file(), fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(home.exposed(), [Exposed { path: home.token_file(), mode: 0o640 }]);
        let error = home.token().unwrap_err();
        assert!(error.to_string().contains("chmod"), "{error}");
    }

    #[test]
    fn damaged_secrets_are_named() {
        let (_folder, home) = new_home();
        for (path, read) in [
            (home.token_file(), (|home: &Home| home.token().map(|_| ())) as fn(&Home) -> Result<(), HomeError>),
            (home.member_root_file(), |home| home.member_root().map(|_| ())),
            (home.peer_key_file(), |home| home.peer_key().map(|_| ())),
        ] {
            for damage in ["", "hello", &"a".repeat(52), &"x".repeat(100_000)] {
                files::replace(&path, damage.as_bytes()).unwrap();
                let error = read(&home).err();
                let fine = damage.len() == 52 && !path.ends_with("peer.key");
                assert_eq!(error.is_none(), fine, "{} {:?}", path.display(), error);
            }
        }
    }
}
