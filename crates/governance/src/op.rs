//! The body of a governance op: 1 to 64 actions, of which all apply or none.

use borsh::{BorshDeserialize, BorshSerialize};
use mesto_oplog::entry::{GOVERNANCE_BODY_LEN_MAX, Kind, PARENTS_MAX};
use mesto_oplog::{EntryId, Verified};

use crate::action::{Action, ContextRef, check_list};

/// Most actions of one op: what a person does in one step, and a bound for its cost.
pub const ACTIONS_MAX: usize = 64;

/// The body of a governance op.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Op {
    /// Ops in the logs of ancestor groups that the author had seen: strictly ascending, at most [`PARENTS_MAX`].
    pub ancestor_parents: Vec<EntryId>,
    /// What the op does, in order; from 1 to [`ACTIONS_MAX`].
    pub actions: Vec<Action>,
}

/// Why bytes are no governance op, or actions make none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpError {
    /// The entry is of another kind.
    #[error("the entry is a {0:?}, not a governance op")]
    WrongKind(Kind),
    /// A tag that this build does not know, a cut, or bytes left over.
    #[error("malformed op: {0}")]
    Malformed(String),
    /// Larger than an op may be.
    #[error("an op of {0} bytes exceeds the limit of {GOVERNANCE_BODY_LEN_MAX}")]
    TooLong(usize),
    /// No actions, or more than [`ACTIONS_MAX`].
    #[error("an op has 1 to {ACTIONS_MAX} actions, not {0}")]
    ActionCount(usize),
    /// A text over its bound.
    #[error("`{field}` of {len} bytes exceeds the limit of {max}")]
    TextTooLong {
        /// The field.
        field: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// A text with control characters.
    #[error("`{field}` contains control characters")]
    ControlCharacter {
        /// The field.
        field: &'static str,
    },
    /// A list over its bound.
    #[error("`{field}` has {count} items, the limit is {max}")]
    TooMany {
        /// The field.
        field: &'static str,
        /// How many.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// A list that is not strictly ascending.
    #[error("`{field}` is not strictly ascending")]
    Unordered {
        /// The field.
        field: &'static str,
    },
    /// An invitation for nobody, or for too many.
    #[error("an invitation has 1 to 100000 uses, not {0}")]
    UsesOutOfRange(u32),
    /// The digest of a key epoch's recipients is not that of its wraps.
    #[error("the digest of the recipients is not that of the wraps")]
    RecipientsDiffer,
    /// [`ContextRef::Here`] that names no registration before it.
    #[error("action {action} names action {named}, which is no earlier registration of a context")]
    NotRegisteredHere {
        /// The action that names.
        action: usize,
        /// The action that is named.
        named: u8,
    },
}

impl Op {
    /// An op of these actions, without ancestors.
    #[must_use]
    pub const fn new(actions: Vec<Action>) -> Self {
        Self { ancestor_parents: Vec::new(), actions }
    }

    /// Reads the body of a governance entry.
    ///
    /// # Errors
    /// Anything but the one canonical encoding of a valid op; see [`OpError`].
    pub fn decode(entry: &Verified) -> Result<Self, OpError> {
        match entry.header().kind {
            Kind::Governance => Self::from_bytes(entry.body()),
            kind @ Kind::Delta => Err(OpError::WrongKind(kind)),
        }
    }

    /// Reads a body.
    ///
    /// # Errors
    /// As [`Op::decode`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OpError> {
        if bytes.len() > GOVERNANCE_BODY_LEN_MAX {
            return Err(OpError::TooLong(bytes.len()));
        }
        let op = Self::try_from_slice(bytes).map_err(|error| OpError::Malformed(error.to_string()))?;
        op.check()?;
        Ok(op)
    }

    /// The canonical bytes: the body of the entry.
    ///
    /// # Errors
    /// If the op breaks a bound; see [`OpError`].
    pub fn encode(&self) -> Result<Vec<u8>, OpError> {
        self.check()?;
        let bytes = borsh::to_vec(self).map_err(|error| OpError::Malformed(error.to_string()))?;
        if bytes.len() > GOVERNANCE_BODY_LEN_MAX {
            return Err(OpError::TooLong(bytes.len()));
        }
        Ok(bytes)
    }

    fn check(&self) -> Result<(), OpError> {
        check_list("ancestor_parents", &self.ancestor_parents, PARENTS_MAX)?;
        if self.actions.is_empty() || self.actions.len() > ACTIONS_MAX {
            return Err(OpError::ActionCount(self.actions.len()));
        }
        for (at, action) in self.actions.iter().enumerate() {
            action.check()?;
            if let Some(ContextRef::Here(named)) = action.context_ref() {
                let earlier = self.actions.get(usize::from(named)).filter(|_| usize::from(named) < at);
                if !matches!(earlier, Some(Action::ContextRegistered(_))) {
                    return Err(OpError::NotRegisteredHere { action: at, named });
                }
            }
        }
        Ok(())
    }
}
