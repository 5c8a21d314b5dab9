//! What to do when a peer says how a log stands there.

use mesto_oplog::EntryId;

use crate::message::{SUMMARY_HEADS_MAX, Summary};

/// A way to bring two replicas together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// Nothing to do.
    None,
    /// Author vectors, then the lacking entries in causal order.
    Delta,
}

/// What a protocol would cost from here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Estimate {
    /// Bytes beside the entries themselves.
    pub overhead_bytes: u64,
    /// Round trips.
    pub round_trips: u32,
    /// Entries to come, as far as the counts tell.
    pub entries: u64,
}

/// What a summary means for us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Comparison {
    /// They hold something that we lack: pull.
    pub we_lack: bool,
    /// We hold something that they lack: offer.
    pub they_lack: bool,
    /// Equal heads under equal governance, and yet another digest: a bug or a lie, to be shown. A digest that is under no
    /// governance is not there to be compared.
    pub diverged: bool,
    /// How to go about it.
    pub protocol: Protocol,
    /// The estimate on which the protocol was chosen.
    pub estimate: Estimate,
}

/// Bytes of a vector per author: key, incarnation, and one tip.
const VECTOR_BYTES_PER_AUTHOR: u64 = 32 + 8 + 4 + 8 + 32;

/// Compares their summary with ours. `holds` tells whether we hold an entry; `authors` is how many ours has.
#[must_use]
pub fn compare(ours: &Summary, theirs: &Summary, authors: u64, holds: impl Fn(&EntryId) -> bool) -> Comparison {
    // Heads beyond what a summary holds are left out, so that equal lists of so many prove nothing; then the
    // counts tell who is ahead.
    if ours.heads == theirs.heads && ours.heads.len() >= SUMMARY_HEADS_MAX && ours.count != theirs.count {
        let we_lack = ours.count < theirs.count;
        return Comparison {
            we_lack,
            they_lack: !we_lack,
            diverged: false,
            protocol: Protocol::Delta,
            estimate: estimate(ours, theirs, authors),
        };
    }
    if ours.heads == theirs.heads {
        return Comparison {
            we_lack: false,
            they_lack: false,
            diverged: ours.heads.len() < SUMMARY_HEADS_MAX
                && ours.governance == theirs.governance
                && !ours.governance.is_empty()
                && ours.digest != theirs.digest,
            protocol: Protocol::None,
            estimate: Estimate::default(),
        };
    }
    let we_lack = theirs.heads.iter().any(|head| !holds(head));
    // If all their heads are ours and the sets of heads differ, then ours has more. If we lack some of theirs,
    // only the exchange of vectors can tell; our own summary, which they get as well, lets them ask.
    let they_lack = !we_lack || ours.count > theirs.count;
    Comparison {
        we_lack,
        they_lack,
        diverged: false,
        protocol: Protocol::Delta,
        estimate: estimate(ours, theirs, authors),
    }
}

fn estimate(ours: &Summary, theirs: &Summary, authors: u64) -> Estimate {
    Estimate {
        overhead_bytes: authors * VECTOR_BYTES_PER_AUTHOR,
        round_trips: 1,
        entries: theirs.count.abs_diff(ours.count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesto_oplog::LogId;

    fn summary(heads: &[u8], digest: u8) -> Summary {
        Summary {
            log: LogId::default(),
            heads: heads.iter().map(|n| EntryId::from_bytes([*n; 32])).collect(),
            count: 1,
            digest: [digest; 32],
            governance: vec![EntryId::from_bytes([9; 32])],
        }
    }

    #[test]
    fn equal_heads_and_digests_need_nothing() {
        let all = compare(&summary(&[1], 1), &summary(&[1], 1), 1, |_| true);
        assert_eq!((all.we_lack, all.they_lack, all.diverged, all.protocol), (false, false, false, Protocol::None));
    }

    #[test]
    fn equal_heads_with_another_digest_are_a_divergence() {
        assert!(compare(&summary(&[1], 1), &summary(&[1], 2), 1, |_| true).diverged);
    }

    #[test]
    fn unknown_heads_mean_that_we_lack_something() {
        let c = compare(&summary(&[1], 1), &summary(&[2], 1), 1, |_| false);
        assert!(c.we_lack);
        assert_eq!(c.protocol, Protocol::Delta);
    }

    #[test]
    fn lists_of_heads_that_were_cut_alike_are_told_apart_by_the_counts() {
        let many: Vec<EntryId> = (0..SUMMARY_HEADS_MAX).map(|n| EntryId::from_bytes([n as u8; 32])).collect();
        let mut ours = summary(&[], 1);
        ours.heads = many;
        let mut theirs = ours.clone();
        theirs.count += 1;
        let c = compare(&ours, &theirs, 1, |_| true);
        assert_eq!((c.we_lack, c.they_lack, c.diverged), (true, false, false));
    }

    #[test]
    fn known_heads_that_differ_from_ours_mean_that_they_lack_something() {
        let c = compare(&summary(&[1, 2], 1), &summary(&[2], 1), 1, |_| true);
        assert_eq!((c.we_lack, c.they_lack), (false, true));
    }
}
