//! What is told once and kept nowhere.
//!
//! Such messages rest on nothing and nothing rests on them, so they wait for no batch. Whoever may read the context may
//! say something in it: it changes nothing. A node listens to each author no faster than it lets its own app and
//! pages speak, so that nobody can make another's pages work without end.

use std::collections::BTreeMap;

use mesto_oplog::PublicKey;
use mesto_sync::ephemeral::EphemeralError;
use mesto_sync::{Ephemeral, Gossip, Saying, gossip};

use super::Context;
use crate::command::CommandError;
use crate::flight::Work;
use crate::step::{Effect, Notice, Report};

/// Messages a second that one identity may say in a context: ten cursors that each move several times a second.
const PER_SECOND_MAX: u64 = 60;
/// How much of a pause can be made up for, in messages: two seconds.
const BURST_MAX: u64 = 2 * PER_SECOND_MAX;
/// Milliseconds that a message may be old, or ahead of our clock. Cursors older than this are of no use, and what is
/// sent anew later is too old.
const AGE_MS_MAX: u64 = 60_000;

/// Who said when what leaves no trace: bounded by the members of the context.
#[derive(Debug, Default)]
pub(crate) struct Said {
    by: BTreeMap<PublicKey, Pace>,
}

/// How fast somebody speaks.
#[derive(Debug)]
struct Pace {
    /// The newest message, by its author's clock.
    sent_ms: u64,
    /// Messages that may come now, in thousandths.
    left: u64,
    /// When that was so, by our clock.
    at_ms: u64,
}

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    /// Subscribers were told.
    Told,
    /// Its author, or its key, is not known here.
    Unknown,
    /// It is too old, was heard before, or comes too fast.
    Dropped,
    /// Its author cannot have meant it.
    Forged,
}

impl Said {
    /// Whether an author may say one thing more; if so, it is counted.
    fn admit(&mut self, author: PublicKey, sent_ms: u64, now_ms: u64) -> bool {
        let pace = self.by.entry(author).or_insert(Pace { sent_ms: 0, left: BURST_MAX * 1000, at_ms: now_ms });
        let passed = now_ms.saturating_sub(pace.at_ms);
        pace.left = pace.left.saturating_add(passed.saturating_mul(PER_SECOND_MAX)).min(BURST_MAX * 1000);
        // A clock that was set back does not stop the refilling for as long.
        pace.at_ms = now_ms;
        if sent_ms <= pace.sent_ms || pace.left < 1000 {
            return false;
        }
        pace.sent_ms = sent_ms;
        pace.left -= 1000;
        true
    }

    /// When an author's next message is sent: later than all before it.
    fn next_ms(&self, author: &PublicKey, now_ms: u64) -> u64 {
        self.by.get(author).map_or(now_ms, |pace| now_ms.max(pace.sent_ms + 1))
    }
}

impl Context {
    /// Tells the subscribers, here and on the members' nodes.
    pub(crate) fn say(&mut self, work: &mut Work<'_>, saying: Saying) -> Result<(), CommandError> {
        let invalid = |error: EphemeralError| CommandError::Invalid(error.to_string());
        saying.check().map_err(invalid)?;
        let author = self.identity.public();
        let view = self.governance.as_ref().ok_or(CommandError::NotReady(self.id))?;
        view.governance
            .state()
            .may_read(self.id, &author)
            .map_err(|denied| CommandError::Denied(denied.to_string()))?;
        let epoch = view.epoch_for(&self.id);
        let key = epoch.and_then(|key| view.keys.get(&key)).ok_or(CommandError::KeyMissing(self.group))?;
        let sent_ms = self.said.next_ms(&author, work.time.wall_ms);
        if !self.said.admit(author, sent_ms, work.time.wall_ms) {
            return Err(CommandError::TooFast { per_second: PER_SECOND_MAX });
        }
        let nonce = work.entropy.bytes();
        let message = Ephemeral::seal(self.id.log(), sent_ms, key, nonce, &saying, &self.identity).map_err(invalid)?;
        work.now(Effect::Publish(gossip::context_topic(&self.id.log()), Gossip::Ephemeral(message)));
        self.tell_subscribers(work, author, sent_ms, saying);
        Ok(())
    }

    /// Takes what somebody said elsewhere. Its signature was checked.
    pub(crate) fn hear(&mut self, work: &mut Work<'_>, message: &Ephemeral) -> Heard {
        if self.is_left {
            return Heard::Dropped;
        }
        let Some(view) = &self.governance else { return Heard::Unknown };
        if view.governance.state().may_read(self.id, &message.author).is_err() {
            return Heard::Unknown;
        }
        let Some(key) = view.keys.get(&message.key) else { return Heard::Unknown };
        let now_ms = work.time.wall_ms;
        if message.sent_ms.abs_diff(now_ms) > AGE_MS_MAX {
            return Heard::Dropped;
        }
        let Ok(saying) = message.open(key) else { return Heard::Forged };
        if !self.said.admit(message.author, message.sent_ms, now_ms) {
            work.now(Effect::Report(Report::Shed { bound: "passing messages of one author", count: 1 }));
            return Heard::Dropped;
        }
        self.tell_subscribers(work, message.author, message.sent_ms, saying);
        Heard::Told
    }

    fn tell_subscribers(&self, work: &mut Work<'_>, author: PublicKey, sent_ms: u64, saying: Saying) {
        let (context, group) = (self.id, self.group);
        work.now(Effect::Emit(Notice::Ephemeral { context, group, author, sent_ms, saying }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn author() -> PublicKey {
        PublicKey::from_bytes([1; 32])
    }

    #[test]
    fn a_message_counts_once_and_only_if_it_is_newer_than_those_before() {
        let mut said = Said::default();
        assert!(said.admit(author(), 10, 0));
        assert!(!said.admit(author(), 10, 0));
        assert!(!said.admit(author(), 9, 0));
        assert!(said.admit(PublicKey::from_bytes([2; 32]), 9, 0), "authors do not count against each other");
        assert_eq!(said.next_ms(&author(), 5), 11);
        assert_eq!(said.next_ms(&author(), 50), 50);
    }

    #[test]
    fn who_speaks_too_fast_is_heard_at_the_allowed_pace() {
        let mut said = Said::default();
        let heard = |said: &mut Said, from: u64, now_ms| {
            (from..from + 1000).filter(|sent_ms| said.admit(author(), *sent_ms, now_ms)).count() as u64
        };
        assert_eq!(heard(&mut said, 1, 0), BURST_MAX);
        assert_eq!(heard(&mut said, 2_000, 1_000), PER_SECOND_MAX);
        assert_eq!(heard(&mut said, 4_000, 500), 0, "a clock that is set back gives nothing");
        assert_eq!(heard(&mut said, 6_000, 100_000), BURST_MAX);
    }
}
