//! What a handle asks of the driver, and the table of open lanes that both share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use libp2p::{Multiaddr, PeerId};
use tokio::sync::oneshot;

use super::error::{PublishError, SubscribeError};
use super::lane::LaneSender;
use super::{Lane, MessageToken, PeerStatus, Verdict};

/// A request to the driver. One with a `reply` is answered exactly once.
#[derive(Debug)]
pub(super) enum Command {
    Dial(Multiaddr),
    KeepConnected {
        peer: PeerId,
        addresses: Vec<Multiaddr>,
    },
    Forget(PeerId),
    Disconnect(PeerId),
    Subscribe {
        topic: String,
        reply: oneshot::Sender<Result<(), SubscribeError>>,
    },
    Unsubscribe(String),
    Publish {
        topic: String,
        bytes: Vec<u8>,
        reply: oneshot::Sender<Result<(), PublishError>>,
    },
    #[cfg(test)]
    PublishUnchecked {
        topic: String,
        bytes: Vec<u8>,
        reply: oneshot::Sender<Result<(), PublishError>>,
    },
    Report {
        token: MessageToken,
        verdict: Verdict,
    },
    Peers(oneshot::Sender<Vec<PeerStatus>>),
    ListenAddrs(oneshot::Sender<Vec<Multiaddr>>),
    Shutdown,
}

/// The sending ends of all open lanes, so that a frame is queued without a detour over the driver.
#[derive(Clone, Debug, Default)]
pub(super) struct Lanes {
    open: Arc<Mutex<BTreeMap<(PeerId, Lane), LaneSender>>>,
}

impl Lanes {
    pub(super) fn get(&self, peer: PeerId, lane: Lane) -> Option<LaneSender> {
        self.locked(|open| open.get(&(peer, lane)).cloned())
    }

    pub(super) fn insert(&self, peer: PeerId, lane: Lane, sender: LaneSender) {
        self.locked(|open| open.insert((peer, lane), sender));
    }

    /// Removes the lane if it is still in this epoch.
    pub(super) fn remove(&self, peer: PeerId, lane: Lane, epoch: u64) {
        self.locked(|open| {
            if open.get(&(peer, lane)).is_some_and(|sender| sender.epoch() == epoch) {
                open.remove(&(peer, lane));
            }
        });
    }

    fn locked<T>(&self, f: impl FnOnce(&mut BTreeMap<(PeerId, Lane), LaneSender>) -> T) -> T {
        // Every use is one map operation, so that a panic elsewhere leaves nothing half done.
        f(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
