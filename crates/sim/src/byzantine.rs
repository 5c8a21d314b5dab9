//! Breaking the rules: what liars do to what their nodes say, and what outsiders try.

mod backdate;
mod epochs;
mod forge;

pub(crate) use backdate::Late;

use std::sync::Arc;

use mesto_governance::GroupId;
use mesto_governance::claim::Claim;
use mesto_governance::{BlobId, InvitationId, KeyId};
use mesto_node::Lane;
use mesto_oplog::vector::AuthorVector;
use mesto_oplog::{EntryId, LogId, SigningKey};
use mesto_sync::handshake::{Link, VERSION, tag};
use mesto_sync::message::SUMMARY_HEADS_MAX;
use mesto_sync::{Gossip, Heartbeat, Hello, Message, Nonce, Proof, Summary};

use crate::host::Role;
use crate::ledger;
use crate::random::Random;
use crate::world::{Event, World};

/// Proofs that are kept to be replayed.
const PROOFS_MAX: usize = 64;

/// What liars and outsiders keep in mind.
#[derive(Debug)]
pub(crate) struct Mischief {
    pub(crate) random: Random,
    /// Entries that others build on and that only the liar has: topic and gossip.
    withheld: Vec<(String, Vec<u8>)>,
    proofs: Vec<Proof>,
    /// What was forged when all knew that its author is out.
    pub(crate) late: Vec<Late>,
    /// Whether the liar goes on to lie, though no more to hide, when all else heals.
    is_stubborn: bool,
    is_healed: bool,
}

impl Mischief {
    pub(crate) fn new(mut random: Random) -> Self {
        let is_stubborn = random.chance(500);
        Self { random, withheld: Vec::new(), proofs: Vec::new(), late: Vec::new(), is_stubborn, is_healed: false }
    }

    /// Whether to do something that happens so often while it may.
    fn dares(&mut self, permille: u64) -> bool {
        let dares = self.random.chance(permille);
        dares && (!self.is_healed || self.is_stubborn)
    }

    /// The same for what could keep honest members apart for good.
    fn hides(&mut self, permille: u64) -> bool {
        let hides = self.random.chance(permille);
        hides && !self.is_healed
    }
}

impl World {
    /// What a liar's node wants to say, changed: none, one or several messages.
    pub(crate) fn tamper(&mut self, mut message: Message) -> Vec<Vec<u8>> {
        if let Message::Proof(proof) = &message {
            self.remember_proof(proof.clone());
        }
        let mischief = &mut self.mischief;
        if mischief.hides(30) {
            return Vec::new();
        }
        match &mut message {
            Message::Summaries(summaries) => {
                for summary in summaries {
                    if mischief.dares(150) {
                        lie(&mut mischief.random, summary);
                    }
                }
            }
            Message::Page { entries, next, summary, .. } => {
                if mischief.dares(100) {
                    lie(&mut mischief.random, summary);
                }
                if mischief.hides(80) {
                    entries.truncate(entries.len() / 2);
                }
                if mischief.dares(40) {
                    *next = Some(next.unwrap_or_default() + 1);
                }
            }
            Message::KeyPage { keys, .. } => {
                for (_, wrap) in keys.iter_mut().filter(|_| mischief.dares(200)) {
                    wrap.encapsulated[0] ^= 1;
                }
                // One key under the name of another, and nothing where there is something.
                if mischief.dares(100) && keys.len() > 1 {
                    let first = keys[0].1.clone();
                    keys[1].1 = first;
                }
                if mischief.dares(100) {
                    keys.clear();
                }
            }
            Message::BlobChunk { bytes, .. } => {
                if let Some(first) = bytes.first_mut().filter(|_| mischief.hides(300)) {
                    *first ^= 1;
                }
            }
            Message::Addresses { peers, .. } if mischief.hides(200) => {
                peers.iter_mut().for_each(|(_, addresses)| *addresses = vec!["/sim/99".to_owned()]);
            }
            Message::Addresses { .. }
            | Message::Hello(_)
            | Message::Proof(_)
            | Message::Pull { .. }
            | Message::KeyPull { .. }
            | Message::Join { .. }
            | Message::Joined { .. }
            | Message::BlobPull { .. }
            | Message::BlobAbsent { .. }
            | Message::Added { .. } => {}
        }
        let mut said = vec![message.encode()];
        if mischief.dares(40) {
            said.push(garbage(&mut mischief.random));
        }
        if mischief.dares(20)
            && let Some(proof) = mischief.random.pick(&mischief.proofs)
        {
            said.push(Message::Proof(proof.clone()).encode());
        }
        said
    }

    /// The same for gossip; nothing if it is withheld.
    pub(crate) fn tamper_with_gossip(&mut self, from: usize, gossip: Gossip) -> Option<Gossip> {
        if self.hosts[from].role != Role::Liar {
            return Some(gossip);
        }
        if self.mischief.hides(100) {
            return None;
        }
        let Gossip::Heartbeat(heartbeat) = gossip else { return Some(gossip) };
        let groups = ledger::groups(&self.hosts[from].disk.snapshot());
        let key = groups
            .iter()
            .map(|(_, record)| SigningKey::from_seed(&record.member_seed))
            .find(|key| key.public() == heartbeat.member);
        let (Some(key), true) = (key, self.mischief.dares(150)) else { return Some(Gossip::Heartbeat(heartbeat)) };
        let mut summary = heartbeat.summary.clone();
        lie(&mut self.mischief.random, &mut summary);
        Some(Gossip::Heartbeat(Heartbeat::sign(summary, heartbeat.sent_ms, &key)))
    }

    /// A liar does something of its own, and the next thing in a while.
    pub(crate) fn mischief(&mut self, host: usize) {
        let wait = self.mischief.random.between(50_000, 700_000);
        self.after(wait, Event::Mischief { host });
        if self.hosts[host].node.is_some() {
            self.forge(host);
        }
    }

    /// Everything heals: what was withheld comes out.
    pub(crate) fn reveal(&mut self) {
        self.mischief.is_healed = true;
        let Some(liar) = (0..self.hosts.len()).find(|host| self.hosts[*host].role == Role::Liar) else { return };
        for (topic, bytes) in std::mem::take(&mut self.mischief.withheld) {
            let to = self.mischief.random.index(self.hosts.len());
            // It takes until links stand again.
            self.after(8_000_000, Event::Gossip { from: liar, to, topic, bytes: Arc::from(bytes) });
        }
    }

    /// A link of an outsider is open: it says hello with the tags of all groups, whose ids leaked to it.
    pub(crate) fn outsider_meets(&mut self, index: usize, other: usize) {
        let nonce = outsider_nonce(index, other);
        let tags = self.leaked_groups().iter().map(|group| tag(&group.log(), &nonce)).collect();
        self.send_bytes(index, other, Lane::Sync, Message::Hello(Hello { version: VERSION, nonce, tags }).encode());
    }

    /// An outsider hears something: a hello is answered with all that could get it in.
    pub(crate) fn outsider_hears(&mut self, index: usize, from: usize, bytes: &[u8]) {
        match Message::decode(bytes) {
            Ok(Message::Hello(hello)) => self.outsider_tries(index, from, &hello),
            Ok(Message::Proof(proof)) => {
                // Relayed to everybody else.
                self.remember_proof(proof.clone());
                for other in (0..index).filter(|other| *other != from) {
                    self.send_bytes(index, other, Lane::Sync, Message::Proof(proof.clone()).encode());
                }
            }
            Ok(_) | Err(_) => {}
        }
    }

    fn outsider_tries(&mut self, index: usize, other: usize, hello: &Hello) {
        let key = SigningKey::from_seed(&self.mischief.random.seed());
        let link = Link {
            ours: self.hosts[index].peer,
            theirs: self.hosts[other].peer,
            our_nonce: outsider_nonce(index, other),
            their_nonce: hello.nonce,
        };
        let mut messages = Vec::new();
        for group in self.leaked_groups() {
            let log = group.log();
            messages.push(Message::Proof(link.prove(&log, &key)));
            messages.extend(self.mischief.proofs.iter().cloned().map(Message::Proof));
            let vector = AuthorVector::empty();
            messages.push(Message::Pull { log, vector, cursor: 0, careful: false });
            messages.push(Message::KeyPull { group: log, keys: vec![KeyId::default()] });
            let invitation = InvitationId::default();
            let sealing = mesto_governance::SealingKey::from_seed(&self.mischief.random.seed()).public();
            let hint = mesto_governance::action::PeerHint(self.hosts[index].peer.as_bytes().to_vec());
            let claim = Claim::new(group, invitation, &key, &key, sealing, hint);
            messages.push(Message::Join { group: log, claim });
            messages.push(Message::Summaries(vec![made_up(&mut self.mischief.random, log)]));
        }
        for blob in self.bundles.keys().copied().collect::<Vec<BlobId>>() {
            messages.push(Message::BlobPull { blob, offset: 0 });
        }
        for context in self.groups_of.keys().copied().collect::<Vec<LogId>>() {
            let vector = AuthorVector::empty();
            messages.push(Message::Pull { log: context, vector, cursor: 0, careful: true });
        }
        for message in messages {
            self.send_bytes(index, other, Lane::Sync, message.encode());
        }
        let bytes = garbage(&mut self.mischief.random);
        self.send_bytes(index, other, Lane::Sync, bytes);
    }

    fn leaked_groups(&self) -> Vec<GroupId> {
        let mut groups: Vec<GroupId> = self.groups_of.values().copied().collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    /// Liars keep the proofs that they hear, to replay them.
    pub(crate) fn remember_proof(&mut self, proof: Proof) {
        if self.mischief.proofs.len() < PROOFS_MAX {
            self.mischief.proofs.push(proof);
        }
    }
}

fn outsider_nonce(index: usize, other: usize) -> Nonce {
    *blake3::hash(format!("outsider {index} to {other}").as_bytes()).as_bytes()
}

/// A summary that is not true.
fn lie(random: &mut Random, summary: &mut Summary) {
    match random.below(4) {
        0 => summary.digest[0] ^= 1,
        1 => {
            summary.heads.push(EntryId::from_bytes(random.seed()));
            summary.heads.sort();
            summary.heads.truncate(SUMMARY_HEADS_MAX);
        }
        2 => summary.count = random.number(),
        _ => {
            summary.heads.clear();
            summary.count = 0;
        }
    }
}

fn made_up(random: &mut Random, log: LogId) -> Summary {
    let heads = vec![EntryId::from_bytes(random.seed())];
    Summary { log, heads: heads.clone(), count: 9, digest: random.seed(), governance: heads }
}

/// Bytes that are no message: noise, a list beyond its bound, or one out of order.
fn garbage(random: &mut Random) -> Vec<u8> {
    let log = LogId::from_bytes(random.seed());
    match random.below(3) {
        0 => (0..random.below(200)).map(|_| random.number().to_le_bytes()[0]).collect(),
        1 => {
            let mut summary = made_up(random, log);
            summary.heads = (0..SUMMARY_HEADS_MAX + 1).map(|_| EntryId::from_bytes(random.seed())).collect();
            summary.heads.sort();
            Message::Summaries(vec![summary]).encode()
        }
        _ => {
            let mut summary = made_up(random, log);
            summary.heads = vec![EntryId::from_bytes([2; 32]), EntryId::from_bytes([1; 32])];
            Message::Summaries(vec![summary]).encode()
        }
    }
}
