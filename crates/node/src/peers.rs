//! What we know of the peers that are connected, and of the comparisons with them. Nothing here is durable: a
//! connection that is cut begins anew.

use std::collections::{BTreeMap, BTreeSet};

use mesto_governance::GroupId;
use mesto_oplog::{EntryId, LogId, PublicKey};
use mesto_sync::handshake::{Link, Tag, tag};
use mesto_sync::{Nonce, Peer, Summary};

/// Summaries that we remember of one peer: as many logs as it can usefully share with us.
pub(crate) const SUMMARIES_MAX: usize = 4096;

/// One connected peer.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) our_nonce: Nonce,
    /// Their nonce and tags, once they said hello.
    pub(crate) hello: Option<(Nonce, BTreeSet<Tag>)>,
    /// For each group the member whose key they proved to hold. Whether it is a member is asked when it matters.
    pub(crate) claims: BTreeMap<GroupId, PublicKey>,
    /// Groups for which we proved ourselves to them.
    pub(crate) proved: BTreeSet<GroupId>,
    /// Groups for which they were told how our logs stand.
    pub(crate) welcomed: BTreeSet<GroupId>,
    /// Their newest summary of each log.
    pub(crate) summaries: BTreeMap<LogId, Summary>,
    /// The heads in the last summary that we sent of each log.
    pub(crate) told: BTreeMap<LogId, Vec<EntryId>>,
    /// Where it says that it listens.
    pub(crate) addresses: Vec<String>,
    /// What it last told of the nodes of a group's members, until it is known to be a member itself.
    pub(crate) introduced: BTreeMap<GroupId, Vec<(Peer, Vec<String>)>>,
}

impl Session {
    pub(crate) fn new(our_nonce: Nonce) -> Self {
        Self {
            our_nonce,
            hello: None,
            claims: BTreeMap::new(),
            proved: BTreeSet::new(),
            welcomed: BTreeSet::new(),
            summaries: BTreeMap::new(),
            told: BTreeMap::new(),
            addresses: Vec::new(),
            introduced: BTreeMap::new(),
        }
    }

    pub(crate) fn link(&self, ours: Peer, theirs: Peer) -> Option<Link> {
        let (their_nonce, _) = self.hello.as_ref()?;
        Some(Link { ours, theirs, our_nonce: self.our_nonce, their_nonce: *their_nonce })
    }

    /// Whether their hello names `group`.
    pub(crate) fn names(&self, group: &GroupId) -> bool {
        self.hello.as_ref().is_some_and(|(nonce, tags)| tags.contains(&tag(&group.log(), nonce)))
    }

    /// Remembers a summary; false if there is no room for another log.
    pub(crate) fn remember(&mut self, summary: Summary) -> bool {
        if self.summaries.len() >= SUMMARIES_MAX && !self.summaries.contains_key(&summary.log) {
            return false;
        }
        self.summaries.insert(summary.log, summary);
        true
    }
}

/// A request for the missing part of a log that is on its way.
#[derive(Debug, Clone)]
pub(crate) struct Pull {
    pub(crate) from: Peer,
    pub(crate) deadline_ms: u64,
    /// Where the page that was asked for begins.
    pub(crate) cursor: u64,
    /// Entries that this round of pages has brought so far.
    pub(crate) taken: usize,
}

/// How a log is being brought up to date.
#[derive(Debug, Default)]
pub(crate) struct Fetch {
    /// The one request that is out; one at a time, so that no two peers send us the same.
    pub(crate) active: Option<Pull>,
    /// Peers that may have what we lack, tried in turn.
    pub(crate) candidates: BTreeSet<Peer>,
    /// Whether the next round allows for forked chains, because the last one brought nothing.
    pub(crate) careful: bool,
    /// Bytes of requests and answers so far.
    pub(crate) bytes: u64,
    /// Requests that were answered.
    pub(crate) round_trips: u64,
}
