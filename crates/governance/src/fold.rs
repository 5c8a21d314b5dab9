//! The governance fold of one group: from a set of signed ops, closed under parents, to members, contexts, keys and
//! settings, and to which ops are dead. A pure function of the set: the order in which ops came never matters.
//!
//! # Words
//!
//! The *past* of an op is all its ancestors; two ops are *concurrent* if neither is in the other's past. *Height* is one
//! more than the largest height of the parents, genesis 0. A *standing* is a role with capability bits; its *level* is owner,
//! admin, manager (a member that may manage members), member or readonly, or there is none. A *revocation* is an op
//! that sets somebody's standing (adding and promoting included: a standing that is set is also a bound) or closes an
//! invitation. An op *needs* a level and capabilities of its author; a claim of an invitation also needs of the
//! inviter what inviting takes.
//!
//! # Rules
//!
//! 1. *Slot.* Who is a member as what is decided by the maximal live ops that set or end the membership: the least of
//!    what they give. The rank is (level, depth, height, id) of the grant of that level whose author's rank is
//!    weakest, then whose id is larger; depth counts the grants from genesis. Smaller outranks.
//! 2. *Admit*, once and for good: in the fold of the op's own past its author has what the op needs; whoever it
//!    changes or removes is outranked by the author; a leave is not the owner's; an invitation is open, unexpired,
//!    not used up, and not older than the joiner's removal. All actions of an op, or none. An op that is not admitted
//!    is never part of the set, nor is what names it as a parent. The author's rank there is remembered.
//! 3. *Support.* An op is supported by a set of live ops if everybody whom it relies on has what it needs of them in
//!    the fold of that set, and the ops that it rests on (the registration of its context, its invitation) are live.
//!    The condition of its target plays no part.
//! 4. *Dead* is what is void, or not supported by the live part of its past; decided by (height, id).
//! 5. *Strong removal.* Revocations are gone through by (rank of author, height, id). One that is void, excluded or
//!    dead is skipped. Any other voids every concurrent op, leaves excepted, that needs more of its target than the
//!    revocation leaves, and every concurrent claim of an invitation that it closes.
//! 6. *Resolve.* If a revocation that voided something is itself dead, the first such is excluded, and 5 begins anew.
//!    Then, if more live claims of an invitation are there than it has uses, the first of the surplus by (height, id)
//!    is lost, and 5 begins anew. Otherwise the live ops make the state.
//! 7. *The rest of the state* is decided per slot by its maximal live ops. Restricted beats a concurrent Open, off the
//!    allowlist beats on, left beats joined; other settings go to the strongest rank, then the larger id. The end of
//!    a membership ends all identities and places on allowlists that are before or beside it.
//!
//! Some consequences: of a mutual removal the stronger stands; what a removed member does beside its removal falls,
//! and what rests only on that; to bring somebody back, come after the removal; nobody undoes a leave; the owner
//! always remains, so that no group is orphaned. Equivocation is concurrency.
//!
//! # How it is computed
//!
//! [`graph`] answers who is in whose past. [`resolve`](graph::Graph::resolve) is rules 3 to 6. A [`view::View`] is the
//! fold of what some heads reach; it is extended op by op wherever a new op can neither void nor be voided by what
//! is beside it (or only by what voids already), and resolved anew where it can. [`levels`] is the same for standings
//! alone.

mod admit;
mod change;
mod digest;
pub mod graph;
pub mod levels;
pub(crate) mod place;
mod resolve;
pub mod roster;
pub(crate) mod slot;
mod state;
pub mod view;

pub use admit::Rejected;
pub use change::Change;
pub use digest::DIGEST_CONTEXT;
pub use resolve::Outcome;
pub use state::{Context, Epoch, GroupState, Invitation, MemberRow, Target};

use std::collections::BTreeSet;
use std::sync::Arc;

use mesto_oplog::entry::Stamp;
use mesto_oplog::{EntryId, PublicKey, Verified};

use crate::id::{ContextId, GroupId};
use crate::op::Op;
use crate::rank::Rank;
use admit::{Candidate, admit, admit_genesis};
use change::{Touched, changes};
use graph::Ix;
use place::{Admitted, OpGraph};
use view::{View, Views};

/// One group's ops, who of them is dead, and what the others come to.
#[derive(Clone, Debug)]
pub struct Governance {
    group: GroupId,
    graph: OpGraph,
    views: Views<GroupState>,
    now: Arc<View<GroupState>>,
}

/// What an admitted op did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// Whether the op was held already.
    pub is_duplicate: bool,
    /// The differences of the fold.
    pub changes: Vec<Change>,
    /// Ops that are dead now and were not before, in order of their ids; the new op may be among them.
    pub died: Vec<EntryId>,
    /// Ops that are live again, in order of their ids.
    pub revived: Vec<EntryId>,
    /// Whether verdicts of deltas may have changed: an op ended a right to write, or ops died or revived.
    pub rejudge: bool,
}

/// Why an entry begins no group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The entry is not the first of a governance log.
    #[error("entry {0} does not begin a log")]
    NotGenesis(EntryId),
    /// Its actions do not begin a group.
    #[error(transparent)]
    Rejected(#[from] Rejected),
}

impl Governance {
    /// Begins a group.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn genesis(entry: &Verified) -> Result<Self, Refusal> {
        if !entry.is_genesis() {
            return Err(Refusal::NotGenesis(entry.id()));
        }
        let author = entry.header().author;
        let op = Op::decode(entry).map_err(Rejected::from)?;
        let effects = admit_genesis(&op, author)?;
        let id = entry.id();
        let mut graph = OpGraph::default();
        let ix = graph.insert(id, &[], roster::founder(id), effects, Arc::new(Admitted { author, op }));
        let mut views = Views::default();
        let now = views.at(&graph, &BTreeSet::from([ix]));
        Ok(Self { group: GroupId::of_genesis(id), graph, views, now })
    }

    /// Takes in an op whose parents are held: admits it, or rejects it for good. What is held already is
    /// admitted again without any change.
    ///
    /// # Errors
    /// The rule that the op breaks. The verdict depends on the op and its past alone, so it is everybody's.
    pub fn apply(&mut self, entry: &Verified) -> Result<Applied, Rejected> {
        if self.graph.find(&entry.id()).is_some() {
            return Ok(Applied { is_duplicate: true, ..Applied::default() });
        }
        if GroupId::from(entry.log()) != self.group {
            return Err(Rejected::AnotherGroup(entry.log().into()));
        }
        let header = entry.header();
        let parents = self.find_all(&header.parents)?;
        if parents.is_empty() {
            return Err(Rejected::MisplacedBeginning);
        }
        if let Some(prev) = header.prev {
            let held = self.graph.find(&prev).filter(|&prev| self.graph.is_within(prev, &parents));
            held.ok_or(Rejected::PrevNotInPast(prev))?;
        }
        let op = Op::decode(entry)?;
        let heads = self.graph.maximal(&parents);
        let base = self.views.at(&self.graph, &heads);
        let candidate = Candidate { id: entry.id(), author: header.author, stamp: header.stamp, op: &op };
        let effects = admit(&self.graph, &base, &candidate)?;
        let rank = base.state.roster.rank(&header.author).cloned().unwrap_or(roster::founder(entry.id()));
        let parents: Vec<Ix> = parents.into_iter().collect();
        let admitted = Arc::new(Admitted { author: header.author, op });
        let x = self.graph.insert(entry.id(), &parents, rank, effects, admitted);
        Ok(self.advance(x))
    }

    /// Whether an op of these actions by `author`, on top of the present heads, would be admitted: the check
    /// before signing. `at` is when.
    ///
    /// # Errors
    /// As [`Governance::apply`].
    pub fn check(&self, author: PublicKey, at: Stamp, op: &Op) -> Result<(), Rejected> {
        op.encode()?;
        let candidate = Candidate { id: EntryId::default(), author, stamp: at, op };
        admit(&self.graph, &self.now, &candidate).map(|_| ())
    }

    /// The group.
    #[must_use]
    pub const fn group(&self) -> GroupId {
        self.group
    }

    /// The state: what the live ops come to.
    #[must_use]
    pub fn state(&self) -> &GroupState {
        &self.now.state
    }

    /// The digest of the state; see [`GroupState::digest`].
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.now.state.digest()
    }

    /// How many ops are held.
    #[must_use]
    pub fn op_count(&self) -> usize {
        self.graph.len()
    }

    /// Whether an op is held.
    #[must_use]
    pub fn holds(&self, op: &EntryId) -> bool {
        self.graph.find(op).is_some()
    }

    /// The heads, in order of their ids.
    #[must_use]
    pub fn heads(&self) -> Vec<EntryId> {
        self.ids(self.now.heads.iter().copied())
    }

    /// An op that is held, with its author.
    #[must_use]
    pub fn op(&self, id: &EntryId) -> Option<(PublicKey, &Op)> {
        let payload = &self.graph.node(self.graph.find(id)?).payload;
        Some((payload.author, &payload.op))
    }

    /// Whether an op is held and dead.
    #[must_use]
    pub fn is_dead(&self, op: &EntryId) -> bool {
        self.graph.find(op).is_some_and(|ix| self.now.dead.contains(&ix))
    }

    /// The dead ops, in order of their ids.
    #[must_use]
    pub fn dead(&self) -> Vec<EntryId> {
        self.ids(self.now.dead.iter().copied())
    }

    /// The live ops that ended a membership, in order of their ids; none of somebody who is a member.
    #[must_use]
    pub fn endings_of(&self, member: &PublicKey) -> Vec<EntryId> {
        if self.state().standing(member).is_some() {
            return Vec::new();
        }
        self.ids(self.state().people.get(member).into_iter().flat_map(|person| person.ended.ops()))
    }

    /// The revocation that voids an op.
    #[must_use]
    pub fn voided_by(&self, op: &EntryId) -> Option<EntryId> {
        let cause = self.now.void.get(&self.graph.find(op)?)?;
        Some(self.graph.node(*cause).id)
    }

    /// The state at `heads`: the fold of these ops and their past. Nothing if one of them is not held.
    pub fn state_at(&mut self, heads: &[EntryId]) -> Option<Arc<GroupState>> {
        let view = self.view_at(heads)?;
        Some(Arc::new(view.state.clone()))
    }

    /// The state, resolved from nothing: equal to [`Governance::state`], and dear; for checks.
    #[must_use]
    pub fn resolved(&self) -> GroupState {
        View::resolve(&self.graph, &self.now.heads).state
    }

    /// The epoch under which to write in a domain (a context, or nothing for the group's): the highest by height
    /// and id after every live loss of read access. Nothing if a new epoch has to be started first.
    #[must_use]
    pub fn current_epoch(&self, context: Option<ContextId>) -> Option<&Epoch> {
        let state = self.state();
        let own = context.and_then(|id| state.context(&id)).map(|row| &row.losses);
        let losses: Vec<Ix> = state.losses.ops().chain(own.into_iter().flat_map(slot::Slot::ops)).collect();
        state
            .epochs()
            .filter(|epoch| epoch.context == context)
            .filter(|epoch| losses.iter().all(|&loss| loss == epoch.ix || self.graph.is_past(loss, epoch.ix)))
            .max_by_key(|epoch| (epoch.height, epoch.op))
    }

    pub(crate) fn view_at(&mut self, heads: &[EntryId]) -> Option<Arc<View<GroupState>>> {
        let heads = self.find_all(heads).ok().filter(|heads| !heads.is_empty())?;
        let heads = self.graph.maximal(&heads);
        Some(self.views.at(&self.graph, &heads))
    }

    pub(crate) fn find(&self, id: &EntryId) -> Option<Ix> {
        self.graph.find(id)
    }

    pub(crate) const fn graph(&self) -> &OpGraph {
        &self.graph
    }

    pub(crate) fn now(&self) -> &View<GroupState> {
        &self.now
    }

    fn find_all(&self, ids: &[EntryId]) -> Result<BTreeSet<Ix>, Rejected> {
        ids.iter().map(|id| self.graph.find(id).ok_or(Rejected::ParentNotAdmitted(*id))).collect()
    }

    fn advance(&mut self, x: Ix) -> Applied {
        let before = Arc::clone(&self.now);
        let node = self.graph.node(x);
        let sets_reader = |(_, standing): &(PublicKey, Option<crate::standing::Standing>)| {
            !standing.is_some_and(|standing| standing.role.writes())
        };
        let ends_rights = node.payload.op.actions.iter().any(crate::action::Action::may_end_rights)
            || node.effects.changes.iter().any(sets_reader);
        match before.extended(&self.graph, x) {
            Some(view) => {
                let touched = Touched::by_op(&node.payload.op, node.id, node.payload.author, &before.state);
                let died: Vec<EntryId> = self.ids(view.dead.contains(&x).then_some(x));
                let changes = changes(&before.state, &view.state, &touched);
                self.become_now(view);
                Applied { changes, rejudge: ends_rights, died, ..Applied::default() }
            }
            None => {
                let view = View::resolve(&self.graph, &self.graph.heads_with(&before.heads, x));
                let touched = Touched::all(&before.state, &view.state);
                let changes = changes(&before.state, &view.state, &touched);
                let died = self.ids(view.dead.iter().copied().filter(|op| !before.dead.contains(op)));
                let revived = self.ids(before.dead.iter().copied().filter(|op| !view.dead.contains(op)));
                self.become_now(view);
                Applied { is_duplicate: false, changes, died, revived, rejudge: true }
            }
        }
    }

    fn become_now(&mut self, view: View<GroupState>) {
        self.now = Arc::new(view);
        self.views.keep(Arc::clone(&self.now));
    }

    pub(crate) fn ids(&self, ops: impl IntoIterator<Item = Ix>) -> Vec<EntryId> {
        let mut ids: Vec<EntryId> = ops.into_iter().map(|op| self.graph.node(op).id).collect();
        ids.sort_unstable();
        ids
    }

    /// The rank with which an op's author acted.
    #[must_use]
    pub fn rank_of(&self, op: &EntryId) -> Option<&Rank<EntryId>> {
        Some(&self.graph.node(self.graph.find(op)?).rank)
    }
}
