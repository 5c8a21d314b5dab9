//! The one record that brings a graph back after a restart.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::chain::Chain;
use crate::dag::{CHAINS_MAX, Dag};
use crate::entry::{Kind, Stamp};
use crate::id::LogId;
use crate::placement::ChainIx;

/// The format that this build reads and writes; it speaks for the placements of the log too.
pub const FRONTIER_VERSION: u8 = 1;

/// Why bytes are no frontier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrontierError {
    /// A format that this build does not know.
    #[error("log index version {0} is not known here (this build reads version {FRONTIER_VERSION}): update Mesto")]
    UnknownVersion(u8),
    /// Too short, a bad tag, or bytes left over.
    #[error("malformed log index: {0}")]
    Malformed(String),
    /// More than [`CHAINS_MAX`] chains.
    #[error("{0} chains exceed the limit of {CHAINS_MAX}")]
    TooManyChains(usize),
    /// A branch whose base is not an earlier chain of the same life, or that ends before it begins.
    #[error("chain {0} does not fit its base")]
    BadBase(u32),
    /// A chain that ends after the latest stamp.
    #[error("chain {0} ends after the latest stamp of the log")]
    StampAfterLatest(u32),
    /// Entries without heads, or fewer entries than chains.
    #[error("{entries} entries do not fit {chains} chains with {heads} heads")]
    CountsDoNotFit {
        /// How many entries are said to be held.
        entries: u64,
        /// How many chains there are.
        chains: usize,
        /// How many of them end in a head.
        heads: usize,
    },
}

#[derive(BorshSerialize, BorshDeserialize)]
struct Frontier {
    version: u8,
    log: LogId,
    kind: Kind,
    entries: u64,
    max_stamp: Stamp,
    chains: Vec<Chain>,
}

impl Dag {
    /// The bytes to keep; about 100 for each chain.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let frontier = Frontier {
            version: FRONTIER_VERSION,
            log: self.log,
            kind: self.kind,
            entries: self.next_arrival,
            max_stamp: self.max_stamp,
            chains: self.chains.clone(),
        };
        borsh::to_vec(&frontier).expect("INVARIANT: writing to memory does not fail")
    }

    /// Reads what [`Dag::encode`] wrote.
    ///
    /// # Errors
    /// For anything else; see [`FrontierError`].
    pub fn restore(bytes: &[u8]) -> Result<Self, FrontierError> {
        let malformed = |what: &str| FrontierError::Malformed(what.to_owned());
        let &version = bytes.first().ok_or_else(|| malformed("empty"))?;
        if version != FRONTIER_VERSION {
            return Err(FrontierError::UnknownVersion(version));
        }
        let frontier = Frontier::try_from_slice(bytes).map_err(|e| malformed(&e.to_string()))?;
        check(&frontier)?;
        let mut dag = Self::new(frontier.log, frontier.kind);
        dag.next_arrival = frontier.entries;
        dag.max_stamp = frontier.max_stamp;
        dag.heads = heads(&frontier.chains);
        for chain in frontier.chains {
            dag.push_chain(chain);
        }
        Ok(dag)
    }
}

fn heads(chains: &[Chain]) -> BTreeMap<crate::id::EntryId, ChainIx> {
    (0..).map(ChainIx).zip(chains).filter(|(_, chain)| chain.is_head).map(|(ix, chain)| (chain.tip.id, ix)).collect()
}

fn check(frontier: &Frontier) -> Result<(), FrontierError> {
    let chains = &frontier.chains;
    if chains.len() > CHAINS_MAX {
        return Err(FrontierError::TooManyChains(chains.len()));
    }
    for (ix, chain) in (0_u32..).zip(chains) {
        let fits = chain.base.is_none_or(|base| {
            base.chain.0 < ix
                && chains.get(base.chain.0 as usize).is_some_and(|below| {
                    (below.author, below.incarnation) == (chain.author, chain.incarnation)
                        && (below.first_seq()..below.tip.seq).contains(&base.seq)
                })
        });
        if !fits || chain.tip.seq < chain.first_seq() {
            return Err(FrontierError::BadBase(ix));
        }
        if chain.tip.stamp > frontier.max_stamp {
            return Err(FrontierError::StampAfterLatest(ix));
        }
    }
    let (entries, heads) = (frontier.entries, heads(chains).len());
    if entries < chains.len() as u64 || (entries == 0) != (heads == 0) {
        return Err(FrontierError::CountsDoNotFit { entries, chains: chains.len(), heads });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::{Base, Tip};
    use crate::id::{EntryId, Incarnation, PublicKey};
    use proptest::prelude::*;

    fn chain(author: u8, base: Option<Base>, seq: u64, is_head: bool) -> Chain {
        let tip = Tip { seq, id: EntryId::from_bytes([seq as u8; 32]), stamp: Stamp(seq) };
        Chain { author: PublicKey::from_bytes([author; 32]), incarnation: Incarnation(5), base, tip, is_head }
    }

    fn frontier() -> Frontier {
        Frontier {
            version: FRONTIER_VERSION,
            log: LogId::from_bytes([2; 32]),
            kind: Kind::Delta,
            entries: 12,
            max_stamp: Stamp(9),
            chains: vec![
                chain(1, None, 4, false),
                chain(3, None, 5, true),
                chain(1, Some(Base { chain: ChainIx(0), seq: 2 }), 6, true),
            ],
        }
    }

    fn bytes(frontier: &Frontier) -> Vec<u8> {
        borsh::to_vec(frontier).expect("memory")
    }

    #[test]
    fn the_bytes_of_a_frontier_are_frozen() {
        let dag = Dag::restore(&bytes(&frontier())).expect("sound");
        assert_eq!(hex::encode(dag.encode()), include_str!("../../tests/golden/frontier.hex").trim());
        assert_eq!(dag.heads().len(), 2);
    }

    #[test]
    fn a_frontier_that_no_log_has_is_refused() {
        let refused = |change: &dyn Fn(&mut Frontier)| {
            let mut frontier = frontier();
            change(&mut frontier);
            Dag::restore(&bytes(&frontier)).expect_err("refused")
        };
        let base = |chain, seq| Some(Base { chain: ChainIx(chain), seq });
        assert_eq!(refused(&|f| f.version = 9), FrontierError::UnknownVersion(9));
        assert_eq!(refused(&|f| f.chains[2].base = base(2, 2)), FrontierError::BadBase(2));
        assert_eq!(refused(&|f| f.chains[2].base = base(1, 2)), FrontierError::BadBase(2));
        assert_eq!(refused(&|f| f.chains[2].base = base(0, 4)), FrontierError::BadBase(2));
        assert_eq!(refused(&|f| f.chains[2].tip.seq = 2), FrontierError::BadBase(2));
        assert_eq!(refused(&|f| f.chains[0].tip.seq = 0), FrontierError::BadBase(0));
        assert_eq!(refused(&|f| f.max_stamp = Stamp(4)), FrontierError::StampAfterLatest(1));
        let counts = FrontierError::CountsDoNotFit { entries: 2, chains: 3, heads: 2 };
        assert_eq!(refused(&|f| f.entries = 2), counts);
        let headless = |f: &mut Frontier| f.chains.iter_mut().for_each(|chain| chain.is_head = false);
        assert_eq!(refused(&headless), FrontierError::CountsDoNotFit { entries: 12, chains: 3, heads: 0 });
    }

    proptest! {
        #[test]
        fn what_is_restored_is_what_would_be_encoded(flips in prop::collection::vec((0usize..400, any::<u8>()), 0..3)) {
            let mut bytes = bytes(&frontier());
            for (at, byte) in flips {
                if let Some(slot) = bytes.get_mut(at) {
                    *slot = byte;
                }
            }
            if let Ok(dag) = Dag::restore(&bytes) {
                prop_assert_eq!(dag.encode(), bytes);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(mut bytes: Vec<u8>, versioned: bool) {
            if let (true, Some(version)) = (versioned, bytes.first_mut()) {
                *version = FRONTIER_VERSION;
            }
            let _ = Dag::restore(&bytes);
        }
    }
}
