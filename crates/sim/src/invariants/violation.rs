//! The rules, each by the way in which it is broken.

use mesto_governance::{ContextId, GroupId};
use mesto_oplog::{EntryId, LogId};

/// A rule that was broken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A node keeps itself or others busy without end.
    #[error("host {host} spins: {steps} steps of nodes in one second")]
    Spinning {
        /// Who made the last step.
        host: usize,
        /// How many.
        steps: u64,
    },
    /// What a crash left behind cannot be read back.
    #[error("host {host} does not start: {reason}")]
    DoesNotStart {
        /// Who.
        host: usize,
        /// Why.
        reason: String,
    },
    /// A node gave up.
    #[error("host {host} halted: {reason}")]
    Halted {
        /// Who.
        host: usize,
        /// Why.
        reason: String,
    },
    /// An honest node sent what another cannot read.
    #[error("host {host} said what cannot be read: {reason}")]
    Unreadable {
        /// Who.
        host: usize,
        /// Why.
        reason: String,
    },
    /// Somebody was told of something that a crash could still take back.
    #[error("host {host} told of {what} before it was durable")]
    TooEarly {
        /// Who.
        host: usize,
        /// Of what.
        what: String,
    },
    /// Something of a group went to a peer that is no member of it.
    #[error("host {from} sent {what} of {group:?} to host {to}, which is no member as far as it knows")]
    Leaked {
        /// Who.
        from: usize,
        /// To whom.
        to: usize,
        /// What.
        what: &'static str,
        /// Of which group.
        group: Option<GroupId>,
    },
    /// Something that honest nodes do not report unless somebody lies.
    #[error("host {host} reports among honest nodes: {report}")]
    Reported {
        /// Who.
        host: usize,
        /// What.
        report: String,
    },
    /// Gossip of honest nodes was rejected.
    #[error("host {host} rejected what honest host {from} passed on")]
    Rejected {
        /// Who.
        host: usize,
        /// Who passed it on.
        from: usize,
    },
    /// Something acknowledged is gone.
    #[error("host {host} lacks what host {by} acknowledged: {what}")]
    Lost {
        /// Where it is missing.
        host: usize,
        /// Who said that it was done.
        by: usize,
        /// What.
        what: String,
    },
    /// Equal sets of entries gave different states.
    #[error("hosts {hosts:?} hold the same entries of {log:?} in different states")]
    Unequal {
        /// Two that differ.
        hosts: (usize, usize),
        /// Of which log.
        log: LogId,
    },
    /// The tree does not fit the leaves.
    #[error("host {host}: the stored root of {context:?} is not that of its leaves")]
    WrongRoot {
        /// Where.
        host: usize,
        /// Of which context.
        context: ContextId,
    },
    /// A call that failed left something behind.
    #[error("host {host}: a call that failed changed {context:?}")]
    Poisoned {
        /// Where.
        host: usize,
        /// Which context.
        context: ContextId,
    },
    /// A group is not what the fold of its ops, from nothing, makes of it.
    #[error("host {host} folds {group:?} to something else than the rules make of the same ops")]
    Misfolded {
        /// Who.
        host: usize,
        /// Which group.
        group: GroupId,
    },
    /// The deltas that a node takes as void are not those that the rules void.
    #[error("host {host} judges deltas of {context:?} in another way than the rules: {what}")]
    Misjudged {
        /// Who.
        host: usize,
        /// Where.
        context: ContextId,
        /// How.
        what: String,
    },
    /// The state is not what the deltas that count make of it.
    #[error("host {host}: {context:?} shows more or less than the deltas that count")]
    NotAsIfNeverAccepted {
        /// Who.
        host: usize,
        /// Where.
        context: ContextId,
    },
    /// Somebody who may not read has the key of what was written after it lost that right.
    #[error("host {host} may not read {domain} and has the key of {delta:?}, written after it lost the right")]
    Overheard {
        /// Who.
        host: usize,
        /// What the key protects.
        domain: String,
        /// What was written.
        delta: EntryId,
    },
    /// Something counts that somebody forged when all knew that it is out.
    #[error("host {host} lets count what was forged after all knew that its author is out: {what}")]
    Counted {
        /// Where.
        host: usize,
        /// What.
        what: String,
    },
    /// The members did not come together.
    #[error("not together after all: {0}")]
    Apart(String),
    /// The same seed took another course.
    #[error("two runs differ: {0}")]
    NotRepeatable(String),
}
