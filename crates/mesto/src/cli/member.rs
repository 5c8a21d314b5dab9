//! `mesto member`.

use clap::Subcommand;
use mesto_api::group::{self as api, AddMember, SetAlias, SetCapabilities, SetRole};

use super::failure::Failure;
use super::group::{capabilities, show_acted};
use super::output::{Output, fields, or_dash, short};
use super::session::Session;

#[derive(Subcommand, Debug)]
pub(crate) enum Member {
    /// The members of a group, with what they may do and where that comes from
    Ls {
        /// Id, prefix or name of the group
        group: String,
    },
    /// Add a member by its card, or bring back somebody who was one
    Add {
        /// Id, prefix or name of the group
        group: String,
        /// The card that `mesto whoami --new` printed; or the key of a former member
        member: String,
        /// admin, member or readonly
        #[arg(long, default_value = "member")]
        role: String,
        /// What it may do, separated by commas [default: what the group gives new members]
        #[arg(long, value_name = "CAP,…")]
        caps: Option<String>,
    },
    /// Remove a member
    Rm {
        /// Id, prefix or name of the group
        group: String,
        /// Key, prefix or alias
        member: String,
    },
    /// Change a member's role
    Role {
        /// Id, prefix or name of the group
        group: String,
        /// Key, prefix or alias
        member: String,
        /// admin, member or readonly
        role: String,
    },
    /// Change what a member may do
    Caps {
        /// Id, prefix or name of the group
        group: String,
        /// Key, prefix or alias
        member: String,
        /// All that it shall have, separated by commas; nothing takes all away
        #[arg(value_name = "CAP,…")]
        caps: Option<String>,
    },
    /// Name a member
    Alias {
        /// Id, prefix or name of the group
        group: String,
        /// Key, prefix or alias
        member: String,
        /// The name; an empty one takes it away
        name: String,
    },
}

impl Member {
    pub(crate) fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        let client = session.client()?;
        match self {
            Self::Ls { group } => {
                let header = ["member", "alias", "role", "capabilities", "from"];
                output.list(&client.members(&group)?, header, |member| {
                    [
                        short(&member.member_id),
                        or_dash(member.alias.as_deref()),
                        member.role.clone(),
                        member.capabilities.join(","),
                        if member.inherited { short(&member.origin) } else { "here".to_owned() },
                    ]
                })
            }
            Self::Add { group, member, role, caps } => {
                let request = AddMember { member, role: Some(role), capabilities: caps.as_deref().map(capabilities) };
                show(output, &client.add_member(&group, &request)?)
            }
            Self::Rm { group, member } => show_acted(output, &client.remove_member(&group, &member)?),
            Self::Role { group, member, role } => show(output, &client.set_role(&group, &member, &SetRole { role })?),
            Self::Caps { group, member, caps } => {
                let request = SetCapabilities { capabilities: capabilities(&caps.unwrap_or_default()) };
                show(output, &client.set_capabilities(&group, &member, &request)?)
            }
            Self::Alias { group, member, name } => {
                show(output, &client.set_alias(&group, &member, &SetAlias { alias: name })?)
            }
        }
    }
}

fn show(output: &Output, member: &api::Member) -> Result<(), Failure> {
    output.object(member, |member| {
        fields([
            ("member", member.member_id.clone()),
            ("alias", or_dash(member.alias.as_deref())),
            ("role", member.role.clone()),
            ("capabilities", member.capabilities.join(", ")),
            ("from", member.origin.clone()),
        ])
    })
}
