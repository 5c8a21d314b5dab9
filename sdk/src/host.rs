//! The node, as an app sees it. Compiled for a node: the imports of the WIT world. Compiled for this machine: the same
//! functions over a call in this process.

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod bindings;
#[cfg(target_arch = "wasm32")]
mod guest;
#[cfg(not(target_arch = "wasm32"))]
mod local;
#[cfg(target_arch = "wasm32")]
mod opening;

#[cfg(target_arch = "wasm32")]
pub(crate) use bindings::mesto::app::state::{Collection as Handle, Entry, TextStep as HostStep, Unit};
#[cfg(target_arch = "wasm32")]
pub(crate) use bindings::mesto::app::{env, output, private};
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use local::{
    Entry, Handle, Kind, Session, TextStep as HostStep, Unit, child, env, output, private, root, within,
};
#[cfg(target_arch = "wasm32")]
pub(crate) use opening::{Kind, child, root};
