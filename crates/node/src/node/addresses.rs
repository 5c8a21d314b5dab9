//! Where the nodes of members listen.

use mesto_governance::GroupId;
use mesto_sync::message::{ADDRESS_LEN_MAX, ADDRESSES_MAX, ADDRESSES_PEERS_MAX};
use mesto_sync::{Message, Peer};

use super::{Node, Turn};
use crate::layout;
use crate::record::PeerRecord;
use crate::step::{Effect, Lane};
use crate::store::Keyspace;

/// Members' peers that we remember: more than anybody keeps connections to.
const KNOWN_PEERS_MAX: usize = 1024;

impl Node {
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
    pub(super) fn introduce(&mut self, turn: &mut Turn<'_>, peer: Peer, group: GroupId) {
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
    pub(super) fn tell_addresses(&mut self, turn: &mut Turn<'_>, peer: Peer, group: GroupId) {
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

    pub(super) fn addresses_heard(
        &mut self,
        turn: &mut Turn<'_>,
        peer: Peer,
        group: GroupId,
        peers: Vec<(Peer, Vec<String>)>,
    ) {
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
}
