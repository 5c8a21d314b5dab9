//! `mesto config`.

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::output::Output;
use super::session::Session;
use crate::home::Overrides;

#[derive(Subcommand, Debug)]
pub(crate) enum Config {
    /// All settings, as a node started now would take them
    Show {
        /// Say where each comes from
        #[arg(long)]
        origin: bool,
    },
    /// Change a setting in config.toml; it counts from the next start on
    Set {
        /// Which, like `mdns` or `limits.call_time_ms`
        key: String,
        /// Its value; of a list the elements, with commas between
        value: String,
    },
}

impl Config {
    pub(crate) fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        let home = session.home()?;
        let origin = match self {
            Self::Show { origin } => origin,
            Self::Set { key, value } => {
                home.set_config(&key, &value)?;
                let now = home.config(&Overrides::default())?;
                let shown = now.entries().find(|(known, _, _)| known.name() == key);
                let Some((_, value, origin)) = shown else { return Ok(()) };
                if home.live_node()?.is_some() {
                    output.note("it counts when the node starts again");
                }
                return output.object(&json!({ "key": key, "value": value, "origin": origin.to_string() }), |_| {
                    format!("{key} = {value}")
                });
            }
        };
        let loaded = home.config(&Overrides::default())?;
        let shown: Map<String, Value> = loaded
            .entries()
            .map(|(key, value, from)| {
                let value = if origin { json!({ "value": value, "origin": from.to_string() }) } else { value };
                (key.name().to_owned(), value)
            })
            .collect();
        output.object(&shown, |_| {
            let line = |(key, value, from): (crate::home::Key, Value, crate::home::Origin)| {
                let origin = if origin { format!("   # {from}") } else { String::new() };
                format!("{} = {value}{origin}", key.name())
            };
            loaded.entries().map(line).collect::<Vec<_>>().join("\n")
        })
    }
}
