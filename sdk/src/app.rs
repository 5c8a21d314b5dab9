//! The face for apps: `use mesto_sdk::app;` and write `#[app::state]`, `app::Map`, `app::emit!`.

pub mod env;
mod values;

pub use mesto_sdk_macros::{Describe, event, init, logic, private, state};

pub use crate::collections::{Counter, List, Map, Private, PrivateMap, Register, Set, Text, TextStep};
pub use crate::describe::Describe;
pub use crate::{__bail as bail, __emit as emit, __ephemeral as ephemeral, __log as log};
pub use values::{Bytes, ContextId, Error, PublicKey, Time};

/// The result of a method whose errors are plain text. Methods may as well use `Result` with an
/// error of their own.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Emits an event: `app::emit!(Event::Set { key, value })`, or, to have the nodes that receive it call a method once,
/// `app::emit!(event, handler = "on_set")`.
#[doc(hidden)]
#[macro_export]
macro_rules! __emit {
    ($event:expr, handler = $handler:expr $(,)?) => {
        $crate::__private::emit(&$event, ::core::option::Option::Some($handler))
    };
    ($event:expr $(,)?) => {
        $crate::__private::emit(&$event, ::core::option::Option::None)
    };
}

/// Tells an event to whoever listens now, on all members' nodes, and keeps it nowhere: `app::ephemeral!(Event::Typing)`.
/// It costs no change of the state, and may be lost.
#[doc(hidden)]
#[macro_export]
macro_rules! __ephemeral {
    ($event:expr $(,)?) => {
        $crate::__private::say(&$event)
    };
}

/// Writes a line to the node's log, with the arguments of `format!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($($argument:tt)*) => {
        $crate::app::env::log(&::std::format!($($argument)*))
    };
}

/// Ends the method with an error: `app::bail!(Error::NotFound)`, or a text with the arguments of `format!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __bail {
    ($text:literal $($argument:tt)*) => {
        return ::core::result::Result::Err($crate::app::Error::new(::std::format!($text $($argument)*)).into())
    };
    ($error:expr $(,)?) => {
        return ::core::result::Result::Err(::core::convert::Into::into($error))
    };
}
