//! The runtime: loads apps and runs their calls.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use mesto_crdt::{Hlc, MemoryState};
use mesto_governance::{BlobId, ContextId};
use mesto_node::executor::{Call, CallError, Executor, MethodKind, Outcome};
use mesto_oplog::PublicKey;
use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, Linker};

use crate::bindings::{self, AppPre};
use crate::cache::Cache;
use crate::call::{Machine, WALL_MS};
use crate::component::{is_component, is_module};
use crate::config::{Limits, RuntimeConfig, WasmSource};
use crate::engine::engine;
use crate::host::{Host, State};
use crate::loaded::{App, Loaded};
use crate::schema::{Methods, SchemaError};
use crate::slots::Slots;
use crate::ticker::Ticker;

/// Longest component, in bytes. A JavaScript app brings its engine, 12 MB.
const COMPONENT_BYTES_MAX: usize = 64 << 20;

/// How long a brief call may take, in ticks of the clock of epochs: the second tick comes after 5 to 10 ms.
const BRIEF_TICKS: u64 = 2;

/// Why a runtime cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NewError {
    /// wasmtime refuses the configuration, or the machine has not the address space.
    #[error("the WebAssembly engine does not start: {0}; fewer `concurrent_calls` need less address space")]
    Engine(String),
    /// The folder of compiled code cannot be used.
    #[error("{path}: {source}")]
    Cache {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The thread that measures time does not start.
    #[error("no thread for the clock of calls: {0}")]
    Thread(io::Error),
}

/// Why an app cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It is too long.
    #[error("a component of {bytes} bytes; at most {max} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// It is a core module, or nothing of WebAssembly.
    #[error("not a WebAssembly component{}", if *.module { ": a core module, which `mesto app build` makes one" } else { "" })]
    NotAComponent {
        /// Whether it is a core module.
        module: bool,
    },
    /// It is malformed, or needs what guests do not have.
    #[error("the component cannot be compiled: {0}")]
    Malformed(String),
    /// It asks for imports that the world does not have, or lacks its exports.
    #[error("the component does not fit the world `mesto:app/app@1.0.0`: {0}")]
    AnotherWorld(String),
    /// It did not describe itself.
    #[error("the app does not describe itself: {0}")]
    Describe(CallError),
    /// What it says of itself cannot be used.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

/// Runs apps. Calls may come from any number of threads.
pub struct Runtime {
    engine: Engine,
    linker: Linker<Host>,
    limits: Arc<Limits>,
    cache: Option<Cache>,
    source: Option<Arc<dyn WasmSource>>,
    loaded: Loaded,
    /// Held while an app is compiled, so that two calls do not compile it twice.
    compiling: Mutex<()>,
    slots: Slots,
    ticker: Ticker,
}

impl Runtime {
    /// A runtime without apps.
    ///
    /// # Errors
    /// See [`NewError`].
    pub fn new(config: RuntimeConfig) -> Result<Self, NewError> {
        let refused = |error: wasmtime::Error| NewError::Engine(format!("{error:#}"));
        let engine = engine(&config).map_err(refused)?;
        let mut linker = Linker::new(&engine);
        bindings::App::add_to_linker::<_, HasSelf<_>>(&mut linker, |host| host).map_err(refused)?;
        let cache = config
            .cache_dir
            .as_ref()
            .map(|path| Cache::open(path, &engine).map_err(|source| NewError::Cache { path: path.clone(), source }));
        Ok(Self {
            ticker: Ticker::start(engine.clone()).map_err(NewError::Thread)?,
            cache: cache.transpose()?,
            linker,
            engine,
            limits: Arc::new(config.limits),
            source: config.source,
            loaded: Loaded::new(config.loaded_apps),
            compiling: Mutex::new(()),
            slots: Slots::new(config.concurrent_calls),
        })
    }

    /// Loads the component `wasm` as the app of `bundle`, and returns its schema as JSON.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load(&self, bundle: BlobId, wasm: &[u8]) -> Result<String, LoadError> {
        self.load_app(bundle, wasm).map(|app| app.schema.clone())
    }

    /// The schema of an app that is loaded, or that the source has.
    ///
    /// # Errors
    /// [`CallError::NotLoaded`].
    pub fn schema(&self, bundle: &BlobId) -> Result<String, CallError> {
        self.app(bundle).map(|app| app.schema.clone())
    }

    /// Forgets an app. Calls that run go on; compiled code on disk stays.
    pub fn unload(&self, bundle: &BlobId) {
        self.loaded.remove(bundle);
    }

    /// Runs a call as [`Executor::execute`] does, on a thread that must not wait long: `None` if it did not end
    /// within some milliseconds, or cannot begin at once. Then nothing of it remains, and `execute` runs it anew.
    pub fn execute_briefly(&self, call: &Call, state: State) -> Option<Result<Outcome, CallError>> {
        if self.limits.fuel.is_some() {
            // Without epochs nothing would end it in time.
            return None;
        }
        let app = self.loaded.get(&call.bundle)?;
        let _slot = self.slots.try_take()?;
        let _running = self.ticker.running();
        let result = self.run(&app, Some(BRIEF_TICKS), call, state);
        let is_cut_short = matches!(&result, Err(CallError::Limit { limit, .. }) if limit == WALL_MS);
        (!is_cut_short).then_some(result)
    }

    fn app(&self, bundle: &BlobId) -> Result<Arc<App>, CallError> {
        if let Some(app) = self.loaded.get(bundle) {
            return Ok(app);
        }
        let wasm = self.source.as_ref().and_then(|source| source.wasm(bundle));
        let wasm = wasm.ok_or_else(|| CallError::NotLoaded("its bundle is not here".to_owned()))?;
        self.load_app(*bundle, &wasm).map_err(|error| CallError::NotLoaded(error.to_string()))
    }

    fn load_app(&self, bundle: BlobId, wasm: &[u8]) -> Result<Arc<App>, LoadError> {
        let _compiling = self.compiling.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(app) = self.loaded.get(&bundle) {
            return Ok(app);
        }
        let component = self.component(wasm)?;
        let instances = self.linker.instantiate_pre(&component).and_then(AppPre::new);
        let instances = instances.map_err(|error| LoadError::AnotherWorld(format!("{error:#}")))?;
        let schema = self.describe(bundle, &instances).map_err(LoadError::Describe)?;
        let methods = Methods::read(&schema)?;
        let app = Arc::new(App { instances, methods, schema });
        self.loaded.insert(bundle, Arc::clone(&app));
        Ok(app)
    }

    fn component(&self, wasm: &[u8]) -> Result<Component, LoadError> {
        let (bytes, max) = (wasm.len(), COMPONENT_BYTES_MAX);
        if bytes > max {
            return Err(LoadError::TooLong { bytes, max });
        }
        // wasmtime would take text, and its own machine code, which must never come from a bundle.
        if !is_component(wasm) {
            return Err(LoadError::NotAComponent { module: is_module(wasm) });
        }
        if let Some(component) = self.cache.as_ref().and_then(|cache| cache.get(&self.engine, wasm)) {
            return Ok(component);
        }
        let component = Component::from_binary(&self.engine, wasm);
        let component = component.map_err(|error| LoadError::Malformed(format!("{error:#}")))?;
        if let Some(cache) = &self.cache {
            cache.put(wasm, &component);
        }
        Ok(component)
    }

    /// Asks an app for its schema, over an empty state.
    fn describe(&self, bundle: BlobId, instances: &AppPre<Host>) -> Result<String, CallError> {
        let call = Call {
            context: ContextId::from_bytes([0; 32]),
            bundle,
            method: "describe".to_owned(),
            args: Vec::new(),
            kind: MethodKind::View,
            caller: PublicKey::default(),
            stamp: Hlc::ZERO,
            seed: [0; 32],
        };
        self.in_slot(|| self.machine(instances, None).describe(&call, Arc::new(MemoryState::new())))
    }

    fn machine<'r>(&'r self, instances: &'r AppPre<Host>, ticks_max: Option<u64>) -> Machine<'r> {
        Machine { engine: &self.engine, limits: &self.limits, ticks_max, instances }
    }

    fn run(&self, app: &App, ticks_max: Option<u64>, call: &Call, state: State) -> Result<Outcome, CallError> {
        let not_found = || CallError::MethodNotFound(call.method.clone());
        let (method, view) = match call.kind {
            MethodKind::Init => match app.methods.init() {
                Some(init) => (init, false),
                None => return first_state_of_nothing(&call.args),
            },
            MethodKind::View | MethodKind::Mutate => match app.methods.kind(&call.method) {
                // The first state is made once, by the node.
                None | Some(MethodKind::Init) => return Err(not_found()),
                Some(kind) => (call.method.as_str(), kind == MethodKind::View || call.kind == MethodKind::View),
            },
        };
        self.machine(&app.instances, ticks_max).invoke(call, method, view, state)
    }

    fn in_slot<R>(&self, body: impl FnOnce() -> R) -> R {
        let _slot = self.slots.take();
        let _running = self.ticker.running();
        body()
    }
}

impl Executor for Runtime {
    fn method_kind(&self, bundle: &BlobId, method: &str) -> Result<Option<MethodKind>, CallError> {
        Ok(self.app(bundle)?.methods.kind(method))
    }

    fn execute(&self, call: &Call, state: State) -> Result<Outcome, CallError> {
        let app = self.app(&call.bundle)?;
        self.in_slot(|| self.run(&app, None, call, state))
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// An app without an init method begins with an empty state.
fn first_state_of_nothing(args: &[u8]) -> Result<Outcome, CallError> {
    match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(args) {
        Ok(args) if args.is_empty() => Ok(Outcome { output: b"null".to_vec(), ..Outcome::default() }),
        Ok(_) | Err(_) => {
            Err(CallError::BadArguments("the app has no init method, so it takes no arguments".to_owned()))
        }
    }
}
