//! A context of a group: who may read it, as whom members are in it, and what it runs.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use mesto_oplog::{EntryId, PublicKey};

use crate::action::{Checkpoint, Release, Visibility};
use crate::context_right::ContextRight;
use crate::fold::graph::Ix;
use crate::fold::slot::Slot;
use crate::id::ContextId;

/// A context.
#[derive(Clone, Debug)]
pub struct Context {
    /// Its id.
    pub id: ContextId,
    /// The op that registered it.
    pub op: EntryId,
    /// The random bytes of the registration, which proofs and key wraps are bound to.
    pub nonce: [u8; 32],
    /// Who registered it. Whether that still gives anything, [`Context::is_creator`] tells.
    pub creator: PublicKey,
    /// Whether it was taken out of the group.
    pub is_detached: bool,
    pub(crate) ix: Ix,
    /// Whether the creator's membership is the one in which it was registered.
    pub(crate) founded: Slot<bool>,
    /// Whether the creator lost the membership in an ancestor by which it was registered.
    pub(crate) is_forfeited: bool,
    pub(crate) registered_release: Release,
    pub(crate) release: Slot<Release>,
    pub(crate) visibility: Slot<Visibility>,
    pub(crate) alias: Slot<String>,
    /// By member: on the list or off it.
    pub(crate) allowlist: OrdMap<PublicKey, Slot<bool>>,
    /// By identity: the member that joined as it, or nothing once it left.
    pub(crate) identities: OrdMap<PublicKey, Slot<Option<PublicKey>>>,
    /// All live ops that say who is let in here: visibility, allow, disallow.
    pub(crate) gates: OrdSet<Ix>,
    /// All live ops that may end somebody's rights here: detach, restrict, disallow, leave.
    pub(crate) enders: OrdSet<Ix>,
    /// The maximal live ops by which somebody lost the right to read here.
    pub(crate) losses: Slot<()>,
    /// By member and right: whether it is given.
    pub(crate) rights: OrdMap<(PublicKey, ContextRight), Slot<bool>>,
    /// By op.
    pub(crate) checkpoints: OrdMap<EntryId, Arc<Checkpoint>>,
    /// The ops whose migrations were given up.
    pub(crate) aborted: OrdSet<EntryId>,
    /// Identities whose members lost the membership in an ancestor that they joined by.
    pub(crate) severed: OrdSet<PublicKey>,
    /// Places on the allowlist, and rights, of which the same is true.
    pub(crate) delisted: OrdSet<(PublicKey, Option<ContextRight>)>,
}

impl Context {
    /// What it runs: what it was registered with, or what was set for it since. Whether it follows the group's
    /// target is a matter of the group's policy.
    #[must_use]
    pub fn release(&self) -> &Release {
        self.release.strongest().unwrap_or(&self.registered_release)
    }

    /// Whether a member has what comes of having registered it: until its membership ends, whoever comes back begins anew.
    #[must_use]
    pub fn is_creator(&self, member: &PublicKey) -> bool {
        self.creator == *member && !self.is_forfeited && self.founded.values().all(|&stands| stands)
    }

    /// Who may join it. Restricted beats a concurrent Open.
    #[must_use]
    pub fn visibility(&self) -> Visibility {
        self.visibility.values().copied().max().unwrap_or_default()
    }

    /// Its name, empty if it has none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.alias.strongest().map(String::as_str).unwrap_or_default()
    }

    /// Whether a member is on the allowlist. Off beats a concurrent on.
    #[must_use]
    pub fn is_allowed(&self, member: &PublicKey) -> bool {
        let is_on = |slot: &Slot<bool>| slot.values().all(|&allowed| allowed);
        !self.delisted.contains(&(*member, None)) && self.allowlist.get(member).is_some_and(is_on)
    }

    /// Whether a member was given a right here. Taken beats a concurrent given.
    #[must_use]
    pub fn has_right(&self, member: &PublicKey, right: ContextRight) -> bool {
        let is_given = |slot: &Slot<bool>| slot.values().all(|&given| given);
        !self.delisted.contains(&(*member, Some(right))) && self.rights.get(&(*member, right)).is_some_and(is_given)
    }

    /// The members that were given rights here, with the rights.
    pub fn rights(&self) -> impl Iterator<Item = (PublicKey, ContextRight)> {
        self.rights.keys().copied().filter(|(member, right)| self.has_right(member, *right))
    }

    /// The checkpoints, in order of the ops that made them.
    pub fn checkpoints(&self) -> impl Iterator<Item = (&EntryId, &Checkpoint)> {
        self.checkpoints.iter().map(|(op, checkpoint)| (op, checkpoint.as_ref()))
    }

    /// Whether the migration that an op asked for was given up.
    #[must_use]
    pub fn is_aborted(&self, target: &EntryId) -> bool {
        self.aborted.contains(target)
    }

    /// The allowlist, in order of the members' keys.
    pub fn allowlist(&self) -> impl Iterator<Item = &PublicKey> {
        self.allowlist.keys().filter(|member| self.is_allowed(member))
    }

    /// The member that an identity is bound to. Leaving beats a concurrent join.
    #[must_use]
    pub fn member_of(&self, identity: &PublicKey) -> Option<PublicKey> {
        let slot = self.identities.get(identity).filter(|_| !self.severed.contains(identity))?;
        if slot.values().any(Option::is_none) { None } else { slot.strongest().copied().flatten() }
    }

    /// The identities and their members, in order of the identities.
    pub fn identities(&self) -> impl Iterator<Item = (&PublicKey, PublicKey)> {
        self.identities.keys().filter_map(|identity| Some((identity, self.member_of(identity)?)))
    }
}
