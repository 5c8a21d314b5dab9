//! Key domains: which epoch is in use, who gets the next one, and who may be given a key.
//!
//! A domain is a group with its Open contexts, or one Restricted context. The members of a group's ancestors read its
//! domain too: a new epoch of a subgroup is sealed to the direct members, and wrapped once under the current epoch of
//! the parent, which every member of the parent has. A Restricted context is for its allowlist only, whoever is above.

use std::collections::BTreeSet;

use mesto_oplog::{EntryId, PublicKey};

use crate::action::Visibility;
use crate::fold::graph::Ix;
use crate::fold::{Epoch, Governance};
use crate::id::{ContextId, KeyId, SealingPublicKey};

/// What it takes to start an epoch of a domain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NextEpoch {
    /// The random bytes that the wraps are bound to.
    pub nonce: [u8; 32],
    /// To whom the key is sealed, in order of the members' keys.
    pub readers: Vec<(PublicKey, SealingPublicKey)>,
    /// The parent's key under which it is wrapped as well. Nothing for a root or a Restricted context, and nothing
    /// where the parent has no usable epoch: then the members by ancestors are among `readers`.
    pub parent: Option<KeyId>,
    /// The live epochs of the domain that no other one has in its past: whose keys the new one may wrap, so that it opens
    /// what was written before. In order of the keys.
    pub previous: Vec<KeyId>,
}

impl Governance {
    /// The domain of a context: its own if it is Restricted, else the group's. Nothing if there is no such context.
    #[must_use]
    pub fn domain_of(&self, context: &ContextId) -> Option<Option<ContextId>> {
        let row = self.state().context(context)?;
        Some((row.visibility() == Visibility::Restricted).then_some(*context))
    }

    /// The domain of a context for somebody who had seen `heads`: the keys of it are those that what they wrote there is
    /// sealed under. Nothing if there was no such context for them, or some of the heads are not held.
    pub fn domain_at(&mut self, heads: &[EntryId], context: &ContextId) -> Option<Option<ContextId>> {
        let view = self.view_at(heads)?;
        let row = view.state.context(context)?;
        Some((row.visibility() == Visibility::Restricted).then_some(*context))
    }

    /// The epoch under which to write in a domain (a context, or nothing for the group's): the highest by height
    /// and id of those that are usable. Nothing if a new epoch has to be started first.
    #[must_use]
    pub fn current_epoch(&self, domain: Option<ContextId>) -> Option<&Epoch> {
        let losses = self.losses(domain);
        let epochs = self.state().epochs().filter(|epoch| epoch.context == domain);
        epochs.filter(|epoch| self.outlives(epoch, &losses)).max_by_key(|epoch| (epoch.height, epoch.op))
    }

    /// Whether whoever is about to write in a domain has to start an epoch first: it has none, or somebody lost
    /// the right to read since.
    #[must_use]
    pub fn needs_epoch(&self, domain: Option<ContextId>) -> bool {
        self.state().is_there() && self.current_epoch(domain).is_none()
    }

    /// Whether it is safe to write under a key: every live loss of read access, in the domain and in the ancestors, is in
    /// the past of its epoch, and so for the parent's epoch that wraps it.
    #[must_use]
    pub fn is_usable(&self, key: &KeyId) -> bool {
        self.state().epoch(key).is_some_and(|epoch| self.outlives(epoch, &self.losses(epoch.context)))
    }

    /// What it takes to start an epoch of a domain. Nothing for a context that has none of its own.
    #[must_use]
    pub fn next_epoch(&self, domain: Option<ContextId>) -> Option<NextEpoch> {
        let state = self.state();
        let Some(context) = domain else {
            let parent = self.parent().and_then(|parent| parent.current_epoch(None)).map(|epoch| epoch.key);
            let is_open = self.parent().is_some() && parent.is_none();
            let everybody = || state.everybody().into_iter().map(|row| (row.member, row.sealing_key)).collect();
            let readers = if is_open { everybody() } else { state.readers(None) };
            return Some(NextEpoch { nonce: *state.nonce(), readers, parent, previous: self.latest_epochs(None) });
        };
        let row = state.context(&context).filter(|row| row.visibility() == Visibility::Restricted)?;
        let previous = self.latest_epochs(domain);
        Some(NextEpoch { nonce: row.nonce, readers: state.readers(domain), parent: None, previous })
    }

    /// Whether a member may be given the key of an epoch, now: it reads the domain in the full fold. Of a context that is
    /// Open by now every member reads what was written before.
    #[must_use]
    pub fn may_hold(&self, member: &PublicKey, key: &KeyId) -> bool {
        let state = self.state();
        let Some(epoch) = state.epoch(key).filter(|_| state.is_there()) else { return false };
        match epoch.context.and_then(|id| state.context(&id)) {
            Some(row) if row.visibility() == Visibility::Restricted => {
                state.readers(epoch.context).iter().any(|(reader, _)| reader == member)
            }
            Some(_) | None => state.standing(member).is_some(),
        }
    }

    fn latest_epochs(&self, domain: Option<ContextId>) -> Vec<KeyId> {
        let graph = self.graph();
        let epochs: Vec<&Epoch> = self.state().epochs().filter(|epoch| epoch.context == domain).collect();
        let is_latest = |epoch: &&&Epoch| !epochs.iter().any(|other| graph.is_past(epoch.ix, other.ix));
        epochs.iter().filter(is_latest).map(|epoch| epoch.key).collect()
    }

    /// The maximal live losses of read access in the group's own log, and what made ops die there: whom they had let in,
    /// somebody who did not know better may have given a key.
    fn losses(&self, domain: Option<ContextId>) -> BTreeSet<Ix> {
        let state = self.state();
        let own = domain.and_then(|id| state.context(&id)).map(|row| &row.losses);
        let taken = state.losses.ops().chain(own.into_iter().flat_map(|slot| slot.ops()));
        taken.chain(self.now().causes.iter().copied()).chain(self.graph().preferred(&self.now().dead)).collect()
    }

    fn outlives(&self, epoch: &Epoch, losses: &BTreeSet<Ix>) -> bool {
        let graph = self.graph();
        let above = &graph.node(epoch.ix).above;
        let knows_own = losses.iter().all(|&loss| loss == epoch.ix || graph.is_past(loss, epoch.ix));
        let knows_above = self.now().state.ancestry.levels.iter().enumerate().all(|(at, level)| {
            let seen = above.level(at);
            let taken = level.view.state.losses.ops().chain(level.view.causes.iter().copied());
            let mut losses = taken.chain(level.graph.preferred(&level.view.dead));
            losses.all(|loss| seen.is_some_and(|seen| level.graph.is_within(loss, seen)))
        });
        let is_wrapped_safely = epoch
            .started
            .parent
            .as_ref()
            .is_none_or(|wrap| self.parent().is_some_and(|parent| parent.is_usable(&wrap.parent)));
        knows_own && knows_above && is_wrapped_safely
    }
}
