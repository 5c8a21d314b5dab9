//! Capability bits: what a plain member may do beyond writing state.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};

/// One capability; the discriminant is its bit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Capability {
    /// May register contexts.
    CreateContexts = 0,
    /// May create invitations for members below manager.
    InviteMembers = 1,
    /// May join Open contexts.
    JoinOpenContexts = 2,
    /// May add, change and remove members below itself.
    ManageMembers = 3,
    /// May set the target application and the upgrade policy.
    ManageApplication = 4,
}

impl Capability {
    /// All capabilities, in the order of their bits.
    pub const ALL: [Self; 5] = [
        Self::CreateContexts,
        Self::InviteMembers,
        Self::JoinOpenContexts,
        Self::ManageMembers,
        Self::ManageApplication,
    ];

    /// The name that people type.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CreateContexts => "create-contexts",
            Self::InviteMembers => "invite-members",
            Self::JoinOpenContexts => "join-open-contexts",
            Self::ManageMembers => "manage-members",
            Self::ManageApplication => "manage-application",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no capability has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a capability: there are create-contexts, invite-members, join-open-contexts, manage-members and manage-application"
)]
pub struct UnknownCapability(pub String);

impl FromStr for Capability {
    type Err = UnknownCapability;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|capability| capability.name() == name)
            .ok_or_else(|| UnknownCapability(name.chars().take(64).collect()))
    }
}

/// A set of capabilities; unknown bits are refused when decoding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, BorshSerialize)]
pub struct Capabilities(u8);

impl Capabilities {
    /// No capability.
    pub const NONE: Self = Self(0);
    /// Every capability.
    pub const ALL: Self = Self(0b1_1111);
    /// What a new group gives its new members.
    pub const DEFAULT: Self = Self(1 << Capability::JoinOpenContexts as u8);

    /// The set of these bits.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits & !Self::ALL.0 == 0 { Some(Self(bits)) } else { None }
    }

    /// The bits, capability n at bit n.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// This set and one more.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | 1 << capability as u8)
    }

    /// This set without one.
    #[must_use]
    pub const fn without(self, capability: Capability) -> Self {
        Self(self.0 & !(1 << capability as u8))
    }

    /// What is in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this and not in the other.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether `capability` is in the set.
    #[must_use]
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u8) != 0
    }

    /// Whether all of `other` is in the set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The capabilities, in the order of their bits.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.into_iter().filter(move |&capability| self.has(capability))
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<T: IntoIterator<Item = Capability>>(capabilities: T) -> Self {
        capabilities.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Capability::name)).finish()
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Capability::name).collect();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join(", "))
    }
}

impl BorshDeserialize for Capabilities {
    fn deserialize_reader<R: std::io::Read>(reader: &mut R) -> std::io::Result<Self> {
        let bits = u8::deserialize_reader(reader)?;
        Self::from_bits(bits)
            .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidData, "unknown capability bits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_capability_has_its_bit_and_its_name() {
        for (bit, capability) in Capability::ALL.into_iter().enumerate() {
            assert_eq!(Capabilities::NONE.with(capability).bits(), 1 << bit);
            assert_eq!(capability.name().parse(), Ok(capability));
        }
        assert!("fly".parse::<Capability>().is_err());
    }

    #[test]
    fn unknown_bits_do_not_decode() {
        assert_eq!(Capabilities::try_from_slice(&[0b1_1111]).ok(), Some(Capabilities::ALL));
        assert!(Capabilities::try_from_slice(&[0b10_0000]).is_err());
    }
}
