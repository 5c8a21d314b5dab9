//! What peers say, and what we answer.

use mesto_governance::{BlobId, GroupId, KeyId};
use mesto_oplog::LogId;
use mesto_oplog::vector::AuthorVector;
use mesto_sync::message::KEYS_MAX;
use mesto_sync::{Message, Peer, Summary};

use super::pulls::{Heard, Page};
use super::{LogOwner, Node, Timer, Turn};
use crate::flow::Flow;
use crate::log::Need;
use crate::step::{Effect, Lane};
use crate::verify::CheckedMessage;

impl Node {
    pub(crate) fn message(&mut self, turn: &mut Turn<'_>, peer: Peer, checked: CheckedMessage) {
        if !self.sessions.contains_key(&peer) {
            return;
        }
        let CheckedMessage { message, entries, len } = checked;
        match message {
            Message::Hello(hello) => self.hello_heard(turn, peer, hello),
            Message::Proof(proof) => self.proof_heard(turn, peer, &proof),
            Message::Summaries(summaries) => {
                for summary in summaries {
                    self.summary_heard(turn, peer, summary);
                }
            }
            Message::Pull { log, vector, cursor, careful } => {
                self.pull_heard(turn, peer, log, &vector, cursor, careful);
            }
            Message::Page { log, next, summary, .. } => {
                self.page_heard(turn, peer, Page { log, entries, next, summary, len: len as u64 });
            }
            Message::KeyPull { group, keys } => self.keys_asked(turn, peer, group, &keys),
            Message::KeyPage { group, keys } => {
                turn.report(Flow::from("f08", "keys", peer, GroupId::from(group)));
                self.with_group(turn, &group.into(), |group, work| group.take_keys(work, &keys));
            }
            Message::Join { group, claim } => self.join_asked(turn, peer, group.into(), claim),
            Message::Joined { group, refused } => self.join_answered(turn, peer, group.into(), refused),
            Message::Addresses { group, peers } => self.addresses_heard(turn, peer, group.into(), peers),
            Message::BlobPull { blob, offset } => self.blob_asked(turn, peer, blob, offset),
            Message::BlobChunk { blob, size, offset, bytes } => self.chunk_heard(turn, peer, blob, size, offset, bytes),
            Message::BlobAbsent { blob } => self.blob_absent(turn, peer, blob),
            Message::Added { group, member } => self.added_heard(turn, peer, group, member),
        }
    }

    fn summary_heard(&mut self, turn: &mut Turn<'_>, peer: Peer, summary: Summary) {
        let log = summary.log;
        let Some(group) = self.group_of(&log) else { return };
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        // What it said before, and says again, is no sign that it did not hear us: it may be unable to take what we have.
        let heard = if session.summaries.get(&log) == Some(&summary) { Heard::Again } else { Heard::Told };
        if !session.claims.contains_key(&group) || !session.remember(summary.clone()) {
            return;
        }
        self.compare(turn, peer, &summary, heard);
        self.check_left(turn, log);
        if self.may_hear(&peer, &log) {
            self.tell(turn, peer, log);
        } else if log == group.log() {
            self.tell_farewell(turn, peer, group);
        }
    }

    fn pull_heard(
        &mut self,
        turn: &mut Turn<'_>,
        peer: Peer,
        log: LogId,
        theirs: &AuthorVector,
        cursor: u64,
        careful: bool,
    ) {
        if !self.may_hear(&peer, &log) {
            return self.bid_farewell(turn, peer, log, theirs, cursor, careful);
        }
        let Some(summary) = self.summary(&log) else { return };
        let (page, is_behind) = match self.logs.get(&log).copied() {
            Some(LogOwner::Group(id)) => {
                let Some(group) = self.groups.get(&id) else { return };
                let view = group.flight.view(turn.snapshot);
                (group.log.page(&view, theirs, cursor, careful), group.log.is_behind(&view, theirs))
            }
            Some(LogOwner::Context(id)) => {
                let Some(context) = self.contexts.get(&id) else { return };
                let view = context.flight.view(turn.snapshot);
                (context.log.page(&view, theirs, cursor, careful), context.log.is_behind(&view, theirs))
            }
            None => return,
        };
        let (entries, next) = page;
        let message = Message::Page { log, entries, next, summary };
        self.after_durable(turn, &log, Effect::Send(peer, Lane::Sync, message));
        if is_behind {
            // Two who cannot take yet what the other has would answer each question with one of their own.
            let is_idle = self.fetches.get(&log).is_some_and(|fetch| fetch.idle_rounds > 0);
            if is_idle { self.may_have(turn, log, peer) } else { self.fetch_from(turn, log, peer) }
        }
    }

    fn keys_asked(&mut self, turn: &mut Turn<'_>, peer: Peer, log: LogId, wanted: &[mesto_governance::KeyId]) {
        let id = GroupId::from(log);
        turn.report(Flow::from("f08", "keys asked for", peer, id));
        if !self.is_member_peer(&peer, &id) {
            return;
        }
        let Some(member) = self.sessions.get(&peer).and_then(|session| session.claims.get(&id)).copied() else {
            return;
        };
        let keys =
            self.with_group(turn, &id, |group, work| group.share_keys(work, &member, wanted)).unwrap_or_default();
        if !keys.is_empty() {
            turn.report(Flow::to("f08", "keys sent, sealed", peer, id));
            self.after_durable(turn, &log, Effect::Send(peer, Lane::Sync, Message::KeyPage { group: log, keys }));
        }
    }

    /// Asks connected members for the keys that we lack, again and again until they are here.
    pub(crate) fn ask_for_keys(&mut self, turn: &mut Turn<'_>, id: GroupId) {
        let keys = self.keys_lacking(&id);
        let Some(group) = self.groups.get_mut(&id).filter(|_| !keys.is_empty()) else { return };
        let wait = group.ask_again_in();
        let domains = group.wanted_domains();
        let members = self.members_online(&id);
        for peer in members.iter().copied() {
            turn.report(Flow::to("f08", "keys asked for", peer, id));
            turn.send(peer, Message::KeyPull { group: id.log(), keys: keys.clone() });
        }
        self.timers.set(Timer::Keys(id), turn.time.wall_ms + wait);
        let is_asked = !members.is_empty();
        let again = self.with_group(turn, &id, |group, work| group.give_up_waiting(work, is_asked));
        if let Some(Some(at_ms)) = again {
            self.timers.set(Timer::Keys(id), at_ms);
        }
        // Somebody waits to write: if the key does not come, an epoch of our own is begun.
        for domain in domains {
            self.with_group(turn, &id, |group, work| group.want_epoch(work, domain));
        }
    }

    /// Keys of a group that we may have and lack, also those that entries wait for.
    pub(crate) fn keys_lacking(&self, id: &GroupId) -> Vec<KeyId> {
        let Some(group) = self.groups.get(id) else { return Vec::new() };
        let contexts = self.contexts.values().filter(|context| context.group == *id);
        let awaited = contexts.flat_map(|context| context.log.needs());
        let awaited = awaited.filter_map(|need| if let Need::Key(key) = need { Some(key) } else { None }).collect();
        let mut keys = group.missing_keys(&awaited);
        keys.truncate(KEYS_MAX);
        keys
    }

    pub(crate) fn clock_reached(&mut self, turn: &mut Turn<'_>, log: LogId) {
        let now = turn.time.wall_ms;
        match self.logs.get(&log).copied() {
            Some(LogOwner::Group(id)) => {
                self.with_group(turn, &id, |group, work| {
                    for (peer, entry) in group.log.due(work, now) {
                        group.ingest(work, peer, vec![entry]);
                    }
                });
            }
            Some(LogOwner::Context(id)) => {
                self.with_context(turn, &id, |context, work| {
                    let due = context.log.due(work, now);
                    context.ingest(work, due);
                    context.pump(work);
                });
            }
            None => {}
        }
        self.touched(turn, log);
        self.look_for_missing(turn, log, self.peer);
    }

    /// Whether a peer may read a blob: it is a bundle of a group that it is a member of.
    pub(crate) fn may_read_blob(&self, peer: &Peer, blob: &BlobId) -> bool {
        self.groups.values().filter(|group| self.is_member_peer(peer, &group.id)).any(|group| {
            group.state().is_some_and(|state| {
                state.target().is_some_and(|target| target.set.release.version == *blob)
                    || state.contexts().any(|row| row.release().version == *blob)
            })
        })
    }
}
