//! Why a member may do something in a group, or may not.

use mesto_governance::{GroupState, Right, Role, Standing, Why};

use super::Node;
use super::lookup::{find, member};
use crate::command::{CommandError, Noun, RIGHTS, Selector};

impl Node {
    /// Why `who` may do what `right` names in a group, or may not. They need not be a member.
    pub(crate) fn why(&self, group: &Selector, who: &Selector, right: &str) -> Result<Why, CommandError> {
        let group = self.group(group)?;
        let governance = group.governance.as_ref().ok_or(CommandError::KeyMissing(group.id))?;
        let state = governance.state();
        // Also who was a member only by a group above, and is none there any more.
        let lineage = self.lineage(&group.id);
        let states = lineage.iter().filter_map(|id| self.groups.get(id)?.state());
        let known = states.flat_map(GroupState::known_people).map(|member| (*member, None));
        let who = member(state, who).or_else(|error| find(Noun::Member, who, known).map_err(|_| error))?;
        Ok(governance.why(&who, parse(state, right)?))
    }
}

fn parse(state: &GroupState, text: &str) -> Result<Right, CommandError> {
    let (name, about) = text.split_once(':').map_or((text, None), |(name, about)| (name, Some(about)));
    let unknown = || CommandError::Invalid(format!("`{text}` is no right; there are: {RIGHTS}"));
    let context = || {
        let selector = Selector(about.ok_or_else(unknown)?.to_owned());
        find(Noun::Context, &selector, state.contexts().map(|row| (row.id, Some(row.name()))))
    };
    let standing = || {
        let role = about.map_or(Ok(Role::Member), str::parse).map_err(|_| unknown())?;
        Ok::<_, CommandError>(Standing { role, capabilities: state.default_capabilities() })
    };
    Ok(match (name, about) {
        ("read", None) => Right::Read,
        ("create-contexts", None) => Right::CreateContexts,
        ("invite-members", _) => Right::Invite(standing()?),
        ("join-open-contexts", None) => Right::JoinOpenContexts,
        ("manage-members", Some(who)) => Right::ManageMember(member(state, &Selector(who.to_owned()))?),
        ("manage-members", None) | ("add-member", _) => Right::AddMember(standing()?),
        ("manage-application", None) => Right::ManageApplication,
        ("settings", None) => Right::SetGroup,
        ("manage-subgroups", None) => Right::ManageSubgroups,
        ("transfer-ownership", None) => Right::TransferOwnership,
        ("delete-group", None) => Right::DeleteGroup,
        ("join", _) => Right::JoinContext(context()?),
        ("write", _) => Right::WriteContext(context()?),
        ("manage-context", _) => Right::ManageContext(context()?),
        ("name-context", _) => Right::NameContext(context()?),
        ("detach-context", _) => Right::DetachContext(context()?),
        ("set-application", _) => Right::SetContextApplication(context()?),
        (_, _) => return Err(unknown()),
    })
}
