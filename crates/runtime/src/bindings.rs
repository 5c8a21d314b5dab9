//! The WIT world in Rust, as wasmtime writes it for hosts.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::disallowed_types, clippy::wildcard_enum_match_arm)]

/// What a guest's handle to a collection stands for. The handle's number is the draft's.
#[derive(Debug)]
pub struct Collection;

wasmtime::component::bindgen!({
    path: "../../sdk/wit",
    world: "app",
    with: { "mesto:app/state.collection": Collection },
    imports: { default: trappable },
});
