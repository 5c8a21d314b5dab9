//! Actions on members and invitations.

use borsh::{BorshDeserialize, BorshSerialize};
use mesto_oplog::entry::PARENTS_MAX;
use mesto_oplog::{EntryId, PublicKey};

use super::check_list;
use crate::capability::Capabilities;
use crate::claim::Claim;
use crate::id::{ContextId, GroupId, InvitationId, SealingPublicKey};
use crate::op::OpError;
use crate::role::Role;

/// Deltas that one revocation may keep: a group of a thousand contexts, and far below the size of an op.
pub const KEEP_MAX: usize = 1024;
/// Descendant groups whose heads one revocation may name.
pub const DESCENDANTS_MAX: usize = 256;
/// Longest peer hint, in bytes: a multihash of 512 bits fits.
pub const PEER_LEN_MAX: usize = 66;
/// Most uses of one invitation.
pub const USES_MAX: u32 = 100_000;

/// The network identity of a member's node, in the bytes of the network layer; empty if unknown. A hint for
/// dialling: nothing rests on it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct PeerHint(pub Vec<u8>);

impl PeerHint {
    pub(crate) fn check(&self) -> Result<(), OpError> {
        if self.0.len() > PEER_LEN_MAX {
            return Err(OpError::TooMany { field: "peer", count: self.0.len(), max: PEER_LEN_MAX });
        }
        Ok(())
    }
}

/// A delta that stays accepted although its author lost the right: the last of theirs that the revoker had seen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
pub struct Kept {
    /// The context.
    pub context: ContextId,
    /// The delta; all of its past stays too.
    pub delta: EntryId,
}

pub(super) fn check_kept(keep: &[Kept]) -> Result<(), OpError> {
    check_list("keep", keep, KEEP_MAX)
}

/// Heads of a descendant's log that the author of an ancestor's revocation had seen.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
pub struct DescendantHeads {
    /// The descendant.
    pub group: GroupId,
    /// Its heads, strictly ascending, at most [`PARENTS_MAX`].
    pub heads: Vec<EntryId>,
}

fn check_descendants(descendants: &[DescendantHeads]) -> Result<(), OpError> {
    if descendants.len() > DESCENDANTS_MAX {
        return Err(OpError::TooMany { field: "descendants", count: descendants.len(), max: DESCENDANTS_MAX });
    }
    if !descendants.is_sorted_by(|a, b| a.group < b.group) {
        return Err(OpError::Unordered { field: "descendants" });
    }
    descendants.iter().try_for_each(|group| check_list("heads", &group.heads, PARENTS_MAX))
}

/// Adds somebody who is no member.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct MemberAdded {
    /// The new member.
    pub member: PublicKey,
    /// Its sealing key.
    pub sealing_key: SealingPublicKey,
    /// Its role, below owner.
    pub role: Role,
    /// Its capability bits, given in full: defaults are filled in by the author.
    pub capabilities: Capabilities,
    /// Where its node may be found.
    pub peer: PeerHint,
}

impl MemberAdded {
    pub(super) fn check(&self) -> Result<(), OpError> {
        self.peer.check()
    }
}

/// Removes a member.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct MemberRemoved {
    /// The member.
    pub member: PublicKey,
    /// Its last deltas that the author had seen, strictly ascending, at most [`KEEP_MAX`].
    pub keep: Vec<Kept>,
    /// Heads of the descendants' logs that the author had seen, ascending by group.
    pub descendants: Vec<DescendantHeads>,
}

impl MemberRemoved {
    pub(super) fn check(&self) -> Result<(), OpError> {
        check_kept(&self.keep)?;
        check_descendants(&self.descendants)
    }
}

/// The author leaves.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct MemberLeft {
    /// Its own last deltas, strictly ascending, at most [`KEEP_MAX`].
    pub keep: Vec<Kept>,
}

impl MemberLeft {
    pub(super) fn check(&self) -> Result<(), OpError> {
        check_kept(&self.keep)
    }
}

/// Changes a member's role, and its capability bits with it if they shall not stay.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct MemberRoleSet {
    /// The member.
    pub member: PublicKey,
    /// The new role, below owner.
    pub role: Role,
    /// The new capability bits; nothing keeps the present ones.
    pub capabilities: Option<Capabilities>,
    /// If it loses the right to write: its last deltas that the author had seen.
    pub keep: Vec<Kept>,
    /// Heads of the descendants' logs that the author had seen, ascending by group.
    pub descendants: Vec<DescendantHeads>,
}

impl MemberRoleSet {
    pub(super) fn check(&self) -> Result<(), OpError> {
        check_kept(&self.keep)?;
        check_descendants(&self.descendants)
    }
}

/// Changes a member's capability bits; the role stays.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct MemberCapabilitiesSet {
    /// The member.
    pub member: PublicKey,
    /// The new bits.
    pub capabilities: Capabilities,
}

/// Opens an invitation.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct InvitationCreated {
    /// The public half of the ticket's key.
    pub key: PublicKey,
    /// The role of whoever joins by it, below owner.
    pub role: Role,
    /// The capability bits of whoever joins by it.
    pub capabilities: Capabilities,
    /// Milliseconds since 1970: no claim stands whose op is stamped later.
    pub expires_at_ms: u64,
    /// How many may join by it, from 1 to [`USES_MAX`].
    pub uses: u32,
}

impl InvitationCreated {
    pub(super) fn check(&self) -> Result<(), OpError> {
        if self.uses == 0 || self.uses > USES_MAX {
            return Err(OpError::UsesOutOfRange(self.uses));
        }
        Ok(())
    }
}

/// Closes an invitation.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct InvitationRevoked {
    /// The invitation.
    pub invitation: InvitationId,
}

/// Admits a joiner. The op's author is the member that countersigns: by the entry's signature.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct JoinByInvitation {
    /// What the joiner presented.
    pub claim: Claim,
}

impl JoinByInvitation {
    pub(super) fn check(&self) -> Result<(), OpError> {
        self.claim.peer.check()
    }
}
