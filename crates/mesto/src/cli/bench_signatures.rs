//! `mesto bench-signatures`: what one core signs and verifies in a second, the floor beneath calls and their spreading.

use std::time::{Duration, Instant};

use mesto_api::ErrorCode;
use mesto_oplog::entry::{Draft, Kind, Stamp};
use mesto_oplog::{Header, Incarnation, LogId, Signed, SigningKey};
use serde::Serialize;

use super::failure::Failure;
use super::output::{Output, fields};

/// Bytes of a body as long as that of a small call.
const BODY_LEN: usize = 320;

#[derive(clap::Args, Debug)]
pub(crate) struct BenchSignatures {
    /// How long to sign, and how long to verify
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Figure {
    signed_per_second: f64,
    verified_per_second: f64,
}

impl BenchSignatures {
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::new(ErrorCode::InternalError, error.to_string());
        let time = Duration::try_from_secs_f64(self.seconds).map_err(|error| failed(&error))?;
        let key = SigningKey::from_seed(&[7; 32]);
        let draft = Draft {
            header: Header {
                kind: Kind::Delta,
                log: LogId::from_bytes([1; 32]),
                author: key.public(),
                incarnation: Incarnation(1),
                seq: 1,
                prev: None,
                parents: Vec::new(),
                stamp: Stamp::after(Stamp::default(), 1).unwrap_or_default(),
            },
            body: vec![3; BODY_LEN],
        };
        let bytes = draft.clone().sign(&key).map_err(|error| failed(&error))?.bytes().to_vec();
        let figure = Figure {
            signed_per_second: rate(time, || draft.clone().sign(&key).is_ok()),
            verified_per_second: rate(time, || Signed::decode(&bytes).is_ok_and(|entry| entry.verify().is_ok())),
        };
        output.object(&figure, |figure| {
            fields([
                ("entries signed a second", format!("{:.0}", figure.signed_per_second)),
                ("entries verified a second", format!("{:.0}", figure.verified_per_second)),
            ])
        })
    }
}

/// How often a second `work` succeeds.
fn rate(time: Duration, mut work: impl FnMut() -> bool) -> f64 {
    let begun = Instant::now();
    let mut done = 0_u32;
    while begun.elapsed() < time {
        done += u32::from(work());
    }
    f64::from(done) / begun.elapsed().as_secs_f64()
}
