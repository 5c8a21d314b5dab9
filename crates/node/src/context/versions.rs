//! Which texts and lists are in memory, from version to version.
//!
//! A version's are filled by whoever reads the version first: a call, or a view elsewhere. The next version has what the one
//! before it had, brought up to date by the deltas between them. So a text is loaded once, whatever is typed after.

use mesto_crdt::{Author, Delta, DeltaId, RootHash, Sequences, Transaction, TreeCache};
use mesto_oplog::dag::DagRead;
use mesto_oplog::{EntryId, Verified};

use super::Context;
use crate::delta::Payload;
use crate::flight::Work;
use crate::state::{ContextState, Version};
use crate::step::{Effect, hlc};

/// Most deltas that come while a call runs and after which what the call loaded is still brought up to date. More come
/// in catch-up only; then the next call loads anew.
const BEHIND_MAX: usize = 64;

/// The version that a call or view runs on, and what came after it.
#[derive(Debug)]
pub(crate) struct Pinned {
    state: ContextState,
    /// What was in memory of it, in bytes.
    had: usize,
    since: Vec<(Verified, Payload)>,
    /// Whether so much came that it was not kept.
    is_lost: bool,
}

impl Pinned {
    pub(super) fn at(state: ContextState) -> Self {
        Self { had: state.loaded().bytes(), state, since: Vec::new(), is_lost: false }
    }

    fn follow(&mut self, applied: &[(Verified, Payload)]) {
        self.is_lost |= self.since.len() + applied.len() > BEHIND_MAX;
        if self.is_lost {
            self.since = Vec::new();
        } else {
            self.since.extend_from_slice(applied);
        }
    }
}

impl Context {
    /// The newest version.
    pub(super) fn state(&self, work: &Work<'_>) -> ContextState {
        ContextState::new(work.view.clone(), self.log.number()).with_sequences(self.sequences.clone())
    }

    /// Goes on to the next version.
    pub(super) fn advance(
        &mut self,
        work: &mut Work<'_>,
        root: RootHash,
        sequences: Sequences,
        applied: &[(Verified, Payload)],
    ) {
        let running = self.running.as_mut().map(|running| &mut running.pinned);
        for pinned in running.into_iter().chain(&mut self.reading) {
            pinned.follow(applied);
        }
        self.root = root;
        self.sequences = sequences;
        self.tell_views(work);
    }

    /// A view loads what it needs of `version`.
    pub(crate) fn reading(&mut self, work: &mut Work<'_>, version: Version) {
        if version.root == self.root && self.sequences.is_empty() {
            let pinned = Pinned::at(self.state(work).with_sequences(version.sequences));
            // It may have loaded it by now.
            self.reading = Some(Pinned { had: 0, ..pinned });
        }
    }

    /// The view has what it needs.
    pub(crate) fn read(&mut self, work: &mut Work<'_>) {
        if let Some(pinned) = self.reading.take() {
            self.take_over(work, &pinned);
        }
    }

    /// A call or view has ended: what it loaded of the version that it ran on serves the newest version too.
    pub(super) fn take_over(&mut self, work: &mut Work<'_>, pinned: &Pinned) {
        let loaded = pinned.state.loaded();
        if pinned.is_lost || loaded.bytes() <= pinned.had {
            return;
        }
        // Somebody reads here: what they loaded is not given up the moment after.
        self.is_warm = true;
        if pinned.since.is_empty() {
            self.sequences = loaded.clone();
            return self.tell_views(work);
        }
        if loaded.bytes() <= self.sequences.bytes() {
            return;
        }
        let mut tree = TreeCache::new();
        let mut transaction = Transaction::new(&pinned.state, &mut tree);
        let read = self.log.read(&work.view);
        for (entry, payload) in &pinned.since {
            let Some(placement) = read.placement(&entry.id()) else { return };
            let delta = Delta {
                id: DeltaId(*entry.id().as_bytes()),
                author: Author(*entry.header().author.as_bytes()),
                stamp: hlc(entry.header().stamp),
                ops: &payload.ops,
            };
            let in_past =
                |id: &DeltaId| read.placement(&EntryId::from_bytes(id.0)).is_some_and(|of| placement.past.covers(&of));
            if transaction.apply(&delta, &in_past).is_err() {
                return;
            }
        }
        // The deltas were applied once already; this is about what is in memory, and only if it is of this very version.
        if let Ok(commit) = transaction.finish()
            && commit.root == self.root
        {
            self.sequences = commit.sequences;
            self.tell_views(work);
        }
    }

    /// Lets views use what is in memory of the newest version, from the moment on at which it is durable.
    fn tell_views(&self, work: &mut Work<'_>) {
        if !self.sequences.is_empty() {
            let version = Version { root: self.root, sequences: self.sequences.clone() };
            work.now(Effect::Keep(self.id, version));
            work.after(Effect::Settled(self.id, self.root));
        }
    }
}
