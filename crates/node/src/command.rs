//! What people and their programs ask of the node, and what it answers.

mod act;

pub use act::{Acted, ContextAct, GroupAct, InvitationInfo, Seat, Settings};

use mesto_governance::{ApplicationId, BlobId, Capabilities, ContextId, GroupId, InvitationId, Role};
use mesto_oplog::{EntryId, PublicKey};
use mesto_sync::{Peer, Saying};

use crate::executor::{CallError, Event};

/// How somebody names a thing: a full id, a unique prefix of one (at least 4 characters), or a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selector(pub String);

/// Which kind of thing a selector was to name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Noun {
    /// A group.
    Group,
    /// A context.
    Context,
    /// An installed application.
    Application,
    /// A context identity of ours.
    Identity,
    /// A peer.
    Peer,
    /// A member of a group.
    Member,
    /// An invitation into a group.
    Invitation,
}

/// An installed version of an application.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AppVersion {
    /// Package and signer, across versions.
    pub application: ApplicationId,
    /// The bundle.
    pub bundle: BlobId,
    /// Length of the bundle in bytes.
    pub size: u64,
    /// The package's name.
    pub package: String,
    /// The version as its author calls it.
    pub version: String,
}

/// How a group's contexts follow its target application.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// At once.
    Automatic,
    /// When an admin starts it.
    Coordinated,
    /// At the next call of a context.
    Lazy,
}

/// What [`Command::Why`] can be asked about, as people type it: a name, and after a colon what it is about.
pub const RIGHTS: &str = "read, create-contexts, invite-members[:ROLE], join-open-contexts, manage-members[:MEMBER], \
    add-member[:ROLE], manage-application, settings, manage-subgroups, transfer-ownership, delete-group, \
    join:CONTEXT, write:CONTEXT, manage-context:CONTEXT, name-context:CONTEXT, detach-context:CONTEXT, \
    set-application:CONTEXT";

/// A request to the node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Counts and names; answered by [`Reply::Status`].
    Status,
    /// Begins a group; answered by [`Reply::GroupCreated`].
    GroupCreate {
        /// Its alias.
        name: Option<String>,
        /// Its target application; its parent's if absent.
        application: Option<Selector>,
        /// The group that it is a subgroup of; it is a root if absent.
        parent: Option<Selector>,
        /// How contexts follow it.
        policy: Policy,
    },
    /// Why a member may do something in a group, or may not; answered by [`Reply::Why`].
    Why {
        /// In which group.
        group: Selector,
        /// Who.
        member: Selector,
        /// What, as [`RIGHTS`] names it.
        right: String,
    },
    /// Answered by [`Reply::Groups`].
    GroupList,
    /// Answered by [`Reply::Groups`] with one element.
    GroupShow(Selector),
    /// Answered by [`Reply::Members`].
    MemberList(Selector),
    /// Who we are, in a group if one is named; answered by [`Reply::Whoami`].
    Whoami(Option<Selector>),
    /// Makes keys for a group that we do not know yet; answered by [`Reply::Card`].
    NewCard,
    /// Decides something about a group; answered by [`Reply::Acted`] once durable.
    GroupAct {
        /// Which group.
        group: Selector,
        /// What.
        act: GroupAct,
    },
    /// Decides something about a context; answered by [`Reply::Acted`] once durable.
    ContextAct {
        /// Which context.
        context: Selector,
        /// What.
        act: ContextAct,
    },
    /// Answered by [`Reply::Invitations`].
    InvitationList(Selector),
    /// Who has a place in a context; answered by [`Reply::Seats`].
    ContextMembers(Selector),
    /// Makes a ticket; answered by [`Reply::Invited`].
    Invite {
        /// Into which group.
        group: Selector,
        /// The role of who joins.
        role: Role,
        /// Their capabilities; the group's defaults if absent.
        capabilities: Option<Capabilities>,
        /// Milliseconds from now until it expires.
        expires_ms: u64,
        /// How many may join by it.
        uses: u32,
    },
    /// Joins by a ticket; durable, and completes by itself. Answered at once by [`Reply::Joining`].
    Join {
        /// The ticket's text.
        ticket: String,
        /// Whether to join each Open context that is known once the group's log is here.
        contexts_all: bool,
    },
    /// How far a join is; answered by [`Reply::Joining`].
    JoinStatus(GroupId),
    /// Registers, joins and initialises a context; answered by [`Reply::ContextCreated`] once durable.
    ContextCreate {
        /// In which group.
        group: Selector,
        /// The group's target if absent.
        application: Option<Selector>,
        /// Its alias.
        name: Option<String>,
        /// Whether only those on its allowlist may join; as the group's default says if absent.
        restricted: Option<bool>,
        /// Arguments of the app's init, a JSON object.
        init: Vec<u8>,
    },
    /// Joins a context; answered by [`Reply::ContextCreated`].
    ContextJoin(Selector),
    /// Of one group or of all; answered by [`Reply::Contexts`].
    ContextList(Option<Selector>),
    /// Answered by [`Reply::Contexts`] with one element.
    ContextShow(Selector),
    /// Runs a mutating method; answered by [`Reply::Called`] once durable.
    Call {
        /// Where.
        context: Selector,
        /// Which.
        method: String,
        /// A JSON object.
        args: Vec<u8>,
        /// As whom; our identity in the context if absent.
        identity: Option<Selector>,
    },
    /// Tells the subscribers of a context, on all nodes, something that is kept nowhere; answered by [`Reply::Said`].
    Say {
        /// Where.
        context: Selector,
        /// What.
        saying: Saying,
    },
    /// What a view call needs to know, so that views need not pass through the node; answered by
    /// [`Reply::Callable`].
    Resolve(Selector),
    /// Starts a comparison with connected members now; answered by [`Reply::Sync`] at once.
    Sync {
        /// Of what.
        context: Selector,
        /// With whom; all if absent.
        peer: Option<String>,
    },
    /// How we stand with connected members; answered by [`Reply::Sync`].
    SyncStatus(Selector),
    /// Newest entries of a group's log; answered by [`Reply::Log`].
    GroupLog(Selector),
    /// Newest entries of a context's log; answered by [`Reply::Log`].
    ContextLog(Selector),
}

/// An answer of the node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// To [`Command::Status`].
    Status(Status),
    /// To [`Command::GroupCreate`].
    GroupCreated {
        /// The new group.
        group: GroupId,
        /// Our key in it.
        member: PublicKey,
    },
    /// To [`Command::Why`].
    Why(mesto_governance::Why),
    /// To [`Command::GroupList`] and [`Command::GroupShow`].
    Groups(Vec<GroupInfo>),
    /// To [`Command::MemberList`].
    Members(Vec<MemberInfo>),
    /// To [`Command::Whoami`].
    Whoami(Vec<(GroupId, PublicKey)>),
    /// To [`Command::NewCard`]: the card's text, and the key that it is about.
    Card {
        /// The text to hand over.
        card: String,
        /// Our key, wherever the card is used.
        member: PublicKey,
    },
    /// To [`Command::GroupAct`] and [`Command::ContextAct`].
    Acted(Acted),
    /// To [`Command::InvitationList`].
    Invitations(Vec<InvitationInfo>),
    /// To [`Command::ContextMembers`].
    Seats(Vec<Seat>),
    /// To [`Command::Invite`].
    Invited {
        /// The text to hand over.
        ticket: String,
        /// Names the invitation.
        invitation: InvitationId,
        /// Milliseconds since 1970.
        expires_at_ms: u64,
    },
    /// To [`Command::Join`] and [`Command::JoinStatus`].
    Joining(JoinInfo),
    /// To [`Command::ContextCreate`] and [`Command::ContextJoin`].
    ContextCreated {
        /// The context.
        context: ContextId,
        /// Our identity in it.
        identity: PublicKey,
    },
    /// To [`Command::ContextList`] and [`Command::ContextShow`].
    Contexts(Vec<ContextInfo>),
    /// To [`Command::Call`].
    Called(Called),
    /// To [`Command::Say`].
    Said,
    /// To [`Command::Resolve`].
    Callable {
        /// The context.
        context: ContextId,
        /// Our identity in it.
        identity: PublicKey,
        /// The bundle that it runs.
        bundle: BlobId,
    },
    /// To [`Command::Sync`] and [`Command::SyncStatus`].
    Sync(SyncInfo),
    /// To [`Command::GroupLog`] and [`Command::ContextLog`].
    Log(Vec<LogLine>),
}

/// What the node holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// Groups that we are in.
    pub groups: u64,
    /// Contexts that we joined.
    pub contexts: u64,
    /// Joins that wait for somebody.
    pub pending_joins: u64,
    /// Entries that wait for others, in all logs.
    pub parked: u64,
}

/// A group as its members see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupInfo {
    /// Its id.
    pub group: GroupId,
    /// Its alias.
    pub name: Option<String>,
    /// The group that it is a subgroup of.
    pub parent: Option<GroupId>,
    /// Its subgroups.
    pub subgroups: Vec<GroupId>,
    /// How many of them this node does not follow, because there are too many.
    pub subgroups_unfollowed: u64,
    /// Our key in it.
    pub member: PublicKey,
    /// Our role in it; none while we are not a member.
    pub role: Option<Role>,
    /// How many members it has, those by an ancestor included.
    pub members: u64,
    /// How many contexts it has.
    pub contexts: u64,
    /// Its target application and version.
    pub target: Option<AppVersion>,
    /// How contexts follow it.
    pub policy: Policy,
    /// What new members may do.
    pub default_capabilities: Capabilities,
    /// Whether new contexts are Restricted if nobody says.
    pub default_restricted: bool,
    /// Whether the owner ended it.
    pub deleted: bool,
    /// Newest ops.
    pub heads: Vec<EntryId>,
    /// How many ops.
    pub ops: u64,
    /// Digest of the group's state.
    pub digest: [u8; 32],
    /// Whether we hold the current key.
    pub key_held: bool,
}

/// A member of a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberInfo {
    /// Their key.
    pub member: PublicKey,
    /// Their role.
    pub role: Role,
    /// Whether they own the group.
    pub owner: bool,
    /// What they may do beyond their role.
    pub capabilities: Capabilities,
    /// Whether the row is an ancestor's.
    pub inherited: bool,
    /// The group whose row it is.
    pub origin: GroupId,
    /// Their alias.
    pub alias: Option<String>,
}

/// How far a join is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinInfo {
    /// The group.
    pub group: GroupId,
    /// Our key in it.
    pub member: PublicKey,
    /// Whether a member has countersigned and our log shows it.
    pub joined: bool,
    /// Whether the log equals one member's and the key is held.
    pub ready: bool,
    /// The contexts that this join brought us into, and whether each has its bundle and a root equal to a member's.
    pub contexts: Vec<(ContextId, bool)>,
    /// Why a member refused, if one did for good.
    pub refused: Option<String>,
}

/// A context as this node sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContextInfo {
    /// Its id.
    pub context: ContextId,
    /// Its group.
    pub group: GroupId,
    /// Its alias.
    pub name: Option<String>,
    /// Its application.
    pub application: ApplicationId,
    /// The bundle that it runs.
    pub bundle: BlobId,
    /// The version as the app's author calls it, if the bundle is here.
    pub version: Option<String>,
    /// Whether the bundle is here.
    pub bundle_held: bool,
    /// The root hash of its state, as computed here.
    pub root: [u8; 32],
    /// Newest deltas.
    pub heads: Vec<EntryId>,
    /// Accepted deltas.
    pub entries: u64,
    /// Leaves of the state tree.
    pub state_entries: u64,
    /// Voided deltas.
    pub voided: u64,
    /// Deltas that wait for parents, ops or keys.
    pub parked: u64,
    /// Our identity in it.
    pub identity: Option<PublicKey>,
    /// Whether we joined it.
    pub joined: bool,
    /// Whether its bundle is here and its state held, once, all that some member had; or it was begun here.
    pub ready: bool,
    /// Whether only those on the allowlist may join.
    pub restricted: bool,
}

/// What a mutating call gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Called {
    /// JSON.
    pub output: Vec<u8>,
    /// Whether a delta was made: false if nothing changed or we may only read.
    pub committed: bool,
    /// The delta.
    pub delta: Option<EntryId>,
    /// The root hash after it.
    pub root: [u8; 32],
    /// What the call emitted.
    pub events: Vec<Event>,
}

/// How a context stands with the connected members.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyncInfo {
    /// The context.
    pub context: ContextId,
    /// Our root hash.
    pub root: [u8; 32],
    /// Our heads.
    pub heads: Vec<EntryId>,
    /// Every connected member of the context.
    pub peers: Vec<SyncPeer>,
    /// Frame bytes of comparisons and entries so far, both ways.
    pub bytes: u64,
    /// Round trips of comparisons so far.
    pub round_trips: u64,
}

/// How we stand with one peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyncPeer {
    /// The peer.
    pub peer: Peer,
    /// Whether, as of its newest summary, its heads and root equal ours.
    pub equal: bool,
}

/// A line of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLine {
    /// The entry.
    pub id: EntryId,
    /// Its author.
    pub author: PublicKey,
    /// Its place in the author's chain.
    pub seq: u64,
    /// Its stamp.
    pub stamp: u64,
    /// Its parents.
    pub parents: Vec<EntryId>,
    /// What it holds, in a few words.
    pub summary: String,
}

/// Why a command was refused. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// Nothing has this id, prefix or name.
    #[error("there is no {noun:?} `{selector}` here")]
    Unknown {
        /// What was looked for.
        noun: Noun,
        /// How it was named.
        selector: String,
    },
    /// Several things have this prefix or name.
    #[error("`{selector}` could be any of: {}", candidates.join(", "))]
    Ambiguous {
        /// What was looked for.
        noun: Noun,
        /// How it was named.
        selector: String,
        /// The ids that fit.
        candidates: Vec<String>,
    },
    /// The rights do not suffice.
    #[error("not allowed: {0}")]
    Denied(String),
    /// A value is malformed or beyond its bound.
    #[error("{0}")]
    Invalid(String),
    /// A member card is altered, truncated or of another version.
    #[error("the card is not valid: {0}")]
    BadCard(String),
    /// The ticket is altered, truncated or of another version.
    #[error("the ticket is not valid: {0}")]
    BadTicket(String),
    /// The ticket's time is over.
    #[error("the ticket expired at {0} ms since 1970")]
    TicketExpired(u64),
    /// The context exists, but this node did not join it.
    #[error("this node has not joined context {0}")]
    NotJoined(ContextId),
    /// The context was joined, but its app or state is not here yet.
    #[error("context {0} is not ready: its application or state is still on its way")]
    NotReady(ContextId),
    /// The application is not installed here.
    #[error("application {0} is not installed here")]
    NotInstalled(String),
    /// The group's application has not arrived.
    #[error("application {0} of the group has not arrived yet")]
    ApplicationAwaited(String),
    /// What is asked for is so already.
    #[error("{0} already has this standing")]
    NoChange(PublicKey),
    /// The group names no application and none was given.
    #[error("the group has no target application: name one")]
    NoApplication,
    /// The group's current key has not arrived.
    #[error("the key of group {0} has not arrived yet")]
    KeyMissing(GroupId),
    /// Too many calls wait in this context.
    #[error("{waiting} calls already wait in this context; try again")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// More is said than others would listen to.
    #[error("passing messages come too fast: {per_second} a second can be told in a context")]
    TooFast {
        /// How many may.
        per_second: u64,
    },
    /// The call gave no result.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}
