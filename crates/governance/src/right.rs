//! Rights: who may do what, as questions to a group's state.

use mesto_oplog::PublicKey;

use crate::action::Visibility;
use crate::capability::{Capabilities, Capability};
use crate::context_right::ContextRight;
use crate::fold::GroupState;
use crate::id::{ContextId, SealingPublicKey};
use crate::role::Level;
use crate::standing::{Need, Standing};

/// Something that a member may or may not do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Right {
    /// Read state and governance.
    Read,
    /// Register contexts.
    CreateContexts,
    /// Join Open contexts.
    JoinOpenContexts,
    /// Invite somebody to this standing.
    Invite(Standing),
    /// Add somebody with this standing.
    AddMember(Standing),
    /// Change or remove this member.
    ManageMember(PublicKey),
    /// Set the target application and the upgrade policy.
    ManageApplication,
    /// Set the group's name and defaults.
    SetGroup,
    /// Join a context.
    JoinContext(ContextId),
    /// Set the visibility and the allowlist of a context.
    ManageContext(ContextId),
    /// Name a context.
    NameContext(ContextId),
    /// Take a context out of the group.
    DetachContext(ContextId),
    /// Set the application of one context.
    SetContextApplication(ContextId),
    /// Write in a context, under any identity.
    WriteContext(ContextId),
    /// Create and end subgroups.
    ManageSubgroups,
    /// Hand the group to somebody else.
    TransferOwnership,
    /// End the group.
    DeleteGroup,
}

/// Why not: the rule and what it lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// Not in the group.
    #[error("{0} is not a member of the group")]
    NotAMember(PublicKey),
    /// The level is too low.
    #[error("this needs the level of {needed}, {member} has that of {level}")]
    LevelTooLow {
        /// Who.
        member: PublicKey,
        /// What it takes.
        needed: Level,
        /// What there is.
        level: Level,
    },
    /// Capabilities are missing.
    #[error("{member} lacks: {missing}")]
    CapabilitiesMissing {
        /// Who.
        member: PublicKey,
        /// What is missing.
        missing: Capabilities,
    },
    /// The member is not weaker.
    #[error("{member} does not outrank {target}")]
    NotOutranked {
        /// Who acts.
        member: PublicKey,
        /// On whom.
        target: PublicKey,
    },
    /// No such context in this group.
    #[error("no context {0} in this group")]
    NoSuchContext(ContextId),
    /// The context was taken out of the group.
    #[error("context {0} was detached from the group")]
    ContextDetached(ContextId),
    /// The context is Restricted.
    #[error("{member} is not on the allowlist of context {context}")]
    NotOnAllowlist {
        /// The context.
        context: ContextId,
        /// The member.
        member: PublicKey,
    },
    /// The identity is nobody's in this context.
    #[error("{identity} has not joined context {context}")]
    NotJoined {
        /// The context.
        context: ContextId,
        /// The identity.
        identity: PublicKey,
    },
    /// The owner ended the group.
    #[error("the group was deleted")]
    GroupDeleted,
    /// What takes a row of the group itself.
    #[error("{0} is a member by an ancestor of the group, and this takes a direct member")]
    OnlyInherited(PublicKey),
    /// A reader.
    #[error("{0} may read, not write")]
    ReadOnly(PublicKey),
}

/// By what a member may do something in a context.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum By {
    /// Its standing in the group.
    Standing,
    /// Having registered the context.
    Creator,
    /// A right in the context that it was given.
    Right(ContextRight),
}

impl GroupState {
    /// Whether `member` may do `right`.
    ///
    /// # Errors
    /// The rule that denies it.
    pub fn can(&self, member: &PublicKey, right: Right) -> Result<(), Denied> {
        match right {
            Right::Read => self.meets(member, Need::MEMBERSHIP),
            Right::CreateContexts => self.meets(member, Need::capability(Capability::CreateContexts)),
            Right::JoinOpenContexts => self.meets(member, Need::capability(Capability::JoinOpenContexts)),
            Right::Invite(standing) => self.meets(member, need_to_invite(standing)),
            Right::AddMember(standing) => self.meets(member, need_to_set(standing)),
            Right::ManageMember(target) => {
                self.meets(member, Need::level(Level::Manager))?;
                self.outranks(member, &target)
            }
            Right::ManageApplication => self.meets(member, Need::capability(Capability::ManageApplication)),
            Right::SetGroup => self.meets(member, Need::level(Level::Admin)),
            Right::JoinContext(context) => {
                let need = self.need_to_join(member, context)?;
                self.meets(member, need)
            }
            Right::ManageContext(context) => self.meets(member, self.need_to_manage(member, context)?.0),
            Right::NameContext(context) => self.meets(member, self.need_to_name(member, context)?.0),
            Right::DetachContext(context) => self.meets(member, self.need_to_detach(member, context)?.0),
            Right::SetContextApplication(context) => self.meets(member, self.need_to_release(member, context)?.0),
            Right::WriteContext(context) => self.has_writer(member, context),
            Right::ManageSubgroups => self.meets(member, Need::level(Level::Admin)),
            Right::TransferOwnership | Right::DeleteGroup => self.meets(member, Need::level(Level::Owner).directly()),
        }
    }

    /// Whether `member` writes in a context under some identity.
    fn has_writer(&self, member: &PublicKey, context: ContextId) -> Result<(), Denied> {
        let row = self.context_row(context)?;
        let own: Vec<PublicKey> =
            row.identities().filter(|(_, who)| who == member).map(|(identity, _)| *identity).collect();
        let Some((first, rest)) = own.split_first() else {
            self.meets(member, Need::MEMBERSHIP)?;
            return Err(Denied::NotJoined { context, identity: *member });
        };
        rest.iter().fold(self.may_write(context, first), |found, other| {
            found.or_else(|why| self.may_write(context, other).map_err(|_| why))
        })?;
        Ok(())
    }

    /// The member for whom `identity` may write in `context`.
    ///
    /// # Errors
    /// The rule that denies it.
    pub fn may_write(&self, context: ContextId, identity: &PublicKey) -> Result<PublicKey, Denied> {
        if !self.is_there() {
            return Err(Denied::GroupDeleted);
        }
        let member = self.may_read(context, identity)?;
        let writes = self.standing(&member).is_some_and(|standing| standing.role.writes());
        if writes { Ok(member) } else { Err(Denied::ReadOnly(member)) }
    }

    /// The member for whom `identity` may read in `context`.
    ///
    /// # Errors
    /// The rule that denies it.
    pub fn may_read(&self, context: ContextId, identity: &PublicKey) -> Result<PublicKey, Denied> {
        let row = self.context_row(context)?;
        let member = row.member_of(identity).ok_or(Denied::NotJoined { context, identity: *identity })?;
        self.standing(&member).ok_or(Denied::NotAMember(member))?;
        match row.visibility() {
            Visibility::Restricted if !row.is_allowed(&member) => Err(Denied::NotOnAllowlist { context, member }),
            Visibility::Restricted | Visibility::Open => Ok(member),
        }
    }

    /// Who reads a domain by rows of this group, with their sealing keys, in order of the members' keys: its own members
    /// for the group (those of ancestors read by the parent's key, see [`crate::domain`]), the allowlisted members that joined for a Restricted context. The creator of a context counts as
    /// joined, because the first key is made in the op that registers it.
    #[must_use]
    pub fn readers(&self, context: Option<ContextId>) -> Vec<(PublicKey, SealingPublicKey)> {
        let mut readers: Vec<PublicKey> = match context {
            None => self.roster.members().map(|(member, _)| *member).collect(),
            Some(id) => match self.context(&id) {
                Some(row) => row
                    .identities()
                    .map(|(_, member)| member)
                    .chain([row.creator])
                    .filter(|member| row.is_allowed(member) && self.standing(member).is_some())
                    .collect(),
                None => Vec::new(),
            },
        };
        readers.sort_unstable();
        readers.dedup();
        readers.into_iter().filter_map(|reader| Some((reader, self.member(&reader)?.sealing_key))).collect()
    }

    pub(crate) fn meets(&self, member: &PublicKey, need: Need) -> Result<(), Denied> {
        let standing = self.standing(member).ok_or(Denied::NotAMember(*member))?;
        let level = standing.level();
        if !level.reaches(need.level) {
            return Err(Denied::LevelTooLow { member: *member, needed: need.level, level });
        }
        if need.is_direct && self.direct(member).is_none() {
            return Err(Denied::OnlyInherited(*member));
        }
        let missing = need.capabilities.difference(standing.effective());
        if !missing.is_empty() {
            return Err(Denied::CapabilitiesMissing { member: *member, missing });
        }
        Ok(())
    }

    pub(crate) fn outranks(&self, member: &PublicKey, target: &PublicKey) -> Result<(), Denied> {
        let own = self.rank(member).ok_or(Denied::NotAMember(*member))?;
        let other = self.rank(target).ok_or(Denied::NotAMember(*target))?;
        if own.outranks(&other) { Ok(()) } else { Err(Denied::NotOutranked { member: *member, target: *target }) }
    }

    pub(crate) fn need_to_join(&self, member: &PublicKey, context: ContextId) -> Result<Need, Denied> {
        let row = self.context_row(context)?;
        match row.visibility() {
            _ if row.is_creator(member) && row.is_allowed(member) => Ok(Need::MEMBERSHIP),
            Visibility::Open => {
                Ok(Need { capabilities: Capabilities::NONE.with(Capability::JoinOpenContexts), ..Need::MEMBERSHIP })
            }
            Visibility::Restricted if row.is_allowed(member) => Ok(Need::MEMBERSHIP),
            Visibility::Restricted => Err(Denied::NotOnAllowlist { context, member: *member }),
        }
    }

    /// Visibility and allowlist: the creator, whoever was given the right, and admins of the group itself. An admin of an
    /// ancestor has no say in who reads.
    pub(crate) fn need_to_manage(&self, member: &PublicKey, context: ContextId) -> Result<(Need, By), Denied> {
        self.need_for(member, context, Need::level(Level::Admin).directly(), true, Some(ContextRight::Manage))
    }

    pub(crate) fn need_to_name(&self, member: &PublicKey, context: ContextId) -> Result<(Need, By), Denied> {
        self.need_for(member, context, Need::level(Level::Admin), true, Some(ContextRight::Manage))
    }

    pub(crate) fn need_to_detach(&self, member: &PublicKey, context: ContextId) -> Result<(Need, By), Denied> {
        self.need_for(member, context, Need::level(Level::Admin), true, None)
    }

    /// To give and take rights in a context. Who was given one gives none.
    pub(crate) fn need_to_entrust(&self, member: &PublicKey, context: ContextId) -> Result<(Need, By), Denied> {
        self.need_for(member, context, Need::level(Level::Admin).directly(), true, None)
    }

    pub(crate) fn need_to_release(&self, member: &PublicKey, context: ContextId) -> Result<(Need, By), Denied> {
        let by_capability = Need::capability(Capability::ManageApplication);
        self.need_for(member, context, by_capability, false, Some(ContextRight::SetApplication))
    }

    /// What something in a context takes of `member`, and by what it may: as the creator, if `is_creators`; else by a
    /// standing that is enough `alone`; else by a `right` that it was given. A right is not what it does it by where it
    /// could do without, or whoever can take the right could undo what an admin did.
    fn need_for(
        &self,
        member: &PublicKey,
        context: ContextId,
        alone: Need,
        is_creators: bool,
        right: Option<ContextRight>,
    ) -> Result<(Need, By), Denied> {
        let row = self.context_row(context)?;
        if is_creators && row.is_creator(member) {
            return Ok((Need::level(Level::Member), By::Creator));
        }
        let given = right.filter(|&right| row.has_right(member, right) && self.meets(member, alone).is_err());
        Ok(given.map_or((alone, By::Standing), |right| (Need::level(Level::Member), By::Right(right))))
    }

    pub(crate) fn context_row(&self, context: ContextId) -> Result<&crate::fold::Context, Denied> {
        let row = self.context(&context).ok_or(Denied::NoSuchContext(context))?;
        if row.is_detached { Err(Denied::ContextDetached(context)) } else { Ok(row) }
    }
}

/// What inviting to a standing takes.
pub(crate) fn need_to_invite(standing: Standing) -> Need {
    Need::to_give(standing, Need::capability(Capability::InviteMembers))
}

/// What setting a standing takes.
pub(crate) fn need_to_set(standing: Standing) -> Need {
    Need::to_give(standing, Need::level(Level::Manager))
}
