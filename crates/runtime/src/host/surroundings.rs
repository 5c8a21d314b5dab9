//! `mesto:app/env` and `mesto:app/output`: what a guest may know and tell.

use mesto_node::executor::{CallError, Event, SAYING_KIND_LEN_MAX, SAYING_LEN_MAX, Saying};

use super::{Host, PANIC_BYTES_MAX, cut};
use crate::bindings::mesto::app::{env, output};

impl env::Host for Host {
    fn caller(&mut self) -> wasmtime::Result<Vec<u8>> {
        self.enter()?;
        Ok(self.surroundings.caller.to_vec())
    }

    fn context_id(&mut self) -> wasmtime::Result<Vec<u8>> {
        self.enter()?;
        Ok(self.surroundings.context.to_vec())
    }

    fn now(&mut self) -> wasmtime::Result<u64> {
        self.enter()?;
        Ok(self.surroundings.now)
    }

    fn random(&mut self, length: u32) -> wasmtime::Result<Vec<u8>> {
        self.enter()?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let drawn = self.surroundings.random_drawn.saturating_add(length);
        self.within("random_bytes", drawn, self.limits.random_bytes, "bytes")?;
        self.surroundings.random_drawn = drawn;
        let mut bytes = vec![0; length];
        self.surroundings.random.fill(&mut bytes);
        Ok(bytes)
    }
}

impl output::Host for Host {
    fn log(&mut self, message: String) -> wasmtime::Result<()> {
        self.enter()?;
        self.within("log_bytes", message.len(), self.limits.log_bytes, "bytes")?;
        self.within("logs", self.logs.len() + 1, self.limits.logs, "lines")?;
        self.logs.push(message);
        Ok(())
    }

    fn emit(&mut self, kind: String, payload: String, handler: Option<String>) -> wasmtime::Result<()> {
        // An event travels with the change that it tells of, and a view makes none.
        self.enter_to_write()?;
        let bytes = kind.len() + payload.len() + handler.as_ref().map_or(0, String::len);
        self.within("event_bytes", bytes, self.limits.event_bytes, "bytes")?;
        self.within("events", self.events.len() + 1, self.limits.events, "events")?;
        if serde_json::from_str::<serde::de::IgnoredAny>(&payload).is_err() {
            let error = CallError::Trap(format!("the payload of the event `{}` is not JSON", cut(&kind, 100)));
            return Err(self.stop(error));
        }
        self.events.push(Event { kind, payload: payload.into_bytes(), handler });
        Ok(())
    }

    fn say(&mut self, kind: String, payload: String) -> wasmtime::Result<()> {
        // Nobody carries further what a view says.
        self.enter_to_write()?;
        self.within("saying_bytes", payload.len(), SAYING_LEN_MAX, "bytes")?;
        self.within("saying_kind_bytes", kind.len(), SAYING_KIND_LEN_MAX, "bytes")?;
        self.within("sayings", self.sayings.len() + 1, self.limits.sayings, "messages")?;
        self.only_json(&kind, &payload)?;
        self.sayings.push(Saying { kind, payload: payload.into_bytes() });
        Ok(())
    }

    fn panicked(&mut self, message: String) -> wasmtime::Result<()> {
        self.enter()?;
        self.panicked = Some(cut(&message, PANIC_BYTES_MAX).to_owned());
        Ok(())
    }
}

impl Host {
    fn only_json(&mut self, kind: &str, payload: &str) -> wasmtime::Result<()> {
        if serde_json::from_str::<serde::de::IgnoredAny>(payload).is_err() {
            let error = CallError::Trap(format!("the payload of the event `{}` is not JSON", cut(kind, 100)));
            return Err(self.stop(error));
        }
        Ok(())
    }
}
