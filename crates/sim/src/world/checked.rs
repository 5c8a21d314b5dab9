//! What was checked of bytes: once for all hosts, for it is a function of the bytes.

use std::collections::BTreeMap;

use mesto_node::verify::{self, CheckError, CheckedGossip, CheckedMessage};
use mesto_oplog::{Signed, Verified};

/// So many outcomes are kept of each kind: about what is on its way at one time.
const CHECKED_MAX: usize = 4096;

/// By the hash of the bytes.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    gossip: BTreeMap<[u8; 32], Option<CheckedGossip>>,
    entries: BTreeMap<[u8; 32], Verified>,
}

impl Checked {
    /// Checks gossip.
    pub(crate) fn gossip(&mut self, bytes: &[u8]) -> Option<CheckedGossip> {
        if self.gossip.len() >= CHECKED_MAX {
            self.gossip.clear();
        }
        let hash = *blake3::hash(bytes).as_bytes();
        self.gossip.entry(hash).or_insert_with(|| verify::gossip(bytes).ok()).clone()
    }

    /// Checks a message of a lane.
    pub(crate) fn message(&mut self, bytes: &[u8]) -> Result<CheckedMessage, CheckError> {
        verify::message_by(bytes, |page| page.iter().map(|bytes| self.entry(bytes)).collect())
    }

    fn entry(&mut self, bytes: &[u8]) -> Result<Verified, CheckError> {
        if self.entries.len() >= CHECKED_MAX {
            self.entries.clear();
        }
        let hash = *blake3::hash(bytes).as_bytes();
        if let Some(known) = self.entries.get(&hash) {
            return Ok(known.clone());
        }
        let entry = Signed::decode(bytes)?.verify()?;
        self.entries.insert(hash, entry.clone());
        Ok(entry)
    }
}
