//! `mesto trace`: a flow that happened, as a text sequence diagram.

use std::thread;
use std::time::Duration;

use mesto_api::trace::{Arrow, Direction};

use super::failure::Failure;
use super::output::{Output, short};
use super::session::Session;

/// How often a diagram that is followed is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// Width of a column, in characters.
const COLUMN: usize = 30;

#[derive(clap::Args, Debug)]
pub(crate) struct Trace {
    /// Which flow: f01 to f23
    flow: String,
    /// Go on as it happens
    #[arg(short, long)]
    follow: bool,
}

impl Trace {
    pub(crate) fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        let client = session.client()?;
        let mut diagram = Diagram::default();
        let mut after = 0;
        loop {
            let arrows = client.trace(&self.flow, after)?;
            after = arrows.last().map_or(after, |arrow| arrow.seq);
            if output.json() && !self.follow {
                return output.list(&arrows, ["at"], |arrow| [arrow.at.clone()]);
            }
            if arrows.is_empty() && !self.follow {
                output.note("nothing of this flow happened here lately");
            }
            for arrow in &arrows {
                if output.json() {
                    output.json_line(arrow)?;
                } else {
                    output.text(&diagram.draw(arrow))?;
                }
            }
            if !self.follow {
                return Ok(());
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}

/// A diagram with a column for this node and one for each peer that has taken part so far.
#[derive(Debug, Default)]
struct Diagram {
    peers: Vec<String>,
}

impl Diagram {
    /// The lines of an arrow; before the first one, and when somebody new takes part, also those of the head.
    fn draw(&mut self, arrow: &Arrow) -> String {
        let mut lines = Vec::new();
        let known = self.peers.len();
        let place = arrow.peer_id.as_ref().map(|peer| {
            let at = self.peers.iter().position(|known| known == peer);
            at.unwrap_or_else(|| {
                self.peers.push(peer.clone());
                self.peers.len() - 1
            })
        });
        if arrow.seq > 0 && (self.peers.len() > known || known == 0) {
            lines.push(self.head());
        }
        let time = arrow.at.get(11..23).unwrap_or(&arrow.at);
        let about = format!("{} {}", arrow.step, short(&arrow.about));
        lines.push(format!("{time:12}  {}", line(arrow.direction, place.map(|place| place + 1), &about)));
        lines.join("\n")
    }

    fn head(&self) -> String {
        let peers = self.peers.iter().map(|peer| peer.get(peer.len().saturating_sub(12)..).unwrap_or(peer));
        let names: Vec<&str> = std::iter::once("this node").chain(peers).collect();
        let row = names.iter().map(|name| format!("{name:COLUMN$}")).collect::<String>();
        format!("{:12}  {}", "", row.trim_end())
    }
}

/// One arrow from column 0 to column `to`, or back.
fn line(direction: Direction, to: Option<usize>, text: &str) -> String {
    let width = to.unwrap_or(1) * COLUMN;
    let shaft = |head: &str, tail: &str| {
        let room = width.saturating_sub(text.chars().count() + 6);
        format!("|{tail}-- {text} {}{head}|", "-".repeat(room.max(1)))
    };
    match direction {
        Direction::Here => format!("|  {text}"),
        Direction::To => shaft(">", ""),
        Direction::From => shaft("", "<"),
        Direction::ToAll => format!("|-- {text} --> all"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrow(direction: Direction, peer: Option<&str>) -> Arrow {
        Arrow {
            seq: 1,
            at: "2026-01-02T03:04:05.678Z".into(),
            flow: "f03".into(),
            step: "claim".into(),
            direction,
            peer_id: peer.map(Into::into),
            about: "abcdefghijklmnop".into(),
        }
    }

    #[test]
    fn each_peer_has_a_column_and_arrows_end_at_theirs() {
        let mut diagram = Diagram::default();
        let first = diagram.draw(&arrow(Direction::To, Some("12D3KooWAAAA")));
        assert!(first.lines().next().is_some_and(|head| head.contains("this node") && head.contains("12D3KooWAAAA")));
        assert!(first.ends_with(">|") && first.contains("03:04:05.678"), "{first}");
        let again = diagram.draw(&arrow(Direction::From, Some("12D3KooWAAAA")));
        assert_eq!(again.lines().count(), 1, "the head comes once");
        assert!(again.contains("|<-- claim abcdefghijkl"), "{again}");
        let other = diagram.draw(&arrow(Direction::To, Some("12D3KooWBBBB")));
        assert_eq!(other.lines().count(), 2);
        assert!(other.lines().last().map(str::len) > again.lines().last().map(str::len), "further away: {other}");
        assert!(diagram.draw(&arrow(Direction::ToAll, None)).ends_with("all"));
    }
}
