//! Admission: whether an op's author may do all of it, by the fold of the op's own past. Once and for good.

mod contexts;
mod rules;

use mesto_oplog::entry::Stamp;
use mesto_oplog::{EntryId, PublicKey};

use self::rules::Admission;
use super::effects::Effects;
use super::place::OpGraph;
use super::slot::Placing;
use super::state::GroupState;
use super::view::View;
use crate::action::{Action, Alias, Domain};
use crate::claim::ClaimError;
use crate::id::{GroupId, InvitationId, KeyId};
use crate::op::{Op, OpError};
use crate::right::Denied;
use crate::standing::{Need, Standing};

/// Most ancestors of a group: deep enough for any organisation, and a bound for what an inherited right costs.
pub const SUBGROUP_DEPTH_MAX: usize = 16;

/// Why an op is refused, for good if not said otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// The body is no op.
    #[error(transparent)]
    Body(#[from] OpError),
    /// The op is of another group's log.
    #[error("the op is for another group: {0}")]
    AnotherGroup(GroupId),
    /// The op rests on one that was refused, or is not held.
    #[error("the op's parent {0} is not admitted here")]
    ParentNotAdmitted(EntryId),
    /// The author's op before this one is not in its past.
    #[error("the author's earlier op {0} is not in this op's past")]
    PrevNotInPast(EntryId),
    /// Only the first op of a log begins a group.
    #[error("a group is begun by the first action of its first op, and by nothing else")]
    MisplacedBeginning,
    /// An op of an ancestor's log that is not held here, or has not come here yet: unlike the others, this may change.
    #[error("op {0} of an ancestor group is not known here yet")]
    AncestorUnknown(EntryId),
    /// A group is folded below the parent that its first op names, and a root below none.
    #[error("the group's first op names another parent")]
    AnotherParent,
    /// Subgroups of subgroups have an end.
    #[error("a group has at most {SUBGROUP_DEPTH_MAX} ancestors")]
    TooDeep,
    /// The child group has been named.
    #[error("subgroup {0} is known already")]
    SubgroupKnown(GroupId),
    /// No such child group, or it was ended.
    #[error("no subgroup {0} in this group")]
    NoSuchSubgroup(GroupId),
    /// The owner keeps the group.
    #[error("{0} already is the owner")]
    AlreadyOwner(PublicKey),
    /// Rights in a context that this build does not know, or none at all.
    #[error("{0:#010b} are no rights in a context")]
    UnknownRights(u8),
    /// Attested nodes are not admitted.
    #[error("the group admits no attested nodes")]
    NoAdmissions,
    /// A checkpoint of nothing, or of governance that is not in its past.
    #[error("the checkpoint does not fit its past")]
    CheckpointUnfounded,
    /// The group was ended.
    #[error("the group was deleted")]
    GroupDeleted,
    /// An action that cannot be in the first op, where the group has no id yet.
    #[error("{action} cannot be part of a group's first op")]
    NotInGenesis {
        /// The action.
        action: &'static str,
    },
    /// An action that has to be alone in its op.
    #[error("{action} has to be the only action of its op")]
    NotAlone {
        /// The action.
        action: &'static str,
    },
    /// The author lacks the right.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is one owner; ownership is transferred, not granted.
    #[error("nobody is made an owner: ownership is transferred")]
    OwnerNotGranted,
    /// Somebody who already is a member.
    #[error("{0} already is a member")]
    AlreadyAMember(PublicKey),
    /// The standing would stay as it is.
    #[error("{0} already has this standing")]
    NoChange(PublicKey),
    /// Two actions of one op change the same member.
    #[error("the op changes the standing of {0} twice")]
    ChangedTwice(PublicKey),
    /// The owner cannot leave.
    #[error("the owner cannot leave: transfer the ownership first")]
    OwnerCannotLeave,
    /// No such invitation.
    #[error("no invitation {0} in this group")]
    NoSuchInvitation(InvitationId),
    /// The invitation was closed.
    #[error("invitation {0} was revoked")]
    InvitationRevoked(InvitationId),
    /// The op is stamped after the invitation's end.
    #[error("invitation {0} has expired")]
    InvitationExpired(InvitationId),
    /// As many joined as may.
    #[error("invitation {0} is used up")]
    InvitationUsedUp(InvitationId),
    /// The joiner was removed after the invitation was made.
    #[error("invitation {0} is older than the joiner's removal: a new one is needed")]
    InvitationPredatesRemoval(InvitationId),
    /// The claim is not what it says.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// The identity is bound already.
    #[error("identity {0} is taken in this context")]
    IdentityTaken(PublicKey),
    /// The identity is not the author's.
    #[error("identity {0} is not the author's in this context")]
    NotOwnIdentity(PublicKey),
    /// The identity did not agree to be the author's.
    #[error("identity {0} did not sign for this member and context")]
    IdentityNotProven(PublicKey),
    /// The key is another epoch's.
    #[error("key {0} already has an epoch")]
    KeyKnown(KeyId),
    /// An Open context is under the group's key.
    #[error("an open context has no keys of its own")]
    NoDomain,
}

impl Rejected {
    /// Whether it is so for ever and for everybody. Not so is what waits for the log of an ancestor, or for a parent that
    /// has not come.
    #[must_use]
    pub const fn is_for_good(&self) -> bool {
        !matches!(self, Self::AncestorUnknown(_) | Self::ParentNotAdmitted(_))
    }
}

/// What is to be admitted, and where.
pub(crate) struct Candidate<'a> {
    pub(crate) id: EntryId,
    pub(crate) author: PublicKey,
    pub(crate) stamp: Stamp,
    pub(crate) op: &'a Op,
}

/// Whether `candidate` is admitted on top of `view`, the fold of its past; and what it then means for the fold.
pub(crate) fn admit(
    graph: &OpGraph,
    view: &View<GroupState>,
    candidate: &Candidate<'_>,
) -> Result<Effects<PublicKey>, Rejected> {
    let author = candidate.author;
    if view.state.is_deleted() {
        return Err(Rejected::GroupDeleted);
    }
    view.state.meets(&author, Need::MEMBERSHIP)?;
    let rank = &view.state.rank(&author).ok_or(Denied::NotAMember(author))?;
    let placing = Placing {
        ix: graph.next(),
        id: candidate.id,
        height: view.heads.iter().map(|&head| graph.node(head).height + 1).max().unwrap_or(0),
        author,
        rank,
        // It comes after everything, and is not in the graph yet.
        precedes: &|a, b| a != graph.next() && (b == graph.next() || graph.is_past(a, b)),
    };
    let mut admission = Admission {
        graph,
        view,
        candidate,
        scratch: view.state.clone(),
        need: Need::MEMBERSHIP,
        effects: Effects::default(),
    };
    for (index, action) in (0u8..).zip(&candidate.op.actions) {
        let need = admission.action(action)?;
        admission.scratch.meets(&author, need)?;
        admission.need = admission.need.and(need);
        // Only actions that follow can ask for what this one did.
        if usize::from(index) + 1 < candidate.op.actions.len() {
            admission.scratch.place_action(&placing, index, action);
        }
    }
    let Admission { need, mut effects, .. } = admission;
    effects.relies.insert(0, (author, need));
    Ok(effects)
}

/// The rules for the actions that follow [`Action::GroupCreated`] in a group's first op.
pub(crate) fn admit_genesis(
    op: &Op,
    founder: PublicKey,
    parent: Option<GroupId>,
) -> Result<Effects<PublicKey>, Rejected> {
    let Some((Action::GroupCreated(created), rest)) = op.actions.split_first() else {
        return Err(Rejected::MisplacedBeginning);
    };
    if created.parent != parent {
        return Err(Rejected::AnotherParent);
    }
    let mut keys = Vec::new();
    for action in rest {
        if let Action::KeyEpochStarted(started) = action {
            if keys.contains(&started.key) {
                return Err(Rejected::KeyKnown(started.key));
            }
            keys.push(started.key);
        }
        if !is_for_genesis(action, founder) {
            return Err(Rejected::NotInGenesis { action: action.name() });
        }
    }
    Ok(Effects { changes: vec![(founder, Some(Standing::OWNER))], ..Effects::default() })
}

/// Settings and the group's first key: whatever needs neither the group's id nor other members.
fn is_for_genesis(action: &Action, founder: PublicKey) -> bool {
    if let Action::AliasSet(set) = action {
        return set.subject == Alias::Group || set.subject == Alias::Member(founder);
    }
    if let Action::KeyEpochStarted(started) = action {
        return started.domain == Domain::Group;
    }
    matches!(
        action,
        Action::DefaultCapabilitiesSet(_)
            | Action::DefaultVisibilitySet(_)
            | Action::TargetApplicationSet(_)
            | Action::UpgradePolicySet(_)
    )
}
