//! The governance fold: from a set of signed ops, closed under parents, to members, contexts, keys and settings, and
//! to which ops are dead. A pure function of the set: the order in which ops came never matters. Rules 1 to 7 are for
//! one group; rule 8 adds what a subgroup has from its ancestors.
//!
//! # Words
//!
//! The *past* of an op is all its ancestors; two ops are *concurrent* if neither is in the other's past. *Height* is one
//! more than the largest height of the parents, genesis 0. A *standing* is a role with capability bits; its *level* is owner,
//! admin, manager (a member that may manage members), member or readonly, or there is none. A *revocation* is an op
//! that sets somebody's standing (adding and promoting included: a standing that is set is also a bound) or closes a
//! *door*: an invitation, a right of a member in a context, or all that a member has in contexts by its row. An op *needs* a level and capabilities of its author; a
//! claim of an invitation also needs of the inviter what inviting takes.
//!
//! # Rules
//!
//! 1. *Slot.* Who is a member as what is decided by the maximal live ops that set or end the membership: the least of
//!    what they give, or the owner's, where one hands the group over and none ends the membership. The rank is (level,
//!    generation, depth, height, id) of the grant of that level whose author's rank is weakest, then whose id is larger;
//!    generation is the number of the group's ancestors, depth counts the grants from genesis. Smaller outranks.
//! 2. *Admit*, once and for good: in the fold of the op's own past its author has what the op needs; whoever it
//!    changes or removes is outranked by the author; a leave is not the owner's; an invitation is open, unexpired,
//!    not used up, and not older than any removal of the joiner. All actions of an op, or none. An op that is not admitted
//!    is never part of the set, nor is what names it as a parent. The author's rank there is remembered.
//! 3. *Support.* An op is supported by a set of live ops if everybody whom it relies on has what it needs of them in
//!    the fold of that set, the ops that it rests on (the registration of its context, its invitation, the policy of
//!    admissions) are live, and each door that it came through was opened by a live op that no live op after or beside closes.
//!    The condition of its target plays no part.
//! 4. *Dead* is what is void, or not supported by the live part of its past; decided by (height, id).
//! 5. *Strong removal.* Revocations are gone through by (rank of author, height, id). One that is void, excluded or
//!    dead is skipped. Any other voids every concurrent op, leaves excepted, that needs more of its target than the
//!    revocation leaves, and every concurrent op that came through a door that it closes. A transfer of ownership leaves its
//!    author an admin; of transfers none voids another.
//! 6. *Resolve.* If a revocation that voided something is itself dead, the first such is excluded, and 5 begins anew.
//!    Then, if a live transfer of ownership is concurrent with one that is before it by (height, id), or reaches
//!    somebody who is no member in its live past or stops being one beside it, the first such is lost, and 5 begins anew.
//!    Then, if more live claims of an invitation are there than it has uses, the first of the surplus by (height, id)
//!    is lost, and 5 begins anew. Otherwise the live ops make the state.
//! 7. *The rest of the state* is decided per slot by its maximal live ops. Restricted beats a concurrent Open, off the
//!    allowlist beats on, taken beats given, left beats joined; other settings go to the strongest rank, then the larger
//!    id. The end of a membership ends all identities, places on allowlists and rights that are before or beside it, and what
//!    comes of having registered a context.
//! 8. *Ancestors resolve first*; which of their ops are dead is given. Who has no row in the group is a member by the
//!    nearest ancestor that has a live row of theirs in the past of the op. A live revocation of that row, or of a nearer
//!    one, that is neither in the past of the op nor had seen it (it, or an earlier one of the row, names heads of this
//!    log) takes the support of what
//!    needs more than it leaves: what it sets, or, where it ends the row, what comes from further up. A row of the group
//!    itself takes precedence over all this. [`ancestry`] is this rule.
//!
//! Some consequences: of a mutual removal the stronger stands; what a removed member does beside its removal falls,
//! and what rests only on that; to bring somebody back, come after the removal; no removal undoes a leave; the owner
//! always remains, so that no group is orphaned. Equivocation is concurrency. Each hard case is worked out in
//! `docs/protocol/governance.md`.
//!
//! # How it is computed
//!
//! Rule 1 is in [`roster`], 2 in `admit`, 3 to 6 in `resolve`, 7 in `place` (with `slot`) and 8 in `ancestry`; what an op
//! means for them is its [`effects`].
//!
//! [`graph`] answers who is in whose past. [`resolve`](graph::Graph::resolve) is rules 3 to 6. A [`view::View`] is the
//! fold of what some heads reach; it is extended op by op wherever a new op can neither void nor be voided by what
//! is beside it (or only by what voids already), and resolved anew where it can: from the last cut, an op all of whose
//! concurrency is settled below it, if nothing after it hangs on what was in doubt below. A subgroup is folded below an
//! immutable view of its parent ([`tree`]), and goes on with it. [`levels`] is the same for standings alone.

pub mod above;
mod admit;
pub(crate) mod ancestry;
mod change;
mod digest;
pub mod effects;
mod endings;
pub mod graph;
pub mod levels;
pub(crate) mod place;
mod resolve;
pub mod roster;
pub(crate) mod slot;
mod state;
mod tree;
pub mod view;

pub use admit::{Rejected, SUBGROUP_DEPTH_MAX};
pub use change::Change;
pub use digest::DIGEST_CONTEXT;
pub use resolve::Outcome;
pub use state::{Context, Epoch, GroupState, Invitation, MemberRow, Target};

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use mesto_oplog::entry::Stamp;
use mesto_oplog::{EntryId, PublicKey, Verified};

use crate::action::Action;
use crate::id::GroupId;
use crate::op::Op;
use crate::rank::Rank;
use admit::{Candidate, admit};
use change::{Touched, changes};
use graph::Ix;
use place::{Admitted, OpGraph};
use view::{View, Views};

/// One group's ops, who of them is dead, and what the others come to. Persistent in all its parts: a clone costs next
/// to nothing, so that others may keep one while this goes on.
#[derive(Clone, Debug)]
pub struct Governance {
    group: GroupId,
    graph: OpGraph,
    views: Views<GroupState>,
    now: Arc<View<GroupState>>,
    /// That of the state now, once somebody asked: to find it takes time in the size of the state.
    digest: OnceLock<[u8; 32]>,
    /// The parent, as it was last told.
    parent: Option<Arc<Governance>>,
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
    /// Another group than the parent of this one.
    #[error("{0} is not the parent of this group")]
    NotTheParent(GroupId),
}

impl Governance {
    /// Begins a group without a parent.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn genesis(entry: &Verified) -> Result<Self, Refusal> {
        Self::begin(entry, None)
    }

    /// Takes in an op whose parents are held: admits it, or rejects it for good. What is held already is
    /// admitted again without any change. Of a subgroup's op the parents in the ancestors' logs must be held too: see
    /// [`Governance::missing`].
    ///
    /// # Errors
    /// The rule that the op breaks. The verdict depends on the op and its past alone, so it is everybody's, where the past is held:
    /// see [`Rejected::is_for_good`].
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
        let above = self.above_of(&op, &parents)?;
        let base = self.view_below(&self.graph.maximal(&parents), &above);
        let candidate = Candidate { id: entry.id(), author: header.author, stamp: header.stamp, op: &op };
        let effects = admit(&self.graph, &base, &candidate)?;
        let rank = base.state.rank(&header.author).ok_or(crate::right::Denied::NotAMember(header.author))?;
        let parents: Vec<Ix> = parents.into_iter().collect();
        let keys = base.state.keys_of_changed(&effects.changes);
        let admitted = Arc::new(Admitted { author: header.author, op, keys });
        let x = self.graph.insert_below(entry.id(), &parents, rank, effects, admitted, above);
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
        *self.digest.get_or_init(|| self.now.state.digest())
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

    /// The revocation that voids an op.
    #[must_use]
    pub fn voided_by(&self, op: &EntryId) -> Option<EntryId> {
        let cause = self.now.void.get(&self.graph.find(op)?)?;
        Some(self.graph.node(*cause).id)
    }

    /// The state at `heads`: the fold of these ops, of this log or of those of ancestors, and their past. Nothing if one
    /// of them is not held, or none is of this log.
    pub fn state_at(&mut self, heads: &[EntryId]) -> Option<Arc<GroupState>> {
        let view = self.view_at(heads)?;
        Some(Arc::new(view.state.clone()))
    }

    /// The state, resolved from nothing: equal to [`Governance::state`], and dear; for checks.
    #[must_use]
    pub fn resolved(&self) -> GroupState {
        let seed = GroupState::below(Arc::clone(&self.now.state.ancestry));
        View::resolve(&self.graph, &self.now.heads, &self.now.above, &seed).state
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
        let Some(view) = before.extended(&self.graph, x) else {
            let heads = self.graph.heads_with(&before.heads, x);
            let seed = GroupState::below(Arc::clone(&before.state.ancestry));
            let view = self.views.resolve(&self.graph, &heads, &before.above, &seed);
            return self.turn_to(view);
        };
        let node = self.graph.node(x);
        let op = &node.payload.op;
        let sets_reader = |(_, standing): &(PublicKey, Option<crate::standing::Standing>)| {
            !standing.is_some_and(|standing| standing.role.writes())
        };
        // Who is let in beside what locks everybody out may write after all.
        let spares = |action: &Action| matches!(action, Action::Checkpoint(_) | Action::ContextAllowed(_));
        // Who gets a row of its own, and had inherited one before, is let in again where what ended above had shut it out.
        let has_places =
            |member: &PublicKey| before.state.people.get(member).is_some_and(|person| !person.places.is_empty());
        let is_back = |(member, _): &(PublicKey, Option<crate::standing::Standing>)| {
            !before.state.ancestry.levels.is_empty() && before.state.direct(member).is_none() && has_places(member)
        };
        let rejudge = op.actions.iter().any(|action| action.may_end_rights() || spares(action))
            || node.effects.changes.iter().any(|change| sets_reader(change) || is_back(change));
        let touched = Touched::by_op(op, node.id, node.payload.author, &before.state);
        let died: Vec<EntryId> = self.ids(view.dead.contains(&x).then_some(x));
        let changes = changes(&before.state, &view.state, &touched);
        self.become_now(view);
        Applied { changes, rejudge, died, ..Applied::default() }
    }

    /// Goes over to a view that was resolved anew.
    fn turn_to(&mut self, view: View<GroupState>) -> Applied {
        let before = Arc::clone(&self.now);
        let touched = Touched::all(&before.state, &view.state);
        let changes = changes(&before.state, &view.state, &touched);
        let died = self.ids(view.dead.iter().copied().filter(|op| !before.dead.contains(op)));
        let revived = self.ids(before.dead.iter().copied().filter(|op| !view.dead.contains(op)));
        self.become_now(view);
        Applied { is_duplicate: false, changes, died, revived, rejudge: true }
    }

    fn become_now(&mut self, view: View<GroupState>) {
        self.now = Arc::new(view);
        self.digest = OnceLock::new();
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
