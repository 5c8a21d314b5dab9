//! Placing a live op: what each action makes of the state.

use std::collections::BTreeSet;
use std::sync::Arc;

use mesto_oplog::{EntryId, PublicKey};

use super::ancestry::Below;
use super::graph::{Graph, Ix};
use super::slot::{Placing, Slot};
use super::state::{Context, Epoch, GroupState, Invitation, Person, Target};
use super::view::Fold;
use crate::action::{
    Action, Alias, AliasSet, ContextRef, ContextRegistered, Domain, InvitationCreated, KeyEpochStarted, PeerHint,
    Visibility,
};
use crate::context_right::ContextRight;
use crate::id::{ContextId, GroupId, InvitationId, SealingPublicKey};
use crate::op::Op;
use crate::standing::Standing;

/// An admitted op, as the graph keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Admitted {
    pub(crate) author: PublicKey,
    pub(crate) op: Op,
    /// The keys, as its author knew them, of the members whose standing it sets. It speaks of whoever has these keys, also
    /// where the op that told of them dies and this one stands.
    pub(crate) keys: Vec<(PublicKey, (SealingPublicKey, PeerHint))>,
}

/// The graph of a group's log.
pub(crate) type OpGraph = Graph<EntryId, PublicKey, Arc<Admitted>>;

impl Fold<EntryId, PublicKey, Arc<Admitted>> for GroupState {
    type Upper<'a> = Below<'a>;

    fn upper<'a>(&'a self, heads: &'a BTreeSet<Ix>) -> Below<'a> {
        Below { ancestry: &self.ancestry, heads }
    }

    fn rebased(&self, graph: &OpGraph, seed: &Self) -> Option<Self> {
        let is_same = Arc::ptr_eq(&self.ancestry, &seed.ancestry);
        let matters = |who: &PublicKey| graph.relying.contains_key(who) || self.people.contains_key(who);
        (is_same || seed.ancestry.stands_in_for(&self.ancestry, &matters))
            .then(|| Self { ancestry: Arc::clone(&seed.ancestry), ..self.clone() })
    }

    fn place(&mut self, graph: &OpGraph, x: Ix) {
        let node = graph.node(x);
        let op = Placing {
            ix: x,
            id: node.id,
            height: node.height,
            author: node.payload.author,
            rank: &node.rank,
            precedes: &|a, b| graph.is_past(a, b),
        };
        self.roster.place(graph, x);
        for (member, (sealing, peer)) in &node.payload.keys {
            self.place_keys(&op, *member, *sealing, peer);
        }
        for (index, action) in (0u8..).zip(&node.payload.op.actions) {
            self.place_action(&op, index, action);
        }
        if !self.ancestry.levels.is_empty() {
            self.sever_all(graph, x);
        }
    }
}

impl GroupState {
    /// Takes in one action of a live op, except for what it does to standings.
    pub(crate) fn place_action(&mut self, op: &Placing<'_>, index: u8, action: &Action) {
        for named in action.descendants() {
            self.heads_named.extend(named.heads.iter().copied());
        }
        match action {
            Action::GroupCreated(created) => {
                self.group = GroupId::of_genesis(op.id);
                self.nonce = created.nonce;
                self.place_keys(op, op.author, created.sealing_key, &created.peer);
            }
            Action::MemberAdded(added) => self.place_keys(op, added.member, added.sealing_key, &added.peer),
            Action::JoinByInvitation(join) => {
                let claim = &join.claim;
                self.place_keys(op, claim.joiner, claim.sealing_key, &claim.peer);
                if let Some(invitation) = self.invitations.get_mut(&claim.invitation) {
                    Arc::make_mut(invitation).used += 1;
                }
            }
            Action::MemberRemoved(removed) => self.place_end(op, removed.member),
            Action::MemberLeft(_) => self.place_end(op, op.author),
            Action::DefaultCapabilitiesSet(set) => self.default_capabilities.set(op, set.capabilities),
            Action::DefaultVisibilitySet(set) => self.default_visibility.set(op, set.visibility),
            Action::InvitationCreated(created) => self.place_invitation(op, index, created),
            Action::InvitationRevoked(revoked) => {
                if let Some(invitation) = self.invitations.get_mut(&revoked.invitation) {
                    Arc::make_mut(invitation).is_revoked = true;
                }
            }
            Action::ContextRegistered(registered) => self.place_context(op, index, registered),
            Action::ContextDetached(_)
            | Action::ContextVisibilitySet(_)
            | Action::ContextDisallowed(_)
            | Action::ContextLeft(_)
            | Action::ContextApplicationSet(_)
            | Action::MigrationAborted(_) => {
                if let Some(context) = action.context_ref() {
                    self.with_context(op, context, |context| context.place(op, action));
                }
            }
            Action::ContextAllowed(allowed) => {
                self.place_allowed(op, allowed.context.resolve(op.id), allowed.member);
            }
            Action::ContextJoined(joined) => {
                self.place_joined(op, joined.context.resolve(op.id), joined.identity);
            }
            Action::TargetApplicationSet(set) => self.target.set(op, Target { op: op.id, set: set.clone() }),
            Action::UpgradePolicySet(set) => self.policy.set(op, set.policy),
            Action::AliasSet(set) => self.place_alias(op, set),
            Action::KeyEpochStarted(started) => self.place_epoch(op, started),
            Action::GroupDeleted => self.is_deleted = true,
            Action::SubgroupCreated(created) => self.subgroups.entry(created.group).or_default().set(op, true),
            Action::SubgroupRemoved(removed) => self.subgroups.entry(removed.group).or_default().set(op, false),
            Action::Checkpoint(checkpoint) => {
                self.with_context(op, ContextRef::Id(checkpoint.context), |context| {
                    context.checkpoints.insert(op.id, Arc::new(checkpoint.clone()));
                });
            }
            Action::ContextCapabilityGranted(granted) => {
                self.place_rights(op, granted.context.resolve(op.id), granted.member, granted.rights, true);
            }
            Action::ContextCapabilityRevoked(revoked) => {
                self.place_rights(op, revoked.context.resolve(op.id), revoked.member, revoked.rights, false);
            }
            Action::AdmissionPolicySet(set) => self.admission.set(op, (op.ix, Arc::new(set.clone()))),
            Action::TeeAdmitted(admitted) => {
                self.place_keys(op, admitted.member, admitted.sealing_key, &admitted.peer);
            }
            Action::OwnershipTransferred(_)
            | Action::MemberRoleSet(_)
            | Action::MemberCapabilitiesSet(_)
            | Action::Merge => {}
        }
    }

    fn place_keys(&mut self, op: &Placing<'_>, member: PublicKey, sealing: SealingPublicKey, peer: &PeerHint) {
        self.person(member).keys.set(op, (sealing, peer.clone()));
    }

    fn place_alias(&mut self, op: &Placing<'_>, set: &AliasSet) {
        match set.subject {
            Alias::Group => self.name.set(op, set.name.clone()),
            Alias::Member(member) => self.person(member).alias.set(op, set.name.clone()),
            Alias::Context(context) => {
                self.with_context(op, context, |context| context.alias.set(op, set.name.clone()));
            }
        }
    }

    fn place_invitation(&mut self, op: &Placing<'_>, index: u8, created: &InvitationCreated) {
        let id = InvitationId::of_action(op.id, index);
        let row = Invitation {
            id,
            op: op.id,
            inviter: op.author,
            key: created.key,
            standing: Standing::new(created.role, created.capabilities),
            expires_at_ms: created.expires_at_ms,
            uses: created.uses,
            used: 0,
            is_revoked: false,
            ix: op.ix,
        };
        self.invitations.insert(id, Arc::new(row));
    }

    fn place_context(&mut self, op: &Placing<'_>, index: u8, registered: &ContextRegistered) {
        let id = ContextId::of_action(op.id, index);
        let mut row = Context {
            id,
            op: op.id,
            nonce: registered.nonce,
            creator: op.author,
            is_detached: false,
            ix: op.ix,
            founded: Slot::default(),
            is_forfeited: false,
            registered_release: registered.release.clone(),
            release: Slot::default(),
            visibility: Slot::default(),
            alias: Slot::default(),
            allowlist: imbl::OrdMap::new(),
            identities: imbl::OrdMap::new(),
            gates: imbl::OrdSet::new(),
            enders: imbl::OrdSet::new(),
            losses: Slot::default(),
            rights: imbl::OrdMap::new(),
            checkpoints: imbl::OrdMap::new(),
            aborted: imbl::OrdSet::new(),
            severed: imbl::OrdSet::new(),
            delisted: imbl::OrdSet::new(),
        };
        row.founded.set(op, true);
        row.founded.end_beside(op, &self.person(op.author).ended, false);
        self.contexts.insert(id, Arc::new(row));
        self.place_allowed(op, id, op.author);
    }

    fn place_allowed(&mut self, op: &Placing<'_>, id: ContextId, member: PublicKey) {
        let person = self.person(member);
        person.places.insert((id, None));
        let ended = person.ended.clone();
        if let Some(context) = self.contexts.get_mut(&id) {
            let context = Arc::make_mut(context);
            context.gates.insert(op.ix);
            let slot = context.allowlist.entry(member).or_default();
            slot.set(op, true);
            slot.end_beside(op, &ended, false);
        }
    }

    fn place_joined(&mut self, op: &Placing<'_>, id: ContextId, identity: PublicKey) {
        let person = self.person(op.author);
        person.places.insert((id, Some(identity)));
        let ended = person.ended.clone();
        if let Some(context) = self.contexts.get_mut(&id) {
            let slot = Arc::make_mut(context).identities.entry(identity).or_default();
            slot.set(op, Some(op.author));
            slot.end_beside(op, &ended, None);
        }
    }

    /// Who goes loses all identities, all places on allowlists, and what comes of having registered a context: whoever comes
    /// back begins anew.
    fn place_end(&mut self, op: &Placing<'_>, member: PublicKey) {
        self.losses.set(op, ());
        let person = self.person(member);
        person.ended.set(op, ());
        for (id, identity) in person.places.clone() {
            let Some(context) = self.contexts.get_mut(&id) else { continue };
            let context = Arc::make_mut(context);
            match identity {
                Some(identity) => context.identities.entry(identity).or_default().set(op, None),
                None => {
                    context.allowlist.entry(member).or_default().set(op, false);
                    if context.creator == member {
                        context.founded.set(op, false);
                    }
                    for right in ContextRight::ALL {
                        if let Some(slot) = context.rights.get_mut(&(member, right)) {
                            slot.set(op, false);
                        }
                    }
                }
            }
        }
    }

    fn place_rights(&mut self, op: &Placing<'_>, id: ContextId, member: PublicKey, bits: u8, is_given: bool) {
        let person = self.person(member);
        person.places.insert((id, None));
        let ended = person.ended.clone();
        let Some(context) = self.contexts.get_mut(&id) else { return };
        for right in ContextRight::of_bits(bits).into_iter().flatten() {
            let slot = Arc::make_mut(context).rights.entry((member, right)).or_default();
            slot.set(op, is_given);
            slot.end_beside(op, &ended, false);
        }
    }

    /// Finds anew, for all whom `x` touches, what they lost with a membership in an ancestor.
    fn sever_all(&mut self, graph: &OpGraph, x: Ix) {
        let node = graph.node(x);
        let mut who: Vec<PublicKey> = vec![node.payload.author];
        who.extend(node.effects.changes.iter().map(|(member, _)| *member));
        for action in &node.payload.op.actions {
            if let Action::ContextAllowed(allowed) = action {
                who.push(allowed.member);
            } else if let Action::ContextCapabilityGranted(granted) = action {
                who.push(granted.member);
            }
        }
        for member in who {
            self.sever(graph, member);
        }
    }

    fn sever(&mut self, graph: &OpGraph, member: PublicKey) {
        let Some(person) = self.people.get(&member).cloned() else { return };
        let is_direct = self.roster.standing(&member).is_some();
        let ancestry = Arc::clone(&self.ancestry);
        let lost = |op: Ix| !is_direct && ancestry.is_severed(&member, &graph.node(op).above);
        for (id, identity) in &person.places {
            let Some(row) = self.contexts.get_mut(id) else { continue };
            if let Some(identity) = identity {
                let is_lost = row.identities.get(identity).is_some_and(|slot| slot.ops().any(&lost));
                if row.severed.contains(identity) != is_lost {
                    let severed = &mut Arc::make_mut(row).severed;
                    if is_lost {
                        severed.insert(*identity)
                    } else {
                        severed.remove(identity)
                    };
                }
                continue;
            }
            let is_forfeited = row.creator == member && row.founded.ops().any(&lost);
            if row.creator == member && row.is_forfeited != is_forfeited {
                Arc::make_mut(row).is_forfeited = is_forfeited;
            }
            for right in [None].into_iter().chain(ContextRight::ALL.map(Some)) {
                let slot = match right {
                    None => row.allowlist.get(&member),
                    Some(right) => row.rights.get(&(member, right)),
                };
                let is_lost = slot.is_some_and(|slot| slot.ops().any(&lost));
                if row.delisted.contains(&(member, right)) != is_lost {
                    let delisted = &mut Arc::make_mut(row).delisted;
                    if is_lost {
                        delisted.insert((member, right))
                    } else {
                        delisted.remove(&(member, right))
                    };
                }
            }
        }
    }

    /// The same key started twice is one epoch: the first in walk order.
    fn place_epoch(&mut self, op: &Placing<'_>, started: &KeyEpochStarted) {
        let context = match started.domain {
            Domain::Group => None,
            Domain::Context(context) => Some(context.resolve(op.id)),
        };
        if self.epochs.get(&started.key).is_some_and(|known| (known.height, known.op) <= (op.height, op.id)) {
            return;
        }
        let row = Epoch {
            key: started.key,
            context,
            op: op.id,
            height: op.height,
            author: op.author,
            started: started.clone(),
            ix: op.ix,
        };
        self.epochs.insert(started.key, Arc::new(row));
    }

    fn person(&mut self, member: PublicKey) -> &mut Person {
        Arc::make_mut(self.people.entry(member).or_default())
    }

    fn with_context(&mut self, op: &Placing<'_>, context: ContextRef, change: impl FnOnce(&mut Context)) {
        if let Some(row) = self.contexts.get_mut(&context.resolve(op.id)) {
            change(Arc::make_mut(row));
        }
    }
}

impl Context {
    /// Takes in what an action says of this context alone.
    fn place(&mut self, op: &Placing<'_>, action: &Action) {
        if let Action::ContextApplicationSet(set) = action {
            return self.release.set(op, set.release.clone());
        }
        if let Action::MigrationAborted(aborted) = action {
            self.aborted.insert(aborted.target);
            return;
        }
        // The others end rights, but for opening.
        if let Action::ContextVisibilitySet(set) = action {
            self.gates.insert(op.ix);
            self.visibility.set(op, set.visibility);
            if set.visibility == Visibility::Open {
                return;
            }
        }
        self.enders.insert(op.ix);
        if let Action::ContextDetached(_) = action {
            self.is_detached = true;
            return;
        }
        self.losses.set(op, ());
        if let Action::ContextDisallowed(disallowed) = action {
            self.gates.insert(op.ix);
            self.allowlist.entry(disallowed.member).or_default().set(op, false);
        }
        if let Action::ContextLeft(left) = action {
            self.identities.entry(left.identity).or_default().set(op, None);
        }
    }
}
