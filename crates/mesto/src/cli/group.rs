//! `mesto group`, `mesto member`, `mesto whoami`.

use clap::Subcommand;
use mesto_api::group::{CreateGroup, Policy};

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
        /// The app that its contexts run: id, prefix or package name
        #[arg(long)]
        app: Option<String>,
        /// When contexts follow a new version of the app
        #[arg(long, value_enum, default_value = "automatic")]
        policy: PolicyName,
    },
    /// The groups that this node is in
    Ls,
    /// One group
    Show {
        /// Id, prefix or name
        group: String,
    },
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
            Self::Create { name, app, policy } => {
                let created = client.create_group(&CreateGroup { name, app, policy: policy.into() })?;
                output.object(&created, |created| {
                    fields([("group", created.group_id.clone()), ("member", created.member_id.clone())])
                })
            }
            Self::Ls => output.list(&client.groups()?, ["group", "name", "role", "members", "contexts", "app"], |group| {
                [
                    short(&group.group_id),
                    or_dash(group.name.as_deref()),
                    or_dash(group.role.as_deref()),
                    group.members.to_string(),
                    group.contexts.to_string(),
                    group.target.as_ref().map_or_else(|| "-".to_owned(), |app| format!("{} {}", app.package, app.version)),
                ]
            }),
            Self::Show { group } => output.object(&client.group(&group)?, |group| {
                fields([
                    ("group", group.group_id.clone()),
                    ("name", or_dash(group.name.as_deref())),
                    ("member", group.member_id.clone()),
                    ("role", or_dash(group.role.as_deref())),
                    ("members", group.members.to_string()),
                    ("contexts", group.contexts.to_string()),
                    (
                        "app",
                        group.target.as_ref().map_or_else(|| "-".to_owned(), |app| format!("{} {}", app.package, app.version)),
                    ),
                    ("new members may", group.default_capabilities.join(", ")),
                    ("ops", group.ops.to_string()),
                    ("digest", group.digest.clone()),
                    ("key", if group.key_held { "held" } else { "on its way" }.to_owned()),
                ])
            }),
        }
    }
}

#[derive(Subcommand, Debug)]
pub(crate) enum Member {
    /// The members of a group
    Ls {
        /// Id, prefix or name
        group: String,
    },
}

impl Member {
    pub(crate) fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        let Self::Ls { group } = self;
        output.list(&session.client()?.members(&group)?, ["member", "alias", "role", "capabilities", "inherited"], |member| {
            [
                short(&member.member_id),
                or_dash(member.alias.as_deref()),
                member.role.clone(),
                member.capabilities.join(","),
                if member.inherited { "yes" } else { "no" }.to_owned(),
            ]
        })
    }
}

#[derive(clap::Args, Debug)]
pub(crate) struct Whoami {
    /// Id, prefix or name of a group
    group: Option<String>,
}

impl Whoami {
    pub(crate) fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        output.object(&session.client()?.identity(self.group.as_deref())?, |identity| {
            let mut text = fields([("peer", identity.peer_id.clone()), ("member", or_dash(identity.member_id.as_deref()))]);
            if self.group.is_none() && identity.memberships.len() > 1 {
                for membership in &identity.memberships {
                    text.push_str(&format!("\n  in {}  {}", short(&membership.group_id), membership.member_id));
                }
            }
            text
        })
    }
}
