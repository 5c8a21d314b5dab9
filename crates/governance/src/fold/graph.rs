//! The causal graph of the admitted ops of one log, with what the fold needs to know of each.
//!
//! Ancestry is answered by vectors over *chains*: each op goes to the end of a chain all of which is in its past,
//! so a log with w concurrent branches needs about w chains, whoever the authors are. A vector is a persistent
//! map, shared with those of the op's parents.

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::{OrdMap, Vector};

use super::above::Above;
use super::effects::{Door, Effects};
use crate::id::InvitationId;
use crate::rank::Rank;

/// An op's number in its graph: in order of arrival, parents first. Never decides anything.
pub type Ix = u32;

/// One admitted op.
#[derive(Clone, Debug)]
pub struct Node<Id, M, P> {
    /// Its id.
    pub id: Id,
    /// 1 + the largest height of its parents; genesis 0.
    pub height: u64,
    /// Its author's rank when it was admitted.
    pub rank: Rank<Id>,
    /// Its meaning for the fold.
    pub effects: Effects<M>,
    /// Whatever else the caller keeps of it.
    pub payload: P,
    /// What it has in its past of the logs of the group's ancestors.
    pub above: Above,
    parents: Vec<Ix>,
    chain: u32,
    position: u32,
    past: OrdMap<u32, u32>,
}

/// The graph. All its parts are persistent: a clone costs nothing, whatever its size.
#[derive(Clone, Debug)]
pub struct Graph<Id: Ord + Clone, M: Ord + Clone, P> {
    nodes: Vector<Arc<Node<Id, M, P>>>,
    index: OrdMap<Id, Ix>,
    /// Length of each chain.
    chains: Vector<u32>,
    /// How many ancestors the group has.
    pub(super) generation: u8,
    /// By member: the ops that set its standing, in order of arrival.
    pub(super) seats: OrdMap<M, Vector<Ix>>,
    /// By member: the ops that rely on it.
    pub(super) relying: OrdMap<M, Vector<Ix>>,
    /// By door: the ops that close it.
    pub(super) closing: OrdMap<Door<M>, Vector<Ix>>,
    /// By door: the ops that came through it.
    pub(super) entering: OrdMap<Door<M>, Vector<Ix>>,
    /// By invitation: the ops that claim it.
    pub(super) claiming: OrdMap<InvitationId, Vector<Ix>>,
    /// By op: the ops that rest on it, or came through a door that it opened.
    pub(super) resting: OrdMap<Ix, Vector<Ix>>,
    /// The ops that hand the group to another owner.
    pub(super) transfers: Vector<Ix>,
}

impl<Id: Ord + Clone, M: Ord + Clone, P> Default for Graph<Id, M, P> {
    fn default() -> Self {
        Self {
            nodes: Vector::new(),
            index: OrdMap::new(),
            chains: Vector::new(),
            generation: 0,
            seats: OrdMap::new(),
            relying: OrdMap::new(),
            closing: OrdMap::new(),
            entering: OrdMap::new(),
            claiming: OrdMap::new(),
            resting: OrdMap::new(),
            transfers: Vector::new(),
        }
    }
}

impl<Id: Ord + Clone, M: Ord + Clone, P> Graph<Id, M, P> {
    /// How many ops there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The number of the op with this id.
    #[must_use]
    pub fn find(&self, id: &Id) -> Option<Ix> {
        self.index.get(id).copied()
    }

    /// An op by its number, which must be of this graph.
    #[must_use]
    pub fn node(&self, ix: Ix) -> &Node<Id, M, P> {
        &self.nodes[ix as usize]
    }

    /// The number that the next op gets.
    #[must_use]
    pub fn next(&self) -> Ix {
        self.nodes.len() as Ix
    }

    /// The height of an op with these parents.
    #[must_use]
    pub fn height_over(&self, parents: &[Ix]) -> u64 {
        parents.iter().map(|&parent| self.node(parent).height + 1).max().unwrap_or(0)
    }

    /// Adds an op after its parents.
    pub fn insert(&mut self, id: Id, parents: &[Ix], rank: Rank<Id>, effects: Effects<M>, payload: P) -> Ix {
        self.insert_below(id, parents, rank, effects, payload, Above::default())
    }

    /// Adds an op after its parents, and after `above` in the logs of the ancestors.
    pub fn insert_below(
        &mut self,
        id: Id,
        parents: &[Ix],
        rank: Rank<Id>,
        effects: Effects<M>,
        payload: P,
        above: Above,
    ) -> Ix {
        let ix = self.next();
        let height = self.height_over(parents);
        let past = self.past_over(parents);
        let chain = self.chain_for(parents, &past);
        let position = self.chains[chain as usize] + 1;
        self.chains.set(chain as usize, position);
        self.note(ix, &effects);
        self.index.insert(id.clone(), ix);
        let parents = parents.to_vec();
        self.nodes.push_back(Arc::new(Node {
            id,
            height,
            rank,
            effects,
            payload,
            above,
            parents,
            chain,
            position,
            past,
        }));
        ix
    }

    fn note(&mut self, ix: Ix, effects: &Effects<M>) {
        for (member, _) in &effects.changes {
            self.seats.entry(member.clone()).or_default().push_back(ix);
        }
        for (member, _) in &effects.relies {
            self.relying.entry(member.clone()).or_default().push_back(ix);
        }
        for door in &effects.closes {
            self.closing.entry(door.clone()).or_default().push_back(ix);
        }
        for (door, opened) in &effects.enters {
            self.entering.entry(door.clone()).or_default().push_back(ix);
            for &opening in opened {
                self.resting.entry(opening).or_default().push_back(ix);
            }
        }
        if let Some((invitation, _)) = &effects.claims {
            self.claiming.entry(*invitation).or_default().push_back(ix);
        }
        for &under in &effects.rests_on {
            self.resting.entry(under).or_default().push_back(ix);
        }
        if effects.transfers {
            self.transfers.push_back(ix);
        }
    }

    /// The ops that set a member's standing, the newest arrivals first.
    pub fn seats_of(&self, member: &M) -> impl Iterator<Item = Ix> {
        self.seats.get(member).into_iter().flat_map(|seats| seats.iter().rev().copied())
    }

    /// The live claims and transfers of ownership that came before dead ones, where not both could stand.
    pub fn preferred(&self, dead: &imbl::OrdSet<Ix>) -> impl Iterator<Item = Ix> {
        dead.iter().flat_map(|&op| self.rivals_before(op)).filter(|rival| !dead.contains(rival))
    }

    /// The ops that come before `op`, in walk order, at what there is only so much of: other claims of its invitation, other
    /// transfers of ownership.
    pub(super) fn rivals_before(&self, op: Ix) -> impl Iterator<Item = Ix> {
        let effects = &self.node(op).effects;
        let claims = effects.claims.and_then(|(invitation, _)| self.claiming.get(&invitation)).into_iter().flatten();
        let transfers = self.transfers.iter().filter(move |_| effects.transfers);
        claims.chain(transfers).copied().filter(move |&other| self.walk_key(other) < self.walk_key(op))
    }

    /// Whether `a` is in the past of `b`.
    #[must_use]
    pub fn is_past(&self, a: Ix, b: Ix) -> bool {
        let (a, b) = (self.node(a), self.node(b));
        b.past.get(&a.chain).is_some_and(|&reached| reached >= a.position)
    }

    /// Whether neither is in the other's past.
    #[must_use]
    pub fn concurrent(&self, a: Ix, b: Ix) -> bool {
        a != b && !self.is_past(a, b) && !self.is_past(b, a)
    }

    /// Whether `a` is one of `heads` or in the past of one.
    #[must_use]
    pub fn is_within(&self, a: Ix, heads: &BTreeSet<Ix>) -> bool {
        // What comes after an op has a greater index.
        heads.contains(&a) || heads.range(a..).any(|&head| self.is_past(a, head))
    }

    /// The order of all walks: by height, then id.
    #[must_use]
    pub fn walk_key(&self, ix: Ix) -> (u64, &Id) {
        let node = self.node(ix);
        (node.height, &node.id)
    }

    /// The order of revocations: by rank, then height, then id.
    #[must_use]
    pub fn revocation_key(&self, ix: Ix) -> (&Rank<Id>, u64, &Id) {
        let node = self.node(ix);
        (&node.rank, node.height, &node.id)
    }

    /// The ops that are `heads` or in their past, and are not within `base`; in walk order.
    #[must_use]
    pub fn beyond(&self, base: &BTreeSet<Ix>, heads: &BTreeSet<Ix>) -> Vec<Ix> {
        let mut found = BTreeSet::new();
        let mut open: Vec<Ix> = heads.iter().copied().collect();
        while let Some(ix) = open.pop() {
            if !found.contains(&ix) && !self.is_within(ix, base) {
                found.insert(ix);
                open.extend_from_slice(&self.node(ix).parents);
            }
        }
        let mut found: Vec<Ix> = found.into_iter().collect();
        found.sort_by(|&a, &b| self.walk_key(a).cmp(&self.walk_key(b)));
        found
    }

    /// Of the ops within `heads` that are concurrent with `x`, which nothing within them comes after, those that may have to do
    /// with it: one could void the other, or both want what only one can have. Found by the indexes, for somebody may
    /// put an op beside a whole log.
    #[must_use]
    pub fn rivals_beside(&self, x: Ix, heads: &BTreeSet<Ix>) -> BTreeSet<Ix> {
        if heads.iter().all(|&head| self.is_past(head, x)) {
            return BTreeSet::new();
        }
        let effects = &self.node(x).effects;
        let changed = effects.changes.iter().map(|(member, _)| member);
        let relied_on = effects.relies.iter().map(|(member, _)| member);
        let relying = changed.clone().filter_map(|member| self.relying.get(member));
        let setting = changed.chain(relied_on).filter_map(|member| self.seats.get(member));
        let entering = effects.closes.iter().filter_map(|door| self.entering.get(door));
        let closing = effects.enters.iter().filter_map(|(door, _)| self.closing.get(door));
        let claiming = effects.claims.iter().filter_map(|(invitation, _)| self.claiming.get(invitation));
        let transfers = effects.transfers.then_some(&self.transfers);
        let found = relying.chain(setting).chain(entering).chain(closing).chain(claiming).chain(transfers);
        let is_beside = |op: &Ix| *op != x && !self.is_past(*op, x) && self.is_within(*op, heads);
        found.flatten().copied().filter(is_beside).collect()
    }

    /// `heads` after `x` came, whose parents are all within them.
    #[must_use]
    pub fn heads_with(&self, heads: &BTreeSet<Ix>, x: Ix) -> BTreeSet<Ix> {
        let mut heads = heads.clone();
        for parent in &self.node(x).parents {
            heads.remove(parent);
        }
        heads.insert(x);
        heads
    }

    /// Those of `set` that are in the past of no other.
    #[must_use]
    pub fn maximal(&self, set: &BTreeSet<Ix>) -> BTreeSet<Ix> {
        set.iter().copied().filter(|&a| !set.iter().any(|&b| self.is_past(a, b))).collect()
    }

    fn past_over(&self, parents: &[Ix]) -> OrdMap<u32, u32> {
        let largest = parents.iter().max_by_key(|&&parent| self.node(parent).past.len());
        let mut past = largest.map(|&parent| self.node(parent).past.clone()).unwrap_or_default();
        for &parent in parents {
            let node = self.node(parent);
            if Some(&parent) != largest {
                for (&chain, &reached) in &node.past {
                    raise(&mut past, chain, reached);
                }
            }
            raise(&mut past, node.chain, node.position);
        }
        past
    }

    fn chain_for(&mut self, parents: &[Ix], past: &OrdMap<u32, u32>) -> u32 {
        let is_whole = |chain: u32, reached: u32| self.chains.get(chain as usize) == Some(&reached);
        let own = parents.iter().map(|&parent| self.node(parent)).find(|node| is_whole(node.chain, node.position));
        if let Some(node) = own {
            return node.chain;
        }
        if let Some((&chain, _)) = past.iter().find(|&(&chain, &reached)| is_whole(chain, reached)) {
            return chain;
        }
        self.chains.push_back(0);
        self.chains.len() as u32 - 1
    }
}

fn raise(past: &mut OrdMap<u32, u32>, chain: u32, reached: u32) {
    if past.get(&chain).is_none_or(|&known| known < reached) {
        past.insert(chain, reached);
    }
}
