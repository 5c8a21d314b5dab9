//! What goes into the node and what comes out.

use mesto_crdt::{Hlc, RootHash};
use mesto_governance::{BlobId, ContextId, GroupId};
use mesto_oplog::{EntryId, PublicKey};
use mesto_sync::{Gossip, Message, Peer, Saying};

use crate::command::{AppVersion, Command, CommandError, Reply};
use crate::executor::{Call, CallError, Event, Outcome};
use crate::flow::Flow;
use crate::state::{ContextState, Version};
use crate::store::Batch;
use crate::verify::{CheckedGossip, CheckedMessage};

/// The time of a step.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Time {
    /// Milliseconds since 1970-01-01 UTC, as this machine's clock has it. It may jump.
    pub wall_ms: u64,
}

/// Names one machine of the node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum MachineId {
    /// Joins and peers.
    Node,
    /// A group.
    Group(GroupId),
    /// A context.
    Context(ContextId),
}

/// The shell's name for somebody who waits for a reply.
pub type Ticket = u64;

/// The shell's name for a gossip message that waits for a verdict.
pub type GossipToken = u64;

/// What happens to the node.
#[derive(Debug)]
pub enum Input {
    /// Somebody asks.
    Command {
        /// Who waits.
        ticket: Ticket,
        /// For what.
        command: Command,
    },
    /// A call that [`Effect::Execute`] asked for has ended.
    Executed {
        /// Where.
        context: ContextId,
        /// Which.
        execution: u64,
        /// How.
        result: Result<Outcome, CallError>,
    },
    /// All batches of a machine up to `seq` are durable, and in the snapshots of all later steps.
    Durable {
        /// Whose.
        machine: MachineId,
        /// Up to which.
        seq: u64,
    },
    /// The sync lane to a peer is open; also after it was cut and opened anew.
    PeerUp(Peer),
    /// The peer cannot be reached.
    PeerDown(Peer),
    /// Where a peer says that it listens.
    PeerAddresses(Peer, Vec<String>),
    /// Where we listen.
    Listening(Vec<String>),
    /// A peer subscribed to a topic.
    Subscribed(Peer, String),
    /// A message of a connected peer.
    Message(Peer, CheckedMessage),
    /// Gossip that a connected peer passed on.
    Gossip {
        /// For the verdict.
        token: GossipToken,
        /// On which topic.
        topic: String,
        /// Who passed it on.
        from: Peer,
        /// What.
        gossip: CheckedGossip,
    },
    /// A bundle is here, verified and ready to run.
    Installed(AppVersion),
    /// So much of a blob that we fetch is here now.
    BlobReceived {
        /// Which.
        blob: BlobId,
        /// Bytes from its beginning.
        received: u64,
    },
    /// What was fetched is not the blob, or not a bundle that can run: its source lied or it is broken.
    BlobRefused {
        /// Which.
        blob: BlobId,
        /// Why.
        reason: String,
    },
    /// A view begins to read this version of a context, of which nothing is in memory: what it loads is to serve the versions
    /// after it, too.
    Reading(ContextId, Version),
    /// What that view needed is in memory now.
    Read(ContextId),
    /// The time that [`Effect::Wake`] asked for has come.
    Tick,
}

/// Over which channel a message goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Lane {
    /// Everything but blobs.
    Sync,
    /// Blobs, so that their bulk delays nothing else.
    Blob,
}

/// What becomes of a gossip message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Pass it on.
    Accept,
    /// Do not pass it on, and think less of who sent it.
    Reject,
    /// Do not pass it on; its sender may know more than we do.
    Ignore,
}

/// What the node wants done.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Answer.
    Reply(Ticket, Box<Result<Reply, CommandError>>),
    /// Run a method over a state, then give [`Input::Executed`].
    Execute {
        /// Names the execution.
        execution: u64,
        /// What to run.
        call: Call,
        /// Over what.
        state: ContextState,
    },
    /// Texts and lists of a version that is not durable yet are in memory: views of it may use them, once there are any.
    Keep(ContextId, Version),
    /// This version is durable now: views no longer need those before it.
    Settled(ContextId, RootHash),
    /// Nothing has happened in the context for a while: what views do not use either may go.
    Cooled(ContextId),
    /// Say something to a connected peer; if it is gone, drop it.
    Send(Peer, Lane, Message),
    /// Publish on a topic.
    Publish(String, Gossip),
    /// Listen to a topic.
    Subscribe(String),
    /// Answer for a gossip message.
    Judge(GossipToken, Verdict),
    /// Keep a connection to a member's node.
    KeepConnected(Peer, Vec<String>),
    /// Send a chunk of a blob from `offset` to a peer on the blob lane, or that it is absent.
    ServeBlob {
        /// To whom.
        peer: Peer,
        /// Of which.
        blob: BlobId,
        /// From where.
        offset: u64,
    },
    /// Write a chunk of a blob that we fetch, then give [`Input::BlobReceived`]; when it is whole, verify and
    /// install it and give [`Input::Installed`] or [`Input::BlobRefused`].
    StoreChunk {
        /// Of which.
        blob: BlobId,
        /// Of how many bytes.
        size: u64,
        /// Where.
        offset: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// Tell subscribers.
    Emit(Notice),
    /// Give [`Input::Tick`] at this time, or soon after.
    Wake {
        /// Milliseconds since 1970.
        at_ms: u64,
    },
    /// Something that operators are to see.
    Report(Report),
    /// The store holds what it never should: end the process before a wrong decision is made.
    Halt(String),
}

/// What subscribers are told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// A delta was applied.
    StateMutation {
        /// Where.
        context: ContextId,
        /// Of which group.
        group: GroupId,
        /// By which delta.
        delta: EntryId,
        /// Under which identity.
        author: PublicKey,
        /// The root hash after it, or after the batch that it came in.
        root: [u8; 32],
        /// What the app emitted.
        events: Vec<Event>,
    },
    /// Something was said that leaves no trace.
    Ephemeral {
        /// Where.
        context: ContextId,
        /// Of which group.
        group: GroupId,
        /// Under which identity.
        author: PublicKey,
        /// When, by the author's clock: milliseconds since 1970.
        sent_ms: u64,
        /// What.
        saying: Saying,
    },
    /// The state caught up with a member's.
    SyncStatus {
        /// Where.
        context: ContextId,
        /// Of which group.
        group: GroupId,
        /// The root hash.
        root: [u8; 32],
    },
    /// Somebody became a member.
    MemberAdded {
        /// Of which group.
        group: GroupId,
        /// Who.
        member: PublicKey,
    },
    /// Somebody stopped being a member.
    MemberRemoved {
        /// Of which group.
        group: GroupId,
        /// Who.
        member: PublicKey,
    },
    /// A context was registered.
    ContextAdded {
        /// In which group.
        group: GroupId,
        /// Which.
        context: ContextId,
    },
}

/// What operators are to see: counted, logged, and never fatal.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Report {
    /// An arrow of a flow that happened.
    Flow(Flow),
    /// An entry was refused for good.
    Refused {
        /// Which.
        entry: EntryId,
        /// Why.
        reason: String,
    },
    /// Equal heads under equal governance gave different digests: a bug, or a peer that lies.
    Diverged {
        /// Which log.
        log: mesto_oplog::LogId,
        /// Who.
        peer: Peer,
        /// Ours.
        ours: [u8; 32],
        /// Theirs.
        theirs: [u8; 32],
    },
    /// An author signed two entries for one place in its chain.
    Equivocation {
        /// The second entry.
        entry: EntryId,
        /// The author.
        author: PublicKey,
    },
    /// A bound was reached and something was dropped that will be fetched again.
    Shed {
        /// Which bound.
        bound: &'static str,
        /// How many.
        count: u64,
    },
    /// Deltas of a context became void, or count again, because governance or what builds on them changed.
    Judged {
        /// Where.
        context: ContextId,
        /// How many became void.
        voided: u64,
        /// How many count again.
        restored: u64,
    },
    /// We were told of a new epoch, and the key that came with it is not the one that it names.
    BadKey {
        /// In which group.
        group: GroupId,
        /// The op.
        op: EntryId,
    },
    /// A bundle that a member sent is not what its id says, or cannot run.
    BundleRefused {
        /// Which.
        blob: BlobId,
        /// Why.
        reason: String,
    },
    /// A context could not be joined again after a restart.
    JoinFailed {
        /// Which.
        context: ContextId,
        /// Why.
        reason: String,
    },
    /// What an app logged.
    AppLog {
        /// Where.
        context: ContextId,
        /// What.
        line: String,
    },
    /// How a comparison with a peer was decided.
    Compared {
        /// Which log.
        log: mesto_oplog::LogId,
        /// The protocol.
        protocol: &'static str,
        /// Its estimated bytes beside the entries.
        overhead_bytes: u64,
        /// Entries to come, by the counts.
        entries: u64,
    },
}

/// What a step leaves to the shell.
#[derive(Debug, Default)]
pub struct Step {
    /// To commit, each atomically and in order for each machine; then [`Input::Durable`].
    pub batches: Vec<(MachineId, u64, Batch)>,
    /// To do now, in order.
    pub effects: Vec<Effect>,
}

/// A stamp as the collections' clock.
#[must_use]
pub(crate) fn hlc(stamp: mesto_oplog::Stamp) -> Hlc {
    Hlc::from_bits(stamp.0).unwrap_or(Hlc::ZERO)
}
