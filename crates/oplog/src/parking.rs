//! The car park for what came too early: entries that wait for something that is not here yet.
//!
//! Generic over what is waited for (a parent, a governance op, a key), so that a node has one for each.
//! Nothing disappears silently: whatever is put out for want of room is returned to the caller, who counts it and
//! fetches it again when its time comes.

use std::collections::{BTreeMap, BTreeSet};

use crate::entry::PARENTS_MAX;
use crate::id::{EntryId, PublicKey};

/// Entries parked for one log: a burst of some seconds at the rate at which we can apply.
pub const ITEMS_MAX: usize = 10_000;
/// Entries parked for one log that came from one peer: a tenth, so that ten peers fit side by side.
pub const ITEMS_PER_PEER_MAX: usize = 1_000;
/// Bytes parked for one log: four of the largest entries.
pub const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Things that one entry is recorded as waiting for: its parents. One that waits for more is released when these
/// have come, looked at again and parked again.
pub const AWAITED_MAX: usize = PARENTS_MAX;

/// How much may be parked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Entries in all.
    pub items_max: usize,
    /// Entries that came from one peer.
    pub items_per_peer_max: usize,
    /// Bytes in all.
    pub bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { items_max: ITEMS_MAX, items_per_peer_max: ITEMS_PER_PEER_MAX, bytes_max: BYTES_MAX }
    }
}

/// Values of type `T`, each known by an entry id, that came from peers `P` and wait for one or more `K`.
#[derive(Clone, Debug)]
pub struct Parking<K, T, P = PublicKey> {
    limits: Limits,
    next_ticket: u64,
    /// By ticket, so in the order in which they came.
    items: BTreeMap<u64, Item<K, T, P>>,
    tickets: BTreeMap<EntryId, u64>,
    waiting: BTreeMap<K, BTreeSet<u64>>,
    shares: BTreeMap<P, Share>,
    /// The same shares by weight, so that the heaviest is found at once.
    by_items: BTreeSet<(usize, P)>,
    by_bytes: BTreeSet<(usize, P)>,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Item<K, T, P> {
    id: EntryId,
    peer: P,
    len: usize,
    awaited: BTreeSet<K>,
    value: T,
}

/// What one peer has parked.
#[derive(Clone, Debug, Default)]
struct Share {
    tickets: BTreeSet<u64>,
    bytes: usize,
}

/// What became of a value that was to be parked.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum Parked<T> {
    /// It waits. To make room these were put out, oldest first; it can be among them if it is too large.
    Waiting {
        /// What was put out.
        evicted: Vec<T>,
    },
    /// A value of this id waits already; here is the second one.
    Already(T),
    /// It waits for nothing; here it is.
    NothingAwaited(T),
}

impl<K: Ord + Copy, T, P: Ord + Copy> Parking<K, T, P> {
    /// An empty one.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            next_ticket: 0,
            items: BTreeMap::new(),
            tickets: BTreeMap::new(),
            waiting: BTreeMap::new(),
            shares: BTreeMap::new(),
            by_items: BTreeSet::new(),
            by_bytes: BTreeSet::new(),
            bytes: 0,
        }
    }

    /// Parks a value of `len` bytes that came from `peer` until all of `awaited` have arrived.
    ///
    /// A peer with its share full makes room by its own oldest; a full car park by the oldest of the peer that
    /// takes up the most.
    pub fn park(
        &mut self,
        id: EntryId,
        peer: P,
        len: usize,
        awaited: impl IntoIterator<Item = K>,
        value: T,
    ) -> Parked<T> {
        if self.tickets.contains_key(&id) {
            return Parked::Already(value);
        }
        let awaited: BTreeSet<K> = awaited.into_iter().take(AWAITED_MAX).collect();
        if awaited.is_empty() {
            return Parked::NothingAwaited(value);
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        for key in &awaited {
            self.waiting.entry(*key).or_default().insert(ticket);
        }
        self.tickets.insert(id, ticket);
        self.change_share(peer, |share| {
            share.tickets.insert(ticket);
            share.bytes += len;
        });
        self.bytes += len;
        self.items.insert(ticket, Item { id, peer, len, awaited, value });
        Parked::Waiting { evicted: self.make_room(peer) }
    }

    /// Something has arrived: takes out, in the order in which they came, the values that waited for nothing else.
    pub fn arrived(&mut self, key: K) -> Vec<T> {
        let mut free = Vec::new();
        for ticket in self.waiting.remove(&key).unwrap_or_default() {
            if let Some(item) = self.items.get_mut(&ticket) {
                item.awaited.remove(&key);
                if item.awaited.is_empty() {
                    free.push(ticket);
                }
            }
        }
        free.into_iter().filter_map(|ticket| self.take(ticket)).collect()
    }

    /// Something will never arrive: takes out all that waits for it, in the order in which they came.
    pub fn abandoned(&mut self, key: K) -> Vec<T> {
        let tickets = self.waiting.get(&key).cloned().unwrap_or_default();
        tickets.into_iter().filter_map(|ticket| self.take(ticket)).collect()
    }

    /// Takes out one value by its id.
    pub fn remove(&mut self, id: &EntryId) -> Option<T> {
        self.tickets.get(id).copied().and_then(|ticket| self.take(ticket))
    }

    /// All that is waited for, ascending.
    pub fn missing(&self) -> impl Iterator<Item = K> + '_ {
        self.waiting.keys().copied()
    }

    /// Whether something waits for `key`.
    #[must_use]
    pub fn awaits(&self, key: &K) -> bool {
        self.waiting.contains_key(key)
    }

    /// Whether a value of this id is parked.
    #[must_use]
    pub fn contains(&self, id: &EntryId) -> bool {
        self.tickets.contains_key(id)
    }

    /// How many values are parked.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether nothing is parked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many bytes are parked.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn make_room(&mut self, newest: P) -> Vec<T> {
        let mut evicted = Vec::new();
        while let Some(peer) = self.over_limit(newest) {
            let oldest = self.shares.get(&peer).and_then(|share| share.tickets.first().copied());
            let Some(value) = oldest.and_then(|ticket| self.take(ticket)) else { break };
            evicted.push(value);
        }
        evicted
    }

    /// The peer that has to give way, if one has to.
    fn over_limit(&self, newest: P) -> Option<P> {
        let has_too_many = |share: &Share| share.tickets.len() > self.limits.items_per_peer_max;
        if self.shares.get(&newest).is_some_and(has_too_many) {
            Some(newest)
        } else if self.items.len() > self.limits.items_max {
            self.by_items.last().map(|&(_, peer)| peer)
        } else if self.bytes > self.limits.bytes_max {
            self.by_bytes.last().map(|&(_, peer)| peer)
        } else {
            None
        }
    }

    fn take(&mut self, ticket: u64) -> Option<T> {
        let Item { id, peer, len, awaited, value } = self.items.remove(&ticket)?;
        self.tickets.remove(&id);
        for key in awaited {
            if let Some(waiting) = self.waiting.get_mut(&key) {
                waiting.remove(&ticket);
                if waiting.is_empty() {
                    self.waiting.remove(&key);
                }
            }
        }
        self.change_share(peer, |share| {
            share.tickets.remove(&ticket);
            share.bytes -= len;
        });
        self.bytes -= len;
        Some(value)
    }

    fn change_share(&mut self, peer: P, change: impl FnOnce(&mut Share)) {
        let share = self.shares.entry(peer).or_default();
        self.by_items.remove(&(share.tickets.len(), peer));
        self.by_bytes.remove(&(share.bytes, peer));
        change(share);
        if share.tickets.is_empty() {
            self.shares.remove(&peer);
        } else {
            self.by_items.insert((share.tickets.len(), peer));
            self.by_bytes.insert((share.bytes, peer));
        }
    }
}

impl<T, P: Ord + Copy> Parking<EntryId, T, P> {
    /// What to ask others for: what is waited for and not itself parked, ascending.
    pub fn to_fetch(&self) -> impl Iterator<Item = EntryId> + '_ {
        self.waiting.keys().copied().filter(|id| !self.tickets.contains_key(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Small = Parking<EntryId, u8, u8>;

    fn id(byte: u8) -> EntryId {
        EntryId::from_bytes([byte; 32])
    }

    fn small(items_max: usize, items_per_peer_max: usize, bytes_max: usize) -> Small {
        Parking::new(Limits { items_max, items_per_peer_max, bytes_max })
    }

    fn evicted(parked: Parked<u8>) -> Vec<u8> {
        match parked {
            Parked::Waiting { evicted } => evicted,
            Parked::Already(_) | Parked::NothingAwaited(_) => panic!("not parked"),
        }
    }

    #[test]
    fn a_value_is_released_once_and_only_when_all_that_it_waits_for_has_come() {
        let mut parking = small(9, 9, 99);
        assert!(evicted(parking.park(id(1), 0, 1, [id(7), id(8)], 1)).is_empty());
        assert_eq!(parking.park(id(1), 0, 1, [id(7)], 1), Parked::Already(1));
        assert_eq!(parking.park(id(2), 0, 1, [], 2), Parked::NothingAwaited(2));
        assert!(parking.arrived(id(7)).is_empty());
        assert!(parking.arrived(id(7)).is_empty());
        assert_eq!(parking.arrived(id(8)), [1]);
        assert!(parking.arrived(id(8)).is_empty());
        assert!(parking.is_empty() && parking.bytes() == 0);
    }

    #[test]
    fn what_is_itself_parked_is_not_fetched() {
        let mut parking = small(9, 9, 99);
        let _ = parking.park(id(2), 0, 1, [id(1)], 2);
        let _ = parking.park(id(3), 0, 1, [id(2)], 3);
        assert_eq!(parking.to_fetch().collect::<Vec<_>>(), [id(1)]);
        assert_eq!(parking.remove(&id(2)), Some(2));
        assert_eq!(parking.to_fetch().collect::<Vec<_>>(), [id(2)]);
    }

    #[test]
    fn a_flood_of_one_peer_puts_out_its_own() {
        let mut parking = small(6, 4, 1000);
        let _ = parking.park(id(100), 9, 1, [id(0)], 100);
        let mut out = Vec::new();
        for n in 1..=10 {
            out.extend(evicted(parking.park(id(n), 1, 1, [id(0)], n)));
        }
        assert_eq!(out, [1, 2, 3, 4, 5, 6], "the oldest of the flood");
        let _ = parking.park(id(101), 8, 1, [id(0)], 101);
        assert_eq!(evicted(parking.park(id(102), 7, 1, [id(0)], 102)), [7], "the fullest share gives way");
        assert_eq!(parking.arrived(id(0)), [100, 8, 9, 10, 101, 102]);
    }

    #[test]
    fn bytes_are_taken_from_the_peer_that_holds_the_most() {
        let mut parking = small(100, 100, 10);
        let _ = parking.park(id(1), 1, 1, [id(0)], 1);
        let _ = parking.park(id(2), 1, 1, [id(0)], 2);
        let _ = parking.park(id(3), 2, 8, [id(0)], 3);
        assert_eq!(evicted(parking.park(id(4), 3, 5, [id(0)], 4)), [3]);
        assert_eq!(evicted(parking.park(id(5), 4, 11, [id(0)], 5)), [5], "what can never fit is handed back");
    }

    #[test]
    fn what_waits_for_the_impossible_is_handed_back() {
        let mut parking = small(9, 9, 99);
        let _ = parking.park(id(1), 0, 1, [id(7), id(8)], 1);
        let _ = parking.park(id(2), 0, 1, [id(8)], 2);
        assert_eq!(parking.abandoned(id(7)), [1]);
        assert_eq!(parking.missing().collect::<Vec<_>>(), [id(8)]);
    }

    proptest! {
        #[test]
        fn the_bounds_hold_and_nothing_disappears(
            steps in prop::collection::vec(
                (any::<bool>(), 0u8..60, 0u8..5, 0usize..9, prop::collection::vec(0u8..20, 1..4)),
                0..200,
            ),
        ) {
            let limits = Limits { items_max: 12, items_per_peer_max: 5, bytes_max: 40 };
            let mut parking = Small::new(limits);
            let mut inside = BTreeMap::new();
            for (is_arrival, name, peer, len, awaited) in steps {
                if is_arrival {
                    let key = id(200 + awaited[0]);
                    for waits in inside.values_mut() {
                        let (_, waits): &mut (usize, BTreeSet<EntryId>) = waits;
                        waits.remove(&key);
                    }
                    let free: BTreeSet<u8> = parking.arrived(key).into_iter().collect();
                    let expected: BTreeSet<u8> =
                        inside.iter().filter(|(_, (_, waits))| waits.is_empty()).map(|(name, _)| *name).collect();
                    prop_assert_eq!(&free, &expected);
                    inside.retain(|name, _| !free.contains(name));
                } else {
                    let awaited: BTreeSet<_> = awaited.iter().map(|key| id(200 + key)).collect();
                    match parking.park(id(name), peer, len, awaited.iter().copied(), name) {
                        Parked::Waiting { evicted } => {
                            prop_assert!(inside.insert(name, (len, awaited)).is_none());
                            for out in evicted {
                                prop_assert!(inside.remove(&out).is_some());
                            }
                        }
                        Parked::Already(again) => prop_assert!(inside.contains_key(&again)),
                        Parked::NothingAwaited(_) => prop_assert!(false),
                    }
                }
                prop_assert_eq!(parking.len(), inside.len());
                prop_assert_eq!(parking.bytes(), inside.values().map(|(len, _)| len).sum::<usize>());
                prop_assert!(parking.len() <= limits.items_max && parking.bytes() <= limits.bytes_max);
                prop_assert!(parking.shares.values().all(|share| share.tickets.len() <= limits.items_per_peer_max));
                let waited: BTreeSet<_> = inside.values().flat_map(|(_, awaited)| awaited.iter().copied()).collect();
                prop_assert_eq!(parking.missing().collect::<BTreeSet<_>>(), waited);
            }
        }
    }
}
