//! The macros of `mesto-sdk`; use them through `mesto_sdk::app`.

// The enums that are matched here are syn's, which grow with the language.
#![allow(clippy::wildcard_enum_match_arm)]

mod attributes;
mod describe;
mod event;
mod logic;
mod state;

use proc_macro::TokenStream;
use syn::{DeriveInput, ItemImpl, parse_macro_input};

/// Makes a struct the state of an app. Its fields are collections; `emits = Event` names the app's events.
///
/// ```ignore
/// #[app::state(emits = Event)]
/// pub struct Kv {
///     items: app::Map<String, String>,
/// }
/// ```
#[proc_macro_attribute]
pub fn state(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = parse_macro_input!(arguments as state::Arguments);
    let item = parse_macro_input!(item as DeriveInput);
    state::expand(&arguments, item).unwrap_or_else(|error| error.into_compile_error()).into()
}

/// Makes the public methods of the state callable: `&self` is a view, `&mut self` mutates.
///
/// Within, `#[app::init]` marks the method that makes the first state, `#[app::private]` one that is part of the
/// schema but cannot be called from outside. Methods that are not `pub` stay the app's own.
#[proc_macro_attribute]
pub fn logic(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let _ = parse_macro_input!(arguments as syn::parse::Nothing);
    let item = parse_macro_input!(item as ItemImpl);
    logic::expand(item).unwrap_or_else(|error| error.into_compile_error()).into()
}

/// Makes an enum the events of an app: each variant is a kind of event, its fields are the payload.
#[proc_macro_attribute]
pub fn event(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let _ = parse_macro_input!(arguments as syn::parse::Nothing);
    let item = parse_macro_input!(item as DeriveInput);
    event::expand(&item).unwrap_or_else(|error| error.into_compile_error()).into()
}

/// Marks, within `#[app::logic]`, the method that makes the first state. It runs once, when a context is created.
#[proc_macro_attribute]
pub fn init(_: TokenStream, item: TokenStream) -> TokenStream {
    outside("init", item)
}

/// Marks, within `#[app::logic]`, a method that cannot be called from outside.
#[proc_macro_attribute]
pub fn private(_: TokenStream, item: TokenStream) -> TokenStream {
    outside("private", item)
}

/// Describes a type for the schema, following its serde attributes.
#[proc_macro_derive(Describe, attributes(serde))]
pub fn describe(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    describe::expand(&item).unwrap_or_else(|error| error.into_compile_error()).into()
}

/// `#[app::logic]` takes these markers away, so whoever comes here stands elsewhere.
fn outside(marker: &str, item: TokenStream) -> TokenStream {
    let text = format!("`#[app::{marker}]` belongs on a method within `#[app::logic]`");
    let error = syn::Error::new(proc_macro2::Span::call_site(), text).into_compile_error();
    [TokenStream::from(error), item].into_iter().collect()
}
