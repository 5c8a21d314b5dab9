//! The entry: what is signed, stored and sent.
//!
//! Layout: `version (1) ‖ header (borsh) ‖ body length (u32, little-endian) ‖ body ‖ signature (64)`.
//! The *signed bytes* are all before the signature; the id is their BLAKE3 hash under [`ID_CONTEXT`]; the
//! signature is Ed25519 over the id under [`SIGNATURE_DOMAIN`].

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::id::{EntryId, Incarnation, LogId, PublicKey};
use crate::key::{self, SIGNATURE_LEN, SigningKey};

/// The format that this build reads and writes.
pub const VERSION: u8 = 1;
/// Domain of entry ids.
pub const ID_CONTEXT: &str = "mesto 2026 entry id v1";
/// Domain of entry signatures.
pub const SIGNATURE_DOMAIN: &str = "mesto 2026 entry signature v1";
/// Parents of one entry: more heads than this are first merged by an empty entry.
pub const PARENTS_MAX: usize = 32;
/// Largest body of a governance op, in bytes: 64 actions with their key wraps fit amply.
pub const GOVERNANCE_BODY_LEN_MAX: usize = 256 * 1024;
/// Largest body of a delta, in bytes: one value of the largest size, and room for its frame.
pub const DELTA_BODY_LEN_MAX: usize = 16 * 1024 * 1024;
/// Largest header, in bytes, rounded up from its fields at their largest.
pub const HEADER_LEN_MAX: usize = 2048;
/// Largest entry, in bytes.
pub const ENTRY_LEN_MAX: usize = 1 + HEADER_LEN_MAX + 4 + DELTA_BODY_LEN_MAX + SIGNATURE_LEN;
/// Stamps from here on are malformed: the last 2^40 milliseconds of the range stay out of reach, so that no
/// author can drive the clock of a log into its end.
pub const STAMP_RESERVED_FROM: u64 = ((1 << 48) - (1 << 40)) << 16;

/// What log an entry is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Kind {
    /// A governance op in a group's log.
    Governance = 1,
    /// A delta in a context's log.
    Delta = 2,
}

impl Kind {
    /// Largest body of this kind, in bytes.
    #[must_use]
    pub const fn body_len_max(self) -> usize {
        match self {
            Self::Governance => GOVERNANCE_BODY_LEN_MAX,
            Self::Delta => DELTA_BODY_LEN_MAX,
        }
    }
}

/// A hybrid-logical-clock reading: 48 bits of milliseconds since 1970, 16 bits of counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct Stamp(pub u64);

impl Stamp {
    /// Whole milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0 >> 16
    }

    /// The reading of a clock that shows `now_ms` milliseconds, or, if that is not after `latest`, the one next
    /// to `latest`: the counter carries into the milliseconds. `None` where the reserved range begins.
    #[must_use]
    pub fn after(latest: Self, now_ms: u64) -> Option<Self> {
        let now = now_ms.checked_mul(1 << 16)?;
        let next = now.max(latest.0.checked_add(1)?);
        (next < STAMP_RESERVED_FROM).then_some(Self(next))
    }
}

/// The signed facts about an entry.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Header {
    /// Which kind of log, and so which body.
    pub kind: Kind,
    /// The log; all zero in a genesis entry, whose own id then is the log's.
    pub log: LogId,
    /// The key that signs.
    pub author: PublicKey,
    /// The life of the author's chain.
    pub incarnation: Incarnation,
    /// Place in the author's chain, from 1.
    pub seq: u64,
    /// The author's entry before this one; absent exactly at `seq` 1.
    pub prev: Option<EntryId>,
    /// The heads when this was authored, strictly ascending, at most [`PARENTS_MAX`].
    pub parents: Vec<EntryId>,
    /// Later than the stamps of all parents and of `prev`.
    pub stamp: Stamp,
}

/// An entry that is about to be signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draft {
    /// The header to sign.
    pub header: Header,
    /// The body to sign.
    pub body: Vec<u8>,
}

/// Why bytes are no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A format that this build does not know.
    #[error("entry format version {0} is not known here (this build reads version {VERSION}): update Mesto")]
    UnknownVersion(u8),
    /// Too short, a bad tag, or bytes left over.
    #[error("malformed entry: {0}")]
    Malformed(String),
    /// More bytes than the kind allows.
    #[error("body of {len} bytes exceeds the limit of {max} for {kind:?}")]
    BodyTooLong {
        /// The kind.
        kind: Kind,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// More than [`PARENTS_MAX`] parents.
    #[error("{0} parents exceed the limit of {PARENTS_MAX}")]
    TooManyParents(usize),
    /// Parents out of order or repeated.
    #[error("parents are not strictly ascending")]
    ParentsUnordered,
    /// `seq` 0, or a `prev` that does not fit it.
    #[error("seq {0} and prev do not fit: prev is absent exactly at seq 1")]
    BrokenChain(u64),
    /// An entry after the first must name the one before it through its parents.
    #[error("an entry with a predecessor has no parents")]
    NoParents,
    /// A stamp in the reserved top range.
    #[error("stamp {0} is in the reserved range")]
    StampReserved(u64),
}

/// Why an entry is not its author's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The signature is not the author's over these bytes.
    #[error("the signature of entry {0} is not its author's")]
    BadSignature(EntryId),
}

/// Why a draft cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The draft breaks a rule of the format.
    #[error(transparent)]
    Invalid(#[from] DecodeError),
    /// The header names another author.
    #[error("the header's author is not the signer")]
    NotTheAuthor,
}

/// A well-formed entry whose signature is unchecked. It shows nothing but what routing needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    inner: Inner,
}

/// An entry that its author signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    inner: Inner,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Inner {
    id: EntryId,
    header: Header,
    body_at: usize,
    bytes: Arc<[u8]>,
}

impl Inner {
    fn log(&self) -> LogId {
        if self.header.log == LogId::default() { LogId::from_bytes(*self.id.as_bytes()) } else { self.header.log }
    }
}

impl Signed {
    /// Reads one entry.
    ///
    /// # Errors
    /// Anything but the one canonical encoding of a valid entry; see [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let malformed = |what: &str| DecodeError::Malformed(what.to_owned());
        let (&version, _) = bytes.split_first().ok_or_else(|| malformed("empty"))?;
        if version != VERSION {
            return Err(DecodeError::UnknownVersion(version));
        }
        if bytes.len() > ENTRY_LEN_MAX {
            return Err(malformed("longer than any entry may be"));
        }
        let signed_len = bytes.len().checked_sub(SIGNATURE_LEN).ok_or_else(|| malformed("too short"))?;
        let signed = bytes.get(..signed_len).ok_or_else(|| malformed("too short"))?;
        let mut rest = signed.get(1..).ok_or_else(|| malformed("too short"))?;
        let header = Header::deserialize(&mut rest).map_err(|e| malformed(&e.to_string()))?;
        let body_len = u32::deserialize(&mut rest).map_err(|e| malformed(&e.to_string()))? as usize;
        if body_len != rest.len() {
            return Err(malformed("the body's length does not fit"));
        }
        check(&header, body_len)?;
        let id = id_of(signed);
        let body_at = signed_len - body_len;
        Ok(Self { inner: Inner { id, header, body_at, bytes: bytes.into() } })
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`VerifyError::BadSignature`].
    pub fn verify(self) -> Result<Verified, VerifyError> {
        let bad = VerifyError::BadSignature(self.inner.id);
        let signature = self.inner.bytes.last_chunk::<SIGNATURE_LEN>().ok_or(bad)?;
        if key::verify(&self.inner.header.author, SIGNATURE_DOMAIN, self.inner.id.as_bytes(), signature) {
            Ok(Verified { inner: self.inner })
        } else {
            Err(bad)
        }
    }

    /// Takes an entry back from our own store, where only verified entries are written.
    #[must_use]
    pub fn trust_own_store(self) -> Verified {
        Verified { inner: self.inner }
    }

    /// The entry's id.
    #[must_use]
    pub fn id(&self) -> EntryId {
        self.inner.id
    }

    /// The log that the entry says it is for.
    #[must_use]
    pub fn log(&self) -> LogId {
        self.inner.log()
    }
}

impl Draft {
    /// Signs.
    ///
    /// # Errors
    /// If the draft breaks a rule of the format, or `key` is not the author's.
    pub fn sign(self, key: &SigningKey) -> Result<Verified, SignError> {
        if self.header.author != key.public() {
            return Err(SignError::NotTheAuthor);
        }
        check(&self.header, self.body.len())?;
        let malformed = |what: &dyn std::fmt::Display| DecodeError::Malformed(what.to_string());
        let mut bytes = Vec::with_capacity(512 + self.body.len());
        bytes.push(VERSION);
        self.header.serialize(&mut bytes).map_err(|e| malformed(&e))?;
        let body_len = u32::try_from(self.body.len()).map_err(|e| malformed(&e))?;
        bytes.extend_from_slice(&body_len.to_le_bytes());
        let body_at = bytes.len();
        bytes.extend_from_slice(&self.body);
        let id = id_of(&bytes);
        bytes.extend_from_slice(&key.sign(SIGNATURE_DOMAIN, id.as_bytes()));
        Ok(Verified { inner: Inner { id, header: self.header, body_at, bytes: bytes.into() } })
    }
}

impl Verified {
    /// The entry's id.
    #[must_use]
    pub fn id(&self) -> EntryId {
        self.inner.id
    }

    /// The log that it belongs to: the header's, or for a genesis entry its own id.
    #[must_use]
    pub fn log(&self) -> LogId {
        self.inner.log()
    }

    /// Whether it begins a group's log.
    #[must_use]
    pub fn is_genesis(&self) -> bool {
        self.inner.header.log == LogId::default()
    }

    /// The signed header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.inner.header
    }

    /// The signed body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        let end = self.inner.bytes.len().saturating_sub(SIGNATURE_LEN);
        self.inner.bytes.get(self.inner.body_at..end).unwrap_or_default()
    }

    /// The whole entry, as it is stored and sent.
    #[must_use]
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.inner.bytes
    }

    /// The author's signature.
    #[must_use]
    pub fn signature(&self) -> [u8; SIGNATURE_LEN] {
        self.inner.bytes.last_chunk().copied().unwrap_or([0; SIGNATURE_LEN])
    }
}

fn id_of(signed: &[u8]) -> EntryId {
    EntryId::from_bytes(blake3::derive_key(ID_CONTEXT, signed))
}

/// The rules that a header alone can break.
fn check(header: &Header, body_len: usize) -> Result<(), DecodeError> {
    let max = header.kind.body_len_max();
    if body_len > max {
        return Err(DecodeError::BodyTooLong { kind: header.kind, len: body_len, max });
    }
    if header.parents.len() > PARENTS_MAX {
        return Err(DecodeError::TooManyParents(header.parents.len()));
    }
    if !header.parents.is_sorted_by(|a, b| a < b) {
        return Err(DecodeError::ParentsUnordered);
    }
    if header.seq == 0 || (header.seq == 1) != header.prev.is_none() {
        return Err(DecodeError::BrokenChain(header.seq));
    }
    if header.prev.is_some() && header.parents.is_empty() {
        return Err(DecodeError::NoParents);
    }
    let is_genesis = header.log == LogId::default();
    if is_genesis && (header.kind != Kind::Governance || !header.parents.is_empty()) {
        return Err(DecodeError::Malformed("a genesis entry is a governance op without parents".to_owned()));
    }
    if header.stamp.0 >= STAMP_RESERVED_FROM {
        return Err(DecodeError::StampReserved(header.stamp.0));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn draft(seq: u64) -> Draft {
        let key = SigningKey::from_seed(&[1; 32]);
        Draft {
            header: Header {
                kind: Kind::Delta,
                log: LogId::from_bytes([2; 32]),
                author: key.public(),
                incarnation: Incarnation(3),
                seq,
                prev: (seq > 1).then(|| EntryId::from_bytes([4; 32])),
                parents: vec![EntryId::from_bytes([4; 32]), EntryId::from_bytes([5; 32])],
                stamp: Stamp(6 << 16 | 7),
            },
            body: b"body".to_vec(),
        }
    }

    fn signed(seq: u64) -> Verified {
        draft(seq).sign(&SigningKey::from_seed(&[1; 32])).expect("a valid draft")
    }

    #[test]
    fn the_bytes_of_an_entry_are_frozen() {
        let entry = signed(2);
        assert_eq!(hex::encode(entry.bytes()), include_str!("../tests/golden/entry.hex").trim());
        assert_eq!(entry.id().to_string(), include_str!("../tests/golden/entry.id").trim());
    }

    #[test]
    fn an_entry_survives_its_bytes() {
        let entry = signed(2);
        let again = Signed::decode(entry.bytes()).expect("canonical").verify().expect("signed");
        assert_eq!(again, entry);
        assert_eq!(again.body(), b"body");
    }

    #[test]
    fn every_flipped_bit_is_refused_or_changes_the_id_and_fails_the_signature() {
        let entry = signed(2);
        for at in 0..entry.bytes().len() {
            let mut bytes = entry.bytes().to_vec();
            bytes[at] ^= 1;
            if let Ok(other) = Signed::decode(&bytes) {
                assert!(other.verify().is_err(), "bit of byte {at} went unnoticed");
            }
        }
    }

    #[test]
    fn an_unknown_version_is_refused_by_name() {
        let mut bytes = signed(1).bytes().to_vec();
        bytes[0] = 9;
        assert_eq!(Signed::decode(&bytes), Err(DecodeError::UnknownVersion(9)));
    }

    #[test]
    fn a_stamp_is_never_before_the_clock_nor_at_or_before_the_latest() {
        let after = |latest, now_ms| Stamp::after(Stamp(latest), now_ms).map(|stamp| stamp.0);
        assert_eq!(after(0, 5), Some(5 << 16));
        assert_eq!(after(5 << 16, 5), Some(5 << 16 | 1));
        assert_eq!(after(9 << 16 | 0xffff, 5), Some(10 << 16), "the counter carries");
        assert_eq!(after(STAMP_RESERVED_FROM - 1, 5), None);
        assert_eq!(after(0, u64::MAX), None);
    }

    #[test]
    fn malformed_headers_are_refused() {
        let key = SigningKey::from_seed(&[1; 32]);
        let broken = |change: &dyn Fn(&mut Draft)| {
            let mut draft = draft(2);
            change(&mut draft);
            draft.sign(&key).expect_err("refused")
        };
        let many = |d: &mut Draft| d.header.parents = (0..33).map(|n| EntryId::from_bytes([n; 32])).collect();
        assert_eq!(broken(&many), DecodeError::TooManyParents(33).into());
        assert_eq!(broken(&|d| d.header.parents.reverse()), DecodeError::ParentsUnordered.into());
        assert_eq!(broken(&|d| d.header.parents.clear()), DecodeError::NoParents.into());
        assert_eq!(broken(&|d| d.header.prev = None), DecodeError::BrokenChain(2).into());
        assert_eq!(broken(&|d| d.header.seq = 0), DecodeError::BrokenChain(0).into());
        assert_eq!(broken(&|d| d.header.stamp = Stamp(u64::MAX)), DecodeError::StampReserved(u64::MAX).into());
        assert_eq!(broken(&|d| d.header.author = PublicKey::from_bytes([9; 32])), SignError::NotTheAuthor);
        assert!(matches!(
            broken(&|d| {
                d.header.kind = Kind::Governance;
                d.body = vec![0; GOVERNANCE_BODY_LEN_MAX + 1];
            }),
            SignError::Invalid(DecodeError::BodyTooLong { .. })
        ));
    }

    #[test]
    fn a_genesis_entry_names_its_own_log() {
        let key = SigningKey::from_seed(&[1; 32]);
        let mut draft = draft(1);
        draft.header.kind = Kind::Governance;
        draft.header.log = LogId::default();
        draft.header.parents.clear();
        let genesis = draft.sign(&key).expect("valid");
        assert!(genesis.is_genesis());
        assert_eq!(genesis.log().as_bytes(), genesis.id().as_bytes());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Signed::decode(&bytes);
        }

        #[test]
        fn what_decodes_is_what_would_be_encoded(at in 0usize..300, byte: u8) {
            let mut bytes = signed(2).bytes().to_vec();
            if let Some(slot) = bytes.get_mut(at) {
                *slot = byte;
            }
            if let Ok(entry) = Signed::decode(&bytes) {
                let mut again = vec![VERSION];
                entry.inner.header.serialize(&mut again).expect("encodes");
                prop_assert_eq!(&bytes[..again.len()], &again[..]);
            }
        }
    }
}
