//! The digest of a group's state: BLAKE3 over a canonical listing of all that it says. Nodes with the same ops
//! have the same digest, whatever order the ops came in.

use borsh::BorshSerialize;
use mesto_oplog::PublicKey;

use super::state::{Context, Epoch, GroupState, Invitation, MemberRow};

/// Domain of state digests.
pub const DIGEST_CONTEXT: &str = "mesto 2026 group state digest v1";

impl GroupState {
    /// The digest. Costs time in the size of the state; heartbeats need it, single ops do not.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut listing = Listing(blake3::Hasher::new_derive_key(DIGEST_CONTEXT));
        listing.row(b'g', &(self.group, self.nonce, self.name(), self.is_deleted));
        listing.row(
            b's',
            &(
                self.default_capabilities(),
                self.default_visibility(),
                self.target().map(|target| (target.op, &target.set)),
                self.policy(),
            ),
        );
        for (group, slot) in &self.subgroups {
            listing.row(b'h', &(group, slot.values().all(|&is_there| is_there)));
        }
        if let Some(policy) = self.admission_policy() {
            listing.row(b'p', policy);
        }
        for row in self.members() {
            listing.member(&row, self.own_name(&row.member));
        }
        for invitation in self.invitations() {
            listing.invitation(invitation);
        }
        for context in self.contexts.values() {
            listing.context(context);
        }
        for epoch in self.epochs() {
            listing.epoch(epoch);
        }
        *listing.0.finalize().as_bytes()
    }
}

struct Listing(blake3::Hasher);

impl Listing {
    fn row(&mut self, kind: u8, row: &impl BorshSerialize) {
        // INVARIANT: a hasher takes any bytes, and no row holds a type whose encoding can fail.
        let bytes = borsh::to_vec(row).expect("rows encode");
        self.0.update(&[kind]);
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(&bytes);
    }

    fn member(&mut self, row: &MemberRow, name: &str) {
        let rank = (row.rank.generation, row.rank.depth, row.rank.height, row.rank.id);
        self.row(b'm', &(row.member, row.role, row.capabilities, rank));
        self.row(b'k', &(row.sealing_key, &row.peer, name));
    }

    fn invitation(&mut self, row: &Invitation) {
        self.row(b'i', &(row.id, row.inviter, row.key, row.standing));
        self.row(b'u', &(row.expires_at_ms, row.uses, row.used, row.is_revoked));
    }

    fn context(&mut self, row: &Context) {
        self.row(b'c', &(row.id, row.nonce, row.creator, row.is_creator(&row.creator), row.is_detached));
        self.row(b'r', &(row.release(), row.visibility(), row.name()));
        self.row(b'a', &row.allowlist().copied().collect::<Vec<PublicKey>>());
        for (identity, member) in row.identities() {
            self.row(b'j', &(identity, member));
        }
        for (member, right) in row.rights() {
            self.row(b'w', &(member, right.bit()));
        }
        for (op, checkpoint) in row.checkpoints() {
            self.row(b'x', &(op, checkpoint));
        }
        for op in &row.aborted {
            self.row(b'z', op);
        }
    }

    fn epoch(&mut self, row: &Epoch) {
        self.row(b'e', &(row.key, row.context, row.op));
    }
}
