//! Keys that are none: epochs whose wraps hold nothing or something else, and keys of others claimed for oneself.

use mesto_governance::action::{Action, ContextRef, Domain, KeyEpochStarted, Wrap, Wraps, recipients_digest};
use mesto_governance::{EpochKey, KeyId};
use mesto_node::Lane;
use mesto_oplog::dag::DagRead;
use mesto_oplog::{Header, SigningKey, Stamp};
use mesto_sync::Message;

use super::forge::FUTURE_MS_MAX;
use crate::ledger::Ledger;
use crate::world::World;

impl World {
    /// An epoch of the group whose key some of its readers, or all, cannot open.
    pub(super) fn forge_epoch(&mut self, host: usize) {
        let Some((group, record, header)) = self.group_desk(host) else { return };
        let Some(governance) = self.fold_of(host, group) else { return };
        let Some(next) = governance.next_epoch(None) else { return };
        let random = &mut self.mischief.random;
        let key = EpochKey::new(next.nonce, random.seed());
        let other = EpochKey::new(next.nonce, random.seed());
        let foreign = EpochKey::new(random.seed(), *key.expose());
        let kind = random.below(4);
        let victim = random.index(next.readers.len().max(1));
        let mut wraps = Vec::new();
        for (at, (reader, sealing)) in next.readers.iter().enumerate() {
            let sealed = match kind {
                // For one victim another key, for another recipient, or for everybody.
                0 if at == victim => other.seal(*reader, *sealing, &random.seed()),
                1 => other.seal(*reader, *sealing, &random.seed()),
                // Of another domain.
                2 if at == victim => foreign.seal(*reader, *sealing, &random.seed()),
                _ => key.seal(*reader, *sealing, &random.seed()),
            };
            wraps.extend(sealed.ok());
        }
        // Nobody at all gets the key, or the id is of no key.
        if kind == 3 && random.chance(500) {
            wraps.clear();
        }
        let id = if kind == 3 { KeyId::from_bytes(random.seed()) } else { key.id() };
        self.count("forged epochs");
        let member = SigningKey::from_seed(&record.member_seed);
        self.publish_op(host, group, header, &member, vec![epoch(Domain::Group, id, wraps)]);
    }

    /// An epoch, beside the one of a key that others have, which says that the key is of another domain.
    pub(super) fn claim_key(&mut self, host: usize) {
        let Some((group, record, _)) = self.group_desk(host) else { return };
        let Some(governance) = self.fold_of(host, group) else { return };
        let ledger = Ledger::new(self.hosts[host].disk.snapshot(), group.log());
        let epochs: Vec<_> = governance.state().epochs().cloned().collect();
        let Some(theirs) = self.mischief.random.pick(&epochs).cloned() else { return };
        let Some(op) = ledger.entry(&theirs.op) else { return };
        // On top of what that op is on top of: so the key is not known there.
        let Some(parent) = self.mischief.random.pick(&op.header().parents).copied() else { return };
        let contexts: Vec<_> = governance.state().contexts().map(|row| row.id).collect();
        let domain = match (theirs.context, self.mischief.random.pick(&contexts)) {
            (None, Some(context)) => Domain::Context(ContextRef::Id(*context)),
            (Some(_) | None, _) => Domain::Group,
        };
        let Some(parent) = ledger.entry(&parent) else { return };
        let member = SigningKey::from_seed(&record.member_seed);
        let like = Header { author: member.public(), ..parent.header().clone() };
        let header = self.first_header(&like, parent.id());
        self.count("claimed keys");
        self.publish_op(host, group, header, &member, vec![epoch(domain, theirs.key, Vec::new())]);
        for other in 0..self.hosts.len() {
            let ask = Message::KeyPull { group: group.log(), keys: vec![theirs.key] };
            self.send_bytes(host, other, Lane::Sync, ask.encode());
        }
    }

    /// An op from the future, as far as others let things wait, or farther than the run lasts.
    pub(super) fn postdate_op(&mut self, host: usize) {
        let Some((group, record, header)) = self.group_desk(host) else { return };
        let random = &mut self.mischief.random;
        let ahead = if random.chance(200) { 86_400_000 } else { random.between(1_000, 20_000) };
        let stamp = Stamp::after(header.stamp, header.stamp.millis() + FUTURE_MS_MAX + ahead);
        let header = Header { stamp: stamp.unwrap_or_default(), ..header };
        let member = SigningKey::from_seed(&record.member_seed);
        self.count("postdated ops");
        self.publish_op(host, group, header, &member, vec![Action::Merge]);
    }
}

fn epoch(domain: Domain, key: KeyId, mut wraps: Vec<Wrap>) -> Action {
    wraps.sort();
    Action::KeyEpochStarted(KeyEpochStarted {
        domain,
        key,
        recipients: recipients_digest(wraps.iter().map(|wrap| wrap.recipient)),
        wraps: Wraps::Inline(wraps),
        parent: None,
        history: Vec::new(),
    })
}
