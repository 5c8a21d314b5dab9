//! `mesto invite`.

use std::time::Duration;

use clap::Subcommand;
use mesto_api::{Client, group};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

use super::failure::Failure;
use super::group::show_acted;
use super::output::{Output, short};
use super::session::Session;

#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Invite {
    #[command(subcommand)]
    other: Option<Invitations>,
    /// Id, prefix or name of the group
    #[arg(required = true)]
    group: Option<String>,
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
        let client = session.client()?;
        let Some(group) = self.group else {
            return self.other.map_or(Ok(()), |other| other.run(&client, output));
        };
        let request = group::Invite {
            role: Some(self.role),
            capabilities: self.caps.map(|caps| caps.into_iter().filter(|cap| !cap.is_empty()).collect()),
            expires_ms: Some(u64::try_from(self.expires.as_millis()).unwrap_or(u64::MAX)),
            uses: Some(self.uses),
        };
        let invited = client.invite(&group, &request)?;
        if output.for_a_person() {
            match QrCode::new(invited.ticket.as_bytes()) {
                // Inverted, because most terminals are dark: cameras want the quiet zone to be the light part.
                Ok(code) => output.note(
                    &code
                        .render::<Dense1x2>()
                        .dark_color(Dense1x2::Light)
                        .light_color(Dense1x2::Dark)
                        .quiet_zone(true)
                        .build(),
                ),
                Err(_) => output.note("(the ticket is too long for a QR code)"),
            }
            output.note(&format!("Whoever has this ticket can join until {}:", invited.expires_at));
        }
        output.object(&invited, |invited| invited.ticket.clone())
    }
}

#[derive(Subcommand, Debug)]
pub(crate) enum Invitations {
    /// The invitations of a group
    Ls {
        /// Id, prefix or name of the group
        group: String,
    },
    /// Close an invitation: nobody joins by it any more
    Revoke {
        /// Id, prefix or name of the group
        group: String,
        /// Id or prefix of the invitation
        invitation: String,
    },
}

impl Invitations {
    fn run(self, client: &Client, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Ls { group } => {
                let header = ["invitation", "inviter", "role", "capabilities", "used", "expires", "state"];
                output.list(&client.invitations(&group)?, header, |row| {
                    [
                        short(&row.invitation_id),
                        short(&row.inviter),
                        row.role.clone(),
                        row.capabilities.join(","),
                        format!("{} of {}", row.used, row.uses),
                        row.expires_at.clone(),
                        if row.revoked { "revoked" } else { "open" }.to_owned(),
                    ]
                })
            }
            Self::Revoke { group, invitation } => show_acted(output, &client.revoke_invitation(&group, &invitation)?),
        }
    }
}
