//! The web files of bundles that were asked for lately, unpacked in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use mesto_api::ErrorCode;
use mesto_bundle::Bundle;
use mesto_governance::BlobId;
use mesto_node::BUNDLE_LEN_MAX;

use super::super::refusal::Refusal;
use super::{WEB, media};
use crate::driver::Handle;

/// Bundles whose files are kept at once: people have few pages open.
const BUNDLES_MAX: usize = 8;

/// Bytes of kept files. One bundle stays in any case, so that its page does not unpack it for each file.
const BYTES_MAX: usize = 64 << 20;

/// A file as it is sent.
#[derive(Clone)]
pub(super) struct File {
    pub(super) bytes: Bytes,
    pub(super) media_type: &'static str,
    /// Its `ETag`, with the quotes.
    pub(super) tag: String,
}

impl File {
    pub(super) fn new(path: &str, bytes: Bytes) -> Self {
        let tag = format!("\"{}\"", mesto_oplog::id::to_text(blake3::hash(&bytes).as_bytes()));
        Self { bytes, media_type: media::type_of(path), tag }
    }
}

/// The web files of one bundle, by path below `web/`.
pub(super) struct Web {
    files: BTreeMap<String, File>,
    first: Option<String>,
}

impl Web {
    fn of(bundle: &Bundle) -> Self {
        let below = |path: &str| path.strip_prefix(WEB).map(str::to_owned);
        let files = bundle.files.iter().filter_map(|(path, bytes)| {
            Some((below(path)?, File::new(path, Bytes::copy_from_slice(bytes))))
        });
        Self { files: files.collect(), first: bundle.manifest.web().and_then(below) }
    }

    pub(super) fn file(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }

    /// The page that the manifest says opens first.
    pub(super) fn first(&self) -> Option<&str> {
        self.first.as_deref()
    }

    fn len(&self) -> usize {
        self.files.values().map(|file| file.bytes.len()).sum()
    }
}

/// The bundles, the one asked for last at the end.
#[derive(Default)]
pub(in crate::http) struct Shelf(Mutex<VecDeque<(BlobId, Arc<Web>)>>);

impl Shelf {
    /// The web files of a bundle that is here.
    pub(super) async fn open(&self, node: &Handle, bundle: BlobId) -> Result<Arc<Web>, Refusal> {
        if let Some(web) = self.kept(bundle) {
            return Ok(web);
        }
        let blobs = node.blobs().clone();
        let opened = tokio::task::spawn_blocking(move || {
            let bytes = blobs.read(bundle, BUNDLE_LEN_MAX)?;
            let bytes = bytes.ok_or_else(|| Refusal::new(ErrorCode::ApplicationNotInstalled, "the bundle is not here"))?;
            let opened = Bundle::open(&bytes).map_err(|error| Refusal::new(ErrorCode::InvalidBundle, error.to_string()))?;
            Ok::<_, Refusal>(Arc::new(Web::of(&opened)))
        });
        let web = opened.await.map_err(|error| Refusal::new(ErrorCode::InternalError, error.to_string()))??;
        self.keep(bundle, &web);
        Ok(web)
    }

    fn kept(&self, bundle: BlobId) -> Option<Arc<Web>> {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = shelf.iter().position(|(kept, _)| *kept == bundle)?;
        let found = shelf.remove(at)?;
        let web = Arc::clone(&found.1);
        shelf.push_back(found);
        Some(web)
    }

    fn keep(&self, bundle: BlobId, web: &Arc<Web>) {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.retain(|(kept, _)| *kept != bundle);
        shelf.push_back((bundle, Arc::clone(web)));
        let total = |shelf: &VecDeque<(BlobId, Arc<Web>)>| shelf.iter().map(|(_, web)| web.len()).sum::<usize>();
        while shelf.len() > 1 && (shelf.len() > BUNDLES_MAX || total(&shelf) > BYTES_MAX) {
            shelf.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web(len: usize) -> Arc<Web> {
        Arc::new(Web { files: [("x".to_owned(), File::new("x", Bytes::from(vec![0; len])))].into(), first: None })
    }

    fn id(n: u8) -> BlobId {
        BlobId::from_bytes([n; 32])
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_used_stays() {
        let shelf = Shelf::default();
        for n in 0..u8::try_from(BUNDLES_MAX).unwrap() {
            shelf.keep(id(n), &web(1));
        }
        assert!(shelf.kept(id(0)).is_some());
        shelf.keep(id(100), &web(1));
        assert!(shelf.kept(id(0)).is_some() && shelf.kept(id(100)).is_some());
        assert!(shelf.kept(id(1)).is_none(), "the one that was not used for longest goes");
        shelf.keep(id(101), &web(BYTES_MAX + 1));
        assert!(shelf.kept(id(101)).is_some());
        assert_eq!(shelf.0.lock().unwrap().len(), 1);
    }
}
