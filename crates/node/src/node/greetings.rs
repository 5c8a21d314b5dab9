//! Connections to peers: what two nodes find out of each other when they meet, and when membership changes.

use mesto_governance::GroupId;
use mesto_oplog::LogId;
use mesto_sync::handshake::{TAGS_MAX, VERSION, tag};
use mesto_sync::{Hello, Message, Peer, Proof};

use super::{Node, Timer, Turn};
use crate::flow::Flow;
use crate::peers::Session;

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

    pub(super) fn hello_heard(&mut self, turn: &mut Turn<'_>, peer: Peer, hello: Hello) {
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

    pub(super) fn proof_heard(&mut self, turn: &mut Turn<'_>, peer: Peer, proof: &Proof) {
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

    /// Whether a peer proved to be a member of a group, as far as we know the group.
    pub(crate) fn is_member_peer(&self, peer: &Peer, id: &GroupId) -> bool {
        let Some(group) = self.groups.get(id) else { return false };
        self.sessions.get(peer).and_then(|session| session.claims.get(id)).is_some_and(|member| group.is_member(member))
    }
}
