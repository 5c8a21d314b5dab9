//! What another node lacks of a log of ours, and whether it is ahead of us, told by its [`AuthorVector`].
//!
//! Two nodes bring a log in step by sending vectors both ways, and then each sends what the other lacks. As long
//! as no author equivocated that is exact: one round, and no entry too many.
//!
//! Under equivocation a tip that we do not hold may stand on a branch that we do not know, and then it does not
//! tell what below it is shared. What to make of it is a matter of [`Assume`]: begin with [`Assume::NoForks`], and
//! when a round has brought neither side anything new and the heads still differ, do one with [`Assume::Forks`],
//! after which they are equal.

use std::collections::{BTreeMap, VecDeque};

use crate::chain::Chain;
use crate::dag::{ChainEntry, Dag, DagRead};
use crate::id::EntryId;
use crate::placement::ChainIx;
use crate::vector::{AuthorVector, HeldTip, Row};

/// Index rows of one chain that are read at once while entries of several chains are put in order: a page of 256
/// of a single chain is one read.
pub const READ_AHEAD_MAX: usize = 256;

/// What to make of a tip of theirs that we do not hold, farther than the only chain that we know there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Assume {
    /// It goes on from our chain, so they hold all of that. True unless the author equivocated; if it did, and
    /// its fork splits us, they miss our branch this time.
    NoForks,
    /// It may be a branch: they hold only what a tip that we do hold has in its past. They get at least what they
    /// lack, and more if the author was honest.
    Forks,
}

/// The entries of ours that another node lacks, as of the moment when this was made.
///
/// It holds one position a chain and some read-ahead, and serves page after page from there. What is inserted
/// later is not in it.
#[derive(Clone, Debug)]
pub struct Lacking {
    rest: Rest,
    left: u64,
}

#[derive(Clone, Debug)]
enum Rest {
    /// Everything from one arrival up to before another.
    Everything {
        next: u64,
        end: u64,
    },
    Stretches(Vec<Stretch>),
}

/// The part of one chain that is lacking.
#[derive(Clone, Debug)]
struct Stretch {
    chain: ChainIx,
    next_seq: u64,
    last_seq: u64,
    ahead: VecDeque<ChainEntry>,
}

/// Some of the lacking entries.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// With their numbers in the order of arrival, ascending and so after their parents.
    pub entries: Vec<(u64, EntryId)>,
    /// Where the next page begins; absent after the last.
    pub next: Option<u64>,
}

/// One page of what `theirs` lacks, beginning at arrival number `cursor` (0 at first, then [`Page::next`]), of at
/// most `limit` entries.
///
/// Go on from `next` until it is absent. Beginning again at 0 with a newer vector after each page would come to
/// the same without forks; but with forks a first page can consist of entries that they hold, and then it stays
/// the first page. Whoever serves all pages in a row keeps a [`Lacking`] and spares the search for the place.
#[must_use]
pub fn missing(
    dag: &Dag,
    read: &dyn DagRead,
    theirs: &AuthorVector,
    assume: Assume,
    cursor: u64,
    limit: usize,
) -> Page {
    let mut lacking = Lacking::of(dag, read, theirs, assume);
    lacking.skip_to(read, cursor);
    let page = lacking.page(read, limit);
    let next = page.last().and_then(|(arrival, _)| arrival.checked_add(1)).filter(|_| !lacking.is_empty());
    Page { entries: page, next }
}

/// Whether they hold an entry that we lack, as far as their vector tells: a complete one tells all.
#[must_use]
pub fn ahead_of(dag: &Dag, read: &dyn DagRead, theirs: &AuthorVector) -> bool {
    unheld_tips(dag, read, theirs).next().is_some()
}

/// Their tips that we do not hold.
pub fn unheld_tips<'a>(
    dag: &'a Dag,
    read: &'a dyn DagRead,
    theirs: &'a AuthorVector,
) -> impl Iterator<Item = EntryId> + 'a {
    theirs.rows().iter().flat_map(move |row| {
        let is_held = move |tip: &HeldTip| {
            dag.chains_of_key(row.life).any(|(_, chain)| chain.tip.id == tip.id) || read.placement(&tip.id).is_some()
        };
        row.tips.iter().filter(move |tip| !is_held(tip)).map(|tip| tip.id)
    })
}

impl Lacking {
    /// What a node with the vector `theirs` lacks. Reads a placement for each tip that is not one of our own.
    #[must_use]
    pub fn of(dag: &Dag, read: &dyn DagRead, theirs: &AuthorVector, assume: Assume) -> Self {
        if theirs.is_empty() {
            return Self { rest: Rest::Everything { next: 0, end: dag.count() }, left: dag.count() };
        }
        let covered = coverage(dag, read, theirs, assume);
        let mut stretches = Vec::new();
        let mut left = 0_u64;
        for ((ix, chain), covered) in (0..).map(ChainIx).zip(dag.chains()).zip(covered) {
            let next_seq = covered.saturating_add(1).max(chain.first_seq());
            if next_seq <= chain.tip.seq {
                left = left.saturating_add(chain.tip.seq - next_seq + 1);
                stretches.push(Stretch { chain: ix, next_seq, last_seq: chain.tip.seq, ahead: VecDeque::new() });
            }
        }
        Self { rest: Rest::Stretches(stretches), left }
    }

    /// How many entries are left to serve.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.left
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// The next entries with their numbers in the order of arrival, ascending and so after their parents; at most
    /// `limit`, and fewer only at the end.
    pub fn page(&mut self, read: &dyn DagRead, limit: usize) -> Vec<(u64, EntryId)> {
        let page = match &mut self.rest {
            Rest::Everything { next, end } => everything(read, next, *end, limit),
            Rest::Stretches(stretches) => in_order(read, stretches, limit),
        };
        let is_last = page.len() < limit;
        self.left = if is_last { 0 } else { self.left.saturating_sub(page.len() as u64) };
        page
    }

    /// Leaves out what arrived before number `arrival`.
    fn skip_to(&mut self, read: &dyn DagRead, arrival: u64) {
        match &mut self.rest {
            Rest::Everything { next, end } => {
                *next = arrival.min(*end);
                self.left = *end - *next;
            }
            Rest::Stretches(stretches) => {
                stretches.iter_mut().for_each(|stretch| stretch.skip_to(read, arrival));
                stretches.retain(|stretch| stretch.next_seq <= stretch.last_seq);
                self.left = stretches.iter().map(|stretch| stretch.last_seq - stretch.next_seq + 1).sum();
            }
        }
    }
}

fn everything(read: &dyn DagRead, next: &mut u64, end: u64, limit: usize) -> Vec<(u64, EntryId)> {
    let room = usize::try_from(end - *next).unwrap_or(usize::MAX).min(limit);
    let page: Vec<_> = (*next..).zip(read.by_arrival(*next, room)).collect();
    *next += page.len() as u64;
    page
}

/// Merges stretches, each in the order of arrival by itself.
fn in_order(read: &dyn DagRead, stretches: &mut Vec<Stretch>, limit: usize) -> Vec<(u64, EntryId)> {
    let read_ahead = (limit / stretches.len().max(1)).clamp(1, READ_AHEAD_MAX);
    let mut queue = BTreeMap::new();
    for (at, stretch) in stretches.iter_mut().enumerate() {
        queue.extend(stretch.first(read, read_ahead).map(|entry| (entry.arrival, at)));
    }
    let mut page = Vec::new();
    while page.len() < limit
        && let Some((_, at)) = queue.pop_first()
        && let Some(stretch) = stretches.get_mut(at)
    {
        page.extend(stretch.ahead.pop_front().map(|entry| (entry.arrival, entry.id)));
        queue.extend(stretch.first(read, read_ahead).map(|entry| (entry.arrival, at)));
    }
    stretches.retain(|stretch| !stretch.ahead.is_empty());
    page
}

impl Stretch {
    /// The next entry, after reading at most `limit` ahead if none is at hand.
    fn first(&mut self, read: &dyn DagRead, limit: usize) -> Option<ChainEntry> {
        if self.ahead.is_empty() && self.next_seq <= self.last_seq {
            let room = usize::try_from(self.last_seq - self.next_seq + 1).unwrap_or(usize::MAX).min(limit);
            self.ahead.extend(read.chain_entries(self.chain, self.next_seq, room));
            self.next_seq = self.ahead.back().map_or(u64::MAX, |last| last.seq.saturating_add(1));
        }
        self.ahead.front().copied()
    }

    /// Finds the first entry that arrived at `arrival` or later, by halving.
    fn skip_to(&mut self, read: &dyn DagRead, arrival: u64) {
        let (mut from, mut to) = (self.next_seq, self.last_seq.saturating_add(1));
        while from < to {
            let middle = from + (to - from) / 2;
            match read.chain_entries(self.chain, middle, 1).first() {
                Some(entry) if entry.arrival < arrival => from = middle + 1,
                _ => to = middle,
            }
        }
        self.next_seq = from;
    }
}

/// For each of our chains how far they hold it; 0 is not at all.
fn coverage(dag: &Dag, read: &dyn DagRead, theirs: &AuthorVector, assume: Assume) -> Vec<u64> {
    let mut covered = Covered { dag, reach: vec![0; dag.chains().len()], is_doubtful: false };
    for row in theirs.rows() {
        let mut unheld = None;
        for tip in &row.tips {
            let own = dag.chains_of_key(row.life).find(|(_, chain)| chain.tip.id == tip.id);
            if let Some((chain, own)) = own {
                covered.up_to(chain, own.tip.seq);
            } else if let Some(placement) = dag.placement(read, &tip.id) {
                covered.up_to(placement.chain, placement.seq);
            } else {
                unheld = Some(tip.seq);
            }
        }
        if let (Some(seq), [_]) = (unheld, row.tips.as_slice()) {
            covered.by_unheld(row, seq, assume);
        }
    }
    if covered.is_doubtful || covered.leaves_doubt(theirs) {
        for tip in theirs.tips() {
            if let Some(placement) = dag.placement(read, &tip.id) {
                placement.past.iter().for_each(|(chain, seq)| covered.up_to(chain, seq));
            }
        }
    }
    covered.reach
}

struct Covered<'a> {
    dag: &'a Dag,
    reach: Vec<u64>,
    /// Whether a tip was left out of account that would have told more if we held it.
    is_doubtful: bool,
}

impl Covered<'_> {
    /// They hold `chain` up to `seq`.
    fn up_to(&mut self, chain: ChainIx, seq: u64) {
        if let Some(reach) = self.reach.get_mut(chain.0 as usize) {
            *reach = seq.max(*reach);
        }
    }

    /// What the only tip of a row says that we do not hold.
    fn by_unheld(&mut self, row: &Row, seq: u64, assume: Assume) {
        let mut own = self.dag.chains_of_key(row.life);
        let Some((chain, ours)) = own.next().map(|(ix, chain)| (ix, chain.tip.seq)) else { return };
        let may_go_on = own.next().is_none() && seq > ours;
        match assume {
            Assume::NoForks if may_go_on => self.up_to(chain, ours),
            Assume::NoForks | Assume::Forks => self.is_doubtful = true,
        }
    }

    /// Whether they may hold something that their rows alone do not tell, but the pasts of their tips might:
    /// branches above a fork, or tips that found no room in the vector.
    fn leaves_doubt(&self, theirs: &AuthorVector) -> bool {
        let has_branches = |chain: &Chain| self.dag.chains_of_key(chain.key()).nth(1).is_some();
        self.dag
            .chains()
            .iter()
            .zip(&self.reach)
            .filter(|(chain, reach)| **reach < chain.tip.seq)
            .any(|(chain, _)| !theirs.is_complete() || has_branches(chain))
    }
}
