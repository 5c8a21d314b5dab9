//! Clients that call without a pause.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use serde_json::json;

use crate::http::call_body;
use crate::node::Node;

/// Bytes of a value: those of a short note.
const VALUE_LEN: usize = 64;
/// How an answer begins to say that something failed, anywhere in it.
const FAILED: &[u8] = b"\"error\":";

/// When clients stop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// After so long.
    Passed(Duration),
    /// After so many calls, all clients together.
    Calls(u64),
}

/// What clients saw.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// How long it took.
    pub(crate) elapsed: Duration,
    /// How long each call took, in ascending order.
    latencies: Vec<Duration>,
}

impl Seen {
    /// Calls a second.
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// How many calls.
    pub(crate) fn calls(&self) -> u64 {
        self.latencies.len() as u64
    }

    /// The latency that this share of the calls did not exceed, in milliseconds.
    pub(crate) fn latency_ms(&self, share: f64) -> f64 {
        quantile_ms(&self.latencies, share)
    }
}

/// The value that a share of ascending ones does not exceed, in milliseconds.
pub(crate) fn quantile_ms(ascending: &[Duration], share: f64) -> f64 {
    let last = ascending.len().saturating_sub(1);
    let index = (last as f64 * share).round() as usize;
    ascending.get(index).copied().unwrap_or_default().as_secs_f64() * 1000.0
}

/// `clients` connections call `kv.set` with ever new keys that begin with `prefix`.
pub(crate) fn set(node: &Node, context: &str, prefix: &str, clients: usize, until: Until) -> Result<Seen> {
    let value = "v".repeat(VALUE_LEN);
    call(node, clients, until, |client, n| {
        call_body(context, "set", &json!({ "key": format!("{prefix}-{client}-{n}"), "value": value }))
    })
}

/// `clients` connections call `kv.get` for keys that [`set`] wrote.
pub(crate) fn get(node: &Node, context: &str, prefix: &str, clients: usize, until: Until) -> Result<Seen> {
    call(node, clients, until, |client, n| {
        call_body(context, "get", &json!({ "key": format!("{prefix}-{client}-{}", n % 100) }))
    })
}

fn call(node: &Node, clients: usize, until: Until, body: impl Fn(usize, u64) -> Vec<u8> + Sync) -> Result<Seen> {
    let begun = Instant::now();
    let mut latencies = std::thread::scope(|scope| {
        let body = &body;
        let started: Vec<_> =
            (0..clients).map(|client| scope.spawn(move || one(node, client, clients, until, body))).collect();
        let ended =
            started.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("a client panicked"))));
        ended.collect::<Result<Vec<_>>>()
    })?
    .concat();
    let elapsed = begun.elapsed();
    latencies.sort();
    Ok(Seen { elapsed, latencies })
}

fn one(
    node: &Node,
    client: usize,
    clients: usize,
    until: Until,
    body: &(impl Fn(usize, u64) -> Vec<u8> + Sync),
) -> Result<Vec<Duration>> {
    let mut connection = node.client()?;
    let mut latencies = Vec::new();
    let begun = Instant::now();
    let goes_on = |done: u64| match until {
        Until::Passed(time) => begun.elapsed() < time,
        // The remainder is shared out among the first clients.
        Until::Calls(calls) => done < calls / clients as u64 + u64::from((client as u64) < calls % clients as u64),
    };
    while goes_on(latencies.len() as u64) {
        let body = body(client, latencies.len() as u64);
        let asked = Instant::now();
        let answer = connection.rpc(&body)?;
        latencies.push(asked.elapsed());
        if answer.windows(FAILED.len()).any(|window| window == FAILED) {
            bail!("a call failed: {}", String::from_utf8_lossy(&answer));
        }
    }
    Ok(latencies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_ascending_values() {
        let values: Vec<Duration> = (0..=100).map(Duration::from_millis).collect();
        assert_eq!((quantile_ms(&values, 0.5), quantile_ms(&values, 0.99)), (50.0, 99.0));
        assert_eq!(quantile_ms(&[], 0.5), 0.0);
    }
}
