//! Bundles that we lack, drawn from members chunk by chunk.
//!
//! The bytes are the shell's: it writes what comes, and when all is there it checks the hash and the signature.

use std::collections::{BTreeMap, BTreeSet};

use mesto_governance::{BlobId, GroupId};
use mesto_sync::message::BLOB_CHUNK_LEN_MAX;
use mesto_sync::{Message, Peer};

use super::{Node, Timer, Turn};
use crate::command::AppVersion;
use crate::flow::Flow;
use crate::layout;
use crate::record::AppRecord;
use crate::step::{Effect, Lane, Report};
use crate::store::Keyspace;

/// Largest bundle that is fetched, in bytes.
pub const BUNDLE_LEN_MAX: u64 = 64 * 1024 * 1024;
/// Chunks that are asked for ahead.
const CHUNKS_AHEAD: u64 = 8;
/// How long a chunk may take before another member is asked, in milliseconds.
const CHUNK_MS_MAX: u64 = 5_000;
/// How long until members who did not have a bundle are asked again, in milliseconds.
const AGAIN_MS: u64 = 1_000;

/// A bundle on its way.
#[derive(Debug, Default)]
pub(crate) struct BlobFetch {
    source: Option<Peer>,
    /// Members that had nothing, or nothing good.
    tried: BTreeSet<Peer>,
    size: Option<u64>,
    /// Bytes asked for, from the beginning.
    asked: u64,
    /// Bytes that came, from the beginning.
    came: u64,
    deadline_ms: u64,
}

impl BlobFetch {
    /// The clock was set back.
    pub(crate) fn set_back(&mut self, by_ms: u64) {
        self.deadline_ms = self.deadline_ms.saturating_sub(by_ms);
    }
}

impl Node {
    /// Bundles that contexts of ours run, or that groups of ours target, and that are not here.
    pub(crate) fn missing_bundles(&self) -> BTreeMap<BlobId, GroupId> {
        let mut wanted = BTreeMap::new();
        // Of a group that is only followed for one below, nobody would give us anything.
        for group in self.groups.values().filter(|group| group.we_are_member()) {
            let Some(state) = group.state() else { continue };
            if let Some(target) = state.target() {
                wanted.insert(target.set.release.version, group.id);
            }
            let joined = state.contexts().filter(|row| self.contexts.get(&row.id).is_some_and(|of| !of.is_left));
            wanted.extend(joined.map(|row| (row.release().version, group.id)));
        }
        wanted.retain(|bundle, _| !self.installed.contains_key(bundle));
        wanted
    }

    /// Sets out to fetch every bundle that is wanted and not here.
    pub(crate) fn want_bundles(&mut self, turn: &mut Turn<'_>) {
        let wanted = self.missing_bundles();
        self.blobs.retain(|blob, _| wanted.contains_key(blob));
        for blob in wanted.into_keys() {
            self.timers.set(Timer::Blob(blob), turn.time.wall_ms);
        }
        self.offer_bundles(turn);
    }

    /// Gives contexts the bundle that they run, if it is here.
    pub(crate) fn offer_bundles(&mut self, turn: &mut Turn<'_>) {
        let ready: Vec<_> = self
            .contexts
            .values()
            .filter_map(|context| {
                let row = self.groups.get(&context.group)?.state()?.context(&context.id)?;
                let bundle = row.release().version;
                (self.installed.contains_key(&bundle) && context.bundle != Some(bundle)).then_some((context.id, bundle))
            })
            .collect();
        for (id, bundle) in ready {
            self.with_context(turn, &id, |context, work| {
                context.bundle = Some(bundle);
                context.pump(work);
            });
            self.check_caught_up(turn, id.log());
        }
    }

    pub(crate) fn fetch_blob(&mut self, turn: &mut Turn<'_>, blob: BlobId) {
        let Some(group) = self.missing_bundles().get(&blob).copied() else {
            self.blobs.remove(&blob);
            return;
        };
        let now = turn.time.wall_ms;
        let members = self.members_online(&group);
        let fetch = self.blobs.entry(blob).or_default();
        if fetch.source.is_some() && fetch.deadline_ms > now {
            self.timers.set(Timer::Blob(blob), fetch.deadline_ms);
            return;
        }
        if let Some(late) = fetch.source.take() {
            fetch.tried.insert(late);
        }
        let Some(source) = members.iter().find(|peer| !fetch.tried.contains(*peer)).copied() else {
            fetch.tried.clear();
            self.timers.set(Timer::Blob(blob), now + AGAIN_MS);
            return;
        };
        // Bytes are checked only as a whole, so another source begins at the beginning.
        fetch.source = Some(source);
        fetch.size = None;
        fetch.came = 0;
        fetch.asked = BLOB_CHUNK_LEN_MAX as u64;
        fetch.deadline_ms = now + CHUNK_MS_MAX;
        self.timers.set(Timer::Blob(blob), fetch.deadline_ms);
        turn.report(Flow::to("f05", "bundle asked for", source, blob));
        turn.effect(Effect::Send(source, Lane::Blob, Message::BlobPull { blob, offset: 0 }));
    }

    pub(crate) fn chunk_heard(
        &mut self,
        turn: &mut Turn<'_>,
        peer: Peer,
        blob: BlobId,
        size: u64,
        offset: u64,
        bytes: Vec<u8>,
    ) {
        let Some(fetch) = self.blobs.get_mut(&blob) else { return };
        if fetch.source != Some(peer) {
            return;
        }
        let is_first_or_same = fetch.size.is_none_or(|known| known == size);
        let end = offset.saturating_add(bytes.len() as u64);
        let is_sound = size > 0 && size <= BUNDLE_LEN_MAX && is_first_or_same && offset == fetch.came && end <= size;
        if !is_sound || bytes.is_empty() {
            return self.blob_absent(turn, peer, blob);
        }
        if fetch.size.is_none() {
            turn.report(Flow::from("f08", "bundle on its way", peer, blob));
        }
        fetch.size = Some(size);
        fetch.came = end;
        fetch.deadline_ms = turn.time.wall_ms + CHUNK_MS_MAX;
        turn.effect(Effect::StoreChunk { blob, size, offset, bytes });
        self.ask_for_chunks(turn, blob);
    }

    /// Asks ahead, so that the source is never idle.
    fn ask_for_chunks(&mut self, turn: &mut Turn<'_>, blob: BlobId) {
        const CHUNK: u64 = BLOB_CHUNK_LEN_MAX as u64;
        let Some(fetch) = self.blobs.get_mut(&blob) else { return };
        let (Some(source), Some(size)) = (fetch.source, fetch.size) else { return };
        while fetch.asked < size && fetch.asked < fetch.came + CHUNKS_AHEAD * CHUNK {
            turn.effect(Effect::Send(source, Lane::Blob, Message::BlobPull { blob, offset: fetch.asked }));
            fetch.asked += CHUNK;
        }
    }

    pub(crate) fn blob_received(&mut self, turn: &mut Turn<'_>, blob: BlobId, _received: u64) {
        if let Some(fetch) = self.blobs.get_mut(&blob) {
            fetch.deadline_ms = turn.time.wall_ms + CHUNK_MS_MAX;
        }
    }

    pub(crate) fn blob_refused(&mut self, turn: &mut Turn<'_>, blob: BlobId, reason: String) {
        turn.report(Report::BundleRefused { blob, reason });
        let Some(fetch) = self.blobs.get_mut(&blob) else { return };
        if let Some(source) = fetch.source.take() {
            fetch.tried.insert(source);
        }
        self.timers.set(Timer::Blob(blob), turn.time.wall_ms + AGAIN_MS);
    }

    pub(crate) fn blob_absent(&mut self, turn: &mut Turn<'_>, peer: Peer, blob: BlobId) {
        let Some(fetch) = self.blobs.get_mut(&blob) else { return };
        if fetch.source == Some(peer) {
            fetch.source = None;
            fetch.tried.insert(peer);
            self.timers.set(Timer::Blob(blob), turn.time.wall_ms);
        }
    }

    pub(crate) fn blob_source_gone(&mut self, turn: &mut Turn<'_>, peer: Peer) {
        for (blob, fetch) in &mut self.blobs {
            if fetch.source == Some(peer) {
                fetch.source = None;
                self.timers.set(Timer::Blob(*blob), turn.time.wall_ms);
            }
        }
    }

    pub(crate) fn blob_asked(&mut self, turn: &mut Turn<'_>, peer: Peer, blob: BlobId, offset: u64) {
        if self.may_read_blob(&peer, &blob) {
            if offset == 0 {
                turn.report(Flow::to("f05", "bundle served", peer, blob));
            }
            turn.effect(Effect::ServeBlob { peer, blob, offset });
        } else {
            turn.effect(Effect::Send(peer, Lane::Blob, Message::BlobAbsent { blob }));
        }
    }

    pub(crate) fn app_installed(&mut self, turn: &mut Turn<'_>, app: AppVersion) {
        if self.blobs.remove(&app.bundle).is_some() {
            turn.report(Flow::here("f05", "bundle held", app.bundle));
        }
        turn.report(Flow::here("f20", "bundle installed", app.bundle));
        let record = AppRecord {
            application: *app.application.as_bytes(),
            size: app.size,
            package: app.package.clone(),
            version: app.version.clone(),
        };
        if let Ok(bytes) = borsh::to_vec(&record) {
            self.with_own(turn, |work| work.put(Keyspace::Meta, layout::app(&app.bundle), bytes));
        }
        self.installed.insert(app.bundle, app);
        self.offer_bundles(turn);
    }
}
