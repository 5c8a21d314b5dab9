//! Machine code that this node compiled earlier.
//!
//! The only file of this crate with `unsafe`: wasmtime runs what it deserialises without looking at it again, so
//! somebody must vouch that it is what a compiler of the same version and settings wrote. We do, because the code
//! comes from a folder that only this node's owner can write, is keyed by component, version and
//! settings, and matches the hash that was written with it. Whoever can forge all of that already is the owner.
#![allow(unsafe_code)]

use wasmtime::Engine;
use wasmtime::component::Component;

/// The component whose machine code is `code`, or `None` if wasmtime refuses its header.
pub(crate) fn deserialize(engine: &Engine, code: &Verified) -> Option<Component> {
    // SAFETY: `Verified` is machine code that `Component::serialize` wrote here, unchanged: see above.
    let component = unsafe { Component::deserialize(engine, &code.0) };
    component.inspect_err(|error| tracing::warn!(%error, "cached machine code is refused")).ok()
}

/// Machine code that is, byte for byte, what was put into the cache.
pub(crate) struct Verified(Vec<u8>);

/// Length of the hash in front of the code.
const HASH_LEN: usize = 32;
/// The context string of that hash.
const CONTEXT: &str = "mesto 2026 compiled component v1";

impl Verified {
    /// What the file `bytes` holds, if it is intact: a hash, then the code.
    pub(crate) fn open(mut bytes: Vec<u8>) -> Option<Self> {
        let hash = *bytes.first_chunk::<HASH_LEN>()?;
        let code = bytes.split_off(HASH_LEN);
        (blake3::derive_key(CONTEXT, &code) == hash).then_some(Self(code))
    }

    /// The file that holds `code`.
    pub(crate) fn seal(code: &[u8]) -> Vec<u8> {
        [blake3::derive_key(CONTEXT, code).as_slice(), code].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_changed_is_not_opened() {
        let sealed = Verified::seal(b"code");
        assert_eq!(Verified::open(sealed.clone()).map(|code| code.0), Some(b"code".to_vec()));
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(Verified::open(changed).is_none());
        }
        assert!(Verified::open(sealed[..sealed.len() - 1].to_vec()).is_none());
        assert!(Verified::open(Vec::new()).is_none());
    }
}
