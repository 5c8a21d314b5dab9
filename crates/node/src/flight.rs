//! The batches of one machine on their way to the disk, and what waits for them to arrive.
//!
//! A step gathers its writes in a [`Work`], which sees them at once. [`Flight::depart`] sends them off as one
//! batch; [`Flight::land`] lets go of the effects that were held back until the batch was durable. Whatever
//! others can see is such an effect, so nothing is ever told that a crash could take back.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::entropy::Entropy;
use crate::step::{Effect, Time};
use crate::store::{Batch, Keyspace, Pair, Snapshot};
use crate::view::{Overlay, Pending, View};

/// The batches of a machine in flight.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    overlay: Overlay,
    last_seq: u64,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    seq: u64,
    keys: Vec<(Keyspace, Arc<[u8]>)>,
    after: Vec<Effect>,
}

/// One step of a machine: what it sees, writes and wants done.
pub(crate) struct Work<'a> {
    pub(crate) time: Time,
    pub(crate) entropy: &'a mut Entropy,
    pub(crate) view: View,
    seq: u64,
    batch: Batch,
    /// Those of the batch.
    keys: Vec<(Keyspace, Arc<[u8]>)>,
    now: Vec<Effect>,
    after: Vec<Effect>,
}

/// What is left of a step: a batch to commit, if there is one, and effects to carry out at once.
#[derive(Debug, Default)]
pub(crate) struct Departure {
    pub(crate) batch: Option<(u64, Batch)>,
    pub(crate) effects: Vec<Effect>,
}

impl Flight {
    /// Begins a step over `snapshot`.
    pub(crate) fn begin<'a>(&self, snapshot: &Arc<dyn Snapshot>, time: Time, entropy: &'a mut Entropy) -> Work<'a> {
        Work {
            time,
            entropy,
            view: View { snapshot: Arc::clone(snapshot), overlay: self.overlay.clone() },
            seq: self.last_seq + 1,
            batch: Batch::default(),
            keys: Vec::new(),
            now: Vec::new(),
            after: Vec::new(),
        }
    }

    /// The view with all that is in flight.
    pub(crate) fn view(&self, snapshot: &Arc<dyn Snapshot>) -> View {
        View { snapshot: Arc::clone(snapshot), overlay: self.overlay.clone() }
    }

    /// Whether all that the machine wrote is durable.
    pub(crate) fn has_landed(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The newest batch that is on its way.
    pub(crate) fn newest(&self) -> Option<u64> {
        self.waiting.back().map(|waiting| waiting.seq)
    }

    /// Ends a step.
    pub(crate) fn depart(&mut self, work: Work<'_>) -> Departure {
        let Work { view, seq, batch, keys, mut now, after, .. } = work;
        if batch.is_empty() {
            match self.waiting.back_mut() {
                Some(newest) => newest.after.extend(after),
                None => now.extend(after),
            }
            return Departure { batch: None, effects: now };
        }
        self.overlay = view.overlay;
        self.last_seq = seq;
        self.waiting.push_back(Waiting { seq, keys, after });
        Departure { batch: Some((seq, batch)), effects: now }
    }

    /// All batches up to `seq` are durable, and in every snapshot from now on.
    pub(crate) fn land(&mut self, seq: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(landed) = self.waiting.pop_front_if(|waiting| waiting.seq <= seq) {
            for (keyspace, key) in landed.keys {
                self.overlay.land(keyspace, &key, landed.seq);
            }
            effects.extend(landed.after);
        }
        effects
    }
}

impl Work<'_> {
    /// Writes.
    pub(crate) fn put(&mut self, keyspace: Keyspace, key: Vec<u8>, value: Vec<u8>) {
        self.write(keyspace, &key, Some(Arc::from(value.as_slice())));
        self.batch.put(keyspace, key, value);
    }

    /// Removes.
    pub(crate) fn remove(&mut self, keyspace: Keyspace, key: Vec<u8>) {
        self.write(keyspace, &key, None);
        self.batch.remove(keyspace, key);
    }

    fn write(&mut self, keyspace: Keyspace, key: &[u8], value: Option<Arc<[u8]>>) {
        let key: Arc<[u8]> = Arc::from(key);
        self.view.overlay.insert(keyspace, Arc::clone(&key), Pending { seq: self.seq, value });
        self.keys.push((keyspace, key));
    }

    /// Reads in order, own writes included.
    pub(crate) fn scan(&self, keyspace: Keyspace, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Pair> {
        self.view.scan(keyspace, prefix, after, limit)
    }

    /// To be done at once: nothing that others can see.
    pub(crate) fn now(&mut self, effect: Effect) {
        self.now.push(effect);
    }

    /// To be done once all that was written so far is durable.
    pub(crate) fn after(&mut self, effect: Effect) {
        self.after.push(effect);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store as _;
    use crate::store::memory::MemoryStore;
    use proptest::prelude::*;

    fn effect(n: u64) -> Effect {
        Effect::Wake { at_ms: n }
    }

    #[test]
    fn effects_leave_in_order_and_only_when_their_batch_is_durable() {
        let snapshot = MemoryStore::default().snapshot();
        let mut entropy = Entropy::from_seed(&[0; 32]);
        let mut flight = Flight::default();
        for n in 1..=2 {
            let mut work = flight.begin(&snapshot, Time { wall_ms: 0 }, &mut entropy);
            work.put(Keyspace::Meta, vec![1], vec![1]);
            work.after(effect(n));
            assert!(flight.depart(work).effects.is_empty());
        }
        let mut work = flight.begin(&snapshot, Time { wall_ms: 0 }, &mut entropy);
        work.after(effect(3));
        assert!(flight.depart(work).effects.is_empty(), "a step without writes may have read what is in flight");
        assert_eq!(flight.land(1), [effect(1)]);
        assert_eq!(flight.land(2), [effect(2), effect(3)]);
        assert_eq!(flight.overlay.len(), 0);
    }

    proptest! {
        #[test]
        fn a_view_shows_what_a_store_with_the_writes_would_show(
            stored in proptest::collection::btree_map(proptest::collection::vec(0u8..3, 1..4), 0u8..9, 0..20),
            written in proptest::collection::vec((proptest::collection::vec(0u8..3, 1..4), proptest::option::of(0u8..9)), 0..20),
            prefix in proptest::collection::vec(0u8..3, 0..3),
            after in proptest::option::of(proptest::collection::vec(0u8..3, 0..4)),
            limit in 1usize..6,
        ) {
            let (base, whole) = (MemoryStore::default(), MemoryStore::default());
            let mut batch = Batch::default();
            for (key, value) in stored {
                batch.put(Keyspace::State, key, vec![value]);
            }
            base.commit(&[batch.clone()]).expect("memory");
            let snapshot = base.snapshot();
            let mut entropy = Entropy::from_seed(&[0; 32]);
            let flight = Flight::default();
            let mut work = flight.begin(&snapshot, Time { wall_ms: 0 }, &mut entropy);
            for (key, value) in written {
                match value {
                    Some(value) => work.put(Keyspace::State, key, vec![value]),
                    None => work.remove(Keyspace::State, key),
                }
            }
            whole.commit(&[batch, work.batch.clone()]).expect("memory");
            let whole = whole.snapshot();
            prop_assert_eq!(
                work.scan(Keyspace::State, &prefix, after.as_deref(), limit),
                whole.scan(Keyspace::State, &prefix, after.as_deref(), limit)
            );
            prop_assert_eq!(work.view.get(Keyspace::State, &prefix), whole.get(Keyspace::State, &prefix));
        }
    }
}
