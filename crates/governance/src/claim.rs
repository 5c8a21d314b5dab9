//! The claim of an invitation: what a joiner presents to any member that is online.

use borsh::{BorshDeserialize, BorshSerialize};
use mesto_oplog::PublicKey;
use mesto_oplog::key::{self, SIGNATURE_LEN, SigningKey};

use crate::action::PeerHint;
use crate::id::{GroupId, InvitationId, SealingPublicKey};

/// Domain of the ticket key's signature.
pub const TICKET_DOMAIN: &str = "mesto 2026 claim by ticket v1";
/// Domain of the joiner's signature.
pub const JOINER_DOMAIN: &str = "mesto 2026 claim by joiner v1";

/// A claim: the joiner's keys, signed by the ticket's key and by the joiner itself.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Claim {
    /// The invitation.
    pub invitation: InvitationId,
    /// Who joins.
    pub joiner: PublicKey,
    /// The joiner's sealing key.
    pub sealing_key: SealingPublicKey,
    /// Where the joiner's node may be found.
    pub peer: PeerHint,
    /// The ticket key's signature: the joiner holds the ticket.
    pub by_ticket: [u8; SIGNATURE_LEN],
    /// The joiner's signature: it holds its key, and wants in.
    pub by_joiner: [u8; SIGNATURE_LEN],
}

/// Why a claim is not what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// The ticket's key did not sign this joiner.
    #[error("the claim is not signed by the invitation's ticket")]
    NotByTicket,
    /// The joiner did not sign.
    #[error("the claim is not signed by the joiner")]
    NotByJoiner,
}

impl Claim {
    /// Signs a claim.
    #[must_use]
    pub fn new(
        group: GroupId,
        invitation: InvitationId,
        ticket: &SigningKey,
        joiner: &SigningKey,
        sealing_key: SealingPublicKey,
        peer: PeerHint,
    ) -> Self {
        let message = message(group, invitation, joiner.public(), sealing_key, &peer);
        Self {
            invitation,
            joiner: joiner.public(),
            sealing_key,
            by_ticket: ticket.sign(TICKET_DOMAIN, &message),
            by_joiner: joiner.sign(JOINER_DOMAIN, &message),
            peer,
        }
    }

    /// Checks both signatures; `ticket` is the key that the invitation names.
    ///
    /// # Errors
    /// See [`ClaimError`].
    pub fn verify(&self, group: GroupId, ticket: &PublicKey) -> Result<(), ClaimError> {
        let message = message(group, self.invitation, self.joiner, self.sealing_key, &self.peer);
        if !key::verify(ticket, TICKET_DOMAIN, &message, &self.by_ticket) {
            return Err(ClaimError::NotByTicket);
        }
        if !key::verify(&self.joiner, JOINER_DOMAIN, &message, &self.by_joiner) {
            return Err(ClaimError::NotByJoiner);
        }
        Ok(())
    }
}

/// Group, invitation, joiner and sealing key in 32 bytes each, then the peer hint: no two claims frame alike.
fn message(
    group: GroupId,
    invitation: InvitationId,
    joiner: PublicKey,
    sealing_key: SealingPublicKey,
    peer: &PeerHint,
) -> Vec<u8> {
    [group.as_bytes().as_slice(), invitation.as_bytes(), joiner.as_bytes(), sealing_key.as_bytes(), peer.0.as_slice()]
        .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim() -> Claim {
        Claim::new(
            GroupId::from_bytes([1; 32]),
            InvitationId::from_bytes([2; 32]),
            &SigningKey::from_seed(&[3; 32]),
            &SigningKey::from_seed(&[4; 32]),
            SealingPublicKey::from_bytes([5; 32]),
            PeerHint(vec![6]),
        )
    }

    #[test]
    fn a_claim_holds_for_its_group_ticket_and_keys_only() {
        let group = GroupId::from_bytes([1; 32]);
        let ticket = SigningKey::from_seed(&[3; 32]).public();
        assert_eq!(claim().verify(group, &ticket), Ok(()));
        assert_eq!(claim().verify(GroupId::from_bytes([9; 32]), &ticket), Err(ClaimError::NotByTicket));
        let stranger = SigningKey::from_seed(&[4; 32]).public();
        assert_eq!(claim().verify(group, &stranger), Err(ClaimError::NotByTicket));
        let mut stolen = claim();
        stolen.by_joiner = stolen.by_ticket;
        assert_eq!(stolen.verify(group, &ticket), Err(ClaimError::NotByJoiner));
        let mut redirected = claim();
        redirected.sealing_key = SealingPublicKey::from_bytes([7; 32]);
        assert_eq!(redirected.verify(group, &ticket), Err(ClaimError::NotByTicket));
    }
}
