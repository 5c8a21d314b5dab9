//! Admission: whether an op's author may do all of it, by the fold of the op's own past. Once and for good.

use mesto_oplog::entry::Stamp;
use mesto_oplog::{EntryId, PublicKey};

use super::effects::{Door, Effects};
use super::graph::Ix;
use super::place::OpGraph;
use super::slot::Placing;
use super::state::{GroupState, Invitation};
use super::view::View;
use crate::action::{
    Action, Alias, Checkpoint, ContextJoined, ContextRef, Domain, InvitationCreated, InvitationRevoked,
    JoinByInvitation, KeyEpochStarted, MemberAdded, TeeAdmitted, Visibility,
};
use crate::capability::{Capabilities, Capability};
use crate::claim::ClaimError;
use crate::context_right::ContextRight;
use crate::id::{ContextId, GroupId, InvitationId, KeyId};
use crate::op::{Op, OpError};
use crate::right::{Denied, need_to_invite, need_to_set};
use crate::role::{Level, Role};
use crate::standing::{Need, Standing};

/// Most ancestors of a group: deep enough for any organisation, and a bound for what an inherited right costs.
pub const SUBGROUP_DEPTH_MAX: usize = 16;

/// Why an op is refused, for good if not said otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// The body is no op.
    #[error(transparent)]
    Body(#[from] OpError),
    /// The op is of another group's log.
    #[error("the op is for another group: {0}")]
    AnotherGroup(GroupId),
    /// The op rests on one that was refused.
    #[error("the op's parent {0} is not admitted here")]
    ParentNotAdmitted(EntryId),
    /// The author's op before this one is not in its past.
    #[error("the author's earlier op {0} is not in this op's past")]
    PrevNotInPast(EntryId),
    /// Only the first op of a log begins a group.
    #[error("a group is begun by the first action of its first op, and by nothing else")]
    MisplacedBeginning,
    /// An op of an ancestor's log that is not held here, or has not come here yet: unlike the others, this may change.
    #[error("op {0} of an ancestor group is not known here yet")]
    AncestorUnknown(EntryId),
    /// A group is folded below the parent that its first op names, and a root below none.
    #[error("the group's first op names another parent")]
    AnotherParent,
    /// Subgroups of subgroups have an end.
    #[error("a group has at most {SUBGROUP_DEPTH_MAX} ancestors")]
    TooDeep,
    /// The child group has been named.
    #[error("subgroup {0} is known already")]
    SubgroupKnown(GroupId),
    /// No such child group, or it was ended.
    #[error("no subgroup {0} in this group")]
    NoSuchSubgroup(GroupId),
    /// The owner keeps the group.
    #[error("{0} already is the owner")]
    AlreadyOwner(PublicKey),
    /// Rights in a context that this build does not know, or none at all.
    #[error("{0:#010b} are no rights in a context")]
    UnknownRights(u8),
    /// Attested nodes are not admitted.
    #[error("the group admits no attested nodes")]
    NoAdmissions,
    /// A checkpoint of nothing, or of governance that is not in its past.
    #[error("the checkpoint does not fit its past")]
    CheckpointUnfounded,
    /// The group was ended.
    #[error("the group was deleted")]
    GroupDeleted,
    /// An action that cannot be in the first op, where the group has no id yet.
    #[error("{action} cannot be part of a group's first op")]
    NotInGenesis {
        /// The action.
        action: &'static str,
    },
    /// An action that has to be alone in its op.
    #[error("{action} has to be the only action of its op")]
    NotAlone {
        /// The action.
        action: &'static str,
    },
    /// The author lacks the right.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is one owner; ownership is transferred, not granted.
    #[error("nobody is made an owner: ownership is transferred")]
    OwnerNotGranted,
    /// Somebody who already is a member.
    #[error("{0} already is a member")]
    AlreadyAMember(PublicKey),
    /// The standing would stay as it is.
    #[error("{0} already has this standing")]
    NoChange(PublicKey),
    /// Two actions of one op change the same member.
    #[error("the op changes the standing of {0} twice")]
    ChangedTwice(PublicKey),
    /// The owner cannot leave.
    #[error("the owner cannot leave: transfer the ownership first")]
    OwnerCannotLeave,
    /// No such invitation.
    #[error("no invitation {0} in this group")]
    NoSuchInvitation(InvitationId),
    /// The invitation was closed.
    #[error("invitation {0} was revoked")]
    InvitationRevoked(InvitationId),
    /// The op is stamped after the invitation's end.
    #[error("invitation {0} has expired")]
    InvitationExpired(InvitationId),
    /// As many joined as may.
    #[error("invitation {0} is used up")]
    InvitationUsedUp(InvitationId),
    /// The joiner was removed after the invitation was made.
    #[error("invitation {0} is older than the joiner's removal: a new one is needed")]
    InvitationPredatesRemoval(InvitationId),
    /// The claim is not what it says.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// The identity is bound already.
    #[error("identity {0} is taken in this context")]
    IdentityTaken(PublicKey),
    /// The identity is not the author's.
    #[error("identity {0} is not the author's in this context")]
    NotOwnIdentity(PublicKey),
    /// The identity did not agree to be the author's.
    #[error("identity {0} did not sign for this member and context")]
    IdentityNotProven(PublicKey),
    /// The key is another epoch's.
    #[error("key {0} already has an epoch")]
    KeyKnown(KeyId),
    /// An Open context is under the group's key.
    #[error("an open context has no keys of its own")]
    NoDomain,
}

/// What is to be admitted, and where.
pub(crate) struct Candidate<'a> {
    pub(crate) id: EntryId,
    pub(crate) author: PublicKey,
    pub(crate) stamp: Stamp,
    pub(crate) op: &'a Op,
}

/// Whether `candidate` is admitted on top of `view`, the fold of its past; and what it then means for the fold.
pub(crate) fn admit(
    graph: &OpGraph,
    view: &View<GroupState>,
    candidate: &Candidate<'_>,
) -> Result<Effects<PublicKey>, Rejected> {
    let author = candidate.author;
    if view.state.is_deleted() {
        return Err(Rejected::GroupDeleted);
    }
    view.state.meets(&author, Need::MEMBERSHIP)?;
    let rank = &view.state.rank(&author).ok_or(Denied::NotAMember(author))?;
    let placing = Placing {
        ix: graph.next(),
        id: candidate.id,
        height: view.heads.iter().map(|&head| graph.node(head).height + 1).max().unwrap_or(0),
        author,
        rank,
        is_past: &|_| true,
    };
    let mut admission = Admission {
        graph,
        view,
        candidate,
        scratch: view.state.clone(),
        need: Need::MEMBERSHIP,
        effects: Effects::default(),
    };
    for (index, action) in (0u8..).zip(&candidate.op.actions) {
        let need = admission.action(action)?;
        admission.scratch.meets(&author, need)?;
        admission.need = admission.need.and(need);
        admission.scratch.place_action(&placing, index, action);
    }
    let Admission { need, mut effects, .. } = admission;
    effects.relies.insert(0, (author, need));
    Ok(effects)
}

/// The rules for the actions that follow [`Action::GroupCreated`] in a group's first op.
pub(crate) fn admit_genesis(
    op: &Op,
    founder: PublicKey,
    parent: Option<GroupId>,
) -> Result<Effects<PublicKey>, Rejected> {
    let Some((Action::GroupCreated(created), rest)) = op.actions.split_first() else {
        return Err(Rejected::MisplacedBeginning);
    };
    if created.parent != parent {
        return Err(Rejected::AnotherParent);
    }
    let mut keys = Vec::new();
    for action in rest {
        if let Action::KeyEpochStarted(started) = action {
            if keys.contains(&started.key) {
                return Err(Rejected::KeyKnown(started.key));
            }
            keys.push(started.key);
        }
        if !is_for_genesis(action, founder) {
            return Err(Rejected::NotInGenesis { action: action.name() });
        }
    }
    Ok(Effects { changes: vec![(founder, Some(Standing::OWNER))], ..Effects::default() })
}

/// Settings and the group's first key: whatever needs neither the group's id nor other members.
fn is_for_genesis(action: &Action, founder: PublicKey) -> bool {
    if let Action::AliasSet(set) = action {
        return set.subject == Alias::Group || set.subject == Alias::Member(founder);
    }
    if let Action::KeyEpochStarted(started) = action {
        return started.domain == Domain::Group;
    }
    matches!(
        action,
        Action::DefaultCapabilitiesSet(_)
            | Action::DefaultVisibilitySet(_)
            | Action::TargetApplicationSet(_)
            | Action::UpgradePolicySet(_)
    )
}

struct Admission<'a> {
    graph: &'a OpGraph,
    view: &'a View<GroupState>,
    candidate: &'a Candidate<'a>,
    /// The state of the past, with the actions before this one.
    scratch: GroupState,
    need: Need,
    effects: Effects<PublicKey>,
}

impl Admission<'_> {
    /// Checks one action and notes its effects; what it returns is needed of the author.
    fn action(&mut self, action: &Action) -> Result<Need, Rejected> {
        let author = self.candidate.author;
        match action {
            Action::GroupCreated(_) => Err(Rejected::MisplacedBeginning),
            Action::MemberAdded(added) => self.add(added),
            Action::MemberRemoved(removed) => {
                self.scratch.meets(&author, Need::level(Level::Manager))?;
                self.present(removed.member)?;
                self.scratch.outranks(&author, &removed.member)?;
                self.change(removed.member, None)?;
                Ok(Need::level(Level::Manager))
            }
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
            Action::ContextDetached(detached) => {
                let id = self.context(detached.context)?;
                Ok(self.scratch.need_to_detach(&author, id)?)
            }
            Action::ContextVisibilitySet(set) => self.manage(set.context),
            Action::ContextAllowed(allowed) => {
                self.scratch.meets(&allowed.member, Need::MEMBERSHIP)?;
                self.manage(allowed.context)
            }
            Action::ContextDisallowed(disallowed) => self.manage(disallowed.context),
            Action::ContextJoined(joined) => self.join_context(joined),
            Action::ContextLeft(left) => {
                let row = self.context(left.context)?;
                if self.scratch.context_row(row)?.member_of(&left.identity) == Some(author) {
                    Ok(Need::MEMBERSHIP)
                } else {
                    Err(Rejected::NotOwnIdentity(left.identity))
                }
            }
            Action::TargetApplicationSet(_) | Action::UpgradePolicySet(_) => {
                Ok(Need::capability(Capability::ManageApplication))
            }
            Action::ContextApplicationSet(set) => self.release(set.context),
            Action::MigrationAborted(aborted) => self.release(aborted.context),
            Action::AliasSet(set) => match set.subject {
                Alias::Group => Ok(Need::level(Level::Admin)),
                Alias::Member(member) if member == author => Ok(Need::MEMBERSHIP),
                Alias::Member(member) => {
                    self.scratch.meets(&member, Need::MEMBERSHIP)?;
                    Ok(Need::level(Level::Manager))
                }
                Alias::Context(context) => {
                    let id = self.context(context)?;
                    let need = self.scratch.need_to_name(&author, id)?;
                    Ok(self.by_right(id, ContextRight::Manage, need))
                }
            },
            Action::KeyEpochStarted(started) => self.start_epoch(started),
            Action::Merge => Ok(Need::MEMBERSHIP),
            Action::GroupDeleted => Ok(Need::level(Level::Owner).directly()),
            Action::OwnershipTransferred(transferred) => self.transfer(action, transferred.to),
            Action::SubgroupCreated(created) => {
                if self.scratch.generation() >= SUBGROUP_DEPTH_MAX {
                    return Err(Rejected::TooDeep);
                }
                let is_new = self.scratch.subgroup(&created.group).is_none();
                if is_new { Ok(Need::level(Level::Admin)) } else { Err(Rejected::SubgroupKnown(created.group)) }
            }
            Action::SubgroupRemoved(removed) => match self.scratch.subgroup(&removed.group) {
                Some(true) => Ok(Need::level(Level::Admin)),
                Some(false) | None => Err(Rejected::NoSuchSubgroup(removed.group)),
            },
            Action::Checkpoint(checkpoint) => self.checkpoint(checkpoint),
            Action::ContextCapabilityGranted(granted) => {
                self.scratch.meets(&granted.member, Need::MEMBERSHIP)?;
                self.entrust(granted.context, granted.rights).map(|(need, _)| need)
            }
            Action::ContextCapabilityRevoked(revoked) => {
                let (need, id) = self.entrust(revoked.context, revoked.rights)?;
                let doors = ContextRight::of_bits(revoked.rights).into_iter().flatten();
                self.effects.closes.extend(doors.map(|right| Door::Right(id, revoked.member, right)));
                Ok(need)
            }
            Action::AdmissionPolicySet(_) => Ok(Need::level(Level::Admin)),
            Action::TeeAdmitted(admitted) => self.admit_attested(admitted),
        }
    }

    fn add(&mut self, added: &MemberAdded) -> Result<Need, Rejected> {
        if self.scratch.direct(&added.member).is_some() {
            return Err(Rejected::AlreadyAMember(added.member));
        }
        self.set_standing(added.member, Standing::new(added.role, added.capabilities))
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

    fn leave(&mut self, action: &Action) -> Result<Need, Rejected> {
        self.alone(action)?;
        let author = self.candidate.author;
        if self.present(author)?.role == Role::Owner {
            return Err(Rejected::OwnerCannotLeave);
        }
        self.effects.is_leave = true;
        self.change(author, None)?;
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
        self.effects.enters.push((Door::Invitation(id), invitation.ix));
        self.effects.claims = Some((id, invitation.uses));
        self.change(claim.joiner, Some(invitation.standing))?;
        Ok(Need::MEMBERSHIP)
    }

    /// Whether somebody else removed the joiner, and not before the invitation was made.
    fn predates_removal(&self, invitation: &Invitation, joiner: &PublicKey) -> bool {
        let seat = self.view.state.roster.seat(joiner);
        seat.into_iter().flat_map(super::roster::Seat::decided_by).any(|op| {
            let effects = &self.graph.node(op).effects;
            let removes = !effects.is_leave && effects.gives(joiner).is_none();
            removes && !self.graph.is_past(op, invitation.ix)
        })
    }

    fn join_context(&mut self, joined: &ContextJoined) -> Result<Need, Rejected> {
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

    fn start_epoch(&mut self, started: &KeyEpochStarted) -> Result<Need, Rejected> {
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
        self.change(author, Some(Standing::new(Role::Admin, Capabilities::ALL)))?;
        Ok(need)
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<Need, Rejected> {
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

    fn manage(&mut self, context: ContextRef) -> Result<Need, Rejected> {
        let id = self.context(context)?;
        let need = self.scratch.need_to_manage(&self.candidate.author, id)?;
        Ok(self.by_right(id, ContextRight::Manage, need))
    }

    fn release(&mut self, context: ContextRef) -> Result<Need, Rejected> {
        let id = self.context(context)?;
        let need = self.scratch.need_to_release(&self.candidate.author, id)?;
        Ok(self.by_right(id, ContextRight::SetApplication, need))
    }

    fn entrust(&mut self, context: ContextRef, rights: u8) -> Result<(Need, ContextId), Rejected> {
        ContextRight::of_bits(rights).ok_or(Rejected::UnknownRights(rights))?;
        let id = self.context(context)?;
        Ok((self.scratch.need_to_entrust(&self.candidate.author, id)?, id))
    }

    /// Where a need is as low as a right in the context makes it, the op came through that door, and rests on what
    /// opened it.
    fn by_right(&mut self, context: ContextId, right: ContextRight, need: Need) -> Need {
        let author = self.candidate.author;
        let Some(row) = self.scratch.context(&context) else { return need };
        if need != Need::level(Level::Member)
            || !row.has_right(&author, right)
            || (row.creator == author && right == ContextRight::Manage)
        {
            return need;
        }
        let opened: Vec<Ix> = row.rights.get(&(author, right)).into_iter().flat_map(|slot| slot.ops()).collect();
        for op in opened {
            self.rest_on(op);
            if op != self.graph.next() {
                self.effects.enters.push((Door::Right(context, author, right), op));
            }
        }
        need
    }

    fn rest_on(&mut self, op: Ix) {
        if op != self.graph.next() && !self.effects.rests_on.contains(&op) {
            self.effects.rests_on.push(op);
        }
    }

    /// The context that an action names; the op then rests on its registration.
    fn context(&mut self, context: ContextRef) -> Result<ContextId, Rejected> {
        let id = context.resolve(self.candidate.id);
        let under = self.scratch.context_row(id)?.ix;
        self.rest_on(under);
        Ok(id)
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
