//! One call in one fresh instance.

use std::sync::Arc;

use mesto_node::executor::{Call, CallError, Outcome};
use serde::de::IgnoredAny;
use wasmtime::{Engine, Store, Trap};

use crate::bindings::exports::mesto::app::methods::{AppError, Refusal};
use crate::bindings::{App as Instance, AppPre};
use crate::config::Limits;
use crate::host::{Host, State, cut, limit_error};
use crate::ticker::TICK;

/// Longest text of an app's own error, in bytes. What is longer belongs into its JSON.
const MESSAGE_BYTES_MAX: usize = 16 << 10;

/// The limit that a call meets when its time is over, by its name in the configuration.
pub(crate) const WALL_MS: &str = "wall_ms";

/// What a call needs of the runtime.
pub(crate) struct Machine<'r> {
    pub(crate) engine: &'r Engine,
    pub(crate) limits: &'r Arc<Limits>,
    /// Ends the call after so many ticks, if that is sooner than its limit of wall time.
    pub(crate) ticks_max: Option<u64>,
    pub(crate) instances: &'r AppPre<Host>,
}

impl Machine<'_> {
    /// Runs `method`. `view` if it cannot write.
    pub(crate) fn invoke(&self, call: &Call, method: &str, view: bool, state: State) -> Result<Outcome, CallError> {
        let args = std::str::from_utf8(&call.args)
            .map_err(|error| CallError::BadArguments(format!("not a JSON object of arguments by name: {error}")))?;
        let max = self.limits.args_bytes;
        if args.len() > max {
            return Err(limit_error("args_bytes", max, "bytes"));
        }
        let mut store = self.store(call, view, state);
        let answer = self.run(&mut store, |app, store| app.mesto_app_methods().call_invoke(store, method, args))?;
        let host = store.into_data();
        match answer {
            Ok(output) => {
                let max = self.limits.result_bytes;
                if output.len() > max {
                    return Err(limit_error("result_bytes", max, "bytes"));
                }
                if !is_json(&output) {
                    return Err(CallError::Trap("the result is not JSON".to_owned()));
                }
                host.finish(output)
            }
            Err(refusal) => {
                show_logs(&host);
                Err(self.refused(method, refusal))
            }
        }
    }

    /// The app's schema.
    pub(crate) fn describe(&self, call: &Call, state: State) -> Result<String, CallError> {
        let mut store = self.store(call, true, state);
        self.run(&mut store, |app, store| app.mesto_app_methods().call_describe(store))
    }

    fn store(&self, call: &Call, view: bool, state: State) -> Store<Host> {
        let mut store = Store::new(self.engine, Host::new(Arc::clone(self.limits), call, view, state));
        store.limiter(|host| host);
        match self.limits.fuel {
            Some(fuel) => store.set_fuel(fuel).expect("INVARIANT: an engine with a limit of fuel counts it"),
            None => {
                let ticks = u128::from(self.limits.wall_ms) / TICK.as_millis();
                let ticks = u64::try_from(ticks).unwrap_or(u64::MAX).saturating_add(1);
                store.set_epoch_deadline(self.ticks_max.map_or(ticks, |max| max.min(ticks)));
            }
        }
        store
    }

    fn run<R>(
        &self,
        store: &mut Store<Host>,
        body: impl FnOnce(&Instance, &mut Store<Host>) -> wasmtime::Result<R>,
    ) -> Result<R, CallError> {
        let instance = self.instances.instantiate(&mut *store);
        let result = instance.and_then(|instance| body(&instance, store));
        result.map_err(|error| self.failure(&error, store.data_mut()))
    }

    /// Why the guest did not come back.
    fn failure(&self, error: &wasmtime::Error, host: &mut Host) -> CallError {
        show_logs(host);
        if let Some(stopped) = host.take_stopped() {
            return stopped;
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => limit_error(WALL_MS, self.limits.wall_ms, "ms"),
            Some(Trap::StackOverflow) => limit_error("stack_bytes", self.limits.stack_bytes, "bytes"),
            Some(Trap::OutOfFuel) => limit_error("fuel", self.limits.fuel.unwrap_or_default(), "units"),
            trap => CallError::Trap(host.take_panic().unwrap_or_else(|| match trap {
                Some(trap) => trap.to_string(),
                None => cut(&error.root_cause().to_string(), MESSAGE_BYTES_MAX).to_owned(),
            })),
        }
    }

    fn refused(&self, method: &str, refusal: Refusal) -> CallError {
        match refusal {
            Refusal::UnknownMethod => CallError::MethodNotFound(method.to_owned()),
            Refusal::BadArguments(text) => CallError::BadArguments(cut(&text, MESSAGE_BYTES_MAX).to_owned()),
            Refusal::App(AppError { message, data }) => {
                let max = self.limits.result_bytes;
                if data.len() > max {
                    return limit_error("result_bytes", max, "bytes");
                }
                if !is_json(&data) {
                    return CallError::Trap("the app's error is not JSON".to_owned());
                }
                CallError::App { message: cut(&message, MESSAGE_BYTES_MAX).to_owned(), data: data.into_bytes() }
            }
        }
    }
}

/// A call that fails has no outcome, but what it logged says why.
fn show_logs(host: &Host) {
    for line in host.logs() {
        tracing::debug!(target: "mesto::app", "{line}");
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}
