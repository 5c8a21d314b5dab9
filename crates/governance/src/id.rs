//! Identifiers of governance: groups, contexts, applications, blobs, keys and invitations.

use mesto_oplog::{EntryId, LogId, id_type};

/// Domain of context ids.
pub const CONTEXT_ID_CONTEXT: &str = "mesto 2026 context id v1";
/// Domain of invitation ids.
pub const INVITATION_ID_CONTEXT: &str = "mesto 2026 invitation id v1";
/// Domain of key ids.
pub const KEY_ID_CONTEXT: &str = "mesto 2026 epoch key id v1";

id_type! {
    /// A group: the id of its genesis entry, so that nobody can forge another beginning.
    GroupId
}

id_type! {
    /// A context: the hash of the op that registered it and the place of the action in that op.
    ContextId
}

id_type! {
    /// An application line: the hash of package name and signer, the same across versions.
    ApplicationId
}

id_type! {
    /// Content-addressed bytes: their BLAKE3 hash.
    BlobId
}

id_type! {
    /// An epoch key: the hash of the random bytes of its domain and of the key.
    KeyId
}

id_type! {
    /// An invitation: the hash of the op that created it and the place of the action in that op.
    InvitationId
}

id_type! {
    /// The X25519 public key to which a member's copies of epoch keys are sealed.
    SealingPublicKey
}

impl GroupId {
    /// The group that a genesis entry begins.
    #[must_use]
    pub const fn of_genesis(genesis: EntryId) -> Self {
        Self::from_bytes(*genesis.as_bytes())
    }

    /// The entry that begins this group.
    #[must_use]
    pub const fn genesis(self) -> EntryId {
        EntryId::from_bytes(*self.as_bytes())
    }

    /// The log of this group.
    #[must_use]
    pub const fn log(self) -> LogId {
        LogId::from_bytes(*self.as_bytes())
    }
}

impl From<LogId> for GroupId {
    fn from(log: LogId) -> Self {
        Self::from_bytes(*log.as_bytes())
    }
}

impl From<GroupId> for LogId {
    fn from(group: GroupId) -> Self {
        group.log()
    }
}

impl ContextId {
    /// The context that action `index` of the op with id `op` registers.
    #[must_use]
    pub fn of_action(op: EntryId, index: u8) -> Self {
        Self::from_bytes(hash_of_action(CONTEXT_ID_CONTEXT, op, index))
    }

    /// The log of this context.
    #[must_use]
    pub const fn log(self) -> LogId {
        LogId::from_bytes(*self.as_bytes())
    }
}

impl From<LogId> for ContextId {
    fn from(log: LogId) -> Self {
        Self::from_bytes(*log.as_bytes())
    }
}

impl From<ContextId> for LogId {
    fn from(context: ContextId) -> Self {
        context.log()
    }
}

impl InvitationId {
    /// The invitation that action `index` of the op with id `op` creates.
    #[must_use]
    pub fn of_action(op: EntryId, index: u8) -> Self {
        Self::from_bytes(hash_of_action(INVITATION_ID_CONTEXT, op, index))
    }
}

impl BlobId {
    /// The id of these bytes.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::from_bytes(*blake3::hash(bytes).as_bytes())
    }
}

fn hash_of_action(context: &str, op: EntryId, index: u8) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    hasher.update(op.as_bytes());
    hasher.update(&[index]);
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_and_invitations_of_one_action_have_different_ids() {
        let op = EntryId::from_bytes([1; 32]);
        assert_ne!(ContextId::of_action(op, 0), ContextId::of_action(op, 1));
        assert_ne!(ContextId::of_action(op, 0).as_bytes(), InvitationId::of_action(op, 0).as_bytes());
    }

    #[test]
    fn derived_ids_are_frozen() {
        let op = EntryId::from_bytes([1; 32]);
        let ids = [
            ContextId::of_action(op, 2).to_string(),
            InvitationId::of_action(op, 2).to_string(),
            BlobId::of_bytes(b"hello").to_string(),
        ];
        assert_eq!(ids.join("\n"), include_str!("../tests/golden/derived.ids").trim());
    }

    #[test]
    fn a_group_and_its_log_share_their_bytes() {
        let group = GroupId::of_genesis(EntryId::from_bytes([7; 32]));
        assert_eq!(GroupId::from(LogId::from(group)), group);
        assert_eq!(group.genesis().as_bytes(), group.as_bytes());
    }
}
