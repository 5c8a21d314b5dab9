//! Compiling apps to WebAssembly: find or set up a compiler for the target, then build an app's crate.
//!
//! ```no_run
//! let toolchain = mesto_guests::ensure_toolchain()?;
//! let module = mesto_guests::build(&toolchain, "apps/kv".as_ref())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! With rustup the target comes from `rustup target add`. Where that is impossible (offline mirrors, machines with
//! nothing but a distribution's packages) the target's std is compiled once from the compiler's own
//! sources into `~/.cache/mesto/wasm-sysroot`, keyed by the exact compiler.
//!
//! Both functions tell on standard error what they do when it takes more than a moment.

mod build;
mod command;
mod sysroot;
mod toolchain;

pub use build::{BuildError, build};
pub use command::CommandError;
pub use sysroot::SysrootError;
pub use toolchain::{GuestToolchain, ToolchainError, ensure_toolchain, find_toolchain};

/// The target of guests: no operating system, so an app has nothing but what the node gives it.
pub const TARGET: &str = "wasm32-unknown-unknown";
