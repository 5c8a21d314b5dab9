//! Bundles that are here: installing them, and receiving and serving their bytes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use mesto_bundle::{Bundle, BundleError};
use mesto_governance::{ApplicationId, BlobId};
use mesto_node::command::{AppVersion, Noun};
use mesto_node::{BUNDLE_LEN_MAX, CommandError, Selector};
use mesto_runtime::{LoadError, Runtime, WasmSource};

use crate::blobs::{BlobError, Blobs, Partial};

/// Bundles that are received at once: more than anybody joins in a moment.
const PARTIALS_MAX: usize = 16;

/// A bundle that is here.
#[derive(Clone, Debug)]
pub struct InstalledApp {
    /// Which version of what.
    pub version: AppVersion,
    /// Who signed it, as `did:key`.
    pub signer: String,
}

/// Why a bundle was not installed. Nothing of it is kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// It is not what a signed bundle is.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Its code does not run here.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It needs a newer Mesto.
    #[error("the bundle needs Mesto {needed} or later, this is {}: update Mesto", env!("CARGO_PKG_VERSION"))]
    TooNew {
        /// The version that it needs.
        needed: String,
    },
    /// The disk or the quota stood in the way.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The work was cut short.
    #[error("the installation was interrupted: {0}")]
    Interrupted(String),
}

/// What became of a chunk.
pub(super) enum Stored {
    /// So many bytes are here.
    Part(u64),
    /// The bundle is whole, verified and ready to run.
    Installed(AppVersion),
    /// It is not what it should be.
    Refused(String),
}

/// The bundles.
pub(super) struct Apps {
    blobs: Blobs,
    runtime: Arc<Runtime>,
    /// In the order of their installation.
    installed: RwLock<Vec<InstalledApp>>,
    partials: Mutex<BTreeMap<BlobId, Partial>>,
}

impl Apps {
    pub(super) fn new(blobs: Blobs, runtime: Arc<Runtime>) -> Self {
        Self { blobs, runtime, installed: RwLock::default(), partials: Mutex::default() }
    }

    /// Takes those of `known` whose bundles are still here and sound; the others are fetched again.
    pub(super) fn load_all(&self, known: &[AppVersion]) -> Vec<AppVersion> {
        known
            .iter()
            .filter_map(|version| {
                let read = self.blobs.read(version.bundle, BUNDLE_LEN_MAX);
                let bytes = read.inspect_err(|error| tracing::warn!(%error, "a bundle cannot be read")).ok()??;
                let app = self.prepare(&bytes);
                let app =
                    app.inspect_err(|error| tracing::warn!(bundle = %version.bundle, %error, "a bundle cannot be run"));
                self.keep(app.ok()?)
            })
            .collect()
    }

    /// Verifies and compiles a bundle, and keeps it.
    pub(super) fn install(&self, mpk: &[u8]) -> Result<AppVersion, InstallError> {
        let app = self.prepare(mpk)?;
        self.blobs.put_bytes(mpk)?;
        let version = app.version.clone();
        self.keep(app);
        Ok(version)
    }

    fn prepare(&self, mpk: &[u8]) -> Result<InstalledApp, InstallError> {
        let bundle = Bundle::open(mpk)?;
        let manifest = &bundle.manifest;
        let ours = env!("CARGO_PKG_VERSION");
        if ours.parse().is_ok_and(|ours: semver::Version| ours < *manifest.min_runtime_version()) {
            return Err(InstallError::TooNew { needed: manifest.min_runtime_version().to_string() });
        }
        let id = BlobId::from_bytes(bundle.blob_id);
        self.runtime.load(id, &bundle.wasm)?;
        Ok(InstalledApp {
            version: AppVersion {
                application: ApplicationId::from_bytes(bundle.application_id),
                bundle: id,
                size: mpk.len() as u64,
                package: manifest.package().to_owned(),
                version: manifest.app_version().to_string(),
            },
            signer: manifest.signer().to_string(),
        })
    }

    fn keep(&self, app: InstalledApp) -> Option<AppVersion> {
        let version = app.version.clone();
        let mut installed = self.installed.write().unwrap_or_else(PoisonError::into_inner);
        installed.retain(|known| known.version.bundle != version.bundle);
        installed.push(app);
        Some(version)
    }

    pub(super) fn installed(&self) -> Vec<InstalledApp> {
        self.installed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The schema of a bundle, as JSON.
    pub(super) fn schema(&self, bundle: &BlobId) -> Option<String> {
        self.runtime.schema(bundle).ok()
    }

    /// The schema of the newest version that `selector` names: by bundle, by application or by package.
    pub(super) fn schema_of(&self, selector: &Selector) -> Result<String, CommandError> {
        let text = selector.0.as_str();
        let installed = self.installed();
        let fits = |app: &&InstalledApp| {
            let starts = |id: String| text.len() >= mesto_oplog::id::ID_PREFIX_LEN_MIN && id.starts_with(text);
            app.version.package == text
                || starts(app.version.application.to_string())
                || starts(app.version.bundle.to_string())
        };
        let unknown = || CommandError::Unknown { noun: Noun::Application, selector: text.to_owned() };
        let app = installed.iter().rev().find(fits).ok_or_else(unknown)?;
        self.schema(&app.version.bundle).ok_or_else(|| CommandError::NotInstalled(text.to_owned()))
    }

    /// A chunk of a bundle that we hold, with the whole's length.
    pub(super) fn read_chunk(&self, blob: BlobId, offset: u64, len_max: usize) -> Option<(u64, Vec<u8>)> {
        let size = self.blobs.len(blob).ok()??;
        let bytes = self.blobs.read_chunk(blob, offset, len_max).ok()??;
        (!bytes.is_empty()).then_some((size, bytes))
    }

    /// Takes a chunk of a bundle that is being fetched. A chunk from the beginning begins anew.
    pub(super) fn store_chunk(&self, blob: BlobId, size: u64, offset: u64, bytes: &[u8]) -> Stored {
        let mut partials = self.partials.lock().unwrap_or_else(PoisonError::into_inner);
        if offset == 0 {
            partials.remove(&blob);
        }
        if !partials.contains_key(&blob) {
            if partials.len() >= PARTIALS_MAX {
                return Stored::Refused("too many bundles are being received".to_owned());
            }
            match self.blobs.partial(blob, size) {
                Ok(partial) => partials.insert(blob, partial),
                Err(error) => return Stored::Refused(error.to_string()),
            };
        }
        let Some(partial) = partials.get_mut(&blob) else {
            return Stored::Refused("the chunk's beginning is missing".to_owned());
        };
        if let Err(error) = partial.write(offset, bytes) {
            partials.remove(&blob);
            return Stored::Refused(error.to_string());
        }
        let received = partial.received_bytes();
        if partial.missing().is_some() {
            return Stored::Part(received);
        }
        let whole = partials.remove(&blob);
        drop(partials);
        match whole.map(|partial| self.install_received(blob, partial)) {
            Some(Ok(app)) => Stored::Installed(app),
            Some(Err(reason)) => Stored::Refused(reason),
            None => Stored::Part(received),
        }
    }

    fn install_received(&self, blob: BlobId, partial: Partial) -> Result<AppVersion, String> {
        partial.finish().map_err(|error| error.to_string())?;
        let read = self.blobs.read(blob, BUNDLE_LEN_MAX).map_err(|error| error.to_string())?;
        let bytes = read.ok_or("the bundle is gone")?;
        match self.prepare(&bytes) {
            Ok(app) => self.keep(app).ok_or_else(|| "the bundle is gone".to_owned()),
            Err(error) => {
                // What cannot run is of no use; its bytes would only fill the quota.
                let _ = self.blobs.remove(blob);
                Err(error.to_string())
            }
        }
    }
}

/// Where the runtime finds the code of a bundle that it holds no more.
pub(super) struct FromBlobs(pub(super) Blobs);

impl WasmSource for FromBlobs {
    fn wasm(&self, bundle: &BlobId) -> Option<Vec<u8>> {
        let bytes = self.0.read(*bundle, BUNDLE_LEN_MAX).ok()??;
        Bundle::open(&bytes).ok().map(|bundle| bundle.wasm)
    }
}
