//! `mesto invite` and `mesto join`.

use std::time::Duration;

use mesto_api::ErrorCode;
use mesto_api::group::{self, JoinContexts, JoinGroup};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

use super::failure::Failure;
use super::output::{Output, fields};
use super::session::Session;
use super::wait::Wait;

#[derive(clap::Args, Debug)]
pub(crate) struct Invite {
    /// Id, prefix or name of the group
    group: String,
    /// The role of who joins: admin, member or readonly
    #[arg(long, default_value = "member")]
    role: String,
    /// What they may do, separated by commas [default: what the group gives new members]
    #[arg(long, value_delimiter = ',', value_name = "CAP,…")]
    caps: Option<Vec<String>>,
    /// How long the ticket is good for
    #[arg(long, value_parser = mesto_api::duration::parse, default_value = "24h", value_name = "DURATION")]
    expires: Duration,
    /// How many may join by it
    #[arg(long, default_value_t = 1, value_name = "N")]
    uses: u32,
}

impl Invite {
    pub(crate) fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        let request = group::Invite {
            role: Some(self.role),
            capabilities: self.caps.map(|caps| caps.into_iter().filter(|cap| !cap.is_empty()).collect()),
            expires_ms: Some(u64::try_from(self.expires.as_millis()).unwrap_or(u64::MAX)),
            uses: Some(self.uses),
        };
        let invited = session.client()?.invite(&self.group, &request)?;
        if output.for_a_person() {
            match QrCode::new(invited.ticket.as_bytes()) {
                // Inverted, because most terminals are dark: cameras want the quiet zone to be the light part.
                Ok(code) => output.note(
                    &code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).quiet_zone(true).build(),
                ),
                Err(_) => output.note("(the ticket is too long for a QR code)"),
            }
            output.note(&format!("Whoever has this ticket can join until {}:", invited.expires_at));
        }
        output.object(&invited, |invited| invited.ticket.clone())
    }
}

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
