//! From a core module, as compilers make it, to a component, as bundles carry it.

/// Why a core module does not become a component.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComponentizeError {
    /// It is a component already.
    #[error("this is a component already")]
    AlreadyComponent,
    /// It is not a guest: no description of its world, or exports that are missing.
    #[error("not a module of a Mesto app: {0}")]
    NotAGuest(String),
}

/// Wraps a core module that was compiled against the SDK into a component. The same module gives the same bytes.
///
/// # Errors
/// See [`ComponentizeError`].
pub fn componentize(core: &[u8]) -> Result<Vec<u8>, ComponentizeError> {
    if is_component(core) {
        return Err(ComponentizeError::AlreadyComponent);
    }
    let refused = |error: &dyn std::fmt::Display| ComponentizeError::NotAGuest(error.to_string());
    let mut encoder = wit_component::ComponentEncoder::default();
    let encoder = encoder.validate(true).module(core).map_err(|error| refused(&format_args!("{error:#}")))?;
    encoder.encode().map_err(|error| refused(&format_args!("{error:#}")))
}

/// Whether `bytes` begin like a component: the magic number, then version 13 in layer 1.
pub(crate) fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x0d\0\x01\0")
}

/// Whether `bytes` begin like a core module.
pub(crate) fn is_module(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x01\0\0\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_guest_is_refused() {
        assert!(matches!(componentize(b""), Err(ComponentizeError::NotAGuest(_))));
        assert!(matches!(componentize(b"\0asm\x0d\0\x01\0"), Err(ComponentizeError::AlreadyComponent)));
        assert!(matches!(componentize(&[0x7f; 64]), Err(ComponentizeError::NotAGuest(_))));
    }
}
