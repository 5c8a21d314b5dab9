//! Keys in other keys: what an op seals to us, what the parent's keys open, and the way back from a key to those before it.

use std::collections::BTreeSet;
use std::sync::Arc;

use mesto_governance::action::{Action, HISTORY_MAX, HistoryWrap, ParentWrap};
use mesto_governance::keys::EpochKey;
use mesto_governance::{KeyId, Op};
use mesto_oplog::EntryId;

use super::{Domain, domain_of_action};
use crate::flight::Work;
use crate::group::Group;
use crate::layout;
use crate::step::Report;
use crate::store::Keyspace;

impl Group {
    /// Takes the keys that an op seals to us.
    pub(in crate::group) fn unwrap_keys(&mut self, work: &mut Work<'_>, op: &Op, id: EntryId) {
        let us = self.member.public();
        for action in &op.actions {
            let Action::KeyEpochStarted(started) = action else { continue };
            if self.keys.contains_key(&started.key) {
                self.open_history(work, started.key);
                continue;
            }
            let domain = domain_of_action(started, id);
            let opened = match (self.domain_nonce(domain), started.wrap_for(&us)) {
                (Some(nonce), Some(wrap)) => EpochKey::open(&nonce, started.key, wrap, &self.sealing).map_err(drop),
                (None, _) | (_, None) => {
                    let from_above = started.parent.as_ref().filter(|_| domain.is_none());
                    match from_above.and_then(|wrap| self.opened(started.key, wrap)) {
                        Some(opened) => opened,
                        None => continue,
                    }
                }
            };
            match opened {
                Ok(key) => self.add_key(work, key, domain),
                Err(()) => {
                    // Its author sealed rubbish to us: no use in waiting for the key before we write.
                    self.book.lacking_since.insert(started.key, 0);
                    work.now(Report::BadKey { group: self.id, op: id }.into());
                }
            }
        }
    }

    /// A key that is wrapped under one of the parent's: nothing if that one is not here.
    fn opened(&self, key: KeyId, wrap: &ParentWrap) -> Option<Result<EpochKey, ()>> {
        let above = self.above.as_ref()?.keys.get(&wrap.parent)?;
        Some(above.unwrap_child(self.state()?.nonce(), key, wrap).map_err(drop))
    }

    /// Takes the keys that the parent's keys open.
    pub(in crate::group) fn open_from_above(&mut self, work: &mut Work<'_>) {
        let lacking = self.book.seen.iter().filter(|(id, _)| !self.keys.contains_key(*id));
        let opened: Vec<EpochKey> = lacking
            .filter_map(|(id, seen)| {
                let mut wraps = seen.get(&None)?.from_above.iter();
                wraps.find_map(|wrap| self.opened(*id, wrap)?.ok())
            })
            .collect();
        for key in opened {
            self.add_key(work, key, None);
        }
    }

    /// Keeps a key of a domain, and those that it leads back to.
    pub(crate) fn add_key(&mut self, work: &mut Work<'_>, key: EpochKey, domain: Domain) {
        let id = key.id();
        if self.keys.contains_key(&id) {
            return;
        }
        work.put(Keyspace::Meta, layout::epoch_key(&self.id, &id), layout::epoch_key_value(&key, domain.as_ref()));
        Arc::make_mut(&mut self.book.domains).insert(id, domain);
        Arc::make_mut(&mut self.keys).insert(id, key);
        self.book.lacking_since.remove(&id);
        self.news.keys.push(id);
        // Whether it is fit to be written under depends on its domain.
        self.book.forget_usable();
        self.open_history(work, id);
    }

    fn open_history(&mut self, work: &mut Work<'_>, id: KeyId) {
        let Some(domain) = self.book.domains.get(&id).copied() else { return };
        let ways = self.book.seen.get(&id).and_then(|seen| seen.get(&domain));
        let (Some(ways), Some(key)) = (ways, self.keys.get(&id)) else { return };
        let opened: Vec<EpochKey> = ways
            .back
            .iter()
            .filter(|wrap| !self.keys.contains_key(&wrap.previous))
            .filter_map(|wrap| key.unwrap_previous(wrap).ok())
            .collect();
        for previous in opened {
            self.add_key(work, previous, domain);
        }
    }

    /// The way back from a new key: the keys of the domain that no later key leads to.
    pub(super) fn history(&self, work: &mut Work<'_>, domain: Domain, key: &EpochKey) -> Vec<HistoryWrap> {
        let held = self.book.domains.iter().filter(|(_, of)| **of == domain).map(|(id, _)| id);
        let ways = held.clone().filter_map(|id| self.book.seen.get(id)?.get(&domain)).flat_map(|ways| &ways.back);
        let led_to: BTreeSet<KeyId> = ways.map(|wrap| wrap.previous).collect();
        held.filter(|id| !led_to.contains(*id))
            .filter_map(|id| key.wrap_previous(self.keys.get(id)?, work.entropy.bytes()).ok())
            .take(HISTORY_MAX)
            .collect()
    }

    /// The random bytes that wraps of a domain's keys are bound to.
    pub(super) fn domain_nonce(&self, domain: Domain) -> Option<[u8; 32]> {
        let state = self.state()?;
        match domain {
            None => Some(*state.nonce()),
            Some(context) => state.context(&context).map(|row| row.nonce),
        }
    }
}
