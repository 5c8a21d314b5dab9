//! Who was removed goes on with what it held before: ops, puppets and deltas that pretend to be from then.

use mesto_governance::action::{
    Action, Alias, AliasSet, ContextAllowed, ContextJoined, ContextRef, MemberAdded, MemberRemoved, MemberRoleSet,
    PeerHint,
};
use mesto_governance::{Capabilities, ContextId, GroupId, Op, Role as MemberRole, SealingKey};
use mesto_node::delta::DeltaBody;
use mesto_node::record::GroupRecord;
use mesto_oplog::dag::DagRead;
use mesto_oplog::{Draft, EntryId, Header, Incarnation, SigningKey, Stamp, Verified};

use super::forge::Desk;
use crate::ledger::{self, Ledger};
use crate::world::World;

/// What was forged when every honest member already knew that its author is out: it must never count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Late {
    /// An op of a group.
    Op(GroupId, EntryId),
    /// A delta of a context of a group.
    Delta(GroupId, ContextId, EntryId),
}

impl World {
    /// An op on top of an old one, as if what came since were not known.
    pub(super) fn backdate_op(&mut self, host: usize) {
        let Some((group, record, header)) = self.old_group_desk(host) else { return };
        let member = SigningKey::from_seed(&record.member_seed);
        let snapshot = self.hosts[host].disk.snapshot();
        let Some(governance) = self.fold_of(host, group) else { return };
        let state = governance.state();
        let others: Vec<_> = state.known_people().copied().filter(|other| *other != member.public()).collect();
        let other = self.mischief.random.pick(&others).copied().unwrap_or(member.public());
        let contexts = ledger::contexts(&snapshot);
        let context = self.mischief.random.pick(&contexts).map(|(id, _)| *id);
        let action = match (self.mischief.random.below(5), context) {
            (0, _) => Action::MemberRemoved(MemberRemoved { member: other, keep: vec![], descendants: vec![] }),
            (1, _) => Action::MemberRoleSet(MemberRoleSet {
                member: other,
                role: MemberRole::ReadOnly,
                capabilities: None,
                keep: vec![],
                descendants: vec![],
            }),
            (2, Some(context)) => {
                Action::ContextAllowed(ContextAllowed { context: ContextRef::Id(context), member: member.public() })
            }
            _ => Action::AliasSet(AliasSet { subject: Alias::Member(member.public()), name: "from before".to_owned() }),
        };
        self.count("backdated ops");
        self.publish_op(host, group, header, &member, vec![action]);
    }

    /// A puppet that is let in as if before the removal, joins a context and writes in it.
    pub(super) fn backdate_puppet(&mut self, host: usize) {
        let Some((group, record, header)) = self.old_group_desk(host) else { return };
        let member = SigningKey::from_seed(&record.member_seed);
        let puppet = SigningKey::from_seed(&self.mischief.random.seed());
        let sealing = SealingKey::from_seed(&self.mischief.random.seed()).public();
        let added = Action::MemberAdded(MemberAdded {
            member: puppet.public(),
            sealing_key: sealing,
            role: MemberRole::Member,
            capabilities: Capabilities::DEFAULT,
            peer: PeerHint::default(),
        });
        let stamp = header.stamp;
        let Some(added) = self.publish_op(host, group, header, &member, vec![added]) else { return };
        self.count("backdated puppets");
        let Some(mut desk) = self.desk_of(host, group) else { return };
        let Some(nonce) = self.fold_of(host, group).and_then(|g| g.state().context(&desk.context).map(|row| row.nonce))
        else {
            return;
        };
        desk.identity = SigningKey::from_seed(&self.mischief.random.seed());
        let context = ContextRef::Id(desk.context);
        let join = ContextJoined::new(context, &nonce, group, puppet.public(), &desk.identity);
        let header = self.first_header(&Header { log: group.log(), author: puppet.public(), stamp, ..blank() }, added);
        let Some(joined) = self.publish_op(host, group, header, &puppet, vec![Action::ContextJoined(join)]) else {
            return;
        };
        let header = Header { author: desk.identity.public(), ..desk.header.clone() };
        let header = Header { incarnation: Incarnation(self.mischief.random.number()), seq: 1, prev: None, ..header };
        // On top of the newest deltas: to name what these name, a puppet has to name what put it out.
        let seen = if self.mischief.random.chance(500) { vec![joined] } else { self.with_heads(&desk, joined) };
        self.late_delta(host, &desk, header, seen, "a puppet's");
    }

    /// A delta on top of an old one, under the keys and in the knowledge of then.
    pub(super) fn backdate_delta(&mut self, host: usize) {
        let Some(desk) = self.desk(host) else { return };
        let ledger = Ledger::new(desk.snapshot.clone(), desk.context.log());
        let entries = ledger.by_arrival(0, usize::MAX);
        let Some(old) = self.mischief.random.pick(&entries).and_then(|id| ledger.entry(id)) else { return };
        let Ok(body) = DeltaBody::decode(old.body()) else { return };
        let header = self.first_header(&Header { stamp: old.header().stamp, ..desk.header.clone() }, old.id());
        self.count("backdated deltas");
        self.late_delta(host, &desk, header, body.governance, "from before");
    }

    fn late_delta(&mut self, host: usize, desk: &Desk, header: Header, seen: Vec<EntryId>, text: &str) {
        let changes = self.changes(desk, text);
        let Some(entry) = self.delta(desk, header, seen, changes) else { return };
        if self.is_known_to_be_out(host, desk.group) {
            self.count("deltas after all knew");
            self.mischief.late.push(Late::Delta(desk.group, desk.context, entry.id()));
        }
        self.tell_all(host, &entry);
    }

    /// Signs an op and tells everybody.
    pub(super) fn publish_op(
        &mut self,
        host: usize,
        group: GroupId,
        header: Header,
        author: &SigningKey,
        actions: Vec<Action>,
    ) -> Option<EntryId> {
        let body = Op::new(actions).encode().ok()?;
        let entry: Verified = (Draft { header, body }).sign(author).ok()?;
        if self.is_known_to_be_out(host, group) {
            self.count("ops after all knew");
            self.mischief.late.push(Late::Op(group, entry.id()));
        }
        self.tell_group(host, &entry);
        Some(entry.id())
    }

    /// A header for the first entry of a new life, on top of an old entry.
    pub(super) fn first_header(&mut self, like: &Header, parent: EntryId) -> Header {
        let stamp = Stamp::after(like.stamp, 0).unwrap_or_default();
        let incarnation = Incarnation(self.mischief.random.number());
        Header { incarnation, seq: 1, prev: None, parents: vec![parent], stamp, ..like.clone() }
    }

    /// A place on top of an old op of one of a host's groups.
    pub(super) fn old_group_desk(&mut self, host: usize) -> Option<(GroupId, GroupRecord, Header)> {
        let snapshot = self.hosts[host].disk.snapshot();
        let (group, record) = self.mischief.random.pick(&ledger::groups(&snapshot)).cloned()?;
        let ledger = Ledger::new(snapshot, group.log());
        let ops = ledger.by_arrival(0, usize::MAX);
        let old = self.mischief.random.pick(&ops).and_then(|id| ledger.entry(id))?;
        let author = SigningKey::from_seed(&record.member_seed).public();
        let like = Header { log: group.log(), author, stamp: old.header().stamp, ..blank() };
        let header = self.first_header(&like, old.id());
        Some((group, record, header))
    }

    /// The newest governance heads, and one more.
    fn with_heads(&self, desk: &Desk, more: EntryId) -> Vec<EntryId> {
        let mut seen: Vec<EntryId> = desk.group_heads.iter().copied().chain([more]).collect();
        seen.sort_unstable();
        seen
    }

    /// Whether every honest member of a group knows that a host's member was removed from it, for the last time: somebody
    /// who left since may have let it in again, and not all have heard of that.
    fn is_known_to_be_out(&mut self, host: usize, group: GroupId) -> bool {
        let Some(member) = crate::invariants::member_key(self, host, group) else { return false };
        let honest: Vec<usize> = (0..self.hosts.len()).filter(|other| self.is_honest(*other)).collect();
        let mut knowing = Vec::new();
        for other in honest {
            let Some(own) = crate::invariants::member_key(self, other, group) else { continue };
            let Some(governance) = self.fold_of(other, group) else { continue };
            if governance.state().standing(&own).is_none() {
                continue;
            }
            if !crate::invariants::is_removed(&governance, &member) {
                return false;
            }
            knowing.push(governance);
        }
        if knowing.is_empty() {
            return false;
        }
        let Some(all) = self.fold_of_all(group) else { return false };
        let removals = crate::invariants::removals(&all, &member);
        knowing.iter().all(|governance| removals.iter().any(|op| governance.holds(op)))
    }
}

fn blank() -> Header {
    Header {
        kind: mesto_oplog::entry::Kind::Governance,
        log: mesto_oplog::LogId::default(),
        author: mesto_oplog::PublicKey::default(),
        incarnation: Incarnation(0),
        seq: 1,
        prev: None,
        parents: Vec::new(),
        stamp: Stamp::default(),
    }
}
