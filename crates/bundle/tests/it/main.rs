//! What holds for bundles as their users see them: built, opened, attacked, kept over versions.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

mod app;
mod archives;
mod commands;
mod golden;
mod manifests;
mod signatures;
mod tar_bytes;
