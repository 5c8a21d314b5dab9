//! What we know of the peers that are connected, and of the comparisons with them. Nothing here is durable: a
//! connection that is cut begins anew.

use std::collections::{BTreeMap, BTreeSet};

use mesto_governance::GroupId;
use mesto_oplog::vector::AuthorVector;
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
    /// Groups that they were told to have been added to, and as whom.
    pub(crate) added: BTreeSet<(GroupId, PublicKey)>,
    /// Groups for which they were told how our logs stand.
    pub(crate) welcomed: BTreeSet<GroupId>,
    /// Groups that they were told not to be in any more.
    pub(crate) bid_farewell: BTreeSet<GroupId>,
    /// Their newest summary of each log.
    pub(crate) summaries: BTreeMap<LogId, Summary>,
    /// The heads and the count in the last summary that we sent of each log.
    pub(crate) told: BTreeMap<LogId, (Vec<EntryId>, u64)>,
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
            added: BTreeSet::new(),
            welcomed: BTreeSet::new(),
            bid_farewell: BTreeSet::new(),
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
    /// What we held when the round began, and had told the peer of: the pages of one round are of one question.
    pub(crate) vector: AuthorVector,
    /// Where the page that was asked for begins.
    pub(crate) cursor: u64,
    /// Entries that this round of pages has brought so far.
    pub(crate) taken: usize,
    /// Entries of this round that brought us nothing.
    pub(crate) known: u64,
}

/// How a log is being brought up to date.
#[derive(Debug, Default)]
pub(crate) struct Fetch {
    /// The one request that is out; one at a time, so that no two peers send us the same.
    pub(crate) active: Option<Pull>,
    /// Peers that may have what we lack, tried in turn.
    pub(crate) candidates: BTreeSet<Peer>,
    /// Who was asked last: the turn goes to the next after it, so that nobody is asked for ever.
    pub(crate) last: Option<Peer>,
    /// Rounds in a row that brought nothing.
    pub(crate) idle_rounds: u32,
    /// Whether the next round allows for forked chains, because the last one brought nothing.
    pub(crate) careful: bool,
    /// Bytes of requests and answers so far.
    pub(crate) bytes: u64,
    /// Requests that were answered.
    pub(crate) round_trips: u64,
}

/// How long gossip has to bring an entry before we ask for it, in milliseconds.
const GRACE_MS: u64 = 60;
/// Doublings of the grace while nobody has what we lack: to some four seconds, so that an entry that never comes
/// costs little, and half a heartbeat's interval at most.
const IDLE_DOUBLINGS_MAX: u32 = 6;

impl Fetch {
    /// How long to wait before asking.
    pub(crate) fn grace_ms(&self) -> u64 {
        GRACE_MS << self.idle_rounds.min(IDLE_DOUBLINGS_MAX)
    }

    /// The clock was set back.
    pub(crate) fn set_back(&mut self, by_ms: u64) {
        if let Some(active) = &mut self.active {
            active.deadline_ms = active.deadline_ms.saturating_sub(by_ms);
        }
    }

    /// A round has ended that brought so many entries.
    pub(crate) fn round_brought(&mut self, taken: usize) {
        self.idle_rounds = if taken == 0 { self.idle_rounds.saturating_add(1) } else { 0 };
    }

    /// The candidate whose turn it is.
    pub(crate) fn pop_candidate(&mut self) -> Option<Peer> {
        let next = after(self.last, self.candidates.iter().copied())?;
        self.candidates.remove(&next);
        Some(next)
    }
}

/// The first of `peers`, which ascend, that is after `last`; the first of all if there is none.
pub(crate) fn after(last: Option<Peer>, peers: impl Iterator<Item = Peer> + Clone) -> Option<Peer> {
    peers.clone().find(|peer| last.is_none_or(|last| *peer > last)).or_else(|| peers.min())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_take_turns_although_the_first_comes_back_each_time() {
        let [a, b, c] = [1, 2, 3].map(|n| Peer::from_bytes([n; 32]));
        let mut fetch = Fetch { candidates: BTreeSet::from([a, b, c]), ..Fetch::default() };
        let asked = [(); 4].map(|()| {
            let next = fetch.pop_candidate();
            fetch.last = next;
            fetch.candidates.insert(a);
            next
        });
        assert_eq!(asked, [Some(a), Some(b), Some(c), Some(a)]);
    }

    #[test]
    fn the_grace_grows_while_nothing_comes_and_is_short_again_when_something_does() {
        let mut fetch = Fetch::default();
        let first = fetch.grace_ms();
        (0..100).for_each(|_| fetch.round_brought(0));
        assert_eq!(fetch.grace_ms(), first << IDLE_DOUBLINGS_MAX);
        fetch.round_brought(1);
        assert_eq!(fetch.grace_ms(), first);
    }
}
