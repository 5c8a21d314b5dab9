//! What peers say, and what we answer.

use mesto_governance::{BlobId, GroupId, KeyId};
use mesto_oplog::vector::AuthorVector;
use mesto_oplog::{LogId, Verified};
use mesto_sync::handshake::{TAGS_MAX, VERSION, tag};
use mesto_sync::message::{ADDRESS_LEN_MAX, ADDRESSES_MAX, ADDRESSES_PEERS_MAX, KEYS_MAX};
use mesto_sync::{Ephemeral, Hello, Message, Peer, Proof, Summary};

use super::pulls::{Heard, Page};
use super::{LogOwner, Node, Timer, Turn};
use crate::context::Heard as SayingHeard;
use crate::flow::Flow;
use crate::layout;
use crate::log::Need;
use crate::peers::Session;
use crate::record::PeerRecord;
use crate::step::{Effect, GossipToken, Lane, Verdict};
use crate::store::Keyspace;
use crate::verify::{CheckedGossip, CheckedMessage};

/// Members' peers that we remember: more than anybody keeps connections to.
const KNOWN_PEERS_MAX: usize = 1024;

impl Node {
    pub(crate) fn peer_up(&mut self, turn: &mut Turn<'_>, peer: Peer) {
        self.forget_session(turn, peer);
        self.sessions.insert(peer, Session::new(turn.entropy.bytes()));
        self.hello(turn, peer);
    }

    pub(crate) fn peer_down(&mut self, turn: &mut Turn<'_>, peer: Peer) {
        self.forget_session(turn, peer);
    }

    fn forget_session(&mut self, turn: &mut Turn<'_>, peer: Peer) {
        self.sessions.remove(&peer);
        let logs: Vec<LogId> = self.fetches.keys().copied().collect();
        for log in logs {
            self.pull_source_gone(turn, log, peer);
        }
        self.blob_source_gone(turn, peer);
    }

    /// Says hello, with a tag for each group that we are in or want to join.
    fn hello(&mut self, turn: &mut Turn<'_>, peer: Peer) {
        let Some(session) = self.sessions.get(&peer) else { return };
        let nonce = session.our_nonce;
        let tags = self.groups.keys().take(TAGS_MAX).map(|group| tag(&group.log(), &nonce)).collect();
        turn.send(peer, Message::Hello(Hello { version: VERSION, nonce, tags }));
    }

    /// We are in a group more: tell all peers, so that those who are in it too can prove themselves.
    pub(crate) fn hello_again(&mut self, turn: &mut Turn<'_>, group: GroupId) {
        for peer in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.hello(turn, peer);
            self.prove(turn, peer, group);
        }
    }

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

    fn hello_heard(&mut self, turn: &mut Turn<'_>, peer: Peer, hello: Hello) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        if hello.version != VERSION {
            return;
        }
        // Another nonce means that they began anew, and know nothing of what we proved and told before. It happens when
        // a lane is cut and opened again faster than their core takes notice: what it says to the first goes out on
        // the second.
        if session.hello.as_ref().is_some_and(|(nonce, _)| *nonce != hello.nonce) {
            session.proved.clear();
            session.welcomed.clear();
            session.told.clear();
        }
        session.hello = Some((hello.nonce, hello.tags.into_iter().collect()));
        for group in self.groups.keys().copied().collect::<Vec<_>>() {
            self.prove(turn, peer, group);
        }
        self.tell_added(turn, peer);
    }

    /// Proves our membership to a peer that knows the group, once.
    fn prove(&mut self, turn: &mut Turn<'_>, peer: Peer, id: GroupId) {
        let ours = self.peer;
        let (Some(group), Some(session)) = (self.groups.get(&id), self.sessions.get_mut(&peer)) else { return };
        if !session.names(&id) || session.proved.contains(&id) {
            return;
        }
        let Some(link) = session.link(ours, peer) else { return };
        session.proved.insert(id);
        let proof = link.prove(&id.log(), &group.member);
        turn.report(Flow::to("f07", "membership proven", peer, id));
        turn.send(peer, Message::Proof(proof));
    }

    fn proof_heard(&mut self, turn: &mut Turn<'_>, peer: Peer, proof: &Proof) {
        let ours = self.peer;
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        let Some(link) = session.link(ours, peer) else { return };
        let Some(id) = self.groups.keys().copied().find(|group| link.accepts(&group.log(), proof)) else { return };
        session.claims.insert(id, proof.member);
        turn.report(Flow::from("f07", "membership proven", peer, proof.member));
        self.prove(turn, peer, id);
        self.ask_to_join(turn, peer, id);
        self.welcome(turn, peer, id);
    }

    /// Membership may have changed: peers whose proofs we have may be members now.
    pub(crate) fn welcome_new_members(&mut self, turn: &mut Turn<'_>, group: GroupId) {
        for peer in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.welcome(turn, peer, group);
            self.tell_added(turn, peer);
        }
    }

    /// A member's node is connected: tell it how our logs stand, where others are, and ask for what we lack.
    fn welcome(&mut self, turn: &mut Turn<'_>, peer: Peer, id: GroupId) {
        let Some(group) = self.groups.get(&id) else { return };
        let Some(session) = self.sessions.get(&peer) else { return };
        let Some(member) = session.claims.get(&id) else { return };
        if !group.is_member(member) {
            if self.is_member_below(&peer, &id) {
                if let Some(session) = self.sessions.get_mut(&peer) {
                    session.bid_farewell.remove(&id);
                }
                return self.tell(turn, peer, id.log());
            }
            let contexts = self.contexts.values().filter(|context| context.group == id);
            let Some(session) = self.sessions.get_mut(&peer) else { return };
            if session.welcomed.remove(&id) || !session.bid_farewell.contains(&id) {
                session.bid_farewell.insert(id);
                // It forgets what it heard of these, so it is told again if it comes back.
                contexts.for_each(|context| drop(session.told.remove(&context.id.log())));
                self.tell_farewell(turn, peer, id);
            }
            return;
        }
        let Some(session) = self.sessions.get_mut(&peer).filter(|session| !session.welcomed.contains(&id)) else {
            return;
        };
        session.welcomed.insert(id);
        session.bid_farewell.remove(&id);
        let addresses = session.addresses.clone();
        let introduced = session.introduced.remove(&id).unwrap_or_default();
        self.tell_all(turn, peer, id);
        self.remember_peer(turn, peer, &addresses);
        self.tell_addresses(turn, peer, id);
        self.introduce(turn, peer, id);
        self.addresses_heard(turn, peer, id, introduced);
        if let Some(group) = self.groups.get_mut(&id) {
            group.ask_soon();
        }
        self.timers.set(Timer::Keys(id), turn.time.wall_ms);
        self.want_bundles(turn);
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

    /// Whether a peer proved to be a member of a group, as far as we know the group.
    pub(crate) fn is_member_peer(&self, peer: &Peer, id: &GroupId) -> bool {
        let Some(group) = self.groups.get(id) else { return false };
        self.sessions.get(peer).and_then(|session| session.claims.get(id)).is_some_and(|member| group.is_member(member))
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

    pub(crate) fn peer_addresses(&mut self, turn: &mut Turn<'_>, peer: Peer, mut addresses: Vec<String>) {
        addresses.truncate(ADDRESSES_MAX);
        // Kept for the session, because whoever is about to join says where it listens before it is a member.
        if let Some(session) = self.sessions.get_mut(&peer) {
            session.addresses.clone_from(&addresses);
        }
        let groups: Vec<GroupId> =
            self.groups.keys().copied().filter(|group| self.is_member_peer(&peer, group)).collect();
        if groups.is_empty() {
            return;
        }
        self.remember_peer(turn, peer, &addresses);
        for group in groups {
            self.introduce(turn, peer, group);
        }
    }

    /// Tells the other members that are connected where a member's node listens.
    fn introduce(&mut self, turn: &mut Turn<'_>, peer: Peer, group: GroupId) {
        for other in self.members_online(&group).into_iter().filter(|other| *other != peer) {
            self.tell_addresses(turn, other, group);
        }
    }

    /// Keeps the connection to a member's node, over restarts too.
    pub(crate) fn remember_peer(&mut self, turn: &mut Turn<'_>, peer: Peer, addresses: &[String]) {
        if peer == self.peer || (self.known_peers.len() >= KNOWN_PEERS_MAX && !self.known_peers.contains_key(&peer)) {
            return;
        }
        let mut kept: Vec<String> = addresses.iter().filter(|a| a.len() <= ADDRESS_LEN_MAX).cloned().collect();
        let known = self.known_peers.get(&peer);
        for old in known.into_iter().flat_map(|record| &record.addresses) {
            if !kept.contains(old) {
                kept.push(old.clone());
            }
        }
        kept.truncate(ADDRESSES_MAX);
        if known.is_some_and(|record| record.addresses == kept) {
            return;
        }
        let record = PeerRecord { addresses: kept.clone() };
        if let Ok(bytes) = borsh::to_vec(&record) {
            self.with_own(turn, |work| work.put(Keyspace::Meta, layout::peer(peer.as_bytes()), bytes));
        }
        self.known_peers.insert(peer, record);
        turn.effect(Effect::KeepConnected(peer, kept));
    }

    /// Tells a member where the nodes of other members listen.
    fn tell_addresses(&mut self, turn: &mut Turn<'_>, peer: Peer, group: GroupId) {
        let peers: Vec<(Peer, Vec<String>)> = self
            .members_online(&group)
            .into_iter()
            .filter(|other| *other != peer)
            .filter_map(|other| Some((other, self.known_peers.get(&other)?.addresses.clone())))
            .filter(|(_, addresses)| !addresses.is_empty())
            .take(ADDRESSES_PEERS_MAX)
            .collect();
        if !peers.is_empty() {
            let message = Message::Addresses { group: group.log(), peers };
            self.after_durable(turn, &group.log(), Effect::Send(peer, Lane::Sync, message));
        }
    }

    fn addresses_heard(&mut self, turn: &mut Turn<'_>, peer: Peer, group: GroupId, peers: Vec<(Peer, Vec<String>)>) {
        if !self.is_member_peer(&peer, &group) {
            // A joiner is told before the log is here that shows who told it.
            if let Some(session) = self.sessions.get_mut(&peer)
                && session.claims.contains_key(&group)
            {
                session.introduced.insert(group, peers);
            }
            return;
        }
        for (other, addresses) in peers {
            self.remember_peer(turn, other, &addresses);
        }
    }

    /// A member has begun to listen to a topic: it may have been away.
    pub(crate) fn peer_subscribed(&mut self, turn: &mut Turn<'_>, peer: Peer, topic: &str) {
        if let Some(log) = self.log_of(topic)
            && let Some(group) = self.group_of(&log)
            && self.is_member_peer(&peer, &group)
        {
            turn.report(Flow::from("f12", "subscribed", peer, log));
            self.tell(turn, peer, log);
        }
    }

    pub(crate) fn gossip(
        &mut self,
        turn: &mut Turn<'_>,
        token: GossipToken,
        topic: &str,
        from: Peer,
        gossip: CheckedGossip,
    ) {
        let log = self.log_of(topic);
        let verdict = match (log, gossip) {
            (None, _) => Verdict::Ignore,
            (Some(log), CheckedGossip::Entries(entries)) => self.entries_heard(turn, log, from, entries),
            (Some(log), CheckedGossip::Heartbeat(heartbeat)) => {
                let Some(group) = self.group_of(&log).and_then(|id| self.groups.get(&id)) else { return };
                let id = group.id;
                if heartbeat.summary.log != log {
                    Verdict::Reject
                } else if !group.is_member(&heartbeat.member) {
                    self.former_heard(turn, from, id, &heartbeat);
                    Verdict::Ignore
                } else {
                    self.heartbeat_heard(turn, from, heartbeat);
                    Verdict::Accept
                }
            }
            (Some(log), CheckedGossip::Ephemeral(message)) => self.saying_heard(turn, log, from, &message),
        };
        turn.effect(Effect::Judge(token, verdict));
    }

    fn saying_heard(&mut self, turn: &mut Turn<'_>, log: LogId, from: Peer, message: &Ephemeral) -> Verdict {
        let Some(LogOwner::Context(id)) = self.logs.get(&log).copied() else { return Verdict::Reject };
        if message.log != log {
            return Verdict::Reject;
        }
        match self.with_context(turn, &id, |context, work| context.hear(work, message)) {
            Some(SayingHeard::Told) => Verdict::Accept,
            Some(SayingHeard::Forged) => Verdict::Reject,
            Some(SayingHeard::Unknown) => {
                if let Some(group) = self.group_of(&log) {
                    self.suspect_behind(turn, group, from);
                }
                Verdict::Ignore
            }
            Some(SayingHeard::Dropped) | None => Verdict::Ignore,
        }
    }

    /// Someone whom we do not know speaks on a topic: maybe we are the one who lags.
    pub(crate) fn suspect_behind(&mut self, turn: &mut Turn<'_>, group: GroupId, from: Peer) {
        self.may_have(turn, group.log(), from);
    }

    fn heartbeat_heard(&mut self, turn: &mut Turn<'_>, from: Peer, heartbeat: mesto_sync::Heartbeat) {
        let log = heartbeat.summary.log;
        turn.report(Flow::from("f11", "heartbeat", from, log));
        let Some(group) = self.group_of(&log) else { return };
        // A heartbeat is its signer's. Only if that is the very peer who passed it on does it tell about that peer.
        let is_own = self.sessions.get(&from).and_then(|s| s.claims.get(&group)) == Some(&heartbeat.member);
        let of = self.sessions.iter_mut().find(|(_, session)| session.claims.get(&group) == Some(&heartbeat.member));
        let source = match of {
            Some((peer, session)) => {
                session.remember(heartbeat.summary.clone());
                *peer
            }
            None => from,
        };
        self.compare(turn, source, &heartbeat.summary, Heard::Overheard);
        if is_own {
            self.check_caught_up(turn, log);
        } else {
            self.check_left(turn, log);
        }
    }

    fn entries_heard(&mut self, turn: &mut Turn<'_>, log: LogId, from: Peer, entries: Vec<Verified>) -> Verdict {
        if entries.iter().any(|entry| entry.log() != log) {
            return Verdict::Reject;
        }
        let verdict = match self.logs.get(&log).copied() {
            Some(LogOwner::Group(id)) => {
                let known = self
                    .groups
                    .get(&id)
                    .is_some_and(|group| entries.iter().all(|entry| group.is_member(&entry.header().author)));
                turn.report(Flow::from("f10", "ops by gossip", from, id));
                let taken = self.with_group(turn, &id, |group, work| group.ingest(work, from, entries));
                if taken.is_some_and(|taken| taken > 0) {
                    turn.report(Flow::here("f10", "ops folded", id));
                    self.touched(turn, log);
                }
                known
            }
            Some(LogOwner::Context(id)) => {
                let known = self.contexts.get(&id).is_some_and(|context| {
                    entries.iter().all(|entry| context.may_write(&entry.header().author).is_ok())
                });
                turn.report(Flow::from("f09", "deltas by gossip", from, id));
                let entries = entries.into_iter().map(|entry| (from, entry)).collect();
                let taken = self.with_context(turn, &id, |context, work| {
                    let taken = context.ingest(work, entries);
                    context.pump(work);
                    taken
                });
                if taken.is_some_and(|taken| taken > 0) {
                    self.touched(turn, log);
                }
                known
            }
            None => false,
        };
        self.look_for_missing(turn, log, from);
        if verdict { Verdict::Accept } else { Verdict::Ignore }
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
