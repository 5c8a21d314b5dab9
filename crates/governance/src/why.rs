//! Why somebody may do something, or may not: the rows that give the right, the ops that decided them, and what died.

use std::fmt;

use mesto_oplog::{EntryId, PublicKey};

use crate::action::Visibility;
use crate::context_right::ContextRight;
use crate::fold::graph::Ix;
use crate::fold::place::OpGraph;
use crate::fold::roster::{Roster, Seat};
use crate::fold::{Governance, GroupState};
use crate::id::{ContextId, GroupId};
use crate::right::{Denied, Right};
use crate::standing::Standing;

/// An explanation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Why {
    /// Of whom.
    pub member: PublicKey,
    /// Of what.
    pub right: Right,
    /// Whether they may, and if not the rule that denies it.
    pub verdict: Result<(), Denied>,
    /// What they have all in all: by the row that counts.
    pub standing: Option<Standing>,
    /// The member's rows: in the group itself, then in its ancestors, nearest first.
    pub rows: Vec<Row>,
    /// What the context adds, for a right in one.
    pub place: Option<Place>,
    /// The groups on the way to the root, this one included, that were ended.
    pub ended: Vec<GroupId>,
}

/// A member's row in one group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// The group.
    pub group: GroupId,
    /// What the row says there; nothing if there is none, or it was ended.
    pub standing: Option<Standing>,
    /// Whether this is the row that counts: the nearest that there is.
    pub counts: bool,
    /// The ops that decide it: the maximal live ones.
    pub by: Vec<OpRef>,
    /// The ops that would have set it, and are dead.
    pub dead: Vec<DeadOp>,
}

/// An op, by whom, and what it does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpRef {
    /// The op.
    pub op: EntryId,
    /// Its author.
    pub author: PublicKey,
    /// The names of its actions.
    pub actions: Vec<&'static str>,
}

/// A dead op.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadOp {
    /// The op.
    pub op: OpRef,
    /// The revocation that voids it; nothing if it fell because what it rested on fell.
    pub voided_by: Option<EntryId>,
}

/// A member's place in a context.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The context.
    pub context: ContextId,
    /// Who may join it.
    pub visibility: Visibility,
    /// Whether the member registered it.
    pub is_creator: bool,
    /// Whether the member is on the allowlist.
    pub is_allowed: bool,
    /// The ops that decide that.
    pub allowed_by: Vec<OpRef>,
    /// The rights that the member was given here.
    pub rights: Vec<ContextRight>,
    /// The member's identities here.
    pub identities: Vec<PublicKey>,
}

impl Right {
    /// The context that the right is about.
    #[must_use]
    pub const fn context(&self) -> Option<ContextId> {
        match self {
            Self::JoinContext(context)
            | Self::ManageContext(context)
            | Self::NameContext(context)
            | Self::DetachContext(context)
            | Self::SetContextApplication(context)
            | Self::WriteContext(context) => Some(*context),
            Self::Read
            | Self::CreateContexts
            | Self::JoinOpenContexts
            | Self::Invite(_)
            | Self::AddMember(_)
            | Self::ManageMember(_)
            | Self::ManageApplication
            | Self::SetGroup
            | Self::ManageSubgroups
            | Self::TransferOwnership
            | Self::DeleteGroup => None,
        }
    }
}

impl Governance {
    /// Why `member` may do `right`, or may not.
    #[must_use]
    pub fn why(&self, member: &PublicKey, right: Right) -> Why {
        let state = self.state();
        let mut verdict = state.can(member, right);
        if !state.is_there() {
            verdict = Err(Denied::GroupDeleted);
        }
        let mut rows = vec![self.own_row(member)];
        for level in &state.ancestry.levels {
            let cause = |op: Ix| level.view.void.get(&op).map(|cause| level.graph.node(*cause).id);
            let dead = |op: Ix| level.view.dead.contains(&op);
            rows.push(row(level.group, &level.graph, &level.view.state.roster, member, &dead, &cause));
        }
        if let Some(counting) = rows.iter_mut().find(|row| row.standing.is_some()) {
            counting.counts = true;
        }
        let place = right.context().and_then(|context| self.place(member, context));
        let ended = lineage(state).filter(|state| state.is_deleted).map(GroupState::group).collect();
        Why { member: *member, right, verdict, standing: state.standing(member), rows, place, ended }
    }

    fn own_row(&self, member: &PublicKey) -> Row {
        let now = self.now();
        let cause = |op: Ix| now.void.get(&op).map(|cause| self.graph().node(*cause).id);
        row(self.group(), self.graph(), &now.state.roster, member, &|op| now.dead.contains(&op), &cause)
    }

    fn place(&self, member: &PublicKey, context: ContextId) -> Option<Place> {
        let row = self.state().context(&context)?;
        let allowed_by = row.allowlist.get(member).into_iter().flat_map(|slot| slot.ops());
        Some(Place {
            context,
            visibility: row.visibility(),
            is_creator: row.is_creator(member),
            is_allowed: row.is_allowed(member),
            allowed_by: allowed_by.map(|op| op_ref(self.graph(), op)).collect(),
            rights: row.rights().filter(|(who, _)| who == member).map(|(_, right)| right).collect(),
            identities: row.identities().filter(|(_, who)| who == member).map(|(identity, _)| *identity).collect(),
        })
    }
}

fn lineage(state: &GroupState) -> impl Iterator<Item = &GroupState> {
    std::iter::successors(Some(state), |state| state.parent())
}

fn row(
    group: GroupId,
    graph: &OpGraph,
    roster: &Roster<EntryId, PublicKey>,
    member: &PublicKey,
    is_dead: &dyn Fn(Ix) -> bool,
    cause: &dyn Fn(Ix) -> Option<EntryId>,
) -> Row {
    let by = roster.seat(member).into_iter().flat_map(Seat::decided_by);
    let dead = graph.seats_of(member).filter(|&op| is_dead(op));
    Row {
        group,
        standing: roster.standing(member),
        counts: false,
        by: by.map(|op| op_ref(graph, op)).collect(),
        dead: dead.map(|op| DeadOp { op: op_ref(graph, op), voided_by: cause(op) }).collect(),
    }
}

fn op_ref(graph: &OpGraph, op: Ix) -> OpRef {
    let node = graph.node(op);
    let mut actions: Vec<&'static str> = node.payload.op.actions.iter().map(crate::Action::name).collect();
    actions.dedup();
    OpRef { op: node.id, author: node.payload.author, actions }
}

impl fmt::Display for OpRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {} ({})", self.op, self.author, self.actions.join(", "))
    }
}

/// In lines for a terminal: the verdict, then each row with its ops, then the context.
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Ok(()) => writeln!(f, "yes")?,
            Err(why) => writeln!(f, "no: {why}")?,
        }
        for group in &self.ended {
            writeln!(f, "group {group} was ended")?;
        }
        for row in &self.rows {
            match row.standing {
                Some(standing) => {
                    let counts = if row.counts { "" } else { " (a nearer row counts)" };
                    writeln!(f, "{} in {}, with {}{counts}", standing.level(), row.group, standing.effective())?;
                }
                None => writeln!(f, "no row in {}", row.group)?,
            }
            for op in &row.by {
                writeln!(f, "  decided by {op}")?;
            }
            for dead in &row.dead {
                match dead.voided_by {
                    Some(cause) => writeln!(f, "  dead: {}, voided by {cause}", dead.op)?,
                    None => writeln!(f, "  dead: {}, what it rested on fell", dead.op)?,
                }
            }
        }
        let Some(place) = &self.place else { return Ok(()) };
        let visibility = match place.visibility {
            Visibility::Open => "open",
            Visibility::Restricted => "restricted",
        };
        let creator = if place.is_creator { ", registered by this member" } else { "" };
        let listed = if place.is_allowed { "on" } else { "not on" };
        writeln!(f, "context {} is {visibility}{creator}; {listed} its allowlist", place.context)?;
        for op in &place.allowed_by {
            writeln!(f, "  decided by {op}")?;
        }
        for right in &place.rights {
            writeln!(f, "  given: {right}")?;
        }
        for identity in &place.identities {
            writeln!(f, "  joined as {identity}")?;
        }
        Ok(())
    }
}
