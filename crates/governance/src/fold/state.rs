//! The state of a group: what the live ops come to. All maps are persistent: a clone costs nothing.

mod context;

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use mesto_oplog::{EntryId, PublicKey};

pub use self::context::Context;
use super::ancestry::Ancestry;
use super::graph::Ix;
use super::roster::Roster;
use super::slot::Slot;
use crate::action::{AdmissionPolicySet, KeyEpochStarted, PeerHint, TargetApplicationSet, UpgradePolicy, Visibility};
use crate::capability::Capabilities;
use crate::id::{ContextId, GroupId, InvitationId, KeyId, SealingPublicKey};
use crate::rank::Rank;
use crate::role::{Level, Role};
use crate::standing::Standing;

/// What a group's live ops come to.
#[derive(Clone, Debug, Default)]
pub struct GroupState {
    pub(crate) group: GroupId,
    /// What is above.
    pub(crate) ancestry: Arc<Ancestry>,
    pub(crate) nonce: [u8; 32],
    pub(crate) roster: Roster<EntryId, PublicKey>,
    pub(crate) people: OrdMap<PublicKey, Arc<Person>>,
    pub(crate) name: Slot<String>,
    pub(crate) default_capabilities: Slot<Capabilities>,
    pub(crate) default_visibility: Slot<Visibility>,
    pub(crate) target: Slot<Target>,
    pub(crate) policy: Slot<UpgradePolicy>,
    pub(crate) invitations: OrdMap<InvitationId, Arc<Invitation>>,
    pub(crate) contexts: OrdMap<ContextId, Arc<Context>>,
    pub(crate) epochs: OrdMap<KeyId, Arc<Epoch>>,
    /// The maximal live ops by which somebody stopped being a member.
    pub(crate) losses: Slot<()>,
    pub(crate) is_deleted: bool,
    /// By child group: whether it is there.
    pub(crate) subgroups: OrdMap<GroupId, Slot<bool>>,
    /// The heads of descendants' logs that live revocations name.
    pub(crate) heads_named: OrdSet<EntryId>,
    /// With the op that set it.
    pub(crate) admission: Slot<(Ix, Arc<AdmissionPolicySet>)>,
}

/// What is known of a member beside its standing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Person {
    pub(crate) keys: Slot<(SealingPublicKey, PeerHint)>,
    pub(crate) alias: Slot<String>,
    /// The maximal live ops that ended its membership.
    pub(crate) ended: Slot<()>,
    /// The contexts that it has an identity in, or, where there is none, is listed in.
    pub(crate) places: OrdSet<(ContextId, Option<PublicKey>)>,
}

/// A member, as it is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberRow {
    /// The key.
    pub member: PublicKey,
    /// The group whose member it is: this one, or the ancestor from which it inherits.
    pub from: GroupId,
    /// The role.
    pub role: Role,
    /// The capability bits that count.
    pub capabilities: Capabilities,
    /// The level of authority.
    pub level: Level,
    /// The rank.
    pub rank: Rank<EntryId>,
    /// To whom copies of epoch keys are sealed.
    pub sealing_key: SealingPublicKey,
    /// Where its node may be found.
    pub peer: PeerHint,
    /// Its name, empty if it has none.
    pub alias: String,
}

/// The application that contexts are to run, and the op that asks for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// The op.
    pub op: EntryId,
    /// The release and its migration.
    pub set: TargetApplicationSet,
}

/// An invitation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// The op that created it.
    pub op: EntryId,
    /// Who invites.
    pub inviter: PublicKey,
    /// The public half of the ticket's key.
    pub key: PublicKey,
    /// What a joiner gets.
    pub standing: Standing,
    /// Milliseconds since 1970.
    pub expires_at_ms: u64,
    /// How many may join by it.
    pub uses: u32,
    /// How many did.
    pub used: u32,
    /// Whether it was closed.
    pub is_revoked: bool,
    pub(crate) ix: Ix,
}

/// A key epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Epoch {
    /// The key.
    pub key: KeyId,
    /// The context whose key it is; nothing for the group's.
    pub context: Option<ContextId>,
    /// The op that started it.
    pub op: EntryId,
    /// The height of that op.
    pub height: u64,
    /// Who started it.
    pub author: PublicKey,
    /// The wraps.
    pub started: KeyEpochStarted,
    pub(crate) ix: Ix,
}

impl GroupState {
    /// The group.
    #[must_use]
    pub const fn group(&self) -> GroupId {
        self.group
    }

    /// The random bytes of the group's genesis, which key wraps of the group's domain are bound to.
    #[must_use]
    pub const fn nonce(&self) -> &[u8; 32] {
        &self.nonce
    }

    /// The parent's state, as it is seen from here.
    #[must_use]
    pub fn parent(&self) -> Option<&Self> {
        self.ancestry.levels.first().map(|level| &level.view.state)
    }

    /// How many ancestors the group has.
    #[must_use]
    pub fn generation(&self) -> usize {
        self.ancestry.levels.len()
    }

    /// Whether the group was ended: by its owner, or with or by an ancestor.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.is_deleted
            || self.parent().is_some_and(|parent| parent.is_deleted() || parent.subgroup(&self.group) == Some(false))
    }

    /// Whether the group is there: not ended, and, if it is a subgroup, named by its parent, all the way up.
    #[must_use]
    pub fn is_there(&self) -> bool {
        !self.is_deleted
            && self.parent().is_none_or(|parent| parent.is_there() && parent.subgroup(&self.group) == Some(true))
    }

    /// Whether a child group that was named is still there.
    #[must_use]
    pub fn subgroup(&self, group: &GroupId) -> Option<bool> {
        self.subgroups.get(group).map(|slot| slot.values().all(|&is_there| is_there))
    }

    /// The op that names a child group, or ends it.
    #[must_use]
    pub fn subgroup_op(&self, group: &GroupId) -> Option<EntryId> {
        self.subgroups.get(group).and_then(Slot::strongest_op)
    }

    /// The child groups, in order of their ids.
    pub fn subgroups(&self) -> impl Iterator<Item = GroupId> {
        self.subgroups.keys().copied().filter(|group| self.subgroup(group) == Some(true))
    }

    /// Which attested nodes may be admitted.
    #[must_use]
    pub fn admission_policy(&self) -> Option<&AdmissionPolicySet> {
        self.admission.strongest().map(|(_, policy)| policy.as_ref())
    }

    /// The group's name, empty if it has none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.strongest().map(String::as_str).unwrap_or_default()
    }

    /// The owner. There always is one, except in a state that was never begun.
    #[must_use]
    pub fn owner(&self) -> Option<PublicKey> {
        self.roster.members().find(|(_, standing)| standing.role == Role::Owner).map(|(member, _)| *member)
    }

    /// The members that have rows of this group, in order of their keys. Who is a member by an ancestor is not among
    /// them: see [`GroupState::everybody`].
    pub fn members(&self) -> impl Iterator<Item = MemberRow> {
        self.roster.members().filter_map(|(member, _)| self.member(member))
    }

    /// How many members there are.
    #[must_use]
    pub fn member_count(&self) -> usize {
        self.roster.members().count()
    }

    /// All members, also those by an ancestor, in order of their keys.
    #[must_use]
    pub fn everybody(&self) -> Vec<MemberRow> {
        let mut keys: std::collections::BTreeSet<PublicKey> = self.roster.members().map(|(who, _)| *who).collect();
        for level in &self.ancestry.levels {
            keys.extend(level.view.state.roster.members().map(|(who, _)| *who));
        }
        keys.iter().filter_map(|who| self.member(who)).collect()
    }

    /// A member, by a row of this group or else of the nearest ancestor that has one.
    #[must_use]
    pub fn member(&self, member: &PublicKey) -> Option<MemberRow> {
        let Some(standing) = self.roster.standing(member) else {
            return self.inherited(member);
        };
        let person = self.people.get(member);
        let (sealing_key, peer) = person.and_then(|person| person.keys.strongest()).cloned().unwrap_or_default();
        Some(MemberRow {
            member: *member,
            from: self.group,
            role: standing.role,
            capabilities: standing.effective(),
            level: standing.level(),
            rank: self.roster.rank(member)?.clone(),
            sealing_key,
            peer,
            alias: self.name_of(member).to_owned(),
        })
    }

    /// The name of a member, or else what it is named in the nearest ancestor that names it; empty if none does.
    fn name_of(&self, member: &PublicKey) -> &str {
        let named = std::iter::successors(Some(self), |state| state.parent()).map(|state| state.own_name(member));
        named.into_iter().find(|name| !name.is_empty()).unwrap_or_default()
    }

    /// The name that a member was given in this group, empty if none.
    pub(crate) fn own_name(&self, member: &PublicKey) -> &str {
        let given = self.people.get(member).and_then(|person| person.alias.strongest());
        given.map(String::as_str).unwrap_or_default()
    }

    /// The sealing key and the node of somebody who is, or was, a member.
    #[must_use]
    pub fn keys_of(&self, member: &PublicKey) -> Option<&(SealingPublicKey, PeerHint)> {
        self.people.get(member)?.keys.strongest()
    }

    /// The keys of those to whom changes give a standing, as far as they are known.
    pub(crate) fn keys_of_changed(
        &self,
        changes: &[(PublicKey, Option<Standing>)],
    ) -> Vec<(PublicKey, (SealingPublicKey, PeerHint))> {
        let given = changes.iter().filter(|(_, standing)| standing.is_some());
        given.filter_map(|(member, _)| Some((*member, self.keys_of(member)?.clone()))).collect()
    }

    /// Everybody who is, or was, a member and whose keys are known, in order of their keys.
    pub fn known_people(&self) -> impl Iterator<Item = &PublicKey> {
        self.people.keys().filter(|member| self.keys_of(member).is_some())
    }

    fn inherited(&self, member: &PublicKey) -> Option<MemberRow> {
        let row = self.parent()?.member(member)?;
        let standing = self.standing(member)?;
        Some(MemberRow {
            role: standing.role,
            capabilities: standing.effective(),
            level: standing.level(),
            rank: self.rank(member)?,
            alias: self.name_of(member).to_owned(),
            ..row
        })
    }

    /// A member's role and capability bits: by its row of this group, or else by what it inherits.
    #[must_use]
    pub fn standing(&self, member: &PublicKey) -> Option<Standing> {
        let above = || self.parent()?.standing(member).map(Standing::inherited);
        self.roster.standing(member).or_else(above)
    }

    /// A member's role and capability bits by its row of this group.
    #[must_use]
    pub fn direct(&self, member: &PublicKey) -> Option<Standing> {
        self.roster.standing(member)
    }

    /// A member's rank. What is inherited keeps the place of the ancestor's row: of equals, who comes from further up
    /// outranks, and the owner of an ancestor outranks its admins.
    #[must_use]
    pub fn rank(&self, member: &PublicKey) -> Option<Rank<EntryId>> {
        if let Some(rank) = self.roster.rank(member) {
            return Some(rank.clone());
        }
        let rank = self.parent()?.rank(member)?;
        let level = self.standing(member)?.level();
        let depth = if rank.level == Level::Owner { 0 } else { rank.depth.saturating_add(1) };
        Some(Rank { level, depth, ..rank })
    }

    /// The capability bits that new members are offered.
    #[must_use]
    pub fn default_capabilities(&self) -> Capabilities {
        self.default_capabilities.strongest().copied().unwrap_or(Capabilities::DEFAULT)
    }

    /// The visibility that new contexts are offered.
    #[must_use]
    pub fn default_visibility(&self) -> Visibility {
        self.default_visibility.strongest().copied().unwrap_or_default()
    }

    /// The application that contexts are to run.
    #[must_use]
    pub fn target(&self) -> Option<&Target> {
        self.target.strongest()
    }

    /// When contexts follow the target.
    #[must_use]
    pub fn policy(&self) -> UpgradePolicy {
        self.policy.strongest().copied().unwrap_or_default()
    }

    /// The invitations, in order of their ids, also those that are used up, expired or revoked.
    pub fn invitations(&self) -> impl Iterator<Item = &Invitation> {
        self.invitations.values().map(Arc::as_ref)
    }

    /// An invitation.
    #[must_use]
    pub fn invitation(&self, id: &InvitationId) -> Option<&Invitation> {
        self.invitations.get(id).map(Arc::as_ref)
    }

    /// The contexts that are in the group, in order of their ids.
    pub fn contexts(&self) -> impl Iterator<Item = &Context> {
        self.contexts.values().map(Arc::as_ref).filter(|context| !context.is_detached)
    }

    /// A context, also one that was detached.
    #[must_use]
    pub fn context(&self, id: &ContextId) -> Option<&Context> {
        self.contexts.get(id).map(Arc::as_ref)
    }

    /// The key epochs, of all domains, in order of their keys.
    pub fn epochs(&self) -> impl Iterator<Item = &Epoch> {
        self.epochs.values().map(Arc::as_ref)
    }

    /// The epoch of a key.
    #[must_use]
    pub fn epoch(&self, key: &KeyId) -> Option<&Epoch> {
        self.epochs.get(key).map(Arc::as_ref)
    }
}
