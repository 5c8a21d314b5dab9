//! What each action takes of its author, and what it then means for the fold.

use mesto_oplog::PublicKey;

use super::{Candidate, Rejected, SUBGROUP_DEPTH_MAX};
use crate::action::{Action, Alias, InvitationCreated, InvitationRevoked, JoinByInvitation, MemberAdded, TeeAdmitted};
use crate::capability::{Capabilities, Capability};
use crate::fold::effects::{Door, Effects};
use crate::fold::graph::Ix;
use crate::fold::place::OpGraph;
use crate::fold::state::{GroupState, Invitation};
use crate::fold::view::View;
use crate::id::{GroupId, InvitationId};
use crate::right::{Denied, need_to_invite, need_to_set};
use crate::role::{Level, Role};
use crate::standing::{Need, Standing};

/// The admission of one op.
pub(super) struct Admission<'a> {
    pub(super) graph: &'a OpGraph,
    pub(super) view: &'a View<GroupState>,
    pub(super) candidate: &'a Candidate<'a>,
    /// The state of the past, with the actions before this one.
    pub(super) scratch: GroupState,
    pub(super) need: Need,
    pub(super) effects: Effects<PublicKey>,
}

impl Admission<'_> {
    /// Checks one action and notes its effects; what it returns is needed of the author.
    pub(super) fn action(&mut self, action: &Action) -> Result<Need, Rejected> {
        match action {
            Action::GroupCreated(_) => Err(Rejected::MisplacedBeginning),
            Action::MemberAdded(added) => self.add(added),
            Action::MemberRemoved(removed) => self.remove(removed.member),
            Action::MemberLeft(_) => self.leave(action),
            Action::MemberRoleSet(set) => {
                let now = self.present(set.member)?;
                self.set_standing(set.member, Standing::new(set.role, set.capabilities.unwrap_or(now.capabilities)))
            }
            Action::MemberCapabilitiesSet(set) => {
                let now = self.present(set.member)?;
                self.set_standing(set.member, Standing::new(now.role, set.capabilities))
            }
            Action::DefaultCapabilitiesSet(_) | Action::DefaultVisibilitySet(_) => Ok(Need::level(Level::Admin)),
            Action::InvitationCreated(created) => invite(created),
            Action::InvitationRevoked(revoked) => self.revoke_invitation(revoked),
            Action::JoinByInvitation(join) => self.join_group(action, join),
            Action::ContextRegistered(_) => Ok(Need::capability(Capability::CreateContexts)),
            Action::ContextDetached(detached) => self.detach(detached.context),
            Action::ContextVisibilitySet(set) => self.manage(set.context),
            Action::ContextAllowed(allowed) => {
                self.scratch.meets(&allowed.member, Need::MEMBERSHIP)?;
                self.manage(allowed.context)
            }
            Action::ContextDisallowed(disallowed) => self.manage(disallowed.context),
            Action::ContextJoined(joined) => self.join_context(joined),
            Action::ContextLeft(left) => self.leave_context(left),
            Action::TargetApplicationSet(_) | Action::UpgradePolicySet(_) => {
                Ok(Need::capability(Capability::ManageApplication))
            }
            Action::ContextApplicationSet(set) => self.release(set.context),
            Action::MigrationAborted(aborted) => self.release(aborted.context),
            Action::AliasSet(set) => self.name(set.subject),
            Action::KeyEpochStarted(started) => self.start_epoch(started),
            Action::Merge => Ok(Need::MEMBERSHIP),
            Action::GroupDeleted => Ok(Need::level(Level::Owner).directly()),
            Action::OwnershipTransferred(transferred) => self.transfer(action, transferred.to),
            Action::SubgroupCreated(created) => self.name_subgroup(created.group),
            Action::SubgroupRemoved(removed) => match self.scratch.subgroup(&removed.group) {
                Some(true) => Ok(Need::level(Level::Admin)),
                Some(false) | None => Err(Rejected::NoSuchSubgroup(removed.group)),
            },
            Action::Checkpoint(checkpoint) => self.checkpoint(checkpoint),
            Action::ContextCapabilityGranted(granted) => {
                self.scratch.meets(&granted.member, Need::MEMBERSHIP)?;
                self.entrust(granted.context, granted.rights).map(|(need, _)| need)
            }
            Action::ContextCapabilityRevoked(revoked) => self.take_rights(revoked),
            Action::AdmissionPolicySet(_) => Ok(Need::level(Level::Admin)),
            Action::TeeAdmitted(admitted) => self.admit_attested(admitted),
        }
    }

    fn name(&mut self, subject: Alias) -> Result<Need, Rejected> {
        match subject {
            Alias::Group => Ok(Need::level(Level::Admin)),
            Alias::Member(member) if member == self.candidate.author => Ok(Need::MEMBERSHIP),
            Alias::Member(member) => {
                self.scratch.meets(&member, Need::MEMBERSHIP)?;
                Ok(Need::level(Level::Manager))
            }
            Alias::Context(context) => self.name_context(context),
        }
    }

    fn name_subgroup(&self, group: GroupId) -> Result<Need, Rejected> {
        if self.scratch.generation() >= SUBGROUP_DEPTH_MAX {
            return Err(Rejected::TooDeep);
        }
        let is_new = self.scratch.subgroup(&group).is_none();
        if is_new { Ok(Need::level(Level::Admin)) } else { Err(Rejected::SubgroupKnown(group)) }
    }

    fn remove(&mut self, member: PublicKey) -> Result<Need, Rejected> {
        let author = self.candidate.author;
        self.scratch.meets(&author, Need::level(Level::Manager))?;
        self.present(member)?;
        self.scratch.outranks(&author, &member)?;
        self.end(member)?;
        Ok(Need::level(Level::Manager))
    }

    fn add(&mut self, added: &MemberAdded) -> Result<Need, Rejected> {
        let standing = Standing::new(added.role, added.capabilities);
        self.scratch.meets(&self.candidate.author, need_to_set(standing))?;
        if self.scratch.direct(&added.member).is_some() {
            return Err(Rejected::AlreadyAMember(added.member));
        }
        self.set_standing(added.member, standing)
    }

    /// The rule for level changes: below owner, a change, and on nobody who is not outranked.
    fn set_standing(&mut self, member: PublicKey, standing: Standing) -> Result<Need, Rejected> {
        if standing.role == Role::Owner {
            return Err(Rejected::OwnerNotGranted);
        }
        let need = need_to_set(standing);
        self.scratch.meets(&self.candidate.author, need)?;
        if self.scratch.standing(&member).is_some() {
            self.scratch.outranks(&self.candidate.author, &member)?;
            if self.scratch.direct(&member) == Some(standing) {
                return Err(Rejected::NoChange(member));
            }
        }
        self.change(member, Some(standing))?;
        Ok(need)
    }

    /// The standing of a member by a row of this group.
    fn present(&self, member: PublicKey) -> Result<Standing, Denied> {
        let direct = self.scratch.direct(&member);
        direct.ok_or_else(|| match self.scratch.standing(&member) {
            Some(_) => Denied::OnlyInherited(member),
            None => Denied::NotAMember(member),
        })
    }

    fn change(&mut self, member: PublicKey, standing: Option<Standing>) -> Result<(), Rejected> {
        if self.effects.changes.iter().any(|(changed, _)| *changed == member) {
            return Err(Rejected::ChangedTwice(member));
        }
        self.effects.changes.push((member, standing));
        Ok(())
    }

    fn end(&mut self, member: PublicKey) -> Result<(), Rejected> {
        self.effects.closes.push(Door::Places(member));
        self.change(member, None)
    }

    fn leave(&mut self, action: &Action) -> Result<Need, Rejected> {
        self.alone(action)?;
        let author = self.candidate.author;
        if self.present(author)?.role == Role::Owner {
            return Err(Rejected::OwnerCannotLeave);
        }
        self.effects.is_leave = true;
        self.end(author)?;
        Ok(Need::MEMBERSHIP)
    }

    fn revoke_invitation(&mut self, revoked: &InvitationRevoked) -> Result<Need, Rejected> {
        let invitation = self.invitation(revoked.invitation)?;
        let is_own = invitation.inviter == self.candidate.author;
        if invitation.is_revoked {
            return Err(Rejected::InvitationRevoked(invitation.id));
        }
        self.effects.rests_on.push(invitation.ix);
        self.effects.closes.push(Door::Invitation(revoked.invitation));
        Ok(if is_own { Need::MEMBERSHIP } else { Need::level(Level::Admin) })
    }

    /// A claim stands for as long as its inviter could still invite: whoever is removed leaves no door open.
    fn join_group(&mut self, action: &Action, join: &JoinByInvitation) -> Result<Need, Rejected> {
        self.alone(action)?;
        let claim = &join.claim;
        let invitation = self.invitation(claim.invitation)?;
        let id = invitation.id;
        claim.verify(self.scratch.group(), &invitation.key)?;
        if invitation.is_revoked {
            return Err(Rejected::InvitationRevoked(id));
        }
        if self.candidate.stamp.millis() > invitation.expires_at_ms {
            return Err(Rejected::InvitationExpired(id));
        }
        if invitation.used >= invitation.uses {
            return Err(Rejected::InvitationUsedUp(id));
        }
        if self.scratch.direct(&claim.joiner).is_some() {
            return Err(Rejected::AlreadyAMember(claim.joiner));
        }
        if self.predates_removal(&invitation, &claim.joiner) {
            return Err(Rejected::InvitationPredatesRemoval(id));
        }
        let inviting = need_to_invite(invitation.standing);
        self.scratch.meets(&invitation.inviter, inviting)?;
        self.effects.relies.push((invitation.inviter, inviting));
        self.effects.rests_on.push(invitation.ix);
        self.effects.enters.push((Door::Invitation(id), vec![invitation.ix]));
        self.effects.claims = Some((id, invitation.uses));
        self.change(claim.joiner, Some(invitation.standing))?;
        Ok(Need::MEMBERSHIP)
    }

    /// Whether somebody else ever removed the joiner here, and not before the invitation was made.
    fn predates_removal(&self, invitation: &Invitation, joiner: &PublicKey) -> bool {
        let is_live = |op: Ix| self.graph.is_within(op, &self.view.heads) && !self.view.dead.contains(&op);
        self.graph.seats_of(joiner).any(|op| {
            let effects = &self.graph.node(op).effects;
            let removes = !effects.is_leave && effects.gives(joiner).is_none();
            removes && !self.graph.is_past(op, invitation.ix) && is_live(op)
        })
    }

    fn transfer(&mut self, action: &Action, to: PublicKey) -> Result<Need, Rejected> {
        self.alone(action)?;
        let need = Need::level(Level::Owner).directly();
        let author = self.candidate.author;
        self.scratch.meets(&author, need)?;
        if to == author {
            return Err(Rejected::AlreadyOwner(to));
        }
        self.present(to)?;
        self.effects.transfers = true;
        self.change(to, Some(Standing::OWNER))?;
        // An admin has every capability; what it keeps, should it be made less, is what any member is offered.
        self.change(author, Some(Standing::new(Role::Admin, Capabilities::DEFAULT)))?;
        Ok(need)
    }

    /// Whoever checked the quote vouches for it by signing; the policy must be in force.
    fn admit_attested(&mut self, admitted: &TeeAdmitted) -> Result<Need, Rejected> {
        let (under, policy) = self.scratch.admission.strongest().cloned().ok_or(Rejected::NoAdmissions)?;
        if !policy.enabled {
            return Err(Rejected::NoAdmissions);
        }
        if self.scratch.standing(&admitted.member).is_some() {
            return Err(Rejected::AlreadyAMember(admitted.member));
        }
        self.rest_on(under);
        self.change(admitted.member, Some(Standing::new(Role::ReadOnly, Capabilities::DEFAULT)))?;
        Ok(Need::capability(Capability::InviteMembers))
    }

    pub(super) fn rest_on(&mut self, op: Ix) {
        if op != self.graph.next() && !self.effects.rests_on.contains(&op) {
            self.effects.rests_on.push(op);
        }
    }

    fn invitation(&self, id: InvitationId) -> Result<Invitation, Rejected> {
        self.scratch.invitation(&id).cloned().ok_or(Rejected::NoSuchInvitation(id))
    }

    fn alone(&self, action: &Action) -> Result<(), Rejected> {
        if self.candidate.op.actions.len() == 1 { Ok(()) } else { Err(Rejected::NotAlone { action: action.name() }) }
    }
}

fn invite(created: &InvitationCreated) -> Result<Need, Rejected> {
    let standing = Standing::new(created.role, created.capabilities);
    if standing.role == Role::Owner {
        return Err(Rejected::OwnerNotGranted);
    }
    Ok(need_to_invite(standing))
}
