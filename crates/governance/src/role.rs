//! Roles, and the levels of authority that come from them.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};

/// A member's role, the strongest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Role {
    /// The creator, or whoever ownership went to; exactly one.
    Owner = 1,
    /// May do everything except what the owner alone may.
    Admin = 2,
    /// Writes state; further rights come from capabilities.
    Member = 3,
    /// Reads.
    ReadOnly = 4,
}

impl Role {
    /// The name that people type.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
            Self::ReadOnly => "readonly",
        }
    }

    /// Whether a holder may write state.
    #[must_use]
    pub const fn writes(self) -> bool {
        match self {
            Self::Owner | Self::Admin | Self::Member => true,
            Self::ReadOnly => false,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no role has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role: there are owner, admin, member and readonly")]
pub struct UnknownRole(pub String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [Self::Owner, Self::Admin, Self::Member, Self::ReadOnly]
            .into_iter()
            .find(|role| role.name() == name)
            .ok_or_else(|| UnknownRole(name.chars().take(64).collect()))
    }
}

/// How much authority a standing gives, the strongest first. Nobody at all has none of these.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Level {
    /// The owner.
    Owner = 0,
    /// An admin.
    Admin = 1,
    /// A member that may manage members.
    Manager = 2,
    /// Any other member that writes.
    Member = 3,
    /// A reader.
    ReadOnly = 4,
}

impl Level {
    /// The name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Manager => "manager",
            Self::Member => "member",
            Self::ReadOnly => "readonly",
        }
    }

    /// Whether this is at least `needed`.
    #[must_use]
    pub fn reaches(self, needed: Self) -> bool {
        self <= needed
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stronger_level_reaches_a_weaker_one() {
        assert!(Level::Owner.reaches(Level::Admin));
        assert!(Level::Manager.reaches(Level::Manager));
        assert!(!Level::Member.reaches(Level::Manager));
    }

    #[test]
    fn roles_have_the_names_that_people_type() {
        assert_eq!("readonly".parse(), Ok(Role::ReadOnly));
        assert_eq!("Admin".parse::<Role>(), Err(UnknownRole("Admin".into())));
    }
}
