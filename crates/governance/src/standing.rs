//! Standing (what a member has) and need (what an op demands): the vectors that the fold compares.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::capability::{Capabilities, Capability};
use crate::role::{Level, Role};

/// A member's role and capability bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
pub struct Standing {
    /// The role.
    pub role: Role,
    /// The bits that were granted; what they amount to depends on the role, see [`Standing::effective`].
    pub capabilities: Capabilities,
}

impl Standing {
    /// A role with capability bits.
    #[must_use]
    pub const fn new(role: Role, capabilities: Capabilities) -> Self {
        Self { role, capabilities }
    }

    /// The owner's standing.
    pub const OWNER: Self = Self::new(Role::Owner, Capabilities::ALL);

    /// The level of authority.
    #[must_use]
    pub const fn level(self) -> Level {
        match self.role {
            Role::Owner => Level::Owner,
            Role::Admin => Level::Admin,
            Role::Member if self.capabilities.has(Capability::ManageMembers) => Level::Manager,
            Role::Member => Level::Member,
            Role::ReadOnly => Level::ReadOnly,
        }
    }

    /// The capabilities that count: all for owner and admins, the granted ones for members; of a reader's only
    /// the right to join Open contexts, which is a right to read.
    #[must_use]
    pub const fn effective(self) -> Capabilities {
        match self.role {
            Role::Owner | Role::Admin => Capabilities::ALL,
            Role::Member => self.capabilities,
            Role::ReadOnly => self.capabilities.intersection(Capabilities::DEFAULT),
        }
    }

    /// The least of two: the weaker role, and only what both give.
    ///
    /// The level of the result is the weaker of the two levels, so that folding standings and folding levels
    /// is the same thing.
    #[must_use]
    pub fn meet(self, other: Self) -> Self {
        let both_lead = self.leads() && other.leads();
        let bits = |standing: Self| {
            if standing.leads() && !both_lead { Capabilities::ALL } else { standing.capabilities }
        };
        Self::new(self.role.max(other.role), bits(self).intersection(bits(other)))
    }

    /// Whether this standing satisfies `need`.
    #[must_use]
    pub fn satisfies(self, need: Need) -> bool {
        self.level().reaches(need.level) && self.effective().contains(need.capabilities)
    }

    /// What a member of an ancestor with this standing has in a descendant: the role, where owner and admins of the
    /// ancestor are admins, and of the capabilities the one that every member is offered. What else was granted was
    /// granted for the group that it was granted in.
    #[must_use]
    pub const fn inherited(self) -> Self {
        match self.role {
            Role::Owner | Role::Admin => Self::new(Role::Admin, Capabilities::ALL),
            Role::Member | Role::ReadOnly => {
                Self::new(self.role, self.capabilities.intersection(Capabilities::DEFAULT))
            }
        }
    }

    const fn leads(self) -> bool {
        matches!(self.role, Role::Owner | Role::Admin)
    }
}

/// What an op demands of a member whom it relies on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Need {
    /// At least this level.
    pub level: Level,
    /// And these capabilities.
    pub capabilities: Capabilities,
    /// And by a row of the group itself: what comes from its ancestors is not enough.
    pub is_direct: bool,
}

impl Need {
    /// Membership of any kind.
    pub const MEMBERSHIP: Self = Self::level(Level::ReadOnly);

    /// A level and no capability.
    #[must_use]
    pub const fn level(level: Level) -> Self {
        Self { level, capabilities: Capabilities::NONE, is_direct: false }
    }

    /// The right to write and one capability.
    #[must_use]
    pub const fn capability(capability: Capability) -> Self {
        Self { level: Level::Member, capabilities: Capabilities::NONE.with(capability), is_direct: false }
    }

    /// The same, by a row of the group itself.
    #[must_use]
    pub const fn directly(self) -> Self {
        Self { is_direct: true, ..self }
    }

    /// What giving (or setting) a standing takes: an admin for a manager or above; else `at_least`, and every
    /// capability that is given, because nobody gives what they lack. Joining Open contexts is common to all
    /// members and may be given by anyone who may give at all. An admin is made by an admin of the group itself: one of
    /// an ancestor could else let itself, or a puppet, into Restricted contexts.
    #[must_use]
    pub fn to_give(standing: Standing, at_least: Self) -> Self {
        if standing.level().reaches(Level::Admin) {
            return Self::level(Level::Admin).directly().and(at_least);
        }
        if standing.level().reaches(Level::Manager) {
            return Self::level(Level::Admin).and(at_least);
        }
        let given = standing.capabilities.difference(Capabilities::DEFAULT);
        at_least.and(Self { level: Level::ReadOnly, capabilities: given, is_direct: false })
    }

    /// Both needs.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            level: self.level.min(other.level),
            capabilities: self.capabilities.union(other.capabilities),
            is_direct: self.is_direct || other.is_direct,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn standing() -> impl Strategy<Value = Standing> {
        let roles = [Role::Owner, Role::Admin, Role::Member, Role::ReadOnly];
        (0..roles.len(), 0..=Capabilities::ALL.bits()).prop_map(move |(role, bits)| {
            Standing::new(roles[role], Capabilities::from_bits(bits).expect("known bits"))
        })
    }

    fn need() -> impl Strategy<Value = Need> {
        let levels = [Level::Owner, Level::Admin, Level::Manager, Level::Member, Level::ReadOnly];
        (0..levels.len(), 0..=Capabilities::ALL.bits()).prop_map(move |(level, bits)| Need {
            level: levels[level],
            capabilities: Capabilities::from_bits(bits).expect("known bits"),
            is_direct: false,
        })
    }

    proptest! {
        #[test]
        fn the_level_of_the_least_is_the_least_level(a in standing(), b in standing()) {
            prop_assert_eq!(a.meet(b).level(), a.level().max(b.level()));
        }

        #[test]
        fn meet_is_commutative_associative_and_idempotent(a in standing(), b in standing(), c in standing()) {
            prop_assert_eq!(a.meet(b), b.meet(a));
            prop_assert_eq!(a.meet(b).meet(c), a.meet(b.meet(c)));
            prop_assert_eq!(a.meet(a), a);
        }

        #[test]
        fn the_least_satisfies_only_what_both_satisfy(a in standing(), b in standing(), need in need()) {
            if a.meet(b).satisfies(need) {
                prop_assert!(a.satisfies(need) && b.satisfies(need));
            }
        }

        #[test]
        fn who_may_give_a_standing_below_manager_has_all_that_it_gives(a in standing(), given in standing()) {
            let need = Need::to_give(given, Need::level(Level::Manager));
            if a.satisfies(need) && !given.level().reaches(Level::Manager) {
                let beyond = given.effective().difference(Capabilities::DEFAULT);
                prop_assert!(a.effective().contains(beyond));
            }
        }
    }
}
