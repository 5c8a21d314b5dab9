//! Ops of our own: on top of all that is known, folded here first, and published once they are durable.

use mesto_governance::Op;
use mesto_governance::action::{Action, ContextJoined, ContextRef};
use mesto_governance::fold::Rejected;
use mesto_oplog::dag::{AuthorError, Next};
use mesto_oplog::entry::{Draft, Kind};
use mesto_oplog::{EntryId, Header, Incarnation, LogId, PublicKey, SigningKey, Stamp, Verified};
use mesto_sync::{Gossip, gossip};

use super::Group;
use crate::command::CommandError;
use crate::flight::Work;
use crate::record::GroupRecord;
use crate::step::Effect;

/// More heads than this are merged by whoever comes first: half of what a delta can name, so that there is time.
const HEADS_MERGED_FROM: usize = mesto_oplog::entry::PARENTS_MAX / 2;

impl Group {
    /// Merges the heads, if they are so many that soon no delta could name them all.
    pub(crate) fn merge_heads(&mut self, work: &mut Work<'_>) -> Result<(), CommandError> {
        if self.needs_merge() && self.we_are_member() {
            self.author(work, vec![Action::Merge])?;
        }
        Ok(())
    }

    pub(crate) fn needs_merge(&self) -> bool {
        self.log.dag.heads().len() > HEADS_MERGED_FROM
    }

    /// Signs an op on top of all heads, applies it, and publishes it once it is durable.
    pub(crate) fn author(&mut self, work: &mut Work<'_>, actions: Vec<Action>) -> Result<EntryId, CommandError> {
        loop {
            let read = self.log.read(&work.view);
            let life = self.record.incarnation;
            match self.log.dag.next_header(&read, self.member.public(), life, work.time.wall_ms) {
                Ok(Next::MergeFirst(header)) => {
                    self.sign(work, header, vec![Action::Merge])?;
                }
                Ok(Next::Entry(header)) => return self.sign(work, header, actions),
                // This home was copied, or put back from a copy, and both went on: here another life begins.
                Err(AuthorError::Branched(_)) => {
                    self.record.incarnation = Incarnation(work.entropy.number());
                    self.save_record(work);
                }
                Err(error) => return Err(CommandError::Invalid(error.to_string())),
            }
        }
    }

    fn sign(&mut self, work: &mut Work<'_>, header: Header, actions: Vec<Action>) -> Result<EntryId, CommandError> {
        let op = self.op(actions);
        if let Some(governance) = &self.governance {
            governance.check(self.member.public(), header.stamp, &op).map_err(|why| refusal(&why))?;
        }
        let body = op.encode().map_err(|e| CommandError::Invalid(e.to_string()))?;
        let entry = Draft { header, body }.sign(&self.member).map_err(|e| CommandError::Invalid(e.to_string()))?;
        self.take(work, &entry).map_err(CommandError::Denied)?;
        self.log.save(work);
        self.publish(work, &entry);
        Ok(entry.id())
    }

    /// An op by us that has all that is known here in its past.
    fn op(&self, actions: Vec<Action>) -> Op {
        let ancestor_parents = self.governance.as_ref().map(|governance| governance.ancestor_parents());
        Op { ancestor_parents: ancestor_parents.unwrap_or_default(), ..Op::new(actions) }
    }

    /// Whether an op of ours would be admitted now.
    pub(crate) fn check(&self, now_ms: u64, actions: Vec<Action>) -> Result<(), CommandError> {
        let governance = self.governance.as_ref().ok_or(CommandError::KeyMissing(self.id))?;
        let at = Stamp::after(Stamp::default(), now_ms).unwrap_or_default();
        governance.check(self.member.public(), at, &self.op(actions)).map_err(|why| refusal(&why))
    }

    /// Begins the group: the genesis op, by us.
    pub(crate) fn begin(&mut self, work: &mut Work<'_>, genesis: &Verified) -> Result<(), CommandError> {
        self.take(work, genesis).map_err(CommandError::Invalid)?;
        self.log.save(work);
        Ok(())
    }

    fn publish(&self, work: &mut Work<'_>, entry: &Verified) {
        let topic = gossip::group_topic(&self.id.log());
        work.after(Effect::Publish(topic, Gossip::Entries(vec![entry.bytes().to_vec()])));
    }

    /// The action that binds `identity` to us in `context`.
    pub(crate) fn join_context(&self, context: ContextRef, nonce: &[u8; 32], identity: &SigningKey) -> Action {
        Action::ContextJoined(ContextJoined::new(context, nonce, self.id, self.member.public(), identity))
    }
}

/// What a person is told who may not do something, or asks for what cannot be.
fn refusal(why: &Rejected) -> CommandError {
    match why {
        Rejected::Denied(_) | Rejected::OwnerCannotLeave | Rejected::OwnerNotGranted | Rejected::GroupDeleted => {
            CommandError::Denied(why.to_string())
        }
        Rejected::NoChange(member) => CommandError::NoChange(*member),
        _ => CommandError::Invalid(why.to_string()),
    }
}

/// The genesis header of a group that `member` begins.
pub(crate) fn genesis_header(member: PublicKey, record: &GroupRecord, now_ms: u64) -> Header {
    Header {
        kind: Kind::Governance,
        log: LogId::default(),
        author: member,
        incarnation: record.incarnation,
        seq: 1,
        prev: None,
        parents: Vec::new(),
        stamp: Stamp::after(Stamp::default(), now_ms).unwrap_or_default(),
    }
}
