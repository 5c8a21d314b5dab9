//! `mesto group`, `mesto whoami`.

use clap::Subcommand;
use mesto_api::group::{Acted, CreateGroup, Policy, SetGroup};

use super::failure::Failure;
use super::output::{Output, fields, or_dash, short};
use super::session::Session;

#[derive(Subcommand, Debug)]
pub(crate) enum Group {
    /// Begin a group
    Create {
        /// Its name
        #[arg(long)]
        name: Option<String>,
        /// The app that its contexts run: id, prefix or package name [default: its parent's]
        #[arg(long)]
        app: Option<String>,
        /// The group that it is a subgroup of: id, prefix or name
        #[arg(long)]
        parent: Option<String>,
        /// When contexts follow a new version of the app
        #[arg(long, value_enum, default_value = "automatic")]
        policy: PolicyName,
    },
    /// The groups that this node knows, and as what it is in them
    Ls,
    /// One group
    Show {
        /// Id, prefix or name
        group: String,
    },
    /// Why a member may do something, or may not
    #[command(after_help = format!("Rights: {}", mesto_node::command::RIGHTS))]
    Why {
        /// Id, prefix or name
        group: String,
        /// Key, prefix or alias
        member: String,
        /// What: see below
        right: String,
    },
    /// Change a group's settings
    Settings {
        /// Id, prefix or name
        group: String,
        /// Its name
        #[arg(long)]
        name: Option<String>,
        /// What new members may do, separated by commas; an empty text for nothing
        #[arg(long, value_name = "CAP,…")]
        default_caps: Option<String>,
        /// Who may join new contexts if nobody says
        #[arg(long, value_enum)]
        default_visibility: Option<VisibilityName>,
        /// When contexts follow a new version of the app
        #[arg(long, value_enum)]
        policy: Option<PolicyName>,
    },
    /// Leave a group
    Leave {
        /// Id, prefix or name
        group: String,
    },
    /// End a group, for all its members
    Rm {
        /// Id, prefix or name
        group: String,
    },
}

/// Who may join a context.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
pub(crate) enum VisibilityName {
    /// Members that may join Open contexts
    Open,
    /// Those on its allowlist
    Restricted,
}

impl VisibilityName {
    pub(crate) fn text(self) -> String {
        match self {
            Self::Open => "open",
            Self::Restricted => "restricted",
        }
        .to_owned()
    }
}

/// Capabilities as people type them: separated by commas.
pub(crate) fn capabilities(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// What was decided.
pub(crate) fn show_acted(output: &Output, acted: &Acted) -> Result<(), Failure> {
    output.object(acted, |acted| {
        let about = acted.member_id.as_ref().or(acted.context_id.as_ref()).unwrap_or(&acted.group_id);
        fields([("done", about.clone()), ("op", acted.op_id.clone())])
    })
}

/// How a group's contexts follow its app.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
pub(crate) enum PolicyName {
    /// At once
    Automatic,
    /// When an admin starts it
    Coordinated,
    /// At the next call
    Lazy,
}

impl From<PolicyName> for Policy {
    fn from(name: PolicyName) -> Self {
        match name {
            PolicyName::Automatic => Self::Automatic,
            PolicyName::Coordinated => Self::Coordinated,
            PolicyName::Lazy => Self::Lazy,
        }
    }
}

impl Group {
    pub(crate) fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        let client = session.client()?;
        match self {
            Self::Create { name, app, parent, policy } => {
                let created = client.create_group(&CreateGroup { name, app, parent, policy: policy.into() })?;
                output.object(&created, |created| {
                    fields([("group", created.group_id.clone()), ("member", created.member_id.clone())])
                })
            }
            Self::Ls => {
                output.list(&client.groups()?, ["group", "name", "in", "role", "members", "contexts", "app"], |group| {
                    [
                        short(&group.group_id),
                        or_dash(group.name.as_deref()),
                        or_dash(group.parent_id.as_deref().map(short).as_deref()),
                        if group.deleted { "ended".to_owned() } else { or_dash(group.role.as_deref()) },
                        group.members.to_string(),
                        group.contexts.to_string(),
                        group
                            .target
                            .as_ref()
                            .map_or_else(|| "-".to_owned(), |app| format!("{} {}", app.package, app.version)),
                    ]
                })
            }
            Self::Show { group } => output.object(&client.group(&group)?, |group| {
                fields([
                    ("group", group.group_id.clone()),
                    ("name", or_dash(group.name.as_deref())),
                    ("subgroup of", or_dash(group.parent_id.as_deref())),
                    ("subgroups", if group.subgroups.is_empty() { "-".to_owned() } else { group.subgroups.join(", ") }),
                    ("not followed", group.subgroups_unfollowed.to_string()),
                    ("member", group.member_id.clone()),
                    ("role", or_dash(group.role.as_deref())),
                    ("ended", if group.deleted { "yes" } else { "no" }.to_owned()),
                    ("members", group.members.to_string()),
                    ("contexts", group.contexts.to_string()),
                    (
                        "app",
                        group
                            .target
                            .as_ref()
                            .map_or_else(|| "-".to_owned(), |app| format!("{} {}", app.package, app.version)),
                    ),
                    ("new members may", group.default_capabilities.join(", ")),
                    ("new contexts are", group.default_visibility.clone()),
                    ("ops", group.ops.to_string()),
                    ("digest", group.digest.clone()),
                    ("key", if group.key_held { "held" } else { "on its way" }.to_owned()),
                ])
            }),
            Self::Why { group, member, right } => {
                output.object(&client.why(&group, &member, &right)?, |why| why.text.trim_end().to_owned())
            }
            Self::Settings { group, name, default_caps, default_visibility, policy } => {
                let request = SetGroup {
                    name,
                    default_capabilities: default_caps.as_deref().map(capabilities),
                    default_visibility: default_visibility.map(VisibilityName::text),
                    policy: policy.map(Into::into),
                };
                show_acted(output, &client.set_group(&group, &request)?)
            }
            Self::Leave { group } => show_acted(output, &client.leave_group(&group)?),
            Self::Rm { group } => show_acted(output, &client.delete_group(&group)?),
        }
    }
}

#[derive(clap::Args, Debug)]
pub(crate) struct Whoami {
    /// Id, prefix or name of a group
    group: Option<String>,
    /// Make keys for a group that this node does not know yet, and print the card for `mesto member add`
    #[arg(long, conflicts_with = "group")]
    new: bool,
}

impl Whoami {
    pub(crate) fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        if self.new {
            let card = session.client()?.new_card()?;
            if output.for_a_person() {
                output.note("Whoever manages members of a group can add this node by this card:");
            }
            return output.object(&card, |card| card.card.clone());
        }
        output.object(&session.client()?.identity(self.group.as_deref())?, |identity| {
            let mut text =
                fields([("peer", identity.peer_id.clone()), ("member", or_dash(identity.member_id.as_deref()))]);
            if self.group.is_none() && identity.memberships.len() > 1 {
                for membership in &identity.memberships {
                    text.push_str(&format!("\n  in {}  {}", short(&membership.group_id), membership.member_id));
                }
            }
            text
        })
    }
}
