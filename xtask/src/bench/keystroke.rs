//! A keystroke over HTTP until it is durable, in an empty and in a long text, beside `kv.set` by the same client; and what it
//! costs a page of another node to hear of it.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use serde_json::{Value, json};

use super::Setup;
use super::load::quantile_ms;
use super::process::cpu;
use super::report::{Reference, Report};
use crate::http::Client;
use crate::network;
use crate::node::{Node, Patience, wait_for};

/// Characters of the text when a sample is taken.
const LENGTHS: [u64; 2] = [0, 1_000_000];
/// Characters that one call inserts to fill it: about a quarter of what a delta takes.
const FILL: usize = 62_500;
/// A sample alternates between keystrokes and `kv.set`, so many of each at a time: the system counts CPU time in hundredths of a
/// second.
const ROUNDS: u64 = 4;
const ROUND: u64 = 500;
/// Keystrokes that a page of another node hears of.
const HEARD: u64 = 300;
/// How long one may take to be there.
const ARRIVES: Patience = Patience { within: Duration::from_secs(30), pause: Duration::from_micros(200) };

pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<()> {
    let (writer, kv) = setup.node_with_context("writer")?;
    let text = network::begin(&writer, &setup.editor)?;
    let reader = setup.node("reader")?;
    network::join(&writer, &reader, &text)?;
    let mut client = writer.client()?;
    let mut sampler = Sampler { node: &writer, kv: kv.context, text: text.context.clone(), keys: 0 };
    // Not counted: the first calls also pay for the loading of code.
    sampler.sample(&mut client, 1)?;
    for length in LENGTHS {
        setup.stop.check()?;
        fill(&mut client, &text.context, length)?;
        network::wait_until_equal(&[&writer, &reader], &text.context, 0)?;
        let Sample { keystrokes, sets } = sampler.sample(&mut client, ROUNDS)?;
        let beside = |value| Some(Reference { what: "kv.set".to_owned(), value });
        for (what, share) in [("p50", 0.5), ("p99", 0.99)] {
            let set = sets.ms(share);
            report.add(format!("a keystroke at {length} characters, {what}"), keystrokes.ms(share), "ms", beside(set));
        }
        report.add("  CPU of the node, each", keystrokes.cpu_us(), "us", beside(sets.cpu_us()));
        heard(&writer, &reader, &text.context, length, report)?;
    }
    Ok(())
}

fn fill(client: &mut Client, text: &str, length: u64) -> Result<()> {
    let words = "some words in a line\n".repeat(FILL / 21 + 1);
    let mut have = length_of(client, text)?;
    while have < length {
        let part = &words[..FILL.min((length - have) as usize)];
        client.call(text, "insert", &json!({ "at": have, "text": part }))?;
        have += part.len() as u64;
    }
    Ok(())
}

fn length_of(client: &mut Client, text: &str) -> Result<u64> {
    let answer = client.call(text, "len", &json!({}))?;
    answer.get("output").and_then(Value::as_u64).ok_or_else(|| anyhow!("no length: {answer}"))
}

/// Calls of one kind.
#[derive(Default)]
struct Calls {
    times: Vec<Duration>,
    cpu: Duration,
}

impl Calls {
    fn ms(&self, share: f64) -> f64 {
        let mut times = self.times.clone();
        times.sort();
        quantile_ms(&times, share)
    }

    fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.times.len().max(1) as f64
    }
}

#[derive(Default)]
struct Sample {
    keystrokes: Calls,
    sets: Calls,
}

struct Sampler<'n> {
    node: &'n Node,
    kv: String,
    text: String,
    /// How many keys were set.
    keys: u64,
}

impl Sampler<'_> {
    fn sample(&mut self, client: &mut Client, rounds: u64) -> Result<Sample> {
        let mut sample = Sample::default();
        for _ in 0..rounds {
            let middle = length_of(client, &self.text)? / 2;
            self.round(client, &mut sample.keystrokes, |own, n| {
                (own.text.clone(), "insert", json!({ "at": middle + n, "text": "x" }))
            })?;
            let first = self.keys;
            self.keys += ROUND;
            self.round(client, &mut sample.sets, |own, n| {
                (own.kv.clone(), "set", json!({ "key": (first + n).to_string(), "value": "x" }))
            })?;
        }
        Ok(sample)
    }

    fn round(
        &self,
        client: &mut Client,
        calls: &mut Calls,
        call: impl Fn(&Self, u64) -> (String, &'static str, Value),
    ) -> Result<()> {
        let before = cpu(self.node.pid())?;
        for n in 0..ROUND {
            let (context, method, arguments) = call(self, n);
            let begun = Instant::now();
            client.call(&context, method, &arguments)?;
            calls.times.push(begun.elapsed());
        }
        calls.cpu += cpu(self.node.pid())? - before;
        Ok(())
    }
}

/// A page of another node hears of keystrokes, one at a time.
fn heard(writer: &Node, reader: &Node, text: &str, length: u64, report: &mut Report) -> Result<()> {
    let (mut write, mut read) = (writer.client()?, reader.client()?);
    let reading = |read: &mut Client, since: &Value| read.call(text, "read", &json!({ "since": since }));
    let version = |answer: &Value| answer.get("output").and_then(|output| output.get("version")).cloned();
    let mut since = version(&reading(&mut read, &Value::Null)?).ok_or_else(|| anyhow!("a reading has no version"))?;
    let middle = length_of(&mut write, text)? / 2;
    let (mut times, mut bytes_max) = (Vec::new(), 0);
    for n in 0..HEARD {
        write.call(text, "insert", &json!({ "at": middle + n, "text": "y" }))?;
        let (time, answer) = wait_for("a keystroke to arrive", ARRIVES, || {
            let begun = Instant::now();
            let answer = reading(&mut read, &since)?;
            Ok((version(&answer).as_ref() != Some(&since)).then(|| (begun.elapsed(), answer)))
        })?;
        let output = answer.get("output").cloned().unwrap_or_default();
        if output.get("steps").and_then(Value::as_array).is_none_or(|steps| steps.len() != 1) {
            bail!("a keystroke is not one step: {}", output.to_string().chars().take(200).collect::<String>());
        }
        since = version(&answer).unwrap_or_default();
        bytes_max = bytes_max.max(output.to_string().len());
        times.push(time);
    }
    times.sort();
    report.add(format!("reading a remote keystroke at {length} characters, p50"), quantile_ms(&times, 0.5), "ms", None);
    report.add("  bytes of the answer, at most", bytes_max as f64, "bytes", None);
    Ok(())
}
