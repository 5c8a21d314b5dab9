//! The causal graph of the admitted ops of one log, with what the fold needs to know of each.
//!
//! Ancestry is answered by vectors over *chains*: each op goes to the end of a chain all of which is in its past,
//! so a log with w concurrent branches needs about w chains, whoever the authors are. A vector is a persistent
//! map, shared with those of the op's parents.

use std::collections::{BTreeMap, BTreeSet};

use imbl::OrdMap;

use crate::id::InvitationId;
use crate::rank::Rank;
use crate::standing::{Need, Standing};

/// An op's number in its graph: in order of arrival, parents first. Never decides anything.
pub type Ix = u32;

/// What an op does to members, and what it rests on: the part of its meaning that decides liveness.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effects<M> {
    /// Whose authority it relies on: its author's, and for a claim also the inviter's.
    pub relies: Vec<(M, Need)>,
    /// Whose standing it sets, and to what; nothing for a removal.
    pub changes: Vec<(M, Option<Standing>)>,
    /// Whether it is the author's own leave, which nobody can void. Its author is then in `changes`.
    pub is_leave: bool,
    /// Ops that must be live for it to be live.
    pub rests_on: Vec<Ix>,
    /// The invitation that it claims, and how many may.
    pub claims: Option<(InvitationId, u32)>,
    /// Invitations that it closes.
    pub closes: Vec<InvitationId>,
}

impl<M> Default for Effects<M> {
    fn default() -> Self {
        Self {
            relies: Vec::new(),
            changes: Vec::new(),
            is_leave: false,
            rests_on: Vec::new(),
            claims: None,
            closes: Vec::new(),
        }
    }
}

impl<M: PartialEq> Effects<M> {
    /// Whether this is a revocation: an op that may void others.
    #[must_use]
    pub fn revokes(&self) -> bool {
        !self.closes.is_empty() || (!self.is_leave && !self.changes.is_empty())
    }

    /// Whether this, if it is effective and concurrent with `other`, voids it.
    #[must_use]
    pub fn voids(&self, other: &Self) -> bool {
        if self.is_leave || other.is_leave {
            return false;
        }
        let takes = |(member, need): &(M, Need)| {
            self.changes
                .iter()
                .any(|(target, left)| target == member && !left.is_some_and(|left| left.satisfies(*need)))
        };
        let closed = |(invitation, _): &(InvitationId, u32)| self.closes.contains(invitation);
        other.relies.iter().any(takes) || other.claims.as_ref().is_some_and(closed)
    }
}

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
    parents: Vec<Ix>,
    chain: u32,
    position: u32,
    past: OrdMap<u32, u32>,
}

/// The graph.
#[derive(Clone, Debug)]
pub struct Graph<Id, M, P> {
    nodes: Vec<Node<Id, M, P>>,
    index: BTreeMap<Id, Ix>,
    /// Length of each chain.
    chains: Vec<u32>,
    /// By member: the ops that set its standing, in order of arrival.
    pub(super) seats: BTreeMap<M, Vec<Ix>>,
    /// By member: the ops that rely on it.
    pub(super) relying: BTreeMap<M, Vec<Ix>>,
    /// By invitation: the ops that close it.
    pub(super) closing: BTreeMap<InvitationId, Vec<Ix>>,
    /// By invitation: the ops that claim it.
    pub(super) claiming: BTreeMap<InvitationId, Vec<Ix>>,
    /// By op: the ops that rest on it.
    pub(super) resting: BTreeMap<Ix, Vec<Ix>>,
}

impl<Id: Ord + Clone, M: Ord + Clone, P> Default for Graph<Id, M, P> {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            index: BTreeMap::new(),
            chains: Vec::new(),
            seats: BTreeMap::new(),
            relying: BTreeMap::new(),
            closing: BTreeMap::new(),
            claiming: BTreeMap::new(),
            resting: BTreeMap::new(),
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
        let ix = self.next();
        let height = self.height_over(parents);
        let past = self.past_over(parents);
        let chain = self.chain_for(parents, &past);
        let length = &mut self.chains[chain as usize];
        *length += 1;
        let position = *length;
        for (member, _) in &effects.changes {
            self.seats.entry(member.clone()).or_default().push(ix);
        }
        for (member, _) in &effects.relies {
            self.relying.entry(member.clone()).or_default().push(ix);
        }
        for invitation in &effects.closes {
            self.closing.entry(*invitation).or_default().push(ix);
        }
        if let Some((invitation, _)) = &effects.claims {
            self.claiming.entry(*invitation).or_default().push(ix);
        }
        for &under in &effects.rests_on {
            self.resting.entry(under).or_default().push(ix);
        }
        self.index.insert(id.clone(), ix);
        let parents = parents.to_vec();
        self.nodes.push(Node { id, height, rank, effects, payload, parents, chain, position, past });
        ix
    }

    /// The ops that set a member's standing, in order of arrival.
    #[must_use]
    pub fn seats_of(&self, member: &M) -> &[Ix] {
        self.seats.get(member).map(Vec::as_slice).unwrap_or_default()
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
        heads.iter().any(|&head| a == head || self.is_past(a, head))
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

    /// The ops within `heads` that are neither `x` nor in its past: those concurrent with it, if nothing within
    /// `heads` comes after it.
    #[must_use]
    pub fn beside(&self, x: Ix, heads: &BTreeSet<Ix>) -> Vec<Ix> {
        let mut found = BTreeSet::new();
        let mut open: Vec<Ix> = heads.iter().copied().collect();
        while let Some(ix) = open.pop() {
            if ix != x && !self.is_past(ix, x) && found.insert(ix) {
                open.extend_from_slice(&self.node(ix).parents);
            }
        }
        found.into_iter().collect()
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
        self.chains.push(0);
        self.chains.len() as u32 - 1
    }
}

fn raise(past: &mut OrdMap<u32, u32>, chain: u32, reached: u32) {
    if past.get(&chain).is_none_or(|&known| known < reached) {
        past.insert(chain, reached);
    }
}

impl<M: PartialEq> Effects<M> {
    /// The standing that this gives `member`, nothing if it ends the membership.
    #[must_use]
    pub fn gives(&self, member: &M) -> Option<Standing> {
        self.changes.iter().find(|(target, _)| target == member).and_then(|(_, standing)| *standing)
    }
}
