//! Settings: flag over environment over `config.toml` over default, each with where it came from.
//!
//! One table, [`Key`], drives the file's format, the environment variables, `config show` and `config set`.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use libp2p::Multiaddr;
use toml_edit::{DocumentMut, Item, TableLike, Value};

mod key;

pub use key::{Key, Misfit};

use super::files;

/// A file of settings has a few hundred bytes.
const FILE_BYTES_MAX: usize = 1 << 20;

/// What begins a new `config.toml`.
const FILE_HEAD: &str = "# The settings of this node. `mesto config show --origin` lists all of them with their defaults,\n\
    # `mesto config set KEY VALUE` changes one here. They count from the next start on.\n\n";

/// The settings of a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// What the node is called, for people: also its alias in the groups that it begins or joins.
    pub name: Option<String>,
    /// Where the HTTP API listens; port 0 takes any free port.
    pub api_listen: SocketAddr,
    /// Names beside addresses and `localhost` by which requests may call the API: those of a proxy before it.
    pub api_hosts: Vec<String>,
    /// Origins whose pages may use the API. None but its own by default.
    pub api_origins: Vec<String>,
    /// Below which domain the pages of each context's app have a host of their own.
    pub pages_domain: String,
    /// Where peers connect.
    pub listen: Vec<Multiaddr>,
    /// Peers to connect to at first.
    pub bootstrap: Vec<Multiaddr>,
    /// Whether to find peers on the local network, and to be found.
    pub mdns: bool,
    /// Memory that one call of an app may use, in bytes.
    pub call_memory_bytes: u64,
    /// Wall time that one call of an app may take, in milliseconds.
    pub call_time_ms: u64,
    /// Bytes that all blobs together may have.
    pub blob_bytes: u64,
    /// Which messages are logged: a level, or directives as of tracing's `EnvFilter`.
    pub log: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: None,
            api_listen: SocketAddr::from(([127, 0, 0, 1], 2480)),
            api_hosts: Vec::new(),
            api_origins: Vec::new(),
            pages_domain: crate::http::PAGES_DOMAIN_DEFAULT.to_owned(),
            listen: ["/ip4/0.0.0.0/udp/2481/quic-v1", "/ip4/0.0.0.0/tcp/2481"]
                .map(|address| address.parse().expect("these are multiaddresses"))
                .to_vec(),
            bootstrap: Vec::new(),
            mdns: true,
            call_memory_bytes: 64 << 20,
            call_time_ms: 5_000,
            blob_bytes: 10 << 30,
            log: "info".to_owned(),
        }
    }
}

/// Where a setting came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Built in.
    Default,
    /// A file.
    File(PathBuf),
    /// An environment variable, by name.
    Environment(String),
    /// The command line.
    Flag,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(variable) => f.write_str(variable),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// Why settings cannot be used or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file names a setting that does not exist.
    #[error("{} has the unknown key `{key}`: remove it. There are {}", .file.display(), Key::list())]
    UnknownKeyInFile {
        /// The key, with dots between tables.
        key: String,
        /// The file.
        file: PathBuf,
    },
    /// A setting to be changed does not exist.
    #[error("there is no key `{name}`, but {}", Key::list())]
    UnknownKey {
        /// What was asked for.
        name: String,
    },
    /// A value does not fit its key.
    #[error("`{}` ({origin}) {misfit}", .key.name())]
    BadValue {
        /// The key.
        key: Key,
        /// Where the value came from.
        origin: Origin,
        /// What is wrong with it.
        misfit: Misfit,
    },
    /// An environment variable is not Unicode.
    #[error("the environment variable {0} is not Unicode text")]
    NotUnicode(String),
    /// The file is not TOML.
    #[error("{} is not TOML: {source}", .file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// What is wrong, and in which line.
        source: toml_edit::TomlError,
    },
    /// The file is too long to be one of settings, or not text.
    #[error("{} is not a file of settings", .0.display())]
    NotSettings(PathBuf),
    /// The file cannot be read or written.
    #[error("cannot use {}: {source}", .file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Settings of one origin, not yet checked: those of the command line.
#[derive(Clone, Debug, Default)]
pub struct Overrides(BTreeMap<Key, Value>);

impl Overrides {
    /// Sets a key to text.
    pub fn text(&mut self, key: Key, text: impl Into<String>) -> &mut Self {
        self.0.insert(key, Value::from(text.into()));
        self
    }

    /// Sets a key to several texts.
    pub fn list<T: Into<String>>(&mut self, key: Key, texts: impl IntoIterator<Item = T>) -> &mut Self {
        self.0.insert(key, texts.into_iter().map(Into::into).collect());
        self
    }

    /// Switches a key on or off.
    pub fn flag(&mut self, key: Key, on: bool) -> &mut Self {
        self.0.insert(key, Value::from(on));
        self
    }
}

/// Settings, and where each came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Those that are not by default.
    origins: BTreeMap<Key, Origin>,
}

impl Loaded {
    /// Where a setting came from.
    #[must_use]
    pub fn origin(&self, key: Key) -> Origin {
        self.origins.get(&key).cloned().unwrap_or(Origin::Default)
    }

    /// All settings, in the order of [`Key::ALL`], with their values as JSON.
    pub fn entries(&self) -> impl Iterator<Item = (Key, serde_json::Value, Origin)> + '_ {
        Key::ALL.into_iter().map(|key| (key, key.json(&self.config), self.origin(key)))
    }

    fn apply(&mut self, key: Key, value: &Value, origin: Origin) -> Result<(), ConfigError> {
        if let Err(misfit) = key.assign(&mut self.config, value) {
            return Err(ConfigError::BadValue { key, origin, misfit });
        }
        self.origins.insert(key, origin);
        Ok(())
    }
}

/// Puts the settings of all origins together. `environment` gives the value of a variable.
///
/// # Errors
/// See [`ConfigError`].
pub fn load(
    file: &Path,
    environment: impl Fn(&str) -> Option<OsString>,
    flags: &Overrides,
) -> Result<Loaded, ConfigError> {
    let mut loaded = Loaded { config: Config::default(), origins: BTreeMap::new() };
    for (key, value) in values(&read(file)?, file)? {
        loaded.apply(key, &value, Origin::File(file.to_owned()))?;
    }
    for key in Key::ALL {
        let variable = key.variable();
        // An empty variable is how a shell or a service file takes one back.
        let Some(text) = environment(&variable).filter(|text| !text.is_empty()) else { continue };
        let text = text.into_string().map_err(|_| ConfigError::NotUnicode(variable.clone()))?;
        let origin = Origin::Environment(variable);
        match key.parse(&text) {
            Ok(value) => loaded.apply(key, &value, origin)?,
            Err(misfit) => return Err(ConfigError::BadValue { key, origin, misfit }),
        }
    }
    for (key, value) in &flags.0 {
        loaded.apply(*key, value, Origin::Flag)?;
    }
    Ok(loaded)
}

/// The text of a new `config.toml` with some settings.
///
/// # Errors
/// [`ConfigError::BadValue`].
pub(super) fn new_file(settings: &Overrides) -> Result<String, ConfigError> {
    let mut loaded = Loaded { config: Config::default(), origins: BTreeMap::new() };
    let mut document = DocumentMut::new();
    for (key, value) in &settings.0 {
        loaded.apply(*key, value, Origin::Flag)?;
        put(&mut document, *key, value.clone());
    }
    Ok(format!("{FILE_HEAD}{document}"))
}

/// Changes one setting in a file and keeps all else, comments too.
///
/// # Errors
/// See [`ConfigError`]; then the file is as before.
pub(super) fn set(file: &Path, name: &str, text: &str) -> Result<(), ConfigError> {
    let key = Key::of_name(name).ok_or_else(|| ConfigError::UnknownKey { name: name.to_owned() })?;
    let bad = |misfit| ConfigError::BadValue { key, origin: Origin::Flag, misfit };
    let value = key.parse(text).map_err(bad)?;
    key.assign(&mut Config::default(), &value).map_err(bad)?;
    let mut document = read(file)?;
    values(&document, file)?;
    put(&mut document, key, value);
    files::replace(file, document.to_string().as_bytes())
        .map_err(|source| ConfigError::Io { file: file.to_owned(), source })
}

fn read(file: &Path) -> Result<DocumentMut, ConfigError> {
    let bytes = files::read_bounded(file, FILE_BYTES_MAX)
        .map_err(|source| ConfigError::Io { file: file.to_owned(), source })?;
    let text = String::from_utf8(bytes).ok().filter(|text| text.len() <= FILE_BYTES_MAX);
    let text = text.ok_or_else(|| ConfigError::NotSettings(file.to_owned()))?;
    text.parse().map_err(|source| ConfigError::Syntax { file: file.to_owned(), source })
}

/// All values of a document by key. Keys are at most one table deep.
fn values(document: &DocumentMut, file: &Path) -> Result<Vec<(Key, Value)>, ConfigError> {
    fn collect(
        table: &dyn TableLike,
        prefix: &str,
        file: &Path,
        found: &mut Vec<(Key, Value)>,
    ) -> Result<(), ConfigError> {
        for (name, item) in table.iter() {
            let name = format!("{prefix}{name}");
            match (Key::of_name(&name), item.as_value(), item.as_table_like()) {
                (Some(key), Some(value), _) => found.push((key, value.clone())),
                (None, _, Some(table)) if Key::has_table(&name) => collect(table, &format!("{name}."), file, found)?,
                _ => return Err(ConfigError::UnknownKeyInFile { key: name, file: file.to_owned() }),
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    collect(document.as_table(), "", file, &mut found)?;
    Ok(found)
}

/// Sets a value where its key stands; what stands around an older one stays.
fn put(document: &mut DocumentMut, key: Key, mut value: Value) {
    let (table, name) = match key.name().split_once('.') {
        Some((table, name)) => (document.entry(table).or_insert_with(toml_edit::table), name),
        None => (document.as_item_mut(), key.name()),
    };
    let Some(table) = table.as_table_like_mut() else { return };
    if let Some(old) = table.get_mut(name).and_then(Item::as_value_mut) {
        *value.decor_mut() = old.decor().clone();
        *old = value;
    } else {
        table.insert(name, Item::Value(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, text).unwrap();
        (folder, file)
    }

    fn load_text(text: &str) -> Result<Loaded, ConfigError> {
        load(&file(text).1, |_| None, &Overrides::default())
    }

    #[test]
    fn flag_beats_environment_beats_file_beats_default() {
        let (_folder, file) = file("name = 'file'\nlog = 'warn'\nmdns = false\n[limits]\ncall_time_ms = 7\n");
        let environment = |variable: &str| match variable {
            "MESTO_NAME" | "MESTO_LOG" => Some("debug".into()),
            "MESTO_LISTEN" => Some("/ip4/127.0.0.1/tcp/1, /ip4/127.0.0.1/udp/1/quic-v1".into()),
            "MESTO_LIMITS_BLOB_BYTES" => Some("1_000".into()),
            "MESTO_MDNS" => Some("".into()),
            _ => None,
        };
        let mut flags = Overrides::default();
        flags.text(Key::Name, "flag");
        let loaded = load(&file, environment, &flags).unwrap();
        let config = &loaded.config;
        assert_eq!((config.name.as_deref(), config.log.as_str()), (Some("flag"), "debug"));
        assert_eq!((config.mdns, config.call_time_ms, config.blob_bytes), (false, 7, 1_000));
        assert_eq!(config.listen.len(), 2);
        assert_eq!(config.api_listen, Config::default().api_listen);
        assert_eq!(loaded.origin(Key::Name), Origin::Flag);
        assert_eq!(loaded.origin(Key::Log), Origin::Environment("MESTO_LOG".to_owned()));
        assert_eq!(loaded.origin(Key::Mdns), Origin::File(file));
        assert_eq!(loaded.origin(Key::ApiListen), Origin::Default);
        assert_eq!(loaded.entries().count(), Key::ALL.len());
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_key_and_file() {
        for (text, key) in [
            ("nmae = 'x'", "`nmae`"),
            ("[limits]\ncall_memory = 1", "`limits.call_memory`"),
            ("[limit]\ncall_time_ms = 1", "`limit`"),
            ("limits = 5", "`limits`"),
            ("[name]\nx = 1", "`name`"),
            ("[[limits]]\ncall_time_ms = 1", "`limits`"),
        ] {
            let error = load_text(text).unwrap_err();
            assert!(matches!(error, ConfigError::UnknownKeyInFile { .. }), "{text}: {error}");
            let message = error.to_string();
            assert!(message.contains(key) && message.contains("config.toml"), "{message}");
        }
    }

    #[test]
    fn a_value_that_does_not_fit_is_an_error_that_names_key_and_origin() {
        for (text, key) in [
            ("name = 5", "`name`"),
            ("api_listen = 'localhost'", "`api_listen`"),
            ("listen = '/ip4/127.0.0.1/tcp/1'", "`listen`"),
            ("listen = ['127.0.0.1:80']", "`listen`"),
            ("mdns = 'yes'", "`mdns`"),
            ("limits.call_time_ms = 0", "`limits.call_time_ms`"),
            ("limits.call_memory_bytes = -1", "`limits.call_memory_bytes`"),
            ("log = '=='", "`log`"),
        ] {
            let message = load_text(text).unwrap_err().to_string();
            assert!(message.contains(key) && message.contains("config.toml"), "{message}");
        }
        let environment = |variable: &str| (variable == "MESTO_MDNS").then(|| "maybe".into());
        let message = load(&file("").1, environment, &Overrides::default()).unwrap_err().to_string();
        assert!(message.contains("MESTO_MDNS"), "{message}");
    }

    #[test]
    fn broken_toml_is_named_with_its_line() {
        let message = load_text("name = 'a'\nmdns = = true").unwrap_err().to_string();
        assert!(message.contains("config.toml") && message.contains("line 2"), "{message}");
    }

    #[test]
    fn setting_a_key_keeps_comments_and_everything_else() {
        let text = "# mine\nname = 'old' # why\n\n[limits] # few\n# slow machine\ncall_time_ms = 9_000\n";
        let (_folder, file) = file(text);
        set(&file, "name", "new").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text.replace("'old'", "\"new\""));
        set(&file, "limits.blob_bytes", "5").unwrap();
        set(&file, "mdns", "false").unwrap();
        set(&file, "bootstrap", "/ip4/10.0.0.1/tcp/2481,/ip4/10.0.0.2/tcp/2481").unwrap();
        let written = std::fs::read_to_string(&file).unwrap();
        assert!(written.contains("# mine") && written.contains("# why") && written.contains("# slow machine"));
        let config = load(&file, |_| None, &Overrides::default()).unwrap().config;
        assert_eq!((config.call_time_ms, config.blob_bytes, config.mdns), (9_000, 5, false));
        assert_eq!(config.bootstrap.len(), 2);
        set(&file, "bootstrap", "").unwrap();
        assert_eq!(load(&file, |_| None, &Overrides::default()).unwrap().config.bootstrap, []);
    }

    #[test]
    fn a_bad_setting_changes_nothing() {
        let (_folder, file) = file("name = 'old'\n");
        assert!(matches!(set(&file, "nmae", "x"), Err(ConfigError::UnknownKey { .. })));
        assert!(matches!(set(&file, "mdns", "perhaps"), Err(ConfigError::BadValue { .. })));
        assert!(matches!(set(&file, "api_listen", "here"), Err(ConfigError::BadValue { .. })));
        for name in ["two\nlines".to_owned(), "n".repeat(129)] {
            assert!(matches!(set(&file, "name", &name), Err(ConfigError::BadValue { misfit: Misfit::NotName, .. })));
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "name = 'old'\n");
    }

    #[test]
    fn every_default_can_be_set_to_itself() {
        let (_folder, file) = file(FILE_HEAD);
        let default = Loaded { config: Config::default(), origins: BTreeMap::new() };
        for (key, value, _) in default.entries() {
            let text = match value {
                serde_json::Value::Array(list) => {
                    list.iter().map(|item| item.as_str().unwrap()).collect::<Vec<_>>().join(",")
                }
                serde_json::Value::Null => String::new(),
                serde_json::Value::String(text) => text,
                number_or_switch @ (serde_json::Value::Bool(_)
                | serde_json::Value::Number(_)
                | serde_json::Value::Object(_)) => number_or_switch.to_string(),
            };
            set(&file, key.name(), &text).unwrap();
        }
        assert_eq!(load(&file, |_| None, &Overrides::default()).unwrap().config, Config::default());
    }
}
