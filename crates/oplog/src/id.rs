//! Identifiers: 32 bytes each, distinct types, one text form.

use borsh::{BorshDeserialize, BorshSerialize};

/// Length of the text form of an id, in characters.
pub const ID_TEXT_LEN: usize = 52;

/// Shortest prefix of a text form that may stand for an id: below it, typing mistakes find things.
pub const ID_PREFIX_LEN_MIN: usize = 4;

/// Why a text is not an id, or does not name exactly one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrefixError {
    /// The text is not the canonical base32 form of 32 bytes.
    #[error("`{0}` is not an id: an id is {ID_TEXT_LEN} characters of a-z and 2-7")]
    NotAnId(String),
    /// A prefix shorter than [`ID_PREFIX_LEN_MIN`].
    #[error("`{0}` is too short: give at least {ID_PREFIX_LEN_MIN} characters")]
    TooShort(String),
    /// Nothing begins with this prefix.
    #[error("nothing begins with `{0}`")]
    Unknown(String),
    /// Several ids begin with this prefix.
    #[error("`{prefix}` is ambiguous: {}", candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// The text forms that begin with it, at most [`CANDIDATES_MAX`].
        candidates: Vec<String>,
    },
}

/// How many candidates an ambiguous prefix lists: enough to see the next character to type.
pub const CANDIDATES_MAX: usize = 10;

/// Encodes bytes as lower-case, unpadded RFC 4648 base32.
#[must_use]
pub fn to_text(bytes: &[u8]) -> String {
    let mut text = data_encoding::BASE32_NOPAD.encode(bytes);
    text.make_ascii_lowercase();
    text
}

/// Decodes the one canonical text form of 32 bytes.
///
/// # Errors
/// [`PrefixError::NotAnId`] for anything else, upper case and set trailing bits included.
pub fn from_text(text: &str) -> Result<[u8; 32], PrefixError> {
    let refuse = || PrefixError::NotAnId(text.chars().take(ID_TEXT_LEN + 12).collect());
    if text.len() != ID_TEXT_LEN || text.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(refuse());
    }
    let bytes = data_encoding::BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).map_err(|_| refuse())?;
    bytes.try_into().map_err(|_| refuse())
}

/// Finds the one id among `known` whose text form begins with `prefix`.
///
/// # Errors
/// Too short, unknown or ambiguous; see [`PrefixError`].
pub fn find_by_prefix<T: Copy + std::fmt::Display>(
    prefix: &str,
    known: impl IntoIterator<Item = T>,
) -> Result<T, PrefixError> {
    if prefix.len() < ID_PREFIX_LEN_MIN {
        return Err(PrefixError::TooShort(prefix.to_owned()));
    }
    let mut found = Vec::new();
    for id in known {
        if id.to_string().starts_with(prefix) {
            found.push(id);
            if found.len() >= CANDIDATES_MAX {
                break;
            }
        }
    }
    match found.as_slice() {
        [] => Err(PrefixError::Unknown(prefix.to_owned())),
        [one] => Ok(*one),
        many => Err(PrefixError::Ambiguous {
            prefix: prefix.to_owned(),
            candidates: many.iter().map(ToString::to_string).collect(),
        }),
    }
}

/// Declares an identifier of 32 bytes: a newtype with a text form, canonical bytes and a total order.
#[macro_export]
macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default,
            ::borsh::BorshSerialize, ::borsh::BorshDeserialize,
        )]
        pub struct $name([u8; 32]);

        impl $name {
            /// The id that these bytes are.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The bytes of this id.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(&$crate::id::to_text(&self.0))
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                let text = $crate::id::to_text(&self.0);
                write!(f, "{}({}…)", stringify!($name), text.get(..8).unwrap_or(&text))
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::id::PrefixError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::id::from_text(text).map(Self)
            }
        }
    };
}

id_type! {
    /// The id of an entry: the BLAKE3 hash of its signed bytes.
    EntryId
}

id_type! {
    /// The id of a log. A group's log has the id of its genesis entry, a context's log that of the context.
    LogId
}

id_type! {
    /// An Ed25519 public key: a member, a context identity or a node.
    PublicKey
}

/// Distinguishes the lives of one author's chain: random, and new after a restore from a backup, so that a
/// restored node never signs a second entry for a place in a chain that it has forgotten.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct Incarnation(pub u64);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_text_form_is_52_lower_case_base32_characters() {
        let id = EntryId::from_bytes([0xff; 32]);
        assert_eq!(id.to_string(), "7777777777777777777777777777777777777777777777777776".replace('6', "q"));
        assert_eq!(EntryId::from_bytes([0; 32]).to_string(), "a".repeat(52));
    }

    #[test]
    fn a_text_with_set_trailing_bits_or_upper_case_is_refused() {
        assert!(from_text(&"b".repeat(52)).is_err());
        assert!(from_text(&"A".repeat(52)).is_err());
        assert!(from_text("abc").is_err());
    }

    #[test]
    fn a_prefix_names_one_id_or_says_why_not() {
        let one = EntryId::from_bytes([1; 32]);
        let two = EntryId::from_bytes([2; 32]);
        let text = one.to_string();
        assert_eq!(find_by_prefix(&text[..6], [one, two]), Ok(one));
        assert_eq!(find_by_prefix("abc", [one]), Err(PrefixError::TooShort("abc".into())));
        assert_eq!(find_by_prefix("zzzz", [one]), Err(PrefixError::Unknown("zzzz".into())));
        let mut near = [1; 32];
        near[31] = 9;
        let near = EntryId::from_bytes(near);
        assert!(matches!(
            find_by_prefix(&text[..6], [one, near]),
            Err(PrefixError::Ambiguous { candidates, .. }) if candidates.len() == 2
        ));
    }

    proptest! {
        #[test]
        fn text_and_bytes_round_trip(bytes: [u8; 32]) {
            let id = EntryId::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse::<EntryId>(), Ok(id));
        }

        #[test]
        fn any_text_is_parsed_to_its_only_id_or_refused(text in "[a-z2-7]{52}") {
            if let Ok(id) = text.parse::<EntryId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
