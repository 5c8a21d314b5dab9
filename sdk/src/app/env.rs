//! What an app may know of its surroundings. All of it is part of the call, so a call can be repeated exactly.

use crate::host;

use super::{ContextId, PublicKey, Time};

/// The identity that calls.
#[must_use]
pub fn caller() -> PublicKey {
    PublicKey(id(&host::env::caller()))
}

/// The context that the app runs in.
#[must_use]
pub fn context_id() -> ContextId {
    ContextId(id(&host::env::context_id()))
}

/// The time of the call. It does not pass while the call runs.
#[must_use]
pub fn now() -> Time {
    Time::from_hlc(host::env::now())
}

/// The next `N` random bytes of the call. The node that makes the call can foresee them, others cannot.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let length = u32::try_from(N).expect("INVARIANT: an array that fits a guest's memory is shorter than 4 GiB");
    let bytes = host::env::random(length);
    bytes.try_into().unwrap_or_else(|_| panic!("the node gave another number of random bytes than asked"))
}

/// Writes a line to the node's log; `app::log!` formats it.
pub fn log(line: &str) {
    host::output::log(line);
}

fn id(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().unwrap_or_else(|_| panic!("the node gave an id of {} bytes", bytes.len()))
}
