//! The keys of a group: which are held, which one to write under, who may have them, and when new ones are started.
//!
//! A *domain* is what a key protects: the group (`None`), or one Restricted context. Every loss of read access in
//! a domain makes its keys unfit for writing; whoever caused the loss starts a new epoch in the same batch, and
//! where it could not, the next writer does before it writes. An epoch is also unfit once somebody who has its key
//! may not read any more: a recipient of the op, or a member to whom this node sent the key.
//!
//! A subgroup's key is sealed to its direct members and wrapped once under the parent's key, which the members by
//! inheritance have; where the parent's key is not at hand, or is unfit, it is sealed to each reader.
//!
//! A key is of the domain in which it came to us: from ourselves, in a wrap that is bound to that domain, or under another
//! key of it; in any other it would not open under its id, which depends on the domain. That an op says so is not enough,
//! for a key's id is known to everybody, and who may not read a Restricted context could say that its key is the group's.
//!
//! An epoch whose key nobody sends for a while (its author may have wrapped rubbish) is followed by one of our own: soon if
//! somebody waits to write, and a little later if nobody does, so that who joins does not wait for a writer.

mod sharing;
mod wraps;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesto_governance::action::{
    Action, ContextRef, Domain as KeyDomain, HistoryWrap, KeyEpochStarted, ParentWrap, Visibility, WRAPS_INLINE_MAX,
    Wrap, Wraps, recipients_digest,
};
use mesto_governance::fold::Epoch;
use mesto_governance::keys::EpochKey;
use mesto_governance::{ContextId, GroupState, KeyId, Op};
use mesto_oplog::{EntryId, PublicKey};

use super::{Above, Group};
use crate::command::CommandError;
use crate::flight::Work;
use crate::flow::Flow;

/// What a key protects: a Restricted context, or, if `None`, the group with its Open contexts.
pub(crate) type Domain = Option<ContextId>;

/// How long the key of a usable epoch may take to come before a writer that waits for it starts another epoch, in
/// milliseconds: some questions to every member that is connected.
const KEY_WAIT_MS: u64 = 3_000;
/// Bytes of epochs in one op: leaves room for the rest of an op of 256 KiB.
const EPOCHS_LEN_MAX: usize = 200 * 1024;
/// Epochs in one op: half of the actions that an op has.
const EPOCHS_MAX: usize = 32;

/// How the key of an epoch can be reached, by the ops that start it.
#[derive(Debug, Clone, Default)]
struct Ways {
    /// To the keys before it.
    back: Vec<HistoryWrap>,
    /// From the parent's key to it.
    from_above: Vec<ParentWrap>,
}

/// Which epochs are fit to be written under, at one frontier.
#[derive(Debug, Clone)]
pub(crate) struct Usable {
    pub(crate) frontier: Vec<EntryId>,
    /// The one to write under in each domain that we read.
    pub(crate) epochs: Arc<BTreeMap<Domain, KeyId>>,
}

/// What is remembered about keys besides the keys.
#[derive(Debug, Default)]
pub(crate) struct KeyBook {
    /// Key epochs of which an op was admitted, also if that op is dead: what was written under them stays readable. The
    /// domains that they are said to be of, each with the ways to other keys.
    seen: BTreeMap<KeyId, BTreeMap<Domain, Ways>>,
    /// The domains of the keys that are held.
    domains: Arc<BTreeMap<KeyId, Domain>>,
    /// Where the next question begins, if there is more to ask for than fits.
    turn: usize,
    /// To whom we sent which key, beyond what ops carry.
    sent: BTreeSet<(KeyId, PublicKey)>,
    /// Domains that somebody waits to write in.
    wanted: BTreeSet<Domain>,
    /// Since when the key of a usable epoch is missing.
    lacking_since: BTreeMap<KeyId, u64>,
    /// The key of the group's own domain that is written under and that members were asked for, and when we stop
    /// waiting for it.
    awaited: Option<(KeyId, u64)>,
    /// Questions in a row that brought no key.
    asked: u32,
    /// Which epochs are usable; nothing once that may have changed.
    usable: Option<Usable>,
}

impl KeyBook {
    /// Reads back to whom keys were sent.
    pub(super) fn open(sent: BTreeSet<(KeyId, PublicKey)>, domains: BTreeMap<KeyId, Domain>) -> Self {
        Self { sent, domains: Arc::new(domains), ..Self::default() }
    }

    /// The domains of the keys that are held.
    pub(super) fn domains(&self) -> Arc<BTreeMap<KeyId, Domain>> {
        Arc::clone(&self.domains)
    }

    /// Notes the epochs that an op starts.
    pub(super) fn note(&mut self, op: &Op, id: EntryId) {
        for action in &op.actions {
            if let Action::KeyEpochStarted(started) = action {
                let said = self.seen.entry(started.key).or_default().entry(domain_of_action(started, id));
                let ways = said.or_default();
                ways.back.extend(started.history.iter().cloned());
                ways.from_above.extend(started.parent.clone());
            }
        }
        self.usable = None;
        self.asked = 0;
    }

    pub(crate) fn forget_usable(&mut self) {
        self.usable = None;
    }

    /// The clock was set back: what has been waited for stays waited for as long.
    pub(crate) fn set_back(&mut self, by_ms: u64) {
        for since in self.lacking_since.values_mut() {
            *since = since.saturating_sub(by_ms);
        }
        if let Some((_, until)) = &mut self.awaited {
            *until = until.saturating_sub(by_ms);
        }
    }
}

fn domain_of_action(started: &KeyEpochStarted, op: EntryId) -> Domain {
    match started.domain {
        KeyDomain::Group => None,
        KeyDomain::Context(context) => Some(context.resolve(op)),
    }
}

/// The domain under whose keys a context is written now.
pub(crate) fn domain_of(state: &GroupState, context: &ContextId) -> Domain {
    let row = state.context(context)?;
    (row.visibility() == Visibility::Restricted).then_some(*context)
}

/// Whether a member may have the keys of a domain: as it stands now, in the full fold.
pub(crate) fn reads(state: &GroupState, member: &PublicKey, domain: Domain) -> bool {
    if state.standing(member).is_none() {
        return false;
    }
    let Some(id) = domain else { return true };
    let Some(row) = state.context(&id).filter(|row| !row.is_detached) else { return false };
    let has_joined = row.creator == *member || row.identities().any(|(_, of)| of == *member);
    has_joined && (row.visibility() == Visibility::Open || row.is_allowed(member))
}

impl Group {
    /// The epochs to write under. Kept until the group changes, or its parent.
    pub(crate) fn usable(&mut self) -> Usable {
        if let Some(usable) = &self.book.usable {
            return usable.clone();
        }
        let epochs = self.own_domains().into_iter().filter_map(|domain| Some((domain, self.usable_in(domain)?)));
        let usable = Usable { frontier: self.frontier(), epochs: Arc::new(epochs.collect()) };
        self.book.usable = Some(usable.clone());
        usable
    }

    /// Keys of the group's own domain that somebody has who may not read, though the fold finds no fault with them.
    pub(super) fn leaked(&self) -> BTreeSet<KeyId> {
        let Some(governance) = &self.governance else { return BTreeSet::new() };
        let own = governance.state().epochs().filter(|epoch| epoch.context.is_none());
        let sound = own.filter(|epoch| governance.is_usable(&epoch.key));
        sound.filter(|epoch| self.has_leaked(epoch)).map(|epoch| epoch.key).collect()
    }

    /// The domains that we read and that have keys of their own.
    fn own_domains(&self) -> Vec<Domain> {
        let Some(state) = self.state() else { return Vec::new() };
        let us = self.member.public();
        let restricted = state.contexts().filter(|row| row.visibility() == Visibility::Restricted);
        let own = restricted.map(|row| Some(row.id)).filter(|domain| reads(state, &us, *domain));
        std::iter::once(None).chain(own).collect()
    }

    fn usable_in(&self, domain: Domain) -> Option<KeyId> {
        let governance = self.governance.as_ref()?;
        let epoch = governance.current_epoch(domain)?;
        (!self.has_leaked(epoch)).then_some(epoch.key)
    }

    /// Whether somebody has the key of an epoch who may not read: as far as can be told here, which is more than the
    /// fold tells.
    fn has_leaked(&self, epoch: &Epoch) -> bool {
        let Some(state) = self.state() else { return true };
        let is_foreign = self.book.domains.get(&epoch.key).is_some_and(|of| *of != epoch.context);
        let is_lost = |member: &PublicKey| !reads(state, member, epoch.context);
        let from = (epoch.key, PublicKey::from_bytes([0; 32]));
        let mut sent = self.book.sent.range(from..).take_while(|(key, _)| *key == epoch.key);
        let leaked_above = epoch
            .started
            .parent
            .as_ref()
            .is_some_and(|wrap| self.above.as_ref().is_none_or(|above| above.leaked.contains(&wrap.parent)));
        let leaked = is_foreign || leaked_above || recipients(epoch).any(|member| is_lost(&member));
        leaked || sent.any(|(_, member)| is_lost(member))
    }

    /// The key that is written under in the group's own domain, if we hold it.
    pub(crate) fn current_key(&self) -> Option<&EpochKey> {
        self.keys.get(&self.usable_in(None)?)
    }

    /// Whether what the group's members write can be read here: the key that is written under is held, or, where a
    /// new epoch has to be started first, all keys that there are.
    pub(crate) fn is_key_held(&self) -> bool {
        match self.usable_in(None) {
            Some(key) => self.keys.contains_key(&key),
            None => !self.keys.is_empty() && self.missing_keys(&BTreeSet::new()).is_empty(),
        }
    }

    /// Somebody waits to write in a domain of ours whose key is not at hand. Starts an epoch if there is none to
    /// write under, or if its key has not come in a while.
    pub(crate) fn want_epoch(&mut self, work: &mut Work<'_>, domain: Domain) -> Result<(), CommandError> {
        let now = work.time.wall_ms;
        match self.usable().epochs.get(&domain).copied() {
            None => self.start_epochs(work, &[domain]),
            Some(key) if self.keys.contains_key(&key) => {
                self.book.wanted.remove(&domain);
                Ok(())
            }
            Some(key) => {
                self.book.wanted.insert(domain);
                let since = *self.book.lacking_since.entry(key).or_insert(now);
                if now.saturating_sub(since) < KEY_WAIT_MS {
                    return Ok(());
                }
                self.start_epochs(work, &[domain])
            }
        }
    }

    /// Domains that somebody waits to write in.
    pub(crate) fn wanted_domains(&self) -> Vec<Domain> {
        self.book.wanted.iter().copied().collect()
    }

    /// Starts epochs in all domains of ours that have none to write under: after every loss of read access.
    pub(crate) fn renew_keys(&mut self, work: &mut Work<'_>) -> Result<(), CommandError> {
        let usable = self.usable().epochs;
        let stale: Vec<Domain> = self.own_domains().into_iter().filter(|domain| !usable.contains_key(domain)).collect();
        self.start_epochs(work, &stale)
    }

    fn start_epochs(&mut self, work: &mut Work<'_>, domains: &[Domain]) -> Result<(), CommandError> {
        let mut actions = Vec::new();
        let mut keys: Vec<(EpochKey, Domain)> = Vec::new();
        let mut len = 0;
        for domain in domains {
            let Some((key, action)) = self.new_epoch(work, *domain) else { continue };
            let action_len = borsh::object_length(&action).unwrap_or(EPOCHS_LEN_MAX);
            if !actions.is_empty() && (len + action_len > EPOCHS_LEN_MAX || actions.len() >= EPOCHS_MAX) {
                self.author_epochs(work, std::mem::take(&mut actions), std::mem::take(&mut keys))?;
                len = 0;
            }
            len += action_len;
            actions.push(action);
            keys.push((key, *domain));
            self.book.wanted.remove(domain);
        }
        if actions.is_empty() { Ok(()) } else { self.author_epochs(work, actions, keys) }
    }

    fn author_epochs(
        &mut self,
        work: &mut Work<'_>,
        actions: Vec<Action>,
        keys: Vec<(EpochKey, Domain)>,
    ) -> Result<(), CommandError> {
        self.author(work, actions)?;
        for (key, domain) in keys {
            self.add_key(work, key, domain);
        }
        work.now(Flow::here("f18", "key epoch started", self.id).into());
        Ok(())
    }

    /// A fresh key for a domain, sealed to its readers. Readers beyond what an op can carry ask for it.
    pub(crate) fn new_epoch(&self, work: &mut Work<'_>, domain: Domain) -> Option<(EpochKey, Action)> {
        let next = self.governance.as_ref()?.next_epoch(domain)?;
        let key = EpochKey::new(next.nonce, work.entropy.bytes());
        let fit = |above: &&Above| next.parent.is_some_and(|id| !above.leaked.contains(&id));
        let above = self.above.as_ref().filter(fit).and_then(|above| above.keys.get(&next.parent?));
        let parent = above.and_then(|above| above.wrap_child(&key, work.entropy.bytes()).ok());
        let readers = if domain.is_none() && parent.is_none() {
            let everybody = self.state().map(GroupState::everybody).unwrap_or_default();
            everybody.into_iter().map(|row| (row.member, row.sealing_key)).collect()
        } else {
            next.readers
        };
        let wraps: Vec<Wrap> = readers
            .into_iter()
            .filter_map(|(reader, sealing)| key.seal(reader, sealing, &work.entropy.bytes()).ok())
            .take(WRAPS_INLINE_MAX)
            .collect();
        let history = self.history(work, domain, &key);
        let action_domain = match domain {
            None => KeyDomain::Group,
            Some(context) => KeyDomain::Context(ContextRef::Id(context)),
        };
        Some((key.clone(), epoch_action(action_domain, &key, wraps, parent, history)))
    }

    /// The first key of a Restricted context that is registered in the same op, sealed to us.
    pub(crate) fn first_key(
        &self,
        work: &mut Work<'_>,
        context: ContextRef,
        nonce: &[u8; 32],
    ) -> Result<(EpochKey, Action), CommandError> {
        let key = EpochKey::new(*nonce, work.entropy.bytes());
        let wrap = key
            .seal(self.member.public(), self.sealing.public(), &work.entropy.bytes())
            .map_err(|e| CommandError::Invalid(e.to_string()))?;
        let action = epoch_action(KeyDomain::Context(context), &key, vec![wrap], None, Vec::new());
        Ok((key, action))
    }
}

fn recipients(epoch: &Epoch) -> impl Iterator<Item = PublicKey> + '_ {
    let wraps = match &epoch.started.wraps {
        Wraps::Inline(wraps) => wraps.as_slice(),
        Wraps::Blob { .. } => &[],
    };
    wraps.iter().map(|wrap| wrap.recipient)
}

/// The action that begins an epoch. `wraps` are in order of their recipients, `history` in order of its keys.
pub(crate) fn epoch_action(
    domain: KeyDomain,
    key: &EpochKey,
    wraps: Vec<Wrap>,
    parent: Option<ParentWrap>,
    history: Vec<HistoryWrap>,
) -> Action {
    Action::KeyEpochStarted(KeyEpochStarted {
        domain,
        key: key.id(),
        recipients: recipients_digest(wraps.iter().map(|wrap| wrap.recipient)),
        wraps: Wraps::Inline(wraps),
        parent,
        history,
    })
}
