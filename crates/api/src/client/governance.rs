//! What members decide: about each other, their group, and who may see which context.

use crate::client::url::segment;
use crate::client::{Client, ClientError};
use crate::context::{Allow, Seat, SetVisibility};
use crate::group::{
    Acted, AddMember, Card, Group, Invitation, Member, SetAlias, SetCapabilities, SetGroup, SetRole, Why,
};

impl Client {
    /// Makes keys for a group that the node does not know yet.
    ///
    /// # Errors
    /// [`ClientError`], like every method below.
    pub fn new_card(&self) -> Result<Card, ClientError> {
        self.post("/admin-api/identity/cards", &serde_json::json!({}))
    }

    /// Adds a member.
    pub fn add_member(&self, group: &str, request: &AddMember) -> Result<Member, ClientError> {
        self.post(&format!("{}/members", of_group(group)), request)
    }

    /// Removes a member.
    pub fn remove_member(&self, group: &str, member: &str) -> Result<Acted, ClientError> {
        self.delete(&of_member(group, member))
    }

    /// Changes a member's role.
    pub fn set_role(&self, group: &str, member: &str, request: &SetRole) -> Result<Member, ClientError> {
        self.put(&format!("{}/role", of_member(group, member)), request)
    }

    /// Changes what a member may do.
    pub fn set_capabilities(
        &self,
        group: &str,
        member: &str,
        request: &SetCapabilities,
    ) -> Result<Member, ClientError> {
        self.put(&format!("{}/capabilities", of_member(group, member)), request)
    }

    /// Names a member.
    pub fn set_alias(&self, group: &str, member: &str, request: &SetAlias) -> Result<Member, ClientError> {
        self.put(&format!("{}/alias", of_member(group, member)), request)
    }

    /// Changes a group's settings.
    pub fn set_group(&self, group: &str, request: &SetGroup) -> Result<Acted, ClientError> {
        self.patch(&of_group(group), request)
    }

    /// Leaves a group.
    pub fn leave_group(&self, group: &str) -> Result<Acted, ClientError> {
        self.post(&format!("{}/leave", of_group(group)), &serde_json::json!({}))
    }

    /// Ends a group.
    pub fn delete_group(&self, group: &str) -> Result<Acted, ClientError> {
        self.delete(&of_group(group))
    }

    /// Why a member may do something in a group, or may not.
    pub fn why(&self, group: &str, member: &str, right: &str) -> Result<Why, ClientError> {
        let (member, right) = (segment(member), segment(right));
        self.get(&format!("{}/why?member={member}&right={right}", of_group(group)))
    }

    /// A group's subgroups.
    pub fn subgroups(&self, group: &str) -> Result<Vec<Group>, ClientError> {
        self.list(&format!("{}/subgroups", of_group(group)))
    }

    /// A group's invitations.
    pub fn invitations(&self, group: &str) -> Result<Vec<Invitation>, ClientError> {
        self.list(&format!("{}/invitations", of_group(group)))
    }

    /// Closes an invitation.
    pub fn revoke_invitation(&self, group: &str, invitation: &str) -> Result<Acted, ClientError> {
        self.delete(&format!("{}/invitations/{}", of_group(group), segment(invitation)))
    }

    /// What happened in a flow after arrow `after`.
    pub fn trace(&self, flow: &str, after: u64) -> Result<Vec<crate::trace::Arrow>, ClientError> {
        self.list(&format!("/admin-api/trace?flow={}&after={after}", segment(flow)))
    }

    /// Who has a place in a context.
    pub fn context_members(&self, context: &str) -> Result<Vec<Seat>, ClientError> {
        self.list(&format!("{}/members", of_context(context)))
    }

    /// Puts members on a context's allowlist.
    pub fn allow(&self, context: &str, members: Vec<String>) -> Result<Acted, ClientError> {
        self.post(&format!("{}/allowlist", of_context(context)), &Allow { members })
    }

    /// Takes a member off a context's allowlist.
    pub fn disallow(&self, context: &str, members: Vec<String>) -> Result<Acted, ClientError> {
        self.post(&format!("{}/allowlist/remove", of_context(context)), &Allow { members })
    }

    /// Opens or restricts a context.
    pub fn set_visibility(&self, context: &str, request: &SetVisibility) -> Result<Acted, ClientError> {
        self.put(&format!("{}/visibility", of_context(context)), request)
    }

    /// Ends the node's identity in a context.
    pub fn leave_context(&self, context: &str) -> Result<Acted, ClientError> {
        self.post(&format!("{}/leave", of_context(context)), &serde_json::json!({}))
    }

    /// Takes a context out of its group.
    pub fn detach_context(&self, context: &str) -> Result<Acted, ClientError> {
        self.delete(&of_context(context))
    }
}

fn of_group(group: &str) -> String {
    format!("/admin-api/groups/{}", segment(group))
}

fn of_member(group: &str, member: &str) -> String {
    format!("{}/members/{}", of_group(group), segment(member))
}

fn of_context(context: &str) -> String {
    format!("/admin-api/contexts/{}", segment(context))
}
