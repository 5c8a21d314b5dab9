//! What happens around a method: arguments in, result or refusal out, events on the way.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::describe::{Describe, Type};
use crate::host;
use crate::json;
use crate::schema::EventKind;

/// Why a method gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such method.
    UnknownMethod,
    /// The arguments do not fit, and how.
    BadArguments(String),
    /// The app's own error.
    App(AppError),
}

/// An app's own error on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppError {
    /// As text.
    pub message: String,
    /// As JSON.
    pub data: String,
}

/// The arguments of one call, each still JSON.
#[derive(Debug)]
pub struct Arguments<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Arguments<'a> {
    /// Splits the JSON object `args`, all of whose fields must be among `known`.
    ///
    /// # Errors
    /// [`Refusal::BadArguments`].
    pub fn parse(args: &'a str, known: &[&str]) -> Result<Self, Refusal> {
        let fields: BTreeMap<String, &RawValue> = serde_json::from_str(args)
            .map_err(|error| Refusal::BadArguments(format!("not a JSON object of arguments by name: {error}")))?;
        let unknown: Vec<&str> = fields.keys().map(String::as_str).filter(|name| !known.contains(name)).collect();
        if unknown.is_empty() {
            return Ok(Self(fields));
        }
        let takes = if known.is_empty() { "none".to_owned() } else { quoted(known) };
        Err(Refusal::BadArguments(format!("unknown {}; the method takes {takes}", quoted(&unknown))))
    }

    /// Takes the argument `name`.
    ///
    /// # Errors
    /// [`Refusal::BadArguments`] if it is missing and not an option, or is not a `T`.
    pub fn take<T: DeserializeOwned + Describe>(&mut self, name: &str) -> Result<T, Refusal> {
        let Some(raw) = self.0.remove(name) else {
            if matches!(Type::of::<T>(), Type::Option { .. } | Type::Unit) {
                return serde_json::from_str("null").map_err(|error| misfit(name, &error));
            }
            return Err(Refusal::BadArguments(format!("missing `{name}`")));
        };
        serde_json::from_str(raw.get()).or_else(|error| {
            let mut value: Json = serde_json::from_str(raw.get()).map_err(|error| misfit(name, &error))?;
            Type::of::<T>().admit(&mut value);
            serde_json::from_value(value).map_err(|_| misfit(name, &error))
        })
    }
}

fn misfit(name: &str, error: &serde_json::Error) -> Refusal {
    Refusal::BadArguments(format!("`{name}`: {error}"))
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The result of a method that cannot refuse.
///
/// # Errors
/// None of the app's own; a result that does not fit JSON is a refusal that says so.
pub fn answer<T: Serialize + ?Sized>(value: &T) -> Result<String, Refusal> {
    json::encode_text(value).map_err(|error| {
        let message = format!("the result does not fit JSON: {error}");
        let data = json::encode_text(&message).unwrap_or_default();
        Refusal::App(AppError { message, data })
    })
}

/// A method's `Result`, under whatever name.
pub trait Fallible {
    /// What it returns.
    type Value: Serialize + Describe;

    /// The answer.
    ///
    /// # Errors
    /// The app's own.
    fn answer(self) -> Result<String, Refusal>;
}

impl<T: Serialize + Describe, E: Serialize + Display> Fallible for Result<T, E> {
    type Value = T;

    fn answer(self) -> Result<String, Refusal> {
        match self {
            Ok(value) => answer(&value),
            Err(error) => {
                let message = error.to_string();
                let data = json::encode_text(&error).unwrap_or_else(|_| answer(&message).unwrap_or_default());
                Err(Refusal::App(AppError { message, data }))
            }
        }
    }
}

/// What `#[app::event]` makes of an enum.
pub trait Event {
    /// The event's name.
    fn kind(&self) -> &'static str;

    /// Its payload as JSON.
    fn payload(&self) -> String;

    /// All events of the type.
    fn kinds() -> Vec<EventKind>;
}

/// The payload of an event without named fields.
///
/// # Panics
/// If the value does not fit JSON.
pub fn payload<T: Serialize + ?Sized>(value: &T) -> String {
    json::encode_text(value).unwrap_or_else(|error| panic!("the payload of an event does not fit JSON: {error}"))
}

/// The events of an app that emits none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEvents {}

impl Event for NoEvents {
    fn kind(&self) -> &'static str {
        match *self {}
    }

    fn payload(&self) -> String {
        match *self {}
    }

    fn kinds() -> Vec<EventKind> {
        Vec::new()
    }
}

/// Emits an event of the current call.
pub fn emit<E: Event>(event: &E, handler: Option<&str>) {
    host::output::emit(event.kind(), &event.payload(), handler);
}

/// Tells an event of the current call that leaves no trace.
pub fn say<E: Event>(event: &E) {
    host::output::say(event.kind(), &event.payload());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T: std::fmt::Debug>(result: Result<T, Refusal>) -> String {
        match result {
            Err(Refusal::BadArguments(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn arguments_that_do_not_fit_are_named() {
        let known = ["key", "value"];
        assert!(refused(Arguments::parse("[]", &known)).starts_with("not a JSON object"));
        assert_eq!(refused(Arguments::parse(r#"{"kye":1}"#, &known)), "unknown `kye`; the method takes `key`, `value`");
        let mut arguments = Arguments::parse(r#"{"key":1}"#, &known).expect("known");
        let text = refused(arguments.take::<String>("key"));
        assert!(text.starts_with("`key`: invalid type: integer"), "{text}");
        assert_eq!(refused(arguments.take::<String>("value")), "missing `value`");
        assert_eq!(arguments.take::<Option<String>>("value"), Ok(None));
    }

    #[test]
    fn large_integers_are_accepted_as_strings() {
        let mut arguments = Arguments::parse(r#"{"n":"18446744073709551615"}"#, &["n"]).expect("known");
        assert_eq!(arguments.take::<u64>("n"), Ok(u64::MAX));
    }

    #[test]
    fn an_error_leaves_as_text_and_as_json() {
        let error: Result<(), _> = Err(crate::app::Error::new("no"));
        let expected = AppError { message: "no".into(), data: r#""no""#.into() };
        assert_eq!(error.answer(), Err(Refusal::App(expected)));
        assert_eq!(Ok::<_, crate::app::Error>(()).answer(), Ok("null".into()));
    }
}
