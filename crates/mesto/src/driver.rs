//! The driver: the pure node, and around it the threads and tasks that carry out what it wants.
//!
//! ```text
//!   HTTP ──► Handle ──┐                                   ┌──► replies
//!   network ─► inbound (verification threads) ──► core ───┼──► outbound task ──► network
//!   executor threads ─┤      one thread that      │       ├──► executor threads (wasm)
//!   committer ────────┘      steps the node       └► store│    (batches, group commit)
//!                                                         └──► subscribers
//! ```
//!
//! The core thread never waits for a peer or a reader, and for a guest no more than a moment: [`brief`]. It waits for
//! the committer alone, when too many batches are in flight. Everything else pushes back by the bounds that are named where the queues are made.

mod apps;
mod brief;
mod core;
mod execute;
mod flows;
mod handle;
mod inbound;
mod metrics;
mod outbound;
mod ports;
mod versions;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesto_node::{Entropy, Executor, Node, Time};
use mesto_runtime::{Limits, Runtime, RuntimeConfig};
use mesto_sync::Peer;

use crate::blobs::Blobs;
use crate::disk::{Committer, DiskStore};
use crate::home::{Config, Home};
use mesto_net::{NetConfig, NetEvent, Network, NetworkOwner};

pub use apps::{InstallError, InstalledApp};
pub(crate) use flows::Happening;
pub use handle::{ConnectError, ContextEvent, ContextEventKind, Handle};
pub use metrics::Metrics;

/// How long a clean shutdown may take before it is cut short.
const SHUTDOWN_MAX: Duration = Duration::from_secs(10);

/// Why the node did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The home cannot be read.
    #[error(transparent)]
    Home(#[from] crate::home::HomeError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] crate::disk::OpenError),
    /// The store holds what this build cannot read.
    #[error("the store cannot be read: {0}")]
    Unreadable(String),
    /// The network cannot be started: an address in use, for instance.
    #[error(transparent)]
    Network(#[from] mesto_net::NetError),
    /// The blob folder cannot be used.
    #[error("the blob folder cannot be used: {0}")]
    Blobs(String),
    /// The execution engine cannot be started.
    #[error("the execution engine cannot be started: {0}")]
    Runtime(String),
    /// The system gives no thread.
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
    /// The system gives no randomness.
    #[error("the system gives no random bytes: {0}")]
    Randomness(String),
}

/// Owns every thread and task of a running node.
pub struct Driver {
    handle: Handle,
    network: Network,
    network_owner: NetworkOwner,
    committer: Committer,
    store: Arc<DiskStore>,
    core: Option<std::thread::JoinHandle<()>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Driver {
    /// Opens the store and starts everything. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(home: &Home, config: &Config) -> Result<(Self, Handle), StartError> {
        let seed = random()?;
        let mut entropy = Entropy::from_seed(&seed);
        let peer_key = home.peer_key()?;
        let peer = Peer::from_bytes(*peer_key.public().as_bytes());
        let store: Arc<DiskStore> = Arc::new(DiskStore::open(&home.store_folder())?);
        let blobs = Blobs::open(&home.blobs_folder(), config.blob_bytes)
            .map_err(|error| StartError::Blobs(error.to_string()))?;
        let runtime = Arc::new(runtime(home.wasm_cache_folder(), config, blobs.clone())?);
        let apps = Arc::new(apps::Apps::new(blobs.clone(), Arc::clone(&runtime)));

        let snapshot = mesto_node::store::Store::snapshot(&*store);
        let installed = apps.load_all(&mesto_node::record::installed(&snapshot));
        let time = Time { wall_ms: core::wall_ms() };
        let (node, first) =
            Node::open(peer, installed, time, &mut entropy, &snapshot).map_err(StartError::Unreadable)?;
        let node = node.named(config.name.clone());

        let (network, events, network_owner) = network(home, config, *peer_key.seed()).await?;
        let metrics = Arc::new(Metrics::default());
        let (signals, inbox) = crossbeam_channel::unbounded();
        let committer = Committer::start(Arc::clone(&store) as _, core::Durability::new(signals.clone()))?;
        let brief = Arc::new(brief::Brief::new(Arc::clone(&runtime)));
        let executor: Arc<dyn Executor> = runtime;
        let executors = execute::start(Arc::clone(&executor), signals.clone())?;
        let (outbound, outbound_task) = outbound::start(network.clone(), apps.clone(), signals.clone());
        let inbound_task =
            inbound::start(network.clone(), events, signals.clone(), outbound.clone(), Arc::clone(&metrics))?;
        let shared = handle::Shared::new(
            signals.clone(),
            Arc::clone(&snapshot),
            network.clone(),
            apps,
            blobs,
            executor,
            executors.clone(),
            Arc::clone(&brief),
            Arc::clone(&metrics),
            config.name.clone(),
        );
        let core = core::Core {
            node,
            entropy,
            snapshot,
            inbox,
            submitter: committer.submitter(),
            executors,
            brief,
            outbound,
            shared: Arc::clone(&shared),
            metrics,
        };
        let core = std::thread::Builder::new().name("mesto-core".to_owned()).spawn(move || core.run(first))?;
        let handle = Handle::new(shared);
        let driver = Self {
            handle: handle.clone(),
            network,
            network_owner,
            committer,
            store,
            core: Some(core),
            tasks: vec![outbound_task, inbound_task],
        };
        Ok((driver, handle))
    }

    /// Ends everything in order: no more commands, what is committed is kept, connections are closed.
    pub async fn shutdown(mut self) {
        let begun = Instant::now();
        self.handle.stop();
        self.network.shutdown().await;
        let ended = async {
            if let Some(core) = self.core.take() {
                // A core that panicked has said so on standard error.
                let _ = tokio::task::spawn_blocking(move || core.join()).await;
            }
            let (committer, store) = (self.committer, self.store);
            let settled = move || {
                committer.stop();
                store.settle();
            };
            // A thread that panicked has said so on standard error.
            let _ = tokio::task::spawn_blocking(settled).await;
            self.network_owner.ended().await;
            for task in self.tasks {
                task.abort();
            }
        };
        if tokio::time::timeout(SHUTDOWN_MAX, ended).await.is_err() {
            tracing::warn!("shutdown was cut short after {} s", begun.elapsed().as_secs());
        }
    }
}

fn runtime(cache: PathBuf, config: &Config, blobs: Blobs) -> Result<Runtime, StartError> {
    let limits = Limits {
        memory_bytes: usize::try_from(config.call_memory_bytes).unwrap_or(usize::MAX),
        wall_ms: config.call_time_ms,
        ..Limits::default()
    };
    let settings = RuntimeConfig {
        limits,
        cache_dir: Some(cache),
        source: Some(Arc::new(apps::FromBlobs(blobs))),
        ..RuntimeConfig::default()
    };
    Runtime::new(settings).map_err(|error| StartError::Runtime(error.to_string()))
}

/// Starts the network on the ports of last time, or else on those of the configuration.
async fn network(
    home: &Home,
    config: &Config,
    seed: [u8; 32],
) -> Result<(Network, NetEvents, NetworkOwner), mesto_net::NetError> {
    let listen = ports::remembered(home.folder(), &config.listen);
    let started = if listen == config.listen {
        Network::start(net_config(seed, config)).await?
    } else {
        match Network::start(NetConfig { listen, ..net_config(seed, config) }).await {
            Ok(started) => started,
            Err(error) => {
                tracing::info!(%error, "the ports of last time are taken; others are used");
                Network::start(net_config(seed, config)).await?
            }
        }
    };
    let given = started.0.listen_addrs().await.unwrap_or_default();
    ports::remember(home.folder(), &config.listen, &given);
    Ok(started)
}

fn net_config(seed: [u8; 32], config: &Config) -> NetConfig {
    NetConfig {
        listen: config.listen.clone(),
        bootstrap: config.bootstrap.clone(),
        mdns: config.mdns,
        agent: format!("mesto/{}", env!("CARGO_PKG_VERSION")),
        ..NetConfig::new(seed)
    }
}

fn random() -> Result<[u8; 32], StartError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| StartError::Randomness(error.to_string()))?;
    Ok(seed)
}

/// Events of the network that wait for the driver.
type NetEvents = tokio::sync::mpsc::Receiver<NetEvent>;
