//! Actions: what a governance op does. The tags are final; an op with one that a build does not know does not decode there,
//! and is refused.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::op::OpError;

mod attestation;
mod context;
mod epoch;
mod group;
mod membership;
mod release;

pub use attestation::{AdmissionPolicySet, MEASUREMENTS_MAX, Measurement, QUOTE_LEN_MAX, TeeAdmitted};
pub use context::{
    ContextAllowed, ContextApplicationSet, ContextCapabilityGranted, ContextCapabilityRevoked, ContextDetached,
    ContextDisallowed, ContextJoined, ContextLeft, ContextRef, ContextRegistered, ContextVisibilitySet,
    IDENTITY_DOMAIN, MigrationAborted, Visibility,
};
pub use epoch::{
    Domain, HISTORY_MAX, HistoryWrap, KeyEpochStarted, KeyWrap, ParentWrap, RECIPIENTS_CONTEXT, WRAPPED_KEY_LEN,
    WRAPS_INLINE_MAX, Wrap, Wraps, recipients_digest,
};
pub use group::{
    Alias, AliasSet, Checkpoint, DefaultCapabilitiesSet, DefaultVisibilitySet, GroupCreated, OwnershipTransferred,
    SubgroupCreated, SubgroupRemoved,
};
pub use membership::{
    DESCENDANTS_MAX, DescendantHeads, InvitationCreated, InvitationRevoked, JoinByInvitation, KEEP_MAX, Kept,
    MemberAdded, MemberCapabilitiesSet, MemberLeft, MemberRemoved, MemberRoleSet, PEER_LEN_MAX, PeerHint, USES_MAX,
};
pub use release::{METHOD_LEN_MAX, PACKAGE_LEN_MAX, Release, TargetApplicationSet, UpgradePolicy, UpgradePolicySet};

/// Longest name or alias, in bytes of UTF-8: a line of a table.
pub const NAME_LEN_MAX: usize = 128;

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident $(($payload:ty))? = $tag:literal,)*) => {
        /// One action of a governance op.
        #[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
        #[borsh(use_discriminant = true)]
        #[repr(u8)]
        pub enum Action {
            $($(#[$doc])* $name $(($payload))? = $tag,)*
        }

        impl Action {
            /// The name of the action, as it stands in the protocol.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$name { .. } => stringify!($name),)*
                }
            }
        }
    };
}

actions! {
    /// Begins a group; its author is the owner.
    GroupCreated(GroupCreated) = 1,
    /// Names a child group by its genesis.
    SubgroupCreated(SubgroupCreated) = 2,
    /// Ends a child group.
    SubgroupRemoved(SubgroupRemoved) = 3,
    /// Ends this group.
    GroupDeleted = 4,
    /// Makes the history of a context before it final.
    Checkpoint(Checkpoint) = 5,
    /// Adds a member.
    MemberAdded(MemberAdded) = 6,
    /// Removes a member.
    MemberRemoved(MemberRemoved) = 7,
    /// The author leaves; stands alone in its op.
    MemberLeft(MemberLeft) = 8,
    /// Changes a member's role.
    MemberRoleSet(MemberRoleSet) = 9,
    /// Changes a member's capability bits.
    MemberCapabilitiesSet(MemberCapabilitiesSet) = 10,
    /// Sets the capability bits that new members are offered.
    DefaultCapabilitiesSet(DefaultCapabilitiesSet) = 11,
    /// Hands the group to another member.
    OwnershipTransferred(OwnershipTransferred) = 12,
    /// Opens an invitation.
    InvitationCreated(InvitationCreated) = 13,
    /// Closes an invitation.
    InvitationRevoked(InvitationRevoked) = 14,
    /// Admits a joiner that presents a ticket; stands alone in its op, whose author countersigns.
    JoinByInvitation(JoinByInvitation) = 15,
    /// Registers a context.
    ContextRegistered(ContextRegistered) = 16,
    /// Takes a context out of the group.
    ContextDetached(ContextDetached) = 17,
    /// Opens or restricts a context.
    ContextVisibilitySet(ContextVisibilitySet) = 18,
    /// Sets the visibility that new contexts are offered.
    DefaultVisibilitySet(DefaultVisibilitySet) = 19,
    /// Puts a member on a context's allowlist.
    ContextAllowed(ContextAllowed) = 20,
    /// Takes a member off a context's allowlist.
    ContextDisallowed(ContextDisallowed) = 21,
    /// Binds an identity to the author in a context.
    ContextJoined(ContextJoined) = 22,
    /// Ends an identity of the author in a context.
    ContextLeft(ContextLeft) = 23,
    /// Gives a member rights in one context.
    ContextCapabilityGranted(ContextCapabilityGranted) = 24,
    /// Takes a member's rights in one context.
    ContextCapabilityRevoked(ContextCapabilityRevoked) = 25,
    /// Sets the application that the group's contexts run.
    TargetApplicationSet(TargetApplicationSet) = 26,
    /// Sets when contexts follow the target.
    UpgradePolicySet(UpgradePolicySet) = 27,
    /// Sets the application of one context.
    ContextApplicationSet(ContextApplicationSet) = 28,
    /// Gives up a migration.
    MigrationAborted(MigrationAborted) = 29,
    /// Names the group, a member or a context.
    AliasSet(AliasSet) = 30,
    /// Starts a key epoch.
    KeyEpochStarted(KeyEpochStarted) = 31,
    /// Sets which attested nodes may be admitted.
    AdmissionPolicySet(AdmissionPolicySet) = 32,
    /// Admits an attested node.
    TeeAdmitted(TeeAdmitted) = 33,
    /// Does nothing: joins heads.
    Merge = 34,
}

impl Action {
    /// The bounds and orders of the fields.
    pub(crate) fn check(&self) -> Result<(), OpError> {
        match self {
            Self::GroupCreated(action) => action.check(),
            Self::Checkpoint(action) => action.check(),
            Self::MemberAdded(action) => action.check(),
            Self::MemberRemoved(action) => action.check(),
            Self::MemberLeft(action) => action.check(),
            Self::MemberRoleSet(action) => action.check(),
            Self::InvitationCreated(action) => action.check(),
            Self::JoinByInvitation(action) => action.check(),
            Self::ContextRegistered(action) => action.check(),
            Self::ContextDetached(action) => action.check(),
            Self::ContextVisibilitySet(action) => action.check(),
            Self::ContextDisallowed(action) => action.check(),
            Self::ContextLeft(action) => action.check(),
            Self::TargetApplicationSet(action) => action.check(),
            Self::ContextApplicationSet(action) => action.check(),
            Self::AliasSet(action) => action.check(),
            Self::KeyEpochStarted(action) => action.check(),
            Self::AdmissionPolicySet(action) => action.check(),
            Self::TeeAdmitted(action) => action.check(),
            Self::SubgroupCreated(_)
            | Self::SubgroupRemoved(_)
            | Self::GroupDeleted
            | Self::MemberCapabilitiesSet(_)
            | Self::DefaultCapabilitiesSet(_)
            | Self::OwnershipTransferred(_)
            | Self::InvitationRevoked(_)
            | Self::DefaultVisibilitySet(_)
            | Self::ContextAllowed(_)
            | Self::ContextJoined(_)
            | Self::ContextCapabilityGranted(_)
            | Self::ContextCapabilityRevoked(_)
            | Self::UpgradePolicySet(_)
            | Self::MigrationAborted(_)
            | Self::Merge => Ok(()),
        }
    }

    /// Whether it is in the nature of the action to end somebody's right to write.
    #[must_use]
    pub const fn may_end_rights(&self) -> bool {
        match self {
            Self::SubgroupRemoved(_)
            | Self::GroupDeleted
            | Self::MemberRemoved(_)
            | Self::MemberLeft(_)
            | Self::MemberRoleSet(_)
            | Self::OwnershipTransferred(_)
            | Self::ContextDetached(_)
            | Self::ContextVisibilitySet(_)
            | Self::ContextDisallowed(_)
            | Self::ContextLeft(_)
            | Self::ContextCapabilityRevoked(_) => true,
            Self::GroupCreated(_)
            | Self::SubgroupCreated(_)
            | Self::Checkpoint(_)
            | Self::MemberAdded(_)
            | Self::MemberCapabilitiesSet(_)
            | Self::DefaultCapabilitiesSet(_)
            | Self::InvitationCreated(_)
            | Self::InvitationRevoked(_)
            | Self::JoinByInvitation(_)
            | Self::ContextRegistered(_)
            | Self::DefaultVisibilitySet(_)
            | Self::ContextAllowed(_)
            | Self::ContextJoined(_)
            | Self::ContextCapabilityGranted(_)
            | Self::TargetApplicationSet(_)
            | Self::UpgradePolicySet(_)
            | Self::ContextApplicationSet(_)
            | Self::MigrationAborted(_)
            | Self::AliasSet(_)
            | Self::KeyEpochStarted(_)
            | Self::AdmissionPolicySet(_)
            | Self::TeeAdmitted(_)
            | Self::Merge => false,
        }
    }

    /// The deltas that stay accepted although the action ends their authors' rights.
    #[must_use]
    pub fn keep(&self) -> &[Kept] {
        match self {
            Self::MemberRemoved(action) => &action.keep,
            Self::MemberLeft(action) => &action.keep,
            Self::MemberRoleSet(action) => &action.keep,
            Self::ContextDetached(action) => &action.keep,
            Self::ContextVisibilitySet(action) => &action.keep,
            Self::ContextDisallowed(action) => &action.keep,
            Self::ContextLeft(action) => &action.keep,
            Self::GroupCreated(_)
            | Self::SubgroupCreated(_)
            | Self::SubgroupRemoved(_)
            | Self::GroupDeleted
            | Self::Checkpoint(_)
            | Self::MemberAdded(_)
            | Self::MemberCapabilitiesSet(_)
            | Self::DefaultCapabilitiesSet(_)
            | Self::OwnershipTransferred(_)
            | Self::InvitationCreated(_)
            | Self::InvitationRevoked(_)
            | Self::JoinByInvitation(_)
            | Self::ContextRegistered(_)
            | Self::DefaultVisibilitySet(_)
            | Self::ContextAllowed(_)
            | Self::ContextJoined(_)
            | Self::ContextCapabilityGranted(_)
            | Self::ContextCapabilityRevoked(_)
            | Self::TargetApplicationSet(_)
            | Self::UpgradePolicySet(_)
            | Self::ContextApplicationSet(_)
            | Self::MigrationAborted(_)
            | Self::AliasSet(_)
            | Self::KeyEpochStarted(_)
            | Self::AdmissionPolicySet(_)
            | Self::TeeAdmitted(_)
            | Self::Merge => &[],
        }
    }

    /// The heads of descendants' logs that the author of a revocation had seen.
    #[must_use]
    pub fn descendants(&self) -> &[DescendantHeads] {
        if let Self::MemberRemoved(action) = self {
            return &action.descendants;
        }
        if let Self::MemberRoleSet(action) = self { &action.descendants } else { &[] }
    }

    /// The context that the action speaks of, if it is of the kind that names one by [`ContextRef`].
    #[must_use]
    pub fn context_ref(&self) -> Option<ContextRef> {
        match self {
            Self::ContextDetached(action) => Some(action.context),
            Self::ContextVisibilitySet(action) => Some(action.context),
            Self::ContextAllowed(action) => Some(action.context),
            Self::ContextDisallowed(action) => Some(action.context),
            Self::ContextJoined(action) => Some(action.context),
            Self::ContextLeft(action) => Some(action.context),
            Self::ContextCapabilityGranted(action) => Some(action.context),
            Self::ContextCapabilityRevoked(action) => Some(action.context),
            Self::ContextApplicationSet(action) => Some(action.context),
            Self::MigrationAborted(action) => Some(action.context),
            Self::AliasSet(action) => match action.subject {
                Alias::Context(context) => Some(context),
                Alias::Group | Alias::Member(_) => None,
            },
            Self::KeyEpochStarted(action) => match action.domain {
                Domain::Context(context) => Some(context),
                Domain::Group => None,
            },
            Self::GroupCreated(_)
            | Self::SubgroupCreated(_)
            | Self::SubgroupRemoved(_)
            | Self::GroupDeleted
            | Self::Checkpoint(_)
            | Self::MemberAdded(_)
            | Self::MemberRemoved(_)
            | Self::MemberLeft(_)
            | Self::MemberRoleSet(_)
            | Self::MemberCapabilitiesSet(_)
            | Self::DefaultCapabilitiesSet(_)
            | Self::OwnershipTransferred(_)
            | Self::InvitationCreated(_)
            | Self::InvitationRevoked(_)
            | Self::JoinByInvitation(_)
            | Self::ContextRegistered(_)
            | Self::DefaultVisibilitySet(_)
            | Self::TargetApplicationSet(_)
            | Self::UpgradePolicySet(_)
            | Self::AdmissionPolicySet(_)
            | Self::TeeAdmitted(_)
            | Self::Merge => None,
        }
    }
}

/// Whether a text can be a name or an alias: at most [`NAME_LEN_MAX`] bytes, without control characters.
#[must_use]
pub fn is_alias(text: &str) -> bool {
    check_text("name", text, NAME_LEN_MAX).is_ok()
}

/// A text field: at most `max` bytes, no control characters.
pub(crate) fn check_text(field: &'static str, text: &str, max: usize) -> Result<(), OpError> {
    if text.len() > max {
        return Err(OpError::TextTooLong { field, len: text.len(), max });
    }
    if text.chars().any(char::is_control) {
        return Err(OpError::ControlCharacter { field });
    }
    Ok(())
}

/// A list that must be strictly ascending and of at most `max` items.
pub(crate) fn check_list<T: Ord>(field: &'static str, list: &[T], max: usize) -> Result<(), OpError> {
    if list.len() > max {
        return Err(OpError::TooMany { field, count: list.len(), max });
    }
    if !list.is_sorted_by(|a, b| a < b) {
        return Err(OpError::Unordered { field });
    }
    Ok(())
}
