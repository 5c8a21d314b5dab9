//! `mesto events`.

use std::thread;
use std::time::{Duration, Instant};

use mesto_api::client::EventStream;
use mesto_api::event::{EventLine, Topics};
use mesto_api::{Client, ClientError};

use super::failure::Failure;
use super::output::{Output, or_dash, short};
use super::session::Session;

/// In a subscription: every group that the node is in, now or later.
const EVERY_GROUP: &str = "*";

/// First and longest pause before a stream that broke is taken up again.
const AGAIN: Duration = Duration::from_millis(250);
const AGAIN_MAX: Duration = Duration::from_secs(5);

#[derive(clap::Args, Debug)]
pub(crate) struct Events {
    /// Ids, prefixes or names of contexts [default: all]
    contexts: Vec<String>,
    /// Go on with what happens from now on, also when the node goes away and comes back
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
        self.show_recent(&client, output, &mut last_seq)?;
        let Some(mut stream) = stream else { return Ok(()) };
        loop {
            let ended = match stream.next_event() {
                Ok(happened) if last_seq.is_some_and(|last| happened.seq <= last) => continue,
                Ok(happened) => {
                    last_seq = Some(happened.seq);
                    for line in happened.lines() {
                        show(output, &line)?;
                    }
                    continue;
                }
                Err(error) => error,
            };
            output.note(&format!("{ended}; trying again"));
            stream = self.again(session, output, &stream, &mut last_seq)?;
        }
    }

    /// Takes the stream up again, for as long as it takes. If the node cannot tell what was missed, what it still knows of
    /// it is printed.
    fn again(&self, session: &Session, output: &Output, broken: &EventStream, last_seq: &mut Option<u64>) -> Result<EventStream, Failure> {
        let lost = Instant::now();
        let mut pause = AGAIN;
        let (client, stream) = loop {
            thread::sleep(pause);
            pause = (pause * 2).min(AGAIN_MAX);
            // The node may have come back at another address.
            let Ok(client) = session.client() else { continue };
            match client.resume_events(broken, self.topics()) {
                Ok(stream) => break (client, stream),
                Err(error @ (ClientError::Refused(_) | ClientError::Malformed(_))) => return Err(error.into()),
                Err(_) => {}
            }
        };
        if !stream.resumed() {
            if client.status().is_ok_and(|status| status.uptime_seconds <= lost.elapsed().as_secs()) {
                *last_seq = None; // it started anew, and counts anew
            }
            self.show_recent(&client, output, last_seq)?;
            output.note("some events may be missing");
        }
        Ok(stream)
    }

    fn show_recent(&self, client: &Client, output: &Output, last_seq: &mut Option<u64>) -> Result<(), Failure> {
        let before = *last_seq;
        for line in client.recent_events(&self.contexts)? {
            if before.is_none_or(|last| line.seq > last) {
                *last_seq = Some(line.seq);
                show(output, &line)?;
            }
        }
        Ok(())
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
