//! What members decide about their group: who is in it as what, its invitations and its settings.

use mesto_governance::action::{
    Action, Alias, AliasSet, DESCENDANTS_MAX, DefaultCapabilitiesSet, DefaultVisibilitySet, DescendantHeads,
    InvitationRevoked, KEEP_MAX, Kept, MemberAdded, MemberCapabilitiesSet, MemberLeft, MemberRemoved, MemberRoleSet,
    OwnershipTransferred, PeerHint, SubgroupRemoved, UpgradePolicySet, Visibility,
};
use mesto_governance::card::{CARD_PREFIX, Card};
use mesto_governance::{Capabilities, ContextId, GroupId, GroupState, Right, Role, SealingPublicKey, Standing};
use mesto_oplog::PublicKey;
use mesto_oplog::entry::PARENTS_MAX;
use mesto_sync::Peer;

use super::lookup::{find, member};
use super::{Node, Turn};
use crate::command::{Acted, CommandError, GroupAct, InvitationInfo, Noun, Reply, Selector, Settings};
use crate::flow::Flow;
use crate::group::Group;
use crate::step::{Effect, Ticket};

/// Actions that make up a decision, and whom it is about.
struct Decision {
    /// An op of its own that comes before.
    ahead: Option<Action>,
    actions: Vec<Action>,
    member: Option<PublicKey>,
    flow: &'static str,
    step: &'static str,
}

impl Node {
    /// Decides something about a group.
    pub(crate) fn group_act(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        selector: &Selector,
        act: GroupAct,
    ) -> Result<(), CommandError> {
        let id = self.member_group(selector)?.id;
        let state = self.state_of(&id)?;
        let mut dial = None;
        let decision = match act {
            GroupAct::AddMember { who, role, capabilities } => {
                let lineage = self.lineage(&id);
                let states: Vec<_> = lineage.iter().filter_map(|id| self.groups.get(id)?.state()).collect();
                let (added, peer) = add(state, &states, &who, role, capabilities)?;
                dial = peer;
                self.addition(turn, &id, state, added)
            }
            GroupAct::RemoveMember(who) => {
                let member = member(state, &who)?;
                let keep = self.kept_of(turn, &id, &member);
                let removed = MemberRemoved { member, keep, descendants: self.descendants(&id) };
                about(member, Action::MemberRemoved(removed), "f18", "member removed")
            }
            GroupAct::SetRole(who, Role::Owner) => {
                let to = member(state, &who)?;
                about(to, Action::OwnershipTransferred(OwnershipTransferred { to }), "f18", "ownership transferred")
            }
            GroupAct::SetRole(who, role) => {
                let member = member(state, &who)?;
                let keep = if role.writes() { Vec::new() } else { self.kept_of(turn, &id, &member) };
                let set = MemberRoleSet { member, role, capabilities: None, keep, descendants: self.descendants(&id) };
                about(member, Action::MemberRoleSet(set), "f16", "role set")
            }
            GroupAct::SetCapabilities(who, capabilities) => {
                let member = member(state, &who)?;
                let action = self.capabilities_action(state, &id, member, capabilities);
                about(member, action, "f17", "capabilities set")
            }
            GroupAct::NameMember(who, name) => {
                let member = member(state, &who)?;
                about(
                    member,
                    Action::AliasSet(AliasSet { subject: Alias::Member(member), name }),
                    "f12",
                    "member named",
                )
            }
            GroupAct::RevokeInvitation(which) => {
                let invitation = find(Noun::Invitation, &which, state.invitations().map(|row| (row.id, None)))?;
                let action = Action::InvitationRevoked(InvitationRevoked { invitation });
                Decision { ahead: None, actions: vec![action], member: None, flow: "f03", step: "invitation revoked" }
            }
            GroupAct::Set(settings) => settings_decision(settings)?,
            GroupAct::Leave => {
                let us = self.groups.get(&id).map(|group| group.member.public()).ok_or(CommandError::Stopping)?;
                let keep = self.kept_of(turn, &id, &us);
                about(us, Action::MemberLeft(MemberLeft { keep }), "f18", "member left")
            }
            GroupAct::Delete if self.is_ended_from_above(&id) => return self.end_subgroup(turn, ticket, id),
            GroupAct::Delete => Decision {
                ahead: None,
                actions: vec![Action::GroupDeleted],
                member: None,
                flow: "f18",
                step: "group deleted",
            },
        };
        self.decide(turn, ticket, id, None, decision)?;
        if let Some((peer, addresses)) = dial {
            self.remember_peer(turn, peer, &addresses);
            self.tell_added(turn, peer);
        }
        Ok(())
    }

    /// Signs a decision; whoever loses the right to read by it is locked out of what comes, in the same batch.
    fn decide(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        id: GroupId,
        context: Option<ContextId>,
        decision: Decision,
    ) -> Result<(), CommandError> {
        let Decision { ahead, actions, member, flow, step } = decision;
        self.with_group(turn, &id, |group, work| {
            ahead.map_or(Ok(()), |action| group.author(work, vec![action]).map(drop))?;
            let op = group.author(work, actions)?;
            if group.we_are_member() {
                // Who may not start an epoch, because it only reads or left the allowlist, leaves it to who writes next.
                let _ = group.renew_keys(work);
            }
            let acted = Acted { group: id, context, member, op };
            work.after(Effect::Reply(ticket, Box::new(Ok(Reply::Acted(acted)))));
            Ok(())
        })
        .unwrap_or(Err(CommandError::Stopping))?;
        // Whoever lost the right to read here lost it below: there the keys are renewed once the ops above are known.
        turn.stale.extend(self.subtree(&id).into_iter().skip(1));
        turn.report(match (context, member) {
            (Some(context), _) => Flow::here(flow, step, context),
            (None, Some(member)) => Flow::here(flow, step, member),
            (None, None) => Flow::here(flow, step, id),
        });
        turn.report(Flow::to_all(flow, "op published", id));
        self.touched(turn, id.log());
        Ok(())
    }

    /// The same about a context.
    pub(crate) fn decide_in_context(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        (id, context): (GroupId, ContextId),
        actions: Vec<Action>,
        step: &'static str,
    ) -> Result<(), CommandError> {
        self.decide(turn, ticket, id, Some(context), Decision { ahead: None, actions, member: None, flow: "f04", step })
    }

    pub(crate) fn state_of(&self, id: &GroupId) -> Result<&GroupState, CommandError> {
        self.groups.get(id).and_then(|group| group.state()).ok_or(CommandError::KeyMissing(*id))
    }

    /// What a revocation of a member keeps: in each context that is here, of the group and of those below, the last
    /// accepted delta of each chain that the member has.
    fn kept_of(&self, turn: &Turn<'_>, group: &GroupId, member: &PublicKey) -> Vec<Kept> {
        let tree = self.subtree(group);
        let mut kept: Vec<Kept> = self
            .contexts
            .values()
            .filter(|context| tree.contains(&context.group))
            .flat_map(|context| {
                let state = self.groups.get(&context.group).and_then(|group| group.state());
                let row = state.and_then(|state| state.context(&context.id));
                let is_theirs = |author: &PublicKey| row.is_some_and(|row| row.member_of(author) == Some(*member));
                let view = context.flight.view(turn.snapshot);
                let last = context.last_accepted(&view, is_theirs);
                last.into_iter().map(|delta| Kept { context: context.id, delta })
            })
            .collect();
        kept.sort_unstable();
        kept.dedup();
        kept.truncate(KEEP_MAX);
        kept
    }

    /// Adds somebody. Who is a member already by a group above, and as more, is made a member here as that first, and then
    /// less: only the second op takes something away, and it names what was seen, so that what was done and written here
    /// and below before is not undone.
    fn addition(&self, turn: &Turn<'_>, id: &GroupId, state: &GroupState, added: MemberAdded) -> Decision {
        let MemberAdded { member, role, capabilities, .. } = added;
        let wanted = Standing::new(role, capabilities);
        let more = state.standing(&member).filter(|now| state.direct(&member).is_none() && is_less(wanted, *now));
        let may = |action: &Action| {
            let group = self.groups.get(id);
            group.is_some_and(|group| group.check(turn.time.wall_ms, vec![action.clone()]).is_ok())
        };
        let plain = Action::MemberAdded(added.clone());
        let ahead = more
            .map(|now| Action::MemberAdded(MemberAdded { role: now.role, capabilities: now.capabilities, ..added }));
        // Who may not give as much as they have above cannot do it so, and who may not do it at all is told why.
        let Some(ahead) = ahead.filter(|ahead| may(ahead) && may(&plain)) else {
            return about(member, plain, "f16", "member added");
        };
        let keep = if role.writes() { Vec::new() } else { self.kept_of(turn, id, &member) };
        let capabilities = Some(capabilities);
        let set = MemberRoleSet { member, role, capabilities, keep, descendants: self.descendants(id) };
        Decision { ahead: Some(ahead), ..about(member, Action::MemberRoleSet(set), "f16", "member added") }
    }

    /// Gives a member capabilities. Where there are groups below, with the role that the member has: that op names what was
    /// seen there, so that a capability that is taken does not undo what was done by it there before.
    fn capabilities_action(
        &self,
        state: &GroupState,
        id: &GroupId,
        member: PublicKey,
        capabilities: Capabilities,
    ) -> Action {
        let descendants = self.descendants(id);
        match state.direct(&member) {
            Some(Standing { role, .. }) if !descendants.is_empty() => Action::MemberRoleSet(MemberRoleSet {
                member,
                role,
                capabilities: Some(capabilities),
                keep: Vec::new(),
                descendants,
            }),
            Some(_) | None => Action::MemberCapabilitiesSet(MemberCapabilitiesSet { member, capabilities }),
        }
    }

    /// What a revocation had seen of the groups below: else all would fall that its target ever did there.
    fn descendants(&self, id: &GroupId) -> Vec<DescendantHeads> {
        let below = self.subtree(id).into_iter().skip(1).filter_map(|id| self.groups.get(&id));
        let seen = below.filter(|group| group.governance.is_some());
        let mut seen: Vec<_> = seen
            .map(|group| {
                let mut heads = group.log.heads();
                heads.truncate(PARENTS_MAX);
                DescendantHeads { group: group.id, heads }
            })
            .collect();
        seen.sort_unstable_by_key(|seen| seen.group);
        seen.truncate(DESCENDANTS_MAX);
        seen
    }

    /// Whether we may end a subgroup only as one who manages its parent.
    fn is_ended_from_above(&self, id: &GroupId) -> bool {
        let Some(group) = self.groups.get(id) else { return false };
        let us = group.member.public();
        let is_owner = group.state().is_some_and(|state| state.can(&us, Right::DeleteGroup).is_ok());
        let parent = group.parent.and_then(|parent| self.groups.get(&parent)).and_then(Group::state);
        !is_owner && parent.is_some_and(|parent| parent.can(&us, Right::ManageSubgroups).is_ok())
    }

    fn end_subgroup(&mut self, turn: &mut Turn<'_>, ticket: Ticket, id: GroupId) -> Result<(), CommandError> {
        let parent = self.groups.get(&id).and_then(|group| group.parent).ok_or(CommandError::Stopping)?;
        let actions = vec![Action::SubgroupRemoved(SubgroupRemoved { group: id })];
        self.decide(
            turn,
            ticket,
            parent,
            None,
            Decision { ahead: None, actions, member: None, flow: "f15", step: "subgroup ended" },
        )
    }

    /// The invitations of a group.
    pub(crate) fn invitations(&self, selector: &Selector) -> Result<Reply, CommandError> {
        let group = self.group(selector)?;
        let rows = group.state().into_iter().flat_map(GroupState::invitations);
        let info = |row: &mesto_governance::fold::Invitation| InvitationInfo {
            invitation: row.id,
            inviter: row.inviter,
            role: row.standing.role,
            capabilities: row.standing.capabilities,
            expires_at_ms: row.expires_at_ms,
            uses: row.uses,
            used: row.used,
            revoked: row.is_revoked,
        };
        Ok(Reply::Invitations(rows.map(info).collect()))
    }
}

fn about(member: PublicKey, action: Action, flow: &'static str, step: &'static str) -> Decision {
    Decision { ahead: None, actions: vec![action], member: Some(member), flow, step }
}

/// Whether a standing lacks something that another gives.
fn is_less(standing: Standing, than: Standing) -> bool {
    let both = standing.meet(than);
    (both.level(), both.effective()) != (than.level(), than.effective())
}

type Dial = Option<(Peer, Vec<String>)>;

/// Adds the holder of a card, or, without one, somebody who was a member before, with the keys that they had.
fn add(
    state: &GroupState,
    lineage: &[&GroupState],
    who: &str,
    role: Role,
    capabilities: Option<Capabilities>,
) -> Result<(MemberAdded, Dial), CommandError> {
    let (member, sealing_key, peer, addresses) = if who.trim().starts_with(CARD_PREFIX) {
        let card: Card =
            who.parse().map_err(|e: mesto_governance::card::CardError| CommandError::BadCard(e.to_string()))?;
        (card.member, card.sealing_key, card.peer, card.addresses)
    } else {
        former(state, lineage, who)?
    };
    let dial = <[u8; 32]>::try_from(peer.0.as_slice()).ok().map(|peer| (Peer::from_bytes(peer), addresses));
    let capabilities = capabilities.unwrap_or(state.default_capabilities());
    Ok((MemberAdded { member, sealing_key, role, capabilities, peer }, dial))
}

/// Somebody who is, or was, a member of the group or of one above it, with the keys of that membership.
fn former(
    state: &GroupState,
    lineage: &[&GroupState],
    who: &str,
) -> Result<(PublicKey, SealingPublicKey, PeerHint, Vec<String>), CommandError> {
    let selector = Selector(who.trim().to_owned());
    let rows = state.everybody();
    let named = rows.iter().map(|row| (row.member, Some(row.alias.as_str())));
    let known = lineage.iter().flat_map(|state| state.known_people()).map(|member| (*member, None));
    let member = find(Noun::Member, &selector, named.chain(known))?;
    let row = rows.iter().find(|row| row.member == member).map(|row| (row.sealing_key, row.peer.clone()));
    let keys = || lineage.iter().find_map(|state| state.keys_of(&member)).cloned();
    let (sealing_key, peer) = row.or_else(keys).unwrap_or_default();
    Ok((member, sealing_key, peer, Vec::new()))
}

fn settings_decision(settings: Settings) -> Result<Decision, CommandError> {
    let Settings { name, default_capabilities, default_restricted, policy } = settings;
    let mut actions = Vec::new();
    if let Some(name) = name {
        actions.push(Action::AliasSet(AliasSet { subject: Alias::Group, name }));
    }
    if let Some(capabilities) = default_capabilities {
        actions.push(Action::DefaultCapabilitiesSet(DefaultCapabilitiesSet { capabilities }));
    }
    if let Some(restricted) = default_restricted {
        let visibility = if restricted { Visibility::Restricted } else { Visibility::Open };
        actions.push(Action::DefaultVisibilitySet(DefaultVisibilitySet { visibility }));
    }
    if let Some(policy) = policy {
        actions.push(Action::UpgradePolicySet(UpgradePolicySet { policy: policy.into() }));
    }
    if actions.is_empty() {
        return Err(CommandError::Invalid("no setting was named".to_owned()));
    }
    Ok(Decision { ahead: None, actions, member: None, flow: "f17", step: "settings changed" })
}
