//! The WIT world in Rust, as wit-bindgen writes it.
//!
//! The only file of the SDK with `unsafe`, all of it generated: calls of imported functions, and memory that
//! crosses the border by address, as the Component Model's canonical ABI has it.
#![allow(unsafe_code, missing_docs, unreachable_pub, unsafe_op_in_unsafe_fn, clippy::all, clippy::disallowed_types)]

wit_bindgen::generate!({
    path: "wit",
    world: "app",
    pub_export_macro: true,
    default_bindings_module: "mesto_sdk::__private::bindings",
});
