//! Groups, members, invitations and joins.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a group's contexts follow its target application.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Policy {
    /// At once.
    #[default]
    Automatic,
    /// When an admin starts it.
    Coordinated,
    /// At the next call of a context.
    Lazy,
}

/// Asks for a new group.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateGroup {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its target application: id, prefix or package name. Its parent's if absent.
    #[serde(alias = "applicationId", default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The group that it is to be a subgroup of: id, prefix or name.
    #[serde(alias = "parentId", default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// How contexts follow it.
    #[serde(default)]
    pub policy: Policy,
}

/// The answer to [`CreateGroup`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupCreated {
    /// The new group.
    pub group_id: String,
    /// This node's key in it.
    pub member_id: String,
}

/// The application that a group runs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Package and signer.
    pub application_id: String,
    /// The bundle.
    pub blob_id: String,
    /// The package's name.
    pub package: String,
    /// The version, as its author calls it.
    pub version: String,
}

/// A group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Its id.
    pub group_id: String,
    /// Its name.
    pub name: Option<String>,
    /// The group that it is a subgroup of.
    pub parent_id: Option<String>,
    /// Its subgroups.
    pub subgroups: Vec<String>,
    /// How many of them this node does not follow, because there are too many.
    pub subgroups_unfollowed: u64,
    /// This node's key in it.
    pub member_id: String,
    /// This node's role in it; none while it is not a member: not yet, not any more (groups that were left, or that removed it,
    /// stay listed, so that it shows what became of them), or only of a group below, whose ancestors it follows.
    pub role: Option<String>,
    /// How many members.
    pub members: u64,
    /// How many contexts.
    pub contexts: u64,
    /// What its contexts run.
    pub target: Option<Target>,
    /// How they follow it.
    pub policy: Policy,
    /// What new members may do.
    pub default_capabilities: Vec<String>,
    /// `open` or `restricted`: what new contexts are if nobody says.
    pub default_visibility: String,
    /// Whether its owner ended it.
    pub deleted: bool,
    /// Newest ops.
    pub heads: Vec<String>,
    /// How many ops.
    pub ops: u64,
    /// Digest of the group's state: equal on two nodes exactly if they see the same group.
    pub digest: String,
    /// Whether this node holds the current key.
    pub key_held: bool,
}

/// A member of a group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Their key.
    pub member_id: String,
    /// `owner`, `admin`, `member` or `readonly`.
    pub role: String,
    /// What they may do beyond their role.
    pub capabilities: Vec<String>,
    /// Whether the row is an ancestor group's.
    pub inherited: bool,
    /// The group whose row it is.
    pub origin: String,
    /// Their name.
    pub alias: Option<String>,
}

/// Why a member may do something, or may not.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// The group that was asked about.
    pub group_id: String,
    /// Who.
    pub member_id: String,
    /// What, as it was asked.
    pub right: String,
    /// Whether they may.
    pub allowed: bool,
    /// If not, the rule that denies it.
    pub denied: Option<String>,
    /// The member's row in the group, then in its ancestors, nearest first.
    pub rows: Vec<WhyRow>,
    /// Groups on the way to the root, this one included, that were ended.
    pub ended: Vec<String>,
    /// All of it as lines for a person.
    pub text: String,
}

/// A member's row in one group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhyRow {
    /// The group.
    pub group_id: String,
    /// The role that the row gives; none if there is no row, or it was ended.
    pub role: Option<String>,
    /// The capabilities that it gives.
    pub capabilities: Vec<String>,
    /// Whether this is the row that counts.
    pub counts: bool,
    /// The ops that decide it.
    pub decided_by: Vec<WhyOp>,
    /// Ops that would have set it and do not count.
    pub dead: Vec<WhyOp>,
}

/// An op that has to do with a row.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhyOp {
    /// The op.
    pub op_id: String,
    /// Its author.
    pub author: String,
    /// What it does.
    pub actions: Vec<String>,
    /// The revocation that voids it.
    pub voided_by: Option<String>,
}

/// A member card: keys of somebody who is to be added to a group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Card {
    /// This node's peer id.
    pub peer_id: String,
    /// This node's key, wherever the card is used.
    pub member_id: String,
    /// The text to hand over. It holds nothing secret.
    pub card: String,
}

/// Asks to add a member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddMember {
    /// A member card; or, for somebody who was a member before, their key.
    #[serde(alias = "memberId", alias = "card")]
    pub member: String,
    /// As what; `member` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What they may do; the group's defaults if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<String>>,
}

/// Asks to change a member's role.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetRole {
    /// `admin`, `member` or `readonly`.
    pub role: String,
}

/// Asks to change what a member may do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetCapabilities {
    /// All that they shall have.
    pub capabilities: Vec<String>,
}

/// Asks to name a member or a context.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetAlias {
    /// The name; an empty one takes it away.
    pub alias: String,
}

/// Asks to change a group's settings; what is absent stays.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetGroup {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What new members may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_capabilities: Option<Vec<String>>,
    /// `open` or `restricted`: what new contexts are if nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_visibility: Option<String>,
    /// How contexts follow the target application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// A decision that was made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Acted {
    /// The group.
    pub group_id: String,
    /// The context, if it was about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_id: Option<String>,
    /// The member, if it was about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_id: Option<String>,
    /// The op that says so, in the group's log.
    pub op_id: String,
}

/// An invitation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invitation {
    /// Its id.
    pub invitation_id: String,
    /// Who invites.
    pub inviter: String,
    /// The role of who joins by it.
    pub role: String,
    /// What they may do.
    pub capabilities: Vec<String>,
    /// When it ends, RFC 3339.
    pub expires_at: String,
    /// How many may join by it.
    pub uses: u32,
    /// How many did.
    pub used: u32,
    /// Whether it was closed.
    pub revoked: bool,
}

/// Asks for a ticket.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Invite {
    /// The role of who joins; `member` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What they may do; the group's defaults if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<String>>,
    /// How long it is good for, in milliseconds; a day if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// How many may join by it; one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
}

/// The answer to [`Invite`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invited {
    /// The text to hand over. Whoever has it can join.
    pub ticket: String,
    /// Names the invitation.
    pub invitation_id: String,
    /// When it ends, RFC 3339.
    pub expires_at: String,
}

/// Which contexts a join brings along.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum JoinContexts {
    /// Each Open context that is known once the group's log is here.
    All,
    /// None.
    #[default]
    None,
}

/// Asks to join a group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JoinGroup {
    /// The ticket's text.
    pub ticket: String,
    /// Which contexts to join.
    #[serde(default)]
    pub contexts: JoinContexts,
}

/// How far a join is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Join {
    /// The group.
    pub group_id: String,
    /// This node's key in it.
    pub member_id: String,
    /// The contexts that the join brought along.
    pub contexts: Vec<String>,
    /// Those of them whose bundle or state is still on its way.
    pub contexts_pending: Vec<String>,
    /// Whether a member has let this node in, and its log shows it.
    pub joined: bool,
    /// Whether the log equals one member's and the key is held.
    pub ready: bool,
    /// Why a member refused for good, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl Join {
    /// Whether nothing is left to wait for: the group is ready and so are the contexts.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.ready && self.contexts_pending.is_empty()
    }
}

/// A line of a log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// The entry.
    pub id: String,
    /// Its author.
    pub author: String,
    /// Its place in the author's chain.
    pub seq: u64,
    /// Its stamp, a decimal string.
    pub hlc: String,
    /// Its parents.
    pub parents: Vec<String>,
    /// What it holds, in a few words.
    pub summary: String,
}
