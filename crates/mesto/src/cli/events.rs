//! `mesto events`.

use mesto_api::event::{EventLine, Topics};

use super::failure::Failure;
use super::output::{Output, or_dash, short};
use super::session::Session;

/// In a subscription: every group that the node is in, now or later.
const EVERY_GROUP: &str = "*";

#[derive(clap::Args, Debug)]
pub(crate) struct Events {
    /// Ids, prefixes or names of contexts [default: all]
    contexts: Vec<String>,
    /// Go on with what happens from now on
    #[arg(short, long)]
    follow: bool,
}

impl Events {
    /// Prints what the node still knows of the past, then, if asked to, what happens. The stream is opened
    /// first, so that nothing falls between the two.
    pub(crate) fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        let client = session.client()?;
        let stream = if self.follow { Some(client.events(self.topics())?) } else { None };
        let mut last_seq = None;
        for line in client.recent_events(&self.contexts)? {
            last_seq = Some(line.seq);
            show(output, &line)?;
        }
        let Some(mut stream) = stream else { return Ok(()) };
        loop {
            let happened = stream.next_event()?;
            if last_seq.is_some_and(|last| happened.seq <= last) {
                continue;
            }
            for line in happened.lines() {
                show(output, &line)?;
            }
        }
    }

    fn topics(&self) -> Topics {
        if self.contexts.is_empty() {
            Topics { context_ids: Vec::new(), group_ids: vec![EVERY_GROUP.to_owned()] }
        } else {
            Topics { context_ids: self.contexts.clone(), group_ids: Vec::new() }
        }
    }
}

fn show(output: &Output, line: &EventLine) -> Result<(), Failure> {
    if output.json() {
        return output.json_line(line);
    }
    let context = or_dash(line.context_id.as_deref());
    output.text(&format!("{:>6}  {:12}  {:16}  {}", line.seq, short(&context), line.kind, line.payload))
}
