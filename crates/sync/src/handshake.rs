//! Who is on the other side of a connection, told to members only.
//!
//! Each side sends a [`Hello`] with a fresh nonce and one [`Tag`] for each group it is in. A tag is a keyed hash
//! of the group's id under the nonce, so only who knows the group recognises it. To a peer whose hello has
//! the tag of a group, a member sends a [`Proof`]: its signature over the group, both peer ids and both nonces.
//! The signature binds the proof to this connection: it can be neither replayed nor relayed.

use borsh::{BorshDeserialize, BorshSerialize};
use mesto_oplog::key::{self, SIGNATURE_LEN};
use mesto_oplog::{LogId, PublicKey, SigningKey};

/// Domain of tags.
const TAG_CONTEXT: &str = "mesto 2026 sync group tag v1";
/// Domain of the signatures of proofs.
const PROOF_DOMAIN: &str = "mesto 2026 sync membership proof v1";
/// Groups that one hello can name: a node in more groups tells the rest in further hellos.
pub const TAGS_MAX: usize = 1024;
/// The version of the messages in this crate; peers with another one are told so and left alone.
pub const VERSION: u16 = 1;

mesto_oplog::id_type! {
    /// A node, by its Ed25519 peer key. (libp2p's form of the id wraps this very key.)
    Peer
}

/// 32 random bytes, new for each connection.
pub type Nonce = [u8; 32];

/// Recognisable by who knows the group, meaningless to others.
pub type Tag = [u8; 16];

/// The first message of each side; sent again when the set of groups grows.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Hello {
    /// See [`VERSION`].
    pub version: u16,
    /// The sender's nonce for this connection; the same in each of its hellos.
    pub nonce: Nonce,
    /// One for each group of the sender, at most [`TAGS_MAX`].
    pub tags: Vec<Tag>,
}

/// That the sender is a member of a group.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Proof {
    /// The receiver's tag for the group, so that the id itself does not travel.
    pub tag: Tag,
    /// The member.
    pub member: PublicKey,
    /// The member's signature.
    pub signature: [u8; SIGNATURE_LEN],
}

/// What both sides of a connection know of it, seen from ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// Our peer id.
    pub ours: Peer,
    /// Theirs.
    pub theirs: Peer,
    /// The nonce that we sent.
    pub our_nonce: Nonce,
    /// The nonce that they sent.
    pub their_nonce: Nonce,
}

/// The tag of `group` in a hello with `nonce`.
#[must_use]
pub fn tag(group: &LogId, nonce: &Nonce) -> Tag {
    let mut hasher = blake3::Hasher::new_derive_key(TAG_CONTEXT);
    hasher.update(nonce).update(group.as_bytes());
    let mut tag = Tag::default();
    hasher.finalize_xof().fill(&mut tag);
    tag
}

impl Link {
    /// Proves that we are `key`'s member of `group`.
    #[must_use]
    pub fn prove(&self, group: &LogId, key: &SigningKey) -> Proof {
        let message = transcript(group, &self.ours, &self.theirs, &self.our_nonce, &self.their_nonce);
        Proof { tag: tag(group, &self.their_nonce), member: key.public(), signature: key.sign(PROOF_DOMAIN, &message) }
    }

    /// Whether `proof` shows that they hold the key of `proof.member`, for `group` and this connection.
    /// Whether that key is a member's is for the group to say.
    #[must_use]
    pub fn accepts(&self, group: &LogId, proof: &Proof) -> bool {
        let message = transcript(group, &self.theirs, &self.ours, &self.their_nonce, &self.our_nonce);
        proof.tag == tag(group, &self.our_nonce) && key::verify(&proof.member, PROOF_DOMAIN, &message, &proof.signature)
    }
}

fn transcript(group: &LogId, prover: &Peer, checker: &Peer, prover_nonce: &Nonce, checker_nonce: &Nonce) -> Vec<u8> {
    [group.as_bytes().as_slice(), prover.as_bytes(), checker.as_bytes(), prover_nonce, checker_nonce].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links() -> (Link, Link) {
        let (a, b) = (Peer::from_bytes([1; 32]), Peer::from_bytes([2; 32]));
        let ours = Link { ours: a, theirs: b, our_nonce: [1; 32], their_nonce: [2; 32] };
        let theirs = Link { ours: b, theirs: a, our_nonce: [2; 32], their_nonce: [1; 32] };
        (ours, theirs)
    }

    #[test]
    fn a_proof_holds_for_its_group_and_connection_only() {
        let (ours, theirs) = links();
        let group = LogId::from_bytes([9; 32]);
        let proof = ours.prove(&group, &SigningKey::from_seed(&[3; 32]));
        assert!(theirs.accepts(&group, &proof));
        assert!(!theirs.accepts(&LogId::from_bytes([8; 32]), &proof));
        assert!(!ours.accepts(&group, &proof), "reflected");
        let mut later = theirs.clone();
        later.our_nonce = [7; 32];
        assert!(!later.accepts(&group, &proof), "replayed on a later connection");
        let mut relayed = theirs;
        relayed.theirs = Peer::from_bytes([5; 32]);
        assert!(!relayed.accepts(&group, &proof), "relayed by a third peer");
    }

    #[test]
    fn a_proof_under_another_key_is_refused() {
        let (ours, theirs) = links();
        let group = LogId::from_bytes([9; 32]);
        let mut proof = ours.prove(&group, &SigningKey::from_seed(&[3; 32]));
        proof.member = SigningKey::from_seed(&[4; 32]).public();
        assert!(!theirs.accepts(&group, &proof));
    }

    #[test]
    fn a_tag_differs_by_nonce_and_group() {
        let group = LogId::from_bytes([9; 32]);
        assert_ne!(tag(&group, &[1; 32]), tag(&group, &[2; 32]));
        assert_ne!(tag(&group, &[1; 32]), tag(&LogId::from_bytes([8; 32]), &[1; 32]));
    }
}
