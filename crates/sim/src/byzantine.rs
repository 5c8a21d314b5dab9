//! Breaking the rules.

use mesto_sync::{Gossip, Message};

use crate::random::Random;
use crate::world::World;

/// What liars keep in mind.
#[derive(Debug)]
pub(crate) struct Mischief {
    pub(crate) random: Random,
}

impl Mischief {
    pub(crate) const fn new(random: Random) -> Self {
        Self { random }
    }
}

impl World {
    /// What a liar's node wants to say, changed.
    pub(crate) fn tamper(&mut self, _from: usize, _to: usize, message: Message) -> Vec<Vec<u8>> {
        vec![message.encode()]
    }

    /// The same for gossip; nothing if it is withheld.
    pub(crate) fn tamper_with_gossip(&mut self, _from: usize, gossip: Gossip) -> Option<Gossip> {
        Some(gossip)
    }

    /// A liar does something of its own.
    pub(crate) fn mischief(&mut self, _host: usize) {}

    /// A link of an outsider is open.
    pub(crate) fn outsider_meets(&mut self, _index: usize, _other: usize) {}

    /// An outsider hears something.
    pub(crate) fn outsider_hears(&mut self, _index: usize, _from: usize, _bytes: &[u8]) {}
}
