//! `mesto open`: the pages of a context's app.

use std::process::{Command, Stdio};

use mesto_api::auth::MakeCode;

use super::failure::Failure;
use super::output::Output;
use super::session::Session;

/// What opens URLs, by system.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

#[derive(clap::Args, Debug)]
pub(crate) struct Open {
    /// Id, prefix or name of the context
    context: String,
    /// Only print the URL. It works once, within a quarter of an hour
    #[arg(long)]
    print: bool,
}

impl Open {
    pub(crate) fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        let code = session.client()?.make_code(&MakeCode { context_id: self.context })?;
        if !self.print && output.for_a_person() {
            let opened = Command::new(OPENER).arg(&code.url).stdout(Stdio::null()).stderr(Stdio::null()).status();
            if !opened.is_ok_and(|status| status.success()) {
                output.note("no browser could be opened; open this yourself:");
            }
        }
        output.object(&code, |code| code.url.clone())
    }
}
