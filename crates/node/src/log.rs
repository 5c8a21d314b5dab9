//! One log in the store: its graph, its entries, and the entries that wait for others.

use std::collections::BTreeSet;

use mesto_governance::KeyId;
use mesto_oplog::dag::{Admission, ChainEntry, Dag, DagRead, Inserted, Refusal};
use mesto_oplog::entry::Kind;
use mesto_oplog::missing::{self, Assume};
use mesto_oplog::parking::{Limits, Parked, Parking};
use mesto_oplog::placement::{ChainIx, Placement};
use mesto_oplog::vector::AuthorVector;
use mesto_oplog::{EntryId, LogId, Signed, Verified};
use mesto_sync::Peer;
use mesto_sync::message::{PAGE_BYTES_MAX, PAGE_ENTRIES_MAX};

use crate::flight::Work;
use crate::layout::{self, LogNumber};
use crate::store::Keyspace;
use crate::view::View;

/// How far ahead of our clock an entry may be before it has to wait: 5 minutes, in milliseconds.
pub(crate) const FUTURE_MS_MAX: u64 = 5 * 60 * 1000;

/// What an entry can wait for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Need {
    /// An entry of the same log.
    Parent(EntryId),
    /// A governance op.
    Op(EntryId),
    /// An epoch key.
    Key(KeyId),
    /// Our clock, to reach these milliseconds since 1970.
    Clock(u64),
}

/// A log.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) dag: Dag,
    number: LogNumber,
    parking: Parking<Need, (Peer, Verified), Peer>,
}

/// The log's records in a view.
pub(crate) struct LogView<'a> {
    view: &'a View,
    log: LogNumber,
}

impl Log {
    /// Reads the log back; an empty one if there is none.
    pub(crate) fn open(view: &View, log: LogId, number: LogNumber, kind: Kind) -> Result<Self, String> {
        let dag = match view.get(Keyspace::Log, &layout::frontier(number)) {
            Some(bytes) => Dag::restore(&bytes).map_err(|e| format!("frontier of log {log}: {e}"))?,
            None => Dag::new(log, kind),
        };
        if dag.log() != log {
            return Err(format!("the store has log {} where log {log} should be", dag.log()));
        }
        Ok(Self { dag, number, parking: Parking::new(Limits::default()) })
    }

    /// A log of which nothing is here.
    pub(crate) fn empty(log: LogId, number: LogNumber, kind: Kind) -> Self {
        Self { dag: Dag::new(log, kind), number, parking: Parking::new(Limits::default()) }
    }

    pub(crate) fn id(&self) -> LogId {
        self.dag.log()
    }

    pub(crate) fn number(&self) -> LogNumber {
        self.number
    }

    /// The log's records in `view`.
    pub(crate) fn read<'a>(&self, view: &'a View) -> LogView<'a> {
        LogView { view, log: self.number }
    }

    /// Writes the log's number: with the first batch of its machine, so that nothing is kept under a number that
    /// another log could be given after a crash.
    pub(crate) fn save_number(&self, work: &mut Work<'_>) {
        work.put(Keyspace::Meta, layout::number(&self.id()), self.number.bytes().to_vec());
    }

    pub(crate) fn heads(&self) -> Vec<EntryId> {
        self.dag.heads().collect()
    }

    pub(crate) fn holds(&self, view: &View, id: &EntryId) -> bool {
        self.dag.is_head(id) || self.read(view).placement(id).is_some()
    }

    pub(crate) fn check(&self, work: &Work<'_>, entry: &Verified) -> Result<Admission, Refusal> {
        self.dag.check(&self.read(&work.view), entry)
    }

    /// Inserts an entry that [`Log::check`] found ready, and writes its records. The frontier is written by
    /// [`Log::save`], once for all entries of a step.
    pub(crate) fn insert(&mut self, work: &mut Work<'_>, entry: &Verified, admission: Admission) -> Option<Inserted> {
        let Admission::Ready(ready) = admission else { return None };
        let log = self.number;
        let inserted = self.dag.insert(*ready).ok()?;
        let placement = &inserted.placement;
        let id = entry.id();
        self.forget_waiting(work, &id);
        work.put(Keyspace::Entry, layout::entry(log, placement.arrival), entry.bytes().to_vec());
        work.put(Keyspace::Log, layout::placement(log, &id), placement.encode());
        work.put(Keyspace::Log, layout::arrival(log, placement.arrival), id.as_bytes().to_vec());
        let place = [&placement.arrival.to_be_bytes()[..], id.as_bytes()].concat();
        work.put(Keyspace::Log, layout::chain_place(log, placement.chain.0, placement.seq), place);
        if let Some(proof) = &inserted.equivocation {
            work.put(Keyspace::Log, layout::equivocation(log, &id), proof.encode());
        }
        Some(inserted)
    }

    /// Writes the frontier.
    pub(crate) fn save(&self, work: &mut Work<'_>) {
        work.put(Keyspace::Log, layout::frontier(self.number), self.dag.encode());
    }

    /// Sets an entry aside until all of `needs` are there. Durable, so that what a peer sent us once is not
    /// lost with us. Returns how many others had to go for want of room.
    pub(crate) fn park(&mut self, work: &mut Work<'_>, peer: Peer, entry: Verified, needs: Vec<Need>) -> u64 {
        let log = self.number;
        let (id, bytes) = (entry.id(), entry.bytes().to_vec());
        match self.parking.park(id, peer, bytes.len(), needs, (peer, entry)) {
            Parked::Waiting { evicted } => {
                work.put(Keyspace::Log, layout::waiting(log, &id), bytes);
                for (_, gone) in &evicted {
                    work.remove(Keyspace::Log, layout::waiting(log, &gone.id()));
                }
                evicted.len() as u64
            }
            Parked::Already(_) | Parked::NothingAwaited(_) => 0,
        }
    }

    /// Something has arrived: gives the entries that waited for it and for nothing else.
    pub(crate) fn arrived(&mut self, work: &mut Work<'_>, need: Need) -> Vec<(Peer, Verified)> {
        let released = self.parking.arrived(need);
        self.unpark(work, &released);
        released
    }

    /// Something will never arrive: drops the entries that waited for it. They can never be accepted.
    pub(crate) fn abandon(&mut self, work: &mut Work<'_>, need: Need) -> Vec<(Peer, Verified)> {
        let dropped = self.parking.abandoned(need);
        self.unpark(work, &dropped);
        dropped
    }

    /// An entry was judged that came again, by another way, while it was set aside: it waits for nothing any more.
    pub(crate) fn forget_waiting(&mut self, work: &mut Work<'_>, id: &EntryId) {
        if self.parking.remove(id).is_some() {
            work.remove(Keyspace::Log, layout::waiting(self.number, id));
        }
    }

    fn unpark(&self, work: &mut Work<'_>, entries: &[(Peer, Verified)]) {
        for (_, entry) in entries {
            work.remove(Keyspace::Log, layout::waiting(self.number, &entry.id()));
        }
    }

    /// Entries that wait for the clock to come near their stamps, and whose time is now.
    pub(crate) fn due(&mut self, work: &mut Work<'_>, now_ms: u64) -> Vec<(Peer, Verified)> {
        let due: Vec<_> =
            self.parking.missing().filter(|need| matches!(need, Need::Clock(at) if *at <= now_ms)).collect();
        due.into_iter().flat_map(|need| self.arrived(work, need)).collect()
    }

    /// Takes out of the store all that was set aside: at a start, or when nobody told the log for a while what arrived.
    pub(crate) fn take_waiting(&mut self, work: &mut Work<'_>) -> Vec<Verified> {
        self.parking = Parking::new(Limits::default());
        let prefix = layout::waiting_all(self.number);
        let mut entries = Vec::new();
        let mut cursor: Option<Vec<u8>> = None;
        loop {
            let page = work.scan(Keyspace::Log, &prefix, cursor.as_deref(), 256);
            let Some((last, _)) = page.last() else { return entries };
            cursor = Some(last.clone());
            for (key, bytes) in page {
                entries.extend(Signed::decode(&bytes).ok().map(Signed::trust_own_store));
                work.remove(Keyspace::Log, key);
            }
        }
    }

    /// Whether somebody whose heads these are has all that is accepted here. Told from the entries that are here, also from
    /// those that wait: if nothing is known of a head, nothing is concluded from it.
    pub(crate) fn is_within(&self, view: &View, heads: &[EntryId]) -> bool {
        let read = self.read(view);
        let mut open = heads.to_vec();
        let mut seen = BTreeSet::new();
        let mut accepted = Vec::new();
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            match read.placement(&id) {
                Some(placement) => accepted.push((id, placement)),
                None => open.extend(read.waiting(&id).into_iter().flat_map(|entry| entry.header().parents.clone())),
            }
        }
        self.dag.heads().all(|head| {
            let Some(of) = read.placement(&head) else { return false };
            accepted.iter().any(|(id, placement)| *id == head || placement.past.covers(&of))
        })
    }

    /// What entries wait for that somebody else may have.
    pub(crate) fn needs(&self) -> Vec<Need> {
        self.parking.missing().collect()
    }

    pub(crate) fn parked(&self) -> u64 {
        self.parking.len() as u64
    }

    /// The entries that a peer with `theirs` lacks: one page from `cursor` on, in causal order, and the cursor of
    /// the next.
    pub(crate) fn page(
        &self,
        view: &View,
        theirs: &AuthorVector,
        cursor: u64,
        careful: bool,
    ) -> (Vec<Vec<u8>>, Option<u64>) {
        let read = self.read(view);
        let assume = if careful { Assume::Forks } else { Assume::NoForks };
        let page = missing::missing(&self.dag, &read, theirs, assume, cursor, PAGE_ENTRIES_MAX);
        let mut bytes_total = 0;
        let mut entries = Vec::new();
        for &(arrival, _) in &page.entries {
            if bytes_total >= PAGE_BYTES_MAX {
                // Cut by size: the next page begins with the first entry that is left out.
                return (entries, Some(arrival));
            }
            let Some(bytes) = read.bytes(arrival) else { break };
            bytes_total += bytes.len();
            entries.push(bytes);
        }
        (entries, page.next)
    }

    /// Whether a log with `theirs` holds something that this one lacks.
    pub(crate) fn is_behind(&self, view: &View, theirs: &AuthorVector) -> bool {
        missing::ahead_of(&self.dag, &self.read(view), theirs)
    }

    /// The last entries to arrive, newest first.
    pub(crate) fn newest(&self, view: &View, limit: usize) -> Vec<Verified> {
        let read = self.read(view);
        let from = self.dag.count().saturating_sub(limit as u64);
        (from..self.dag.count()).rev().filter_map(|arrival| read.entry_at(arrival)).collect()
    }

    /// All entries in the order of arrival.
    pub(crate) fn replay(
        &self,
        view: &View,
        mut each: impl FnMut(Verified) -> Result<(), String>,
    ) -> Result<(), String> {
        let read = self.read(view);
        for arrival in 0..self.dag.count() {
            let entry = read.entry_at(arrival);
            let entry = entry.ok_or_else(|| format!("log {} breaks off at entry {arrival}", self.id()))?;
            each(entry)?;
        }
        Ok(())
    }
}

impl LogView<'_> {
    /// The entry that came as number `arrival`, as it was signed.
    fn bytes(&self, arrival: u64) -> Option<Vec<u8>> {
        self.view.get(Keyspace::Entry, &layout::entry(self.log, arrival))
    }

    fn waiting(&self, id: &EntryId) -> Option<Verified> {
        let bytes = self.view.get(Keyspace::Log, &layout::waiting(self.log, id))?;
        Signed::decode(&bytes).ok().map(Signed::trust_own_store)
    }

    fn entry_at(&self, arrival: u64) -> Option<Verified> {
        Signed::decode(&self.bytes(arrival)?).ok().map(Signed::trust_own_store)
    }
}

impl DagRead for LogView<'_> {
    fn placement(&self, id: &EntryId) -> Option<Placement> {
        let bytes = self.view.get(Keyspace::Log, &layout::placement(self.log, id))?;
        Placement::decode(&bytes).ok()
    }

    fn entry(&self, id: &EntryId) -> Option<Verified> {
        self.entry_at(self.placement(id)?.arrival)
    }

    fn by_arrival(&self, from: u64, limit: usize) -> Vec<EntryId> {
        let prefix = layout::arrivals(self.log);
        let after = from.checked_sub(1).map(|before| layout::arrival(self.log, before));
        let pairs = self.view.scan(Keyspace::Log, &prefix, after.as_deref(), limit);
        pairs.iter().filter_map(|(_, id)| Some(EntryId::from_bytes(id.as_slice().try_into().ok()?))).collect()
    }

    fn chain_entries(&self, chain: ChainIx, from_seq: u64, limit: usize) -> Vec<ChainEntry> {
        let prefix = layout::chain(self.log, chain.0);
        let after = from_seq.checked_sub(1).map(|before| layout::chain_place(self.log, chain.0, before));
        let pairs = self.view.scan(Keyspace::Log, &prefix, after.as_deref(), limit);
        pairs
            .iter()
            .filter_map(|(key, place)| {
                let seq = u64::from_be_bytes(key.last_chunk().copied()?);
                let (arrival, id) = place.split_first_chunk()?;
                let id = EntryId::from_bytes(id.try_into().ok()?);
                Some(ChainEntry { seq, arrival: u64::from_be_bytes(*arrival), id })
            })
            .collect()
    }
}
