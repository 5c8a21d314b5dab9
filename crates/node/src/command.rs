//! What people and their programs ask of the node, and what it answers.

mod act;
mod error;
mod info;

pub use act::{Acted, ContextAct, GroupAct, InvitationInfo, Seat, Settings};
pub use error::CommandError;
pub use info::{Called, ContextInfo, GroupInfo, JoinInfo, LogLine, MemberInfo, Status, SyncInfo, SyncPeer};

use mesto_governance::{ApplicationId, BlobId, Capabilities, ContextId, GroupId, InvitationId, Role};
use mesto_oplog::PublicKey;
use mesto_sync::Saying;

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
