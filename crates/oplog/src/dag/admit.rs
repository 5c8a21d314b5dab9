//! Accepting an entry: first the verdict, then the change.

use crate::chain::{Base, Chain, Tip};
use crate::dag::{CACHED_HEADS_MAX, CHAINS_MAX, Dag, DagRead};
use crate::entry::{Header, Kind, Stamp, Verified};
use crate::equivocation::Proof;
use crate::id::{EntryId, Incarnation, LogId, PublicKey};
use crate::placement::{ChainIx, Past, Placement};

/// What is to be done with an entry that breaks no rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Admission {
    /// It can be inserted now.
    Ready(Box<Ready>),
    /// It is held already.
    Duplicate,
    /// These parents, ascending, are not held: park it until they are.
    Missing(Vec<EntryId>),
}

/// Why an entry can never be part of this log, whatever else arrives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is for another log.
    #[error("the entry is for log {found}, not for {expected}")]
    WrongLog {
        /// The log that it names.
        found: LogId,
        /// This log.
        expected: LogId,
    },
    /// A delta in a governance log, or the reverse.
    #[error("a {found:?} entry has no place in a log of {expected:?} entries")]
    WrongKind {
        /// Its kind.
        found: Kind,
        /// This log's.
        expected: Kind,
    },
    /// A governance entry that does not descend from the genesis.
    #[error("a governance entry without parents that is not the genesis")]
    Rootless,
    /// Its stamp is not after those of all its parents.
    #[error("stamp {} is not after {}, the latest of its parents'", stamp.0, parents.0)]
    StampNotAfterParents {
        /// Its stamp.
        stamp: Stamp,
        /// The latest stamp of a parent.
        parents: Stamp,
    },
    /// Its `prev` is not in the past of its parents.
    #[error("prev {0} is not in the past of the entry's parents")]
    PrevNotInPast(EntryId),
    /// Its `prev` has another author, or belongs to another life of this one.
    #[error("prev {0} is not of the same author and incarnation")]
    PrevIsAnotherAuthors(EntryId),
    /// Its `seq` is not one more than that of its `prev`.
    #[error("seq {seq} does not follow {prev}, the seq of prev")]
    SeqNotAfterPrev {
        /// Its `seq`.
        seq: u64,
        /// That of its `prev`.
        prev: u64,
    },
    /// The log has [`CHAINS_MAX`] chains and this entry would begin one more. Not a fault of the entry.
    #[error("the log has {CHAINS_MAX} chains and can take no further author")]
    TooManyChains,
}

/// An entry that can be inserted, as long as nothing else is inserted before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ready {
    id: EntryId,
    placement: Placement,
    author: PublicKey,
    incarnation: Incarnation,
    parents: Vec<EntryId>,
    begins: Option<Beginning>,
}

impl Ready {
    /// Where the entry will stand.
    #[must_use]
    pub fn placement(&self) -> &Placement {
        &self.placement
    }
}

/// A chain that begins with the entry.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Beginning {
    base: Option<Base>,
    equivocation: Option<Proof>,
}

/// Something was inserted between the check and the insertion: check again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the log has grown since the entry was checked")]
pub struct Stale;

/// What an insertion changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inserted {
    /// The entry.
    pub id: EntryId,
    /// Where it stands now.
    pub placement: Placement,
    /// The heads that it took the place of, ascending.
    pub superseded: Vec<EntryId>,
    /// Whether it is the only head: then everything held is in its past, and nothing is concurrent with it.
    pub is_only_head: bool,
    /// Whether it begins a branch of a life that has other entries at this place.
    pub is_branch: bool,
    /// The proof, if it begins a branch and the other entry was not pruned.
    pub equivocation: Option<Proof>,
}

impl Dag {
    /// Judges an entry. Nothing is changed. Reads the placements of its parents and `prev`, unless they are
    /// heads, and one index row and entry more if it begins a branch.
    ///
    /// # Errors
    /// If the entry breaks a rule, which no later arrival can mend; see [`Refusal`].
    pub fn check(&self, read: &dyn DagRead, entry: &Verified) -> Result<Admission, Refusal> {
        self.check_belonging(entry)?;
        let (id, header) = (entry.id(), entry.header());
        if self.placement(read, &id).is_some() {
            return Ok(Admission::Duplicate);
        }
        let mut parents = Parents::default();
        for parent in &header.parents {
            match self.placement(read, parent) {
                Some(placement) => parents.add(&placement),
                None => parents.missing.push(*parent),
            }
        }
        if !parents.missing.is_empty() {
            return Ok(Admission::Missing(parents.missing));
        }
        if let Some(latest) = parents.latest
            && header.stamp <= latest
        {
            return Err(Refusal::StampNotAfterParents { stamp: header.stamp, parents: latest });
        }
        let prev = self.check_prev(read, header, &parents.past)?;
        let (chain, begins) = match prev {
            Some(prev) if self.chain(prev.chain).is_some_and(|chain| chain.tip.seq == prev.seq) => (prev.chain, None),
            forked_at => self.begin_chain(read, entry, forked_at)?,
        };
        let mut past = parents.past;
        past.extend_to(chain, header.seq);
        Ok(Admission::Ready(Box::new(Ready {
            id,
            placement: Placement {
                arrival: self.next_arrival,
                chain,
                seq: header.seq,
                height: parents.height,
                stamp: header.stamp,
                past,
            },
            author: header.author,
            incarnation: header.incarnation,
            parents: header.parents.clone(),
            begins,
        })))
    }

    /// Inserts what was checked. The caller writes the records that [the module](crate::dag) lists.
    ///
    /// # Errors
    /// [`Stale`] if the log has grown since the check; nothing is changed then.
    pub fn insert(&mut self, ready: Ready) -> Result<Inserted, Stale> {
        let Ready { id, placement, author, incarnation, parents, begins } = ready;
        if placement.arrival != self.next_arrival {
            return Err(Stale);
        }
        let superseded: Vec<_> = parents.into_iter().filter(|parent| self.unhead(parent)).collect();
        let tip = Tip { seq: placement.seq, id, stamp: placement.stamp };
        let is_branch = begins.is_some() && self.chains_of(author, incarnation).next().is_some();
        let equivocation = match begins {
            Some(Beginning { base, equivocation }) => {
                self.push_chain(Chain { author, incarnation, base, tip, is_head: true });
                equivocation
            }
            None => {
                if let Some(chain) = self.chains.get_mut(placement.chain.0 as usize) {
                    chain.tip = tip;
                    chain.is_head = true;
                }
                None
            }
        };
        self.heads.insert(id, placement.chain);
        if self.cached.len() < CACHED_HEADS_MAX {
            self.cached.insert(id, placement.clone());
        }
        self.next_arrival += 1;
        self.max_stamp = self.max_stamp.max(placement.stamp);
        Ok(Inserted { id, placement, superseded, is_only_head: self.heads.len() == 1, is_branch, equivocation })
    }

    /// The rules that need no look at the log's entries.
    fn check_belonging(&self, entry: &Verified) -> Result<(), Refusal> {
        let (found, expected) = (entry.log(), self.log);
        if found != expected {
            return Err(Refusal::WrongLog { found, expected });
        }
        let (found, expected) = (entry.header().kind, self.kind);
        if found != expected {
            return Err(Refusal::WrongKind { found, expected });
        }
        if self.kind == Kind::Governance && entry.header().parents.is_empty() && !entry.is_genesis() {
            return Err(Refusal::Rootless);
        }
        Ok(())
    }

    /// The placement of the entry before this one in its chain, if it is not the first.
    ///
    /// A `prev` that is not held is not in the past either: all parents are held here, so their past is too.
    fn check_prev(&self, read: &dyn DagRead, header: &Header, past: &Past) -> Result<Option<PrevPlace>, Refusal> {
        let Some(id) = header.prev else { return Ok(None) };
        let place = self.placement(read, &id).filter(|place| past.covers(place));
        let place = place.ok_or(Refusal::PrevNotInPast(id))?;
        let is_own = self
            .chain(place.chain)
            .is_some_and(|chain| chain.author == header.author && chain.incarnation == header.incarnation);
        if !is_own {
            return Err(Refusal::PrevIsAnotherAuthors(id));
        }
        if place.seq.checked_add(1) != Some(header.seq) {
            return Err(Refusal::SeqNotAfterPrev { seq: header.seq, prev: place.seq });
        }
        Ok(Some(PrevPlace { chain: place.chain, seq: place.seq }))
    }

    /// The chain that an entry begins, because it is the first of its life or because its place is taken.
    fn begin_chain(
        &self,
        read: &dyn DagRead,
        entry: &Verified,
        forked_at: Option<PrevPlace>,
    ) -> Result<(ChainIx, Option<Beginning>), Refusal> {
        if self.chains.len() >= CHAINS_MAX {
            return Err(Refusal::TooManyChains);
        }
        let next = u32::try_from(self.chains.len()).map_err(|_| Refusal::TooManyChains)?;
        let header = entry.header();
        let base = forked_at.map(|prev| Base { chain: prev.chain, seq: prev.seq });
        let rival_chain = base.map(|base| base.chain).or_else(|| {
            self.chains_of(header.author, header.incarnation).find(|(_, chain)| chain.base.is_none()).map(|(ix, _)| ix)
        });
        let equivocation = rival_chain
            .and_then(|chain| read.chain_entries(chain, header.seq, 1).first().copied())
            .and_then(|rival| read.entry(&rival.id))
            .and_then(|rival| Proof::of(&rival, entry).ok());
        Ok((ChainIx(next), Some(Beginning { base, equivocation })))
    }

    /// Takes `id` from the heads; tells whether it was one.
    fn unhead(&mut self, id: &EntryId) -> bool {
        self.cached.remove(id);
        let Some(chain) = self.heads.remove(id) else { return false };
        if let Some(chain) = self.chains.get_mut(chain.0 as usize) {
            chain.is_head = false;
        }
        true
    }

    /// Adds a chain to the list and the index; [`Dag::begin_chain`] has seen to it that its number fits.
    pub(crate) fn push_chain(&mut self, chain: Chain) {
        let ix = ChainIx(u32::try_from(self.chains.len()).unwrap_or(u32::MAX));
        self.lives.entry(chain.key()).or_default().push(ix);
        self.chains.push(chain);
    }
}

/// Where the entry before another stands.
#[derive(Clone, Copy)]
struct PrevPlace {
    chain: ChainIx,
    seq: u64,
}

/// What an entry takes over from its parents.
#[derive(Default)]
struct Parents {
    missing: Vec<EntryId>,
    past: Past,
    height: u64,
    latest: Option<Stamp>,
}

impl Parents {
    fn add(&mut self, placement: &Placement) {
        self.past.join(&placement.past);
        self.height = self.height.max(placement.height.saturating_add(1));
        self.latest = self.latest.max(Some(placement.stamp));
    }
}
