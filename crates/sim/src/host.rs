//! One simulated machine: a node, and all that its shell would do for it.

use std::collections::{BTreeMap, BTreeSet};

use mesto_governance::BlobId;
use mesto_node::{GossipToken, Node};
use mesto_sync::Peer;

use crate::clock::Clock;
use crate::disk::Disk;
use crate::network::Frame;
use crate::random::Random;

/// What a host is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// It runs the node as it ships.
    Honest,
    /// Its node ships too, but what leaves it is tampered with, and its keys are used for forgeries.
    Liar,
    /// It has no node and is in no group, but knows how to speak.
    Outsider,
}

/// Gossip that waits for its node's verdict.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) topic: String,
    pub(crate) bytes: Frame,
    pub(crate) from: usize,
    /// Whether it came for the first time; the network passes nothing on twice.
    pub(crate) is_new: bool,
}

/// One machine.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) peer: Peer,
    pub(crate) role: Role,
    /// Counts starts: what was under way in an earlier life comes to nothing.
    pub(crate) life: u64,
    pub(crate) node: Option<Node>,
    pub(crate) disk: Disk,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    /// Whole bundles.
    pub(crate) blobs: BTreeMap<BlobId, Vec<u8>>,
    /// Bundles of which a part is here.
    pub(crate) parts: BTreeMap<BlobId, Vec<u8>>,
    pub(crate) topics: BTreeSet<String>,
    /// Whom the node wants to stay connected to, and where they are said to listen.
    pub(crate) wanted: BTreeMap<Peer, Vec<String>>,
    /// When the node wants to be woken, by its clock.
    pub(crate) alarm: Option<u64>,
    pub(crate) pending: BTreeMap<GossipToken, Pending>,
    pub(crate) last_token: GossipToken,
    /// Gossip that came or was published, by hash.
    pub(crate) seen: BTreeSet<[u8; 32]>,
}

impl Host {
    pub(crate) fn new(index: usize, role: Role, random: Random, clock: Clock) -> Self {
        let peer = Peer::from_bytes(random.split("peer", index as u64).seed());
        Self {
            peer,
            role,
            life: 0,
            node: None,
            disk: Disk::default(),
            clock,
            random,
            blobs: BTreeMap::new(),
            parts: BTreeMap::new(),
            topics: BTreeSet::new(),
            wanted: BTreeMap::new(),
            alarm: None,
            pending: BTreeMap::new(),
            last_token: 0,
            seen: BTreeSet::new(),
        }
    }

    /// Whether somebody is at home.
    pub(crate) const fn is_up(&self) -> bool {
        self.node.is_some() || matches!(self.role, Role::Outsider)
    }

    /// All that memory held is gone.
    pub(crate) fn forget(&mut self) {
        self.node = None;
        self.life += 1;
        self.topics.clear();
        self.wanted.clear();
        self.alarm = None;
        self.pending.clear();
        self.seen.clear();
        self.parts.clear();
    }
}

/// Where a host listens, in the only form of address that the simulated network has.
#[must_use]
pub(crate) fn address(index: usize) -> String {
    format!("/sim/{index}")
}
