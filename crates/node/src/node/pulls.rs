//! Bringing logs up to date: who may have what we lack, and asking one of them at a time.

use mesto_oplog::{LogId, Verified};
use mesto_sync::{Message, Peer, Protocol, Summary};

use super::{LogOwner, Node, Timer, Turn};
use crate::flow::Flow;
use crate::log::Need;
use crate::peers::{Pull, after};
use crate::step::{Effect, Lane, Report};

/// How long a page may take before another peer is asked, in milliseconds.
const PAGE_MS_MAX: u64 = 5_000;

/// A page of a log, as it came.
pub(crate) struct Page {
    pub(crate) log: LogId,
    pub(crate) entries: Vec<Verified>,
    pub(crate) next: Option<u64>,
    pub(crate) summary: Summary,
    /// Length of the message, in bytes.
    pub(crate) len: u64,
}

/// How we come to know how a log stands with a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    /// It told us, and us alone.
    Told,
    /// The same, but no more than it had told before.
    Again,
    /// It said so to everybody, or beside something else.
    Overheard,
}

impl Node {
    /// Compares a peer's summary with ours, and sets in motion what follows.
    pub(crate) fn compare(&mut self, turn: &mut Turn<'_>, peer: Peer, theirs: &Summary, heard: Heard) {
        let log = theirs.log;
        let Some(ours) = self.summary(&log) else { return };
        let (authors, we_lack) = self.lacks(turn, &log, theirs);
        let comparison = mesto_sync::compare(&ours, theirs, authors, |_| !we_lack);
        if comparison.diverged {
            turn.report(Report::Diverged { log, peer, ours: ours.digest, theirs: theirs.digest });
        }
        if comparison.protocol != Protocol::None {
            turn.report(Flow::to("f07", "protocol chosen: delta", peer, log));
            turn.report(Report::Compared {
                log,
                protocol: "delta",
                overhead_bytes: comparison.estimate.overhead_bytes,
                entries: comparison.estimate.entries,
            });
        }
        if comparison.we_lack {
            match heard {
                Heard::Told => self.fetch_from(turn, log, peer),
                Heard::Again | Heard::Overheard => self.may_have(turn, log, peer),
            }
        } else if comparison.they_lack && heard != Heard::Again && self.may_hear(&peer, &log) {
            // They are behind and may never have heard of what we told them before: say it again. They will ask,
            // not answer, so this ends.
            if let Some(session) = self.sessions.get_mut(&peer) {
                session.told.remove(&log);
            }
            self.tell(turn, peer, log);
        }
        if !comparison.we_lack {
            self.check_caught_up(turn, log);
        }
    }

    /// How many authors a log has here, and whether `theirs` shows something that is not here.
    fn lacks(&self, turn: &Turn<'_>, log: &LogId, theirs: &Summary) -> (u64, bool) {
        let of = |log: &crate::log::Log, view: &crate::view::View| {
            let is_lacking = theirs.heads.iter().any(|head| !log.holds(view, head));
            (log.dag.chains().len() as u64, is_lacking)
        };
        match self.logs.get(log) {
            Some(LogOwner::Group(id)) => {
                self.groups.get(id).map_or((0, false), |group| of(&group.log, &group.flight.view(turn.snapshot)))
            }
            Some(LogOwner::Context(id)) => self
                .contexts
                .get(id)
                .map_or((0, false), |context| of(&context.log, &context.flight.view(turn.snapshot))),
            None => (0, false),
        }
    }

    /// A peer may have what we lack of a log: it is asked in a while, unless gossip is faster.
    pub(crate) fn may_have(&mut self, turn: &mut Turn<'_>, log: LogId, peer: Peer) {
        let fetch = self.fetches.entry(log).or_default();
        fetch.candidates.insert(peer);
        self.timers.set(Timer::Pull(log), turn.time.wall_ms + fetch.grace_ms());
    }

    /// Asks a peer for what we lack of a log, now or after the request that is out.
    pub(crate) fn fetch_from(&mut self, turn: &mut Turn<'_>, log: LogId, peer: Peer) {
        let is_shut_out = self.is_shut_out(&log);
        let fetch = self.fetches.entry(log).or_default();
        if fetch.active.is_some() || is_shut_out {
            fetch.candidates.insert(peer);
            return;
        }
        fetch.candidates.remove(&peer);
        fetch.last = Some(peer);
        let vector = match self.logs.get(&log) {
            Some(LogOwner::Group(id)) => self.groups.get(id).map(|group| group.log.dag.vector()),
            Some(LogOwner::Context(id)) => self.contexts.get(id).map(|context| context.log.dag.vector()),
            None => None,
        };
        let Some(vector) = vector else { return };
        let pull = Pull { from: peer, deadline_ms: 0, vector, cursor: 0, taken: 0, known: 0 };
        let ask = self.ask_for_page(turn, log, pull);
        turn.report(Flow::to("f11", "what is missing is asked for", peer, log));
        // What it tells, which entries we hold, must not outlive a crash that we forget them in.
        self.after_durable(turn, &log, ask);
    }

    /// Notes that a page is asked for; the question is to be sent.
    fn ask_for_page(&mut self, turn: &mut Turn<'_>, log: LogId, pull: Pull) -> Effect {
        let fetch = self.fetches.entry(log).or_default();
        let deadline_ms = turn.time.wall_ms + PAGE_MS_MAX;
        self.timers.set(Timer::Pull(log), deadline_ms);
        let vector = pull.vector.clone();
        let message = Message::Pull { log, vector, cursor: pull.cursor, careful: fetch.careful };
        let ask = Effect::Send(pull.from, Lane::Sync, message);
        fetch.active = Some(Pull { deadline_ms, ..pull });
        ask
    }

    pub(crate) fn page_heard(&mut self, turn: &mut Turn<'_>, peer: Peer, page: Page) {
        let Page { log, entries, next, summary, len } = page;
        let Some(fetch) = self.fetches.get_mut(&log) else { return };
        // Only what was asked for: nobody can push entries past the pace that we set.
        let Some(pull) = fetch.active.take_if(|active| active.from == peer) else { return };
        fetch.bytes += len;
        fetch.round_trips += 1;
        turn.report(Flow::from("f11", "a page", peer, log));
        let came = entries.len();
        // A careful round can bring again what we hold or have set aside, but no more than that: whoever sends
        // more only keeps us from asking others.
        let held = self.held(&log);
        let (round, known) = ((pull.taken, pull.known), pull.known);
        let goes_on = next.filter(|next| *next > pull.cursor && came > 0 && known <= held);
        if let Some(cursor) = goes_on {
            // Asked for before this one is taken in, so that it is on its way meanwhile. What the vector tells is on disk
            // as a rule, but not if this page answers an older question, while the newer one still waits for that.
            let ask = self.ask_for_page(turn, log, Pull { cursor, ..pull });
            self.after_durable(turn, &log, ask);
        }
        let entries: Vec<Verified> = entries.into_iter().filter(|entry| entry.log() == log).collect();
        let taken = match self.logs.get(&log).copied() {
            Some(LogOwner::Group(id)) => self.with_group(turn, &id, |group, work| group.ingest(work, peer, entries)),
            Some(LogOwner::Context(id)) => {
                let entries = entries.into_iter().map(|entry| (peer, entry)).collect();
                self.with_context(turn, &id, |context, work| {
                    let taken = context.ingest(work, entries);
                    context.pump(work);
                    taken
                })
            }
            None => None,
        };
        let taken = taken.unwrap_or(0);
        if taken > 0 {
            self.touched(turn, log);
            self.settle(turn);
        }
        if summary.log == log
            && let Some(session) = self.sessions.get_mut(&peer)
        {
            session.remember(summary.clone());
        }
        let (taken, known) = (round.0 + taken, round.1 + came.saturating_sub(taken) as u64);
        match self.fetches.get_mut(&log).and_then(|fetch| fetch.active.as_mut()).filter(|_| goes_on.is_some()) {
            Some(active) => (active.taken, active.known) = (taken, known),
            None => self.round_ended(turn, peer, log, &summary, taken),
        }
        self.check_caught_up(turn, log);
    }

    /// Entries of a log that are here, accepted or waiting.
    fn held(&self, log: &LogId) -> u64 {
        let of = |log: &crate::log::Log| log.dag.count() + log.parked();
        match self.logs.get(log) {
            Some(LogOwner::Group(id)) => self.groups.get(id).map_or(0, |group| of(&group.log)),
            Some(LogOwner::Context(id)) => self.contexts.get(id).map_or(0, |context| of(&context.log)),
            None => 0,
        }
    }

    /// The last page of a round has come.
    fn round_ended(&mut self, turn: &mut Turn<'_>, peer: Peer, log: LogId, summary: &Summary, taken: usize) {
        if summary.log == log {
            let (_, is_lacking) = self.lacks(turn, &log, summary);
            if let Some(fetch) = self.fetches.get_mut(&log) {
                fetch.careful = is_lacking && taken == 0 && !fetch.careful;
                fetch.round_brought(taken);
                if !fetch.candidates.is_empty() {
                    self.timers.set(Timer::Pull(log), turn.time.wall_ms + fetch.grace_ms());
                }
            }
            self.compare(turn, peer, summary, Heard::Overheard);
            if self.may_hear(&peer, &log) {
                self.tell(turn, peer, log);
            }
        }
        self.look_for_missing(turn, log, peer);
    }

    /// If entries wait for others, somebody is asked for those, unless gossip brings them in time.
    pub(crate) fn look_for_missing(&mut self, turn: &mut Turn<'_>, log: LogId, from: Peer) {
        let Some(needs) = self.needs(&log) else { return };
        if needs.is_empty() {
            return;
        }
        for need in needs {
            match need {
                Need::Parent(_) => {
                    turn.report(Flow::to("f09", "parents are missing", from, log));
                    self.may_have(turn, log, from);
                }
                Need::Op(_) => {
                    for of_ops in self.logs_of_ops(&log) {
                        self.may_have(turn, of_ops, from);
                    }
                }
                Need::Key(_) => {
                    let Some(group) = self.group_of(&log) else { continue };
                    self.timers.set(Timer::Keys(group), turn.time.wall_ms);
                }
                Need::Clock(at_ms) => self.timers.set(Timer::Clock(log), at_ms),
            }
        }
    }

    /// What entries of a log, or for a group's log of its contexts too, wait for.
    fn needs(&self, log: &LogId) -> Option<Vec<Need>> {
        match self.logs.get(log)? {
            LogOwner::Group(id) => self.groups.get(id).map(|group| group.log.needs()),
            LogOwner::Context(id) => self.contexts.get(id).map(|context| context.log.needs()),
        }
    }

    /// The grace is over, or a request was not answered in time.
    pub(crate) fn pull_overdue(&mut self, turn: &mut Turn<'_>, log: LogId) {
        let Some(fetch) = self.fetches.get_mut(&log) else { return };
        if let Some(active) = &fetch.active {
            if active.deadline_ms > turn.time.wall_ms {
                let deadline_ms = active.deadline_ms;
                self.timers.set(Timer::Pull(log), deadline_ms);
                return;
            }
            fetch.active = None;
        }
        self.next_candidate(turn, log);
    }

    /// Asks the next peer that can still have something that we lack.
    fn next_candidate(&mut self, turn: &mut Turn<'_>, log: LogId) {
        let Some(group) = self.group_of(&log) else { return };
        while let Some(peer) = self.fetches.get_mut(&log).and_then(crate::peers::Fetch::pop_candidate) {
            let summary = self.sessions.get(&peer).and_then(|session| session.summaries.get(&log)).cloned();
            let is_known = self.sessions.get(&peer).is_some_and(|session| session.claims.contains_key(&group));
            // Who named something that is wanted may have it, whatever it said before.
            let has_news =
                summary.is_none_or(|summary| self.lacks(turn, &log, &summary).1) || self.is_anything_wanted(&log);
            if is_known && has_news {
                return self.fetch_from(turn, log, peer);
            }
        }
        // Nobody is left to ask, and yet entries wait: whoever is a member may know.
        if self.is_anything_wanted(&log) {
            let last = self.fetches.get(&log).and_then(|fetch| fetch.last);
            if let Some(peer) = after(last, self.members_online(&group).into_iter()) {
                self.fetch_from(turn, log, peer);
            }
        }
    }

    /// Whether entries wait for entries of this log.
    fn is_anything_wanted(&self, log: &LogId) -> bool {
        match self.logs.get(log) {
            Some(LogOwner::Group(id)) => {
                self.is_op_wanted(id)
                    || self.needs(log).is_some_and(|needs| needs.iter().any(|n| matches!(n, Need::Parent(_))))
            }
            Some(LogOwner::Context(_)) => {
                self.needs(log).is_some_and(|needs| needs.iter().any(|need| matches!(need, Need::Parent(_))))
            }
            None => false,
        }
    }

    pub(crate) fn pull_source_gone(&mut self, turn: &mut Turn<'_>, log: LogId, peer: Peer) {
        let Some(fetch) = self.fetches.get_mut(&log) else { return };
        fetch.candidates.remove(&peer);
        if fetch.active.take_if(|active| active.from == peer).is_some() {
            self.timers.set(Timer::Pull(log), turn.time.wall_ms);
        }
    }
}
