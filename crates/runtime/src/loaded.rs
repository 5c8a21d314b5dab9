//! The apps that are held in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mesto_governance::BlobId;

use crate::bindings::AppPre;
use crate::host::Host;
use crate::schema::Methods;

/// An app that is ready to be called.
pub(crate) struct App {
    pub(crate) instances: AppPre<Host>,
    pub(crate) methods: Methods,
    pub(crate) schema: String,
}

/// Apps by bundle, of which the longest unused goes when there are too many. A call that runs keeps its app.
pub(crate) struct Loaded {
    apps: Mutex<Apps>,
    max: usize,
}

#[derive(Default)]
struct Apps {
    by_bundle: BTreeMap<BlobId, (Arc<App>, u64)>,
    /// Counts uses; the greater number was used later.
    uses: u64,
}

impl Loaded {
    pub(crate) fn new(max: usize) -> Self {
        Self { apps: Mutex::default(), max: max.max(1) }
    }

    pub(crate) fn get(&self, bundle: &BlobId) -> Option<Arc<App>> {
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        let Apps { by_bundle, uses } = &mut *apps;
        let (app, last_use) = by_bundle.get_mut(bundle)?;
        *uses += 1;
        *last_use = *uses;
        Some(Arc::clone(app))
    }

    pub(crate) fn insert(&self, bundle: BlobId, app: Arc<App>) {
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        let Apps { by_bundle, uses } = &mut *apps;
        *uses += 1;
        by_bundle.insert(bundle, (app, *uses));
        while by_bundle.len() > self.max {
            let oldest = by_bundle.iter().min_by_key(|(_, (_, last_use))| *last_use).map(|(bundle, _)| *bundle);
            let Some(oldest) = oldest else { return };
            by_bundle.remove(&oldest);
        }
    }

    pub(crate) fn remove(&self, bundle: &BlobId) {
        self.apps.lock().unwrap_or_else(PoisonError::into_inner).by_bundle.remove(bundle);
    }
}
