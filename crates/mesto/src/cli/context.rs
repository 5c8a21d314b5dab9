//! `mesto context` and `mesto sync`.

use clap::Subcommand;
use mesto_api::context::{self as api, CreateContext, SetVisibility, StartSync};

use super::arguments;
use super::failure::Failure;
use super::group::{VisibilityName, show_acted};
use super::output::{Output, bytes, fields, or_dash, short};
use super::session::Session;
use super::wait::Wait;

#[derive(Subcommand, Debug)]
pub(crate) enum Context {
    /// Make a context in a group
    Create {
        /// Id, prefix or name of the group
        group: String,
        /// The app that it runs [default: the group's]
        #[arg(long)]
        app: Option<String>,
        /// Its name
        #[arg(long)]
        name: Option<String>,
        /// Let only those on its allowlist join it [default: what the group says]
        #[arg(long)]
        restricted: bool,
        /// Arguments of the app's init: a JSON object, @FILE or -
        #[arg(long, value_name = "JSON")]
        init: Option<String>,
    },
    /// Join a context of a group that this node is in
    Join {
        /// Id, prefix or name
        context: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// The contexts of a group, or of all groups
    Ls {
        /// Id, prefix or name of the group
        group: Option<String>,
    },
    /// One context
    Show {
        /// Id, prefix or name
        context: String,
    },
    /// Who has a place in a context
    Members {
        /// Id, prefix or name
        context: String,
    },
    /// Put members on a context's allowlist
    Allow {
        /// Id, prefix or name
        context: String,
        /// Keys, prefixes or aliases
        #[arg(required = true)]
        members: Vec<String>,
    },
    /// Take members off a context's allowlist
    Disallow {
        /// Id, prefix or name
        context: String,
        /// Keys, prefixes or aliases
        #[arg(required = true)]
        members: Vec<String>,
    },
    /// Open a context, or restrict it to its allowlist
    Visibility {
        /// Id, prefix or name
        context: String,
        /// Who may join it
        #[arg(value_enum)]
        visibility: VisibilityName,
    },
    /// Leave a context
    Leave {
        /// Id, prefix or name
        context: String,
    },
    /// Take a context out of its group, for all its members
    Rm {
        /// Id, prefix or name
        context: String,
    },
}

impl Context {
    pub(crate) fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        let client = session.client()?;
        match self {
            Self::Create { group, app, name, restricted, init } => {
                let init = init.map(|text| arguments::object(&text)).transpose()?;
                let created = client.create_context(&CreateContext {
                    group,
                    app,
                    name,
                    restricted: restricted.then_some(true),
                    init,
                })?;
                show_created(output, &created)
            }
            Self::Join { context, wait } => {
                let joined = client.join_context(&context)?;
                if wait.wait {
                    wait.until(|left| {
                        let context = client.context_when_ready(&joined.context_id, left)?;
                        Ok(match (context.ready, context.bundle_held) {
                            (true, _) => Ok(()),
                            (false, true) => Err("the context's state is not here yet".to_owned()),
                            (false, false) => Err("the app's bundle is not here yet".to_owned()),
                        })
                    })?;
                }
                show_created(output, &joined)
            }
            Self::Ls { group } => {
                let header = ["context", "name", "group", "app", "entries", "joined", "root"];
                output.list(&client.contexts(group.as_deref())?, header, |context| {
                    [
                        short(&context.context_id),
                        or_dash(context.name.as_deref()),
                        short(&context.group_id),
                        format!("{} {}", short(&context.application_id), context.version.as_deref().unwrap_or("")),
                        context.entries.to_string(),
                        if context.joined { "yes" } else { "no" }.to_owned(),
                        short(&context.root_hash),
                    ]
                })
            }
            Self::Show { context } => output.object(&client.context(&context)?, describe),
            Self::Members { context } => {
                let header = ["member", "alias", "role", "allowed", "reads", "writes", "identities"];
                output.list(&client.context_members(&context)?, header, |seat| {
                    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
                    [
                        short(&seat.member_id),
                        or_dash(seat.alias.as_deref()),
                        or_dash(seat.role.as_deref()),
                        yes(seat.allowed),
                        yes(seat.reads),
                        yes(seat.writes),
                        seat.identities.iter().map(|id| short(id)).collect::<Vec<_>>().join(" "),
                    ]
                })
            }
            Self::Allow { context, members } => show_acted(output, &client.allow(&context, members)?),
            Self::Disallow { context, members } => show_acted(output, &client.disallow(&context, members)?),
            Self::Visibility { context, visibility } => {
                let request = SetVisibility { visibility: visibility.text() };
                show_acted(output, &client.set_visibility(&context, &request)?)
            }
            Self::Leave { context } => show_acted(output, &client.leave_context(&context)?),
            Self::Rm { context } => show_acted(output, &client.detach_context(&context)?),
        }
    }
}

fn show_created(output: &Output, created: &api::ContextCreated) -> Result<(), Failure> {
    output.object(created, |created| {
        fields([("context", created.context_id.clone()), ("identity", created.identity.clone())])
    })
}

fn describe(context: &api::Context) -> String {
    let held = if context.bundle_held { "here" } else { "on its way" };
    fields([
        ("context", context.context_id.clone()),
        ("name", or_dash(context.name.as_deref())),
        ("group", context.group_id.clone()),
        ("app", context.application_id.clone()),
        ("bundle", format!("{} ({held})", context.blob_id)),
        ("version", or_dash(context.version.as_deref())),
        ("visibility", context.visibility.clone()),
        ("joined", if context.joined { "yes" } else { "no" }.to_owned()),
        ("identity", or_dash(context.identity.as_deref())),
        ("root", context.root_hash.clone()),
        ("heads", context.heads.join(" ")),
        ("entries", format!("{} ({} voided, {} parked)", context.entries, context.voided, context.parked)),
        ("state entries", context.state_entries.to_string()),
    ])
}

#[derive(clap::Args, Debug)]
pub(crate) struct Sync {
    /// Id, prefix or name of a context, or `status` for how all contexts stand
    context: String,
    /// With which peer [default: every connected member]
    #[arg(long)]
    peer: Option<String>,
    #[command(flatten)]
    wait: Wait,
}

impl Sync {
    pub(crate) fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        let client = session.client()?;
        if self.context == "status" {
            let header = ["context", "converged", "peers", "bytes", "round trips", "root"];
            return output.list(&client.sync_all()?, header, |sync| {
                [
                    short(&sync.context_id),
                    if sync.converged { "yes" } else { "no" }.to_owned(),
                    sync.peers.len().to_string(),
                    bytes(sync.bytes),
                    sync.round_trips.to_string(),
                    short(&sync.root_hash),
                ]
            });
        }
        let mut sync = client.sync(&self.context, &StartSync { peer: self.peer.clone() })?;
        if self.wait.wait {
            let context = sync.context_id.clone();
            sync = self.wait.until(|left| {
                let sync = client.sync_status(&context, left)?;
                Ok(match (sync.converged, sync.peers.len()) {
                    (true, _) => Ok(sync),
                    (false, 0) => Err("no member of the context is connected".to_owned()),
                    (false, _) => Err("not every connected member has the same state".to_owned()),
                })
            })?;
        }
        output.object(&sync, |sync| {
            fields([
                ("context", sync.context_id.clone()),
                ("root", sync.root_hash.clone()),
                ("converged", if sync.converged { "yes" } else { "no" }.to_owned()),
                ("peers", sync.peers.len().to_string()),
                ("bytes", bytes(sync.bytes)),
                ("round trips", sync.round_trips.to_string()),
            ])
        })
    }
}
