//! Opening collections: the WIT world has a function for those kinds that it had from the start, and others for each
//! kind that came later.

use super::Handle;
use super::bindings::mesto::app::state;

/// What a collection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Register,
    Counter,
    Map,
    Set,
    Text,
    List,
}

/// A field of the state.
pub(crate) fn root(field: &str, kind: Kind) -> Handle {
    match kind {
        Kind::Register => Handle::root(field, state::Kind::Register),
        Kind::Counter => Handle::root(field, state::Kind::Counter),
        Kind::Map => Handle::root(field, state::Kind::Map),
        Kind::Set => Handle::root(field, state::Kind::Set),
        Kind::Text => Handle::text_root(field),
        Kind::List => Handle::list_root(field),
    }
}

/// What a map holds under a key.
pub(crate) fn child(map: &Handle, key: &[u8], kind: Kind) -> Handle {
    match kind {
        Kind::Register => map.child(key, state::Kind::Register),
        Kind::Counter => map.child(key, state::Kind::Counter),
        Kind::Map => map.child(key, state::Kind::Map),
        Kind::Set => map.child(key, state::Kind::Set),
        Kind::Text => map.text_child(key),
        Kind::List => map.list_child(key),
    }
}
