//! `mesto run`: puts the parts of a node together, and takes them apart when it is told to stop.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

use mesto_api::ErrorCode;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::failure::Failure;
use super::logging;
use super::node::Settings;
use super::output::Output;
use super::session::Session;
use crate::driver::{Driver, StartError};
use crate::home::{Config, Home, NodeInfo, RunLock};
use crate::http;
use mesto_net::NetError;

/// How long requests that run when the node is told to stop may go on.
const REQUESTS_END_MAX: Duration = Duration::from_secs(5);

#[derive(clap::Args, Debug)]
pub(crate) struct Run {
    /// Also write the ready line to this open file descriptor
    #[arg(long, value_name = "N")]
    ready_fd: Option<u32>,
    #[command(flatten)]
    settings: Settings,
}

/// Lets whatever a node writes be for its owner only: the store and what else makes files know nothing of modes.
fn keep_files_private() {
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// The line that tells that the node can be used.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ready<'a> {
    event: &'a str,
    api: &'a str,
    peer_id: &'a str,
    listen: &'a [String],
}

impl Run {
    pub(crate) fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        keep_files_private();
        let home = session.home()?;
        let config = home.config(&self.settings.overrides())?.config;
        logging::begin(&config.log, output)?;
        let lock = home.lock()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .thread_name("mesto-io")
            .build()
            .map_err(|error| Failure::new(ErrorCode::InternalError, format!("no threads: {error}")))?;
        let ended = runtime.block_on(self.node(&home, &config, &lock, output));
        // What still runs then was told to stop and did not.
        runtime.shutdown_timeout(Duration::from_secs(1));
        ended
    }

    async fn node(self, home: &Home, config: &Config, lock: &RunLock, output: &Output) -> Result<(), Failure> {
        // Before anything is started, so that a signal during the start is not lost.
        let mut stop = stop_signal()?;
        let listener = TcpListener::bind(config.api_listen).await.map_err(|error| {
            let code = if error.kind() == std::io::ErrorKind::AddrInUse {
                ErrorCode::AddressInUse
            } else {
                ErrorCode::InternalError
            };
            Failure::new(code, format!("the API cannot listen on {}: {error}", config.api_listen))
                .hint("choose another address with --api-listen; port 0 takes any free one")
        })?;
        let address =
            listener.local_addr().map_err(|error| Failure::new(ErrorCode::InternalError, error.to_string()))?;
        let (token, secret) = (home.token()?, home.api_secret()?);
        let (driver, handle) = Driver::start(home, config).await?;
        let listen = handle.listen().await;
        let info =
            NodeInfo { pid: std::process::id(), api: format!("http://{address}"), peer_id: handle.peer_id(), listen };
        let options = http::Options {
            logins: http::Settings { token, secret, book: home.auth_file(), issuer: info.peer_id.clone() },
            rules: http::Rules {
                hosts: config.api_hosts.clone(),
                origins: config.api_origins.clone(),
                pages_domain: config.pages_domain.clone(),
            },
        };
        let mut stopping = stop.clone();
        let until = async move {
            // The sender lives as long as the signals are listened to: until the process ends.
            let _ = stopping.wait_for(|stop| *stop).await;
        };
        let mut served = tokio::spawn(http::serve(listener, handle, options, until));
        lock.announce(&info).map_err(|error| Failure::file(home.folder(), &error))?;
        self.ready(&info, output)?;
        tracing::info!(api = %info.api, peer = %info.peer_id, "ready");
        let ended = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => None,
            ended = &mut served => Some(ended),
        };
        let failure = match ended {
            None => {
                tracing::info!("stopping");
                if tokio::time::timeout(REQUESTS_END_MAX, &mut served).await.is_err() {
                    served.abort();
                }
                None
            }
            Some(Ok(Ok(()))) => None,
            Some(Ok(Err(error))) => Some(error.to_string()),
            Some(Err(error)) => Some(error.to_string()),
        };
        driver.shutdown().await;
        tracing::info!("stopped");
        failure.map_or(Ok(()), |error| Err(Failure::new(ErrorCode::InternalError, format!("the API ended: {error}"))))
    }

    /// Tells whoever started the node that it can be used.
    fn ready(&self, info: &NodeInfo, output: &Output) -> Result<(), Failure> {
        let ready = Ready { event: "ready", api: &info.api, peer_id: &info.peer_id, listen: &info.listen };
        output.json_line(&ready)?;
        if let Some(number) = self.ready_fd {
            // Through the name that the system gives to open descriptors: the number alone proves nothing about
            // who owns it.
            let path = format!("/dev/fd/{number}");
            let line = serde_json::to_string(&ready).unwrap_or_default(); // texts always encode
            let written = OpenOptions::new().write(true).open(&path).and_then(|mut file| writeln!(file, "{line}"));
            written.map_err(|error| Failure::new(ErrorCode::FileError, format!("--ready-fd {number}: {error}")))?;
        }
        Ok(())
    }
}

/// True once the process was asked to stop.
fn stop_signal() -> Result<watch::Receiver<bool>, Failure> {
    let failed = |error: std::io::Error| Failure::new(ErrorCode::InternalError, format!("signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // Nobody waits if the node ended by itself.
        let _ = sender.send(true);
        // A second one does not wait for a clean end.
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::warn!("told to stop again: ending at once");
        std::process::exit(i32::from(ErrorCode::InternalError.exit_status()));
    });
    Ok(receiver)
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let detail = error.to_string();
        match error {
            StartError::Home(error) => error.into(),
            StartError::Network(NetError::AddressInUse { .. }) => Self::new(ErrorCode::AddressInUse, detail)
                .hint("choose another address with --listen; port 0 takes any free one"),
            _ => Self::new(ErrorCode::InternalError, detail),
        }
    }
}
