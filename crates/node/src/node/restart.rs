//! What a node reads back from its store at start, and makes up for.

use std::collections::BTreeMap;

use mesto_oplog::LogId;

use super::{LogOwner, Node, Timer, Turn};
use crate::layout::{self, LogNumber};
use crate::step::Effect;
use crate::store::Keyspace;
use crate::view::View;

/// Whether the store is new. One of another version is refused: it would be read wrongly.
pub(super) fn check_version(view: &View) -> Result<bool, String> {
    let is_new = view.scan(Keyspace::Meta, &[], None, 1).is_empty();
    match view.get(Keyspace::Meta, layout::VERSION_KEY).as_deref() {
        Some([layout::VERSION]) => Ok(false),
        None if is_new => Ok(true),
        // The first version did not say which it was.
        None => Err(unknown(1)),
        Some(bytes) => Err(unknown(bytes.first().copied().unwrap_or_default())),
    }
}

fn unknown(version: u8) -> String {
    format!("its version is {version}, and this build reads version {}", layout::VERSION)
}

/// The numbers of all logs that are or were ours.
pub(super) fn numbers(view: &View) -> Result<BTreeMap<LogId, LogNumber>, String> {
    let numbers = records::<[u8; 4]>(view, layout::NUMBERS)?.into_iter();
    Ok(numbers.map(|(id, number)| (LogId::from_bytes(id), LogNumber(u32::from_be_bytes(number)))).collect())
}

/// The records of one sort in the meta keyspace, each with the id that it is kept under.
pub(super) fn records<T: borsh::BorshDeserialize>(view: &View, prefix: &[u8]) -> Result<Vec<([u8; 32], T)>, String> {
    view.scan(Keyspace::Meta, prefix, None, usize::MAX)
        .into_iter()
        .map(|(key, bytes)| {
            let id = key.get(prefix.len()..).and_then(|id| <[u8; 32]>::try_from(id).ok());
            let record = T::try_from_slice(&bytes).map_err(|e| e.to_string());
            match (id, record) {
                (Some(id), Ok(record)) => Ok((id, record)),
                (None, _) => Err("a key of the meta keyspace is malformed".to_owned()),
                (_, Err(error)) => Err(format!("a record of the meta keyspace is malformed: {error}")),
            }
        })
        .collect()
}

impl Node {
    /// What a start or restart sets in motion.
    pub(super) fn begin(&mut self, turn: &mut Turn<'_>) {
        self.forget_unregistered(turn);
        self.forget_unnamed(turn);
        for log in self.logs.keys().copied().collect::<Vec<_>>() {
            turn.effect(Effect::Subscribe(self.topic(&log)));
            self.judge_at_start(turn, log);
            self.readmit_waiting(turn, log);
            self.look_for_missing(turn, log, self.peer);
            self.schedule_heartbeat(turn, log, true);
        }
        for (peer, record) in self.known_peers.clone() {
            turn.effect(Effect::KeepConnected(peer, record.addresses));
        }
        for group in self.joins.keys().copied().collect::<Vec<_>>() {
            // A crash can have come between what undid it and the record of that.
            self.join_again(turn, group);
            self.continue_join(turn, group);
        }
        for group in self.groups.keys().copied().collect::<Vec<_>>() {
            self.timers.set(Timer::Keys(group), turn.time.wall_ms);
            self.expect_merge(turn, group);
            self.follow_children(turn, group);
            // A crash can have come between the op that shut us out and what it means for the contexts.
            self.renew_places(turn, group);
        }
        self.want_bundles(turn);
        self.rejoin_contexts(turn);
        self.resume_inits(turn);
    }

    /// A crash can have come between what governance decided and what a context made of it.
    pub(super) fn judge_at_start(&mut self, turn: &mut Turn<'_>, log: LogId) {
        if let Some(LogOwner::Context(context)) = self.logs.get(&log).copied() {
            self.with_context(turn, &context, |context, work| context.rejudge(work));
        }
    }

    /// Entries that waited when the node stopped are judged again.
    pub(super) fn readmit_waiting(&mut self, turn: &mut Turn<'_>, log: LogId) {
        let ours = self.peer;
        match self.logs.get(&log).copied() {
            Some(LogOwner::Group(group)) => {
                self.with_group(turn, &group, |group, work| {
                    let waiting = group.log.take_waiting(work);
                    group.ingest(work, ours, waiting);
                });
            }
            Some(LogOwner::Context(context)) => {
                self.with_context(turn, &context, |context, work| context.readmit(work, ours));
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use mesto_sync::Peer;

    use super::*;
    use crate::store::memory::MemoryStore;
    use crate::store::{Batch, Store as _};
    use crate::{Entropy, Node, Time};

    fn open(store: &MemoryStore) -> Result<Vec<Batch>, String> {
        let mut entropy = Entropy::from_seed(&[0; 32]);
        let opened =
            Node::open(Peer::from_bytes([1; 32]), vec![], Time { wall_ms: 1 }, &mut entropy, &store.snapshot());
        opened.map(|(_, step)| step.batches.into_iter().map(|(_, _, batch)| batch).collect())
    }

    #[test]
    fn a_new_store_gets_the_version_and_opens_again() {
        let store = MemoryStore::default();
        store.commit(&open(&store).expect("new")).expect("memory");
        assert_eq!(store.snapshot().get(Keyspace::Meta, layout::VERSION_KEY), Some(vec![layout::VERSION]));
        assert!(open(&store).expect("ours").is_empty(), "nothing is left to write");
    }

    #[test]
    fn a_store_of_another_version_is_refused_by_its_version() {
        for (key, value, version) in [(b"p".as_slice(), 0, 1), (layout::VERSION_KEY, 9, 9)] {
            let store = MemoryStore::default();
            let mut batch = Batch::default();
            batch.put(Keyspace::Meta, key, [value]);
            store.commit(&[batch]).expect("memory");
            let refused = open(&store).expect_err("not ours");
            assert_eq!(refused, format!("its version is {version}, and this build reads version {}", layout::VERSION));
        }
    }
}
