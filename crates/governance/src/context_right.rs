//! Rights in one context, which are given to single members.

/// A right in one context; the discriminant is its bit in [`crate::action::ContextCapabilityGranted`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum ContextRight {
    /// To set visibility, allowlist and name: what the creator may.
    Manage = 0,
    /// To set the application that the context runs.
    SetApplication = 1,
}

impl ContextRight {
    /// All rights, in the order of their bits.
    pub const ALL: [Self; 2] = [Self::Manage, Self::SetApplication];

    /// The name that people type.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manage => "manage-context",
            Self::SetApplication => "set-context-application",
        }
    }

    /// The bit.
    #[must_use]
    pub const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// The rights of these bits; nothing if there are none, or unknown ones.
    #[must_use]
    pub fn of_bits(bits: u8) -> Option<Vec<Self>> {
        let known = Self::ALL.iter().fold(0, |known, right| known | right.bit());
        (bits != 0 && bits & !known == 0)
            .then(|| Self::ALL.into_iter().filter(|right| bits & right.bit() != 0).collect())
    }
}

impl std::fmt::Display for ContextRight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
