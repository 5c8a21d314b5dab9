//! `mesto join`.

use super::failure::Failure;
use super::output::{Output, fields};
use super::session::Session;
use super::wait::Wait;
use mesto_api::ErrorCode;
use mesto_api::group::{self, JoinContexts, JoinGroup};

#[derive(clap::Args, Debug)]
pub(crate) struct Join {
    /// The ticket
    ticket: String,
    /// Which of the group's Open contexts to join
    #[arg(long, value_enum, default_value = "none")]
    contexts: Which,
    #[command(flatten)]
    wait: Wait,
}

/// Which contexts a join brings along.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
pub(crate) enum Which {
    /// Each that is known once the group's log is here
    All,
    /// None
    None,
}

impl Join {
    pub(crate) fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        let client = session.client()?;
        let contexts = match self.contexts {
            Which::All => JoinContexts::All,
            Which::None => JoinContexts::None,
        };
        let mut join = client.join_group(&JoinGroup { ticket: self.ticket.trim().to_owned(), contexts })?;
        if self.wait.wait {
            let group = join.group_id.clone();
            join = self.wait.until(|left| {
                let join = client.join_status(&group, left)?;
                refused(&join)?;
                Ok(if join.complete() { Ok(join) } else { Err(missing(&join)) })
            })?;
        } else {
            refused(&join)?;
        }
        output.object(&join, |join| {
            let state = if join.complete() { "joined" } else { "the join goes on by itself" };
            fields([
                ("group", join.group_id.clone()),
                ("member", join.member_id.clone()),
                ("contexts", join.contexts.join(" ")),
                ("state", state.to_owned()),
            ])
        })
    }
}

fn refused(join: &group::Join) -> Result<(), Failure> {
    match &join.refused {
        Some(reason) => Err(Failure::new(ErrorCode::JoinRefused, format!("a member refused: {reason}"))
            .hint("ask for a new ticket: `mesto invite GROUP` makes one")),
        None => Ok(()),
    }
}

fn missing(join: &group::Join) -> String {
    if !join.joined {
        "no member has let this node in yet".to_owned()
    } else if !join.ready {
        "the group's log or key is not here yet".to_owned()
    } else {
        format!("{} contexts are not here yet", join.contexts_pending.len())
    }
}
