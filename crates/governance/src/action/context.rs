//! Actions on contexts.

use borsh::{BorshDeserialize, BorshSerialize};
use mesto_oplog::key::{self, SIGNATURE_LEN, SigningKey};
use mesto_oplog::{EntryId, PublicKey};

use super::membership::{Kept, check_kept};
use super::release::{Release, check_method};
use crate::id::{ContextId, GroupId};
use crate::op::OpError;

/// Domain of the signature by which an identity agrees to be a member's.
pub const IDENTITY_DOMAIN: &str = "mesto 2026 context identity v1";

/// Names a context in an action: an id, or a registration earlier in the same op, whose id nobody can know
/// before the op is signed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum ContextRef {
    /// The context that the action of this index registers.
    Here(u8) = 1,
    /// The context of this id.
    Id(ContextId) = 2,
}

impl ContextRef {
    /// The id, once that of the op is known.
    #[must_use]
    pub fn resolve(self, op: EntryId) -> ContextId {
        match self {
            Self::Here(index) => ContextId::of_action(op, index),
            Self::Id(id) => id,
        }
    }
}

/// Who may join a context.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Visibility {
    /// Members that may join Open contexts.
    #[default]
    Open = 1,
    /// Those on the allowlist.
    Restricted = 2,
}

/// Registers a context. The author is its creator, and is on its allowlist.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ContextRegistered {
    /// 32 random bytes, which stand for the context wherever its id cannot be known yet.
    pub nonce: [u8; 32],
    /// What it runs.
    pub release: Release,
}

impl ContextRegistered {
    pub(super) fn check(&self) -> Result<(), OpError> {
        self.release.check()
    }
}

/// Takes a context out of the group.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ContextDetached {
    /// The context.
    pub context: ContextRef,
    /// Its heads that the author had seen.
    pub keep: Vec<Kept>,
}

impl ContextDetached {
    pub(super) fn check(&self) -> Result<(), OpError> {
        check_kept(&self.keep)
    }
}

/// Opens or restricts a context.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ContextVisibilitySet {
    /// The context.
    pub context: ContextRef,
    /// The visibility.
    pub visibility: Visibility,
    /// When restricting: its heads that the author had seen.
    pub keep: Vec<Kept>,
}

impl ContextVisibilitySet {
    pub(super) fn check(&self) -> Result<(), OpError> {
        check_kept(&self.keep)
    }
}

/// Puts a member on the allowlist.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ContextAllowed {
    /// The context.
    pub context: ContextRef,
    /// The member.
    pub member: PublicKey,
}

/// Takes a member off the allowlist.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ContextDisallowed {
    /// The context.
    pub context: ContextRef,
    /// The member.
    pub member: PublicKey,
    /// Its last deltas that the author had seen.
    pub keep: Vec<Kept>,
}

impl ContextDisallowed {
    pub(super) fn check(&self) -> Result<(), OpError> {
        check_kept(&self.keep)
    }
}

/// Binds an identity to the author in a context.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ContextJoined {
    /// The context.
    pub context: ContextRef,
    /// The identity: the key that will sign deltas.
    pub identity: PublicKey,
    /// Its signature over group, the context's nonce and the member.
    pub proof: [u8; SIGNATURE_LEN],
}

impl ContextJoined {
    /// Joins under `identity`; `nonce` is that of the context's registration.
    #[must_use]
    pub fn new(
        context: ContextRef,
        nonce: &[u8; 32],
        group: GroupId,
        member: PublicKey,
        identity: &SigningKey,
    ) -> Self {
        let proof = identity.sign(IDENTITY_DOMAIN, &identity_message(group, nonce, member));
        Self { context, identity: identity.public(), proof }
    }

    /// Whether the identity agreed to be `member`'s in the context that was registered with `nonce`.
    #[must_use]
    pub fn is_proven(&self, nonce: &[u8; 32], group: GroupId, member: PublicKey) -> bool {
        key::verify(&self.identity, IDENTITY_DOMAIN, &identity_message(group, nonce, member), &self.proof)
    }
}

fn identity_message(group: GroupId, nonce: &[u8; 32], member: PublicKey) -> Vec<u8> {
    [group.as_bytes().as_slice(), nonce, member.as_bytes()].concat()
}

/// Ends an identity of the author in a context.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ContextLeft {
    /// The context.
    pub context: ContextRef,
    /// The identity.
    pub identity: PublicKey,
    /// Its last deltas.
    pub keep: Vec<Kept>,
}

impl ContextLeft {
    pub(super) fn check(&self) -> Result<(), OpError> {
        check_kept(&self.keep)
    }
}

/// Gives a member rights in one context.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ContextCapabilityGranted {
    /// The context.
    pub context: ContextRef,
    /// The member.
    pub member: PublicKey,
    /// The bits that are given.
    pub rights: u8,
}

/// Takes rights of a member in one context.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ContextCapabilityRevoked {
    /// The context.
    pub context: ContextRef,
    /// The member.
    pub member: PublicKey,
    /// The bits that are taken.
    pub rights: u8,
}

/// Sets the application of one context.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ContextApplicationSet {
    /// The context.
    pub context: ContextRef,
    /// What it shall run.
    pub release: Release,
    /// The method that migrates the state, if one is needed.
    pub migrate: Option<String>,
}

impl ContextApplicationSet {
    pub(super) fn check(&self) -> Result<(), OpError> {
        self.release.check()?;
        check_method(self.migrate.as_deref())
    }
}

/// Gives up a migration.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct MigrationAborted {
    /// The context.
    pub context: ContextRef,
    /// The op that asked for the migration.
    pub target: EntryId,
}
