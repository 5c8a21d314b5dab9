//! Names of authors, deltas and collections.

use std::fmt;
use std::io;

use borsh::{BorshDeserialize, BorshSerialize};
use data_encoding::BASE32_NOPAD;

use crate::hash::Domain;

/// The text form of all ids: RFC 4648 base32, lower case, unpadded.
pub(crate) fn write_base32(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(&BASE32_NOPAD.encode(bytes).to_ascii_lowercase())
}

macro_rules! base32_text {
    ($name:ty) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                crate::id::write_base32(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                crate::id::write_base32(&self.0, f)
            }
        }
    };
}
pub(crate) use base32_text;

/// Who wrote a delta: the public key of a context identity. To this crate it is 32 opaque bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Author(pub [u8; 32]);
base32_text!(Author);

/// A delta's id: the hash of its signed bytes. To this crate it is 32 opaque bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct DeltaId(pub [u8; 32]);
base32_text!(DeltaId);

/// What a collection is. All tags are fixed now, though not every kind can be opened in this version
/// ([`Kind::is_available`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Kind {
    /// One value; the last writer's is read.
    Register = 1,
    /// A sum of signed additions.
    Counter = 2,
    /// Values or collections by key, in order of the keys' bytes.
    Map = 3,
    /// Members in order of their bytes; an addition beats a concurrent removal.
    Set = 4,
    /// A sequence of values.
    List = 5,
    /// A sequence of characters.
    Text = 6,
    /// One entry for each author, written by nobody else.
    UserMap = 7,
    /// Content-addressed values that never change.
    Frozen = 8,
    /// A value with an explicit set of writers.
    Shared = 9,
}

impl Kind {
    /// The kind with this tag.
    pub const fn from_tag(tag: u8) -> Option<Self> {
        Some(match tag {
            1 => Kind::Register,
            2 => Kind::Counter,
            3 => Kind::Map,
            4 => Kind::Set,
            5 => Kind::List,
            6 => Kind::Text,
            7 => Kind::UserMap,
            8 => Kind::Frozen,
            9 => Kind::Shared,
            _ => return None,
        })
    }

    /// The tag in encodings and in the first byte of a [`CollectionId`].
    pub const fn tag(self) -> u8 {
        self as u8
    }

    /// Whether this version has operations for the kind.
    pub const fn is_available(self) -> bool {
        match self {
            Kind::Register | Kind::Counter | Kind::Map | Kind::Set | Kind::List | Kind::Text => true,
            Kind::UserMap | Kind::Frozen | Kind::Shared => false,
        }
    }
}

/// Which collection: one byte of kind, then 31 bytes of the hash of (parent, kind, key).
///
/// 248 bits of hash leave 124 bits of collision resistance. The kind in front makes it a pure check
/// of bytes that an operation fits its collection, so that a counter's addition can never meet a
/// register's leaf.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize)]
pub struct CollectionId([u8; 32]);
base32_text!(CollectionId);

impl CollectionId {
    /// The parent of an app's state fields. It holds nothing itself.
    pub const ROOT: CollectionId = CollectionId([0; 32]);

    /// The id with these bytes; `None` if the first is not the tag of a kind.
    pub fn from_bytes(bytes: [u8; 32]) -> Option<Self> {
        Kind::from_tag(bytes[0]).map(|_| Self(bytes))
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The id of the `kind` collection that lives under `key` here.
    pub fn child(&self, kind: Kind, key: &[u8]) -> CollectionId {
        let mut bytes = Domain::Collection.hash(&[&self.0, &[kind.tag()], key]);
        bytes[0] = kind.tag();
        CollectionId(bytes)
    }

    /// The kind; `None` for [`CollectionId::ROOT`].
    pub fn kind(&self) -> Option<Kind> {
        Kind::from_tag(self.0[0])
    }
}

impl BorshDeserialize for CollectionId {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let bytes = <[u8; 32]>::deserialize_reader(reader)?;
        Self::from_bytes(bytes)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "collection id of an unknown kind"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_id_depends_on_parent_kind_and_key() {
        let map = CollectionId::ROOT.child(Kind::Map, b"m");
        let ids = [
            map,
            CollectionId::ROOT.child(Kind::Map, b"n"),
            CollectionId::ROOT.child(Kind::Set, b"m"),
            map.child(Kind::Map, b"m"),
        ];
        for (i, a) in ids.iter().enumerate() {
            for (j, b) in ids.iter().enumerate() {
                assert_eq!(i == j, a == b);
                assert_eq!(i == j, a.0[1..] == b.0[1..], "the hash covers the kind too");
            }
        }
        assert_eq!(map.kind(), Some(Kind::Map));
        assert_eq!(CollectionId::ROOT.kind(), None);
    }

    #[test]
    fn tags_and_kinds_are_one_to_one() {
        for tag in 0..=u8::MAX {
            if let Some(kind) = Kind::from_tag(tag) {
                assert_eq!(kind.tag(), tag);
                assert_eq!(borsh::to_vec(&kind).expect("encodes"), [tag]);
            } else {
                assert!(borsh::from_slice::<Kind>(&[tag]).is_err());
            }
        }
    }

    #[test]
    fn text_is_lower_case_base32_of_52_characters() {
        let text = Author([0xff; 32]).to_string();
        assert_eq!(text.len(), 52);
        assert!(text.starts_with("777777"));
        assert_eq!(Author([0; 32]).to_string(), "a".repeat(52));
    }
}
