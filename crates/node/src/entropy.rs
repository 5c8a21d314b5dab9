//! Randomness that comes in as an argument.

/// Random bytes for one step, stretched from a seed that the shell drew.
pub struct Entropy(blake3::OutputReader);

/// Domain of the stretching.
const CONTEXT: &str = "mesto 2026 step entropy v1";

impl Entropy {
    /// Stretches 32 random bytes. The seed must never be used again.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(blake3::Hasher::new_derive_key(CONTEXT).update(seed).finalize_xof())
    }

    /// The next `N` bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// A number from `low` to `high`, the latter excluded; `low` if the range is empty.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        if high <= low { low } else { low + self.number() % (high - low) }
    }
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entropy(..)")
    }
}
