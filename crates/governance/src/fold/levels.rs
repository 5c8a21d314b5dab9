//! The fold of levels alone, for any types of ids and members: who is in a group as what, from ops that add,
//! change, remove and leave. It is the code of the real thing ([`Graph`], [`View`], [`Roster`]) without what
//! surrounds it there, for studying histories and for tests.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::above::Above;
use super::effects::Effects;
use super::graph::{Graph, Ix};
use super::roster::{Roster, founder};
use super::view::{View, Views};
use crate::right::need_to_set;
use crate::role::{Level, Role};
use crate::standing::{Need, Standing};

/// What an op does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LevelAction<M> {
    /// Gives a member, or somebody who is none, this standing.
    Set(M, Standing),
    /// Removes a member.
    Remove(M),
    /// The author leaves.
    Leave,
    /// Anything that takes the authority of an admin and changes no standing.
    Settings,
}

/// Why an op is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LevelRejected {
    /// A parent is not admitted, or there is none.
    #[error("a parent is not admitted")]
    ParentNotAdmitted,
    /// The id is taken.
    #[error("there is an op with this id")]
    Duplicate,
    /// The author lacks the level or the capabilities.
    #[error("the author lacks the authority")]
    NoAuthority,
    /// The target is not outranked by the author.
    #[error("the author does not outrank the target")]
    NotOutranked,
    /// The target is no member.
    #[error("the target is no member")]
    NoSuchMember,
    /// The target already has this standing.
    #[error("the standing would not change")]
    NoChange,
    /// Nobody is made an owner, and the owner cannot leave.
    #[error("there is one owner")]
    OneOwner,
}

/// A history of level ops and its fold.
#[derive(Clone, Debug)]
pub struct Levels<Id: Ord + Clone, M: Ord + Clone> {
    graph: Graph<Id, M, ()>,
    views: Views<Roster<Id, M>>,
    heads: BTreeSet<Ix>,
}

impl<Id: Ord + Clone, M: Ord + Clone> Levels<Id, M> {
    /// A group of one, the owner.
    #[must_use]
    pub fn genesis(id: Id, owner: M) -> Self {
        let mut graph = Graph::default();
        let effects = Effects { changes: vec![(owner, Some(Standing::OWNER))], ..Effects::default() };
        let ix = graph.insert(id.clone(), &[], founder(id, 0), effects, ());
        Self { graph, views: Views::default(), heads: BTreeSet::from([ix]) }
    }

    /// Takes in an op after its parents.
    ///
    /// # Errors
    /// The rule that it breaks, which decides for good.
    pub fn apply(&mut self, id: Id, author: M, parents: &[Id], action: LevelAction<M>) -> Result<(), LevelRejected> {
        if self.graph.find(&id).is_some() {
            return Err(LevelRejected::Duplicate);
        }
        let parents: Option<BTreeSet<Ix>> = parents.iter().map(|parent| self.graph.find(parent)).collect();
        let parents = parents.filter(|parents| !parents.is_empty()).ok_or(LevelRejected::ParentNotAdmitted)?;
        let base = self.view_at(&self.graph.maximal(&parents));
        let effects = admit(&base.state, &author, action)?;
        let rank = base.state.rank(&author).cloned().ok_or(LevelRejected::NoAuthority)?;
        let parents: Vec<Ix> = parents.into_iter().collect();
        let ix = self.graph.insert(id, &parents, rank, effects, ());
        self.heads = self.graph.heads_with(&self.heads, ix);
        Ok(())
    }

    /// The fold of all ops: extended where that is exact.
    pub fn roster(&mut self) -> Roster<Id, M> {
        self.view_at(&self.heads.clone()).state.clone()
    }

    /// The ids of the dead ops.
    pub fn dead(&mut self) -> Vec<Id> {
        let view = self.view_at(&self.heads.clone());
        let mut dead: Vec<Id> = view.dead.iter().map(|&ix| self.graph.node(ix).id.clone()).collect();
        dead.sort();
        dead
    }

    /// Roster and dead ops, resolved from nothing.
    #[must_use]
    pub fn resolved(&self) -> (Roster<Id, M>, Vec<Id>) {
        let view: View<Roster<Id, M>> = View::resolve(&self.graph, &self.heads, &Above::default(), &Roster::default());
        let mut dead: Vec<Id> = view.dead.iter().map(|&ix| self.graph.node(ix).id.clone()).collect();
        dead.sort();
        (view.state, dead)
    }

    fn view_at(&mut self, heads: &BTreeSet<Ix>) -> Arc<View<Roster<Id, M>>> {
        self.views.at(&self.graph, heads, &Above::default(), &Roster::default())
    }
}

/// The rules of admission.
fn admit<Id: Ord + Clone, M: Ord + Clone>(
    roster: &Roster<Id, M>,
    author: &M,
    action: LevelAction<M>,
) -> Result<Effects<M>, LevelRejected> {
    let own = roster.standing(author).ok_or(LevelRejected::NoAuthority)?;
    let outranks = |target: &M| match (roster.rank(author), roster.rank(target)) {
        (Some(own), Some(other)) if own.outranks(other) => Ok(()),
        _ => Err(LevelRejected::NotOutranked),
    };
    let mut effects = Effects::default();
    let need = match action {
        LevelAction::Set(target, standing) => {
            if standing.role == Role::Owner {
                return Err(LevelRejected::OneOwner);
            }
            if let Some(now) = roster.standing(&target) {
                outranks(&target)?;
                if now == standing {
                    return Err(LevelRejected::NoChange);
                }
            }
            effects.changes.push((target, Some(standing)));
            need_to_set(standing)
        }
        LevelAction::Remove(target) => {
            roster.standing(&target).ok_or(LevelRejected::NoSuchMember)?;
            outranks(&target)?;
            effects.changes.push((target, None));
            Need::level(Level::Manager)
        }
        LevelAction::Leave => {
            if own.role == Role::Owner {
                return Err(LevelRejected::OneOwner);
            }
            effects.is_leave = true;
            effects.changes.push((author.clone(), None));
            Need::MEMBERSHIP
        }
        LevelAction::Settings => Need::level(Level::Admin),
    };
    if !own.satisfies(need) {
        return Err(LevelRejected::NoAuthority);
    }
    effects.relies.push((author.clone(), need));
    Ok(effects)
}
