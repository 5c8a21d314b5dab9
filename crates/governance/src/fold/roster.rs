//! The slot fold: who has which standing and rank, from the live ops that set it.

use std::sync::Arc;

use imbl::OrdMap;

use super::graph::{Graph, Ix};
use crate::rank::Rank;
use crate::role::Level;
use crate::standing::Standing;

/// One member's seat, also after the member is gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seat<Id> {
    /// The maximal live ops that set or end the membership, in order of id.
    contenders: Vec<Contender<Id>>,
    /// What they come to: the least.
    pub standing: Option<Standing>,
    /// The rank, if the seat is taken.
    pub rank: Option<Rank<Id>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Contender<Id> {
    ix: Ix,
    id: Id,
    gives: Option<Standing>,
}

impl<Id> Seat<Id> {
    /// The ops that decide the seat.
    pub fn decided_by(&self) -> impl Iterator<Item = Ix> {
        self.contenders.iter().map(|contender| contender.ix)
    }
}

/// All seats.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Roster<Id: Ord + Clone, M: Ord + Clone> {
    /// Shared, because a persistent map copies the rows around the one that changes.
    seats: OrdMap<M, Arc<Seat<Id>>>,
}

impl<Id: Ord + Clone, M: Ord + Clone> Default for Roster<Id, M> {
    fn default() -> Self {
        Self { seats: OrdMap::new() }
    }
}

impl<Id: Ord + Clone, M: Ord + Clone> Roster<Id, M> {
    /// The seat of a present or former member.
    #[must_use]
    pub fn seat(&self, member: &M) -> Option<&Seat<Id>> {
        self.seats.get(member).map(Arc::as_ref)
    }

    /// A present member's standing.
    #[must_use]
    pub fn standing(&self, member: &M) -> Option<Standing> {
        self.seats.get(member).and_then(|seat| seat.standing)
    }

    /// A present member's rank.
    #[must_use]
    pub fn rank(&self, member: &M) -> Option<&Rank<Id>> {
        self.seats.get(member).and_then(|seat| seat.rank.as_ref())
    }

    /// The present members, in their order.
    pub fn members(&self) -> impl Iterator<Item = (&M, Standing)> {
        self.seats.iter().filter_map(|(member, seat)| Some((member, seat.standing?)))
    }

    /// Takes in a live op, after all live ops of its past.
    pub fn place<P>(&mut self, graph: &Graph<Id, M, P>, x: Ix) {
        for (member, gives) in &graph.node(x).effects.changes {
            let mut contenders = self.seats.get(member).map(|seat| seat.contenders.clone()).unwrap_or_default();
            contenders.retain(|contender| contender.ix != x && !graph.is_past(contender.ix, x));
            contenders.push(Contender { ix: x, id: graph.node(x).id.clone(), gives: *gives });
            contenders.sort_by(|a, b| a.id.cmp(&b.id));
            self.seats.insert(member.clone(), Arc::new(decide(graph, contenders)));
        }
    }
}

/// What several ops that decide a seat come to: none if one of them ends the membership; else the owner's, if one of
/// them hands the group over, because a group is never without an owner; else the least.
pub(super) fn least(gives: impl IntoIterator<Item = Option<Standing>>) -> Option<Standing> {
    gives
        .into_iter()
        .reduce(|least, gives| {
            let (a, b) = least.zip(gives)?;
            Some(if a == Standing::OWNER || b == Standing::OWNER { Standing::OWNER } else { a.meet(b) })
        })
        .flatten()
}

/// The standing; and the rank by the grant of that level whose author ranks weakest, then whose id is larger.
fn decide<Id: Ord + Clone, M: Ord + Clone, P>(graph: &Graph<Id, M, P>, contenders: Vec<Contender<Id>>) -> Seat<Id> {
    let standing = least(contenders.iter().map(|contender| contender.gives));
    let rank = standing.and_then(|standing| {
        contenders
            .iter()
            .filter(|contender| contender.gives.map(Standing::level) == Some(standing.level()))
            .map(|contender| graph.node(contender.ix))
            .max_by(|a, b| (&a.rank, &a.id).cmp(&(&b.rank, &b.id)))
            .map(|grant| Rank {
                level: standing.level(),
                generation: graph.generation,
                depth: if grant.height == 0 { 0 } else { grant.rank.depth.saturating_add(1) },
                height: grant.height,
                id: grant.id.clone(),
            })
    });
    Seat { contenders, standing, rank }
}

/// The rank with which the author of a genesis op acts, in a group with so many ancestors.
#[must_use]
pub fn founder<Id>(genesis: Id, generation: u8) -> Rank<Id> {
    Rank { level: Level::Owner, generation, depth: 0, height: 0, id: genesis }
}
