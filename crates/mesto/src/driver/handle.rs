//! How the HTTP layer talks to the node.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use mesto_crdt::Hlc;
use mesto_governance::{BlobId, ContextId, GroupId};
use mesto_node::command::{AppVersion, Called, Noun};
use mesto_node::store::Snapshot;
use mesto_node::{
    Call, CallError, Command, CommandError, ContextState, Event, Executor, Input, MethodKind, Notice, Reply, Saying,
    Selector, View,
};
use mesto_oplog::{EntryId, PublicKey};
use tokio::sync::{broadcast, oneshot, watch};

use super::apps::{Apps, InstallError, InstalledApp};
use super::brief::Brief;
use super::core::{Signal, Signals, wall_ms};
use super::execute::{Job, Jobs};
use super::flows::Happening;
use super::metrics::Metrics;
use super::outbound::peer_id;
use super::versions::{Found, Known, Versions};
use crate::blobs::Blobs;
use mesto_net::{Network, PeerStatus, split_peer};

/// Events that a slow subscriber may lag behind before it loses the oldest and is told so.
const EVENTS_BEHIND_MAX: usize = 4096;
/// Contexts whose way for views is remembered.
const CALLABLE_MAX: usize = 4096;
/// How long a dial that was asked for may take.
const CONNECT_MAX: Duration = Duration::from_secs(15);

/// Something that subscribers are told.
#[derive(Clone, Debug)]
pub struct ContextEvent {
    /// Counts from 1 since the node started.
    pub seq: u64,
    /// Where; absent for what is about the group as a whole.
    pub context: Option<ContextId>,
    /// Of which group.
    pub group: GroupId,
    /// What.
    pub kind: ContextEventKind,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum ContextEventKind {
    /// A delta was applied.
    StateMutation {
        /// The root hash after it.
        new_root: [u8; 32],
        /// By which delta.
        delta: EntryId,
        /// Under which identity.
        author: PublicKey,
        /// What the app emitted.
        events: Vec<Event>,
    },
    /// Something was said that leaves no trace.
    Ephemeral {
        /// Under which identity.
        author: PublicKey,
        /// When, by the author's clock: milliseconds since 1970.
        sent_ms: u64,
        /// What.
        saying: Saying,
    },
    /// The state caught up with a member's.
    SyncStatus {
        /// The root hash.
        root: [u8; 32],
    },
    /// Somebody became a member.
    MemberAdded {
        /// Who.
        member: PublicKey,
    },
    /// Somebody stopped being a member.
    MemberRemoved {
        /// Who.
        member: PublicKey,
    },
    /// A context was registered.
    ContextAdded,
}

/// Why a dial did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Not a multiaddress.
    #[error("`{0}` is not a multiaddress such as /ip4/192.0.2.7/tcp/2481/p2p/12D3…")]
    BadAddress(String),
    /// Nobody answered there in time.
    #[error("no connection to {0} within {secs} s", secs = CONNECT_MAX.as_secs())]
    TimedOut(String),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

/// What handles and the core share.
pub(super) struct Shared {
    signals: Signals,
    durable: RwLock<Arc<dyn Snapshot>>,
    network: Network,
    apps: Arc<Apps>,
    blobs: Blobs,
    executor: Arc<dyn Executor>,
    jobs: Jobs,
    brief: Arc<Brief>,
    metrics: Arc<Metrics>,
    name: Option<String>,
    started: Instant,
    events: broadcast::Sender<Arc<ContextEvent>>,
    last_event: AtomicU64,
    changed: watch::Sender<u64>,
    pub(super) versions: Versions,
    callable: Mutex<HashMap<String, (ContextId, PublicKey, BlobId)>>,
}

impl Shared {
    #[allow(clippy::too_many_arguments, reason = "made in one place, from the parts of the driver")]
    pub(super) fn new(
        signals: Signals,
        snapshot: Arc<dyn Snapshot>,
        network: Network,
        apps: Arc<Apps>,
        blobs: Blobs,
        executor: Arc<dyn Executor>,
        jobs: Jobs,
        brief: Arc<Brief>,
        metrics: Arc<Metrics>,
        name: Option<String>,
    ) -> Arc<Self> {
        Arc::new(Self {
            signals,
            durable: RwLock::new(snapshot),
            network,
            apps,
            blobs,
            executor,
            jobs,
            brief,
            metrics,
            name,
            started: Instant::now(),
            events: broadcast::channel(EVENTS_BEHIND_MAX).0,
            last_event: AtomicU64::new(0),
            changed: watch::channel(0).0,
            versions: Versions::default(),
            callable: Mutex::default(),
        })
    }

    /// Views see this from now on.
    pub(super) fn set_snapshot(&self, snapshot: Arc<dyn Snapshot>) {
        *self.durable.write().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }

    /// Something may have changed.
    pub(super) fn tick(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn emit(&self, notice: Notice) {
        let seq = self.last_event.fetch_add(1, Ordering::Relaxed) + 1;
        let (context, group, kind) = match notice {
            Notice::StateMutation { context, group, delta, author, root, events } => {
                (Some(context), group, ContextEventKind::StateMutation { new_root: root, delta, author, events })
            }
            Notice::Ephemeral { context, group, author, sent_ms, saying } => {
                (Some(context), group, ContextEventKind::Ephemeral { author, sent_ms, saying })
            }
            Notice::SyncStatus { context, group, root } => {
                (Some(context), group, ContextEventKind::SyncStatus { root })
            }
            Notice::MemberAdded { group, member } => (None, group, ContextEventKind::MemberAdded { member }),
            Notice::MemberRemoved { group, member } => (None, group, ContextEventKind::MemberRemoved { member }),
            Notice::ContextAdded { group, context } => (Some(context), group, ContextEventKind::ContextAdded),
        };
        // Nobody may be listening.
        let _ = self.events.send(Arc::new(ContextEvent { seq, context, group, kind }));
    }
}

/// A way to the running node; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(super) fn stop(&self) {
        // It has stopped if nobody takes the signal.
        let _ = self.shared.signals.send(Signal::Stop);
    }

    /// What happened lately in a flow, after arrow number `after`, oldest first.
    pub(crate) fn flows(&self, flow: &str, after: u64) -> Vec<Happening> {
        self.shared.metrics.flows().of(flow, after)
    }

    /// Asks the node.
    ///
    /// # Errors
    /// The node's own, or that it is stopping.
    pub async fn command(&self, command: Command) -> Result<Reply, CommandError> {
        // What is remembered of a context does not outlive our leaving it.
        let leaves = matches!(command, Command::ContextAct { .. });
        let (reply, answer) = oneshot::channel();
        let sent = self.shared.signals.send(Signal::Command(command, reply));
        if sent.is_err() {
            return Err(CommandError::Stopping);
        }
        let answer = answer.await.unwrap_or(Err(CommandError::Stopping));
        if leaves {
            self.shared.callable.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        answer
    }

    /// Runs a method: a view on what is durable, side by side with others; anything else one at a time.
    ///
    /// # Errors
    /// The node's, the app's or the executor's.
    pub async fn call(
        &self,
        context: Selector,
        method: String,
        args: Vec<u8>,
        identity: Option<Selector>,
    ) -> Result<Called, CommandError> {
        let (id, own, bundle) = self.callable(&context).await?;
        if let Some(identity) = &identity
            && !is_named(identity, &own)
        {
            return Err(CommandError::Unknown { noun: Noun::Identity, selector: identity.0.clone() });
        }
        match self.shared.executor.method_kind(&bundle, &method)? {
            None | Some(MethodKind::Init) => Err(CallError::MethodNotFound(method).into()),
            Some(MethodKind::View) => self.view(id, own, bundle, method, args).await,
            Some(MethodKind::Mutate) => {
                let command = Command::Call { context: Selector(id.to_string()), method, args, identity: None };
                match self.command(command).await? {
                    Reply::Called(called) => Ok(called),
                    _ => Err(CommandError::Stopping),
                }
            }
        }
    }

    /// The bundle that a context runs.
    ///
    /// # Errors
    /// If the context is not here, or not ready.
    pub async fn bundle_of(&self, context: &Selector) -> Result<BlobId, CommandError> {
        self.callable(context).await.map(|(_, _, bundle)| bundle)
    }

    /// Whether a method of a context's app is a view.
    ///
    /// # Errors
    /// If the context is not here or not ready, or there is no such method.
    pub async fn is_view(&self, context: &Selector, method: &str) -> Result<bool, CommandError> {
        let (_, _, bundle) = self.callable(context).await?;
        match self.shared.executor.method_kind(&bundle, method)? {
            None | Some(MethodKind::Init) => Err(CallError::MethodNotFound(method.to_owned()).into()),
            Some(MethodKind::View) => Ok(true),
            Some(MethodKind::Mutate) => Ok(false),
        }
    }

    /// A page of the leaves of a context's state, as they are stored: those after `after`, at most `limit`.
    ///
    /// # Errors
    /// If the context is not here.
    pub async fn state_page(
        &self,
        context: &Selector,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, CommandError> {
        let (id, _, _) = self.callable(context).await?;
        let snapshot = Arc::clone(&self.shared.durable.read().unwrap_or_else(PoisonError::into_inner));
        let state = mesto_node::ContextState::of(mesto_node::View::durable(snapshot), &id);
        Ok(mesto_crdt::Read::scan(&state, mesto_crdt::Space::Leaf, &[], after, limit))
    }

    async fn view(
        &self,
        context: ContextId,
        caller: PublicKey,
        bundle: BlobId,
        method: String,
        args: Vec<u8>,
    ) -> Result<Called, CommandError> {
        let snapshot = Arc::clone(&self.shared.durable.read().unwrap_or_else(PoisonError::into_inner));
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| CommandError::Invalid(error.to_string()))?;
        let stamp = mesto_crdt::next(wall_ms(), Hlc::ZERO).unwrap_or(Hlc::ZERO);
        let call = Call { context, bundle, method, args, kind: MethodKind::View, caller, stamp, seed };
        let state = ContextState::of(View::durable(snapshot), &context);
        let root = mesto_crdt::root(&state).map_err(|error| CommandError::Invalid(error.to_string()))?;
        let Found { version, state: known } = self.shared.versions.of(&context, &root);
        let tell = |input| {
            // The core is gone only when the node stops.
            let _ = self.shared.signals.send(Signal::Input(input));
        };
        if known == Known::Context {
            tell(Input::Reading(context, version.clone()));
        }
        let state = state.with_sequences(version.sequences.clone());
        let outcome = match self.shared.brief.run(&call, state.clone()) {
            Some(result) => result?,
            None => {
                let (reply, answer) = oneshot::channel();
                if !self.shared.jobs.view(Job::View { call, state, reply }) {
                    return Err(CommandError::Busy { waiting: super::execute::VIEWS_WAITING_MAX });
                }
                answer.await.map_err(|_| CommandError::Stopping)??
            }
        };
        if known != Known::Version && !version.sequences.is_empty() {
            self.shared.versions.loaded(context, version.clone());
            if known == Known::Nothing {
                tell(Input::Reading(context, version));
            }
            tell(Input::Read(context));
        }
        for line in outcome.logs {
            tracing::info!(target: "app", %context, "{line}");
        }
        Ok(Called { output: outcome.output, committed: false, delta: None, root: root.0, events: Vec::new() })
    }

    /// The way of a call, remembered for contexts that are named by their whole id: those do not change theirs.
    async fn callable(&self, context: &Selector) -> Result<(ContextId, PublicKey, BlobId), CommandError> {
        let lock = || self.shared.callable.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&context.0) {
            return Ok(*known);
        }
        let Reply::Callable { context: id, identity, bundle } = self.command(Command::Resolve(context.clone())).await?
        else {
            return Err(CommandError::Stopping);
        };
        let mut remembered = lock();
        if id.to_string() == context.0 && remembered.len() < CALLABLE_MAX {
            remembered.insert(context.0.clone(), (id, identity, bundle));
        }
        Ok((id, identity, bundle))
    }

    /// Everything that subscribers are told, from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Arc<ContextEvent>> {
        self.shared.events.subscribe()
    }

    /// Ticks whenever something may have changed.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    /// The connected peers.
    pub async fn peers(&self) -> Vec<PeerStatus> {
        self.shared.network.peers().await.unwrap_or_default()
    }

    /// Connects, and waits until it has.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(&self, address: &str) -> Result<String, ConnectError> {
        let address: Multiaddr = address.parse().map_err(|_| ConnectError::BadAddress(address.to_owned()))?;
        let (bare, wanted) = split_peer(&address);
        let before: Vec<_> = self.peers().await.iter().map(|peer| peer.peer).collect();
        match wanted {
            Some(peer) => self.shared.network.keep_connected(peer, vec![bare.clone()]).await,
            None => self.shared.network.dial(address.clone()).await,
        }
        .map_err(|_| ConnectError::Stopping)?;
        let deadline = Instant::now() + CONNECT_MAX;
        while Instant::now() < deadline {
            let peers = self.peers().await;
            let found = peers.iter().find(|status| match wanted {
                Some(peer) => status.peer == peer,
                None => status.address == bare || !before.contains(&status.peer),
            });
            if let Some(found) = found {
                return Ok(found.peer.to_string());
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Err(ConnectError::TimedOut(address.to_string()))
    }

    /// Our peer id, in libp2p's form.
    #[must_use]
    pub fn peer_id(&self) -> String {
        self.shared.network.peer_id().to_string()
    }

    /// A peer's id in libp2p's form.
    #[must_use]
    pub fn peer_text(peer: &mesto_sync::Peer) -> String {
        peer_id(peer).map_or_else(|| peer.to_string(), |id| id.to_string())
    }

    /// Where we listen, each with our peer id.
    pub async fn listen(&self) -> Vec<String> {
        let id = self.shared.network.peer_id();
        let addresses = self.shared.network.listen_addrs().await.unwrap_or_default();
        addresses.iter().map(|address| mesto_net::with_peer(address, id).to_string()).collect()
    }

    /// The name that the node's owner gave it.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.shared.name.clone()
    }

    /// Since the start.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.shared.started.elapsed()
    }

    /// What was counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// The blob folder.
    #[must_use]
    pub fn blobs(&self) -> &Blobs {
        &self.shared.blobs
    }

    /// Verifies, compiles and keeps a bundle, and tells the node.
    ///
    /// # Errors
    /// See [`InstallError`].
    pub async fn install(&self, mpk: Vec<u8>) -> Result<AppVersion, InstallError> {
        let apps = Arc::clone(&self.shared.apps);
        let installed = tokio::task::spawn_blocking(move || apps.install(&mpk)).await;
        let app = installed.unwrap_or_else(|error| Err(InstallError::Interrupted(error.to_string())))?;
        // Its answer tells that the node has taken the bundle in: the next command finds it.
        let _ = self.shared.signals.send(Signal::Input(mesto_node::Input::Installed(app.clone())));
        let _ = self.command(Command::Status).await;
        Ok(app)
    }

    /// The installed bundles.
    #[must_use]
    pub fn installed(&self) -> Vec<InstalledApp> {
        self.shared.apps.installed()
    }

    /// The schema of an installed application.
    ///
    /// # Errors
    /// If nothing, or not exactly one, is named so.
    pub async fn schema(&self, application: Selector) -> Result<String, CommandError> {
        self.shared.apps.schema_of(&application)
    }

    /// The schema of the application that a context runs.
    ///
    /// # Errors
    /// If the context is not here, or not ready.
    pub async fn context_schema(&self, context: Selector) -> Result<String, CommandError> {
        let (_, _, bundle) = self.callable(&context).await?;
        self.shared.apps.schema(&bundle).ok_or_else(|| CommandError::NotInstalled(bundle.to_string()))
    }
}

fn is_named(selector: &Selector, id: &PublicKey) -> bool {
    let text = id.to_string();
    selector.0 == text || (selector.0.len() >= mesto_oplog::id::ID_PREFIX_LEN_MIN && text.starts_with(&selector.0))
}
