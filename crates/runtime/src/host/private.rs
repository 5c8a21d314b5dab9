//! `mesto:app/private`: what an app keeps on this node alone.

use super::Host;
use super::collections::page;
use crate::bindings::mesto::app::{private, state};

impl private::Host for Host {
    fn get(&mut self, key: Vec<u8>) -> wasmtime::Result<Option<Vec<u8>>> {
        self.enter()?;
        Ok(self.private.get(&self.state, &key))
    }

    fn set(&mut self, key: Vec<u8>, value: Vec<u8>) -> wasmtime::Result<()> {
        self.enter_to_write()?;
        let done = self.private.set(key, Some(value), &self.draft_limits);
        self.step(done)
    }

    fn remove(&mut self, key: Vec<u8>) -> wasmtime::Result<()> {
        self.enter_to_write()?;
        let done = self.private.set(key, None, &self.draft_limits);
        self.step(done)
    }

    fn scan(&mut self, prefix: Vec<u8>, after: Option<Vec<u8>>, limit: u32) -> wasmtime::Result<Vec<state::Entry>> {
        self.enter()?;
        let page = page(after, limit, |after, limit| {
            let pairs = self.private.scan(&self.state, &prefix, after, limit);
            Ok(pairs.into_iter().map(|(key, value)| state::Entry { key, value }).collect())
        });
        self.step(page)
    }
}
