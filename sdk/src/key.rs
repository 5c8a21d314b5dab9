//! Keys of maps and members of sets: bytes whose order is the values' order.

use std::borrow::Cow;

/// What can look up a key: its bytes, so made that they order as the values do.
///
/// Text and bytes are themselves, unsigned integers big-endian, signed ones big-endian with the sign bit flipped.
pub trait Key {
    /// The bytes.
    fn key_bytes(&self) -> Cow<'_, [u8]>;
}

/// A key that can be read back.
pub trait OwnedKey: Key + Sized {
    /// The key with these bytes; `None` if they are not one's of this type.
    fn from_key_bytes(bytes: &[u8]) -> Option<Self>;
}

impl Key for str {
    fn key_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.as_bytes())
    }
}

impl Key for String {
    fn key_bytes(&self) -> Cow<'_, [u8]> {
        self.as_str().key_bytes()
    }
}

impl OwnedKey for String {
    fn from_key_bytes(bytes: &[u8]) -> Option<Self> {
        String::from_utf8(bytes.to_vec()).ok()
    }
}

impl Key for [u8] {
    fn key_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self)
    }
}

impl Key for Vec<u8> {
    fn key_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self)
    }
}

impl OwnedKey for Vec<u8> {
    fn from_key_bytes(bytes: &[u8]) -> Option<Self> {
        Some(bytes.to_vec())
    }
}

impl<const N: usize> Key for [u8; N] {
    fn key_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self)
    }
}

impl<const N: usize> OwnedKey for [u8; N] {
    fn from_key_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok()
    }
}

impl Key for bool {
    fn key_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(if *self { &[1] } else { &[0] })
    }
}

impl OwnedKey for bool {
    fn from_key_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }
}

macro_rules! integer_keys {
    ($($signed:ty, $unsigned:ty;)*) => {$(
        impl Key for $unsigned {
            fn key_bytes(&self) -> Cow<'_, [u8]> {
                Cow::Owned(self.to_be_bytes().to_vec())
            }
        }

        impl OwnedKey for $unsigned {
            fn from_key_bytes(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(<$unsigned>::from_be_bytes)
            }
        }

        impl Key for $signed {
            fn key_bytes(&self) -> Cow<'_, [u8]> {
                Cow::Owned((self.cast_unsigned() ^ <$signed>::MIN.cast_unsigned()).to_be_bytes().to_vec())
            }
        }

        impl OwnedKey for $signed {
            fn from_key_bytes(bytes: &[u8]) -> Option<Self> {
                let flipped = <$unsigned>::from_key_bytes(bytes)?;
                Some((flipped ^ <$signed>::MIN.cast_unsigned()).cast_signed())
            }
        }
    )*};
}

integer_keys! {
    i8, u8;
    i16, u16;
    i32, u32;
    i64, u64;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeps_order_and_value<K: OwnedKey + Ord + Clone + std::fmt::Debug>(values: &[K]) {
        let mut by_bytes = values.to_vec();
        by_bytes.sort_by(|a, b| a.key_bytes().cmp(&b.key_bytes()));
        let mut by_value = values.to_vec();
        by_value.sort();
        assert_eq!(by_bytes, by_value);
        for value in values {
            assert_eq!(K::from_key_bytes(&value.key_bytes()).as_ref(), Some(value));
        }
    }

    #[test]
    fn the_order_of_keys_is_the_order_of_their_bytes() {
        keeps_order_and_value(&[0_i64, 1, -1, i64::MIN, i64::MAX, 256, -256]);
        keeps_order_and_value(&[0_i8, 1, -1, i8::MIN, i8::MAX]);
        keeps_order_and_value(&[0_u32, 1, 255, 256, u32::MAX]);
        keeps_order_and_value(&[true, false]);
        keeps_order_and_value(&["b".to_owned(), "a".to_owned(), String::new(), "aa".to_owned(), "é".to_owned()]);
        keeps_order_and_value(&[vec![1_u8], vec![], vec![0, 9]]);
    }

    #[test]
    fn the_bytes_are_those_that_states_are_stored_under() {
        assert_eq!(*"tea".to_owned().key_bytes(), *b"tea");
        assert_eq!(*1_u32.key_bytes(), [0, 0, 0, 1]);
        assert_eq!(*1_i16.key_bytes(), [0x80, 1]);
        assert_eq!(*(-1_i64).key_bytes(), [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(*true.key_bytes(), [1]);
        assert_eq!(*[7_u8, 0].key_bytes(), [7, 0]);
    }

    #[test]
    fn bytes_of_another_type_are_not_a_key() {
        assert_eq!(u32::from_key_bytes(&[1]), None);
        assert_eq!(bool::from_key_bytes(&[2]), None);
        assert_eq!(String::from_key_bytes(&[0xff]), None);
    }
}
