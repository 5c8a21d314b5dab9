//! How a home tells that a node runs in it: a lock that the system releases with the process, and a file for clients.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    path::PathBuf,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{Home, HomeError, files};

/// A node's own description has a few hundred bytes; addresses of many interfaces make it grow.
const NODE_INFO_BYTES_MAX: usize = 1 << 20;

/// For how long a lock that is held may be that of a client which looks for a node: it holds it for microseconds.
const PROBES: u32 = 10;
const PROBE_PAUSE: Duration = Duration::from_millis(10);

/// What clients need to reach the node: the contents of `run/node.json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeInfo {
    /// The process.
    pub pid: u32,
    /// The URL of its API, with the port that it got.
    pub api: String,
    /// Its peer id.
    pub peer_id: String,
    /// The multiaddresses on which it listens, with the ports that it got.
    pub listen: Vec<String>,
}

/// Why a home could not be claimed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process has it.
    #[error(
        "a node{} runs in {} already: stop it, or use another --home",
        .pid.map_or_else(String::new, |pid| format!(" (process {pid})")),
        .folder.display()
    )]
    InUse {
        /// The home.
        folder: PathBuf,
        /// The other process, unless it has only just begun.
        pid: Option<u32>,
    },
    /// The lock's file cannot be used.
    #[error("cannot use {}: {source}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A claim on a home. When it is dropped, and when its process dies in any way, the home is free again.
#[derive(Debug)]
pub struct RunLock {
    /// Locked for as long as it is open.
    _file: File,
    info_file: PathBuf,
}

impl RunLock {
    pub(super) fn take(home: &Home) -> Result<Self, LockError> {
        let path = home.lock_file();
        let io = |source| LockError::Io { path: path.clone(), source };
        let mut file = open_lock(&path).map_err(io)?;
        let mut probes_left = PROBES;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if probes_left > 0 => {
                    probes_left -= 1;
                    std::thread::sleep(PROBE_PAUSE);
                }
                Err(TryLockError::WouldBlock) => {
                    let mut pid = String::new();
                    file.take(20).read_to_string(&mut pid).map_err(io)?;
                    return Err(LockError::InUse { folder: home.folder.clone(), pid: pid.trim().parse().ok() });
                }
                Err(TryLockError::Error(source)) => return Err(io(source)),
            }
        }
        let info_file = home.info_file();
        remove_if_there(&info_file).map_err(|source| LockError::Io { path: info_file.clone(), source })?;
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(io)?;
        Ok(Self { _file: file, info_file })
    }

    /// Tells clients that the node is ready.
    ///
    /// # Errors
    /// If `run/node.json` cannot be written.
    pub fn announce(&self, info: &NodeInfo) -> io::Result<()> {
        let mut json = serde_json::to_vec(info)?;
        json.push(b'\n');
        files::replace(&self.info_file, &json)
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        if let Err(error) = remove_if_there(&self.info_file) {
            tracing::warn!(file = %self.info_file.display(), %error, "cannot remove the node's description");
        }
    }
}

pub(super) fn live_node(home: &Home) -> Result<Option<NodeInfo>, HomeError> {
    let path = home.lock_file();
    let lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(HomeError::Io { path, source }),
    };
    match lock.try_lock_shared() {
        Ok(()) => return Ok(None),
        Err(TryLockError::WouldBlock) => (),
        Err(TryLockError::Error(source)) => return Err(HomeError::Io { path, source }),
    }
    let path = home.info_file();
    match files::read_bounded(&path, NODE_INFO_BYTES_MAX) {
        Ok(json) => serde_json::from_slice(&json)
            .map(Some)
            .map_err(|_| HomeError::Damaged { path, expected: "a node's description" }),
        // It is starting or stopping.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(HomeError::Io { path, source }),
    }
}

impl Home {
    fn lock_file(&self) -> PathBuf {
        self.run_folder().join("lock")
    }

    fn info_file(&self) -> PathBuf {
        self.run_folder().join("node.json")
    }
}

fn open_lock(path: &std::path::Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // Not truncated: it may name the process that holds the lock.
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn remove_if_there(path: &std::path::Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::new_home, *};

    fn info() -> NodeInfo {
        NodeInfo {
            pid: std::process::id(),
            api: "http://127.0.0.1:2480".to_owned(),
            peer_id: "12D3KooW".to_owned(),
            listen: vec!["/ip4/127.0.0.1/tcp/2481".to_owned()],
        }
    }

    #[test]
    fn a_home_has_one_node_at_a_time() {
        let (_folder, home) = new_home();
        let lock = home.lock().unwrap();
        let error = home.lock().unwrap_err();
        assert!(matches!(error, LockError::InUse { pid: Some(pid), .. } if pid == std::process::id()));
        assert!(error.to_string().contains(&std::process::id().to_string()));
        drop(lock);
        home.lock().unwrap();
    }

    #[test]
    fn a_node_is_live_from_its_announcement_to_its_end() {
        let (_folder, home) = new_home();
        assert_eq!(home.live_node().unwrap(), None);
        let lock = home.lock().unwrap();
        assert_eq!(home.live_node().unwrap(), None, "not ready yet");
        lock.announce(&info()).unwrap();
        assert_eq!(home.live_node().unwrap(), Some(info()));
        drop(lock);
        assert_eq!(home.live_node().unwrap(), None);
        assert!(!home.info_file().exists());
    }

    #[test]
    fn what_a_dead_node_left_is_not_a_live_node() {
        let (_folder, home) = new_home();
        std::fs::write(home.lock_file(), "1\n").unwrap();
        files::replace(&home.info_file(), &serde_json::to_vec(&info()).unwrap()).unwrap();
        assert_eq!(home.live_node().unwrap(), None, "process 1 lives, but it is no node of this home");
        let _lock = home.lock().unwrap();
        assert_eq!(home.live_node().unwrap(), None, "the old description is gone");
    }

    #[test]
    fn the_description_has_the_names_that_clients_read() {
        let json = serde_json::to_value(info()).unwrap();
        let names: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
        assert_eq!(names, ["api", "listen", "peerId", "pid"]);
    }
}
