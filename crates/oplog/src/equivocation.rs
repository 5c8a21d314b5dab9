//! Proof that an author signed two entries for one place in its chain.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::entry::{DecodeError, ENTRY_LEN_MAX, Signed, Verified, VerifyError};
use crate::id::{Incarnation, LogId, PublicKey};

/// The format that this build reads and writes.
pub const PROOF_VERSION: u8 = 1;
/// Largest proof, in bytes: a version, and two of the largest entries with their lengths.
pub const PROOF_LEN_MAX: usize = 1 + 2 * (4 + ENTRY_LEN_MAX);

/// Two entries of the same log, author, incarnation and `seq`. Either alone is sound; both together are a
/// fault that nobody but the author can have made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    /// In ascending order of id, so that one pair has one proof.
    entries: [Verified; 2],
}

/// Why two entries, or bytes, prove nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// A format that this build does not know.
    #[error("proof format version {0} is not known here (this build reads version {PROOF_VERSION}): update Mesto")]
    UnknownVersion(u8),
    /// Too short, too long, or bytes left over.
    #[error("malformed proof: {0}")]
    Malformed(String),
    /// One of the two is no entry.
    #[error(transparent)]
    NotAnEntry(#[from] DecodeError),
    /// One of the two is not signed by its author.
    #[error(transparent)]
    NotSigned(#[from] VerifyError),
    /// The entries are not in ascending order of id.
    #[error("the entries of a proof are out of order")]
    Unordered,
    /// It is one entry twice.
    #[error("an entry does not contradict itself")]
    SameEntry,
    /// The two belong to different logs.
    #[error("the entries belong to different logs")]
    DifferentLogs,
    /// The two have different authors.
    #[error("the entries have different authors")]
    DifferentAuthors,
    /// The two belong to different lives of the author.
    #[error("the entries belong to different incarnations of their author")]
    DifferentIncarnations,
    /// The two stand in different places.
    #[error("the entries have different places in their chain: {0} and {1}")]
    DifferentSeqs(u64, u64),
}

#[derive(BorshSerialize, BorshDeserialize)]
struct Wire {
    version: u8,
    first: Vec<u8>,
    second: Vec<u8>,
}

impl Proof {
    /// The proof that two entries are, in either order.
    ///
    /// # Errors
    /// If they do not contradict each other; see [`ProofError`].
    pub fn of(one: &Verified, other: &Verified) -> Result<Self, ProofError> {
        let (a, b) = (one.header(), other.header());
        if one.id() == other.id() {
            return Err(ProofError::SameEntry);
        }
        if one.log() != other.log() {
            return Err(ProofError::DifferentLogs);
        }
        if a.author != b.author {
            return Err(ProofError::DifferentAuthors);
        }
        if a.incarnation != b.incarnation {
            return Err(ProofError::DifferentIncarnations);
        }
        if a.seq != b.seq {
            return Err(ProofError::DifferentSeqs(a.seq, b.seq));
        }
        let mut entries = [one.clone(), other.clone()];
        entries.sort_by_key(Verified::id);
        Ok(Self { entries })
    }

    /// Reads a proof and checks all of it, both signatures included.
    ///
    /// # Errors
    /// Anything but the one encoding of a true proof; see [`ProofError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ProofError> {
        let malformed = |what: &str| ProofError::Malformed(what.to_owned());
        let &version = bytes.first().ok_or_else(|| malformed("empty"))?;
        if version != PROOF_VERSION {
            return Err(ProofError::UnknownVersion(version));
        }
        if bytes.len() > PROOF_LEN_MAX {
            return Err(malformed("longer than any proof may be"));
        }
        let wire = Wire::try_from_slice(bytes).map_err(|e| malformed(&e.to_string()))?;
        let (first, second) = (Signed::decode(&wire.first)?, Signed::decode(&wire.second)?);
        if first.id() > second.id() {
            return Err(ProofError::Unordered);
        }
        Self::of(&first.verify()?, &second.verify()?)
    }

    /// The bytes to store, show and send; at most [`PROOF_LEN_MAX`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let [first, second] = self.entries.each_ref().map(|entry| entry.bytes().to_vec());
        borsh::to_vec(&Wire { version: PROOF_VERSION, first, second })
            .expect("INVARIANT: an entry's length fits its four bytes")
    }

    /// The two entries, in ascending order of id.
    #[must_use]
    pub fn entries(&self) -> &[Verified; 2] {
        &self.entries
    }

    /// Who is proven to have equivocated.
    #[must_use]
    pub fn author(&self) -> PublicKey {
        self.entries[0].header().author
    }

    /// In which log.
    #[must_use]
    pub fn log(&self) -> LogId {
        self.entries[0].log()
    }

    /// In which life.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.entries[0].header().incarnation
    }

    /// At which place of the chain.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.entries[0].header().seq
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Draft, Header, Kind, Stamp};
    use crate::key::SigningKey;
    use proptest::prelude::*;

    fn entry(change: impl FnOnce(&mut Draft), seed: u8) -> Verified {
        let key = SigningKey::from_seed(&[seed; 32]);
        let mut draft = Draft {
            header: Header {
                kind: Kind::Delta,
                log: LogId::from_bytes([2; 32]),
                author: key.public(),
                incarnation: Incarnation(3),
                seq: 1,
                prev: None,
                parents: Vec::new(),
                stamp: Stamp(7),
            },
            body: b"one".to_vec(),
        };
        change(&mut draft);
        draft.sign(&key).expect("a valid draft")
    }

    fn proof() -> Proof {
        let other = entry(|draft| draft.body = b"other".to_vec(), 1);
        Proof::of(&entry(|_| (), 1), &other).expect("they contradict each other")
    }

    #[test]
    fn the_bytes_of_a_proof_are_frozen() {
        assert_eq!(hex::encode(proof().encode()), include_str!("../tests/golden/proof.hex").trim());
    }

    #[test]
    fn a_proof_survives_its_bytes_and_has_one_encoding() {
        let proof = proof();
        assert_eq!(Proof::decode(&proof.encode()), Ok(proof.clone()));
        let [first, second] = proof.entries();
        assert_eq!(Proof::of(second, first), Ok(proof.clone()));
        let swapped = Wire { version: PROOF_VERSION, first: second.bytes().to_vec(), second: first.bytes().to_vec() };
        assert_eq!(Proof::decode(&borsh::to_vec(&swapped).expect("memory")), Err(ProofError::Unordered));
    }

    #[test]
    fn entries_that_can_both_be_honest_prove_nothing() {
        let one = entry(|_| (), 1);
        let with = |change: &dyn Fn(&mut Draft), seed| Proof::of(&one, &entry(change, seed)).expect_err("no proof");
        assert_eq!(with(&|_| (), 1), ProofError::SameEntry);
        assert_eq!(with(&|_| (), 2), ProofError::DifferentAuthors);
        assert_eq!(with(&|d| d.header.log = LogId::from_bytes([9; 32]), 1), ProofError::DifferentLogs);
        assert_eq!(with(&|d| d.header.incarnation = Incarnation(4), 1), ProofError::DifferentIncarnations);
        let next = |d: &mut Draft| {
            d.header.seq = 2;
            d.header.prev = Some(one.id());
            d.header.parents = vec![one.id()];
        };
        assert_eq!(with(&next, 1), ProofError::DifferentSeqs(1, 2));
    }

    #[test]
    fn no_flipped_bit_leaves_a_proof() {
        let bytes = proof().encode();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(Proof::decode(&flipped).is_err(), "bit of byte {at} went unnoticed");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(mut bytes: Vec<u8>, versioned: bool) {
            if let (true, Some(version)) = (versioned, bytes.first_mut()) {
                *version = PROOF_VERSION;
            }
            let _ = Proof::decode(&bytes);
        }
    }
}
