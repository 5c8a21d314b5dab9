//! What answers tell of groups, members, contexts, joins, calls and logs.

use mesto_governance::{ApplicationId, BlobId, Capabilities, ContextId, GroupId, Role};
use mesto_oplog::{EntryId, PublicKey};
use mesto_sync::Peer;

use super::{AppVersion, Policy};
use crate::executor::Event;

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
