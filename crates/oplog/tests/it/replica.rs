//! A node's part in keeping one log: offer, park, release.

use std::collections::{BTreeMap, BTreeSet};

use mesto_oplog::memory::{MemoryLog, Offered};
use mesto_oplog::parking::{Limits, Parked};
use mesto_oplog::{EntryId, Inserted, Kind, Parking, Refusal, Verified};

use crate::world;

pub(crate) struct Replica {
    pub(crate) log: MemoryLog,
    pub(crate) parking: Parking<EntryId, Verified, u8>,
    /// All that was inserted, in order.
    pub(crate) inserted: Vec<Inserted>,
    /// What broke a rule, and which.
    pub(crate) refused: BTreeMap<EntryId, Refusal>,
}

impl Replica {
    pub(crate) fn new() -> Self {
        Self {
            log: MemoryLog::new(world::log(), Kind::Delta),
            parking: Parking::new(Limits::default()),
            inserted: Vec::new(),
            refused: BTreeMap::new(),
        }
    }

    pub(crate) fn deliver(&mut self, entry: &Verified) {
        let mut due = vec![entry.clone()];
        while let Some(entry) = due.pop() {
            match self.log.offer(&entry) {
                Err(refusal) => {
                    self.refused.insert(entry.id(), refusal);
                }
                Ok(Offered::Duplicate) => {}
                Ok(Offered::Missing(missing)) => {
                    let parked = self.parking.park(entry.id(), 0, entry.bytes().len(), missing, entry);
                    assert!(!matches!(parked, Parked::NothingAwaited(_)));
                }
                Ok(Offered::Inserted(inserted)) => {
                    due.extend(self.parking.arrived(inserted.id));
                    self.inserted.push(*inserted);
                }
            }
        }
    }

    pub(crate) fn heads(&self) -> BTreeSet<EntryId> {
        self.log.dag.heads().collect()
    }

    pub(crate) fn ids(&self) -> BTreeSet<EntryId> {
        self.log.store.entries().map(Verified::id).collect()
    }
}
