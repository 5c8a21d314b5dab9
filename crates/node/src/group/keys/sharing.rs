//! How members get keys that no op brought them: they ask each other.
//!
//! That a key is held is a reconciled state: what is missing is asked for on every connect and again and again until it
//! is there. An answer is believed because a key's id is the hash of it and its domain. If nobody answers, the epoch is given up.

use std::collections::{BTreeMap, BTreeSet};

use mesto_governance::KeyId;
use mesto_governance::action::Wrap;
use mesto_governance::keys::EpochKey;
use mesto_oplog::{EntryId, PublicKey};
use mesto_sync::message::KEYS_MAX;

use super::{Domain, reads};
use crate::flight::Work;
use crate::group::Group;
use crate::layout;
use crate::step::Report;
use crate::store::Keyspace;

/// Longest time between two questions for the same keys, in milliseconds. The first ones follow each other
/// faster; later a new connection, a new op or a new epoch asks at once.
const ASK_AGAIN_MS_MAX: u64 = 30_000;
/// First time between two questions for the same keys, in milliseconds.
const ASK_AGAIN_MS: u64 = 1_000;
/// How long members are asked in vain for the key that is written under before one who does not have to write starts
/// another epoch, in milliseconds: longer than a writer waits, so that as a rule there is nothing left to do.
const GIVE_UP_MS: u64 = 4_000;
/// By so many milliseconds for each member the end of that wait varies: of those who wait the first is early, and the others
/// learn of its epoch before their own turn comes.
const GIVE_UP_SPREAD_MS: u64 = 250;
/// The longest that it varies by, in milliseconds: perhaps of many members only one waits.
const GIVE_UP_SPREAD_MS_MAX: u64 = 6_000;

impl Group {
    /// Keys that we may have and lack: of live epochs, and those that entries wait for. First those that are written under
    /// now; the others take turns at being next, so that no number of epochs without a key keeps us from asking for
    /// those that have one.
    pub(crate) fn missing_keys(&self, awaited: &BTreeSet<KeyId>) -> Vec<KeyId> {
        let Some(state) = self.state() else { return Vec::new() };
        let us = self.member.public();
        let is_missing = |key: &&KeyId| !self.keys.contains_key(*key);
        let live = state.epochs().map(|epoch| &epoch.key);
        let wanted: BTreeSet<KeyId> = live.chain(awaited).filter(is_missing).copied().collect();
        let domains = |key: &KeyId| self.book.seen.get(key).into_iter().flat_map(BTreeMap::keys);
        let ours = |key: &KeyId| domains(key).any(|domain| reads(state, &us, *domain));
        let current: Vec<KeyId> = self
            .own_domains()
            .into_iter()
            .filter_map(|domain| self.usable_in(domain))
            .filter(|key| is_missing(&key))
            .collect();
        let mut others: Vec<KeyId> = wanted.into_iter().filter(|key| !current.contains(key)).filter(ours).collect();
        if !others.is_empty() {
            let turn = self.book.turn % others.len();
            others.rotate_left(turn);
        }
        current.into_iter().chain(others).collect()
    }

    /// How long to wait before the same keys are asked for again.
    pub(crate) fn ask_again_in(&mut self) -> u64 {
        let wait = ASK_AGAIN_MS << self.book.asked.min(5);
        self.book.asked += 1;
        self.book.turn = self.book.turn.wrapping_add(KEYS_MAX / 2);
        if self.book.wanted.is_empty() { wait.min(ASK_AGAIN_MS_MAX) } else { ASK_AGAIN_MS }
    }

    /// Asks anew from the beginning: somebody is here who may know.
    pub(crate) fn ask_soon(&mut self) {
        self.book.asked = 0;
    }

    /// Who may start epochs, and asked members in vain for the key that the group is written under, starts one that all can
    /// open: somebody may have sealed rubbish, and who joins must not wait until one of us writes. `is_asked` tells whether
    /// anybody is there who could answer. Gives the time at which to come back.
    pub(crate) fn give_up_waiting(&mut self, work: &mut Work<'_>, is_asked: bool) -> Option<u64> {
        let is_asked = is_asked && !self.is_over();
        let Some(key) = self.usable_in(None).filter(|key| is_asked && !self.keys.contains_key(key)) else {
            self.book.awaited = None;
            return None;
        };
        let state = self.state()?;
        let standing = state.standing(&self.member.public());
        if !standing.is_some_and(|standing| standing.role.writes()) {
            return None;
        }
        let now = work.time.wall_ms;
        let (_, until) = match self.book.awaited.filter(|(awaited, _)| *awaited == key) {
            Some(awaited) => awaited,
            None => {
                let members = state.everybody().len() as u64;
                let spread = (members * GIVE_UP_SPREAD_MS).min(GIVE_UP_SPREAD_MS_MAX);
                *self.book.awaited.insert((key, now + GIVE_UP_MS + work.entropy.between(0, spread)))
            }
        };
        if now < until {
            return Some(until);
        }
        self.book.awaited = None;
        if let Err(error) = self.start_epochs(work, &[None]) {
            work.now(Report::Refused { entry: EntryId::default(), reason: error.to_string() }.into());
        }
        None
    }

    /// Takes keys that a member sent. Only those of epochs that were admitted count.
    pub(crate) fn take_keys(&mut self, work: &mut Work<'_>, sealed: &[(KeyId, Wrap)]) {
        for (id, wrap) in sealed {
            let Some(seen) = self.book.seen.get(id).filter(|_| !self.keys.contains_key(id)) else { continue };
            let open = |domain: &Domain| {
                let nonce = self.domain_nonce(*domain)?;
                Some((EpochKey::open(&nonce, *id, wrap, &self.sealing).ok()?, *domain))
            };
            if let Some((key, domain)) = seen.keys().find_map(open) {
                self.add_key(work, key, domain);
            }
        }
    }

    /// Seals those of `wanted` that we hold to a member that may have them, and remembers who got them: a key must
    /// not be written under once somebody who has it may not read.
    pub(crate) fn share_keys(
        &mut self,
        work: &mut Work<'_>,
        member: &PublicKey,
        wanted: &[KeyId],
    ) -> Vec<(KeyId, Wrap)> {
        let Some(sealing) = self.state().and_then(|state| state.member(member)).map(|row| row.sealing_key) else {
            return Vec::new();
        };
        let mut sealed = Vec::new();
        for id in wanted {
            let (Some(key), Some(domain)) = (self.keys.get(id), self.book.domains.get(id).copied()) else { continue };
            let may_have = self.state().is_some_and(|state| reads(state, member, domain));
            if may_have && let Ok(wrap) = key.seal(*member, sealing, &work.entropy.bytes()) {
                sealed.push((*id, wrap));
            }
        }
        for (id, _) in &sealed {
            if self.book.sent.insert((*id, *member)) {
                work.put(Keyspace::Meta, layout::shared_key(&self.id, id, member), Vec::new());
            }
        }
        sealed
    }
}
