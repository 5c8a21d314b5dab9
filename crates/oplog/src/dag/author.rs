//! Authoring on top of a log.

use crate::dag::{Dag, DagRead};
use crate::entry::{Header, Kind, PARENTS_MAX, Stamp};
use crate::id::{EntryId, Incarnation, PublicKey};

/// The header to sign next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// For the entry itself, on top of all heads.
    Entry(Header),
    /// There are more than [`PARENTS_MAX`] heads. Sign this for an entry that says nothing, insert it, and ask
    /// again: each such entry takes up to 32 heads.
    MergeFirst(Header),
}

/// Why nothing can be authored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorError {
    /// A governance log without its genesis.
    #[error("the log has no genesis yet: nothing can be signed on top of it")]
    NoGenesis,
    /// The author's life has several branches: some key of its is used twice. Go on in a new incarnation.
    #[error("this life of the author has {0} branches: go on under a new incarnation")]
    Branched(usize),
    /// No stamp is left after those of the log.
    #[error("the clock of the log is at its end")]
    NoStampLeft,
    /// The store does not have what the graph says is held.
    #[error("the store has no placement for head {0}")]
    HeadNotInStore(EntryId),
}

impl Dag {
    /// What `author` has to sign next, in its life `incarnation`, at `now_ms` milliseconds since 1970. The
    /// stamp is after all of the log's even if our clock is behind. The store is read only if there are more
    /// than [`PARENTS_MAX`] heads.
    ///
    /// # Errors
    /// See [`AuthorError`].
    pub fn next_header(
        &self,
        read: &dyn DagRead,
        author: PublicKey,
        incarnation: Incarnation,
        now_ms: u64,
    ) -> Result<Next, AuthorError> {
        if self.kind == Kind::Governance && self.heads.is_empty() {
            return Err(AuthorError::NoGenesis);
        }
        let mut own = self.chains_of(author, incarnation).map(|(ix, chain)| (ix, chain.tip));
        let (first, others) = (own.next(), own.count());
        if others > 0 {
            return Err(AuthorError::Branched(others + 1));
        }
        let stamp = Stamp::after(self.max_stamp, now_ms).ok_or(AuthorError::NoStampLeft)?;
        let header = |parents| Header {
            kind: self.kind,
            log: self.log,
            author,
            incarnation,
            seq: first.map_or(1, |(_, tip)| tip.seq.saturating_add(1)),
            prev: first.map(|(_, tip)| tip.id),
            parents,
            stamp,
        };
        if self.heads.len() <= PARENTS_MAX {
            return Ok(Next::Entry(header(self.heads().collect())));
        }
        let mut parents = Vec::with_capacity(PARENTS_MAX);
        if let Some((chain, tip)) = first {
            parents.extend(self.head_above(read, |past| past.reach(chain) >= tip.seq)?);
        }
        let others: Vec<_> = self.heads().filter(|head| !parents.contains(head)).collect();
        parents.extend(others.into_iter().take(PARENTS_MAX - parents.len()));
        parents.sort();
        Ok(Next::MergeFirst(header(parents)))
    }

    /// The first head whose past is as asked.
    fn head_above(
        &self,
        read: &dyn DagRead,
        is_above: impl Fn(&crate::placement::Past) -> bool,
    ) -> Result<Option<EntryId>, AuthorError> {
        for head in self.heads() {
            let placement = self.placement(read, &head).ok_or(AuthorError::HeadNotInStore(head))?;
            if is_above(&placement.past) {
                return Ok(Some(head));
            }
        }
        Ok(None)
    }
}
