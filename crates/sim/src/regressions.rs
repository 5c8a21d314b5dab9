//! Seeds that once failed. Each stays, with what it found.

/// A seed and what was wrong.
pub const SEEDS: &[(u64, &str)] = &[];
