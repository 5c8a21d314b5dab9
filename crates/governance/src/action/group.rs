//! Actions on the group itself.

use borsh::{BorshDeserialize, BorshSerialize};
use mesto_oplog::entry::PARENTS_MAX;
use mesto_oplog::{EntryId, PublicKey};

use super::context::{ContextRef, Visibility};
use super::membership::PeerHint;
use super::{NAME_LEN_MAX, check_list, check_text};
use crate::capability::Capabilities;
use crate::id::{ContextId, GroupId, SealingPublicKey};
use crate::op::OpError;

/// Begins a group: the first action of its genesis op, and found nowhere else.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct GroupCreated {
    /// 32 random bytes, which stand for the group wherever its id cannot be known yet (key wraps of its genesis).
    pub nonce: [u8; 32],
    /// The parent's id if this is a subgroup.
    pub parent: Option<GroupId>,
    /// The owner's sealing key.
    pub sealing_key: SealingPublicKey,
    /// Where the owner's node may be found.
    pub peer: PeerHint,
}

impl GroupCreated {
    pub(super) fn check(&self) -> Result<(), OpError> {
        self.peer.check()
    }
}

/// Names a child group.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct SubgroupCreated {
    /// The child.
    pub group: GroupId,
}

/// Ends a child group.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct SubgroupRemoved {
    /// The child.
    pub group: GroupId,
}

/// Makes the history of a context before these heads final.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Checkpoint {
    /// The context.
    pub context: ContextId,
    /// Heads of the context's log, strictly ascending, at most [`PARENTS_MAX`].
    pub deltas: Vec<EntryId>,
    /// Heads of the governance log, likewise.
    pub governance: Vec<EntryId>,
    /// The root hash of the state at these heads.
    pub root: [u8; 32],
    /// How many accepted deltas are before it.
    pub entries: u64,
}

impl Checkpoint {
    pub(super) fn check(&self) -> Result<(), OpError> {
        check_list("deltas", &self.deltas, PARENTS_MAX)?;
        check_list("governance", &self.governance, PARENTS_MAX)
    }
}

/// Sets the capability bits that new members are offered.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct DefaultCapabilitiesSet {
    /// The bits.
    pub capabilities: Capabilities,
}

/// Sets the visibility that new contexts are offered.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct DefaultVisibilitySet {
    /// The visibility.
    pub visibility: Visibility,
}

/// Hands the group to another member.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct OwnershipTransferred {
    /// The next owner.
    pub to: PublicKey,
}

/// What a name is given to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Alias {
    /// The group.
    Group = 1,
    /// A member.
    Member(PublicKey) = 2,
    /// A context.
    Context(ContextRef) = 3,
}

/// Names something; an empty name takes the name away.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct AliasSet {
    /// What is named.
    pub subject: Alias,
    /// The name, at most [`NAME_LEN_MAX`] bytes, without control characters.
    pub name: String,
}

impl AliasSet {
    pub(super) fn check(&self) -> Result<(), OpError> {
        check_text("name", &self.name, NAME_LEN_MAX)
    }
}
