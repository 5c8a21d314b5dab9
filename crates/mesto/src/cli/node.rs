//! `mesto init`, `status`, `peers`, `connect`.

use std::net::SocketAddr;

use libp2p::identity::Keypair;
use mesto_api::ErrorCode;
use serde::Serialize;

use super::failure::Failure;
use super::output::{Output, fields, or_dash};
use super::session::Session;
use crate::home::{Home, Key, Overrides};

/// Settings of the node on the command line.
#[derive(clap::Args, Debug, Clone, Default)]
pub(crate) struct Settings {
    /// What people call the node, and its member in groups
    #[arg(long)]
    name: Option<String>,
    /// Where the HTTP API listens; port 0 takes any free one [default: 127.0.0.1:2480]
    #[arg(long, value_name = "ADDR:PORT")]
    api_listen: Option<SocketAddr>,
    /// Where peers connect; may be given several times [default: port 2481, TCP and QUIC]
    #[arg(long, value_name = "MULTIADDR")]
    listen: Vec<String>,
    /// A peer to connect to; may be given several times
    #[arg(long, value_name = "MULTIADDR")]
    bootstrap: Vec<String>,
    /// Neither look for peers on the local network nor be found there
    #[arg(long)]
    no_mdns: bool,
}

impl Settings {
    pub(crate) fn overrides(&self) -> Overrides {
        let mut overrides = Overrides::default();
        if let Some(name) = &self.name {
            overrides.text(Key::Name, name);
        }
        if let Some(address) = self.api_listen {
            overrides.text(Key::ApiListen, address.to_string());
        }
        if !self.listen.is_empty() {
            overrides.list(Key::Listen, self.listen.iter());
        }
        if !self.bootstrap.is_empty() {
            overrides.list(Key::Bootstrap, self.bootstrap.iter());
        }
        if self.no_mdns {
            overrides.flag(Key::Mdns, false);
        }
        overrides
    }
}

#[derive(clap::Args, Debug)]
pub(crate) struct Init {
    #[command(flatten)]
    settings: Settings,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    home: String,
    peer_id: String,
    api: String,
}

impl Init {
    pub(crate) fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        let home = Home::init(&session.folder()?, &self.settings.overrides())?;
        let made = Made {
            home: home.folder().canonicalize().as_deref().unwrap_or(home.folder()).display().to_string(),
            peer_id: peer_id(&home)?,
            api: format!("http://{}", home.config(&Overrides::default())?.config.api_listen),
        };
        output.object(&made, |made| {
            fields([("home", made.home.clone()), ("peer", made.peer_id.clone()), ("api", made.api.clone())])
        })
    }
}

/// The id that the home's peer key gives.
pub(super) fn peer_id(home: &Home) -> Result<String, Failure> {
    let mut seed = home.peer_key()?.seed();
    let keypair = Keypair::ed25519_from_bytes(&mut seed[..])
        .map_err(|error| Failure::new(ErrorCode::InternalError, format!("the peer key: {error}")))?;
    Ok(keypair.public().to_peer_id().to_string())
}

pub(crate) fn status(session: &Session, output: &Output) -> Result<(), Failure> {
    output.object(&session.client()?.status()?, |status| {
        fields([
            ("peer", status.peer_id.clone()),
            ("name", or_dash(status.name.as_deref())),
            ("version", status.version.clone()),
            ("up", format!("{:?}", std::time::Duration::from_secs(status.uptime_seconds))),
            ("peers", status.peers.to_string()),
            ("groups", status.groups.to_string()),
            ("contexts", status.contexts.to_string()),
            ("joins that wait", status.pending_joins.to_string()),
            ("parked entries", status.parked.to_string()),
            ("listens on", status.listen.join("\n                 ")),
        ])
    })
}

pub(crate) fn peers(session: &Session, output: &Output) -> Result<(), Failure> {
    output.list(&session.client()?.peers()?, ["peer", "direct", "rtt", "addresses"], |peer| {
        [
            peer.peer_id.clone(),
            if peer.direct { "yes" } else { "no" }.to_owned(),
            peer.rtt_ms.map_or_else(|| "-".to_owned(), |rtt| format!("{rtt:.1} ms")),
            peer.addrs.join(" "),
        ]
    })
}

#[derive(clap::Args, Debug)]
pub(crate) struct Connect {
    /// Where the peer listens, with or without its id
    #[arg(value_name = "MULTIADDR")]
    addr: String,
}

impl Connect {
    pub(crate) fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        output.object(&session.client()?.connect(&self.addr)?, |connected| connected.peer_id.clone())
    }
}
