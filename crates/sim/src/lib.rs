//! The simulator: the nodes that ship, in one thread, under virtual time, on a virtual network and virtual disks.
//!
//! A seed decides everything: how many hosts there are, what people do, what goes wrong and when. Each run ends
//! healed, and then all honest members must hold the same logs, digests and roots; on the way there, and at
//! the end, [`invariants`] are checked by code that knows nothing of the workload. Two runs of a seed must take
//! the same course, event by event.
//!
//! ```
//! let outcome = mesto_sim::run(1, mesto_sim::Profile::calm(2), false);
//! assert!(outcome.violations.is_empty(), "{:?}", outcome.violations);
//! ```

mod byzantine;
mod clock;
mod disk;
mod executor;
mod faults;
mod host;
pub mod invariants;
mod ledger;
mod network;
mod profile;
mod random;
pub mod regressions;
mod run;
mod trace;
mod workload;
mod world;

pub use executor::App;
pub use invariants::Violation;
pub use profile::Profile;
pub use run::{Outcome, run, run_twice, run_with};
pub use world::Micros;
