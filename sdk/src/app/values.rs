//! Values with a JSON form of their own.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use data_encoding::BASE32_NOPAD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::describe::{Describe, Type, Within};
use crate::key::{Key, OwnedKey};

/// Bytes; in JSON a base64 string. (A `Vec<u8>` would be a list of numbers.)
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub Vec<u8>);

/// Standard alphabet; padding is written, and not asked for.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        BASE64.decode(text.as_bytes()).map(Self).map_err(|_| D::Error::custom("not base64"))
    }
}

impl Describe for Bytes {
    fn describe(_: &mut Within) -> Type {
        Type::Bytes
    }
}

impl Key for Bytes {
    fn key_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0)
    }
}

impl OwnedKey for Bytes {
    fn from_key_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.to_vec()))
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<str>::deserialize(deserializer)?;
                let bytes = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok();
                let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
                bytes.map(Self).ok_or_else(|| D::Error::custom("not an id of 52 base32 characters"))
            }
        }

        impl Describe for $name {
            fn describe(_: &mut Within) -> Type {
                Type::String
            }
        }

        impl Key for $name {
            fn key_bytes(&self) -> Cow<'_, [u8]> {
                Cow::Borrowed(&self.0)
            }
        }

        impl OwnedKey for $name {
            fn from_key_bytes(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }
    };
}

id! {
    /// An identity: who calls, who wrote. As text, and in JSON, 52 base32 characters.
    PublicKey
}
id! {
    /// A context: one running instance of an app. As text, and in JSON, 52 base32 characters.
    ContextId
}

/// A moment of the hybrid logical clock: later changes have later times, on all nodes. In JSON a decimal string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The moment with these 64 bits.
    #[must_use]
    pub const fn from_hlc(bits: u64) -> Self {
        Self(bits)
    }

    /// All 64 bits: 48 of milliseconds, 16 of a counter that orders what happens in one of them.
    #[must_use]
    pub const fn hlc(self) -> u64 {
        self.0
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn ms(self) -> u64 {
        self.0 >> 16
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| D::Error::custom("not a time as a decimal string"))
    }
}

impl Describe for Time {
    fn describe(_: &mut Within) -> Type {
        Type::String
    }
}

impl Key for Time {
    fn key_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.0.to_be_bytes().to_vec())
    }
}

impl OwnedKey for Time {
    fn from_key_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(u64::from_be_bytes).map(Self)
    }
}

/// An error that is a text. In JSON that text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Error(String);

impl Error {
    /// The error with this text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_base64_and_padding_may_be_left_out() {
        let bytes = Bytes(vec![1, 2, 3, 4]);
        assert_eq!(serde_json::to_string(&bytes).expect("encodes"), r#""AQIDBA==""#);
        for text in [r#""AQIDBA==""#, r#""AQIDBA""#] {
            assert_eq!(serde_json::from_str::<Bytes>(text).expect("decodes"), bytes);
        }
        assert!(serde_json::from_str::<Bytes>(r#""*""#).is_err());
    }

    #[test]
    fn ids_are_52_base32_characters() {
        let key = PublicKey([7; 32]);
        let text = serde_json::to_string(&key).expect("encodes");
        assert_eq!(text.len(), 54);
        assert_eq!(serde_json::from_str::<PublicKey>(&text).expect("decodes"), key);
        assert!(serde_json::from_str::<PublicKey>(r#""aaaa""#).is_err());
    }

    #[test]
    fn a_time_is_a_decimal_string_whose_upper_bits_are_milliseconds() {
        let time = Time::from_hlc(5 << 16 | 3);
        assert_eq!(time.ms(), 5);
        assert_eq!(serde_json::to_string(&time).expect("encodes"), r#""327683""#);
        assert_eq!(serde_json::from_str::<Time>(r#""327683""#).expect("decodes"), time);
    }
}
