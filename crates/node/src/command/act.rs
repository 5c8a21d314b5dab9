//! What members decide about their group and its contexts.

use mesto_governance::{Capabilities, ContextId, GroupId, InvitationId, Role};
use mesto_oplog::{EntryId, PublicKey};

use super::{Policy, Selector};

/// A decision about a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GroupAct {
    /// Adds somebody: by a member card, or, if they were a member before, as members are named.
    AddMember {
        /// A card's text, or a name.
        who: String,
        /// As what.
        role: Role,
        /// What they may do; the group's defaults if absent.
        capabilities: Option<Capabilities>,
    },
    /// Removes a member.
    RemoveMember(Selector),
    /// Changes a member's role. Making somebody the owner hands the group over; the owner before is an admin then.
    SetRole(Selector, Role),
    /// Changes what a member may do.
    SetCapabilities(Selector, Capabilities),
    /// Names a member.
    NameMember(Selector, String),
    /// Closes an invitation.
    RevokeInvitation(Selector),
    /// Changes settings.
    Set(Settings),
    /// Leaves the group.
    Leave,
    /// Ends the group.
    Delete,
}

/// Settings of a group; what is absent stays.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    /// Its name.
    pub name: Option<String>,
    /// What new members may do.
    pub default_capabilities: Option<Capabilities>,
    /// Whether new contexts are Restricted if nobody says.
    pub default_restricted: Option<bool>,
    /// How contexts follow the target application.
    pub policy: Option<Policy>,
}

/// A decision about a context.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ContextAct {
    /// Puts members on its allowlist.
    Allow(Vec<Selector>),
    /// Takes members off its allowlist.
    Disallow(Vec<Selector>),
    /// Restricts it to its allowlist, or opens it.
    Restrict(bool),
    /// Names it.
    Name(String),
    /// Ends our identity in it.
    Leave,
    /// Takes it out of the group.
    Detach,
}

/// What became of a decision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acted {
    /// The group.
    pub group: GroupId,
    /// The context, if it was about one.
    pub context: Option<ContextId>,
    /// The member, if it was about one.
    pub member: Option<PublicKey>,
    /// The op that says so.
    pub op: EntryId,
}

/// An invitation, as members see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvitationInfo {
    /// Its id.
    pub invitation: InvitationId,
    /// Who invites.
    pub inviter: PublicKey,
    /// The role of who joins by it.
    pub role: Role,
    /// What they may do.
    pub capabilities: Capabilities,
    /// Milliseconds since 1970.
    pub expires_at_ms: u64,
    /// How many may join by it.
    pub uses: u32,
    /// How many did.
    pub used: u32,
    /// Whether it was closed.
    pub revoked: bool,
}

/// A member's place in a context.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seat {
    /// Who.
    pub member: PublicKey,
    /// Their alias.
    pub alias: Option<String>,
    /// Their role in the group; none if they are no member any more.
    pub role: Option<Role>,
    /// Whether they are on the allowlist.
    pub allowed: bool,
    /// Whether they may read here, now.
    pub reads: bool,
    /// Whether they may write here, now.
    pub writes: bool,
    /// The identities under which they joined.
    pub identities: Vec<PublicKey>,
}
