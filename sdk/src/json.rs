//! JSON as it crosses the border: compact, and integers that a double cannot hold are strings.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// The largest integer up to which all are exact in a double: 2^53.
const EXACT_MAX: u64 = 1 << 53;

/// The JSON of a result, an event's payload or an error.
///
/// # Errors
/// The value does not fit JSON: a map whose keys are not text or numbers, a failing `Serialize`.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::with_capacity(128);
    value.serialize(&mut Serializer::with_formatter(&mut bytes, Border { in_string: false }))?;
    Ok(bytes)
}

/// The same as text.
///
/// # Errors
/// As [`encode`].
pub(crate) fn encode_text<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    encode(value).map(|bytes| String::from_utf8(bytes).expect("INVARIANT: JSON is text"))
}

/// An object that is written field by field.
#[derive(Debug)]
pub struct Object(Vec<u8>);

impl Object {
    /// An empty object.
    #[must_use]
    pub fn new() -> Self {
        Self(b"{".to_vec())
    }

    /// Adds a field.
    ///
    /// # Panics
    /// If the value does not fit JSON.
    pub fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        for part in [encode(name), Ok(b":".to_vec()), encode(value)] {
            match part {
                Ok(part) => self.0.extend(part),
                Err(error) => panic!("field `{name}` does not fit JSON: {error}"),
            }
        }
    }

    /// The object.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.0.push(b'}');
        String::from_utf8(self.0).expect("INVARIANT: JSON is text")
    }
}

impl Default for Object {
    fn default() -> Self {
        Self::new()
    }
}

/// Compact, but for large integers. Keys of maps are integers within a string already.
struct Border {
    in_string: bool,
}

impl Border {
    fn integer<W: io::Write + ?Sized>(
        &self,
        writer: &mut W,
        exact: bool,
        digits: &dyn std::fmt::Display,
    ) -> io::Result<()> {
        if exact || self.in_string { write!(writer, "{digits}") } else { write!(writer, "\"{digits}\"") }
    }
}

impl Formatter for Border {
    fn write_i64<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        self.integer(writer, value.unsigned_abs() <= EXACT_MAX, &value)
    }

    fn write_u64<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        self.integer(writer, value <= EXACT_MAX, &value)
    }

    fn write_i128<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: i128) -> io::Result<()> {
        self.integer(writer, value.unsigned_abs() <= u128::from(EXACT_MAX), &value)
    }

    fn write_u128<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: u128) -> io::Result<()> {
        self.integer(writer, value <= u128::from(EXACT_MAX), &value)
    }

    fn begin_string<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.in_string = true;
        writer.write_all(b"\"")
    }

    fn end_string<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.in_string = false;
        writer.write_all(b"\"")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn text<T: Serialize>(value: T) -> String {
        encode_text(&value).expect("encodes")
    }

    #[test]
    fn integers_beyond_2_to_the_53_are_strings_and_others_are_numbers() {
        assert_eq!(text(9_007_199_254_740_992_u64), "9007199254740992");
        assert_eq!(text(9_007_199_254_740_993_u64), r#""9007199254740993""#);
        assert_eq!(text(i64::MIN), r#""-9223372036854775808""#);
        assert_eq!(text(vec![Some(u64::MAX), None]), r#"["18446744073709551615",null]"#);
        assert_eq!(text(()), "null");
    }

    #[test]
    fn integers_in_keys_are_quoted_once() {
        assert_eq!(text(BTreeMap::from([(u64::MAX, 1)])), r#"{"18446744073709551615":1}"#);
    }

    #[test]
    fn an_object_is_its_fields_in_order() {
        let mut object = Object::new();
        assert_eq!(Object::new().finish(), "{}");
        object.field("b", "x\"y");
        object.field("a", &[1, 2]);
        assert_eq!(object.finish(), r#"{"b":"x\"y","a":[1,2]}"#);
    }
}
