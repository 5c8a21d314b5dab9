//! What an op changed: the difference of the fold before and after. Effects outside (joining topics, rotating
//! keys, upgrading) follow from these, never from the op itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use mesto_oplog::{EntryId, PublicKey};

use super::state::GroupState;
use crate::action::{Action, Alias};
use crate::id::{ContextId, GroupId, InvitationId, KeyId};
use crate::op::Op;
use crate::standing::Standing;

/// One difference between two states of a group.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Change {
    /// The owner ended the group.
    GroupDeleted,
    /// The group's name.
    NameChanged,
    /// Defaults for new members or contexts.
    DefaultsChanged,
    /// The target application.
    TargetChanged,
    /// The upgrade policy.
    PolicyChanged,
    /// Which attested nodes may be admitted.
    AdmissionChanged,
    /// The ancestors went on: who is a member by one of them, and as what, may be different.
    AncestorsChanged,
    /// A child group is in the group now.
    SubgroupAdded {
        /// Which.
        group: GroupId,
    },
    /// A child group was ended.
    SubgroupRemoved {
        /// Which.
        group: GroupId,
    },
    /// A checkpoint of a context stands, or does not any more.
    CheckpointsChanged {
        /// The context.
        context: ContextId,
    },
    /// Somebody is a member now.
    MemberJoined {
        /// Who.
        member: PublicKey,
        /// As what.
        standing: Standing,
    },
    /// Somebody is no member any more.
    MemberLeft {
        /// Who.
        member: PublicKey,
    },
    /// A member's role, capabilities, keys or name.
    MemberChanged {
        /// Who.
        member: PublicKey,
    },
    /// An invitation was made, used, closed, or is gone.
    InvitationChanged {
        /// Which.
        invitation: InvitationId,
    },
    /// A context is in the group now.
    ContextAdded {
        /// Which.
        context: ContextId,
    },
    /// A context is not in the group any more.
    ContextRemoved {
        /// Which.
        context: ContextId,
    },
    /// A context's application, visibility, name or allowlist.
    ContextChanged {
        /// Which.
        context: ContextId,
    },
    /// An identity is bound to a member now.
    IdentityAdded {
        /// The context.
        context: ContextId,
        /// The identity.
        identity: PublicKey,
        /// The member.
        member: PublicKey,
    },
    /// An identity is bound to nobody any more.
    IdentityRemoved {
        /// The context.
        context: ContextId,
        /// The identity.
        identity: PublicKey,
    },
    /// A key epoch is live now.
    EpochStarted {
        /// The context whose key it is; nothing for the group's.
        context: Option<ContextId>,
        /// The key.
        key: KeyId,
    },
    /// A key epoch is not live any more.
    EpochEnded {
        /// The context whose key it was; nothing for the group's.
        context: Option<ContextId>,
        /// The key.
        key: KeyId,
    },
}

/// What an op could touch; only that is compared.
#[derive(Default)]
pub(super) struct Touched {
    members: BTreeSet<PublicKey>,
    invitations: BTreeSet<InvitationId>,
    contexts: BTreeSet<ContextId>,
    epochs: BTreeSet<KeyId>,
    subgroups: BTreeSet<GroupId>,
}

impl Touched {
    /// By this op, placed after all that it could end.
    pub(super) fn by_op(op: &Op, id: EntryId, author: PublicKey, before: &GroupState) -> Self {
        let mut touched = Self::default();
        for (index, action) in (0u8..).zip(&op.actions) {
            if let Some(context) = action.context_ref() {
                touched.contexts.insert(context.resolve(id));
            }
            touched.by_action(action, id, index, author, before);
        }
        touched
    }

    fn by_action(&mut self, action: &Action, id: EntryId, index: u8, author: PublicKey, before: &GroupState) {
        match action {
            Action::GroupCreated(_) => {
                self.members.insert(author);
            }
            Action::MemberAdded(added) => {
                self.members.insert(added.member);
            }
            Action::MemberRemoved(removed) => self.end(removed.member, before),
            Action::MemberLeft(_) => self.end(author, before),
            Action::MemberRoleSet(set) => {
                self.members.insert(set.member);
            }
            Action::MemberCapabilitiesSet(set) => {
                self.members.insert(set.member);
            }
            Action::InvitationCreated(_) => {
                self.invitations.insert(InvitationId::of_action(id, index));
            }
            Action::InvitationRevoked(revoked) => {
                self.invitations.insert(revoked.invitation);
            }
            Action::JoinByInvitation(join) => {
                self.members.insert(join.claim.joiner);
                self.invitations.insert(join.claim.invitation);
            }
            Action::ContextRegistered(_) => {
                self.contexts.insert(ContextId::of_action(id, index));
            }
            Action::AliasSet(set) => match set.subject {
                Alias::Member(member) => {
                    self.members.insert(member);
                }
                Alias::Group | Alias::Context(_) => {}
            },
            Action::KeyEpochStarted(started) => {
                self.epochs.insert(started.key);
            }
            Action::OwnershipTransferred(transferred) => {
                self.members.extend([author, transferred.to]);
            }
            Action::TeeAdmitted(admitted) => {
                self.members.insert(admitted.member);
            }
            Action::SubgroupCreated(created) => {
                self.subgroups.insert(created.group);
            }
            Action::SubgroupRemoved(removed) => {
                self.subgroups.insert(removed.group);
            }
            Action::Checkpoint(checkpoint) => {
                self.contexts.insert(checkpoint.context);
            }
            Action::GroupDeleted
            | Action::DefaultCapabilitiesSet(_)
            | Action::ContextDetached(_)
            | Action::ContextVisibilitySet(_)
            | Action::DefaultVisibilitySet(_)
            | Action::ContextAllowed(_)
            | Action::ContextDisallowed(_)
            | Action::ContextJoined(_)
            | Action::ContextLeft(_)
            | Action::ContextCapabilityGranted(_)
            | Action::ContextCapabilityRevoked(_)
            | Action::TargetApplicationSet(_)
            | Action::UpgradePolicySet(_)
            | Action::ContextApplicationSet(_)
            | Action::MigrationAborted(_)
            | Action::AdmissionPolicySet(_)
            | Action::Merge => {}
        }
    }

    fn end(&mut self, member: PublicKey, before: &GroupState) {
        self.members.insert(member);
        if let Some(person) = before.people.get(&member) {
            self.contexts.extend(person.places.iter().map(|(context, _)| *context));
        }
    }

    /// Everything that either state has.
    pub(super) fn all(before: &GroupState, after: &GroupState) -> Self {
        let both = [before, after];
        Self {
            members: both.iter().flat_map(|state| state.people.keys().copied()).collect(),
            invitations: both.iter().flat_map(|state| state.invitations.keys().copied()).collect(),
            contexts: both.iter().flat_map(|state| state.contexts.keys().copied()).collect(),
            epochs: both.iter().flat_map(|state| state.epochs.keys().copied()).collect(),
            subgroups: both.iter().flat_map(|state| state.subgroups.keys().copied()).collect(),
        }
    }
}

/// The differences in what was touched, and in the settings; in a fixed order.
pub(super) fn changes(before: &GroupState, after: &GroupState, touched: &Touched) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut note = |changed: bool, change: Change| {
        if changed {
            changes.push(change);
        }
    };
    note(!before.is_deleted() && after.is_deleted(), Change::GroupDeleted);
    note(before.name() != after.name(), Change::NameChanged);
    let defaults = |state: &GroupState| (state.default_capabilities(), state.default_visibility());
    note(defaults(before) != defaults(after), Change::DefaultsChanged);
    note(before.target() != after.target(), Change::TargetChanged);
    note(before.policy() != after.policy(), Change::PolicyChanged);
    note(before.admission_policy() != after.admission_policy(), Change::AdmissionChanged);
    for &group in &touched.subgroups {
        let is_there = |state: &GroupState| state.subgroup(&group) == Some(true);
        note(!is_there(before) && is_there(after), Change::SubgroupAdded { group });
        note(is_there(before) && !is_there(after), Change::SubgroupRemoved { group });
    }
    for &member in &touched.members {
        match (before.member(&member), after.member(&member)) {
            (None, Some(row)) => {
                let standing = Standing::new(row.role, row.capabilities);
                note(true, Change::MemberJoined { member, standing });
            }
            (Some(_), None) => note(true, Change::MemberLeft { member }),
            (old, new) => note(old != new, Change::MemberChanged { member }),
        }
    }
    for &invitation in &touched.invitations {
        let changed = before.invitation(&invitation) != after.invitation(&invitation);
        note(changed, Change::InvitationChanged { invitation });
    }
    for &context in &touched.contexts {
        changes.extend(context_changes(before, after, context));
    }
    for key in &touched.epochs {
        match (before.epoch(key), after.epoch(key)) {
            (None, Some(epoch)) => changes.push(Change::EpochStarted { context: epoch.context, key: *key }),
            (Some(epoch), None) => changes.push(Change::EpochEnded { context: epoch.context, key: *key }),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
    changes
}

fn context_changes(before: &GroupState, after: &GroupState, context: ContextId) -> Vec<Change> {
    let (old, new) = (before.contexts.get(&context), after.contexts.get(&context));
    if let (Some(old), Some(new)) = (old, new)
        && Arc::ptr_eq(old, new)
    {
        return Vec::new();
    }
    let is_there = |row: Option<&Arc<super::state::Context>>| row.is_some_and(|row| !row.is_detached);
    let mut changes = Vec::new();
    match (is_there(old), is_there(new)) {
        (false, true) => changes.push(Change::ContextAdded { context }),
        (true, false) => changes.push(Change::ContextRemoved { context }),
        (true, true) | (false, false) => {
            if let (Some(old), Some(new)) = (old, new) {
                let differs = old.release() != new.release()
                    || old.visibility() != new.visibility()
                    || old.name() != new.name()
                    || !old.allowlist().eq(new.allowlist())
                    || !old.rights().eq(new.rights())
                    || old.is_creator(&old.creator) != new.is_creator(&new.creator)
                    || old.aborted != new.aborted;
                changes.extend(differs.then_some(Change::ContextChanged { context }));
                let checkpoints = !old.checkpoints.keys().eq(new.checkpoints.keys());
                changes.extend(checkpoints.then_some(Change::CheckpointsChanged { context }));
            }
        }
    }
    let identities: BTreeSet<PublicKey> =
        [old, new].into_iter().flatten().flat_map(|row| row.identities.keys().copied()).collect();
    for identity in identities {
        let bound = |row: Option<&Arc<super::state::Context>>| row.and_then(|row| row.member_of(&identity));
        match (bound(old), bound(new)) {
            (old, Some(member)) if old != Some(member) => {
                changes.push(Change::IdentityAdded { context, identity, member });
            }
            (Some(_), None) => changes.push(Change::IdentityRemoved { context, identity }),
            (_, Some(_)) | (None, None) => {}
        }
    }
    changes
}
