//! What actions on contexts take: their registration, who may join and manage them, their keys and checkpoints.

use mesto_oplog::EntryId;

use super::Rejected;
use super::rules::Admission;
use crate::action::{
    Checkpoint, ContextCapabilityRevoked, ContextJoined, ContextLeft, ContextRef, Domain, KeyEpochStarted, Visibility,
};
use crate::context_right::ContextRight;
use crate::fold::effects::Door;
use crate::fold::graph::Ix;
use crate::id::ContextId;
use crate::right::{By, Denied};
use crate::role::Level;
use crate::standing::Need;

impl Admission<'_> {
    pub(super) fn detach(&mut self, context: ContextRef) -> Result<Need, Rejected> {
        let id = self.context(context)?;
        let found = self.scratch.need_to_detach(&self.candidate.author, id)?;
        Ok(self.enter(id, found))
    }

    pub(super) fn name_context(&mut self, context: ContextRef) -> Result<Need, Rejected> {
        let id = self.context(context)?;
        let found = self.scratch.need_to_name(&self.candidate.author, id)?;
        Ok(self.enter(id, found))
    }

    pub(super) fn leave_context(&mut self, left: &ContextLeft) -> Result<Need, Rejected> {
        let row = self.context(left.context)?;
        let is_own = self.scratch.context_row(row)?.member_of(&left.identity) == Some(self.candidate.author);
        if is_own { Ok(Need::MEMBERSHIP) } else { Err(Rejected::NotOwnIdentity(left.identity)) }
    }

    pub(super) fn take_rights(&mut self, revoked: &ContextCapabilityRevoked) -> Result<Need, Rejected> {
        let (need, id) = self.entrust(revoked.context, revoked.rights)?;
        let doors = ContextRight::of_bits(revoked.rights).into_iter().flatten();
        self.effects.closes.extend(doors.map(|right| Door::Right(id, revoked.member, right)));
        Ok(need)
    }

    pub(super) fn join_context(&mut self, joined: &ContextJoined) -> Result<Need, Rejected> {
        let author = self.candidate.author;
        let id = self.context(joined.context)?;
        let need = self.scratch.need_to_join(&author, id)?;
        let row = self.scratch.context_row(id)?;
        if row.member_of(&joined.identity).is_some() {
            return Err(Rejected::IdentityTaken(joined.identity));
        }
        if !joined.is_proven(&row.nonce, self.scratch.group(), author) {
            return Err(Rejected::IdentityNotProven(joined.identity));
        }
        Ok(need)
    }

    pub(super) fn start_epoch(&mut self, started: &KeyEpochStarted) -> Result<Need, Rejected> {
        if self.scratch.epoch(&started.key).is_some() {
            return Err(Rejected::KeyKnown(started.key));
        }
        if let Domain::Context(context) = started.domain {
            let author = self.candidate.author;
            let id = self.context(context)?;
            let row = self.scratch.context_row(id)?;
            if row.visibility() != Visibility::Restricted {
                return Err(Rejected::NoDomain);
            }
            if !row.is_allowed(&author) {
                return Err(Denied::NotOnAllowlist { context: id, member: author }.into());
            }
        }
        Ok(Need::level(Level::Member))
    }

    pub(super) fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<Need, Rejected> {
        self.context(ContextRef::Id(checkpoint.context))?;
        let is_past = |op: &EntryId| {
            self.graph.find(op).is_some_and(|op| self.graph.is_within(op, &self.view.heads))
                || self.view.state.ancestry.levels.iter().any(|level| level.reaches(op))
        };
        let is_founded = !checkpoint.deltas.is_empty()
            && !checkpoint.governance.is_empty()
            && checkpoint.governance.iter().all(is_past);
        if is_founded { Ok(Need::level(Level::Admin)) } else { Err(Rejected::CheckpointUnfounded) }
    }

    pub(super) fn manage(&mut self, context: ContextRef) -> Result<Need, Rejected> {
        let id = self.context(context)?;
        let found = self.scratch.need_to_manage(&self.candidate.author, id)?;
        Ok(self.enter(id, found))
    }

    pub(super) fn release(&mut self, context: ContextRef) -> Result<Need, Rejected> {
        let id = self.context(context)?;
        let found = self.scratch.need_to_release(&self.candidate.author, id)?;
        Ok(self.enter(id, found))
    }

    pub(super) fn entrust(&mut self, context: ContextRef, rights: u8) -> Result<(Need, ContextId), Rejected> {
        ContextRight::of_bits(rights).ok_or(Rejected::UnknownRights(rights))?;
        let id = self.context(context)?;
        let found = self.scratch.need_to_entrust(&self.candidate.author, id)?;
        Ok((self.enter(id, found), id))
    }

    /// What is needed of the author. Where it comes by what it has in the context, and not by its standing alone, the op
    /// came through that door.
    fn enter(&mut self, context: ContextId, (need, by): (Need, By)) -> Need {
        let author = self.candidate.author;
        let Some(row) = self.scratch.context(&context) else { return need };
        let opened: Vec<Ix> = match by {
            By::Standing => return need,
            By::Creator => vec![row.ix],
            By::Right(right) => row.rights.get(&(author, right)).into_iter().flat_map(|slot| slot.ops()).collect(),
        };
        // What the op gave itself with an earlier action stands and falls with it.
        if opened.contains(&self.graph.next()) {
            return need;
        }
        if let By::Right(right) = by {
            self.effects.enters.push((Door::Right(context, author, right), opened.clone()));
        }
        self.effects.enters.push((Door::Places(author), opened));
        need
    }

    /// The context that an action names; the op then rests on its registration.
    fn context(&mut self, context: ContextRef) -> Result<ContextId, Rejected> {
        let id = context.resolve(self.candidate.id);
        let under = self.scratch.context_row(id)?.ix;
        self.rest_on(under);
        Ok(id)
    }
}
